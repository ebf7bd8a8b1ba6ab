/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links from agents: TLS with an agent's certificate, whose name is the agent's. A link's first
 * frame is a registration; what comes after it is of that registration. Only a leader talks; the
 * others end the link, and the agent goes on to the next master.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/codec/message.h"
#include "libcommon/sys/log.h"
#include "master/definition.h"
#include "master/master.h"

enum {
	QUEUE_BYTES_MAX = 32 << 20,
	LAUNCH_BYTES_MAX = 256 << 10, /* of a frame of launches: the next one begins behind it */
	LINKS_SPARE = 256, /* of agents that connect anew before the old connection is known dead */
	HANDSHAKE_MS = 20000,
};

/* What goes to one agent in this turn, each kind as one message. */
struct outgoing {
	Corral__TaskLaunch **launches;
	Corral__TaskKey **kills;
	Corral__UpdateAck **acks;
	size_t launch_count, kill_count, ack_count, capacity[3];
	size_t launch_bytes;
};

struct agent_link {
	struct list in_all;
	struct list in_flush; /* something is to go out in this turn */
	struct master *m;
	struct link *link;
	struct conn conn;
	struct outgoing out;
};

static void
outgoing_clear(struct outgoing *o)
{
	for (size_t i = 0; i < o->launch_count; i++)
		corral__task_launch__free_unpacked(o->launches[i], NULL);
	for (size_t i = 0; i < o->kill_count; i++)
		corral__task_key__free_unpacked(o->kills[i], NULL);
	for (size_t i = 0; i < o->ack_count; i++)
		corral__update_ack__free_unpacked(o->acks[i], NULL);
	o->launch_count = o->kill_count = o->ack_count = o->launch_bytes = 0;
}

static void
link_forget(struct agent_link *l)
{
	list_remove(&l->in_all);
	list_remove(&l->in_flush);
	outgoing_clear(&l->out);
	free(l->out.launches);
	free(l->out.kills);
	free(l->out.acks);
	free(l);
}

/* The link is gone or is ended here: the core learns of it if it was an agent's newest. */
static void
link_lost(struct agent_link *l)
{
	struct master *m = l->m;

	if (conn_is_newest(&l->conn, m->leading))
		stream_agent_down(m, l->conn.agent);
	conn_fini(&l->conn, &m->cluster, m->leading, clock_boot_ms());
	link_forget(l);
}

static void
link_end(struct agent_link *l)
{
	link_abort(l->link);
	link_lost(l);
}

static bool
send_message(struct agent_link *l, Corral__MasterToAgent *message)
{
	struct master *m = l->m;
	Corral__Term term = CORRAL__TERM__INIT;

	term.era = m->elect.term.era;
	term.czxid = m->elect.term.czxid;
	message->term = &term;
	message->has_registration = true;
	message->registration = l->conn.registration;
	/* The last moment before the socket: a leader past its bound says nothing more. */
	return master_may_act(m) && link_send_message(l->link, &message->base);
}

bool
agent_send(struct master *m, struct agent *a, Corral__MasterToAgent *message)
{
	struct agent_link *l = a->link;

	if (l == NULL || !master_may_act(m))
		return false;
	if (send_message(l, message))
		return true;
	log_warn("agent %s: too much is queued for it, ending its connection", a->name);
	link_end(l);
	return false;
}

/* --- from an agent --- */

static void
refuse(struct agent_link *l, const char *why)
{
	Corral__Refused refused = CORRAL__REFUSED__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	refused.why = (char *)why;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_REFUSED;
	message.refused = &refused;
	log_warn("agent %s at %s is refused: %s", link_peer(l->link)->name,
	    link_peer_address(l->link), why);
	if (send_message(l, &message))
		link_close(l->link);
	else
		link_abort(l->link);
	link_lost(l);
}

static void
registered(struct agent_link *l, const struct conn_news *news)
{
	struct agent_link *old = news->old;

	log_info("agent %s at %s registered", l->conn.name, link_peer_address(l->link));
	if (news->again != NULL)
		stream_agent_down(l->m, news->again);
	if (old == NULL)
		return;
	conn_forsake(&old->conn);
	link_end(old);
}

static void
acknowledge(struct agent_link *l, const Corral__Heartbeat *h)
{
	Corral__HeartbeatAck ack = CORRAL__HEARTBEAT_ACK__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	ack.sent_boot_ms = h->sent_boot_ms;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK;
	message.heartbeat_ack = &ack;
	agent_send(l->m, l->conn.agent, &message);
}

