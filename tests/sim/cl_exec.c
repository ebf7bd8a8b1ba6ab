/* SPDX-License-Identifier: Apache-2.0 */
/* Executors: the shipped core in a shell like executor/attempt.c and runner.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_host.h"

#define DIAL_MS_MIN 100
#define DIAL_MS_MAX 5000
#define SWEEP_MS_MAX 1000

static uint64_t
now(const struct cl_group *g)
{
	return cl_now(g->host->machine);
}

bool
cl_exec_alive(const struct cl_group *g)
{
	return g->proc.up;
}

/* ---- To the agent. ---- */

static void
send_message(struct cl_group *g, const Corral__ExecutorToAgent *m)
{
	size_t size = corral__executor_to_agent__get_packed_size(m);
	uint8_t *bytes = cl_alloc(size + 1);

	corral__executor_to_agent__pack(m, bytes);
	if (g->conn != NULL)
		cl_send(g->conn, &g->proc, bytes, size);
	free(bytes);
}

static void
send_hello(struct cl_group *g, bool as_another)
{
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__Term highest;

	hello.key = g->key_message;
	hello.pid = g->pid;
	hello.start_time = g->start_time + as_another;
	hello.state = life_task_state(&g->life);
	if (life_highest_term(&g->life, &highest))
		hello.highest_term = &highest;
	hello.has_stopping = hello.stopping = g->life.stopping;
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_HELLO;
	m.hello = &hello;
	send_message(g, &m);
}

static void
fill_update(
    struct cl_group *g, const struct life_update *u, unsigned number, Corral__StatusUpdate *m)
{
	corral__status_update__init(m);
	m->key = g->key_message;
	m->sequence = number + 1;
	m->uuid.data = (uint8_t *)(uintptr_t)u->uuid;
	m->uuid.len = LIFE_UUID_BYTES;
	m->state = u->state;
	m->has_reason = true;
	m->reason = u->reason;
	m->has_exit_code = u->has_exit_code;
	m->exit_code = u->exit_code;
	m->has_signal = u->has_signal;
	m->signal = u->signal;
}

static void
send_update(struct cl_group *g, unsigned number)
{
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__StatusUpdate u;

	fill_update(g, &g->life.update[number], number, &u);
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_UPDATE;
	m.update = &u;
	send_message(g, &m);
}

/* Atomic and durable, or not at all. */
static void
save(struct cl_group *g, unsigned number)
{
	Corral__StatusUpdate u;

	if (!g->host->c->calm && rng_below(&g->host->c->rng_host, 100) == 0)
		return; /* the disk is full */
	fill_update(g, &g->life.update[number], number, &u);
	free(g->status);
	g->status_size = corral__status_update__get_packed_size(&u);
	g->status = cl_alloc(g->status_size + 1);
	corral__status_update__pack(&u, g->status);
}

/* ---- Acts. ---- */

static void drain(struct cl_group *g);

static void
sweep(struct cl_group *g)
{
	if (cl_group_empty(g) && !g->task.ended) {
		g->sweeping = false;
		life_swept(&g->life, now(g));
		return;
	}
	cl_task_kill(g);
	g->sweep_at_ms = now(g) + g->sweep_wait_ms;
	g->sweep_wait_ms =
	    g->sweep_wait_ms * 2 < SWEEP_MS_MAX ? g->sweep_wait_ms * 2 : SWEEP_MS_MAX;
	cl_timer(&g->proc, g->sweep_at_ms);
}

static void
start_process(struct cl_group *g)
{
	if (now(g) >= life_start_by_ms(&g->life)) {
		life_started(&g->life, ETIME, 0, LIFE_STEP_LEASE, now(g), 0);
		return;
	}
	if (rng_below(&g->host->c->rng_host, 200) == 0) {
		life_started(&g->life, ENOENT, 127, "exec", now(g), 0);
		return;
	}
	cl_task_start(g);
	cl_check_task_starts(g);
	life_started(&g->life, 0, 0, "", now(g), 0);
}

