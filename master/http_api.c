/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (corral-api(7)): who may ask what, and where each request goes. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/pbjson.h"
#include "libcommon/sys/log.h"
#include "master/credentials.h"
#include "master/definition.h"
#include "master/master.h"

enum {
	CONNECTIONS_MAX = 4096,
	BODY_BYTES_MAX = 4 << 20,
	JOIN_BYTES_MAX = 64 << 10, /* from somebody whom nobody knows yet */
	EVENT_QUEUE_BYTES_MAX = 4 << 20,
	NAME_BYTES_MAX = 100, /* of a holder of a certificate: stored with its jobs */
	STOP_WAIT_MS = 15000, /* for a stop's answer: after that it says "stopping" */
};

#define API_PREFIX "/corral/v1/"

/* A request that is answered when its job is stored, or has ended. */
struct waiter {
	struct list in_all;
	struct master *m;
	struct http_request *request;
	struct job *job;
	bool stop;
	struct timer timer;
};

/* Who follows the events; job "": all. */
struct watcher {
	struct list in_all;
	struct http_request *request;
	char job[CLUSTER_NAME_MAX + 1];
};

/* Into m->scratch. False: too large, or no memory. */
static bool
encode_reply(struct master *m, const ProtobufCMessage *message)
{
	buf_clear(&m->scratch);
	if (!pbjson_encode(message, 0, &m->scratch))
		return false;
	buf_append(&m->scratch, "\n", 1);
	return !m->scratch.failed;
}

void
api_refuse(struct master *m, struct http_request *r, int status, const char *fmt, ...)
{
	Corral__Api__Error error = CORRAL__API__ERROR__INIT;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	error.error = text;
	if (encode_reply(m, &error.base))
		http_reply(r, status, "application/json", m->scratch.data, m->scratch.len);
	else
		http_reply_text(r, 503, "out of memory\n");
}

void
api_deposed(struct master *m, struct http_request *r)
{
	api_refuse(m, r, 503, "this master no longer leads%s: try again",
	    strcmp(http_request_method(r), "GET") == 0
		? ""
		: ", and what was asked for may or may not be carried out");
}

void
api_reply(struct master *m, struct http_request *r, int status, const ProtobufCMessage *message)
{
	if (!encode_reply(m, message))
		http_reply_text(r, 500, "the answer is too large\n");
	else if (!m->leading || !master_may_act(m)) /* the last moment before the socket */
		api_deposed(m, r);
	else
		http_reply(r, status, "application/json", m->scratch.data, m->scratch.len);
}

void
api_error(struct master *m, struct http_request *r, int status, const char *fmt, ...)
{
	Corral__Api__Error error = CORRAL__API__ERROR__INIT;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	error.error = text;
	api_reply(m, r, status, &error.base);
}

/* --- answers that wait --- */

static void
waiter_free(struct waiter *w)
{
	timer_cancel(&w->timer);
	list_remove(&w->in_all);
	free(w);
}

static void
waiter_gone(void *arg, struct http_request *r)
{
	(void)r;
	waiter_free(arg);
}

static void
waiter_answer(struct waiter *w)
{
	Corral__Api__Job v;

	view_job(w->m, w->job, &v);
	api_reply(w->m, w->request, w->stop ? 200 : 201, &v.base);
	waiter_free(w);
}

static void
waiter_due(void *arg)
{
	waiter_answer(arg);
}

static bool
wait_for(struct master *m, struct http_request *r, struct job *j, bool stop)
{
	struct waiter *w = calloc(1, sizeof *w);

	if (w == NULL) {
		api_error(m, r, 503, "out of memory");
		return false;
	}
	w->m = m;
	w->request = r;
	w->job = j;
	w->stop = stop;
	timer_init(&w->timer, m->loop, waiter_due, w);
	if (stop)
		timer_set(&w->timer, clock_boot_ms() + STOP_WAIT_MS);
	list_append(&m->waiters, &w->in_all);
	http_request_on_gone(r, waiter_gone, w);
	return true;
}

/* --- jobs --- */

ProtobufCMessage *
api_body(struct master *m, struct http_request *r, const ProtobufCMessageDescriptor *type)
{
	size_t size;
	const uint8_t *body = http_request_body(r, &size);
	char error[256];
	ProtobufCMessage *message = pbjson_decode(type, size == 0 ? "{}" : (const char *)body,
	    size == 0 ? 2 : size, PBJSON_IGNORE_UNKNOWN, error, sizeof error);

	if (message == NULL)
		api_error(m, r, 400, "the request's body: %s", error);
	return message;
}

