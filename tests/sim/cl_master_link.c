/* SPDX-License-Identifier: Apache-2.0 */
/* A master's connections from agents, as master/agent_link.c has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_host.h"
#include "tests/sim/cl_master.h"

struct mlink {
	struct list in_all;
	struct cl_master *m;
	struct cl_conn *conn;
	struct conn core;
	bool refused; /* and read no more */
	uint64_t heard_ms;
};

/* A message that goes out in this turn. */
struct message {
	struct list link;
	struct mlink *to;
	enum cl_sent what;
	bool close; /* then end the connection */
	struct task_key key;
	uint8_t uuid[CLUSTER_UUID_BYTES];
	uint8_t *bytes;
	size_t size;
};

static uint64_t
now(const struct cl_master *m)
{
	return cl_now(m->proc.machine);
}

/* ---- Messages. ---- */

static void
message_free(struct message *msg)
{
	list_remove(&msg->link);
	free(msg->bytes);
	free(msg);
}

static void
forget_messages(struct cl_master *m, const struct mlink *l)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->queue) {
		struct message *msg = CONTAINER_OF(it, struct message, link);

		if (l == NULL || msg->to == l)
			message_free(msg);
	}
}

void
cl_master_clear_queue(struct cl_master *m)
{
	forget_messages(m, NULL);
}

static struct message *
queue(struct mlink *l, Corral__MasterToAgent *message, enum cl_sent what)
{
	struct message *msg = cl_alloc(sizeof *msg);
	Corral__Term term = CORRAL__TERM__INIT;

	term.era = l->m->elect.term.era;
	term.czxid = l->m->elect.term.czxid;
	message->term = &term;
	message->has_registration = true;
	message->registration = l->core.registration;
	msg->to = l;
	msg->what = what;
	msg->size = corral__master_to_agent__get_packed_size(message);
	msg->bytes = cl_alloc(msg->size + 1);
	corral__master_to_agent__pack(message, msg->bytes);
	list_append(&l->m->queue, &msg->link);
	return msg;
}

/* ---- The end of a connection. ---- */

static void
link_lost(struct mlink *l)
{
	struct cl_master *m = l->m;

	conn_fini(&l->core, &m->cluster, m->leading, now(m));
	forget_messages(m, l);
	list_remove(&l->in_all);
	free(l);
}

static void
link_end(struct mlink *l)
{
	cl_close(l->conn, &l->m->proc);
	link_lost(l);
}

void
cl_master_drop_links(struct cl_master *m)
{
	struct list *first;

	while ((first = list_first(&m->links)) != NULL) {
		conn_forsake(&CONTAINER_OF(first, struct mlink, in_all)->core);
		link_end(CONTAINER_OF(first, struct mlink, in_all));
	}
}

void
cl_master_end_idle(struct cl_master *m)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->links) {
		struct mlink *l = CONTAINER_OF(it, struct mlink, in_all);

		if (now(m) - l->heard_ms > 2 * m->lease_ms)
			link_end(l);
	}
}

bool
cl_master_send_queue(struct cl_master *m)
{
	struct list *first;

	while ((first = list_first(&m->queue)) != NULL) {
		struct message *msg = CONTAINER_OF(first, struct message, link);
		struct mlink *l = msg->to;

		if (cl_output(&m->proc) != CL_GO)
			return false;
		/* The last moment before the socket. */
		if (!elect_may_act(&m->elect, now(m))) {
			link_end(l);
			continue;
		}
		cl_check_acts(m, msg->what, &msg->key, msg->uuid);
		cl_send(l->conn, &m->proc, msg->bytes, msg->size);
		if (msg->close)
			link_end(l);
		else
			message_free(msg);
	}
	return true;
}

/* ---- From an agent. ---- */

static void
refuse(struct mlink *l, const char *why)
{
	Corral__Refused refused = CORRAL__REFUSED__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	cl_trace(l->m->c, "%s: refuses %s: %s", l->m->proc.machine->name, l->core.name, why);
	cl_check_refused(l->m, l->core.name);
	if (strstr(why, "another agent id") != NULL &&
	    cl_check_agent_named(l->m->c, l->core.name) >= 0)
		l->m->c->hosts[cl_check_agent_named(l->m->c, l->core.name)]->estranged = true;
	refused.why = (char *)(uintptr_t)why;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_REFUSED;
	message.refused = &refused;
	queue(l, &message, CL_SENT_OTHER)->close = l->refused = true;
}

