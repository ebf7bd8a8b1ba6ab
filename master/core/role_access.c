/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/role_access.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/role.h"
#include "libcommon/base/str.h"

/* ROLE=NAME apart; NULL: it is none. */
static const char *
split(const char *rule, char role[ROLE_NAME_MAX + 1])
{
	size_t size = strcspn(rule, "=");

	if (rule[size] == '\0' || rule[size + 1] == '\0' || size > ROLE_NAME_MAX)
		return NULL;
	memcpy(role, rule, size);
	role[size] = '\0';
	return role_name_ok(role) ? rule + size + 1 : NULL;
}

const char *
role_access_fault(const char *const *rules, size_t count)
{
	char role[ROLE_NAME_MAX + 1];

	for (size_t i = 0; i < count; i++)
		if (split(rules[i], role) == NULL)
			return rules[i];
	return NULL;
}

/* From a role to the one above it; false: that was the uppermost. */
static bool
go_up(char role[ROLE_NAME_MAX + 1])
{
	char *slash = strrchr(role, '/');

	if (strcmp(role, ROLE_DEFAULT) == 0)
		return false;
	if (slash != NULL)
		*slash = '\0';
	else
		(void)str_copy(role, ROLE_NAME_MAX + 1, ROLE_DEFAULT);
	return true;
}

static void
add_name(char names[ROLE_ACCESS_NAMES_MAX], const char *name)
{
	size_t len = strlen(names);

	snprintf(names + len, ROLE_ACCESS_NAMES_MAX - len, "%s%s", len > 0 ? ", " : "", name);
}

/* Do rules name this role itself, and is the user among those that they name? */
static bool
is_named(const char *const *rules, size_t count, const char *role, const char *user, bool *allowed,
    const char **by, char names[ROLE_ACCESS_NAMES_MAX])
{
	char of[ROLE_NAME_MAX + 1];
	bool named = false;

	*allowed = false;
	names[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		const char *name = split(rules[i], of);

		if (name == NULL || strcmp(of, role) != 0)
			continue;
		named = true;
		*by = rules[i];
		*allowed = *allowed || strcmp(name, user) == 0;
		add_name(names, name);
	}
	return named;
}

bool
role_access_allows(const char *const *rules, size_t count, const char *role, const char *user,
    const char **by, char names[ROLE_ACCESS_NAMES_MAX])
{
	char at[ROLE_NAME_MAX + 1];
	bool allowed;

	if (!str_copy(at, sizeof at, role == NULL ? ROLE_DEFAULT : role))
		return false;
	do
		if (is_named(rules, count, at, user, &allowed, by, names))
			return allowed;
	while (go_up(at));
	return true;
}
