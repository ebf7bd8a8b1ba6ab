/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executions of a cluster that the protocol was made for, each under a name of its own: what is to
 * happen is made to happen, at the same step in every run; the checks of clsim watch, and in the
 * end all must be over. With a seed only delays, clocks and the tasks' times differ.
 *
 *     clscene [NAME [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "tests/sim/cl_check.h"

#define MIB (UINT64_C(1) << 20)
#define SEEDS 4
#define CALM_MS 600000

int zab_plant; /* none */

struct scene {
	struct cl *c;
	const char *name;
};

static void
must(struct scene *s, bool holds, const char *what)
{
	if (!holds)
		world_violation(&s->c->world, "scene %s: %s", s->name, what);
}

static void
pass(struct scene *s, uint64_t ms)
{
	uint64_t end = s->c->world.now_ms + ms;

	while (s->c->world.now_ms < end && world_step(&s->c->world))
		;
}

static struct cl_master *
leader(struct scene *s)
{
	for (int i = 0; i < 600; i++) {
		for (unsigned k = 0; k < s->c->conf.masters; k++)
			if (cl_master_serves(s->c->masters[k]))
				return s->c->masters[k];
		pass(s, 100);
	}
	must(s, false, "nobody leads");
	return s->c->masters[0];
}

/* A leader, and all agents registered with it. */
static struct cl_master *
begin(struct scene *s)
{
	struct cl_master *m = leader(s);

	pass(s, 10000);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		must(s, agent_core_registered(s->c->hosts[i]->core), "an agent is not registered");
	return m;
}

static void
submit(struct scene *s, struct cl_master *m, const char *name, uint32_t count, bool singleton)
{
	struct cl_def d = {.count = count, .stop_ms = 1000, .singleton = singleton};

	d.policy.need = (struct resources){1000, 64 * MIB, 0};
	d.policy.service = true;
	d.policy.restart = JOB_RESTART_ALWAYS;
	must(s, cl_master_submit(m, name, &d), "a job is refused");
}

static unsigned
running_on(const struct cl_host *h)
{
	unsigned n = 0;

	for (struct list *it = h->groups.next; it != &h->groups; it = it->next)
		n += !cl_group_empty(CONTAINER_OF(it, struct cl_group, link));
	return n;
}

static unsigned
running(const struct scene *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->c->conf.agents; i++)
		n += running_on(s->c->hosts[i]);
	return n;
}

static struct cl_host *
busy_host(struct scene *s)
{
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		if (running_on(s->c->hosts[i]) > 0)
			return s->c->hosts[i];
	must(s, false, "nothing runs");
	return s->c->hosts[0];
}

static void
isolate(struct scene *s, const struct cl_machine *m)
{
	for (unsigned b = 0; b < s->c->machine_count; b++) {
		cl_block(s->c, m->number, b, true);
		cl_block(s->c, b, m->number, true);
	}
}

/* ---- Terms. ---- */

/* A cut-off follower answers its master's pings and reads: no proof of anything. */
static void
stale_side(struct scene *s)
{
	struct cl_master *m = begin(s);
	int server = cl_ens_server_of(s->c, cl_zk_session(m->zk));
	uint64_t side = UINT64_C(1) << m->proc.machine->number |
			UINT64_C(1) << s->c->hosts[0]->machine->number | UINT64_C(1) << server,
		 elections = cl_check_totals(s->c)->elections;

	submit(s, m, "web", 6, false);
	pass(s, 2000);
	for (unsigned a = 0; a < s->c->machine_count; a++)
		for (unsigned b = 0; b < s->c->machine_count; b++)
			if ((side >> a & 1) != (side >> b & 1))
				cl_block(s->c, a, b, true);
	pass(s, 60000);
	must(s, cl_check_totals(s->c)->elections > elections, "nobody else was elected");
	must(s, !m->leading, "the old leader still leads");
}

static void
leader_cut_from_ensemble(struct scene *s)
{
	struct cl_master *m = begin(s);
	uint64_t elections = cl_check_totals(s->c)->elections;

	submit(s, m, "web", 6, false);
	pass(s, 3000);
	for (unsigned i = 0; i < s->c->conf.servers; i++) {
		cl_block(s->c, cl_server_machine(i), m->proc.machine->number, true);
		cl_block(s->c, m->proc.machine->number, cl_server_machine(i), true);
	}
	pass(s, 30000);
	must(s, cl_check_totals(s->c)->elections > elections, "nobody else was elected");
}

/* From half a session's time-out to five of them, with requests in its sockets. */
static void
leader_stopped(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 6, false);
	for (unsigned halves = 1; halves <= 10; halves += 3) {
		m = leader(s);
		m->proc.pause_ms = halves * s->c->conf.session_ms / 2;
		m->proc.pause_in = 2;
		pass(s, 30000);
	}
}