static void
registered(const struct conn_news *news)
{
	struct mlink *old = news->old;

	if (old == NULL)
		return;
	conn_forsake(&old->core);
	link_end(old);
}

static void
acknowledge(struct mlink *l, const Corral__Heartbeat *h)
{
	Corral__HeartbeatAck ack = CORRAL__HEARTBEAT_ACK__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	ack.sent_boot_ms = h->sent_boot_ms;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK;
	message.heartbeat_ack = &ack;
	queue(l, &message, CL_SENT_OTHER);
}

/* The bug: an end is acknowledged when it comes, and not when the store has it. */
static void
acknowledge_first(struct mlink *l, const Corral__StatusUpdate *u)
{
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT, *list = &ack;
	struct message *msg;

	if (!task_state_terminal(u->state))
		return;
	ack.key = u->key;
	ack.uuid = u->uuid;
	acks.n_acks = 1;
	acks.acks = &list;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
	message.update_acks = &acks;
	msg = queue(l, &message, CL_SENT_ACK);
	msg->key = (struct task_key){.incarnation = u->key->incarnation,
	    .index = u->key->index,
	    .attempt = u->key->attempt,
	    .term = {u->key->term->era, u->key->term->czxid}};
	memcpy(msg->uuid, u->uuid.data, sizeof msg->uuid);
}

static void
updated(struct mlink *l, const Corral__Updates *u)
{
	for (size_t i = 0; i < u->n_updates; i++) {
		if (l->m->c->plant == CL_PLANT_ACK_FIRST)
			acknowledge_first(l, u->updates[i]);
		cl_check_update(l->m, u->updates[i]);
	}
}

static void
follow(struct mlink *l, enum conn_then then, const struct conn_news *news,
    const Corral__AgentToMaster *message)
{
	switch (then) {
	case CONN_END:
		link_end(l);
		break;
	case CONN_REFUSED:
		refuse(l, news->why);
		break;
	case CONN_REGISTERED:
		registered(news);
		break;
	case CONN_HEARD:
		acknowledge(l, message->heartbeat);
		break;
	case CONN_UPDATED:
		updated(l, message->updates);
		break;
	case CONN_NOTHING:
	case CONN_OTHER:
		break;
	}
}

static void
on_frame(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct mlink *l = owner;
	struct cl_master *m = l->m;
	Corral__AgentToMaster *message = corral__agent_to_master__unpack(NULL, size, bytes);
	struct conn_news news;

	(void)conn;
	if (l->refused) {
		corral__agent_to_master__free_unpacked(message, NULL);
		return;
	}
	l->heard_ms = now(m);
	if (message == NULL) {
		world_violation(&m->c->world, "an agent's message cannot be read");
		return;
	}
	if (message->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER && m->leading &&
	    elect_may_act(&m->elect, now(m)))
		cl_check_report(m, l->core.name, message->register_);
	follow(l, conn_take(&l->core, &m->cluster, &m->elect, m->leading, now(m), message, &news),
	    &news, message);
	corral__agent_to_master__free_unpacked(message, NULL);
	cl_master_turn(m);
}

static void
on_down(void *owner, struct cl_conn *conn)
{
	struct mlink *l = owner;
	struct cl_master *m = l->m;

	(void)conn;
	link_lost(l);
	cl_master_turn(m);
}

void *
cl_master_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops)
{
	static const struct cl_end_ops link_ops = {on_frame, on_down};
	struct cl_master *m = owner;
	struct mlink *l = cl_alloc(sizeof *l);

	l->m = m;
	l->conn = conn;
	l->heard_ms = now(m);
	conn_init(&l->core, l);
	snprintf(l->core.name, sizeof l->core.name, "%s", cl_peer_name(conn));
	list_append(&m->links, &l->in_all);
	*ops = &link_ops;
	return l;
}

void
cl_master_take_pending(struct cl_master *m)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->links) {
		struct mlink *l = CONTAINER_OF(it, struct mlink, in_all);
		struct conn_news news;

		if (l->core.pending != NULL)
			cl_check_report(m, l->core.name, l->core.pending);
		follow(l, conn_loaded(&l->core, &m->cluster, now(m), &news), &news, NULL);
	}
}

/* ---- To agents. ---- */