static void
reply_faults(struct master *m, struct http_request *r, const char *file, struct faults *faults)
{
	Corral__Api__Error error = CORRAL__API__ERROR__INIT;

	error.error = (char *)faults_text(faults);
	error.file = (char *)file;
	if (faults->first_line > 0) {
		error.has_line = true;
		error.line = faults->first_line;
	}
	api_reply(m, r, 400, &error.base);
}

/* The attempt that a job's stop waits for; NULL: for the store only. */
static const struct attempt *
last_one(const struct job *j)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)(uintptr_t)&j->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_job);

		if (!task_state_terminal(t->state))
			return t;
	}
	return NULL;
}

/* A name is free when the job that had it has ended: say what it still waits for. */
static void
refuse_name(struct master *m, struct http_request *r, const char *name)
{
	const struct job *j = cluster_job(&m->cluster, name);
	const struct attempt *t = j != NULL && j->state == JOB_STOPPING ? last_one(j) : NULL;

	if (j == NULL || j->state != JOB_STOPPING)
		api_error(
		    m, r, 409, "job %s runs already: corral stop %s, or another name", name, name);
	else if (t == NULL)
		api_error(m, r, 423, "job %s is being stopped: try again in a moment", name);
	else
		api_error(m, r, 423,
		    "job %s is being stopped, and attempt %" PRIu32 " of its task %" PRIu32
		    " is not over yet on %s, which is %s: try again, or see corral why %s.%" PRIu32,
		    name, t->attempt, t->index, t->agent->name, agent_state_name(t->agent->state),
		    name, t->index);
}

static void
submit(
    struct master *m, struct http_request *r, const Corral__Api__JobSubmit *s, struct definition *d)
{
	struct job_policy policy;
	uint32_t count = definition_policy(d, &policy);
	char who[TLS_NAME_MAX + 16];
	struct job *j;

	if (!api_may_submit(m, r, definition_user(d), policy.role)) {
		definition_free(d);
		return;
	}
	switch (cluster_submit(&m->cluster, clock_boot_ms(), s->name, count, &policy, d, s->text,
	    strlen(s->text), api_who(r, who, sizeof who), clock_wall_ms(), &j)) {
	case SUBMIT_OK:
		log_info("job %s: %u tasks, by %s", s->name, count, who);
		wait_for(m, r, j, false);
		break;
	case SUBMIT_IN_USE:
		refuse_name(m, r, s->name);
		break;
	case SUBMIT_UNREAD:
		api_error(m, r, 409,
		    "the store has a job %s that this master cannot read, as its log says: another "
		    "name, please",
		    s->name);
		break;
	case SUBMIT_KEPT:
		api_error(m, r, 409,
		    "the store has a job %s that has ended and cannot be removed, as the master's "
		    "log says: another name, please",
		    s->name);
		break;
	case SUBMIT_FULL:
		api_error(m, r, 409, "the master has no room for %u more tasks", count);
		break;
	case SUBMIT_NO_MEMORY:
		api_error(m, r, 503, "the master is out of memory");
		break;
	}
}

static void
handle_submit(struct master *m, struct http_request *r)
{
	Corral__Api__JobSubmit *s =
	    (Corral__Api__JobSubmit *)api_body(m, r, &corral__api__job_submit__descriptor);
	struct definition *d;
	struct faults faults;
	const char *file;

	if (s == NULL)
		return;
	file = s->file != NULL ? s->file : s->name;
	faults_init(&faults);
	if (!job_name_ok(s->name)) {
		api_error(m, r, 400,
		    "'%s' is no name of a job: a-z, 0-9 and '-', at most %d of them", s->name,
		    JOB_NAME_MAX);
	} else if (s->text[0] == '{') {
		api_error(m, r, 400, "%s: not a job file", file);
	} else {
		d = definition_parse(s->name, file, s->text, strlen(s->text), &faults);
		if (d == NULL)
			reply_faults(m, r, file, &faults);
		else
			submit(m, r, s, d);
	}
	faults_fini(&faults);
	corral__api__job_submit__free_unpacked(s, NULL);
}

static struct job *
find_job(struct master *m, struct http_request *r, const char *name)
{
	struct job *j = cluster_job(&m->cluster, name);

	if (j == NULL)
		api_error(m, r, 404, "there is no job '%s'", name);
	return j;
}