static void
leave(struct cl_group *g)
{
	cl_trace(g->host->c, "%s: executor %s leaves", g->host->machine->name, g->name);
	g->conn = NULL;
	cl_proc_end(&g->proc);
}

static void
carry_out(struct cl_group *g, const struct life_act *a)
{
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__ExecutorStuck stuck = CORRAL__EXECUTOR_STUCK__INIT;

	switch (a->kind) {
	case LIFE_ACT_START:
		start_process(g);
		break;
	case LIFE_ACT_SIGNAL:
		cl_check_task_stops(g);
		cl_task_signal(g, a->signo);
		break;
	case LIFE_ACT_KILL:
		cl_check_task_stops(g);
		g->sweeping = true;
		g->sweep_wait_ms = 1;
		if (g->host->c->plant == CL_PLANT_END_EARLY)
			life_swept(&g->life, now(g));
		sweep(g);
		break;
	case LIFE_ACT_SAVE:
		save(g, a->update);
		break;
	case LIFE_ACT_SEND:
		send_update(g, a->update);
		break;
	case LIFE_ACT_STUCK:
		m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_STUCK;
		m.stuck = &stuck;
		send_message(g, &m);
		break;
	case LIFE_ACT_LEAVE:
		leave(g);
		break;
	}
}

static void
drain(struct cl_group *g)
{
	while (g->proc.up) {
		enum cl_go go;

		if (!g->act_cut && !life_next(&g->life, &g->act))
			break;
		g->act_cut = true;
		if ((go = cl_output(&g->proc)) != CL_GO)
			return;
		g->act_cut = false;
		carry_out(g, &g->act);
	}
	if (!g->proc.up)
		return;
	cl_timer(&g->proc, life_deadline_ms(&g->life));
	if (g->sweeping)
		cl_timer(&g->proc, g->sweep_at_ms);
	if (g->conn == NULL && !g->dialing)
		cl_timer(&g->proc, g->dial_at_ms);
}

/* ---- From the agent. ---- */

static void
dial_later(struct cl_group *g)
{
	g->dial_at_ms = now(g) + g->dial_wait_ms;
	g->dial_wait_ms = g->dial_wait_ms * 2 < DIAL_MS_MAX ? g->dial_wait_ms * 2 : DIAL_MS_MAX;
	cl_timer(&g->proc, g->dial_at_ms);
}

static void
on_frame(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct cl_group *g = owner;
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, size, bytes);

	(void)conn;
	if (m == NULL) {
		world_violation(&g->host->c->world, "an agent's message cannot be read");
		return;
	}
	switch (life_term(&g->life, m->term) ? m->body_case
					     : CORRAL__AGENT_TO_EXECUTOR__BODY__NOT_SET) {
	case CORRAL__AGENT_TO_EXECUTOR__BODY_START:
		life_word(&g->life, now(g));
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_STOP:
		life_stop(&g->life, m->stop->has_now && m->stop->now, now(g));
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK:
		life_acked(&g->life, m->update_ack->uuid.data, m->update_ack->uuid.len);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END:
		life_lease(&g->life, m->lease_end->end_boot_ms, now(g));
		break;
	default:
		break;
	}
	corral__agent_to_executor__free_unpacked(m, NULL);
	drain(g);
}

static void
on_down(void *owner, struct cl_conn *conn)
{
	struct cl_group *g = owner;

	(void)conn;
	g->conn = NULL;
	life_link(&g->life, false, now(g));
	dial_later(g);
	drain(g);
}

/* Its agent knows who it is, so that another process of its number is none that it could take. */
static bool
is_known(const struct cl_group *g)
{
	const struct agent_attempt *a =
	    g->host->core == NULL ? NULL : agent_core_find(g->host->core, &g->key);

	return a != NULL && a->pid == g->pid && !g->host->c->calm;
}

