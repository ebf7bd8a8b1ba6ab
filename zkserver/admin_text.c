/* SPDX-License-Identifier: Apache-2.0 */
/* The texts behind the four-letter words. */
#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "zkserver/admin.h"
#include "zkserver/admin_env.h"
#include "zkserver/client_conn.h"
#include "zkserver/client_port.h"
#include "zkserver/expiry.h"
#include "zkserver/figures.h"

void
text_ruok(const struct admin_call *q, struct report *r)
{
	(void)q;
	report_printf(r, "imok");
}

void
text_isro(const struct admin_call *q, struct report *r)
{
	const struct server *s = q->admin->server;

	report_printf(r, s->role == SERVER_READ_ONLY ? "ro" : server_serves(s) ? "rw" : "null");
}

static void
put_conn(const struct admin *a, const struct server_conn *c, bool full, struct report *r)
{
	const struct client_conn *cc = CONTAINER_OF(c, struct client_conn, core);

	report_printf(r, " /%s[%d](queued=%" PRIu32 ",recved=%" PRIu64 ",sent=%" PRIu64,
	    client_conn_address(cc), client_conn_interest(cc), c->queue_count, c->received,
	    c->sent);
	if (full && c->session != NULL) {
		report_printf(r,
		    ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%" PRId32 ",lcxid=0x%" PRIx32,
		    (uint64_t)c->session_id, admin_op_name(c->last_op), admin_established_ms(a, c),
		    c->timeout_ms, (uint32_t)c->last_xid);
		report_printf(r,
		    ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64
		    ",avglat=%" PRIu64 ",maxlat=%" PRIu64,
		    (uint64_t)c->last_zxid, c->answered_ms, c->latency_last_ms, c->latency_min_ms,
		    c->sent > 0 ? c->latency_sum_ms / c->sent : 0, c->latency_max_ms);
	}
	report_printf(r, ")\n");
}

static void
put_conns(const struct admin *a, bool full, struct report *r)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->server->conns)
		put_conn(a, CONTAINER_OF(it, struct server_conn, link), full, r);
	report_printf(r, "\n");
}

static void
put_figures(const struct admin *a, struct report *r)
{
	const struct server *s = a->server;

	report_printf(r, "Latency min/avg/max: %" PRIu64 "/", s->stats.latency_min_ms);
	report_average(r, s->stats.latency_sum_ms, s->stats.latency_count);
	report_printf(r,
	    "/%" PRIu64 "\nReceived: %" PRIu64 "\nSent: %" PRIu64
	    "\nConnections: %zu\nOutstanding: %zu\n",
	    s->stats.latency_max_ms, s->stats.received, s->stats.sent, s->conn_count,
	    server_outstanding(s));
	report_printf(r, "Zxid: 0x%" PRIx64 "\nMode: %s\nNode count: %" PRIu64 "\n",
	    (uint64_t)s->db->last_zxid, server_mode(s), admin_node_count(s));
	if (s->role == SERVER_LEADER)
		report_printf(r,
		    "Proposal sizes last/min/max: %" PRId64 "/%" PRId64 "/%" PRId64 "\n",
		    admin_proposal_bytes(s->stats.proposal_last),
		    admin_proposal_bytes(s->stats.proposal_min),
		    admin_proposal_bytes(s->stats.proposal_max));
}

static void
put_version(const struct admin *a, struct report *r)
{
	report_printf(r, "Zookeeper version: %s\n", ADMIN_VERSION_TEXT);
	if (a->server->role == SERVER_READ_ONLY)
		report_printf(r, "READ-ONLY mode; serving only read-only clients\n");
}

void
text_srvr(const struct admin_call *q, struct report *r)
{
	put_version(q->admin, r);
	put_figures(q->admin, r);
}

void
text_stat(const struct admin_call *q, struct report *r)
{
	put_version(q->admin, r);
	report_printf(r, "Clients:\n");
	put_conns(q->admin, false, r);
	put_figures(q->admin, r);
}

void
text_cons(const struct admin_call *q, struct report *r)
{
	put_conns(q->admin, true, r);
}

void
text_crst(const struct admin_call *q, struct report *r)
{
	admin_reset_conns(q->admin);
	report_printf(r, "Connection stats reset.\n");
}

