/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do by the API beside jobs. Each is answered when the store has it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "master/master.h"

#define DRAIN_DELAY_MAX_MS (UINT64_C(3660) * 86400 * 1000)

struct stored_waiter {
	struct list in_all;
	struct http_request *request;
	uint64_t ticket;
	admin_answer *answer;
	void *arg;
	void (*release)(void *arg);
};

static void
waiter_free(struct stored_waiter *w)
{
	list_remove(&w->in_all);
	if (w->release != NULL)
		w->release(w->arg);
	free(w);
}

static void
waiter_gone(void *arg, struct http_request *r)
{
	(void)r;
	waiter_free(arg);
}

void
admin_wait(struct master *m, struct http_request *r, admin_answer *answer, void *arg,
    void (*release)(void *arg))
{
	struct stored_waiter *w = malloc(sizeof *w);

	if (w == NULL) {
		api_error(m, r, 503, "out of memory: what was asked for may or may not be done");
		if (release != NULL)
			release(arg);
		return;
	}
	*w = (struct stored_waiter){
	    .request = r,
	    .ticket = cluster_ticket(&m->cluster),
	    .answer = answer,
	    .arg = arg,
	    .release = release,
	};
	list_init(&w->in_all);
	list_append(&m->stored_waiters, &w->in_all);
	http_request_on_gone(r, waiter_gone, w);
}

void
admin_carry_out(struct master *m)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->stored_waiters) {
		struct stored_waiter *w = CONTAINER_OF(it, struct stored_waiter, in_all);

		if (!cluster_has_stored(&m->cluster, w->ticket))
			continue;
		w->answer(m, w->request, w->arg);
		waiter_free(w);
	}
}

void
admin_drop_all(struct master *m)
{
	struct list *first;

	while ((first = list_first(&m->stored_waiters)) != NULL) {
		struct stored_waiter *w = CONTAINER_OF(first, struct stored_waiter, in_all);

		api_deposed(m, w->request);
		waiter_free(w);
	}
}

/* ---- nodes ---- */

static struct agent *
find_node(struct master *m, struct http_request *r, const char *name)
{
	struct agent *a = cluster_agent(&m->cluster, name);

	if (a != NULL && !a->gone)
		return a;
	api_error(m, r, 404, "there is no node '%s'", name);
	return NULL;
}

static void
answer_node(struct master *m, struct http_request *r, void *arg)
{
	struct node_view n;

	view_node(m, arg, &n);
	api_reply(m, r, 200, &n.v.base);
}

static void
node_done(struct master *m, struct http_request *r, struct agent *a, const char *what)
{
	char who[TLS_NAME_MAX + 16];

	log_info("node %s: %s by %s", a->name, what, api_who(r, who, sizeof who));
	admin_wait(m, r, answer_node, a, NULL);
}

/* From now on so long; false: longer than anybody waits. */
static bool
moment(uint64_t now_ms, bool wanted, uint64_t delay_ms, uint64_t otherwise, uint64_t *at_ms)
{
	*at_ms = wanted ? now_ms + delay_ms : otherwise;
	return !wanted || delay_ms <= DRAIN_DELAY_MAX_MS;
}

static void
drain(struct master *m, struct http_request *r, struct agent *a, const Corral__Api__NodeDrain *d)
{
	uint64_t now_ms = clock_boot_ms();
	struct drain drain = {.wanted = true};
	bool ok = moment(now_ms, d->has_from_ms, d->from_ms, now_ms, &drain.from_ms) &&
		  moment(now_ms, d->has_stop_ms, d->stop_ms, UINT64_MAX, &drain.stop_ms) &&
		  moment(now_ms, d->has_until_ms, d->until_ms, UINT64_MAX, &drain.until_ms);

	if (!ok) {
		api_error(m, r, 400, "a drain begins and ends within ten years");
	} else if (drain.stop_ms < drain.from_ms || drain.until_ms <= drain.from_ms) {
		api_error(m, r, 400, "a drain must end after it begins, and its tasks not before");
	} else {
		cluster_drain(&m->cluster, now_ms, a, &drain);
		node_done(m, r, a, "is drained");
	}
}

static void
handle_drain(struct master *m, struct http_request *r, struct agent *a)
{
	Corral__Api__NodeDrain *d =
	    (Corral__Api__NodeDrain *)api_body(m, r, &corral__api__node_drain__descriptor);

	if (d == NULL)
		return;
	drain(m, r, a, d);
	corral__api__node_drain__free_unpacked(d, NULL);
}

static void
handle_undrain(struct master *m, struct http_request *r, struct agent *a)
{
	static const struct drain none;

	if (!a->drain.wanted) {
		api_error(m, r, 409, "node %s is not drained", a->name);
		return;
	}
	cluster_drain(&m->cluster, clock_boot_ms(), a, &none);
	node_done(m, r, a, "is undrained");
}

static void
handle_mark(struct master *m, struct http_request *r, struct agent *a)
{
	if (cluster_mark_unreachable(&m->cluster, a))
		node_done(m, r, a, "is marked unreachable");
	else
		api_error(m, r, 409,
		    "node %s is connected: it is reached. To keep tasks away from it: corral drain "
		    "%s",
		    a->name, a->name);
}