static bool
is_owner(struct master *m, struct http_request *r, const struct job *j)
{
	const struct tls_peer *peer = api_peer(r);
	char who[TLS_NAME_MAX + 16];

	if (peer->role != TLS_ROLE_USER || strcmp(api_who(r, who, sizeof who), j->by) == 0)
		return true;
	api_error(m, r, 403, "job %s is not yours: %s submitted it", j->name, j->by);
	return false;
}

static void
handle_stop(struct master *m, struct http_request *r, struct job *j)
{
	Corral__Api__Job v;
	char who[TLS_NAME_MAX + 16];

	if (!is_owner(m, r, j))
		return;
	if (cluster_stop(&m->cluster, clock_boot_ms(), j, api_who(r, who, sizeof who))) {
		log_info("job %s: stopped by %s", j->name, who);
		wait_for(m, r, j, true);
		return;
	}
	view_job(m, j, &v); /* it had ended */
	v.stopped = 0;
	api_reply(m, r, 200, &v.base);
}

static void
handle_job(struct master *m, struct http_request *r, const char *rest)
{
	char name[CLUSTER_NAME_MAX + 1] = "";
	size_t size = strcspn(rest, "/");
	bool get = strcmp(http_request_method(r), "GET") == 0,
	     stop = strcmp(rest + size, "/stop") == 0;
	Corral__Api__Job v;
	struct job *j;

	if (size <= CLUSTER_NAME_MAX)
		memcpy(name, rest, size);
	if ((rest[size] != '\0' && !stop) || get == stop) {
		api_error(
		    m, r, rest[size] != '\0' && !stop ? 404 : 405, "no such thing to ask of a job");
		return;
	}
	if ((j = find_job(m, r, name)) == NULL)
		return;
	if (stop) {
		handle_stop(m, r, j);
		return;
	}
	view_job(m, j, &v);
	v.text = j->text;
	api_reply(m, r, 200, &v.base);
}

/* --- events --- */

static void
watcher_gone(void *arg, struct http_request *r)
{
	struct watcher *w = arg;

	(void)r;
	list_remove(&w->in_all);
	free(w);
}

static void
handle_events(struct master *m, struct http_request *r)
{
	struct watcher *w = calloc(1, sizeof *w);
	const char *job = http_request_query(r, "job");

	if (w == NULL || (job != NULL && !str_copy(w->job, sizeof w->job, job))) {
		free(w);
		api_error(m, r, w == NULL ? 503 : 404, "no such job");
		return;
	}
	w->request = r;
	list_append(&m->watchers, &w->in_all);
	http_request_on_gone(r, watcher_gone, w);
	http_stream_start(r, 200, "application/json");
}

static const char *
event_job(const struct out *o)
{
	return o->kind == OUT_TASK || o->kind == OUT_LAUNCH ? o->key.job
	       : o->kind == OUT_JOB			    ? o->job->name
							    : "";
}

static bool
encode_event(struct master *m, const struct out *o)
{
	Corral__Api__Event event = CORRAL__API__EVENT__INIT;
	Corral__Api__Task task;
	Corral__Api__Job job;
	struct node_view node;

	event.has_at_wall_ms = true;
	event.at_wall_ms = clock_wall_ms();
	if (o->kind == OUT_TASK || o->kind == OUT_LAUNCH) {
		event.kind = (char *)"task";
		view_out_task(m, o, &task);
		event.task = &task;
	} else if (o->kind == OUT_JOB) {
		event.kind = (char *)"job";
		view_job(m, o->job, &job);
		event.job = &job;
	} else if (o->kind == OUT_NODE) {
		event.kind = (char *)"node";
		view_node(m, o->agent, &node);
		event.node = &node.v;
	} else {
		return false;
	}
	buf_clear(&m->scratch);
	if (!pbjson_encode(&event.base, 0, &m->scratch))
		return false;
	buf_append(&m->scratch, "\n", 1);
	return true;
}

static void
tell_watchers(struct master *m, const struct out *o)
{
	const char *job = event_job(o);
	struct list *it, *nx;

	if (list_empty(&m->watchers) || !encode_event(m, o) || !master_may_act(m))
		return;
	LIST_EACH(it, nx, &m->watchers) {
		struct watcher *w = CONTAINER_OF(it, struct watcher, in_all);

		if (w->job[0] == '\0' || strcmp(w->job, job) == 0)
			(void)http_stream_send(w->request, m->scratch.data, m->scratch.len);
	}
}

