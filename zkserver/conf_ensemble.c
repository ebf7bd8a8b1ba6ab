/* SPDX-License-Identifier: Apache-2.0 */
/* Of zoo.cfg what makes a server a member of an ensemble. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "zkserver/conf_priv.h"

#define LOG_FACTOR_PERMILLE 330
#define MYID_BYTES 64
#define PATH_SIZE (ZOO_PATH_MAX + 32)

void
conf_default_ensemble(struct zoo_ensemble *e)
{
	*e = (struct zoo_ensemble){
	    .sid = -1,
	    .standalone = true,
	    .connect_ms = 5000,
	    .bind_tries = 3,
	    .notification_min_ms = 200,
	    .notification_max_ms = 60000,
	    .tls = {.client_auth = 2,
		.check_names = true,
		.check_client_names = true,
		.handshake_ms = 5000},
	    .commit_log = 500,
	    .commit_log_kib = 4096,
	    .log_factor_permille = LOG_FACTOR_PERMILLE,
	    .snapshot_learners_max = 10,
	};
	members_init(&e->members);
	members_init(&e->proposed);
}

bool
zoo_conf_distributed(const struct zoo_conf *c)
{
	const struct members *m = &c->ensemble.members;

	return m->count > 0 && (!c->ensemble.standalone || members_voter_count(m) > 1);
}

void
conf_put_factor(struct zoo_ensemble *e, const struct ini *ini, const struct ini_entry *entry,
    struct faults *faults)
{
	char *end;
	double factor = strtod(entry->value, &end);

	if (end == entry->value || *end != '\0' || !isfinite(factor))
		faults_add(faults, ini->file, entry->line, "%s=%s: not a number, as 0.33",
		    entry->name, entry->value);
	else if (factor > 1)
		e->log_factor_permille = LOG_FACTOR_PERMILLE; /* as Apache's server does */
	else
		e->log_factor_permille = factor < 0 ? 0 : (uint32_t)(factor * 1000);
}

/* What was read, and where faults of the whole are told. */
struct reading {
	struct zoo_conf *c;
	struct faults *faults;
	const char *file;
	unsigned last_line;
	unsigned servers; /* lines, faulty ones too */
};

/* As zoo_conf_distributed(), with lines that cannot be read taken for participants. */
static bool
is_ensemble(const struct reading *r)
{
	return zoo_conf_distributed(r->c) || r->servers > (r->c->ensemble.standalone ? 1 : 0);
}

static void
put_member(struct reading *r, const struct ini *ini, const struct ini_entry *e, const char *key)
{
	struct fault f = {{0}};

	r->file = ini->file;
	r->last_line = e->line;
	r->servers += str_starts(key, "server.");
	if (members_put(&r->c->ensemble.members, key, e->value, &f) < 0)
		faults_add(r->faults, ini->file, e->line, "%s", f.text);
}

/* The members that stand in zoo.cfg itself. */
static void
put_static(struct reading *r, const struct ini *ini)
{
	for (size_t i = 0; i < ini->count; i++) {
		const struct ini_entry *e = &ini->entries[i];
		const char *key = conf_key_of(e);

		if (!members_key(key) || !strchr("0123456789-", key[strcspn(key, ".") + 1]))
			continue; /* server.realm and the like */
		if (r->c->ensemble.dynamic_file[0] != '\0')
			faults_add(r->faults, ini->file, e->line,
			    "%s: it belongs into the file that dynamicConfigFile names", e->name);
		else
			put_member(r, ini, e, key);
	}
}

/*
 * The version that a dynamic file's name ends with; without one it is 0, as long as nobody has
 * reconfigured the ensemble.
 */
static int64_t
version_of(const char *path)
{
	const char *dot = strrchr(path, '.');
	size_t len = dot != NULL ? strlen(dot + 1) : 0;

	if (len == 0 || len > 16 || strspn(dot + 1, "0123456789abcdefABCDEF") != len ||
	    (len == 16 && dot[1] > '7'))
		return 0;
	return (int64_t)strtoull(dot + 1, NULL, 16);
}

