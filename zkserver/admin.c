/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/admin.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/sys/fsutil.h"

#define LARGE_COUNT 1000 /* more lines than this are made beside the loop */
#define NOT_SERVING "This ZooKeeper instance is not currently serving requests"
#define CONF_BYTES_MAX ((size_t)1 << 20)

/* In order of name; a telnet that is closed sends the last word. */
static const struct admin_command COMMANDS[] = {
    {"conf", "configuration", "conf config", ADMIN_SMALL, text_conf, json_conf, 0},
    {"crst", "connection_stat_reset", "crst", ADMIN_SMALL, text_crst, json_crst, 0},
    {"cons", "connections", "cons", ADMIN_CONNS, text_cons, json_cons, 0},
    {"dirs", "dirs", "", ADMIN_SMALL, text_dirs, json_dirs, 0},
    {"dump", "dump", "", ADMIN_SESSIONS, text_dump, json_dump, 0},
    {"envi", "environment", "env envi", ADMIN_SMALL, text_envi, json_envi,
	ADMIN_TEXT_ALWAYS | ADMIN_JSON_ALWAYS},
    {"gtmk", "get_trace_mask", "gtmk", ADMIN_SMALL, text_gtmk, json_gtmk,
	ADMIN_TEXT_ALWAYS | ADMIN_JSON_ALWAYS},
    {"hash", "hash", "", ADMIN_SMALL, text_hash, json_hash, 0},
    {NULL, "initial_configuration", "icfg", ADMIN_SMALL, NULL, json_icfg, 0},
    {"isro", "is_read_only", "isro", ADMIN_SMALL, text_isro, json_isro, ADMIN_TEXT_ALWAYS},
    {NULL, "last_snapshot", "lsnp", ADMIN_SMALL, NULL, json_lsnp, 0},
    {NULL, "leader", "lead", ADMIN_SMALL, NULL, json_lead, 0},
    {"mntr", "monitor", "mntr", ADMIN_SMALL, text_mntr, json_mntr, 0},
    {NULL, "observer_connection_stat_reset", "orst", ADMIN_SMALL, NULL, json_nothing, 0},
    {NULL, "observers", "obsr", ADMIN_SMALL, NULL, json_obsr, 0},
    {"ruok", "ruok", "", ADMIN_SMALL, text_ruok, json_nothing, ADMIN_TEXT_ALWAYS},
    {"srvr", "server_stats", "srvr", ADMIN_SMALL, text_srvr, json_srvr, 0},
    {"stmk", "set_trace_mask", "stmk", ADMIN_SMALL, text_stmk, json_stmk,
	ADMIN_TEXT_ALWAYS | ADMIN_JSON_ALWAYS},
    {"srst", "stat_reset", "srst", ADMIN_SMALL, text_srst, json_srst, 0},
    {"stat", "stats", "stat", ADMIN_CONNS, text_stat, json_stat, 0},
    {NULL, "system_properties", "sysp", ADMIN_SMALL, NULL, json_sysp, ADMIN_JSON_ALWAYS},
    {NULL, "voting_view", "", ADMIN_SMALL, NULL, json_voting_view, 0},
    {"wchs", "watch_summary", "wchs", ADMIN_WATCHES, text_wchs, json_wchs, 0},
    {"wchc", "watches", "wchc", ADMIN_WATCHES, text_wchc, json_wchc, 0},
    {"wchp", "watches_by_path", "wchp", ADMIN_WATCHES, text_wchp, json_wchp, 0},
    {NULL, "zabstate", "", ADMIN_SMALL, NULL, json_zabstate, ADMIN_JSON_ALWAYS},
    {"role", NULL, "", ADMIN_SMALL, text_role, NULL, ADMIN_TEXT_ALWAYS}, /* ours alone */
    {"\xff\xf4\xff\xfd", NULL, "", ADMIN_SMALL, NULL, NULL, 0},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

/* The end of the line at p, and of those that go on with it. */
static char *
line_end(char *p)
{
	for (;;) {
		p += strcspn(p, "\n");
		if (*p == '\0' || p[-1] != '\\')
			return p;
		p++;
	}
}

/* "KEY=secret" becomes "KEY=***" for keys that speak of a password or of a digest. */
static void
hide_secrets(char *text)
{
	char *line = text, *end, *value;

	for (; *line != '\0'; line = end + (*end != '\0')) {
		value = line + strcspn(line, "=:\n");
		end = *line == '\n' ? line : line_end(line);
		if (value >= end || line[0] == '#')
			continue;
		*value = '\0';
		if (strcasestr(line, "passw") != NULL || strcasestr(line, "digest") != NULL) {
			size_t stars = strnlen("***", (size_t)(end - value - 1));

			memcpy(value + 1, "***", stars);
			memmove(value + 1 + stars, end, strlen(end) + 1);
			end = value + 1 + stars;
		}
		*value = '=';
	}
}

void
admin_init(struct admin *a, const struct zoo_conf *conf, struct server *server)
{
	struct buf b;

	*a = (struct admin){.conf = conf, .server = server, .trace_mask = ADMIN_TRACE_MASK_DEFAULT};
	if (conf->file[0] == '\0')
		return;
	buf_init(&b, CONF_BYTES_MAX + 1);
	if (fsutil_read(conf->file, CONF_BYTES_MAX, &b) && buf_text(&b) != NULL &&
	    (a->conf_text = strdup((const char *)b.data)) != NULL)
		hide_secrets(a->conf_text);
	buf_fini(&b);
}

void
admin_fini(struct admin *a)
{
	free(a->conf_text);
}

const struct admin_command *
admin_find_word(const uint8_t bytes[ADMIN_WORD_BYTES])
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (COMMANDS[i].word != NULL &&
		    memcmp(COMMANDS[i].word, bytes, ADMIN_WORD_BYTES) == 0)
			return &COMMANDS[i];
	}
	return NULL;
}

