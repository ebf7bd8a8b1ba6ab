/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/admin.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config.h"
#include "zkserver/client_conn.h"
#include "zkserver/client_port.h"

/* Tools compare what stands before the first '-'; the protocol is that of this release. */
#define VERSION_TEXT "3.9.5-corral-" PACKAGE_VERSION ", built on 1970-01-01 00:00 UTC"

typedef void word_fn(const struct admin *a, struct buf *out);

/* A double as Java prints it, to four decimals. */
static void
put_average(struct buf *out, uint64_t sum, uint64_t count)
{
	char text[32];
	size_t len;

	snprintf(text, sizeof text, "%.4f", count > 0 ? (double)sum / (double)count : 0.0);
	len = strlen(text);
	while (text[len - 1] == '0' && text[len - 2] != '.')
		text[--len] = '\0';
	buf_append(out, text, len);
}

static void
word_ruok(const struct admin *a, struct buf *out)
{
	(void)a;
	buf_printf(out, "imok");
}

static void
word_isro(const struct admin *a, struct buf *out)
{
	(void)a;
	buf_printf(out, "rw");
}

static const char *
op_name(int32_t op)
{
	static const struct {
		int32_t op;
		const char *name;
	} names[] = {
	    {ZK_OP_PING, "PING"},
	    {ZK_OP_CREATE_SESSION, "SESS"},
	    {ZK_OP_CREATE, "CREA"},
	    {ZK_OP_CREATE2, "CREA"},
	    {ZK_OP_DELETE, "DELE"},
	    {ZK_OP_EXISTS, "EXIS"},
	    {ZK_OP_GET_DATA, "GETD"},
	    {ZK_OP_SET_DATA, "SETD"},
	    {ZK_OP_GET_ACL, "GETA"},
	    {ZK_OP_SET_ACL, "SETA"},
	    {ZK_OP_GET_CHILDREN, "GETC"},
	    {ZK_OP_GET_CHILDREN2, "GETC"},
	    {ZK_OP_SYNC, "SYNC"},
	    {ZK_OP_CHECK, "CHEC"},
	    {ZK_OP_MULTI, "MULT"},
	    {ZK_OP_SET_WATCHES, "SETW"},
	    {ZK_OP_CLOSE_SESSION, "CLOS"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (names[i].op == op)
			return names[i].name;
	}
	return "NA";
}

static void
put_conn(const struct admin *a, const struct server_conn *c, bool full, struct buf *out)
{
	const struct client_conn *cc = CONTAINER_OF(c, struct client_conn, core);

	buf_printf(out, " /%s[%d](queued=%" PRIu32 ",recved=%" PRIu64 ",sent=%" PRIu64,
	    client_conn_address(cc), client_conn_interest(cc), c->queue_count, c->received,
	    c->sent);
	if (full && c->session != NULL) {
		buf_printf(out,
		    ",sid=0x%" PRIx64 ",lop=%s,est=%" PRIu64 ",to=%" PRId32 ",lcxid=0x%" PRIx32,
		    (uint64_t)c->session_id, op_name(c->last_op),
		    (uint64_t)a->server->wall_ms - (a->server->now_ms - c->since_ms), c->timeout_ms,
		    (uint32_t)c->last_xid);
		buf_printf(out,
		    ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64
		    ",avglat=%" PRIu64 ",maxlat=%" PRIu64,
		    (uint64_t)c->last_zxid, c->answered_ms, c->latency_last_ms, c->latency_min_ms,
		    c->sent > 0 ? c->latency_sum_ms / c->sent : 0, c->latency_max_ms);
	}
	buf_printf(out, ")\n");
}

static void
put_conns(const struct admin *a, bool full, struct buf *out)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->server->conns)
		put_conn(a, CONTAINER_OF(it, struct server_conn, link), full, out);
	buf_printf(out, "\n");
}

static void
put_figures(const struct admin *a, struct buf *out)
{
	const struct server *s = a->server;

	buf_printf(out, "Latency min/avg/max: %" PRIu64 "/", s->stats.latency_min_ms);
	put_average(out, s->stats.latency_sum_ms, s->stats.latency_count);
	buf_printf(out,
	    "/%" PRIu64 "\nReceived: %" PRIu64 "\nSent: %" PRIu64
	    "\nConnections: %zu\nOutstanding: %zu\n",
	    s->stats.latency_max_ms, s->stats.received, s->stats.sent, s->conn_count,
	    s->pending_count);
	buf_printf(out, "Zxid: 0x%" PRIx64 "\nMode: standalone\nNode count: %" PRIu64 "\n",
	    (uint64_t)s->db->last_zxid, s->db->tree.node_count);
}