static void
on_up(void *owner, struct cl_conn *conn, uint64_t token)
{
	struct cl_group *g = owner;

	if (token != g->dial) {
		if (conn != NULL)
			cl_close(conn, &g->proc);
		return;
	}
	g->dialing = false;
	if (conn == NULL) {
		dial_later(g);
		return;
	}
	g->conn = conn;
	g->dial_wait_ms = DIAL_MS_MIN;
	send_hello(g, is_known(g) && rng_below(&g->host->c->rng_host, 100) == 0);
	life_link(&g->life, true, now(g));
	drain(g);
}

static void
dial(struct cl_group *g)
{
	static const struct cl_end_ops ops = {on_frame, on_down};

	g->dialing = true;
	cl_dial(&g->proc, &g->host->port, on_up, &ops, g, ++g->dial);
}

/* ---- Time, and the task's end. ---- */

void
cl_exec_tick(struct cl_group *g)
{
	if (now(g) >= life_deadline_ms(&g->life))
		life_tick(&g->life, now(g));
	if (g->sweeping && now(g) >= g->sweep_at_ms)
		sweep(g);
	if (g->conn == NULL && !g->dialing && now(g) >= g->dial_at_ms)
		dial(g);
	drain(g);
}

void
cl_exec_child(struct cl_group *g)
{
	struct life_exit e = {.wait_status = g->task.end_status};

	if (!cl_runs(&g->proc))
		return; /* it looks when it goes on, if it does */
	if (g->task.ended) {
		g->task.ended = false;
		life_exited(&g->life, &e, now(g), cl_wall_ms(g->host->machine));
		drain(g);
	}
	if (g->proc.up && g->sweeping) {
		sweep(g);
		drain(g);
	}
}

static void
tick(struct cl_proc *p)
{
	cl_exec_tick(p->owner);
}

static void
resume(struct cl_proc *p)
{
	struct cl_group *g = p->owner;

	/* Time first: what was to be stopped meanwhile is stopped before anything else. */
	if (g->act_cut)
		drain(g);
	if (cl_runs(p))
		cl_exec_tick(g);
	if (cl_runs(p))
		cl_exec_child(g);
}

static void
die(struct cl_proc *p)
{
	cl_exec_kill(p->owner);
}

void
cl_exec_kill(struct cl_group *g)
{
	if (!g->proc.up)
		return;
	cl_trace(g->host->c, "%s: executor %s is killed", g->host->machine->name, g->name);
	g->conn = NULL;
	cl_proc_end(&g->proc);
	g->executor_died = true;
	cl_task_orphan(g);
}

static void
on_loaded(void *arg, uint64_t token)
{
	struct cl_group *g = arg;

	if (g->proc.life != token)
		return;
	g->dialing = false;
	if (cl_runs(&g->proc))
		dial(g); /* else when it goes on */
}

void
cl_exec_start(struct cl_group *g)
{
	uint8_t uuids[2 * LIFE_UUID_BYTES];

	for (size_t i = 0; i < sizeof uuids; i++)
		uuids[i] = (uint8_t)rng_u64(&g->host->c->rng_core);
	if (g->proc.c == NULL) {
		g->proc.owner = g;
		g->proc.die = die;
		g->proc.resume = resume;
		g->proc.tick = tick;
		cl_proc_init(&g->proc, g->host->machine);
	}
	cl_proc_start(&g->proc);
	g->sweeping = g->act_cut = g->executor_died = false;
	g->dialing = true; /* until it is loaded */
	g->dial_wait_ms = DIAL_MS_MIN;
	life_init(&g->life, g->spec, uuids, g->host->c->conf.patience_ms, now(g));
	(void)life_term(&g->life, g->key_message->term);
	if (g->lease_end_ms != 0)
		life_lease(&g->life, g->lease_end_ms, now(g));
	cl_timer(&g->proc, life_deadline_ms(&g->life));
	world_at(&g->host->c->world, 3 + rng_below(&g->host->c->rng_host, 40), on_loaded, g,
	    g->proc.life);
	cl_check_forked(g);
}
