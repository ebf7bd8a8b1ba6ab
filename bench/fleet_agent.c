/* SPDX-License-Identifier: Apache-2.0 */
/* An agent of the fleet towards its master: connection, registration, heartbeats and lease. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fleet.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"

/*
 * As a real agent has them (agent/master_link.c, agent/core/core_master.c), but for the handshake:
 * one process that shakes hands for thousands of machines needs longer than each of them would.
 */
enum { QUEUE_BYTES_MAX = 32 << 20, HANDSHAKE_MS = 60000, LEASE_MS_BEFORE_WELCOME = 15000 };

/* A message lives for one call: its memory is a stretch that is begun anew with each. */
enum { ARENA_BYTES = 1 << 20, ARENA_ALIGN = 16 };
static _Alignas(ARENA_ALIGN) uint8_t arena[ARENA_BYTES];
static size_t arena_used;

static void *
arena_alloc(void *data, size_t size)
{
	size_t need = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	void *p;

	(void)data;
	if (need > ARENA_BYTES - arena_used)
		fleet_die("a message of the master's is larger than %d bytes", ARENA_BYTES);
	p = arena + arena_used;
	arena_used += need;
	return p;
}

static void
arena_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

static ProtobufCAllocator allocator = {arena_alloc, arena_free, NULL};

bool
fleet_agent_send(struct fleet_agent *a, Corral__AgentToMaster *message)
{
	if (a->link == NULL)
		return false;
	if (message->body_case != CORRAL__AGENT_TO_MASTER__BODY_REGISTER) {
		message->has_registration = true;
		message->registration = a->registration;
	}
	return link_send_message(a->link, &message->base);
}

/* --- registration --- */

struct report {
	Corral__TaskReport report;
	Corral__TaskKey key;
	Corral__Term term;
	Corral__Resources resources;
};

/* The whole checkpoint; the caller frees both. */
static size_t
make_reports(struct fleet_agent *a, struct report **items, Corral__TaskReport ***list)
{
	struct list *it, *nx;
	size_t count = 0;

	LIST_EACH(it, nx, &a->tasks)
		count++;
	*items = calloc(count + 1, sizeof **items);
	*list = calloc(count + 1, sizeof **list);
	if (*items == NULL || *list == NULL)
		fleet_die("no memory for a report");
	count = 0;
	LIST_EACH(it, nx, &a->tasks) {
		const struct fleet_task *t = CONTAINER_OF(it, struct fleet_task, in_agent);
		struct report *r = &(*items)[count];

		corral__task_report__init(&r->report);
		corral__resources__init(&r->resources);
		fleet_task_key(t, &r->key, &r->term);
		r->resources.has_cpu_milli = r->resources.has_memory_bytes = true;
		r->resources.cpu_milli = t->need.cpu_milli;
		r->resources.memory_bytes = t->need.memory_bytes;
		r->report.key = &r->key;
		r->report.resources = &r->resources;
		r->report.state = fleet_task_state(t);
		(*list)[count++] = &r->report;
	}
	return count;
}

static void
send_register(struct fleet_agent *a)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Register r = CORRAL__REGISTER__INIT;
	Corral__Resources capacity = CORRAL__RESOURCES__INIT;
	struct report *items;

	capacity.has_cpu_milli = capacity.has_memory_bytes = capacity.has_disk_bytes = true;
	capacity.cpu_milli = a->fleet->o.slots * 1000;
	capacity.memory_bytes = a->fleet->o.slots << 30;
	capacity.disk_bytes = UINT64_C(1) << 40;
	r.agent_id = a->id;
	r.node = a->name;
	r.boot_id = (char *)"a-fleet-never-boots";
	r.capacity = &capacity;
	r.highest_term = a->fleet->has_term ? &a->fleet->highest_term : NULL;
	r.version = (char *)"fleet";
	r.api_address = (char *)"127.0.0.1:5051";
	r.n_tasks = make_reports(a, &items, &r.tasks);
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_REGISTER;
	m.register_ = &r;
	fleet_agent_send(a, &m);
	free(items);
	free(r.tasks);
}

static void
send_heartbeat(struct fleet_agent *a)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Heartbeat h = CORRAL__HEARTBEAT__INIT;
	Corral__NodeUsage usage = CORRAL__NODE_USAGE__INIT;

	usage.has_cpu_used_milli = usage.has_memory_used_bytes = true;
	usage.cpu_used_milli = a->used.cpu_milli;
	usage.memory_used_bytes = a->used.memory_bytes;
	h.sent_boot_ms = clock_boot_ms();
	h.usage = &usage;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT;
	m.heartbeat = &h;
	fleet_agent_send(a, &m);
	wheel_set(a->fleet, &a->beat, a->heartbeat_ms);
}

static void
gone(struct fleet_agent *a)
{
	if (a->registered)
		a->fleet->registered--;
	a->registered = false;
	a->link = NULL;
	wheel_cancel(&a->beat);
}

static void
on_beat(struct fleet *f, struct due *d)
{
	struct fleet_agent *a = CONTAINER_OF(d, struct fleet_agent, beat);

	if (a->link == NULL)
		return;
	if (clock_boot_ms() >= a->lease_end_ms) {
		f->counts.leases_ended++;
		link_abort(a->link);
		gone(a);
	} else if (a->registered) {
		send_heartbeat(a);
	}
}

