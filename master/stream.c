/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what `corral run` and `corral logs` see of tasks. A client's link carries the streams of
 * all the tasks that it follows; each is relayed to the agent under a number of ours. Data are
 * passed on at once and held nowhere: whoever sends may have one window on the way, which the other
 * end's acknowledgements open again. Only input that comes before its task runs waits here, within
 * that window.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "master/stream_client.h"

enum {
	WINDOW_BYTES = 1 << 20,
	FRAME_BYTES_MAX = 2 << 20,
	QUEUE_BYTES_MAX = 64 << 20,
	OPEN_MAX = 48,	   /* streams of one client at a time; the others wait for one to end */
	LINGER_MS = 10000, /* for the rest of the output after the end of the tasks */
	STATUS_OURS = 125, /* what `corral run` exits with when it is not the task that failed */
};

/* --- to the client --- */

static void client_free(struct client *c);

static bool
send_message(struct client *c, Corral__Api__MasterToClient *message)
{
	struct buf *b = &c->m->scratch;
	size_t size = corral__api__master_to_client__get_packed_size(message);
	uint8_t *bytes;

	buf_clear(b);
	bytes = buf_reserve(b, size);
	if (bytes == NULL)
		return false;
	corral__api__master_to_client__pack(message, bytes);
	return link_send(c->link, bytes, size);
}

/*
 * The leader's word. Past the right to give it nothing is sent: the end of this turn drops the
 * client, which is told so.
 */
static bool
send_to_client(struct client *c, Corral__Api__MasterToClient *message)
{
	return !master_may_act(c->m) || send_message(c, message);
}

static void
send_error(struct client *c, const char *why)
{
	Corral__Api__Error error = CORRAL__API__ERROR__INIT;
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;

	error.error = (char *)why;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_ERROR;
	message.error = &error;
	(void)send_message(c, &message);
}

/* The last word; the client is gone after it, here or with the loss of leadership. */
static void
finish(struct client *c)
{
	Corral__Api__RunEnd end = CORRAL__API__RUN_END__INIT;
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;

	if (!master_may_act(c->m))
		return;
	end.status = c->status;
	end.message = c->message[0] == '\0' ? NULL : c->message;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_END;
	message.end = &end;
	(void)send_to_client(c, &message);
	link_close(c->link);
	client_free(c);
}

/* --- to the agent --- */

static void
relay_free(struct relay *r)
{
	r->client->open--;
	list_remove(&r->in_client);
	free(r);
}

static bool
relay_is_live(const struct relay *r)
{
	return r->agent->link != NULL && r->agent->registration == r->registration;
}

/* Tell the agent, and forget the relay; first the latter, since the former may end the connection.
 */
static void
relay_close(struct relay *r)
{
	Corral__StreamClose close = CORRAL__STREAM_CLOSE__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	struct master *m = r->client->m;
	struct agent *a = r->agent;
	bool live = relay_is_live(r);

	close.stream = r->number;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_CLOSE;
	message.stream_close = &close;
	relay_free(r);
	if (live)
		(void)agent_send(m, a, &message);
}

static void
fill_key(const struct task_key *from, Corral__TaskKey *key, Corral__Term *term)
{
	corral__task_key__init(key);
	corral__term__init(term);
	term->era = from->term.era;
	term->czxid = from->term.czxid;
	key->job = (char *)from->job;
	key->incarnation = from->incarnation;
	key->index = from->index;
	key->attempt = from->attempt;
	key->term = term;
}

static void
send_input(struct relay *r, const uint8_t *bytes, size_t size, bool eof)
{
	Corral__StreamData data = CORRAL__STREAM_DATA__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	data.stream = r->number;
	data.fd = 0;
	data.has_data = size > 0;
	data.data.data = (uint8_t *)bytes;
	data.data.len = size;
	data.has_eof = true;
	data.eof = eof;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_DATA;
	message.stream_data = &data;
	if (relay_is_live(r))
		(void)agent_send(r->client->m, r->agent, &message);
}

static void
flush_early_input(struct relay *r)
{
	struct client *c = r->client;

	if (!c->input || r->index != 0 || (c->early.len == 0 && !c->early_eof))
		return;
	send_input(r, c->early.data, c->early.len, c->early_eof);
	buf_clear(&c->early);
	c->early_eof = false;
}

