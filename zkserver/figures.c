/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/figures.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "zkserver/client_port.h"
#include "zkserver/standing.h"

/* One form: how each kind of figure is written. */
struct form {
	void (*text)(void *arg, const char *name, const char *value);
	void (*gauge)(void *arg, const char *name, int64_t value);
	void (*average)(void *arg, const char *name, uint64_t sum, uint64_t count);
	void (*counter)(void *arg, const char *name, uint64_t value);
	void (*summary)(void *arg, const char *name, const struct sketch *s, bool percentiles);
};

static int64_t
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int64_t count = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count - 3; /* ".", ".." and the directory itself */
}

static int64_t
max_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int64_t)limit.rlim_cur : 0;
}

/* What Apache's server does not tell: whether this member is where the others are, or why not. */
static void
put_standing(const struct standing *s, const struct form *f, void *arg)
{
	f->gauge(arg, "member_serving", s->serves);
	f->gauge(arg, "member_epoch", s->epoch);
	f->gauge(arg, "member_last_zxid", s->zxid);
	f->gauge(arg, "member_lag", s->lag);
	f->gauge(arg, "member_leader_id", s->leader);
	if (!s->serves)
		f->text(arg, "member_waits_for", s->why);
}

/* What a member has besides. */
static void
put_ensemble(const struct admin *a, const struct form *f, void *arg)
{
	const struct server_stats *stats = &a->server->stats;
	struct standing s;

	a->ensemble->standing(a->ensemble->arg, &s);
	f->text(arg, "peer_state", s.state);
	put_standing(&s, f, arg);
	f->gauge(arg, "quorum_size", s.voters);
	if (a->server->role == SERVER_OBSERVER)
		f->gauge(arg, "observer_master_id", s.master);
	if (s.takes_observers)
		f->gauge(arg, "synced_observers", s.synced_observers);
	if (a->server->role != SERVER_LEADER)
		return;
	f->gauge(arg, "learners", s.learners);
	f->gauge(arg, "synced_followers", s.synced_followers);
	f->gauge(arg, "synced_non_voting_followers", s.synced_non_voting);
	f->gauge(arg, "synced_observers", s.synced_observers);
	f->gauge(arg, "pending_syncs", (int64_t)s.pending_syncs);
	f->gauge(arg, "leader_uptime", (int64_t)s.since_ms);
	f->gauge(arg, "last_proposal_size", admin_proposal_bytes(stats->proposal_last));
	f->gauge(arg, "max_proposal_size", admin_proposal_bytes(stats->proposal_max));
	f->gauge(arg, "min_proposal_size", admin_proposal_bytes(stats->proposal_min));
}

/* The gauges, in Apache's order. What has to do with several servers is 0 here. */
static void
put_gauges(const struct admin *a, const struct form *f, void *arg)
{
	const struct server *s = a->server;
	const struct tree *t = &s->db->tree;

	f->text(arg, "version", ADMIN_VERSION_TEXT);
	f->text(arg, "server_state", server_mode(s));
	f->gauge(arg, "ephemerals_count", (int64_t)t->ephemeral_count);
	f->gauge(arg, "num_alive_connections", (int64_t)s->conn_count);
	f->average(arg, "avg_latency", s->stats.latency_sum_ms, s->stats.latency_count);
	f->gauge(arg, "outstanding_requests", (int64_t)server_outstanding(s));
	f->gauge(arg, "znode_count", (int64_t)admin_node_count(s));
	f->gauge(arg, "global_sessions", (int64_t)session_count(&s->db->sessions));
	f->gauge(arg, "non_mtls_remote_conn_count", 0);
	f->gauge(arg, "last_client_response_size", s->metrics.response_last);
	f->gauge(arg, "packets_sent", (int64_t)s->stats.sent);
	f->gauge(arg, "packets_received", (int64_t)s->stats.received);
	f->gauge(arg, "max_client_response_size", s->metrics.response_max);
	f->average(arg, "connection_drop_probability", 0, 0);
	f->gauge(arg, "watch_count",
	    (int64_t)(s->watches.count[WATCH_DATA] + s->watches.count[WATCH_CHILD]));
	f->gauge(arg, "auth_failed_count", (int64_t)s->stats.auth_failed);
	f->gauge(arg, "min_latency", (int64_t)s->stats.latency_min_ms);
	f->gauge(arg, "max_file_descriptor_count", max_descriptors());
	f->gauge(arg, "approximate_data_size", (int64_t)admin_data_bytes(s));
	f->gauge(arg, "open_file_descriptor_count", open_descriptors());
	f->gauge(arg, "local_sessions", (int64_t)session_count(&s->local));
	f->gauge(arg, "uptime", (int64_t)(s->now_ms - s->started_ms));
	f->gauge(arg, "max_latency", (int64_t)s->stats.latency_max_ms);
	f->gauge(arg, "outstanding_tls_handshake", client_port_handshakes(a->clients));
	f->gauge(arg, "min_client_response_size", s->metrics.response_min);
	f->gauge(arg, "non_mtls_local_conn_count", 0);
}

