/* SPDX-License-Identifier: Apache-2.0 */
/* The admin server's answers: keys, order and shape of Apache ZooKeeper 3.8's Commands. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/str.h"
#include "zkserver/admin.h"
#include "zkserver/admin_env.h"
#include "zkserver/client_conn.h"
#include "zkserver/client_port.h"
#include "zkserver/core/datadir.h"
#include "zkserver/expiry.h"
#include "zkserver/figures.h"

bool
json_nothing(const struct admin_call *q, struct json *j)
{
	(void)q;
	(void)j;
	return true;
}

bool
json_conf(const struct admin_call *q, struct json *j)
{
	const struct zoo_conf *c = q->admin->conf;
	char path[ZOO_PATH_MAX + 16];

	json_put_int(j, "client_port", client_port_number(q->admin->clients, false));
	if (client_port_number(q->admin->clients, true) != ZOO_PORT_NONE)
		json_put_int(j, "secure_client_port", client_port_number(q->admin->clients, true));
	snprintf(path, sizeof path, "%s/version-2", c->data_dir);
	json_put_text(j, "data_dir", path);
	snprintf(path, sizeof path, "%s/version-2", c->data_log_dir);
	json_put_text(j, "data_log_dir", path);
	json_put_int(j, "tick_time", c->tick_ms);
	json_put_int(j, "max_client_cnxns", c->max_client_cnxns);
	json_put_int(j, "min_session_timeout", c->min_session_ms);
	json_put_int(j, "max_session_timeout", c->max_session_ms);
	json_put_int(j, "server_id", zoo_conf_distributed(c) ? c->ensemble.sid : 0);
	json_put_int(j, "client_port_listen_backlog", -1);
	return true;
}

/* ---- connections ---- */

static void
put_conn(const struct admin *a, const struct server_conn *c, bool full, struct json *j)
{
	const struct client_conn *cc = CONTAINER_OF(c, struct client_conn, core);

	json_object(j);
	json_put_text(j, "remote_socket_address", client_conn_address(cc));
	json_put_int(j, "interest_ops", client_conn_interest(cc));
	json_put_int(j, "outstanding_requests", c->queue_count);
	json_put_int(j, "packets_received", (int64_t)c->received);
	json_put_int(j, "packets_sent", (int64_t)c->sent);
	if (full) {
		json_put_int(j, "session_id", c->session_id);
		json_put_text(j, "last_operation", admin_op_name(c->last_op));
		json_put_int(j, "established", admin_established_ms(a, c));
		json_put_int(j, "session_timeout", c->timeout_ms);
		json_put_int(j, "last_cxid", c->last_xid);
		json_put_int(j, "last_zxid", c->last_zxid);
		json_put_int(j, "last_response_time", (int64_t)c->answered_ms);
		json_put_int(j, "last_latency", (int64_t)c->latency_last_ms);
		json_put_int(j, "min_latency", (int64_t)c->latency_min_ms);
		json_put_int(
		    j, "avg_latency", c->sent > 0 ? (int64_t)(c->latency_sum_ms / c->sent) : 0);
		json_put_int(j, "max_latency", (int64_t)c->latency_max_ms);
	}
	json_close(j);
}

static void
put_conns(const struct admin *a, bool full, struct json *j)
{
	struct list *it, *nx;

	for (int secure = 0; secure <= 1; secure++) {
		json_key(j, secure ? "secure_connections" : "connections");
		json_array(j);
		LIST_EACH(it, nx, &a->server->conns) {
			const struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);

			if (client_conn_is_secure(CONTAINER_OF(c, struct client_conn, core)) ==
			    (secure == 1))
				put_conn(a, c, full, j);
		}
		json_close(j);
	}
}

bool
json_cons(const struct admin_call *q, struct json *j)
{
	put_conns(q->admin, true, j);
	return true;
}

bool
json_crst(const struct admin_call *q, struct json *j)
{
	(void)j;
	admin_reset_conns(q->admin);
	return true;
}

/* ---- the server ---- */

static void
put_response_sizes(const struct zk_metrics *m, const char *key, struct json *j)
{
	json_key(j, key);
	json_object(j);
	json_put_int(j, "last_buffer_size", m->response_last);
	json_put_int(j, "min_buffer_size", m->response_min);
	json_put_int(j, "max_buffer_size", m->response_max);
	json_close(j);
}

static void
put_proposal_sizes(const struct server_stats *stats, struct json *j)
{
	json_key(j, "proposal_stats");
	json_object(j);
	json_put_int(j, "last_buffer_size", admin_proposal_bytes(stats->proposal_last));
	json_put_int(j, "min_buffer_size", admin_proposal_bytes(stats->proposal_min));
	json_put_int(j, "max_buffer_size", admin_proposal_bytes(stats->proposal_max));
	json_close(j);
}