/* The reply to its election node's creation is lost: it looks for a node of its own. */
static void
lost_reply(struct scene *s)
{
	struct cl_master *m = leader(s);
	unsigned other = m->number == 0 ? 1 : 0;

	for (unsigned at = 0; at < 40; at += 2) {
		if (s->c->masters[other]->proc.up)
			s->c->masters[other]->proc.die(&s->c->masters[other]->proc);
		while (!s->c->masters[other]->proc.up)
			pass(s, 10);
		pass(s, at);
		for (unsigned i = 0; i < s->c->conf.servers; i++)
			cl_reset_between(
			    s->c, cl_server_machine(i), s->c->masters[other]->proc.machine->number);
		pass(s, 3000);
	}
	m->proc.die(&m->proc);
	pass(s, 30000);
	(void)leader(s);
}

/* ---- Leases. ---- */

static void
singleton_cut_off(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_host *h;
	uint64_t most_ms = (s->c->conf.lease_ms + 1000 + 2000) * 103 / 100 + 5000;

	submit(s, m, "one", 1, true);
	pass(s, 5000);
	h = busy_host(s);
	isolate(s, h->machine);
	/* 1 % of drift, at the leader's side. */
	pass(s, most_ms * 101 / 100);
	must(s, running_on(h) == 0, "it goes on where nobody renews its lease");
	must(s, running(s) == 1, "its replacement does not run in time");
}

static void
singleton_asleep(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "one", 1, true);
	pass(s, 5000);
	cl_sleep(busy_host(s)->machine, 60000);
	pass(s, 70000);
	must(s, running(s) == 1, "not one, but another number runs");
}

/* It finds a LAUNCH in its buffer that is older than its lease. */
static void
frozen_agent_finds_launch(struct scene *s)
{
	struct cl_master *m = begin(s);
	uint64_t starts = cl_check_totals(s->c)->starts;

	for (unsigned i = 0; i < s->c->conf.agents; i++)
		cl_pause(&s->c->hosts[i]->proc, 4 * s->c->conf.lease_ms);
	submit(s, m, "one", 3, true);
	submit(s, m, "web", 3, false);
	pass(s, 3 * s->c->conf.lease_ms);
	must(s, cl_check_totals(s->c)->starts == starts, "something was started by the frozen");
	pass(s, 60000);
	must(s, running(s) == 6, "not all tasks run");
}

/* A shell that reads on where it should not. */
static void
launch_read_after_registration(struct scene *s)
{
	struct cl_master *m = begin(s);

	s->c->conf.reads_late = true;
	submit(s, m, "web", 6, false);
	for (int i = 0; i < 30; i++) {
		pass(s, 2000);
		m = leader(s);
		if (i % 10 == 9)
			m->proc.die(&m->proc);
	}
	must(s, s->c->lates > 0, "nothing was read too late");
}

/* ---- Launch, kill, recovery. ---- */

/* The agent dies before its k-th output from the launch on, whichever that is. */
static void
agent_dies_at_each_step(struct scene *s)
{
	char name[16];

	for (unsigned k = 1; k <= 24; k++) {
		struct cl_master *m = leader(s);

		pass(s, 3000);
		for (unsigned i = 0; i < s->c->conf.agents; i++)
			s->c->hosts[i]->proc.crash_in = k;
		snprintf(name, sizeof name, "web-%u", k);
		submit(s, m, name, 1, k % 2 == 0);
		pass(s, 4000);
		if (k % 3 == 0 && cl_master_serves(m))
			cl_master_stop_job(m, name);
	}
}

static void
executor_dies_at_each_step(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 4, false);
	for (unsigned k = 0; k < 40; k++) {
		pass(s, 2000);
		for (unsigned i = 0; i < s->c->conf.agents; i++)
			for (struct list *it = s->c->hosts[i]->groups.next;
			     it != &s->c->hosts[i]->groups; it = it->next)
				CONTAINER_OF(it, struct cl_group, link)->proc.crash_in = 1 + k % 4;
	}
}

/* The power goes at each operation of the disk. */
static void
power_goes_in_each_write(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 4, false);
	for (unsigned k = 1; k <= 20; k++) {
		struct cl_host *h = s->c->hosts[k % s->c->conf.agents];

		simdisk_stop_at(h->disk, simdisk_ops(h->disk) + k);
		pass(s, 15000);
	}
}