/* message: NULL when the store was read, and a registration had come before. */
static void
follow(struct agent_link *l, enum conn_then then, const struct conn_news *news,
    Corral__AgentToMaster *message)
{
	switch (then) {
	case CONN_END:
		link_end(l);
		break;
	case CONN_REFUSED:
		refuse(l, news->why);
		break;
	case CONN_REGISTERED:
		registered(l, news);
		break;
	case CONN_HEARD:
		acknowledge(l, message->heartbeat);
		break;
	case CONN_OTHER:
		stream_from_agent(l->m, l->conn.agent, message);
		break;
	case CONN_NOTHING:
	case CONN_UPDATED:
		break;
	}
}

static void
on_frame(void *arg, struct link *link, const uint8_t *bytes, size_t size)
{
	struct agent_link *l = arg;
	struct master *m = l->m;
	Corral__AgentToMaster *message = (Corral__AgentToMaster *)message_unpack(
	    &corral__agent_to_master__descriptor, size, bytes);
	struct conn_news news;

	if (message == NULL) {
		log_warn("agent %s at %s sent %zu bytes that are no message, ending its connection",
		    link_peer(link)->name, link_peer_address(link), size);
		link_end(l);
		return;
	}
	follow(l,
	    conn_take(
		&l->conn, &m->cluster, &m->elect, m->leading, clock_boot_ms(), message, &news),
	    &news, message);
	corral__agent_to_master__free_unpacked(message, NULL);
}

static void
on_up(void *arg, struct link *link)
{
	struct agent_link *l = arg;
	const struct tls_peer *peer = link_peer(link);

	if (peer->role == TLS_ROLE_AGENT && strcmp(peer->cluster, l->m->conf.cluster.name) == 0 &&
	    str_copy(l->conn.name, sizeof l->conn.name, peer->name))
		return;
	log_warn("%s is refused on the agents' port: its certificate is %s of cluster '%s', not an "
		 "agent's of '%s'",
	    link_peer_address(link),
	    peer->role == TLS_ROLE_NONE ? "nobody's" : tls_role_name(peer->role), peer->cluster,
	    l->m->conf.cluster.name);
	link_end(l);
}

static void
on_down(void *arg, struct link *link, const char *why)
{
	struct agent_link *l = arg;

	if (l->conn.agent != NULL)
		log_info("agent %s: connection lost: %s", l->conn.name, why);
	else
		log_peer(
		    "%s on the agents' port, not registered: %s", link_peer_address(link), why);
	link_lost(l);
}

static const struct link_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};

static void
on_accepted(void *arg, struct link *link)
{
	struct master *m = arg;
	struct agent_link *l = calloc(1, sizeof *l);

	if (l == NULL) {
		link_abort(link);
		return;
	}
	l->m = m;
	l->link = link;
	conn_init(&l->conn, l);
	list_init(&l->in_flush);
	list_append(&m->agent_links, &l->in_all);
	link_set_arg(link, &ops, l);
}

bool
agents_listen(struct master *m, char *error, size_t size)
{
	struct link_limits limits = {
	    .frame_bytes_max = FRAME_AGENT_MASTER_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = HANDSHAKE_MS,
	    .idle_ms = (uint32_t)(2 * m->conf.master.lease_ms),
	};

	m->agents_listener = listener_open(m->loop, m->conf.master.agent_listen, m->tls_agents,
	    &limits, m->conf.master.agents_max + LINKS_SPARE, on_accepted, m, error, size);
	return m->agents_listener != NULL;
}

void
agents_drop_all(struct master *m)
{
	struct list *first;

	while ((first = list_first(&m->agent_links)) != NULL) {
		struct agent_link *l = CONTAINER_OF(first, struct agent_link, in_all);

		conn_forsake(&l->conn);
		link_end(l);
	}
}

void
agents_close(struct master *m)
{
	if (m->agents_listener != NULL)
		listener_close(m->agents_listener);
	agents_drop_all(m);
}

void
agents_take_pending(struct master *m)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->agent_links) {
		struct agent_link *l = CONTAINER_OF(it, struct agent_link, in_all);
		struct conn_news news;

		follow(l, conn_loaded(&l->conn, &m->cluster, clock_boot_ms(), &news), &news, NULL);
	}
}

/* --- to agents --- */

static bool
append(void *list, size_t *count, size_t *capacity, void *item)
{
	void ***items = list;

	if (*count == *capacity) {
		size_t more = *capacity == 0 ? 16 : 2 * *capacity;
		void **p = realloc(*items, more * sizeof *p);

		if (p == NULL)
			return false;
		*items = p;
		*capacity = more;
	}
	(*items)[(*count)++] = item;
	return true;
}

void
message_fill_key(const struct task_key *from, Corral__TaskKey *key, Corral__Term *term)
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

/* The same with memory of its own. */
static Corral__TaskKey *
message_key(const struct task_key *from)
{
	Corral__TaskKey *key = malloc(sizeof *key);
	Corral__Term *term = malloc(sizeof *term);
	char *job = strdup(from->job);

	if (key == NULL || term == NULL || job == NULL) {
		free(key);
		free(term);
		free(job);
		return NULL;
	}
	message_fill_key(from, key, term);
	key->job = job;
	return key;
}