static void
handle_forget(struct master *m, struct http_request *r, struct agent *a)
{
	Corral__Api__NodeForget *f =
	    (Corral__Api__NodeForget *)api_body(m, r, &corral__api__node_forget__descriptor);
	char error[400];

	if (f == NULL)
		return;
	if (cluster_forget(&m->cluster, clock_boot_ms(), a, f->powered_off, error, sizeof error))
		node_done(
		    m, r, a, f->powered_off ? "was powered off, and is forgotten" : "is forgotten");
	else
		api_error(m, r, 409, "%s", error);
	corral__api__node_forget__free_unpacked(f, NULL);
}

static void
route_nodes(struct master *m, struct http_request *r, const char *rest, bool post)
{
	static const struct {
		const char *verb;
		void (*handle)(struct master *m, struct http_request *r, struct agent *a);
	} verbs[] = {{"/drain", handle_drain}, {"/undrain", handle_undrain},
	    {"/mark-unreachable", handle_mark}, {"/forget", handle_forget}};
	char name[CLUSTER_NAME_MAX + 1] = "";
	size_t size = strcspn(rest, "/");
	struct agent *a;

	if (!api_operators_only(m, r))
		return;
	if (size < sizeof name)
		memcpy(name, rest, size);
	for (size_t i = 0; post && i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(rest + size, verbs[i].verb) != 0)
			continue;
		if ((a = find_node(m, r, name)) != NULL)
			verbs[i].handle(m, r, a);
		return;
	}
	api_error(m, r, 404, "no such thing to ask of a node");
}

/* ---- the era ---- */

static void
reply_era(struct master *m, struct http_request *r)
{
	const struct cluster *c = &m->cluster;
	Corral__Api__Era v = CORRAL__API__ERA__INIT;
	Corral__Term term = CORRAL__TERM__INIT, seen = CORRAL__TERM__INIT;

	v.era = term.era = c->term.era;
	term.czxid = c->term.czxid;
	v.term = &term;
	if (c->seen.era != 0) {
		seen.era = c->seen.era;
		seen.czxid = c->seen.czxid;
		v.seen = &seen;
	}
	v.has_next = c->era_next != 0;
	v.next = c->era_next;
	api_reply(m, r, 200, &v.base);
}

/* Our own term is of the old era: the next election, ours or another's, is of the new one. */
static void
answer_bump(struct master *m, struct http_request *r, void *arg)
{
	(void)arg;
	reply_era(m, r);
	elect_drop(&m->elect, "the era was raised");
}

static void
handle_bump(struct master *m, struct http_request *r)
{
	Corral__Api__EraBump *b =
	    (Corral__Api__EraBump *)api_body(m, r, &corral__api__era_bump__descriptor);
	char who[TLS_NAME_MAX + 16];

	if (b == NULL)
		return;
	if (b->old_masters_are_stopped) {
		log_warn("the era becomes %" PRIu64 ", by %s", cluster_era_bump(&m->cluster),
		    api_who(r, who, sizeof who));
		admin_wait(m, r, answer_bump, NULL, NULL);
	} else {
		api_error(m, r, 400,
		    "agents will obey no master of before: say that all masters which could lead "
		    "without this ensemble are stopped (--old-masters-are-stopped)");
	}
	corral__api__era_bump__free_unpacked(b, NULL);
}

static void
route_era(struct master *m, struct http_request *r, const char *rest, bool post)
{
	if (!post && rest[0] == '\0')
		reply_era(m, r);
	else if (!post || strcmp(rest, "/bump") != 0)
		api_error(m, r, 404, "no such thing to ask of the era");
	else if (api_operators_only(m, r))
		handle_bump(m, r);
}

/* ---- routes ---- */

static void
route_tokens(struct master *m, struct http_request *r, const char *rest, bool post)
{
	char id[TOKEN_ID_SIZE] = "";
	size_t size = strcspn(rest, "/");

	if (!api_operators_only(m, r))
		return;
	if (size < sizeof id)
		memcpy(id, rest, size);
	if (post && rest[0] == '\0')
		enrol_token_create(m, r);
	else if (!post && rest[0] == '\0')
		enrol_token_list(m, r);
	else if (post && strcmp(rest + size, "/revoke") == 0)
		enrol_token_revoke(m, r, id);
	else
		api_error(m, r, 404, "no such thing to ask of a token");
}

bool
admin_route(struct master *m, struct http_request *r, const char *what, bool post)
{
	if (strcmp(what, "tokens") == 0 || str_starts(what, "tokens/"))
		route_tokens(m, r, what + strlen("tokens") + (what[strlen("tokens")] == '/'), post);
	else if (str_starts(what, "nodes/"))
		route_nodes(m, r, what + strlen("nodes/"), post);
	else if (strcmp(what, "era") == 0 || str_starts(what, "era/"))
		route_era(m, r, what + strlen("era"), post);
	else
		return roles_route(m, r, what, post);
	return true;
}