bool
json_srvr(const struct admin_call *q, struct json *j)
{
	const struct server *s = q->admin->server;

	json_put_text(j, "version", ADMIN_VERSION_TEXT);
	json_put_bool(j, "read_only", s->role == SERVER_READ_ONLY);
	json_key(j, "server_stats");
	json_object(j);
	json_put_int(j, "packets_sent", (int64_t)s->stats.sent);
	json_put_int(j, "packets_received", (int64_t)s->stats.received);
	json_put_int(j, "fsync_threshold_exceed_count", (int64_t)s->stats.slow_syncs);
	put_response_sizes(&s->metrics, "client_response_stats", j);
	json_put_int(j, "data_dir_size", (int64_t)admin_dir_bytes(q->admin->conf->data_dir));
	json_put_int(j, "log_dir_size", (int64_t)admin_dir_bytes(q->admin->conf->data_log_dir));
	json_put_bool(j, "provider_null", false);
	json_put_text(j, "server_state", server_mode(s));
	json_put_int(j, "last_processed_zxid", s->db->last_zxid);
	json_put_int(j, "outstanding_requests", (int64_t)server_outstanding(s));
	json_key(j, "avg_latency");
	json_average(j, s->stats.latency_sum_ms, s->stats.latency_count);
	json_put_int(j, "max_latency", (int64_t)s->stats.latency_max_ms);
	json_put_int(j, "min_latency", (int64_t)s->stats.latency_min_ms);
	json_put_int(j, "num_alive_client_connections", (int64_t)s->conn_count);
	json_put_int(j, "auth_failed_count", (int64_t)s->stats.auth_failed);
	json_put_int(j, "non_mtlsremote_conn_count", 0);
	json_put_int(j, "non_mtlslocal_conn_count", 0);
	json_put_int(j, "uptime", (int64_t)(s->now_ms - s->started_ms));
	json_close(j);
	put_response_sizes(&s->metrics, "client_response", j);
	if (s->role == SERVER_LEADER)
		put_proposal_sizes(&s->stats, j);
	json_put_int(j, "node_count", (int64_t)admin_node_count(s));
	return true;
}

bool
json_stat(const struct admin_call *q, struct json *j)
{
	json_srvr(q, j);
	put_conns(q->admin, false, j);
	return true;
}

bool
json_srst(const struct admin_call *q, struct json *j)
{
	(void)j;
	admin_reset_stats(q->admin);
	return true;
}

bool
json_dirs(const struct admin_call *q, struct json *j)
{
	json_put_int(j, "datadir_size", (int64_t)admin_dir_bytes(q->admin->conf->data_dir));
	json_put_int(j, "logdir_size", (int64_t)admin_dir_bytes(q->admin->conf->data_log_dir));
	return true;
}

bool
json_mntr(const struct admin_call *q, struct json *j)
{
	figures_put_json(q->admin, j);
	return true;
}

bool
json_hash(const struct admin_call *q, struct json *j)
{
	const struct db *db = q->admin->server->db;
	uint64_t first = db->digest_count > DB_DIGESTS_MAX ? db->digest_count - DB_DIGESTS_MAX : 0;

	json_key(j, "digests");
	json_array(j);
	for (uint64_t i = first; i < db->digest_count; i++) {
		const struct db_digest *d = &db->digests[i % DB_DIGESTS_MAX];

		json_object(j);
		json_put_int(j, "zxid", d->zxid);
		json_put_int(j, "digest", (int64_t)d->digest);
		json_put_int(j, "digest_version", TXN_DIGEST_VERSION);
		json_close(j);
	}
	json_close(j);
	return true;
}

bool
json_isro(const struct admin_call *q, struct json *j)
{
	json_put_bool(j, "read_only", q->admin->server->role == SERVER_READ_ONLY);
	return true;
}

/* The newest snapshot in the directory: its name has the zxid, its time is when it was written. */
bool
json_lsnp(const struct admin_call *q, struct json *j)
{
	char path[ZOO_PATH_MAX + 16], text[17];
	uint64_t newest = UINT64_MAX; /* none */
	struct datadir_entry entry;
	int64_t at_s = -1;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof path, "%s/version-2", q->admin->conf->data_dir);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!datadir_parse(e->d_name, "snapshot", &entry) ||
		    (newest != UINT64_MAX && entry.zxid < newest) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		newest = entry.zxid;
		at_s = (int64_t)st.st_mtim.tv_sec;
	}
	if (d != NULL)
		closedir(d);
	snprintf(text, sizeof text, "%" PRIx64, newest);
	json_put_text(j, "zxid", text);
	json_put_int(j, "timestamp", at_s);
	return true;
}

/* ---- configuration and surroundings ---- */

static void
put_variable(void *arg, const char *key, const char *value)
{
	json_put_text(arg, key, value);
}

bool
json_envi(const struct admin_call *q, struct json *j)
{
	(void)q;
	admin_env_each(put_variable, j);
	return true;
}

