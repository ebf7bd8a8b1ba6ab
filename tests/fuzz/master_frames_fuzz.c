/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from agents to the master's core: two agents are honest, and two say whatever their
 * frames have. The books balance after each step, nobody honest is sent more than it has, and what
 * is stored can be read by the next leader.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/codec/message.h"
#include "master/core/conn.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_cluster.h"

#define MIB (UINT64_C(1) << 20)

enum {
	HEARD_MS = 5000,
	HONEST = 2,
	HOSTILE = 2,
	CONNS = 2 * HOSTILE,
	LAUNCHED = 16,
	JOBS_MAX = 12,
	TASKS_MAX = 24
};

enum kind {
	FRAME, /* as it came */
	SPEAK, /* of its registration; keys are, by their index, of attempts that it was sent */
	DOWN,
	CONNECT, /* an honest agent */
	READ,	 /* so many of its messages */
	EXIT,	 /* the first of its tasks */
	COMMIT,	 /* 0: and the master does not hear of it */
	TIME,
	SUBMIT, /* bits of a policy */
	STOP,
	OPERATE, /* on a hostile agent: drain, undrain, mark, forget, power off */
	ELECT,
	KINDS
};

const ProtobufCMessageDescriptor *const frame_types[] = {
    [FRAME] = &corral__agent_to_master__descriptor,
    [SPEAK] = &corral__agent_to_master__descriptor,
    [ELECT] = NULL};
const size_t frame_type_count = KINDS;
const size_t frame_peers = CONNS;
const char *const frame_texts[] = {"", "n2", "n2", "n3", "n0", "j0", "j1", "A1", "boot", "user",
    "cgroup", "pid-namespace", "x y", "x\ny", "a\tb", "\x01\xff",
    "a-name-of-a-task-that-is-longer-than-any-name-of-a-task-can-be-in-it", NULL};

/* One of two connections of a hostile agent. */
struct hostile {
	struct conn conn;
	struct fake_agent *fake; /* its inbox alone */
	struct task_key launched[LAUNCHED];
	size_t launched_count;
};

static struct fake fake;
static struct hostile hostile[CONNS];
static const struct elect leading = {.state = ELECT_LEADING, .timeout_ms = UINT64_MAX};
static unsigned jobs;
static uint64_t heard_ms[HONEST];      /* when it last sent a heartbeat */
static uint64_t lease_from_ms[HONEST]; /* and that, or when it registered */

static void
hang_up(struct hostile *h)
{
	if (conn_is_newest(&h->conn, fake.leading))
		h->fake->connected = false;
	conn_fini(&h->conn, &fake.cluster, fake.leading, fake.now_ms);
}

/* As master/agent_link.c does what is said. */
static void
take_message(struct hostile *h, Corral__AgentToMaster *m)
{
	struct conn_news news;
	struct hostile *old;

	switch (conn_take(&h->conn, &fake.cluster, &leading, fake.leading, fake.now_ms, m, &news)) {
	case CONN_END:
	case CONN_REFUSED:
		hang_up(h);
		break;
	case CONN_REGISTERED:
		if ((old = news.old) != NULL) {
			conn_forsake(&old->conn);
			hang_up(old);
		}
		h->fake->connected = true;
		break;
	default:
		break;
	}
}

/* The key becomes one that the agent was sent, if its index is the number of one. */
static void
correct_key(const struct hostile *h, Corral__TaskKey *key)
{
	const struct task_key *from = &h->launched[key->index % LAUNCHED];

	if (key->index >= h->launched_count)
		return;
	key->incarnation = from->incarnation;
	key->index = from->index;
	key->attempt = from->attempt;
	key->term->era = from->term.era;
	key->term->czxid = from->term.czxid;
}

static void
correct(const struct hostile *h, Corral__AgentToMaster *m)
{
	m->has_registration = true;
	m->registration = h->conn.registration;
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES)
		for (size_t i = 0; i < m->updates->n_updates; i++)
			correct_key(h, m->updates->updates[i]->key);
	else if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT)
		for (size_t i = 0; i < m->heartbeat->n_stuck; i++)
			correct_key(h, m->heartbeat->stuck[i]);
	else if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		for (size_t i = 0; i < m->register_->n_tasks; i++)
			correct_key(h, m->register_->tasks[i]->key);
}

static void
take_frame(const struct script_line *l, bool right)
{
	Corral__AgentToMaster *m = (Corral__AgentToMaster *)message_unpack(
	    &corral__agent_to_master__descriptor, l->size, l->bytes);
	struct hostile *h = &hostile[l->peer % CONNS];

	if (m == NULL) {
		hang_up(h);
		return;
	}
	if (right)
		correct(h, m);
	take_message(h, m);
	corral__agent_to_master__free_unpacked(m, NULL);
}

/* Both connections learn of what was sent to the agent: one of them may be no more. */
static void
look_into_inboxes(void)
{
	for (int n = 0; n < CONNS; n++) {
		struct hostile *h = &hostile[n];

		for (size_t i = 0; i < h->fake->inbox_count; i++)
			if (h->fake->inbox[i].kind == OUT_LAUNCH)
				h->launched[h->launched_count++ % LAUNCHED] = h->fake->inbox[i].key;
	}
	for (int n = 0; n < CONNS; n++)
		hostile[n].fake->inbox_count = 0;
}