static bool
relay_open(struct client *c, struct agent *a, const struct task_key *key)
{
	Corral__StreamOpen open = CORRAL__STREAM_OPEN__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__TaskKey k;
	Corral__Term term;
	struct relay *r = a->link == NULL ? NULL : calloc(1, sizeof *r);

	if (r == NULL)
		return false;
	*r = (struct relay){
	    .client = c, .agent = a, .registration = a->registration, .index = key->index};
	r->number = ++c->m->next_stream;
	list_append(&c->relays, &r->in_client);
	c->open++;
	fill_key(key, &k, &term);
	open.stream = r->number;
	open.key = &k;
	open.has_follow = open.has_input = open.has_tail_lines = true;
	open.follow = c->follow;
	open.input = c->input && key->index == 0;
	open.tail_lines = c->tail_lines;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_OPEN;
	message.stream_open = &open;
	if (!agent_send(c->m, a, &message))
		return false; /* ending the agent's connection ended the relay, too */
	flush_early_input(r);
	return true;
}

static void
close_relays(struct client *c)
{
	struct list *first;

	while ((first = list_first(&c->relays)) != NULL)
		relay_close(CONTAINER_OF(first, struct relay, in_client));
}

static void
client_free(struct client *c)
{
	struct list *first;

	while ((first = list_first(&c->relays)) != NULL)
		relay_free(CONTAINER_OF(first, struct relay, in_client));
	if (c->job != NULL)
		c->job->client = NULL;
	timer_cancel(&c->timer);
	list_remove(&c->in_all);
	buf_fini(&c->early);
	free(c);
}

/* --- ends --- */

static int32_t
status_of(const struct client *c, const struct cell *cell)
{
	if (cell->state == CELL_FINISHED)
		return 0;
	if (cell->state == CELL_STOPPED && c->signal != 0)
		return 128 + c->signal;
	switch (cell->reason) {
	case CORRAL__TASK_REASON__REASON_EXIT:
	case CORRAL__TASK_REASON__REASON_CANNOT_EXECUTE:
		return cell->code;
	case CORRAL__TASK_REASON__REASON_SIGNAL:
		return 128 + cell->code;
	case CORRAL__TASK_REASON__REASON_OUT_OF_MEMORY:
	case CORRAL__TASK_REASON__REASON_TIME_LIMIT:
	case CORRAL__TASK_REASON__REASON_DISK_LIMIT:
		return 128 + SIGKILL;
	case CORRAL__TASK_REASON__REASON_STOPPED:
		return 128 + SIGTERM;
	default:
		return STATUS_OURS;
	}
}

/* All tasks are over: the worst of them is what counts. */
static void
note_end(struct client *c)
{
	const struct job *j = c->job;

	for (uint32_t i = 0; i < j->count; i++) {
		int32_t status = status_of(c, &j->cells[i]);

		if (status > c->status)
			c->status = status;
	}
	c->ended = true;
	c->job->client = NULL;
	c->job = NULL;
	timer_set(&c->timer, clock_boot_ms() + LINGER_MS);
}

/* Logs: the next indexes. The job may have been removed since the last time. */
static void
open_more(struct client *c)
{
	struct cluster *cluster = &c->m->cluster;
	struct job *j = cluster_job(cluster, c->name);
	struct task_key key;
	struct agent *a;

	if (j == NULL || j->incarnation != c->incarnation)
		c->next_index = c->end_index;
	for (; c->open < OPEN_MAX && c->next_index < c->end_index; c->next_index++) {
		a = cluster_last_attempt(cluster, j, c->next_index, &key);
		if (a != NULL && !relay_open(c, a, &key))
			snprintf(c->message, sizeof c->message,
			    "node %s is not connected: what its tasks wrote is missing", a->name);
	}
}

void
client_settle(struct client *c)
{
	if (!c->run)
		open_more(c);
	if (c->open > 0)
		return;
	if (c->run ? c->ended : c->next_index >= c->end_index)
		finish(c);
}

static void
time_is_up(void *arg)
{
	struct client *c = arg;

	if (!master_may_act(c->m))
		return; /* the end of this turn drops the client */
	if (c->ended) {
		if (c->open > 0 && c->message[0] == '\0')
			snprintf(
			    c->message, sizeof c->message, "the rest of the output did not arrive");
		close_relays(c);
		finish(c);
	} else if (!c->run) {
		client_settle(c); /* an agent went */
	} else if (!c->launched && c->job != NULL) {
		c->status = STATUS_OURS;
		snprintf(
		    c->message, sizeof c->message, "not placed in time: corral why %s", c->name);
		cluster_stop(
		    &c->m->cluster, clock_boot_ms(), c->job, "its time to be placed is over");
		finish(c);
	}
}

/* --- from the client --- */

static struct relay *
relay_of_index(struct client *c, uint64_t index)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->relays)
	{
		struct relay *r = CONTAINER_OF(it, struct relay, in_client);

		if (r->index == index)
			return r;
	}
	return NULL;
}