static bool
is_among(const char *words, const char *word)
{
	size_t len = strlen(word);

	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (n == len && memcmp(words, word, n) == 0)
			return true;
		words += n;
		words += strspn(words, " ");
	}
	return false;
}

const struct admin_command *
admin_find_name(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct admin_command *c = &COMMANDS[i];

		if (c->name != NULL && (strcmp(c->name, name) == 0 || is_among(c->aliases, name)))
			return c;
	}
	return NULL;
}

const struct admin_command *
admin_next_name(const struct admin_command *before)
{
	const struct admin_command *c = before == NULL ? COMMANDS : before + 1;

	return c < COMMANDS + COMMAND_COUNT && c->name != NULL ? c : NULL;
}

size_t
admin_word_bytes(const struct admin_command *c)
{
	return c->text == text_stmk ? ADMIN_WORD_BYTES_MAX : ADMIN_WORD_BYTES;
}

/* zkServer.sh asks for srvr, `zkserver status` for both: they cannot be taken off. */
bool
admin_allows(const struct admin *a, const struct admin_command *c)
{
	return c->text == text_srvr || c->text == text_role || zoo_conf_allows(a->conf, c->word);
}

bool
admin_is_large(const struct admin *a, const struct admin_command *c)
{
	const struct server *s = a->server;
	size_t lines = 0;

	switch (c->size) {
	case ADMIN_SMALL:
		break;
	case ADMIN_SESSIONS:
		lines =
		    s->conn_count + session_count(&s->db->sessions) + s->db->tree.ephemeral_count;
		break;
	case ADMIN_CONNS:
		lines = s->conn_count;
		break;
	case ADMIN_WATCHES:
		lines =
		    s->conn_count + s->watches.count[WATCH_DATA] + s->watches.count[WATCH_CHILD];
		break;
	}
	return lines > LARGE_COUNT;
}

static bool
answers(const struct admin *a, const struct admin_command *c, enum admin_always form)
{
	return server_serves(a->server) || (c->always & form) != 0;
}

void
admin_put_text(const struct admin_call *q, const struct admin_command *c, struct report *r)
{
	if (c->text == NULL)
		return; /* telnet's farewell */
	if (admin_allows(q->admin, c) && !answers(q->admin, c, ADMIN_TEXT_ALWAYS))
		report_printf(r, "%s\n", NOT_SERVING);
	else if (admin_allows(q->admin, c))
		c->text(q, r);
	else
		report_printf(
		    r, "%s is not executed because it is not in the whitelist.\n", c->word);
}

void
admin_put_json(const struct admin_call *q, const struct admin_command *c, struct report *r)
{
	struct json j;
	bool ok;

	json_init(&j, r);
	json_object(&j);
	if ((ok = answers(q->admin, c, ADMIN_JSON_ALWAYS)))
		ok = c->json(q, &j);
	else
		json_put_text(&j, "error", NOT_SERVING);
	json_put_text(&j, "command", c->name);
	if (ok) {
		json_key(&j, "error");
		json_null(&j);
	}
	json_close(&j);
}

