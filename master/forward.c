/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A standby passes on to the leader what comes by its local socket: who asks has no certificate
 * with which to ask there. The leader is told by a header whose request it is, and believes that of
 * masters alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/sys/log.h"
#include "master/master.h"

enum {
	FORWARDS_MAX = 256,
	FORWARDS_KEPT = 32,	    /* of these, for operators */
	FORWARDS_ACCOUNT_MAX = 32,  /* of one user's account */
	REPLY_BYTES_MAX = 64 << 20, /* the longest list of tasks */
	LINK_QUEUE_BYTES_MAX = 8 << 20,
	CONNECT_MS = 10000,
	REPLY_MS = 60000,
};

/* A request on its way, or two links of which each hands on what the other one gets. */
struct forward {
	struct list in_all;
	struct master *m;
	struct http_request *request; /* NULL: it is answered */
	struct http_call *call;	      /* NULL: it is over */
	bool streaming;		      /* lines of the answer are being passed on */
	struct link *client, *leader; /* after an upgrade */
	char who[TLS_NAME_MAX + 16];
};

static void
forward_free(struct forward *f)
{
	f->m->forward_count--;
	list_remove(&f->in_all);
	http_call_cancel(f->call);
	free(f);
}

/* --- links --- */

static void
links_end(struct forward *f)
{
	if (f->client != NULL)
		link_close(f->client);
	if (f->leader != NULL)
		link_close(f->leader);
	forward_free(f);
}

static struct link **
other_end(struct forward *f, const struct link *l)
{
	return l == f->client ? &f->leader : &f->client;
}

static void
link_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct forward *f = arg;

	/* Both ends keep to the windows of their streams: more than these is nobody's due. */
	if (!link_send(*other_end(f, l), bytes, size)) {
		log_warn("what goes through to the leader is not fetched: ending its connection");
		links_end(f);
	}
}

static void
link_up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

static void
link_down(void *arg, struct link *l, const char *why)
{
	struct forward *f = arg;

	(void)why;
	*(l == f->client ? &f->client : &f->leader) = NULL;
	links_end(f);
}

static const struct link_ops link_ops = {.up = link_up, .frame = link_frame, .down = link_down};
static const struct link_limits link_limits = {
    .frame_bytes_max = FRAME_CLIENT_MASTER_BYTES_MAX,
    .queue_bytes_max = LINK_QUEUE_BYTES_MAX,
    .handshake_ms = CONNECT_MS,
};

static void
call_upgraded(void *arg, struct link *l)
{
	struct forward *f = arg;

	f->call = NULL;
	f->leader = l;
	link_set_arg(l, &link_ops, f);
	f->client = http_upgrade(f->request, &link_limits, &link_ops, f);
	f->request = NULL;
	if (f->client == NULL)
		links_end(f);
}

/* --- answers --- */

static void
call_done(void *arg, const struct http_response *response)
{
	struct forward *f = arg;

	f->call = NULL;
	if (f->streaming)
		http_stream_end(f->request);
	else if (response->status == 307 || response->status == 308)
		api_refuse(f->m, f->request, 503, "no master leads at the moment: try again");
	else
		http_reply(f->request, response->status, response->content_type, response->body,
		    response->size);
	forward_free(f);
}

static void
call_failed(void *arg, const char *why)
{
	struct forward *f = arg;

	f->call = NULL;
	if (f->streaming)
		http_stream_end(f->request);
	else
		api_refuse(f->m, f->request, 503, "the leading master cannot be asked: %s", why);
	forward_free(f);
}

static void
call_line(void *arg, const char *line, size_t size)
{
	struct forward *f = arg;

	if (!f->streaming)
		http_stream_start(f->request, 200, "application/json");
	f->streaming = true;
	if (http_stream_send(f->request, line, size))
		(void)http_stream_send(f->request, "\n", 1);
}

static void
request_gone(void *arg, struct http_request *r)
{
	(void)r;
	forward_free(arg);
}

/* --- requests --- */

static struct http_call *
call_leader(struct forward *f, struct http_request *r)
{
	static const struct http_call_ops whole = {
	    .done = call_done, .failed = call_failed, .upgraded = call_upgraded};
	static const struct http_call_ops by_line = {
	    .done = call_done, .failed = call_failed, .line = call_line};
	bool events = strcmp(http_request_path(r), "/corral/v1/events") == 0;
	char field[TLS_NAME_MAX + 64];
	const char *headers[] = {field, NULL};
	struct http_call_spec spec = {.address = f->m->leader.api_address,
	    .peer_role = TLS_ROLE_MASTER,
	    .method = http_request_method(r),
	    .target = http_request_target(r),
	    .headers = headers,
	    .reply_bytes_max = REPLY_BYTES_MAX,
	    .connect_ms = CONNECT_MS,
	    .reply_ms = REPLY_MS,
	    .upgrade = http_request_wants_upgrade(r),
	    .link_limits = link_limits,
	    .link_ops = &link_ops};

	snprintf(field, sizeof field, API_FOR_HEADER ": %s", f->who);
	spec.body = http_request_body(r, &spec.body_size);
	return http_call(f->m->loop, f->m->tls_agents, &spec, events ? &by_line : &whole, f);
}

static unsigned
count_of(struct master *m, const char *who)
{
	unsigned count = 0;
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->forwards)
		count += strcmp(CONTAINER_OF(it, struct forward, in_all)->who, who) == 0;
	return count;
}

/* A user's account must leave room for the other users, and all users for operators. (Accounts that
 * have no name, and may but join, are as one.) */
static bool
has_room(struct master *m, struct http_request *r, const char *who)
{
	bool user = api_peer(r)->role != TLS_ROLE_OPERATOR;

	if (user && count_of(m, who) >= FORWARDS_ACCOUNT_MAX) {
		api_refuse(m, r, 503,
		    "this standby passes on %d requests of %s to the leader already, and no more "
		    "of one account at a time: let a run, or logs that are followed, end first",
		    FORWARDS_ACCOUNT_MAX, who);
		return false;
	}
	if (m->forward_count >= FORWARDS_MAX - (user ? FORWARDS_KEPT : 0)) {
		api_refuse(m, r, 503,
		    "this standby passes on %zu requests to the leader already: try again, or ask "
		    "the leader, %s, with a certificate",
		    m->forward_count, m->leader.api_address);
		return false;
	}
	return true;
}

void
forward_request(struct master *m, struct http_request *r)
{
	char who[TLS_NAME_MAX + 16];
	struct forward *f;

	if (!has_room(m, r, api_who(r, who, sizeof who)))
		return;
	if ((f = calloc(1, sizeof *f)) == NULL) {
		api_refuse(m, r, 503, "out of memory");
		return;
	}
	(void)str_copy(f->who, sizeof f->who, who);
	f->m = m;
	f->request = r;
	m->forward_count++;
	list_append(&m->forwards, &f->in_all);
	if ((f->call = call_leader(f, r)) == NULL) {
		api_refuse(m, r, 503, "out of memory");
		forward_free(f);
		return;
	}
	http_request_on_gone(r, request_gone, f);
}

void
forward_drop_all(struct master *m)
{
	struct list *first;

	while ((first = list_first(&m->forwards)) != NULL) {
		struct forward *f = CONTAINER_OF(first, struct forward, in_all);

		if (f->request != NULL && f->streaming)
			http_stream_end(f->request);
		else if (f->request != NULL)
			api_refuse(m, f->request, 503, "this master stops");
		links_end(f);
	}
}
