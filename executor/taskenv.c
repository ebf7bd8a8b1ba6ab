/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/taskenv.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_MAX 6
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char **
taskenv_list(char *const *items, size_t count)
{
	const char **list = calloc(count + 1, sizeof *list);

	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = items[i];
	return list;
}

static bool
is_set(const Corral__TaskSpec *spec, const char *entry)
{
	size_t name_len = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < spec->n_environment; i++) {
		if (strncmp(spec->environment[i], entry, name_len) == 0)
			return true;
	}
	return false;
}

/* Add one entry of ours, unless the spec has that name. False: no memory. */
static bool __attribute__((format(printf, 4, 5)))
add(const char **env, size_t *count, const Corral__TaskSpec *spec, const char *fmt, ...)
{
	char *entry;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&entry, fmt, ap);
	va_end(ap);
	if (n < 0)
		return false;
	if (is_set(spec, entry))
		free(entry);
	else
		env[(*count)++] = entry;
	return true;
}

const char **
taskenv_new(const Corral__TaskKey *key, const Corral__TaskSpec *spec, const char *sandbox)
{
	const char **env = calloc(spec->n_environment + OWN_MAX + 1, sizeof *env);
	size_t count = 0;
	char *copy;
	bool ok;

	if (env == NULL)
		return NULL;
	ok = add(env, &count, spec, "PATH=" PATH_DEFAULT) &&
	     add(env, &count, spec, "HOME=%s", sandbox) &&
	     add(env, &count, spec, "CORRAL_SANDBOX=%s", sandbox) &&
	     add(env, &count, spec, "CORRAL_JOB=%s", key->job) &&
	     add(env, &count, spec, "CORRAL_INDEX=%u", key->index) &&
	     add(env, &count, spec, "CORRAL_ATTEMPT=%u", key->attempt);
	for (size_t i = 0; ok && i < spec->n_environment; i++) {
		if ((copy = strdup(spec->environment[i])) == NULL)
			ok = false;
		else
			env[count++] = copy;
	}
	if (ok)
		return env;
	taskenv_free(env);
	return NULL;
}

void
taskenv_free(const char **env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		free((void *)(uintptr_t)env[i]);
	free(env);
}