/* Some are counted elsewhere already. */
static uint64_t
counter_of(const struct server *s, enum zk_counter which)
{
	switch (which) {
	case ZK_COUNTER_CONNECTION_REJECTED:
		return s->stats.connections_rejected + s->refused.count[LIMIT_CONNECTS] +
		       s->refused.count[LIMIT_SESSIONS];
	case ZK_COUNTER_DIGEST_MISMATCHES_COUNT:
		return s->db->digest_mismatches;
	case ZK_COUNTER_PREP_PROCESSOR_REQUEST_QUEUED:
		return s->stats.latency_count; /* every request that went through */
	default:
		return s->metrics.counters[which];
	}
}

static void
put_all(const struct admin *a, const struct form *f, void *arg)
{
	const struct server *s = a->server;

	put_gauges(a, f, arg);
	if (a->ensemble != NULL)
		put_ensemble(a, f, arg);
	for (unsigned i = 0; i < ZK_COUNTER_COUNT; i++)
		f->counter(arg, ZK_COUNTER_NAMES[i], counter_of(s, (enum zk_counter)i));
	for (unsigned i = 0; i < ZK_SUMMARY_COUNT; i++)
		f->summary(arg, ZK_SUMMARY_NAMES[i], &s->metrics.summaries[i],
		    i >= ZK_SUMMARY_BASIC_COUNT);
}

