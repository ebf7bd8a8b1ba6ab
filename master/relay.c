/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays: each passes the streams of one task on between a client and the task's agent, under a
 * number of ours. It knows how much of the output the client was sent, so that it can go on from
 * there when the agent was away. Input that was on its way to an agent that went is lost; what
 * comes while it is away is kept for it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/sys/log.h"
#include "master/stream_client.h"

void
relay_free(struct relay *r)
{
	r->client->open--;
	list_remove(&r->in_client);
	hmap_remove(&r->client->m->relays, &r->by_number);
	free(r);
}

static bool
is_live(const struct relay *r)
{
	return r->agent->link != NULL && r->registration != 0 &&
	       r->agent->registration == r->registration;
}

/* First forget the relay, since telling the agent may end its connection. */
static void
relay_close(struct relay *r)
{
	Corral__StreamClose close = CORRAL__STREAM_CLOSE__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	struct master *m = r->client->m;
	struct agent *a = r->agent;
	bool live = is_live(r);

	close.stream = r->number;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_CLOSE;
	message.stream_close = &close;
	relay_free(r);
	if (live)
		(void)agent_send(m, a, &message);
}

void
relay_close_all(struct client *c)
{
	struct list *first;

	while ((first = list_first(&c->relays)) != NULL)
		relay_close(CONTAINER_OF(first, struct relay, in_client));
}

bool
relay_input(struct relay *r, const uint8_t *bytes, size_t size, bool eof)
{
	Corral__StreamData data = CORRAL__STREAM_DATA__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	if (!is_live(r))
		return false;
	data.stream = r->number;
	data.fd = 0;
	data.has_data = size > 0;
	data.data.data = (uint8_t *)bytes;
	data.data.len = size;
	data.has_eof = true;
	data.eof = eof;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_DATA;
	message.stream_data = &data;
	r->unacked_input_bytes += size;
	(void)agent_send(r->client->m, r->agent, &message);
	return true;
}

/* The end of the input is said each time: it may have been on its way to an agent that went. */
static void
flush_early_input(struct relay *r)
{
	struct client *c = r->client;

	if (!c->input || r->at.index != 0 || (c->early.len == 0 && !c->input_over))
		return;
	if (relay_input(r, c->early.data, c->early.len, c->input_over))
		buf_clear(&c->early);
}

/* A number that no stream had. False: no memory, which only the very first can meet (hmap.c). */
static bool
take_number(struct relay *r)
{
	struct master *m = r->client->m;

	r->number = ++m->next_stream;
	return hmap_insert(&m->relays, &r->by_number, hash_u64(r->number));
}

/* Ask the agent for the streams from where they are; if that ends its connection, wait for it. */
static void
relay_ask(struct relay *r)
{
	Corral__StreamOpen open = CORRAL__STREAM_OPEN__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	struct client *c = r->client;
	Corral__TaskKey key;
	Corral__Term term;

	r->registration = r->agent->registration;
	message_fill_key(&r->key, &key, &term);
	open.stream = r->number;
	open.key = &key;
	open.has_follow = open.has_input = open.has_tail_lines = true;
	open.follow = c->follow;
	open.input = c->input && r->at.index == 0;
	open.tail_lines = c->tail_lines;
	open.has_stdout_offset = r->at.known[0];
	open.stdout_offset = r->at.offset[0];
	open.has_stderr_offset = r->at.known[1];
	open.stderr_offset = r->at.offset[1];
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_OPEN;
	message.stream_open = &open;
	if (agent_send(c->m, r->agent, &message))
		flush_early_input(r);
}

static int
by_index(const void *a, const void *b)
{
	uint32_t x = ((const struct position *)a)->index, y = ((const struct position *)b)->index;

	return x < y ? -1 : x > y;
}

/* Where the client is in this attempt; of an earlier one it may not have all. */
static struct position
begin_at(struct client *c, const struct task_key *key)
{
	struct position at = {.index = key->index, .attempt = key->attempt}, *had = NULL;

	if (c->position_count > 0)
		had = bsearch(&at, c->positions, c->position_count, sizeof *c->positions, by_index);
	if (had == NULL)
		return at;
	if (had->attempt == key->attempt)
		return *had;
	client_note(c,
	    "%s.%" PRIu32 ": attempt %" PRIu32 " is over; what it wrote last may be "
	    "missing, attempt %" PRIu32 " follows",
	    c->name, key->index, had->attempt, key->attempt);
	return at;
}

bool
relay_open(struct client *c, struct agent *a, const struct task_key *key)
{
	bool up = a->link != NULL && (a->state == AGENT_READY || a->state == AGENT_SILENT);
	struct relay *r = !up && !c->follow ? NULL : calloc(1, sizeof *r);

	if (r == NULL)
		return false;
	*r = (struct relay){.client = c, .agent = a, .key = *key, .at = begin_at(c, key)};
	if (!take_number(r)) {
		free(r);
		return false;
	}
	list_append(&c->relays, &r->in_client);
	c->open++;
	if (up)
		relay_ask(r);
	return true;
}

struct relay *
relay_of_index(struct client *c, uint64_t index)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->relays) {
		struct relay *r = CONTAINER_OF(it, struct relay, in_client);

		if (r->at.index == index)
			return r;
	}
	return NULL;
}