void
admin_put_json_error(const char *name, const char *error, struct report *r)
{
	struct json j;

	json_init(&j, r);
	json_object(&j);
	json_put_text(&j, "command", name);
	json_put_text(&j, "error", error);
	json_close(&j);
}

uint64_t
admin_node_count(const struct server *s)
{
	return s->db->tree.node_count + 1;
}

uint64_t
admin_data_bytes(const struct server *s)
{
	return s->db->tree.data_bytes + 1;
}

int64_t
admin_proposal_bytes(uint64_t bytes)
{
	return bytes > 0 ? (int64_t)bytes : -1;
}

uint64_t
admin_dir_bytes(const char *dir)
{
	char path[ZOO_PATH_MAX + 16];
	uint64_t sum = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof path, "%s/version-2", dir);
	if ((d = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	closedir(d);
	return sum;
}

void
admin_reset_stats(struct admin *a)
{
	struct server_stats *s = &a->server->stats;

	s->received = s->sent = 0;
	s->latency_min_ms = s->latency_max_ms = s->latency_sum_ms = s->latency_count = 0;
	if (a->conf->metrics_provider == ZOO_METRICS_PROMETHEUS) {
		zk_metrics_reset_responses(&a->server->metrics);
		return;
	}
	s->connections_rejected = 0;
	zk_metrics_reset(&a->server->metrics);
}

void
admin_reset_conns(struct admin *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->server->conns) {
		struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);

		c->received = c->sent = c->answered_ms = 0;
		c->last_xid = c->last_op = -1;
		c->last_zxid = -1;
		c->latency_last_ms = c->latency_min_ms = c->latency_max_ms = 0;
		c->latency_sum_ms = 0;
	}
}

static void
count_one(void *arg, struct jute_bytes path)
{
	(void)path;
	(*(size_t *)arg)++;
}

/* Of the data watches alone, as Apache's server does. */
void
admin_count_watches(const struct admin *a, size_t *conns, size_t *paths, size_t *watches)
{
	const struct watch_table *w = &a->server->watches;
	struct list *it, *nx;
	size_t n;

	*conns = 0;
	LIST_EACH(it, nx, &a->server->conns) {
		n = 0;
		watch_each_of(&CONTAINER_OF(it, struct server_conn, link)->watcher, WATCH_DATA,
		    count_one, &n);
		*conns += n > 0;
	}
	*paths = w->paths[WATCH_DATA].count;
	*watches = w->count[WATCH_DATA];
}

const char *
admin_op_name(int32_t op)
{
	static const struct {
		int32_t op;
		const char *name;
	} names[] = {
	    {ZK_OP_PING, "PING"},
	    {ZK_OP_CREATE_SESSION, "SESS"},
	    {ZK_OP_CLOSE_SESSION, "CLOS"},
	    {ZK_OP_CREATE, "CREA"},
	    {ZK_OP_CREATE2, "CREA"},
	    {ZK_OP_CREATE_CONTAINER, "CREA"},
	    {ZK_OP_CREATE_TTL, "CREA"},
	    {ZK_OP_DELETE, "DELE"},
	    {ZK_OP_EXISTS, "EXIS"},
	    {ZK_OP_GET_DATA, "GETD"},
	    {ZK_OP_SET_DATA, "SETD"},
	    {ZK_OP_GET_ACL, "GETA"},
	    {ZK_OP_SET_ACL, "SETA"},
	    {ZK_OP_GET_CHILDREN, "GETC"},
	    {ZK_OP_GET_CHILDREN2, "GETC"},
	    {ZK_OP_GET_ALL_CHILDREN_NUMBER, "GETACN"},
	    {ZK_OP_GET_EPHEMERALS, "GETE"},
	    {ZK_OP_SYNC, "SYNC"},
	    {ZK_OP_CHECK, "CHEC"},
	    {ZK_OP_MULTI, "MULT"},
	    {ZK_OP_MULTI_READ, "MLTR"},
	    {ZK_OP_RECONFIG, "RECO"},
	    {ZK_OP_SET_WATCHES, "SETW"},
	    {ZK_OP_SET_WATCHES2, "STW2"},
	    {ZK_OP_ADD_WATCH, "ADDW"},
	    {ZK_OP_CHECK_WATCHES, "CHKW"},
	    {ZK_OP_REMOVE_WATCHES, "REMW"},
	    {ZK_OP_WHO_AM_I, "HOMI"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (names[i].op == op)
			return names[i].name;
	}
	return "NA";
}

int64_t
admin_established_ms(const struct admin *a, const struct server_conn *c)
{
	return a->server->wall_ms - (int64_t)(a->server->now_ms - c->since_ms);
}