static bool
take_input(struct client *c, const Corral__StreamData *d)
{
	struct relay *r = relay_of_index(c, 0);

	if (!c->input)
		return true;
	if (r != NULL) {
		send_input(r, d->data.data, d->data.len, d->eof);
		return true;
	}
	if (c->ended || c->launched)
		return true; /* nobody reads it any more */
	buf_append(&c->early, d->data.data, d->data.len);
	c->early_eof = c->early_eof || d->eof;
	return !c->early.failed;
}

static void
take_ack(struct client *c, const Corral__StreamAck *ack)
{
	struct relay *r = relay_of_index(c, ack->stream);
	Corral__StreamAck passed = CORRAL__STREAM_ACK__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	if (r == NULL || !relay_is_live(r))
		return;
	passed.stream = r->number;
	passed.bytes = ack->bytes;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_ACK;
	message.stream_ack = &passed;
	(void)agent_send(c->m, r->agent, &message);
}

static void
signal_task(struct master *m, const struct attempt *t, int32_t signo)
{
	Corral__TaskSignal signal_message = CORRAL__TASK_SIGNAL__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	struct task_key key;
	Corral__TaskKey k;
	Corral__Term term;

	cluster_key(t, &key);
	fill_key(&key, &k, &term);
	signal_message.key = &k;
	signal_message.signal = signo;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_TASK_SIGNAL;
	message.task_signal = &signal_message;
	(void)agent_send(m, t->agent, &message);
}

/* To every task; what waits is cancelled by a signal that would have ended it. */
static void
take_signal(struct client *c, int32_t signo)
{
	struct list *it, *nx;

	if (!c->run || c->job == NULL || signo < 1 || signo > 64)
		return;
	c->signal = signo;
	if (c->job->in_state[CELL_LIVE] == 0 &&
	    (signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT)) {
		cluster_stop(&c->m->cluster, clock_boot_ms(), c->job, "a signal");
		return;
	}
	LIST_EACH(it, nx, &c->job->attempts)
	{
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_job);

		if (!task_state_terminal(t->state))
			signal_task(c->m, t, signo);
	}
}

/* The client is gone: what it ran is stopped. */
static void
leave(struct client *c)
{
	close_relays(c);
	if (c->job != NULL && c->m->leading && master_may_act(c->m))
		cluster_stop(&c->m->cluster, clock_boot_ms(), c->job, "its client left");
	client_free(c);
}

static void
on_frame(void *arg, struct link *link, const uint8_t *bytes, size_t size)
{
	struct client *c = arg;
	Corral__Api__ClientToMaster *message;
	bool ok = true;

	if (!c->m->leading || !master_may_act(c->m))
		return;
	message = corral__api__client_to_master__unpack(NULL, size, bytes);
	if (message == NULL) {
		link_abort(link);
		leave(c);
		return;
	}
	switch (message->body_case) {
	case CORRAL__API__CLIENT_TO_MASTER__BODY_DATA:
		ok = take_input(c, message->data);
		break;
	case CORRAL__API__CLIENT_TO_MASTER__BODY_ACK:
		take_ack(c, message->ack);
		break;
	case CORRAL__API__CLIENT_TO_MASTER__BODY_SIGNAL:
		take_signal(c, message->signal);
		break;
	default:
		break;
	}
	corral__api__client_to_master__free_unpacked(message, NULL);
	if (ok)
		return;
	send_error(c, "more input than the window allows");
	link_close(link);
	leave(c);
}

static void
on_down(void *arg, struct link *link, const char *why)
{
	struct client *c = arg;

	(void)link;
	log_debug("%s: its client left: %s", c->name, why);
	leave(c);
}

static const struct link_ops ops = {.frame = on_frame, .down = on_down};

struct client *
client_new(struct master *m, struct http_request *r, struct job *j)
{
	struct link_limits limits = {
	    .frame_bytes_max = FRAME_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = 10000,
	};
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->m = m;
	memcpy(c->name, j->name, sizeof c->name);
	list_init(&c->relays);
	buf_init(&c->early, WINDOW_BYTES);
	timer_init(&c->timer, m->loop, time_is_up, c);
	c->link = http_upgrade(r, &limits, &ops, c);
	if (c->link == NULL) {
		buf_fini(&c->early);
		free(c);
		return NULL;
	}
	list_append(&m->clients, &c->in_all);
	return c;
}

/* --- from agents and from the core --- */

