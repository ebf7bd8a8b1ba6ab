/* SPDX-License-Identifier: Apache-2.0 */
/* A master's process: its turns, as master/main.c has them, cut wherever a fault wants it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "tests/sim/cl_check.h"
#include "tests/sim/cl_master.h"

#define NEW_SESSION_MS 200
#define LEASE_MS_MIN 2000

void
cl_def_encode(const struct cl_def *d, struct buf *text)
{
	const struct job_policy *p = &d->policy;

	buf_printf(text,
	    "%u %" PRIu32 " %d %d %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64
	    " %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 " %u %u %u %" PRIu32 " %" PRIu64
	    " %s",
	    d->release, d->count, p->service, (int)p->restart, p->restart_ms, p->retries_max,
	    p->need.cpu_milli, p->need.memory_bytes, p->need.disk_bytes, d->stop_ms, d->limit_ms,
	    d->singleton, d->run_min_ms, d->run_max_ms, d->fail_percent, d->stubborn_percent,
	    d->stray_percent, p->priority, p->disconnect_ms,
	    d->role[0] == '\0' ? ROLE_DEFAULT : d->role);
}

bool
cl_def_decode(struct cl_def *d, const char *text)
{
	struct job_policy *p = &d->policy;
	int service, restart, singleton;

	memset(d, 0, sizeof *d);
	if (sscanf(text,
		"%u %" SCNu32 " %d %d %" SCNu64 " %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64 " %d %" SCNu64 " %" SCNu64 " %u %u %u %" SCNu32 " %" SCNu64
		" %31s",
		&d->release, &d->count, &service, &restart, &p->restart_ms, &p->retries_max,
		&p->need.cpu_milli, &p->need.memory_bytes, &p->need.disk_bytes, &d->stop_ms,
		&d->limit_ms, &singleton, &d->run_min_ms, &d->run_max_ms, &d->fail_percent,
		&d->stubborn_percent, &d->stray_percent, &p->priority, &p->disconnect_ms,
		d->role) != 20)
		return false;
	p->role = d->role;
	p->service = service;
	p->restart = (enum job_restart)restart;
	d->singleton = p->singleton = singleton;
	p->stop_ms = d->stop_ms;
	return true;
}

static uint64_t
now(const struct cl_master *m)
{
	return cl_now(m->proc.machine);
}

static void
give_up(struct cl_master *m)
{
	if (m->leading)
		cl_trace(m->c, "%s: leads no longer: %s", m->proc.machine->name, m->elect.why);
	cl_master_clear_queue(m);
	cl_master_drop_links(m);
	cl_master_load_cancel(m);
	m->leading = false;
	m->bump = 0;
	if (m->cluster_made)
		cluster_fini(&m->cluster);
	m->cluster_made = false;
}

void
cl_master_loaded(struct cl_master *m)
{
	cluster_start(&m->cluster, now(m));
	m->leading = true;
	m->elections++;
	cl_trace(m->c, "%s: leads term (%" PRIu64 ", %" PRIx64 "), %zu jobs, %" PRIu32 " agents",
	    m->proc.machine->name, m->elect.term.era, (uint64_t)m->elect.term.czxid,
	    m->cluster.jobs.count, m->cluster.agent_count);
	cl_check_leads(m);
	cl_master_take_pending(m);
}

/* ---- Turns. ---- */

static void
decide(struct cl_master *m)
{
	bool held = m->leading && m->cluster.hold_count > 0;

	if (!m->leading || !elect_may_act(&m->elect, now(m)))
		return;
	cl_master_end_idle(m);
	cluster_turn(&m->cluster, now(m));
	cl_check_master(m);
	cl_check_fair(m, held);
	cl_master_queue_outs(m);
	cluster_out_clear(&m->cluster);
	if (m->cluster.failed)
		elect_drop(&m->elect, "out of memory");
}

static void
drop(struct cl_master *m)
{
	give_up(m);
	if (m->zk != NULL) {
		if (cl_zk_state(m->zk) == CL_ZK_EXPIRED)
			cl_zk_free(m->zk);
		else
			cl_zk_close(m->zk);
	}
	m->zk = NULL;
	m->zk_number++;
	m->zk_at_ms = now(m) + NEW_SESSION_MS;
}