static void
put_dynamic(struct reading *r, const struct ini *zoo)
{
	const char *path = r->c->ensemble.dynamic_file;
	struct ini ini = {0};

	if (path[0] != '/')
		log_warn("%s:%u: dynamicConfigFile=%s is looked for where this server was started",
		    zoo->file, conf_line_of(zoo, "dynamicConfigFile"), path);
	ini_read_file(&ini, INI_PROPERTIES, path, r->faults);
	r->file = path;
	for (size_t i = 0; i < ini.count; i++) {
		const struct ini_entry *e = &ini.entries[i];

		if (strcmp(e->name, "version") == 0)
			faults_add(r->faults, path, e->line,
			    "a dynamic file has its version in its name only: remove this line");
		else
			put_member(r, &ini, e, e->name);
	}
	r->c->ensemble.members.version = version_of(path);
	ini_fini(&ini);
	r->file = path;
}

/* FILE.dynamic.next, which a reconfiguration has left that was under way. */
static void
read_proposed(struct reading *r)
{
	struct zoo_ensemble *e = &r->c->ensemble;
	char path[PATH_SIZE];
	struct fault f = {{0}};
	struct buf text;

	snprintf(path, sizeof path, "%s.dynamic.next", r->c->file);
	buf_init(&text, MEMBERS_TEXT_BYTES_MAX + 1);
	if (!fsutil_read(path, MEMBERS_TEXT_BYTES_MAX, &text)) {
		if (errno != ENOENT)
			faults_add(r->faults, path, 0, "it cannot be read: %s", strerror(errno));
	} else if (members_parse(&e->proposed, text.data, text.len, &f) < 0)
		faults_add(r->faults, path, 0, "%s", f.text);
	else
		e->has_proposed = e->proposed.version > e->members.version;
	buf_fini(&text);
}

/* The number in dataDir/myid, alone on the first line. */
static void
read_myid(struct reading *r)
{
	char path[PATH_SIZE], text[MYID_BYTES];
	size_t len;
	int64_t sid;

	snprintf(path, sizeof path, "%s/myid", r->c->data_dir);
	if (!fsutil_read_text(path, text, sizeof text)) {
		if (errno != ENOENT)
			faults_add(r->faults, path, 0, "it cannot be read: %s", strerror(errno));
		else if (is_ensemble(r))
			faults_add(r->faults, path, 0,
			    "it is missing: it holds this server's number, the N of its server.N");
		return;
	}
	len = strcspn(text, "\r\n");
	if (text[len + strspn(text + len, "\r\n")] == '\0')
		text[len] = '\0';
	if (str_to_i64(text, 0, MEMBERS_SID_MAX, &sid))
		r->c->ensemble.sid = (int32_t)sid;
	else
		faults_add(r->faults, path, 1,
		    "\"%.*s\": not a number from 0 to 255 without anything beside it", (int)len,
		    text);
}

static bool
is_wildcard(const char *host)
{
	return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
	       strcmp(host, "0:0:0:0:0:0:0:0") == 0;
}

/* The member's own client address, which zoo.cfg may repeat. */
static void
put_client_address(struct reading *r, const struct ini *ini, const struct member *own)
{
	struct zoo_conf *c = r->c;
	unsigned line = conf_line_of(ini, "clientPort");

	if (own->client_port == 0)
		return;
	if (c->client_port != ZOO_PORT_NONE && c->client_port != own->client_port)
		faults_add(r->faults, ini->file, line,
		    "clientPort=%d: server.%d has client port %u: remove the one or the other",
		    c->client_port, c->ensemble.sid, own->client_port);
	else if (!is_wildcard(c->client_address) && strchr(c->client_address, ':') == NULL &&
		 strcasecmp(c->client_address, own->client_host) != 0)
		faults_add(r->faults, ini->file, conf_line_of(ini, "clientPortAddress"),
		    "clientPortAddress=%s: server.%d has %s for clients: remove the one or the "
		    "other",
		    c->client_address, c->ensemble.sid, own->client_host);
	c->client_port = own->client_port;
	str_copy(c->client_address, sizeof c->client_address,
	    is_wildcard(own->client_host) ? "" : own->client_host);
}

/* A follower listens there, on the same host as at its other ports. */
static void
check_master_port(struct reading *r, const struct ini *ini, const struct member *own)
{
	const struct zoo_ensemble *e = &r->c->ensemble;

	if (e->observer_master_port != 0 && (e->observer_master_port == own->quorum_port ||
						e->observer_master_port == own->election_port))
		faults_add(r->faults, ini->file, conf_line_of(ini, "observerMasterPort"),
		    "observerMasterPort is %u, which server.%d has for other servers already",
		    e->observer_master_port, e->sid);
}