bool
json_sysp(const struct admin_call *q, struct json *j)
{
	(void)q;
	admin_properties_each(put_variable, j);
	return true;
}

bool
json_icfg(const struct admin_call *q, struct json *j)
{
	json_put_text(
	    j, "initial_configuration", q->admin->conf_text != NULL ? q->admin->conf_text : "");
	return true;
}

bool
json_gtmk(const struct admin_call *q, struct json *j)
{
	json_put_int(j, "tracemask", q->admin->trace_mask);
	return true;
}

bool
json_stmk(const struct admin_call *q, struct json *j)
{
	const char *text = q->trace_mask;
	char error[128];
	uint64_t n;
	bool negative;

	if (text == NULL) {
		json_put_text(j, "error", "setTraceMask requires long traceMask argument");
		return false;
	}
	negative = text[0] == '-';
	if (!str_to_u64(text + negative, 0, (uint64_t)INT64_MAX, &n)) {
		snprintf(error, sizeof error,
		    "setTraceMask requires long traceMask argument, got %.64s", text);
		json_put_text(j, "error", error);
		return false;
	}
	q->admin->trace_mask = negative ? -(int64_t)n : (int64_t)n;
	return json_gtmk(q, j);
}

/* ---- sessions and watches ---- */

static void
put_number_key(struct json *j, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, number);
	json_key(j, text);
}

static void
put_sessions(const struct expiry *e, struct json *j)
{
	json_key(j, "expiry_time_to_session_ids");
	json_object(j);
	for (size_t i = 0, n; i < e->count; i += n) {
		n = expiry_set_size(e, i);
		put_number_key(j, (int64_t)e->items[i].at_ms);
		json_array(j);
		for (size_t k = i; k < i + n; k++)
			json_int(j, ((const struct session *)e->items[k].what)->id);
		json_close(j);
	}
	json_close(j);
}

static void
put_ephemerals(const struct tree *t, struct json *j)
{
	struct list *it, *nx, *jt, *jx;
	struct buf path;

	buf_init(&path, INT32_MAX);
	json_key(j, "session_id_to_ephemeral_paths");
	json_object(j);
	HMAP_EACH(it, nx, &t->owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);

		put_number_key(j, o->session);
		json_array(j);
		LIST_EACH(jt, jx, &o->nodes) {
			buf_clear(&path);
			tree_node_path(t,
			    tree_by_id(t, CONTAINER_OF(jt, struct tree_owned, of_owner)->id),
			    &path);
			json_bytes(j, (struct jute_bytes){path.data, (int32_t)path.len});
		}
		json_close(j);
	}
	json_close(j);
	buf_fini(&path);
}

bool
json_dump(const struct admin_call *q, struct json *j)
{
	struct expiry sessions;

	if (!expiry_of_sessions(&sessions, q->admin->server)) {
		json_put_text(j, "error", "no memory");
		return false;
	}
	put_sessions(&sessions, j);
	put_ephemerals(&q->admin->server->db->tree, j);
	expiry_fini(&sessions);
	return true;
}

bool
json_wchs(const struct admin_call *q, struct json *j)
{
	size_t conns, paths, watches;

	admin_count_watches(q->admin, &conns, &paths, &watches);
	json_put_int(j, "num_connections", (int64_t)conns);
	json_put_int(j, "num_paths", (int64_t)paths);
	json_put_int(j, "num_total_watches", (int64_t)watches);
	return true;
}

/* The paths of one connection, behind its session if there are any. */
struct watching {
	struct json *j;
	int64_t session;
	bool said;
};

static void
put_path(void *arg, struct jute_bytes path)
{
	struct watching *w = arg;

	if (!w->said) {
		put_number_key(w->j, w->session);
		json_array(w->j);
	}
	w->said = true;
	json_bytes(w->j, path);
}

bool
json_wchc(const struct admin_call *q, struct json *j)
{
	struct list *it, *nx;

	json_key(j, "session_id_to_watched_paths");
	json_object(j);
	LIST_EACH(it, nx, &q->admin->server->conns) {
		const struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);
		struct watching w = {j, c->session_id, false};

		watch_each_of(&c->watcher, WATCH_DATA, put_path, &w);
		if (w.said)
			json_close(j);
	}
	json_close(j);
	return true;
}

static void
put_watcher(void *arg, const struct watcher *who)
{
	json_int(arg, CONTAINER_OF(who, struct server_conn, watcher)->session_id);
}

static void
put_watched(void *arg, const struct watch_path *p, struct jute_bytes path)
{
	json_key_bytes(arg, path);
	json_array(arg);
	watch_each_watcher(p, put_watcher, arg);
	json_close(arg);
}

bool
json_wchp(const struct admin_call *q, struct json *j)
{
	json_key(j, "path_to_session_ids");
	json_object(j);
	watch_each_path(&q->admin->server->watches, WATCH_DATA, put_watched, j);
	json_close(j);
	return true;
}