static void
word_srvr(const struct admin *a, struct buf *out)
{
	buf_printf(out, "Zookeeper version: %s\n", VERSION_TEXT);
	put_figures(a, out);
}

static void
word_stat(const struct admin *a, struct buf *out)
{
	buf_printf(out, "Zookeeper version: %s\nClients:\n", VERSION_TEXT);
	put_conns(a, false, out);
	put_figures(a, out);
}

static void
word_cons(const struct admin *a, struct buf *out)
{
	put_conns(a, true, out);
}

static void
word_srst(const struct admin *a, struct buf *out)
{
	a->server->stats = (struct server_stats){0};
	buf_printf(out, "Server stats reset.\n");
}

/* Bytes of the files in a directory's version-2. */
static uint64_t
dir_bytes(const char *dir)
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

static void
word_dirs(const struct admin *a, struct buf *out)
{
	buf_printf(out, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
	    dir_bytes(a->conf->data_dir), dir_bytes(a->conf->data_log_dir));
}

static void
word_conf(const struct admin *a, struct buf *out)
{
	const struct zoo_conf *c = a->conf;

	buf_printf(out,
	    "clientPort=%d\nsecureClientPort=%d\ndataDir=%s/version-2\ndataDirSize=%" PRIu64 "\n",
	    client_port_number(a->clients, false), client_port_number(a->clients, true),
	    c->data_dir, dir_bytes(c->data_dir));
	buf_printf(out,
	    "dataLogDir=%s/version-2\ndataLogSize=%" PRIu64 "\ntickTime=%u\nmaxClientCnxns=%u\n",
	    c->data_log_dir, dir_bytes(c->data_log_dir), c->tick_ms, c->max_client_cnxns);
	buf_printf(out,
	    "minSessionTimeout=%u\nmaxSessionTimeout=%u\nclientPortListenBacklog=-1\nserverId=0\n",
	    c->min_session_ms, c->max_session_ms);
}

static void
word_envi(const struct admin *a, struct buf *out)
{
	struct utsname u;

	(void)a;
	buf_printf(out, "Environment:\nzookeeper.version=%s\n", VERSION_TEXT);
	if (uname(&u) == 0)
		buf_printf(out, "host.name=%s\nos.name=%s\nos.arch=%s\nos.version=%s\n", u.nodename,
		    u.sysname, u.machine, u.release);
}

static const struct tree_node *
owned_node(const struct tree *t, struct list *of_owner)
{
	return tree_by_id(t, CONTAINER_OF(of_owner, struct tree_owned, of_owner)->id);
}

static void
word_dump(const struct admin *a, struct buf *out)
{
	const struct db *db = a->server->db;
	const struct session *s;
	struct list *at = NULL, *it, *nx, *jt, *jx;

	buf_printf(
	    out, "SessionTracker dump:\nGlobal Sessions(%zu):\n", session_count(&db->sessions));
	while ((s = session_next(&db->sessions, &at)) != NULL)
		buf_printf(out, "0x%" PRIx64 "\t%" PRId32 "ms\n", (uint64_t)s->id, s->timeout_ms);
	buf_printf(
	    out, "ephemeral nodes dump:\nSessions with Ephemerals (%zu):\n", db->tree.owners.count);
	HMAP_EACH(it, nx, &db->tree.owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);

		buf_printf(out, "0x%" PRIx64 ":\n", (uint64_t)o->session);
		LIST_EACH(jt, jx, &o->nodes) {
			buf_printf(out, "\t");
			tree_node_path(&db->tree, owned_node(&db->tree, jt), out);
			buf_printf(out, "\n");
		}
	}
	buf_printf(out, "Connections dump:\n");
	put_conns(a, false, out);
}

static void
word_wchs(const struct admin *a, struct buf *out)
{
	const struct watch_table *w = &a->server->watches;
	struct list *it, *nx;
	size_t watching = 0;

	LIST_EACH(it, nx, &a->server->conns)
		watching += CONTAINER_OF(it, struct server_conn, link)->watcher.count > 0;
	buf_printf(out, "%zu connections watching %zu paths\nTotal watches:%zu\n", watching,
	    w->paths[WATCH_DATA].count, w->count[WATCH_DATA]);
}

