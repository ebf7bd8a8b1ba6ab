/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what `corral run` and `corral logs` see of tasks. A client's link carries the streams of
 * all the tasks that it follows, each by a relay (relay.c). Data are passed on at once and held
 * nowhere: whoever sends may have one window on the way, which the other end's acknowledgements
 * open again. Only input that comes before its task runs waits here, within that window.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/codec/message.h"
#include "libcommon/sys/log.h"
#include "master/stream_client.h"

enum {
	QUEUE_BYTES_MAX = 64 << 20,
	OPEN_MAX = 48,	   /* streams of one client at a time; the others wait for one to end */
	LINGER_MS = 10000, /* for the rest of the output after the end of the tasks */
	STATUS_OURS = 125, /* what `corral run` exits with when it is not the task that failed */
};

/* --- to the client --- */

static void client_free(struct client *c);

/*
 * The leader's word. Past the right to give it nothing is sent: the end of this turn drops the
 * client, which is told so.
 */
bool
client_send(struct client *c, Corral__Api__MasterToClient *message)
{
	return !master_may_act(c->m) || link_send_message(c->link, &message->base);
}

static void
send_error(struct client *c, const char *why, bool again)
{
	Corral__Api__Error error = CORRAL__API__ERROR__INIT;
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;

	error.error = (char *)why;
	error.has_again = error.again = again;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_ERROR;
	message.error = &error;
	(void)link_send_message(c->link, &message.base);
}

void
client_note(struct client *c, const char *fmt, ...)
{
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_NOTE;
	message.note = text;
	(void)client_send(c, &message);
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
	(void)client_send(c, &message);
	link_close(c->link);
	client_free(c);
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
	free(c->read_attempts);
	free(c->positions);
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

/* --- logs: which attempts are to be read --- */

static bool
is_settled(const struct cell *cell)
{
	return cell->state == CELL_FINISHED || cell->state == CELL_FAILED ||
	       cell->state == CELL_STOPPED;
}

/*
 * Open what can be read of an index. True: it is done with; what is followed is so when the task is
 * settled, and the output of its last attempt through.
 */
static bool
look_at_index(struct client *c, struct job *j, uint32_t index)
{
	uint32_t *read = &c->read_attempts[index - c->first_index];
	const struct cell *cell = &j->cells[index];
	struct relay *r = relay_of_index(c, index);
	struct task_key key;
	struct agent *a = cluster_last_attempt(&c->m->cluster, j, index, &key);

	if (cell->state == CELL_UNKNOWN && c->follow)
		return false; /* its agent has not come back since the election */
	if (cell->state == CELL_UNKNOWN)
		snprintf(c->message, sizeof c->message,
		    "%s.%" PRIu32 " may run on a node that has not come back since the election: "
		    "what it wrote is missing",
		    c->name, index);
	if (r != NULL && r->registration == 0 && a != NULL && key.attempt > r->key.attempt) {
		client_note(c,
		    "%s.%" PRIu32 ": what attempt %" PRIu32 " wrote last on node %s is missing",
		    c->name, index, r->key.attempt, r->agent->name);
		relay_free(r);
		r = NULL;
	}
	if (r != NULL)
		return false;
	if (a != NULL && key.attempt > *read) {
		if (*read != 0 && key.attempt > *read + 1)
			client_note(c,
			    "%s.%" PRIu32 ": attempts %" PRIu32 " to %" PRIu32
			    " came and went before they were read",
			    c->name, index, *read + 1, key.attempt - 1);
		*read = c->follow ? *read : key.attempt;
		if (relay_open(c, a, &key))
			return false;
		*read = key.attempt;
		snprintf(c->message, sizeof c->message,
		    "node %s is not connected: what its tasks wrote is missing", a->name);
	}
	return !c->follow || is_settled(cell);
}

static void
look_at_all(struct client *c)
{
	struct job *j = cluster_job(&c->m->cluster, c->name);

	/* It may have been removed since the last time. */
	if (j == NULL || j->incarnation != c->incarnation) {
		relay_close_all(c);
		c->next_index = c->end_index;
	}
	for (uint32_t i = c->next_index; i < c->end_index && c->open < OPEN_MAX; i++)
		if (look_at_index(c, j, i) && i == c->next_index)
			c->next_index++;
	c->look_again = false;
}

void
client_settle(struct client *c)
{
	if (!c->run)
		look_at_all(c);
	if (c->open > 0)
		return;
	if (c->run ? c->ended : c->next_index >= c->end_index)
		finish(c);
}

/* The timer of a run that has not ended yet is for its placement. */
void
client_settle_later(struct client *c)
{
	if (c->ended || !c->run)
		timer_set(&c->timer, clock_boot_ms());
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
		relay_close_all(c);
		finish(c);
	} else if (!c->run) {
		client_settle(c); /* an agent went */
	} else if (!c->launched && c->job != NULL) {
		c->status = STATUS_OURS;
		snprintf(c->message, sizeof c->message,
		    "not placed in time: no node had room for it (corral nodes)");
		cluster_stop(
		    &c->m->cluster, clock_boot_ms(), c->job, "its time to be placed is over");
		finish(c);
	}
}