static void
take_welcome(struct fleet_agent *a, const Corral__MasterToAgent *m)
{
	if (!str_copy(a->id, sizeof a->id, m->welcome->agent_id))
		fleet_die("the master gave the id '%s'", m->welcome->agent_id);
	if (!a->registered)
		a->fleet->registered++;
	a->registered = true;
	a->registration = m->registration;
	a->lease_ms = m->welcome->lease_ms;
	a->heartbeat_ms = m->welcome->heartbeat_ms;
	a->lease_end_ms = a->up_ms + a->lease_ms;
	send_heartbeat(a);
	fleet_pump_all(a);
}

static void
take(struct fleet_agent *a, const Corral__MasterToAgent *m)
{
	switch (m->body_case) {
	case CORRAL__MASTER_TO_AGENT__BODY_WELCOME:
		take_welcome(a, m);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_REFUSED:
		fleet_die("%s is refused: %s", a->name, m->refused->why);
	case CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK:
		if (m->heartbeat_ack->sent_boot_ms + a->lease_ms > a->lease_end_ms)
			a->lease_end_ms = m->heartbeat_ack->sent_boot_ms + a->lease_ms;
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_LAUNCH:
		for (size_t i = 0; i < m->launch->n_tasks; i++)
			fleet_launch(a, m->launch->tasks[i]);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_KILL:
		for (size_t i = 0; i < m->kill->n_keys; i++)
			fleet_kill(a, m->kill->keys[i]);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS:
		for (size_t i = 0; i < m->update_acks->n_acks; i++)
			fleet_ack(a, m->update_acks->acks[i]);
		break;
	default:
		a->fleet->counts.strange++;
		break;
	}
}

/* The highest term that any agent has seen: as if all had seen it. False: it is an old one. */
static bool
term_obeyed(struct fleet *f, const Corral__Term *t)
{
	if (f->has_term && (t->era < f->highest_term.era ||
			       (t->era == f->highest_term.era && t->czxid < f->highest_term.czxid)))
		return false;
	corral__term__init(&f->highest_term);
	f->highest_term.era = t->era;
	f->highest_term.czxid = t->czxid;
	f->has_term = true;
	return true;
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct fleet_agent *a = arg;
	Corral__MasterToAgent *m;

	(void)l;
	arena_used = 0;
	m = corral__master_to_agent__unpack(&allocator, size, bytes);
	if (m == NULL)
		fleet_die("%s was sent a message that cannot be read", a->name);
	if (!term_obeyed(a->fleet, m->term) ||
	    (a->registered && m->registration != a->registration &&
		m->body_case != CORRAL__MASTER_TO_AGENT__BODY_WELCOME))
		a->fleet->counts.strange++;
	else
		take(a, m);
}

static void
on_up(void *arg, struct link *l)
{
	struct fleet_agent *a = arg;

	if (link_peer(l)->role != TLS_ROLE_MASTER)
		fleet_die("%s: not a master's certificate", link_peer_address(l));
	a->link = l;
	a->up_ms = clock_boot_ms();
	a->lease_end_ms = a->up_ms + LEASE_MS_BEFORE_WELCOME;
	wheel_set(a->fleet, &a->beat, LEASE_MS_BEFORE_WELCOME);
	send_register(a);
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct fleet_agent *a = arg;
	static uint64_t said;

	(void)l;
	if (said++ < 5)
		fprintf(stderr, "fleet: %s: %s\n", a->name, why);
	a->fleet->counts.downs++;
	gone(a);
}

bool
fleet_agent_open(struct fleet *f, uint32_t number)
{
	struct fleet_agent *a = &f->agents[number];
	struct tls_files files = {.ca = f->conf.tls.ca};
	char cert[512], key[512], error[512];

	a->fleet = f;
	list_init(&a->tasks);
	list_init(&a->beat.in_slot);
	a->beat.fire = on_beat;
	snprintf(a->name, sizeof a->name, "f%05u", number);
	snprintf(cert, sizeof cert, "%s/%s.pem", f->o.directory, a->name);
	snprintf(key, sizeof key, "%s/key.pem", f->o.directory);
	files.cert = cert;
	files.key = key;
	a->tls = tls_new(&files, true, error, sizeof error);
	if (a->tls == NULL)
		fprintf(stderr, "fleet: %s\n", error);
	return a->tls != NULL;
}

void
fleet_agent_close(struct fleet_agent *a)
{
	struct list *it, *nx;

	dialer_free(a->dialer);
	LIST_EACH(it, nx, &a->tasks)
		free(CONTAINER_OF(it, struct fleet_task, in_agent));
	tls_unref(a->tls);
}

/* A leader was elected: all agents go to it at once, as each would that watches the ensemble. */
void
fleet_agents_dial(struct fleet *f, const char *address)
{
	static const struct link_limits limits = {
	    FRAME_AGENT_MASTER_BYTES_MAX, QUEUE_BYTES_MAX, HANDSHAKE_MS, 0};
	static const struct link_ops ops = {on_up, on_frame, NULL, on_down};

	for (uint64_t i = 0; i < f->o.agents; i++) {
		struct fleet_agent *a = &f->agents[i];

		if (a->dialer == NULL) {
			a->dialer = dialer_new(f->loop, &address, 1, a->tls, &limits, &ops, a);
			if (a->dialer == NULL)
				fleet_die("no memory for a link");
		} else if (!dialer_set_addresses(a->dialer, &address, 1)) {
			fleet_die("no memory for an address");
		} else if (a->link != NULL) {
			link_abort(a->link);
			gone(a);
		}
	}
}