static void
check_own(struct reading *r, const struct ini *ini)
{
	struct zoo_ensemble *e = &r->c->ensemble;
	const struct member *own = members_find(&e->members, e->sid);

	if (e->sid < 0)
		return;
	if (own == NULL) {
		if (zoo_conf_distributed(r->c))
			faults_add(r->faults, r->file, r->last_line,
			    "server.%d is missing, which this server is by %s/myid", e->sid,
			    r->c->data_dir);
		return;
	}
	put_client_address(r, ini, own);
	check_master_port(r, ini, own);
	if ((e->peer_type == 1) != own->observer && conf_line_of(ini, "peerType") > 0)
		log_warn("%s: server.%d is %s there, and that prevails over peerType", r->file,
		    e->sid, own->observer ? "an observer" : "a participant");
}

/* Two at one place, told where the second one stands. */
static void
check_addresses(struct reading *r, const struct ini *ini)
{
	struct fault f = {{0}};
	int64_t sid = members_address_clash(&r->c->ensemble.members, &f);
	char key[32];
	unsigned line;

	if (sid < 0)
		return;
	snprintf(key, sizeof key, "server.%d", (int)sid);
	line = conf_line_of(ini, key);
	faults_add(r->faults, r->file, line > 0 ? line : r->last_line, "%s", f.text);
}

/* What the servers' lines are as a whole; false: nothing that could be looked at further. */
static bool
check_members(struct reading *r, const struct ini *ini)
{
	struct members *m = &r->c->ensemble.members;
	struct fault f = {{0}};
	const char *warning;

	if (members_finish(m, &f) < 0) {
		faults_add(r->faults, r->file, r->last_line, "%s", f.text);
		return false;
	}
	check_addresses(r, ini);
	if (zoo_conf_distributed(r->c)) {
		if ((warning = members_warning(m)) != NULL)
			log_warn("%s:%u: %s", r->file, r->last_line, warning);
	} else if (m->count > 1)
		faults_add(r->faults, r->file, r->last_line,
		    "observers need an ensemble, which one participant with standaloneEnabled is "
		    "not");
	else
		log_info("%s:%u: server.%d is the only server: it serves alone", r->file,
		    r->last_line, (int)m->list[0].sid);
	return true;
}

/* What an ensemble cannot do without. */
static void
check_settings(struct reading *r, const struct ini *ini)
{
	struct zoo_ensemble *e = &r->c->ensemble;

	if (e->init_limit == 0)
		faults_add(r->faults, ini->file, 0,
		    "initLimit is missing: ticks that a member may take to follow a new leader");
	if (e->sync_limit == 0)
		faults_add(r->faults, ini->file, 0,
		    "syncLimit is missing: ticks that a member may take to answer");
	if (e->notification_min_ms > e->notification_max_ms)
		faults_add(r->faults, ini->file,
		    conf_line_of(ini, "fastleader.minNotificationInterval"),
		    "fastleader.minNotificationInterval (%u ms) is above "
		    "fastleader.maxNotificationInterval (%u ms)",
		    e->notification_min_ms, e->notification_max_ms);
	conf_check_tls(&e->tls, ini, "ssl.quorum.",
	    e->encrypted   ? "sslQuorum"
	    : e->tls.unify ? "portUnification"
			   : NULL,
	    r->faults);
}

void
conf_put_ensemble(struct zoo_conf *c, const struct ini *ini, bool files, struct faults *faults)
{
	struct reading r = {.c = c, .faults = faults, .file = ini->file};
	size_t before = faults->count;
	bool sound;

	put_static(&r, ini);
	if (files && c->ensemble.dynamic_file[0] != '\0')
		put_dynamic(&r, ini);
	else if (r.last_line == 0)
		return;
	sound = faults->count == before && check_members(&r, ini);
	if (files && c->data_dir[0] != '\0')
		read_myid(&r);
	if (files)
		read_proposed(&r);
	if (sound)
		check_own(&r, ini);
	if (is_ensemble(&r))
		check_settings(&r, ini);
}

void
conf_put_members(struct zoo_conf *c, const struct ini *ini, struct faults *faults)
{
	struct reading r = {.c = c, .faults = faults, .file = ini->file};
	size_t before = faults->count;

	put_static(&r, ini);
	if (c->ensemble.dynamic_file[0] != '\0')
		put_dynamic(&r, ini);
	if (r.last_line > 0 && faults->count == before)
		check_members(&r, ini);
}