/* --- from the client --- */

static bool
take_input(struct client *c, const Corral__StreamData *d)
{
	struct relay *r = relay_of_index(c, 0);

	if (!c->input)
		return true;
	if (r == NULL && (c->ended || c->launched))
		return true; /* nobody reads it any more */
	c->input_over = c->input_over || d->eof;
	if (r != NULL && relay_input(r, d->data.data, d->data.len, d->eof))
		return true;
	buf_append(&c->early, d->data.data, d->data.len);
	return !c->early.failed;
}

static void
take_ack(struct client *c, const Corral__StreamAck *ack)
{
	struct relay *r = relay_of_index(c, ack->stream);

	if (r != NULL)
		relay_ack(r, ack->bytes);
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
	message_fill_key(&key, &k, &term);
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
	LIST_EACH(it, nx, &c->job->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_job);

		if (!task_state_terminal(t->state))
			signal_task(c->m, t, signo);
	}
}

/* The client is gone: what it ran is stopped. */
static void
leave(struct client *c)
{
	relay_close_all(c);
	if (c->job != NULL && c->m->leading && master_may_act(c->m))
		cluster_stop(&c->m->cluster, clock_boot_ms(), c->job, "its client left");
	client_free(c);
}

void
client_end(struct client *c)
{
	link_abort(c->link);
	leave(c);
}

static void
on_frame(void *arg, struct link *link, const uint8_t *bytes, size_t size)
{
	struct client *c = arg;
	Corral__Api__ClientToMaster *message;
	bool ok = true;

	if (!c->m->leading || !master_may_act(c->m))
		return;
	message = (Corral__Api__ClientToMaster *)message_unpack(
	    &corral__api__client_to_master__descriptor, size, bytes);
	if (message == NULL) {
		client_end(c);
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
	send_error(c, "more input than the window allows", false);
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
	    .frame_bytes_max = FRAME_CLIENT_MASTER_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = 10000,
	};
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->m = m;
	memcpy(c->name, j->name, sizeof c->name);
	c->incarnation = j->incarnation;
	list_init(&c->relays);
	buf_init(&c->early, STREAM_WINDOW_BYTES);
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

/* --- from the core --- */

static void
take_task(struct client *c, const struct out *o)
{
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;
	Corral__Api__Task task;

	view_out_task(c->m, o, &task);
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_TASK;
	message.task = &task;
	(void)client_send(c, &message);
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

/* Something has become of tasks whose output is read. */
static void
mark_readers(struct master *m, const struct out *o)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->clients) {
		struct client *c = CONTAINER_OF(it, struct client, in_all);

		if (!c->run && (o->kind == OUT_WELCOME || o->kind == OUT_NODE ||
				   (o->job != NULL && o->job->incarnation == c->incarnation)))
			c->look_again = true;
	}
}

void
stream_carry_out(struct master *m)
{
	const struct cluster_out *o = &m->cluster.out;
	struct list *it, *nx;

	if (list_empty(&m->clients))
		return;
	for (size_t i = 0; i < o->count; i++) {
		if (o->items[i].kind == OUT_WELCOME)
			relay_agent_up(m, o->items[i].agent);
		if (o->items[i].kind == OUT_NODE && o->items[i].agent->state == AGENT_UNREACHABLE)
			relay_agent_given_up(m, o->items[i].agent);
		take_out(&o->items[i]);
		mark_readers(m, &o->items[i]);
	}
	LIST_EACH(it, nx, &m->clients) {
		struct client *c = CONTAINER_OF(it, struct client, in_all);

		if (c->look_again)
			client_settle(c);
	}
}

void
stream_drop_all(struct master *m, const char *why)
{
	struct list *first;

	while ((first = list_first(&m->clients)) != NULL) {
		struct client *c = CONTAINER_OF(first, struct client, in_all);

		send_error(c, why, true);
		link_close(c->link);
		client_free(c);
	}
}