void
relay_ack(struct relay *r, uint64_t bytes)
{
	Corral__StreamAck ack = CORRAL__STREAM_ACK__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	if (!is_live(r))
		return;
	ack.stream = r->number;
	ack.bytes = bytes;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_STREAM_ACK;
	message.stream_ack = &ack;
	(void)agent_send(r->client->m, r->agent, &message);
}

/* --- from agents --- */

static struct relay *
relay_of_number(struct master *m, const struct agent *a, uint64_t number)
{
	struct hmap_node *n = hmap_first(&m->relays, hash_u64(number));

	for (; n != NULL; n = hmap_next(n)) {
		struct relay *r = CONTAINER_OF(n, struct relay, by_number);

		if (r->number == number)
			return r->agent == a ? r : NULL;
	}
	return NULL;
}

static void
pass_data(struct relay *r, Corral__StreamData *d)
{
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;
	unsigned file = d->fd == 2;

	d->stream = r->at.index;
	d->has_attempt = true;
	d->attempt = r->at.attempt;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_DATA;
	message.data = d;
	if (!client_send(r->client, &message)) {
		log_warn("%s: its client does not read, ending its connection", r->client->name);
		client_end(r->client);
		return;
	}
	if (d->has_offset) {
		r->at.known[file] = true;
		r->at.offset[file] = d->offset + d->data.len;
	}
}

static void
pass_ack(struct relay *r, uint64_t bytes)
{
	Corral__StreamAck passed = CORRAL__STREAM_ACK__INIT;
	Corral__Api__MasterToClient message = CORRAL__API__MASTER_TO_CLIENT__INIT;

	r->unacked_input_bytes -= bytes < r->unacked_input_bytes ? bytes : r->unacked_input_bytes;
	passed.stream = r->at.index;
	passed.bytes = bytes;
	message.body_case = CORRAL__API__MASTER_TO_CLIENT__BODY_ACK;
	message.ack = &passed;
	(void)client_send(r->client, &message);
}

static void
relay_over(struct relay *r, const char *error)
{
	struct client *c = r->client;

	if (error != NULL && error[0] != '\0')
		snprintf(c->message, sizeof c->message, "%s.%" PRIu32 ": %s", c->name, r->at.index,
		    error);
	if (c->read_attempts != NULL)
		c->read_attempts[r->at.index - c->first_index] = r->at.attempt;
	relay_free(r);
	client_settle(c);
}

void
stream_from_agent(struct master *m, struct agent *a, const Corral__AgentToMaster *message)
{
	struct relay *r;

	switch (message->body_case) {
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_DATA:
		if ((r = relay_of_number(m, a, message->stream_data->stream)) != NULL)
			pass_data(r, message->stream_data);
		break;
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_ACK:
		if ((r = relay_of_number(m, a, message->stream_ack->stream)) != NULL)
			pass_ack(r, message->stream_ack->bytes);
		break;
	case CORRAL__AGENT_TO_MASTER__BODY_STREAM_CLOSE:
		if ((r = relay_of_number(m, a, message->stream_close->stream)) != NULL)
			relay_over(r, message->stream_close->error);
		break;
	default:
		break;
	}
}

/* --- agents that come and go --- */

/* Call each() for every relay of this agent. It may free the relay, and no other. */
static void
for_agent(struct master *m, const struct agent *a, void (*each)(struct relay *r))
{
	struct list *it, *nx, *rit, *rnx;

	LIST_EACH(it, nx, &m->clients) {
		struct client *c = CONTAINER_OF(it, struct client, in_all);

		LIST_EACH(rit, rnx, &c->relays) {
			struct relay *r = CONTAINER_OF(rit, struct relay, in_client);

			if (r->agent == a)
				each(r);
		}
	}
}

static void
give_up(struct relay *r)
{
	struct client *c = r->client;

	snprintf(c->message, sizeof c->message,
	    "the connection to node %s was lost: output may be missing", r->agent->name);
	if (c->read_attempts != NULL)
		c->read_attempts[r->at.index - c->first_index] = r->at.attempt;
	relay_free(r);
	client_settle_later(c);
}

static void
agent_went(struct relay *r)
{
	struct client *c = r->client;

	if (!c->follow) {
		give_up(r);
		return;
	}
	if (r->registration == 0)
		return;
	r->registration = 0;
	client_note(c, "%s.%" PRIu32 ": the connection to node %s was lost; waiting for it%s",
	    c->name, r->at.index, r->agent->name,
	    r->unacked_input_bytes > 0 ? ", and input that was on its way is lost" : "");
	if (r->unacked_input_bytes > 0)
		pass_ack(r, r->unacked_input_bytes); /* so that more may follow */
}

static void
agent_came(struct relay *r)
{
	if (r->registration != 0)
		return;
	client_note(r->client, "%s.%" PRIu32 ": node %s is back", r->client->name, r->at.index,
	    r->agent->name);
	hmap_remove(&r->client->m->relays, &r->by_number);
	take_number(r);
	relay_ask(r);
}

void
stream_agent_down(struct master *m, struct agent *a)
{
	for_agent(m, a, agent_went);
}

void
relay_agent_up(struct master *m, struct agent *a)
{
	for_agent(m, a, agent_came);
}

void
relay_agent_given_up(struct master *m, struct agent *a)
{
	for_agent(m, a, give_up);
}