static struct relay *
relay_of_number(struct master *m, const struct agent *a, uint64_t number)
{
	struct list *it, *nx, *rit, *rnx;

	LIST_EACH(it, nx, &m->clients)
	{
		struct client *c = CONTAINER_OF(it, struct client, in_all);

		LIST_EACH(rit, rnx, &c->relays)
		{
			struct relay *r = CONTAINER_OF(rit, struct relay, in_client);

			if (r->number == number && r->agent == a)
				return r;
		}
	}
	return NULL;
}

static void
pass_data(struct relay *r, Corral__StreamData *d)
{
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;
	struct client *c = r->client;

	d->stream = r->index;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_DATA;
	message.data = d;
	if (send_to_client(c, &message))
		return;
	log_warn("%s: its client does not read, ending its connection", c->name);
	link_abort(c->link);
	leave(c);
}

static void
pass_ack(struct relay *r, const Corral__StreamAck *ack)
{
	Corral__StreamAck passed = CORRAL__STREAM_ACK__INIT;
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;

	passed.stream = r->index;
	passed.bytes = ack->bytes;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_ACK;
	message.ack = &passed;
	(void)send_to_client(r->client, &message);
}

void
stream_from_agent(struct master *m, struct agent *a, const Corral__AgentToMaster *message)
{
	struct relay *r;
	struct client *c;

	switch (message->body_case) {
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_DATA:
		if ((r = relay_of_number(m, a, message->stream_data->stream)) != NULL)
			pass_data(r, message->stream_data);
		break;
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_ACK:
		if ((r = relay_of_number(m, a, message->stream_ack->stream)) != NULL)
			pass_ack(r, message->stream_ack);
		break;
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_CLOSE:
		if ((r = relay_of_number(m, a, message->stream_close->stream)) == NULL)
			break;
		c = r->client;
		if (message->stream_close->error != NULL && message->stream_close->error[0] != '\0')
			snprintf(c->message, sizeof c->message, "%s.%" PRIu32 ": %s", c->name,
			    r->index, message->stream_close->error);
		relay_free(r);
		client_settle(c);
		break;
	default:
		break;
	}
}

void
stream_agent_down(struct master *m, struct agent *a)
{
	struct list *it, *nx, *rit, *rnx;

	LIST_EACH(it, nx, &m->clients)
	{
		struct client *c = CONTAINER_OF(it, struct client, in_all);
		size_t before = c->open;

		LIST_EACH(rit, rnx, &c->relays)
		{
			struct relay *r = CONTAINER_OF(rit, struct relay, in_client);

			if (r->agent == a)
				relay_free(r);
		}
		if (c->open == before)
			continue;
		snprintf(c->message, sizeof c->message,
		    "the connection to node %s was lost: output may be missing", a->name);
		/* The last word, if it is due, comes in the next turn: the caller may be one of
		 * ours. */
		if (c->ended || !c->run)
			timer_set(&c->timer, clock_boot_ms());
	}
}

static void
take_task(struct client *c, const struct out *o)
{
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;
	Corral__Api__Task task;

	view_out_task(c->m, o, &task);
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_TASK;
	message.task = &task;
	(void)send_to_client(c, &message);
	if (o->message[0] != '\0')
		snprintf(c->message, sizeof c->message, "%s", o->message);
	else if (o->state == CORRAL__TASK_STATE__LOST)
		snprintf(c->message, sizeof c->message, "%s.%" PRIu32 " was lost with node %s",
		    c->name, o->key.index, o->agent->name);
}

static void
take_out(const struct out *o)
{
	struct client *c = o->job == NULL ? NULL : o->job->client;

	if (c == NULL)
		return;
	if (o->kind == OUT_LAUNCH) {
		if (!c->launched)
			timer_cancel(&c->timer);
		c->launched = true;
		if (!relay_open(c, o->agent, &o->key))
			snprintf(c->message, sizeof c->message,
			    "node %s is not connected: output is missing", o->agent->name);
	} else if (o->kind == OUT_TASK) {
		take_task(c, o);
	}
	if (c->job->state == JOB_FINISHED || c->job->state == JOB_FAILED ||
	    c->job->state == JOB_STOPPED) {
		note_end(c);
		client_settle(c);
	}
}

void
stream_carry_out(struct master *m)
{
	const struct cluster_out *o = &m->cluster.out;

	for (size_t i = 0; i < o->count; i++)
		take_out(&o->items[i]);
}

void
stream_drop_all(struct master *m, const char *why)
{
	struct list *first;

	while ((first = list_first(&m->clients)) != NULL) {
		struct client *c = CONTAINER_OF(first, struct client, in_all);

		send_error(c, why);
		link_close(c->link);
		client_free(c);
	}
}