void
text_srst(const struct admin_call *q, struct report *r)
{
	admin_reset_stats(q->admin);
	report_printf(r, "Server stats reset.\n");
}

void
text_dirs(const struct admin_call *q, struct report *r)
{
	report_printf(r, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
	    admin_dir_bytes(q->admin->conf->data_dir),
	    admin_dir_bytes(q->admin->conf->data_log_dir));
}

void
text_conf(const struct admin_call *q, struct report *r)
{
	const struct zoo_conf *c = q->admin->conf;

	report_printf(r,
	    "clientPort=%d\nsecureClientPort=%d\ndataDir=%s/version-2\ndataDirSize=%" PRIu64 "\n",
	    client_port_number(q->admin->clients, false),
	    client_port_number(q->admin->clients, true), c->data_dir, admin_dir_bytes(c->data_dir));
	report_printf(r,
	    "dataLogDir=%s/version-2\ndataLogSize=%" PRIu64 "\ntickTime=%u\nmaxClientCnxns=%u\n",
	    c->data_log_dir, admin_dir_bytes(c->data_log_dir), c->tick_ms, c->max_client_cnxns);
	report_printf(r,
	    "minSessionTimeout=%u\nmaxSessionTimeout=%u\nclientPortListenBacklog=-1\nserverId=%d\n",
	    c->min_session_ms, c->max_session_ms,
	    q->admin->ensemble != NULL ? (int)c->ensemble.sid : 0);
	if (q->admin->ensemble != NULL)
		text_membership(q, r);
}

static void
put_variable(void *arg, const char *key, const char *value)
{
	report_printf(arg, "%s=%s\n", key, value);
}

void
text_envi(const struct admin_call *q, struct report *r)
{
	(void)q;
	report_printf(r, "Environment:\n");
	admin_env_each(put_variable, r);
}

void
text_gtmk(const struct admin_call *q, struct report *r)
{
	report_printf(r, "%" PRId64, q->admin->trace_mask);
}

void
text_stmk(const struct admin_call *q, struct report *r)
{
	uint64_t be;

	memcpy(&be, q->word + ADMIN_WORD_BYTES, sizeof be);
	q->admin->trace_mask = (int64_t)be64toh(be);
	text_gtmk(q, r);
}

void
text_hash(const struct admin_call *q, struct report *r)
{
	const struct db *db = q->admin->server->db;
	uint64_t first = db->digest_count > DB_DIGESTS_MAX ? db->digest_count - DB_DIGESTS_MAX : 0;

	for (uint64_t i = first; i < db->digest_count; i++) {
		const struct db_digest *d = &db->digests[i % DB_DIGESTS_MAX];

		report_printf(r, "%" PRIx64 ": %" PRIu64 "\n", (uint64_t)d->zxid, d->digest);
	}
}

void
text_mntr(const struct admin_call *q, struct report *r)
{
	figures_put_mntr(q->admin, r);
}

/* ---- dump ---- */

/* As java.util.Date prints it. */
static void
put_date(const struct admin *a, uint64_t at_ms, struct report *r)
{
	time_t t = (time_t)((a->server->wall_ms + (int64_t)(at_ms - a->server->now_ms)) / 1000);
	struct tm tm;
	char text[64];

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof text, "%a %b %d %H:%M:%S %Z %Y", &tm) == 0)
		text[0] = '\0';
	report_printf(r, " expire at %s:\n", text);
}

static void
put_expiry(const struct admin *a, const struct expiry *e,
    void (*item)(const void *what, struct report *r), struct report *r)
{
	size_t i = 0, n;

	report_printf(r, "Sets (%zu)/(%zu):\n", expiry_set_count(e), e->count);
	for (; i < e->count; i += n) {
		n = expiry_set_size(e, i);
		report_printf(r, "%zu", n);
		put_date(a, e->items[i].at_ms, r);
		for (size_t k = i; k < i + n; k++)
			item(e->items[k].what, r);
	}
}

static void
put_session_item(const void *what, struct report *r)
{
	report_printf(r, "\t0x%" PRIx64 "\n", (uint64_t)((const struct session *)what)->id);
}

