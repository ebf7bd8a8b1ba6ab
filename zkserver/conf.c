/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/conf.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/ini.h"
#include "libcommon/sys/log.h"
#include "zkserver/conf_priv.h"
#include "zkserver/settings.h"

#define TICK_DEFAULT_MS 3000
#define JUTE_MAX_DEFAULT 0xfffff

#define PROPERTY_PREFIX "zookeeper."
#define BACKLOG_DEFAULT 1024
#define SETTINGS_MAX 512
#define SESSIONS_MAX_DEFAULT 1000000
#define HANDSHAKES_DEFAULT 500

void
zoo_conf_default(struct zoo_conf *c, const char *data_dir)
{
	*c = (struct zoo_conf){
	    .tick_ms = TICK_DEFAULT_MS,
	    .client_port = 2181,
	    .secure_port = ZOO_PORT_NONE,
	    .client_address = "127.0.0.1",
	    .tls = {.client_auth = 2, .check_names = true, .handshake_ms = 5000},
	    .max_client_cnxns = 60,
	    .backlog = BACKLOG_DEFAULT,
	    .snap_count = 100000,
	    .snap_size_kib = 4 << 20,
	    .prealloc_kib = 65536,
	    .slow_sync_ms = 1000,
	    .force_sync = true,
	    .purge_retain = 3,
	    .jute_max_bytes = JUTE_MAX_DEFAULT,
	    .outstanding_max = 1000,
	    .reap_interval_ms = 60000,
	    .reap_max_per_minute = 10000,
	    .memory_max_mib = ZOO_MEMORY_AUTO,
	    .sessions_max = SESSIONS_MAX_DEFAULT,
	    .connect_fill_ms = 1,
	    .connect_fill_count = 1,
	    .connect_weight = 3,
	    .reconnect_weight = 2,
	    .handshakes_per_s = HANDSHAKES_DEFAULT,
	    .words = "srvr",
	    .auth = {.digest = true, .digest_alg = "SHA1", .jaas_section = "Server"},
	    .admin_enabled = true,
	    .admin_port = 8080,
	    .admin_address = "127.0.0.1",
	    .admin_url = "/commands",
	    .admin_idle_ms = 30000,
	    .metrics_port = 7000,
	    .metrics_address = "127.0.0.1",
	};
	conf_default_ensemble(&c->ensemble);
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

const char *
conf_key_of(const struct ini_entry *e)
{
	return str_starts(e->name, PROPERTY_PREFIX) ? e->name + sizeof PROPERTY_PREFIX - 1
						    : e->name;
}

static void
put_number(const struct setting *s, void *member, const struct ini *ini, const struct ini_entry *e,
    struct faults *faults)
{
	bool java = (s->flags & SETTING_JAVA) != 0;
	int64_t less;
	uint64_t n;

	if ((s->flags & SETTING_UNSET) != 0 && strcmp(e->value, "-1") == 0)
		return;
	if ((s->flags & SETTING_FLOOR) != 0 &&
	    str_to_i64(e->value, INT32_MIN, (int64_t)s->min - 1, &less))
		*(uint32_t *)member = (uint32_t)s->min;
	else if (!(java ? str_decode_u64 : str_to_u64)(e->value, s->min, s->max, &n))
		faults_add(faults, ini->file, e->line, "%s=%s: not a number from %llu to %llu%s%s",
		    e->name, e->value, (unsigned long long)s->min, (unsigned long long)s->max,
		    s->why != NULL ? ": " : "", s->why != NULL ? s->why : "");
	else if (s->kind == SETTING_PORT)
		*(int32_t *)member = (int32_t)n;
	else
		*(uint32_t *)member = (uint32_t)n;
}

static void
put_choice(const struct setting *s, int *member, const struct ini *ini, const struct ini_entry *e,
    struct faults *faults)
{
	int n = setting_word(s->words, e->value);

	if (n >= 0)
		*member = n;
	else
		faults_add(faults, ini->file, e->line, "%s=%s: not one of: %s", e->name, e->value,
		    s->words);
}

/* One line more. */
static void
put_line(const struct setting *s, char *member, const struct ini *ini, const struct ini_entry *e,
    struct faults *faults)
{
	size_t len = strlen(member);
	int n = snprintf(member + len, s->max + 1 - len, "%s\n", e->value);

	if (n < 0 || (size_t)n > s->max - len)
		faults_add(faults, ini->file, e->line, "%s: all of them are longer than %llu bytes",
		    e->name, (unsigned long long)s->max);
}

/* authProvider.NAME=CLASS: of Apache's own classes what they do is here; others cannot be loaded.
 */
static void
put_provider(
    struct zoo_auth *a, const struct ini *ini, const struct ini_entry *e, struct faults *faults)
{
	static const char package[] = "org.apache.zookeeper.server.auth.",
			  words[] = "IPAuthenticationProvider DigestAuthenticationProvider "
				    "X509AuthenticationProvider SASLAuthenticationProvider "
				    "EnsembleAuthenticationProvider";
	int n =
	    str_starts(e->value, package) ? setting_word(words, e->value + sizeof package - 1) : -1;

	if (n < 0)
		faults_add(faults, ini->file, e->line,
		    "%s=%s: refused: a Java class cannot be loaded here, and the ACLs of its "
		    "scheme would let nobody in",
		    e->name, e->value);
	a->x509 |= n == 2;
	a->sasl |= n == 3;
	a->ensemble |= n == 4;
}

/* Put the value into its member, say that it has none, or add a fault. */
static void
apply(struct zoo_conf *c, const struct setting *s, const struct ini *ini, const struct ini_entry *e,
    struct faults *faults)
{
	void *member = (char *)c + s->offset;

	switch (s->kind) {
	case SETTING_U32:
	case SETTING_PORT:
		put_number(s, member, ini, e, faults);
		break;
	case SETTING_TEXT:
		if (!str_copy(member, s->max + 1, e->value))
			faults_add(faults, ini->file, e->line, "%s: longer than %llu bytes",
			    e->name, (unsigned long long)s->max);
		break;
	case SETTING_LIST:
		put_line(s, member, ini, e, faults);
		break;
	case SETTING_BOOL:
		if (!parse_bool(e->value, member))
			faults_add(
			    faults, ini->file, e->line, "%s=%s: not yes or no", e->name, e->value);
		break;
	case SETTING_CHOICE:
		put_choice(s, member, ini, e, faults);
		break;
	case SETTING_FORM:
		if (str_starts(conf_key_of(e), "authProvider."))
			put_provider(&c->auth, ini, e, faults);
		else if (strcmp(conf_key_of(e), "snapshotSizeFactor") == 0)
			conf_put_factor(&c->ensemble, ini, e, faults);
		break; /* the members: see conf_put_ensemble() */
	case SETTING_ONLY:
		if (setting_word(s->words, e->value) < 0)
			faults_add(faults, ini->file, e->line, "%s=%s: refused: %s", e->name,
			    e->value, s->why);
		break;
	case SETTING_NOTHING:
		log_info("%s:%u: %s has no effect: %s", ini->file, e->line, e->name, s->why);
		break;
	}
}

static void
warn_unknown(const struct ini *ini, const struct ini_entry *e)
{
	const char *names[SETTINGS_MAX], *near;
	const struct setting *all;
	size_t count, n = 0;

	all = settings_table(&count);
	for (size_t i = 0; i < count && n < SETTINGS_MAX; i++) {
		if (all[i].kind != SETTING_NOTHING)
			names[n++] = all[i].key;
	}
	near = faults_nearest(conf_key_of(e), names, n);
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
	const struct setting *s = setting_find(conf_key_of(e));

	if (s != NULL)
		apply(c, s, ini, e, faults);
	else
		warn_unknown(ini, e);
}

unsigned
conf_line_of(const struct ini *ini, const char *key)
{
	for (size_t i = 0; i < ini->count; i++) {
		if (strcmp(conf_key_of(&ini->entries[i]), key) == 0)
			return ini->entries[i].line;
	}
	return 0;
}

static void
check_store(const struct ini *ini, const char *prefix, const char *name, const char *needed_by,
    const char *path, struct faults *faults)
{
	char key[64];

	snprintf(key, sizeof key, "%s%s", prefix, name);
	if (path[0] == '\0')
		faults_add(
		    faults, ini->file, conf_line_of(ini, needed_by), "%s needs %s", needed_by, key);
	else if (access(path, R_OK) != 0)
		faults_add(
		    faults, ini->file, conf_line_of(ini, key), "%s=%s: cannot be read", key, path);
}

/* The stores' kinds are told by their content, when they are read. */
void
conf_check_tls(struct zoo_tls *t, const struct ini *ini, const char *prefix, const char *needed_by,
    struct faults *faults)
{
	char key[64];

	if (needed_by != NULL) {
		check_store(ini, prefix, "keyStore.location", needed_by, t->key_store, faults);
		if (t->client_auth > 0)
			check_store(
			    ini, prefix, "trustStore.location", needed_by, t->trust_store, faults);
	}
	snprintf(key, sizeof key, "%scrl", prefix);
	if (t->want_crl && t->crl[0] == '\0')
		faults_add(faults, ini->file, conf_line_of(ini, key),
		    "%s needs %s.location, a file of lists in PEM: none is fetched", key, key);
	if (t->protocols[0] == '\0')
		str_copy(t->protocols, sizeof t->protocols, t->protocol);
}

static bool
scheme_is_there(const struct zoo_auth *a, const char *scheme, size_t len)
{
	if (len == 2 && memcmp(scheme, "ip", len) == 0)
		return true;
	if (len == 4 && memcmp(scheme, "x509", len) == 0)
		return a->x509;
	if (len == 6 && memcmp(scheme, "digest", len) == 0)
		return a->digest;
	return len == 4 && memcmp(scheme, "sasl", len) == 0 &&
	       (a->sasl || a->jaas_file[0] != '\0' || a->users_file[0] != '\0');
}

/* Which schemes a client must have one of, and can it? */
static void
check_schemes(struct zoo_auth *a, const struct ini *ini, struct faults *faults)
{
	const char *key = a->require_sasl ? "sessionRequireClientSASLAuth" : "enforce.auth.schemes",
		   *p;

	if (a->require_sasl)
		snprintf(a->schemes, sizeof a->schemes, "sasl");
	else if (!a->enforce)
		a->schemes[0] = '\0';
	else if (a->schemes[0] == '\0')
		faults_add(faults, ini->file, conf_line_of(ini, "enforce.auth.enabled"),
		    "enforce.auth.enabled needs enforce.auth.schemes");
	for (p = a->schemes; *p != '\0';) {
		size_t len;

		p += strspn(p, ", \t");
		len = strcspn(p, ", \t");
		if (len > 0 && !scheme_is_there(a, p, len))
			faults_add(faults, ini->file, conf_line_of(ini, key),
			    "%s: the scheme %.*s is not configured: nobody could get in", key,
			    (int)len, p);
		p += len;
	}
}

/* "[::1]" is the address ::1. */
static void
strip_brackets(char *address)
{
	size_t len = strlen(address);

	if (len < 2 || address[0] != '[' || address[len - 1] != ']')
		return;
	memmove(address, address + 1, len - 2);
	address[len - 2] = '\0';
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
	if (c->admin_url[0] != '/' || c->admin_url[1] == '\0' ||
	    c->admin_url[strlen(c->admin_url) - 1] == '/')
		faults_add(faults, ini->file, conf_line_of(ini, "admin.commandURL"),
		    "admin.commandURL=%s: it must begin with a / and not end with one",
		    c->admin_url);
	if (c->data_dir[0] == '\0')
		faults_add(faults, ini->file, 0, "dataDir is missing");
	if (c->client_port == ZOO_PORT_NONE && c->secure_port == ZOO_PORT_NONE)
		faults_add(
		    faults, ini->file, 0, "neither clientPort nor secureClientPort is there");
	if (c->min_session_ms > c->max_session_ms)
		faults_add(faults, ini->file, conf_line_of(ini, "minSessionTimeout"),
		    "minSessionTimeout (%u ms) is above maxSessionTimeout (%u ms)",
		    c->min_session_ms, c->max_session_ms);
	c->auth.x509 |= c->secure_port != ZOO_PORT_NONE || c->tls.unify;
	check_schemes(&c->auth, ini, faults);
	conf_check_tls(&c->tls, ini, "ssl.",
	    c->secure_port != ZOO_PORT_NONE ? "secureClientPort"
	    : c->tls.unify		    ? "client.portUnification"
					    : NULL,
	    faults);
	strip_brackets(c->client_address);
	strip_brackets(c->secure_address);
}

/* java.util.Properties keeps blanks behind a value, Apache's server does not. */
static void
trim(struct ini *ini, const struct ini_entry *e)
{
	char *value = ini->strings + (e->value - ini->strings);
	size_t len = strlen(value);

	while (len > 0 && isspace((unsigned char)value[len - 1]))
		value[--len] = '\0';
}

/* What Apache's server has before it reads a file. */
static void
begin(struct zoo_conf *c, const char *path)
{
	zoo_conf_default(c, "");
	c->client_port = ZOO_PORT_NONE;
	c->client_address[0] = '\0';
	c->min_session_ms = c->max_session_ms = 0;
	if (!str_copy(c->file, sizeof c->file, path))
		c->file[0] = '\0';
}

static void
apply_entries(struct zoo_conf *c, struct ini *ini, struct faults *faults)
{
	for (size_t i = 0; i < ini->count; i++) {
		trim(ini, &ini->entries[i]);
		apply_entry(c, ini, &ini->entries[i], faults);
	}
}

static void
apply_all(struct zoo_conf *c, struct ini *ini, bool files, struct faults *faults)
{
	apply_entries(c, ini, faults);
	conf_put_ensemble(c, ini, files, faults);
	check_whole(c, ini, faults);
}

bool
zoo_conf_load(struct zoo_conf *c, const char *path, struct faults *faults)
{
	struct ini ini = {0};
	size_t before = faults->count;

	begin(c, path);
	if (ini_read_file(&ini, INI_PROPERTIES, path, faults))
		apply_all(c, &ini, true, faults);
	ini_fini(&ini);
	return faults->count == before;
}

bool
zoo_conf_load_members(struct zoo_conf *c, const char *path, struct faults *faults)
{
	struct ini ini = {0};
	size_t before = faults->count;

	begin(c, path);
	if (ini_read_file(&ini, INI_PROPERTIES, path, faults)) {
		apply_entries(c, &ini, faults);
		conf_put_members(c, &ini, faults);
	}
	ini_fini(&ini);
	return faults->count == before;
}

bool
zoo_conf_parse(
    struct zoo_conf *c, const char *name, const char *text, size_t size, struct faults *faults)
{
	struct ini ini = {0};
	size_t before = faults->count;

	begin(c, name);
	if (ini_parse_text(&ini, INI_PROPERTIES, name, text, size, faults))
		apply_all(c, &ini, false, faults);
	ini_fini(&ini);
	return faults->count == before;
}

void
zoo_conf_adopt(struct zoo_conf *c, const struct zoo_conf *fresh)
{
	const struct setting *all;
	size_t count;

	if (!members_same(&c->ensemble.members, &fresh->ensemble.members))
		log_warn("%s: the servers have changed: in force after a restart", c->file);
	all = settings_table(&count);
	for (size_t i = 0; i < count; i++) {
		char *now = (char *)c + all[i].offset;
		const char *new = (const char *)fresh + all[i].offset;
		bool text = all[i].kind == SETTING_TEXT || all[i].kind == SETTING_LIST;
		size_t size = setting_size(&all[i]);

		if (size == 0 || (text ? strcmp(now, new) == 0 : memcmp(now, new, size) == 0))
			continue;
		if ((all[i].flags & SETTING_LIVE) != 0) {
			memcpy(now, new, size);
			log_info("%s: %s has changed: in force", c->file, all[i].key);
		} else
			log_warn(
			    "%s: %s has changed: in force after a restart", c->file, all[i].key);
	}
}

bool
zoo_conf_allows(const struct zoo_conf *c, const char word[4])
{
	const char *p = c->words;

	for (;;) {
		size_t len;

		p += strspn(p, " \t,");
		len = strcspn(p, ",");
		if (len == 0)
			return false;
		while (p[len - 1] == ' ' || p[len - 1] == '\t')
			len--;
		if ((len == 1 && *p == '*') || (len == 4 && memcmp(p, word, 4) == 0))
			return true;
		p += strcspn(p, ",");
	}
}
