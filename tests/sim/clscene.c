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
	d.policy.retries_max = 20; /* some programs cannot be started */
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

/* ---- What operators do. ---- */

static void
stop_masters(struct scene *s, uint64_t ms)
{
	s->c->masters_off_ms = s->c->world.now_ms + ms;
	for (unsigned k = 0; k < s->c->conf.masters; k++)
		if (s->c->masters[k]->proc.up)
			s->c->masters[k]->proc.die(&s->c->masters[k]->proc);
}

static unsigned
registered(const struct scene *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->c->conf.agents; i++)
		n += s->c->hosts[i]->core != NULL && agent_core_registered(s->c->hosts[i]->core);
	return n;
}

/* An older copy of the ensemble: agents obey nobody before the era is raised, and then go on. */
static void
restored_ensemble(struct scene *s)
{
	struct cl_master *m = begin(s);
	uint64_t starts, elections;

	submit(s, m, "web", 4, false);
	pass(s, 5000);
	cl_ens_copy(s->c);
	for (int i = 0; i < 3; i++) { /* so that the copy's next transactions are smaller */
		cl_ens_crash(s->c, (unsigned)cl_ens_leader(s->c), 500);
		pass(s, 15000);
	}
	stop_masters(s, 6000); /* agents get to know another term */
	pass(s, 15000);
	m = leader(s);
	submit(s, m, "late", 2, false);
	pass(s, 20000);
	must(s, running(s) == 6, "not all tasks run");
	stop_masters(s, 15000);
	pass(s, 14000);
	cl_ens_restore(s->c);
	starts = cl_check_totals(s->c)->starts;
	pass(s, 60000);
	must(s, registered(s) == 0, "an agent obeys a term that is older than one that it knows");
	must(s, running(s) == 6, "tasks have ended that nobody asked for");
	elections = cl_check_totals(s->c)->elections;
	cl_master_bump_era(leader(s));
	pass(s, 60000);
	must(s, cl_check_totals(s->c)->elections > elections, "nobody was elected in the new era");
	must(s, registered(s) == s->c->conf.agents, "an agent does not know the new era");
	must(s, running(s) == 4, "not those tasks run that the copy knows");
	must(s, cl_check_totals(s->c)->starts == starts, "a task was started anew");
}

static struct agent *
node(struct scene *s, struct cl_master *m, const struct cl_host *h)
{
	struct agent *a = cluster_agent(&m->cluster, h->machine->name);

	must(s, a != NULL, "a node is not known");
	return a;
}

static void
drain(struct cl_master *m, struct agent *a, bool wanted, uint64_t stop_after_ms)
{
	uint64_t now_ms = cl_now(m->proc.machine);
	struct drain d = {wanted, now_ms, now_ms + stop_after_ms, UINT64_MAX};

	cluster_drain(&m->cluster, now_ms, a, &d);
	cl_master_turn(m);
}

/* Its tasks move at the deadline, whoever leads then; undrained, it takes tasks again. */
static void
drained_by_a_deadline(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_host *h;

	submit(s, m, "web", 4, false);
	pass(s, 5000);
	h = busy_host(s);
	drain(m, node(s, m, h), true, 20000);
	pass(s, 3000);
	must(s, running_on(h) > 0, "its tasks were stopped before the deadline");
	m->proc.die(&m->proc);
	pass(s, 60000);
	must(s, running_on(h) == 0, "a drained node still has tasks");
	must(s, running(s) == 4, "its tasks do not run elsewhere");
	m = leader(s);
	drain(m, node(s, m, h), false, 0);
	submit(s, m, "more", 40, false); /* more than there is room for */
	pass(s, 10000);
	must(s, running_on(h) > 0, "an undrained node takes no tasks");
}

/* Most are silent, and none is given up by itself: people say which of them is. */
static void
marked_by_hand(struct scene *s)
{
	struct cl_master *m = begin(s);
	uint64_t marks;

	submit(s, m, "web", 6, false);
	pass(s, 3000);
	for (unsigned i = 0; i + 1 < s->c->conf.agents; i++)
		isolate(s, s->c->hosts[i]->machine);
	pass(s, 3 * s->c->conf.unreachable_ms);
	marks = cl_check_totals(s->c)->marks;
	must(s, marks == 0, "agents were marked unreachable");
	m = leader(s);
	cl_check_asked(s->c, s->c->hosts[0]->machine->name, false);
	must(s, cluster_mark_unreachable(&m->cluster, node(s, m, s->c->hosts[0])),
	    "a silent node cannot be marked");
	cl_master_turn(m);
	pass(s, 5000);
	must(s, cl_check_totals(s->c)->marks > 0, "it is not marked");
}

