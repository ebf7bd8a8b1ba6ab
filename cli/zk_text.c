/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, names and permissions of zk(1) as texts. */
#include <stdlib.h>
#include <string.h>

#include "cli/zk_run.h"

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_copy(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct zk_names *names = arg;

	(void)run;
	names->items = calloc(result->child_count + 1, sizeof *names->items);
	for (size_t i = 0; names->items != NULL && i < result->child_count; i++) {
		names->items[i] = strdup(result->children[i]);
		if (names->items[i] == NULL) {
			zk_names_free(names);
			return;
		}
		names->count++;
	}
	if (names->items != NULL)
		qsort(names->items, names->count, sizeof *names->items, name_compare);
}

int
zk_run_children(struct zk_run *run, const char *path, struct zk_names *names)
{
	const struct zk_op op = {.type = ZK_OP_GET_CHILDREN2, .path = path};
	int rc;

	*names = (struct zk_names){NULL, 0};
	rc = zk_run_request(run, &op, names_copy, names);
	if (rc == ZK_OK && names->items == NULL)
		rc = ZK_NOMEMORY;
	return rc;
}

void
zk_names_free(struct zk_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct zk_names){NULL, 0};
}

size_t
zk_path_push(char path[ZK_RUN_PATH_MAX], const char *name)
{
	size_t len = strlen(path), from = path[1] == '\0' ? 0 : len, size = strlen(name) + 1;

	if (from + 1 + size > ZK_RUN_PATH_MAX)
		return SIZE_MAX;
	path[from] = '/';
	memcpy(path + from + 1, name, size);
	return len;
}

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
