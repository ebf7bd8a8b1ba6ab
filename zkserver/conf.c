/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/conf.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/ini.h"
#include "libcommon/sys/log.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define PORT_MAX 65535
#define TICK_DEFAULT_MS 3000
#define JUTE_MAX_DEFAULT 0xfffff

enum kind {
	KIND_U32,
	KIND_PORT,
	KIND_TEXT, /* of at most `max` bytes */
	KIND_BOOL, /* yes, no, true, false */
	KIND_AUTH, /* none, want, need */
	KIND_SILENT /* understood, and nothing to be done */
};

struct row {
	const char *key;
	enum kind kind;
	size_t offset;
	uint64_t min, max;
};

#define ROW(key, kind, member, min, max) {key, kind, offsetof(struct zoo_conf, member), min, max}
#define TEXT_ROW(key, member)                                                                      \
	ROW(key, KIND_TEXT, member, 0, sizeof((struct zoo_conf *)0)->member - 1)
#define SILENT_ROW(key) {key, KIND_SILENT, 0, 0, 0}

static const struct row ROWS[] = {
    ROW("tickTime", KIND_U32, tick_ms, 1, 3600000),
    TEXT_ROW("dataDir", data_dir),
    TEXT_ROW("dataLogDir", data_log_dir),
    ROW("clientPort", KIND_PORT, client_port, 0, PORT_MAX),
    TEXT_ROW("clientPortAddress", client_address),
    ROW("secureClientPort", KIND_PORT, secure_port, 0, PORT_MAX),
    TEXT_ROW("secureClientPortAddress", secure_address),
    TEXT_ROW("ssl.keyStore.location", key_store),
    TEXT_ROW("ssl.trustStore.location", trust_store),
    TEXT_ROW("ssl.keyStore.type", key_store_type),
    TEXT_ROW("ssl.trustStore.type", trust_store_type),
    ROW("ssl.clientAuth", KIND_AUTH, client_auth, 0, 0),
    ROW("maxClientCnxns", KIND_U32, max_client_cnxns, 0, INT32_MAX),
    ROW("maxCnxns", KIND_U32, max_cnxns, 0, INT32_MAX),
    ROW("minSessionTimeout", KIND_U32, min_session_ms, 1, INT32_MAX),
    ROW("maxSessionTimeout", KIND_U32, max_session_ms, 1, INT32_MAX),
    ROW("snapCount", KIND_U32, snap_count, 2, INT32_MAX),
    ROW("preAllocSize", KIND_U32, prealloc_kib, 0, INT32_MAX / 1024),
    ROW("forceSync", KIND_BOOL, force_sync, 0, 0),
    ROW("snapshot.trust.empty", KIND_BOOL, trust_empty, 0, 0),
    ROW("autopurge.snapRetainCount", KIND_U32, purge_retain, 0, INT32_MAX),
    ROW("autopurge.purgeInterval", KIND_U32, purge_hours, 0, 24 * 365),
    ROW("jute.maxbuffer", KIND_U32, jute_max_bytes, 1024, 8 << 20),
    ROW("globalOutstandingLimit", KIND_U32, outstanding_max, 1, 1000000),
    TEXT_ROW("4lw.commands.whitelist", words),
    SILENT_ROW("admin.enableServer"),
    SILENT_ROW("admin.serverPort"),
    SILENT_ROW("admin.serverAddress"),
    SILENT_ROW("metricsProvider.className"),
    SILENT_ROW("metricsProvider.httpPort"),
    SILENT_ROW("metricsProvider.httpHost"),
    SILENT_ROW("serverCnxnFactory"), /* names a Java class; TLS needs none here */
    SILENT_ROW("initLimit"),	     /* of ensembles: without effect for a single server */
    SILENT_ROW("syncLimit"),
    SILENT_ROW("standaloneEnabled"),
};