static bool
has_ended(const struct job *j)
{
	return j->state == JOB_STOPPED || j->state == JOB_FINISHED || j->state == JOB_FAILED;
}

static void
answer_waiters(struct master *m, const struct out *o)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->waiters) {
		struct waiter *w = CONTAINER_OF(it, struct waiter, in_all);

		if (w->job == o->job && (w->stop ? o->kind == OUT_JOB && has_ended(w->job)
						 : o->kind == OUT_JOB_ACCEPTED))
			waiter_answer(w);
	}
}

static void
observe_delays(struct master *m, const struct out *o)
{
	if (o->kind == OUT_LAUNCH && o->key.attempt == 1)
		metric_observe(&m->metrics.allocation, clock_boot_ms() - o->job->since_ms);
	if (o->kind == OUT_TASK && o->state == CORRAL__TASK_STATE__RUNNING)
		metric_observe(&m->metrics.start, o->delay_ms);
}

void
api_carry_out(struct master *m)
{
	const struct cluster_out *o = &m->cluster.out;

	for (size_t i = 0; i < o->count; i++) {
		observe_delays(m, &o->items[i]);
		tell_watchers(m, &o->items[i]);
		if (o->items[i].kind == OUT_JOB_ACCEPTED || o->items[i].kind == OUT_JOB)
			answer_waiters(m, &o->items[i]);
	}
	admin_carry_out(m);
}

void
api_drop_all(struct master *m)
{
	struct list *first;

	while ((first = list_first(&m->waiters)) != NULL) {
		struct waiter *w = CONTAINER_OF(first, struct waiter, in_all);

		api_deposed(m, w->request);
		waiter_free(w);
	}
	admin_drop_all(m);
	while ((first = list_first(&m->watchers)) != NULL) {
		struct watcher *w = CONTAINER_OF(first, struct watcher, in_all);

		list_remove(first);
		http_stream_end(w->request);
		free(w);
	}
}

/* --- routes --- */

/*
 * Only the leader answers; the others say who that is, or ask there for who has no certificate. A
 * leader at our own address is our predecessor, whose session has not timed out yet: nobody leads
 * until then. Nor do we send anybody on while we are becoming the leader ourselves.
 */
bool
api_leads(struct master *m, struct http_request *r)
{
	if (m->leading && master_may_act(m))
		return true;
	if (m->elect.state != ELECT_STANDBY || m->leader.api_address[0] == '\0' ||
	    strcmp(m->leader.api_address, m->info.api_address) == 0)
		api_refuse(m, r, 503, "no master leads at the moment: try again");
	else if (api_is_local(r))
		forward_request(m, r);
	else
		http_redirect(r, m->leader.api_address);
	return false;
}

/* Of our cluster; an account of this machine is. */
static bool
is_ours(const struct master *m, const struct http_request *r, const struct tls_peer *peer)
{
	return api_is_local(r) || strcmp(peer->cluster, m->conf.cluster.name) == 0;
}

static bool
may_ask(struct master *m, struct http_request *r)
{
	const struct tls_peer *peer = api_peer(r);
	char who[TLS_NAME_MAX + 16];

	if (strlen(peer->name) <= NAME_BYTES_MAX &&
	    (peer->role == TLS_ROLE_OPERATOR || peer->role == TLS_ROLE_USER ||
		peer->role == TLS_ROLE_MASTER) &&
	    is_ours(m, r, peer))
		return true;
	api_refuse(m, r, 403,
	    "%s%s%s may not ask this: the API is for operators, users and masters of cluster '%s'",
	    api_who(r, who, sizeof who), peer->cluster[0] != '\0' ? " of cluster " : "",
	    peer->cluster, m->conf.cluster.name);
	return false;
}

bool
api_operators_only(struct master *m, struct http_request *r)
{
	const struct tls_peer *peer = api_peer(r);
	char who[TLS_NAME_MAX + 16];

	if (peer->role == TLS_ROLE_OPERATOR)
		return true;
	api_error(
	    m, r, 403, "%s may not do this: it is for operators", api_who(r, who, sizeof who));
	return false;
}