/* Percentiles as mntr and /commands/monitor name them. */
static const struct {
	const char *name;
	double q;
} PERCENTILES[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
#define PERCENTILE_COUNT (sizeof PERCENTILES / sizeof PERCENTILES[0])

/* ---- mntr ---- */

static void
mntr_text(void *arg, const char *name, const char *value)
{
	report_printf(arg, "zk_%s\t%s\n", name, value);
}

static void
mntr_gauge(void *arg, const char *name, int64_t value)
{
	report_printf(arg, "zk_%s\t%" PRId64 "\n", name, value);
}

static void
mntr_counter(void *arg, const char *name, uint64_t value)
{
	report_printf(arg, "zk_%s\t%" PRIu64 "\n", name, value);
}

static void
mntr_average(void *arg, const char *name, uint64_t sum, uint64_t count)
{
	report_printf(arg, "zk_%s\t", name);
	report_average(arg, sum, count);
	report_printf(arg, "\n");
}

static void
mntr_summary(void *arg, const char *name, const struct sketch *s, bool percentiles)
{
	report_printf(arg, "zk_avg_%s\t", name);
	report_average(arg, s->sum, s->count);
	report_printf(arg,
	    "\nzk_min_%s\t%" PRIu64 "\nzk_max_%s\t%" PRIu64 "\nzk_cnt_%s\t%" PRIu64
	    "\nzk_sum_%s\t%" PRIu64 "\n",
	    name, s->min, name, s->max, name, s->count, name, s->sum);
	for (size_t i = 0; percentiles && i < PERCENTILE_COUNT; i++)
		report_printf(arg, "zk_%s_%s\t%" PRIu64 "\n", PERCENTILES[i].name, name,
		    sketch_quantile(s, PERCENTILES[i].q));
}

void
figures_put_mntr(const struct admin *a, struct report *r)
{
	static const struct form form = {
	    mntr_text, mntr_gauge, mntr_average, mntr_counter, mntr_summary};

	put_all(a, &form, r);
}

/* ---- JSON ---- */

static void
json_form_text(void *arg, const char *name, const char *value)
{
	json_put_text(arg, name, value);
}

static void
json_form_gauge(void *arg, const char *name, int64_t value)
{
	json_put_int(arg, name, value);
}

static void
json_form_counter(void *arg, const char *name, uint64_t value)
{
	json_put_int(arg, name, (int64_t)value);
}

static void
json_form_average(void *arg, const char *name, uint64_t sum, uint64_t count)
{
	json_key(arg, name);
	json_average(arg, sum, count);
}

static void
put_part(struct json *j, const char *part, const char *name, uint64_t value)
{
	char key[96];

	snprintf(key, sizeof key, "%s_%s", part, name);
	json_put_int(j, key, (int64_t)value);
}

static void
json_form_summary(void *arg, const char *name, const struct sketch *s, bool percentiles)
{
	char key[96];

	snprintf(key, sizeof key, "avg_%s", name);
	json_form_average(arg, key, s->sum, s->count);
	put_part(arg, "min", name, s->min);
	put_part(arg, "max", name, s->max);
	put_part(arg, "cnt", name, s->count);
	put_part(arg, "sum", name, s->sum);
	for (size_t i = 0; percentiles && i < PERCENTILE_COUNT; i++)
		put_part(arg, PERCENTILES[i].name, name, sketch_quantile(s, PERCENTILES[i].q));
}

void
figures_put_json(const struct admin *a, struct json *j)
{
	static const struct form form = {json_form_text, json_form_gauge, json_form_average,
	    json_form_counter, json_form_summary};

	put_all(a, &form, j);
}

/* ---- Prometheus ---- */

static void
head(struct report *r, const char *name, const char *type)
{
	report_printf(r, "# HELP %s %s\n# TYPE %s %s\n", name, name, name, type);
}

/* A text is no sample, but may be a label; Apache's server leaves it out. */
static void
prometheus_text(void *arg, const char *name, const char *value)
{
	head(arg, name, "gauge");
	report_printf(arg, "%s{value=\"", name);
	for (; *value != '\0'; value++)
		report_printf(arg, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
	report_printf(arg, "\"} 1\n");
}

static void
prometheus_gauge(void *arg, const char *name, int64_t value)
{
	head(arg, name, "gauge");
	report_printf(arg, "%s %" PRId64 "\n", name, value);
}

static void
prometheus_average(void *arg, const char *name, uint64_t sum, uint64_t count)
{
	head(arg, name, "gauge");
	report_printf(arg, "%s ", name);
	report_average(arg, sum, count);
	report_printf(arg, "\n");
}

static void
prometheus_counter(void *arg, const char *name, uint64_t value)
{
	head(arg, name, "counter");
	report_printf(arg, "%s %" PRIu64 "\n", name, value);
}

static void
put_quantile(struct report *r, const char *name, const struct sketch *s, const char *text, double q)
{
	if (s->count == 0)
		report_printf(r, "%s{quantile=\"%s\"} NaN\n", name, text);
	else
		report_printf(
		    r, "%s{quantile=\"%s\"} %" PRIu64 "\n", name, text, sketch_quantile(s, q));
}

static void
prometheus_summary(void *arg, const char *name, const struct sketch *s, bool percentiles)
{
	head(arg, name, "summary");
	put_quantile(arg, name, s, "0.5", 0.5);
	if (percentiles) {
		put_quantile(arg, name, s, "0.9", 0.9);
		put_quantile(arg, name, s, "0.99", 0.99);
	}
	report_printf(
	    arg, "%s_count %" PRIu64 "\n%s_sum %" PRIu64 "\n", name, s->count, name, s->sum);
}

void
figures_put_prometheus(const struct admin *a, struct report *r)
{
	static const struct form form = {prometheus_text, prometheus_gauge, prometheus_average,
	    prometheus_counter, prometheus_summary};

	put_all(a, &form, r);
}
