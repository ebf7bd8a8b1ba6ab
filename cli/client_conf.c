/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Join texts into a path; false if it does not fit. */
static bool __attribute__((format(printf, 2, 3)))
path_print(char to[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, PATH_MAX, fmt, ap);
	va_end(ap);
	return n > 0 && n < PATH_MAX;
}

static const char *
env_path(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

bool
client_conf_dev_dir(char to[PATH_MAX])
{
	const char *runtime = env_path("XDG_RUNTIME_DIR"), *tmp = env_path("TMPDIR");

	if (runtime != NULL)
		return path_print(to, "%s/corral-dev", runtime);
	return path_print(to, "%s/corral-dev-%u", tmp != NULL ? tmp : "/tmp", (unsigned)geteuid());
}

bool
client_conf_dev_dir_trusted(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0;
}

static bool
user_path(char to[PATH_MAX])
{
	const char *config = env_path("XDG_CONFIG_HOME"), *home = env_path("HOME");

	if (config != NULL)
		return path_print(to, "%s/corral/corral.conf", config);
	return home != NULL && path_print(to, "%s/.config/corral/corral.conf", home);
}

/* The file that stands in for all others because something names it; false: nothing does. */
static bool
named_path(const struct client_options *options, char to[PATH_MAX])
{
	const char *dir = getenv("CORRAL_CONFIG_DIR");

	if (options->config != NULL)
		return path_print(to, "%s", options->config);
	return dir != NULL && dir[0] != '\0' && path_print(to, "%s/corral.conf", dir);
}

static bool
dev_path(char to[PATH_MAX])
{
	char dir[PATH_MAX];

	return client_conf_dev_dir(dir) && client_conf_dev_dir_trusted(dir) &&
	       path_print(to, "%s/corral.conf", dir) && access(to, R_OK) == 0;
}

static bool
load_files(struct corral_conf *conf, const struct client_options *options, struct faults *faults)
{
	char path[PATH_MAX], user[PATH_MAX];
	bool has_user = user_path(user) && access(user, F_OK) == 0;

	if (named_path(options, path))
		return corral_conf_load(conf, path, faults);
	if (!has_user && access(corral_conf_path, F_OK) != 0 && dev_path(path))
		return corral_conf_load(conf, path, faults);
	if (!corral_conf_load(conf, NULL, faults))
		return false;
	return !has_user || conf_load(&corral_conf_table, conf, user, true, faults);
}

/* An option or a variable, if it is there, in the place of [client] key. */
static bool
override(struct corral_conf *conf, const char *key, const char *option, const char *variable,
    struct faults *faults)
{
	const char *value = option != NULL ? option : getenv(variable);
	char place[64], path[PATH_MAX];

	if (value == NULL || value[0] == '\0')
		return true;
	if (option != NULL)
		snprintf(place, sizeof place, "--%s", key);
	else
		snprintf(place, sizeof place, "%s", variable);
	if (strcmp(key, "master") == 0)
		conf_set(&corral_conf_table, conf, "client", key, "", place,
		    faults); /* a list: start anew */
	else if (value[0] != '/' && realpath(value, path) != NULL)
		value = path;
	return conf_set(&corral_conf_table, conf, "client", key, value, place, faults);
}

/* [client] has no file of its own: [tls]'s serves. */
static bool
default_to(char **member, const char *value)
{
	if (*member == NULL && value != NULL)
		*member = strdup(value);
	return *member != NULL || value == NULL;
}

/*
 * Without a certificate that we can read this machine's master is asked by its socket, where our
 * account is who we are; unless somebody said which master he means.
 */
static bool
wants_socket(const struct corral_conf *conf, const struct client_options *options)
{
	const char *named = getenv("CORRAL_MASTER");

	if (options->master != NULL || (named != NULL && named[0] != '\0') ||
	    conf->client.socket == NULL || access(conf->client.socket, F_OK) != 0)
		return false;
	return conf->client.cert == NULL || conf->client.key == NULL ||
	       access(conf->client.cert, R_OK) != 0 || access(conf->client.key, R_OK) != 0;
}

/* The socket in the place of all masters. */
static bool
take_socket(struct corral_conf *conf)
{
	struct conf_list *masters = &conf->client.master;
	char **items = malloc(sizeof *items), *path = strdup(conf->client.socket);

	if (items == NULL || path == NULL) {
		free(items);
		free(path);
		return false;
	}
	for (size_t i = 0; i < masters->count; i++)
		free(masters->items[i]);
	free(masters->items);
	items[0] = path;
	masters->items = items;
	masters->count = 1;
	return true;
}

bool
client_conf_load(
    struct corral_conf *conf, const struct client_options *options, struct faults *faults)
{
	bool ok = load_files(conf, options, faults);

	ok = ok && override(conf, "master", options->master, "CORRAL_MASTER", faults);
	ok = ok && override(conf, "ca", options->ca, "CORRAL_TLS_CA", faults);
	ok = ok && override(conf, "cert", options->cert, "CORRAL_TLS_CERT", faults);
	ok = ok && override(conf, "key", options->key, "CORRAL_TLS_KEY", faults);
	if (!ok)
		return false;
	if (!default_to(&conf->client.ca, conf->tls.ca) ||
	    !default_to(&conf->client.cert, conf->tls.cert) ||
	    !default_to(&conf->client.key, conf->tls.key) ||
	    (wants_socket(conf, options) && !take_socket(conf))) {
		faults_add(faults, NULL, 0, "out of memory");
		return false;
	}
	return true;
}