void
zoo_conf_default(struct zoo_conf *c, const char *data_dir)
{
	*c = (struct zoo_conf){
	    .tick_ms = TICK_DEFAULT_MS,
	    .client_port = 2181,
	    .secure_port = ZOO_PORT_NONE,
	    .client_address = "127.0.0.1",
	    .client_auth = ZOO_CLIENT_AUTH_NEED,
	    .max_client_cnxns = 60,
	    .snap_count = 100000,
	    .prealloc_kib = 65536,
	    .force_sync = true,
	    .purge_retain = 3,
	    .jute_max_bytes = JUTE_MAX_DEFAULT,
	    .outstanding_max = 1000,
	    .words = "srvr",
	};
	if (!str_copy(c->data_dir, sizeof c->data_dir, data_dir))
		c->data_dir[0] =
		    '\0'; /* longer than any path that the system takes: refused as unset */
	memcpy(c->data_log_dir, c->data_dir, sizeof c->data_log_dir);
	c->min_session_ms = 2 * c->tick_ms;
	c->max_session_ms = 20 * c->tick_ms;
}

static bool
parse_bool(const char *text, bool *value)
{
	*value = strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0;
	return *value || strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0;
}

static bool
parse_auth(const char *text, enum zoo_client_auth *value)
{
	static const char *const names[] = {"none", "want", "need"};

	for (size_t i = 0; i < COUNT(names); i++) {
		if (strcasecmp(text, names[i]) == 0) {
			*value = (enum zoo_client_auth)i;
			return true;
		}
	}
	return false;
}

/* Put the value into its member, or add a fault. */
static void
apply(struct zoo_conf *c, const struct row *row, const struct ini *ini, const struct ini_entry *e,
    struct faults *faults)
{
	void *member = (char *)c + row->offset;
	uint64_t n;

	switch (row->kind) {
	case KIND_U32:
	case KIND_PORT:
		if (!str_to_u64(e->value, row->min, row->max, &n))
			faults_add(faults, ini->file, e->line,
			    "%s=%s: not a number from %llu to %llu", e->name, e->value,
			    (unsigned long long)row->min, (unsigned long long)row->max);
		else if (row->kind == KIND_PORT)
			*(int32_t *)member = (int32_t)n;
		else
			*(uint32_t *)member = (uint32_t)n;
		break;
	case KIND_TEXT:
		if (!str_copy(member, row->max + 1, e->value))
			faults_add(faults, ini->file, e->line, "%s: longer than %llu bytes",
			    e->name, (unsigned long long)row->max);
		break;
	case KIND_BOOL:
		if (!parse_bool(e->value, member))
			faults_add(
			    faults, ini->file, e->line, "%s=%s: not yes or no", e->name, e->value);
		break;
	case KIND_AUTH:
		if (!parse_auth(e->value, member))
			faults_add(faults, ini->file, e->line, "%s=%s: not none, want or need",
			    e->name, e->value);
		break;
	case KIND_SILENT:
		break;
	}
}

static void
warn_unknown(const struct ini *ini, const struct ini_entry *e)
{
	const char *names[COUNT(ROWS)], *near;

	for (size_t i = 0; i < COUNT(ROWS); i++)
		names[i] = ROWS[i].key;
	near = faults_nearest(e->name, names, COUNT(ROWS));
	if (near != NULL)
		log_warn("%s:%u: unknown key \"%s\" is ignored; did you mean %s?", ini->file,
		    e->line, e->name, near);
	else
		log_warn("%s:%u: unknown key \"%s\" is ignored", ini->file, e->line, e->name);
}

static void
apply_entry(
    struct zoo_conf *c, const struct ini *ini, const struct ini_entry *e, struct faults *faults)
{
	if (str_starts(e->name, "server.")) {
		faults_add(faults, ini->file, e->line,
		    "%s: this version runs standalone only; remove the server.N lines or keep "
		    "Apache ZooKeeper",
		    e->name);
		return;
	}
	for (size_t i = 0; i < COUNT(ROWS); i++) {
		if (strcmp(ROWS[i].key, e->name) == 0) {
			apply(c, &ROWS[i], ini, e, faults);
			return;
		}
	}
	warn_unknown(ini, e);
}