static void
put_descriptors(struct buf *out)
{
	struct rlimit limit;
	uint64_t open_count = 0;
	DIR *d = opendir("/proc/self/fd");

	while (d != NULL && readdir(d) != NULL)
		open_count++;
	if (d != NULL)
		closedir(d);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	buf_printf(out,
	    "zk_open_file_descriptor_count\t%" PRIu64 "\nzk_max_file_descriptor_count\t%llu\n",
	    open_count > 3 ? open_count - 3 : 0, /* ".", ".." and the directory itself */
	    (unsigned long long)limit.rlim_cur);
}

static void
word_mntr(const struct admin *a, struct buf *out)
{
	const struct server *s = a->server;
	const struct tree *t = &s->db->tree;

	buf_printf(out, "zk_version\t%s\nzk_server_state\tstandalone\n", VERSION_TEXT);
	buf_printf(out, "zk_uptime\t%" PRIu64 "\nzk_avg_latency\t", s->now_ms - s->started_ms);
	put_average(out, s->stats.latency_sum_ms, s->stats.latency_count);
	buf_printf(out, "\nzk_min_latency\t%" PRIu64 "\nzk_max_latency\t%" PRIu64 "\n",
	    s->stats.latency_min_ms, s->stats.latency_max_ms);
	buf_printf(out, "zk_packets_received\t%" PRIu64 "\nzk_packets_sent\t%" PRIu64 "\n",
	    s->stats.received, s->stats.sent);
	buf_printf(out, "zk_num_alive_connections\t%zu\nzk_outstanding_requests\t%zu\n",
	    s->conn_count, s->pending_count);
	buf_printf(out,
	    "zk_znode_count\t%" PRIu64 "\nzk_watch_count\t%zu\nzk_ephemerals_count\t%" PRIu64 "\n",
	    t->node_count, s->watches.count[WATCH_DATA] + s->watches.count[WATCH_CHILD],
	    t->ephemeral_count);
	buf_printf(out,
	    "zk_approximate_data_size\t%" PRIu64
	    "\nzk_global_sessions\t%zu\nzk_local_sessions\t0\n",
	    t->data_bytes, session_count(&s->db->sessions));
	buf_printf(out, "zk_digest_mismatches_count\t%" PRIu64 "\nzk_auth_failed_count\t%" PRIu64
			"\nzk_connection_rejected\t%" PRIu64 "\n",
	    s->db->digest_mismatches, s->stats.auth_failed, s->stats.connections_rejected);
	put_descriptors(out);
}

static const struct {
	char name[5];
	word_fn *fn;
} WORDS[] = {
    {"ruok", word_ruok},
    {"srvr", word_srvr},
    {"stat", word_stat},
    {"mntr", word_mntr},
    {"isro", word_isro},
    {"conf", word_conf},
    {"cons", word_cons},
    {"dump", word_dump},
    {"envi", word_envi},
    {"dirs", word_dirs},
    {"srst", word_srst},
    {"wchs", word_wchs},
    /* Known to Apache's server and not answered by this one: said so, as a word that is not
       allowed. */
    {"crst", NULL},
    {"wchc", NULL},
    {"wchp", NULL},
    {"gtmk", NULL},
    {"stmk", NULL},
    {"hash", NULL},
};
#define WORD_COUNT (sizeof WORDS / sizeof WORDS[0])

static size_t
word_find(const uint8_t bytes[4])
{
	size_t i = 0;

	while (i < WORD_COUNT && memcmp(WORDS[i].name, bytes, 4) != 0)
		i++;
	return i;
}

bool
admin_is_word(const uint8_t bytes[4])
{
	return word_find(bytes) < WORD_COUNT;
}

void
admin_answer(const struct admin *a, const uint8_t word[4], struct buf *out)
{
	size_t i = word_find(word);

	if (WORDS[i].fn == NULL || !zoo_conf_allows(a->conf, WORDS[i].name))
		buf_printf(
		    out, "%s is not executed because it is not in the whitelist.\n", WORDS[i].name);
	else
		WORDS[i].fn(a, out);
}