/* Nobody knows of some tasks: they are not made again while their agent may come back. */
static void
unaccounted_after_failover(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_host *h;
	uint64_t starts;

	submit(s, m, "web", 4, false);
	pass(s, 5000);
	h = busy_host(s);
	isolate(s, h->machine);
	starts = cl_check_totals(s->c)->starts;
	m->proc.die(&m->proc);
	pass(s, s->c->conf.unreachable_ms / 2);
	must(s, cl_check_totals(s->c)->starts == starts, "a task was made again too soon");
	pass(s, 4 * s->c->conf.unreachable_ms);
	must(s, cl_check_totals(s->c)->starts > starts, "what was given up was not made again");
}

/* More than half of them are silent: that is rather the master's own doing. */
static void
most_agents_silent(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 6, false);
	pass(s, 3000);
	for (unsigned i = 0; i + 1 < s->c->conf.agents; i++)
		isolate(s, s->c->hosts[i]->machine);
	pass(s, 5 * s->c->conf.unreachable_ms);
	must(s, cl_check_totals(s->c)->marks == 0, "agents were marked unreachable");
}

static void
reboot(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 6, false);
	submit(s, m, "one", 1, true);
	pass(s, 5000);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		cl_host_power_loss(s->c->hosts[i], 2000);
	pass(s, 60000);
	must(s, running(s) == 7, "not all tasks run again");
}

static const struct {
	const char *name;
	void (*play)(struct scene *s);
} scenes[] = {
    {"stale-side", stale_side},
    {"leader-cut-from-ensemble", leader_cut_from_ensemble},
    {"leader-stopped", leader_stopped},
    {"lost-reply", lost_reply},
    {"singleton-cut-off", singleton_cut_off},
    {"singleton-asleep", singleton_asleep},
    {"frozen-agent-finds-launch", frozen_agent_finds_launch},
    {"launch-read-after-registration", launch_read_after_registration},
    {"agent-dies-at-each-step", agent_dies_at_each_step},
    {"executor-dies-at-each-step", executor_dies_at_each_step},
    {"power-goes-in-each-write", power_goes_in_each_write},
    {"unaccounted-after-failover", unaccounted_after_failover},
    {"most-agents-silent", most_agents_silent},
    {"reboot", reboot},
};

#define SCENES (sizeof scenes / sizeof scenes[0])

/* No more faults: services are stopped, and then everything ends. */
static void
end(struct scene *s)
{
	uint64_t until = s->c->world.now_ms + CALM_MS;

	s->c->calm = true;
	cl_heal(s->c);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		s->c->hosts[i]->proc.crash_in = 0;
	while (s->c->world.violation[0] == '\0' && !cl_check_is_quiet(s->c)) {
		if (s->c->world.now_ms > until)
			cl_check_quiet(s->c);
		for (unsigned k = 0; k < s->c->conf.masters; k++)
			if (cl_master_serves(s->c->masters[k]))
				cl_master_stop_services(s->c->masters[k]);
		pass(s, 1000);
	}
}

static bool
play(size_t which, uint64_t seed, bool trace)
{
	const struct cl_conf conf = {.servers = 3,
	    .masters = 2,
	    .agents = 4,
	    .session_ms = 4000,
	    .tick_ms = 800,
	    .sync_ticks = 10,
	    .lease_ms = 5000,
	    .heartbeat_ms = 1000,
	    .unreachable_ms = 15000,
	    .delay_ms = 5,
	    .discover = seed % 2 == 0,
	    .isolates = true};
	struct scene s = {cl_new(seed, &conf, CL_PLANT_NONE, trace), scenes[which].name};
	bool good;

	scenes[which].play(&s);
	end(&s);
	good = s.c->world.violation[0] == '\0';
	if (!good)
		world_explain(&s.c->world);
	cl_free(s.c);
	return good;
}

int
main(int argc, char **argv)
{
	uint64_t seed = 0;
	bool good = true;

	if (argc > 3 || (argc == 3 && !str_to_u64(argv[2], 1, UINT32_MAX, &seed))) {
		fputs("usage: clscene [NAME [SEED]]\n", stderr);
		return 64;
	}
	for (size_t i = 0; i < SCENES; i++) {
		if (argc > 1 && strcmp(argv[1], scenes[i].name) != 0)
			continue;
		if (seed != 0)
			return play(i, seed, true) ? 0 : 1;
		for (uint64_t k = 1; k <= SEEDS; k++)
			good = play(i, k, false) && good;
		printf("%s\n", scenes[i].name);
	}
	return good ? 0 : 1;
}