static unsigned
line_of(const struct ini *ini, const char *key)
{
	for (size_t i = 0; i < ini->count; i++) {
		if (strcmp(ini->entries[i].name, key) == 0)
			return ini->entries[i].line;
	}
	return 0;
}

static void
check_store(const struct ini *ini, const char *key, const char *path, const char *type,
    struct faults *faults)
{
	size_t len = strlen(path);
	bool pem = type[0] != '\0' ? strcasecmp(type, "PEM") == 0
				   : len >= 4 && strcmp(path + len - 4, ".pem") == 0;

	if (len == 0)
		faults_add(faults, ini->file, line_of(ini, "secureClientPort"),
		    "secureClientPort needs %s", key);
	else if (!pem)
		faults_add(faults, ini->file, line_of(ini, key),
		    "%s=%s: only PEM files are read; convert it (keytool, openssl pkcs12) to a "
		    ".pem",
		    key, path);
	else if (access(path, R_OK) != 0)
		faults_add(
		    faults, ini->file, line_of(ini, key), "%s=%s: cannot be read", key, path);
}

/* What no single key shows. */
static void
check_whole(struct zoo_conf *c, const struct ini *ini, struct faults *faults)
{
	if (c->min_session_ms == 0)
		c->min_session_ms = 2 * c->tick_ms;
	if (c->max_session_ms == 0)
		c->max_session_ms = 20 * c->tick_ms;
	if (c->purge_retain < 3)
		c->purge_retain = 3; /* as Apache's server does */
	if (c->data_log_dir[0] == '\0')
		memcpy(c->data_log_dir, c->data_dir, sizeof c->data_log_dir);
	if (c->data_dir[0] == '\0')
		faults_add(faults, ini->file, 0, "dataDir is missing");
	if (c->client_port == ZOO_PORT_NONE && c->secure_port == ZOO_PORT_NONE)
		faults_add(
		    faults, ini->file, 0, "neither clientPort nor secureClientPort is there");
	if (c->min_session_ms > c->max_session_ms)
		faults_add(faults, ini->file, line_of(ini, "minSessionTimeout"),
		    "minSessionTimeout (%u ms) is above maxSessionTimeout (%u ms)",
		    c->min_session_ms, c->max_session_ms);
	if (c->secure_port != ZOO_PORT_NONE) {
		check_store(ini, "ssl.keyStore.location", c->key_store, c->key_store_type, faults);
		check_store(
		    ini, "ssl.trustStore.location", c->trust_store, c->trust_store_type, faults);
	}
}

bool
zoo_conf_load(struct zoo_conf *c, const char *path, struct faults *faults)
{
	struct ini ini = {0};
	size_t before = faults->count;

	zoo_conf_default(c, "");
	c->client_port = ZOO_PORT_NONE;
	c->client_address[0] = '\0';
	c->min_session_ms = c->max_session_ms = 0;
	if (ini_read_file(&ini, INI_PROPERTIES, path, faults)) {
		for (size_t i = 0; i < ini.count; i++)
			apply_entry(c, &ini, &ini.entries[i], faults);
		check_whole(c, &ini, faults);
	}
	ini_fini(&ini);
	return faults->count == before;
}

bool
zoo_conf_allows(const struct zoo_conf *c, const char word[4])
{
	const char *p = c->words;

	while (*p != '\0') {
		size_t len;

		p += strspn(p, ", \t");
		len = strcspn(p, ", \t");
		if ((len == 1 && *p == '*') || (len == 4 && memcmp(p, word, 4) == 0))
			return true;
		p += len;
	}
	return false;
}