/* Carry out what the election wants; false: the turn was cut. */
static bool
elect_acts(struct cl_master *m)
{
	for (;;) {
		while (m->act_next < m->act_count) {
			const struct elect_out *o = &m->acts[m->act_next];

			if (cl_output(&m->proc) != CL_GO)
				return false;
			m->act_next++;
			if (o->act == ELECT_DROP)
				drop(m);
			else if (o->act == ELECT_LEAD)
				cl_master_load(m);
			else if (m->zk != NULL)
				cl_master_elect_act(m, o);
		}
		if (m->elect.out_count == 0)
			return true;
		memcpy(m->acts, m->elect.out, m->elect.out_count * sizeof m->acts[0]);
		m->act_count = m->elect.out_count;
		m->act_next = 0;
		elect_out_clear(&m->elect);
	}
}

static void
set_timers(struct cl_master *m)
{
	if (m->zk_at_ms != 0)
		cl_timer(&m->proc, m->zk_at_ms);
	if (m->zk != NULL)
		cl_timer(&m->proc, cl_zk_deadline(m->zk));
	cl_timer(&m->proc, elect_deadline_ms(&m->elect));
	if (m->leading)
		cl_timer(&m->proc, cluster_deadline_ms(&m->cluster, now(m)));
}

static void
go_on(struct cl_master *m)
{
	const struct commit *batch;

	if (m->phase == PHASE_SEND) {
		if (!cl_master_send_queue(m))
			return;
		elect_tick(&m->elect, now(m));
		m->phase = PHASE_ELECT;
	}
	if (m->phase == PHASE_ELECT) {
		if (!elect_acts(m))
			return;
		m->phase = PHASE_WRITE;
	}
	if (m->phase == PHASE_WRITE) {
		if (m->leading && m->zk != NULL &&
		    (batch = cluster_commit_begin(&m->cluster)) != NULL)
			cl_master_write(m, batch, false);
		m->phase = PHASE_DONE;
	}
	if (m->elect.state == ELECT_STANDBY)
		cl_check_stands_by(m);
	set_timers(m);
}

static void
turn(struct cl_proc *p)
{
	struct cl_master *m = p->owner;

	if (p->gathered > 2)
		MARK("turn: a master's, of three events or more");
	p->gathered = 0;
	if (m->bump != 0 && m->leading && cluster_has_stored(&m->cluster, m->bump)) {
		m->bump = 0;
		elect_drop(&m->elect, "the era was raised");
	}
	decide(m);
	m->phase = PHASE_SEND;
	go_on(m);
}

void
cl_master_turn(struct cl_master *m)
{
	if (!m->proc.up || m->phase != PHASE_DONE)
		return; /* it is in one: what was asked for comes with that */
	if (!cl_gather(&m->proc))
		turn(&m->proc);
}

static void
tick(struct cl_proc *p)
{
	struct cl_master *m = p->owner;

	if (m->zk != NULL)
		cl_zk_tick(m->zk);
	else if (m->zk_at_ms != 0 && now(m) >= m->zk_at_ms)
		cl_master_session_open(m);
	cl_master_turn(m);
}

static void
resume(struct cl_proc *p)
{
	struct cl_master *m = p->owner;

	if (m->phase != PHASE_DONE)
		go_on(m);
	if (cl_runs(p))
		tick(p);
}

/* ---- The process. ---- */

static void
on_start(void *arg, uint64_t token)
{
	struct cl_master *m = arg;
	struct world *w = &m->c->world;

	if (w->now_ms < m->c->masters_off_ms)
		world_at(w, m->c->masters_off_ms - w->now_ms, on_start, m, token);
	else
		cl_master_start(m);
}

static void
die(struct cl_proc *p)
{
	struct cl_master *m = p->owner;

	cl_trace(m->c, "%s: the master dies%s", p->machine->name, m->leading ? ", leading" : "");
	cl_proc_end(p);
	if (m->zk != NULL)
		cl_zk_free(m->zk);
	m->zk = NULL;
	m->zk_number++;
	give_up(m);
	m->phase = PHASE_DONE;
	world_at(&m->c->world, 200 + rng_below(&m->c->rng_host, m->c->calm ? 1000 : 20000),
	    on_start, m, 0);
}