static void
submit(uint64_t bits)
{
	struct job_policy p = {.service = bits & 1,
	    .restart = (enum job_restart)((bits >> 1) % 3),
	    .restart_ms = 100,
	    .retries_max = (uint32_t)(bits >> 3) % 4,
	    .need = {500 * (1 + (bits >> 5) % 4), 64 * MIB, 0},
	    .singleton = bits >> 7 & 1,
	    .stop_ms = 1000,
	    .priority = (uint32_t)(bits >> 8) % 3,
	    .role = bits >> 10 & 1 ? "a" : NULL};
	char name[16];

	if (jobs == JOBS_MAX)
		return;
	snprintf(name, sizeof name, "j%u", jobs++);
	fake_submit(&fake, name, 1 + (uint32_t)(bits >> 11) % 4, &p);
}

static void
stop(uint64_t number)
{
	char name[16];
	struct job *j;

	snprintf(name, sizeof name, "j%u", (unsigned)(number % JOBS_MAX));
	if ((j = cluster_job(&fake.cluster, name)) != NULL)
		cluster_stop(&fake.cluster, fake.now_ms, j, "operator:test");
}

static void
operate(struct agent *a, uint64_t how)
{
	struct drain drain = {.wanted = how % 8 == 0,
	    .from_ms = fake.now_ms + (how >> 3) % 1000,
	    .stop_ms = fake.now_ms + (how >> 3) % 3000,
	    .until_ms = UINT64_MAX};
	char error[300];

	switch (a == NULL ? 8 : how % 8) {
	case 0:
	case 1:
		cluster_drain(&fake.cluster, fake.now_ms, a, &drain);
		break;
	case 2:
		cluster_mark_unreachable(&fake.cluster, a);
		break;
	case 3:
	case 4:
		cluster_forget(&fake.cluster, fake.now_ms, a, how % 8 == 4, error, sizeof error);
		break;
	case 5:
		cluster_powered_off(&fake.cluster, fake.now_ms, a);
		break;
	default:
		break;
	}
}

static void
elect(void)
{
	for (int i = 0; i < CONNS; i++)
		hang_up(&hostile[i]);
	fake_elect(&fake);
}

/* As the real one: what lies unread behind a welcome is of a lease that is over. */
static void
mind_lease(int honest)
{
	struct fake_agent *a = &fake.agents[honest];

	if (a->registration != 0 && fake.now_ms >= lease_from_ms[honest] + fake.lease_ms)
		fake_cut(&fake, a);
}

static void
connect_honest(int honest)
{
	fake_connect(&fake, &fake.agents[honest]);
	lease_from_ms[honest] = fake.now_ms;
}

static void
read_inbox(int honest, uint64_t messages)
{
	struct fake_agent *a = &fake.agents[honest];

	for (; messages > 0 && a->task_count < TASKS_MAX; messages--) {
		mind_lease(honest);
		fake_read(&fake, a);
	}
}

/* Honest agents are heard, and have ended what runs on them before a lease that nobody renews. */
static void
pass(uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < HEARD_MS ? ms : HEARD_MS;

		fake.now_ms += step;
		ms -= step;
		for (int i = 0; i < HONEST; i++) {
			struct fake_agent *a = &fake.agents[i];

			mind_lease(i);
			fake_heartbeat(&fake, a);
			if (a->connected && a->registration != 0)
				heard_ms[i] = lease_from_ms[i] = fake.now_ms;
			else if (fake.now_ms >= heard_ms[i] + 2 * HEARD_MS)
				fake_lose_all(&fake, a);
		}
		fake_turn(&fake);
	}
}

static void
take(const struct script_line *l)
{
	int honest = l->peer % HONEST;
	struct fake_agent *a = &fake.agents[honest];
	uint64_t number = frame_number(l);

	switch (l->kind % KINDS) {
	case FRAME:
	case SPEAK:
		take_frame(l, l->kind % KINDS == SPEAK);
		break;
	case DOWN:
		hang_up(&hostile[l->peer % CONNS]);
		break;
	case CONNECT:
		if (number % 2 == 0)
			fake_cut(&fake, a);
		else
			connect_honest(honest);
		break;
	case READ:
		read_inbox(honest, number % 8 + 1);
		break;
	case EXIT:
		if (a->task_count > 0 && !task_state_terminal(a->tasks[0].state))
			fake_exit(&fake, a, &a->tasks[0], (uint8_t)number);
		break;
	case COMMIT:
		fake_commit(&fake, number % 8 != 0);
		if (number % 8 == 0)
			elect(); /* a leader that hears no answer is none */
		break;
	case TIME:
		pass(number % 40000);
		break;
	case SUBMIT:
		submit(number);
		break;
	case STOP:
		stop(number);
		break;
	case OPERATE:
		operate(cluster_agent(&fake.cluster, hostile[l->peer % CONNS].conn.name), number);
		break;
	case ELECT:
		elect();
		break;
	}
	fake_turn(&fake);
	look_into_inboxes();
	assert(cluster_check(&fake.cluster));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script_line l;
	size_t at = 0;

	fake_init(&fake);
	jobs = 0;
	for (int i = 0; i < HONEST; i++) {
		fake_add_agent(&fake, 2000, 1024);
		heard_ms[i] = lease_from_ms[i] = fake.now_ms;
	}
	for (int i = 0; i < CONNS; i++) {
		hostile[i] = (struct hostile){
		    .fake = i % 2 == 0 ? fake_add_agent(&fake, 0, 0) : hostile[i - 1].fake};
		conn_init(&hostile[i].conn, &hostile[i]);
		memcpy(hostile[i].conn.name, hostile[i].fake->name, sizeof hostile[i].fake->name);
	}
	fake_elect(&fake);
	while (script_next(bytes, size, &at, &l))
		take(&l);
	elect();
	assert(fake.refusals == 0);
	fake_fini(&fake);
	return 0;
}
