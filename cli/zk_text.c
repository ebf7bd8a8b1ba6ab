/* SPDX-License-Identifier: Apache-2.0 */
/* Access control of zk(1) as texts. */
#include <string.h>

#include "cli/zk_run.h"

static const struct {
	char letter;
	int32_t perm;
} perm_letters[] = {
    {'c', ZK_PERM_CREATE},
    {'d', ZK_PERM_DELETE},
    {'r', ZK_PERM_READ},
    {'w', ZK_PERM_WRITE},
    {'a', ZK_PERM_ADMIN},
};

#define PERM_COUNT (sizeof perm_letters / sizeof perm_letters[0])

void
zk_perms_text(char to[6], int32_t perms)
{
	for (size_t i = 0; i < PERM_COUNT; i++) {
		if ((perms & perm_letters[i].perm) != 0)
			*to++ = perm_letters[i].letter;
	}
	*to = '\0';
}

static bool
perms_parse(const char *text, int32_t *perms)
{
	*perms = 0;
	for (; *text != '\0'; text++) {
		int32_t perm = 0;

		for (size_t i = 0; i < PERM_COUNT; i++)
			perm |= perm_letters[i].letter == *text ? perm_letters[i].perm : 0;
		if (perm == 0)
			return false;
		*perms |= perm;
	}
	return *perms != 0;
}

bool
zk_acl_parse(char *text, struct zk_acl *acl)
{
	char *id = strchr(text, ':'), *perms = strrchr(text, ':');

	if (id == NULL || perms == id || id == text)
		return false;
	*id++ = '\0';
	*perms++ = '\0';
	acl->scheme = text;
	acl->id = id;
	return perms_parse(perms, &acl->perms);
}