/* Whatever a configuration may say. */
static void
read_conf(struct cl_master *m)
{
	const struct cl_conf *conf = &m->c->conf;
	struct rng *r = &m->c->rng_set;

	/* Some are of an older release, until all have been upgraded. */
	m->release = !conf->releases || m->c->calm || rng_below(r, 3) > 0;
	m->lease_ms = conf->lease_ms;
	m->heartbeat_ms = conf->heartbeat_ms;
	if (conf->lease_most_ms == 0 || rng_below(r, 2) == 0)
		return;
	m->lease_ms = LEASE_MS_MIN + rng_below(r, conf->lease_most_ms - LEASE_MS_MIN + 1);
	m->heartbeat_ms = m->lease_ms / (2 + rng_below(r, 5));
}

void
cl_master_start(struct cl_master *m)
{
	if (m->proc.up)
		return;
	cl_proc_start(&m->proc);
	read_conf(m);
	m->starts++;
	m->phase = PHASE_DONE;
	m->act_count = m->act_next = 0;
	elect_init(&m->elect);
	cl_trace(m->c, "%s: the master starts, with a lease of %" PRIu64 " ms",
	    m->proc.machine->name, m->lease_ms);
	cl_master_session_open(m);
	set_timers(m);
}

struct cl_master *
cl_master_new(struct cl *c, unsigned number)
{
	struct cl_master *m = cl_alloc(sizeof *m);

	m->c = c;
	m->number = number;
	m->proc.owner = m;
	m->proc.die = die;
	m->proc.resume = resume;
	m->proc.tick = tick;
	m->proc.turn = turn;
	cl_proc_init(&m->proc, &c->machines[cl_master_machine(c, number)]);
	m->port = (struct cl_listener){&m->proc, cl_master_accept, m};
	list_init(&m->links);
	list_init(&m->queue);
	return m;
}

void
cl_master_free(struct cl_master *m)
{
	if (m->proc.up)
		cl_proc_end(&m->proc);
	if (m->zk != NULL)
		cl_zk_free(m->zk);
	m->zk = NULL;
	give_up(m);
	cl_proc_fini(&m->proc);
	free(m);
}

/* ---- What clients ask for. ---- */

bool
cl_master_serves(const struct cl_master *m)
{
	return cl_runs(&m->proc) && m->phase == PHASE_DONE && m->leading &&
	       elect_may_act(&m->elect, now(m));
}

bool
cl_master_submit(struct cl_master *m, const char *name, const struct cl_def *d)
{
	struct cl_def *copy = cl_alloc(sizeof *copy);
	struct buf text;
	struct job *j;
	bool ok;

	buf_init(&text, 1024);
	cl_def_encode(d, &text);
	if (!cl_def_decode(copy, buf_text(&text)))
		exit(70);
	ok = cluster_submit(&m->cluster, now(m), name, d->count, &copy->policy, copy,
		 (const char *)text.data, text.len, "operator:sim", cl_wall_ms(m->proc.machine),
		 &j) == SUBMIT_OK;
	buf_fini(&text);
	cl_master_turn(m);
	return ok;
}

bool
cl_master_stop_job(struct cl_master *m, const char *name)
{
	struct job *j = cluster_job(&m->cluster, name);
	bool ok = j != NULL && cluster_stop(&m->cluster, now(m), j, "operator:sim");

	cl_master_turn(m);
	return ok;
}

void
cl_master_bump_era(struct cl_master *m)
{
	cl_trace(m->c, "%s: the era becomes %" PRIu64, m->proc.machine->name,
	    cluster_era_bump(&m->cluster));
	m->bump = cluster_ticket(&m->cluster);
	cl_master_turn(m);
}

void
cl_master_stop_services(struct cl_master *m)
{
	char name[CLUSTER_NAME_MAX + 1];
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->cluster.live) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if ((!j->policy.service && !cl_is_giant(&j->policy.need)) ||
		    j->state == JOB_STOPPING)
			continue;
		snprintf(name, sizeof name, "%s", j->name);
		cl_master_stop_job(m, name);
		return;
	}
}