static void
route_get(struct master *m, struct http_request *r, const char *what)
{
	if (strcmp(what, "jobs") == 0)
		view_jobs(m, r);
	else if (strcmp(what, "tasks") == 0)
		view_tasks(m, r);
	else if (strcmp(what, "nodes") == 0)
		view_nodes(m, r);
	else if (strcmp(what, "status") == 0)
		view_status(m, r);
	else if (strcmp(what, "events") == 0)
		handle_events(m, r);
	else if (str_starts(what, "why/"))
		view_why(m, r, what + strlen("why/"));
	else if (str_starts(what, "logs/"))
		stream_logs(m, r, what + strlen("logs/"));
	else
		api_error(m, r, 404, "there is nothing at %s", http_request_path(r));
}

static void
handle_api(void *arg, struct http_request *r)
{
	struct master *m = arg;
	const char *path = http_request_path(r);
	const char *what = str_starts(path, API_PREFIX) ? path + strlen(API_PREFIX) : "";
	bool post = strcmp(http_request_method(r), "POST") == 0;

	if (!may_ask(m, r) || !api_leads(m, r) || admin_route(m, r, what, post))
		return;
	if (str_starts(what, "jobs/"))
		handle_job(m, r, what + strlen("jobs/"));
	else if (post && strcmp(what, "jobs") == 0)
		handle_submit(m, r);
	else if (post && strcmp(what, "run") == 0)
		stream_run(m, r);
	else if (post && str_starts(what, "logs/"))
		stream_logs(m, r, what + strlen("logs/"));
	else if (post)
		api_error(m, r, 404, "nothing can be posted to %s", path);
	else
		route_get(m, r, what);
}

static void
handle_health(void *arg, struct http_request *r)
{
	struct master *m = arg;

	/* A standby is healthy as long as it can reach the ensemble. */
	if (!m->ensemble_up)
		http_reply_text(r, 503, "no connection to the ensemble\n");
	else
		http_reply_text(
		    r, 200, "%s\n", m->leading && master_may_act(m) ? "leader" : "standby");
}

static void
handle_version(void *arg, struct http_request *r)
{
	struct master *m = arg;

	http_reply_text(r, 200, "corral-master %s\n", m->info.version);
}

static void
handle_metrics(void *arg, struct http_request *r)
{
	struct master *m = arg;

	master_metrics_update(&m->metrics, m->leading ? &m->cluster : NULL);
	buf_clear(&m->scratch);
	metrics_print(&m->metrics.all, &m->scratch);
	http_reply(r, 200, "text/plain; version=0.0.4", m->scratch.data, m->scratch.len);
}

static const struct http_route routes[] = {
    {"GET", "/health", true, handle_health, 0},
    {"GET", "/version", true, handle_version, 0},
    {"GET", "/metrics", true, handle_metrics, 0},
    {"POST", "/corral/v1/join", true, enrol_join, JOIN_BYTES_MAX},
    {"POST", "/corral/v1/renew", false, enrol_renew, 0},
    {"GET", "/corral/v1", false, handle_api, 0},
    {"POST", "/corral/v1", false, handle_api, 0},
};

/* Those who have no certificate can do without the socket, too: its failure is no reason to end. */
static void
listen_locally(struct master *m, struct http_config config)
{
	char why[512];

	config.anonymous = true;
	m->http_local =
	    http_server_open(m->loop, m->conf.master.socket, NULL, &config, m, why, sizeof why);
	if (m->http_local != NULL)
		api_open_socket(m->conf.master.socket);
	else
		log_warn("[master] socket=%s", why);
}

bool
api_listen(struct master *m, char *error, size_t size)
{
	struct http_config config = {
	    .routes = routes,
	    .route_count = sizeof routes / sizeof *routes,
	    .connections_max = CONNECTIONS_MAX,
	    .body_bytes_max = BODY_BYTES_MAX,
	    .queue_bytes_max = EVENT_QUEUE_BYTES_MAX,
	    .handshake_ms = 10000,
	    .request_ms = 30000,
	    .idle_ms = 60000,
	    .realm = m->conf.cluster.name,
	};

	if (!api_read_credentials(m, error, size))
		return false;
	if (m->credentials != NULL)
		config.authenticate = api_authenticate;
	m->http =
	    http_server_open(m->loop, m->conf.master.listen, m->tls_api, &config, m, error, size);
	if (m->http != NULL && m->conf.master.socket != NULL)
		listen_locally(m, config);
	return m->http != NULL;
}

void
api_close(struct master *m)
{
	forward_drop_all(m);
	http_server_close(m->http_local);
	http_server_close(m->http);
	credentials_free(m->credentials);
}