static bool
flush_launches(struct agent_link *l)
{
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	bool sent;

	if (l->out.launch_count == 0)
		return true;
	launch.tasks = l->out.launches;
	launch.n_tasks = l->out.launch_count;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	message.launch = &launch;
	sent = send_message(l, &message);
	for (size_t i = 0; i < l->out.launch_count; i++)
		corral__task_launch__free_unpacked(l->out.launches[i], NULL);
	l->out.launch_count = l->out.launch_bytes = 0;
	return sent;
}

static bool
add_launch(struct agent_link *l, const struct out *o)
{
	Corral__TaskLaunch *t = malloc(sizeof *t);

	if (t == NULL)
		return false;
	corral__task_launch__init(t);
	t->key = message_key(&o->key);
	t->spec = definition_spec(o->job->definition, o->job, &o->key, o->agent->name);
	if (t->key == NULL || t->spec == NULL ||
	    !append(&l->out.launches, &l->out.launch_count, &l->out.capacity[0], t)) {
		corral__task_launch__free_unpacked(t, NULL);
		return false;
	}
	l->out.launch_bytes += corral__task_launch__get_packed_size(t);
	return l->out.launch_bytes < LAUNCH_BYTES_MAX || flush_launches(l);
}

static bool
add_kill(struct agent_link *l, const struct out *o)
{
	Corral__TaskKey *key = message_key(&o->key);

	if (key == NULL || append(&l->out.kills, &l->out.kill_count, &l->out.capacity[1], key))
		return key != NULL;
	corral__task_key__free_unpacked(key, NULL);
	return false;
}

static bool
add_ack(struct agent_link *l, const struct out *o)
{
	Corral__UpdateAck *ack = malloc(sizeof *ack);

	if (ack == NULL)
		return false;
	corral__update_ack__init(ack);
	ack->key = message_key(&o->key);
	ack->uuid.data = malloc(sizeof o->uuid);
	if (ack->uuid.data != NULL) {
		memcpy(ack->uuid.data, o->uuid, sizeof o->uuid);
		ack->uuid.len = sizeof o->uuid;
	}
	if (ack->key != NULL && ack->uuid.data != NULL &&
	    append(&l->out.acks, &l->out.ack_count, &l->out.capacity[2], ack))
		return true;
	corral__update_ack__free_unpacked(ack, NULL);
	return false;
}

static bool
send_welcome(struct agent_link *l)
{
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	welcome.agent_id = l->conn.agent->id;
	welcome.lease_ms = l->m->conf.master.lease_ms;
	welcome.heartbeat_ms = l->m->conf.master.heartbeat_ms;
	welcome.has_answers = l->conn.agent->report->has_number;
	welcome.answers = l->conn.agent->report->number;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	message.welcome = &welcome;
	return send_message(l, &message);
}

static bool
add(struct agent_link *l, const struct out *o)
{
	switch (o->kind) {
	case OUT_WELCOME:
		return send_welcome(l);
	case OUT_LAUNCH:
		return add_launch(l, o);
	case OUT_KILL:
		return add_kill(l, o);
	case OUT_ACK:
		return add_ack(l, o);
	default:
		return true;
	}
}

static bool
flush(struct agent_link *l)
{
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	bool sent = flush_launches(l);

	if (sent && l->out.kill_count > 0) {
		kill.keys = l->out.kills;
		kill.n_keys = l->out.kill_count;
		message.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
		message.kill = &kill;
		sent = send_message(l, &message);
	}
	if (sent && l->out.ack_count > 0) {
		acks.acks = l->out.acks;
		acks.n_acks = l->out.ack_count;
		message.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
		message.update_acks = &acks;
		sent = send_message(l, &message);
	}
	outgoing_clear(&l->out);
	return sent;
}

static void
give_up(struct agent_link *l)
{
	log_warn("agent %s: its messages do not go out, ending its connection", l->conn.name);
	link_end(l);
}

/*
 * What does not go out because the queue is full or memory short ends the connection: at its next
 * registration the agent and the core agree on what came through.
 */
void
agents_carry_out(struct master *m)
{
	const struct cluster_out *o = &m->cluster.out;
	struct list outgoing, *first;

	list_init(&outgoing);
	for (size_t i = 0; i < o->count; i++) {
		struct agent_link *l = cluster_out_link(&o->items[i]);

		if (l == NULL)
			continue;
		if (list_empty(&l->in_flush))
			list_append(&outgoing, &l->in_flush);
		if (!add(l, &o->items[i]))
			give_up(l);
	}
	while ((first = list_first(&outgoing)) != NULL) {
		struct agent_link *l = CONTAINER_OF(first, struct agent_link, in_flush);

		list_remove(first);
		if (!flush(l))
			give_up(l);
	}
}