static void
fill_key(const struct task_key *from, Corral__TaskKey *key, Corral__Term *term)
{
	corral__task_key__init(key);
	corral__term__init(term);
	term->era = from->term.era;
	term->czxid = from->term.czxid;
	key->job = (char *)(uintptr_t)from->job;
	key->incarnation = from->incarnation;
	key->index = from->index;
	key->attempt = from->attempt;
	key->term = term;
}

static void
queue_launch(struct mlink *l, const struct out *o)
{
	const struct cl_def *d = o->job->definition;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list = &task;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources want = CORRAL__RESOURCES__INIT;
	Corral__TaskKey key;
	Corral__Term term;
	char behaviour[128], *argv[] = {behaviour};

	fill_key(&o->key, &key, &term);
	snprintf(behaviour, sizeof behaviour, "%llu %llu %u %u %u",
	    (unsigned long long)d->run_min_ms, (unsigned long long)d->run_max_ms, d->fail_percent,
	    d->stubborn_percent, d->stray_percent);
	want.has_cpu_milli = want.has_memory_bytes = want.has_disk_bytes = true;
	want.cpu_milli = d->policy.need.cpu_milli;
	want.memory_bytes = d->policy.need.memory_bytes;
	want.disk_bytes = d->policy.need.disk_bytes;
	spec.argv = argv;
	spec.n_argv = 1;
	spec.resources = &want;
	spec.has_timeout_stop_ms = true;
	spec.timeout_stop_ms = d->stop_ms;
	spec.has_runtime_max_ms = true;
	spec.runtime_max_ms = d->limit_ms;
	spec.has_singleton = true;
	spec.singleton = d->singleton;
	task.key = &key;
	task.spec = &spec;
	launch.n_tasks = 1;
	launch.tasks = &list;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	message.launch = &launch;
	queue(l, &message, CL_SENT_LAUNCH)->key = o->key;
}

static void
queue_kill(struct mlink *l, const struct out *o)
{
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key, *list = &key;
	Corral__Term term;

	fill_key(&o->key, &key, &term);
	kill.n_keys = 1;
	kill.keys = &list;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	message.kill = &kill;
	queue(l, &message, CL_SENT_KILL)->key = o->key;
}

static void
queue_ack(struct mlink *l, const struct out *o)
{
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT, *list = &ack;
	Corral__TaskKey key;
	Corral__Term term;
	struct message *msg;

	fill_key(&o->key, &key, &term);
	ack.key = &key;
	ack.uuid.data = (uint8_t *)(uintptr_t)o->uuid;
	ack.uuid.len = sizeof o->uuid;
	acks.n_acks = 1;
	acks.acks = &list;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
	message.update_acks = &acks;
	msg = queue(l, &message, CL_SENT_ACK);
	msg->key = o->key;
	memcpy(msg->uuid, o->uuid, sizeof msg->uuid);
}

static void
queue_welcome(struct mlink *l)
{
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;
	Corral__MasterToAgent message = CORRAL__MASTER_TO_AGENT__INIT;

	welcome.agent_id = l->core.agent->id;
	welcome.lease_ms = l->m->lease_ms;
	welcome.heartbeat_ms = l->m->heartbeat_ms;
	welcome.has_answers = l->core.agent->report->has_number;
	welcome.answers = l->core.agent->report->number;
	message.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	message.welcome = &welcome;
	queue(l, &message, CL_SENT_OTHER);
}

static void
queue_one(struct mlink *l, const struct out *o, enum out_kind kind)
{
	if (o->kind != kind)
		return;
	if (kind == OUT_WELCOME)
		queue_welcome(l);
	else if (kind == OUT_LAUNCH)
		queue_launch(l, o);
	else if (kind == OUT_KILL)
		queue_kill(l, o);
	else if (kind == OUT_ACK)
		queue_ack(l, o);
}

/* Kind after kind, as the real shell gathers them; and what clients are told. */
void
cl_master_queue_outs(struct cl_master *m)
{
	static const enum out_kind kinds[] = {OUT_WELCOME, OUT_LAUNCH, OUT_KILL, OUT_ACK};
	const struct cluster_out *outs = &m->cluster.out;

	for (size_t i = 0; i < outs->count; i++)
		cl_check_out(m, &outs->items[i]);
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		for (size_t i = 0; i < outs->count; i++) {
			const struct out *o = &outs->items[i];
			void *link = cluster_out_link(o);

			if (link != NULL)
				queue_one(link, o, kinds[k]);
		}
}