/* The machine of a singleton is off for good: no lease is waited out for it. */
static void
powered_off_and_forgotten(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_host *h;
	struct agent *a;
	char error[400];

	submit(s, m, "one", 1, true);
	pass(s, 5000);
	h = busy_host(s);
	cl_host_power_loss(h, 120000);
	pass(s, 2 * s->c->conf.lease_ms + 1000);
	m = leader(s);
	a = node(s, m, h);
	cl_check_asked(s->c, a->name, true);
	must(s, cluster_forget(&m->cluster, cl_now(m->proc.machine), a, true, error, sizeof error),
	    "a node that is off cannot be forgotten");
	cl_master_turn(m);
	pass(s, 2000);
	must(s, running(s) == 1, "its singleton does not run elsewhere");
}

/* ---- A node that was given up, and comes back. ---- */

/* Its task has a replacement by then: it is killed. */
static void
replaced_comes_back(struct scene *s)
{
	struct cl_master *m = begin(s);

	submit(s, m, "web", 1, false);
	pass(s, 5000);
	isolate(s, busy_host(s)->machine);
	pass(s, 4 * s->c->conf.unreachable_ms);
	must(s, running(s) == 2, "it has no replacement, or nothing runs where nobody hears it");
	cl_heal(s->c);
	pass(s, 30000);
	must(s, running(s) == 1, "both go on");
}

/* No replacement could be launched: it goes on as it was. */
static void
unreplaced_goes_on(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_host *h;
	uint64_t starts;

	submit(s, m, "web", 1, false);
	pass(s, 5000);
	h = busy_host(s);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		if (s->c->hosts[i] != h)
			drain(m, node(s, m, s->c->hosts[i]), true, 0);
	starts = cl_check_totals(s->c)->starts;
	isolate(s, h->machine);
	pass(s, 4 * s->c->conf.unreachable_ms);
	must(s, cl_check_totals(s->c)->marks == 1, "it was not given up");
	cl_heal(s->c);
	pass(s, 30000);
	must(s, running(s) == 1 && cl_check_totals(s->c)->starts == starts,
	    "it was killed, though nothing took its place");
	m = leader(s);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		drain(m, node(s, m, s->c->hosts[i]), false, 0);
}

/* The task ends, and its executor leaves, while there is no agent: the next one reads the status.
 */
static void
status_outlives_the_executor(struct scene *s)
{
	struct cl_master *m = begin(s);
	struct cl_def d = {.count = 4, .stop_ms = 1000, .run_min_ms = 8000, .run_max_ms = 9000};

	d.policy.need = (struct resources){500, 64 * MIB, 0};
	must(s, cl_master_submit(m, "batch", &d), "a job is refused");
	pass(s, 5000);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		cl_pause(&s->c->hosts[i]->proc, 15000);
	pass(s, 10000);
	for (unsigned i = 0; i < s->c->conf.agents; i++)
		for (struct list *it = s->c->hosts[i]->groups.next; it != &s->c->hosts[i]->groups;
		     it = it->next)
			cl_exec_kill(CONTAINER_OF(it, struct cl_group, link));
	pass(s, 60000);
	must(s, cl_check_totals(s->c)->starts == 4, "a task that had ended was made again");
	must(s, cl_check_totals(s->c)->ended == 4, "not all ends are stored");
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
    {"restored-ensemble", restored_ensemble},
    {"drained-by-a-deadline", drained_by_a_deadline},
    {"marked-by-hand", marked_by_hand},
    {"powered-off-and-forgotten", powered_off_and_forgotten},
    {"replaced-comes-back", replaced_comes_back},
    {"unreplaced-goes-on", unreplaced_goes_on},
    {"status-outlives-the-executor", status_outlives_the_executor},
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
	    .patience_ms = 900000,
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