static void
put_conn_item(const void *what, struct report *r)
{
	const struct server_conn *c = what;

	report_printf(r, "\tip: /%s sessionId: 0x%" PRIx64 "\n",
	    client_conn_address(CONTAINER_OF(c, struct client_conn, core)),
	    (uint64_t)c->session_id);
}

static void
put_ephemerals(const struct tree *t, struct report *r)
{
	struct list *it, *nx, *jt, *jx;
	struct buf path;

	buf_init(&path, INT32_MAX);
	report_printf(r, "Sessions with Ephemerals (%zu):\n", t->owners.count);
	HMAP_EACH(it, nx, &t->owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);

		report_printf(r, "0x%" PRIx64 ":\n", (uint64_t)o->session);
		LIST_EACH(jt, jx, &o->nodes) {
			buf_clear(&path);
			tree_node_path(t,
			    tree_by_id(t, CONTAINER_OF(jt, struct tree_owned, of_owner)->id),
			    &path);
			report_printf(r, "\t%.*s\n", (int)path.len, (const char *)path.data);
		}
	}
	buf_fini(&path);
}

/* A learner does not know when they end. */
static void
put_global_sessions(const struct session_table *t, struct report *r)
{
	const struct session *s;
	struct list *at = NULL;

	report_printf(r, "Global Sessions(%zu):\n", session_count(t));
	while ((s = session_next(t, &at)) != NULL)
		report_printf(r, "0x%" PRIx64 "\t%" PRId32 "ms\n", (uint64_t)s->id, s->timeout_ms);
}

void
text_dump(const struct admin_call *q, struct report *r)
{
	const struct admin *a = q->admin;
	struct expiry sessions, conns;

	if (!expiry_of_sessions(&sessions, a->server) || !expiry_of_conns(&conns, a->server)) {
		report_printf(r, "no memory\n");
		return;
	}
	report_printf(r, "SessionTracker dump:\n");
	if (server_is_learner(a->server))
		put_global_sessions(&a->server->db->sessions, r);
	else {
		report_printf(r, "Session ");
		put_expiry(a, &sessions, put_session_item, r);
	}
	report_printf(r, "ephemeral nodes dump:\n");
	put_ephemerals(&a->server->db->tree, r);
	report_printf(r, "Connections dump:\nConnections ");
	put_expiry(a, &conns, put_conn_item, r);
	expiry_fini(&sessions);
	expiry_fini(&conns);
}

/* ---- watches ---- */

void
text_wchs(const struct admin_call *q, struct report *r)
{
	size_t conns, paths, watches;

	admin_count_watches(q->admin, &conns, &paths, &watches);
	report_printf(
	    r, "%zu connections watching %zu paths\nTotal watches:%zu\n", conns, paths, watches);
}

static int64_t
session_of(const struct watcher *who)
{
	return CONTAINER_OF(who, struct server_conn, watcher)->session_id;
}

static void
put_watcher(void *arg, const struct watcher *who)
{
	report_printf(arg, "\t0x%" PRIx64 "\n", (uint64_t)session_of(who));
}

static void
put_watched(void *arg, const struct watch_path *p, struct jute_bytes path)
{
	report_printf(arg, "%.*s\n", path.len, (const char *)path.data);
	watch_each_watcher(p, put_watcher, arg);
}

void
text_wchp(const struct admin_call *q, struct report *r)
{
	watch_each_path(&q->admin->server->watches, WATCH_DATA, put_watched, r);
	report_printf(r, "\n");
}

/* The paths of one connection, behind its session if there are any. */
struct watching {
	struct report *r;
	int64_t session;
	bool said;
};

static void
put_path(void *arg, struct jute_bytes path)
{
	struct watching *w = arg;

	if (!w->said)
		report_printf(w->r, "0x%" PRIx64 "\n", (uint64_t)w->session);
	w->said = true;
	report_printf(w->r, "\t%.*s\n", path.len, (const char *)path.data);
}

void
text_wchc(const struct admin_call *q, struct report *r)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &q->admin->server->conns) {
		const struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);
		struct watching w = {r, c->session_id, false};

		watch_each_of(&c->watcher, WATCH_DATA, put_path, &w);
	}
	report_printf(r, "\n");
}
