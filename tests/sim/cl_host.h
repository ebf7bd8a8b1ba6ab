/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of the simulated cluster: an agent (the shipped core over a simulated disk), its helper,
 * and what the kernel has: a group for each attempt, with an executor (the shipped core) and the
 * task's processes. Groups, executors and tasks outlive the agent, and end with the power.
 */
#ifndef CORRAL_TESTS_SIM_CL_HOST_H
#define CORRAL_TESTS_SIM_CL_HOST_H

#include "tests/sim/cl_agent_core.h"
#include "executor/core/life.h"
#include "tests/lib/simdisk.h"
#include "tests/sim/cl_zk.h"

/* What was killed runs no more, and is gone so soon. */
#define CL_DEAD_MS_MAX 500

struct cl_host;

/* One run of a task's program. */
struct cl_task {
	bool main_runs;
	unsigned strays; /* processes that it left, or has beside the first */
	uint64_t number; /* of the run: events of an earlier one are void */
	bool dying;	 /* SIGKILL is on its way to all of it */
	bool sleeps;	 /* ... and it is in a sleep that nothing interrupts */
	bool stubborn;	 /* SIGTERM does nothing */
	int status;	 /* with which it ends if it is left alone, as waitpid() has it */
	bool ended;	 /* the first process has: with end_status */
	int end_status;
	uint64_t started_ms; /* true time */
};

struct cl_group {
	struct list link;
	struct cl_host *host;
	struct taskkey key;
	char name[TASKKEY_NAME_BYTES];
	Corral__TaskKey *key_message;
	Corral__TaskSpec *spec;
	uint8_t psk[ATTEMPT_PSK_BYTES];
	uint64_t lease_end_ms; /* as the launch had it; 0: none */
	bool removed;	       /* the group is gone; the run directory may still be there */
	bool forgotten;
	bool rotten; /* what its agent knew of it may be lost */
	/* The executor. */
	struct cl_proc proc;
	int64_t pid;
	uint64_t start_time;
	struct life life;
	struct cl_conn *conn;
	bool dialing;
	uint64_t dial_at_ms, dial_wait_ms, dial;
	bool sweeping, executor_died;
	uint64_t sweep_at_ms, sweep_wait_ms;
	bool act_cut; /* it was stopped before this act */
	struct life_act act;
	struct cl_task task;
	unsigned starts;
	/* The final status in its run directory. */
	uint8_t *status;
	size_t status_size;
};

struct cl_host {
	struct cl *c;
	unsigned number;
	struct cl_machine *machine;
	bool powered;
	uint64_t power; /* goes up with each power cut */
	struct list groups;
	int64_t next_pid;
	uint64_t next_run;
	/* The agent. */
	struct cl_proc proc;
	struct cl_listener port; /* where executors report in */
	struct simdisk *disk, *before;
	struct agent_core *core;
	Corral__Register identity;
	Corral__Resources capacity;
	char *missing[1];  /* isolation */
	struct list links; /* of executors */
	struct cl_conn *master;
	bool dialing;
	uint64_t dial_at_ms, dial_wait_ms, dial;
	unsigned address;
	int leader; /* as the ensemble has it; -1: nobody */
	struct cl_zk *zk;
	uint64_t look_at_ms, forsake_at_ms;
	uint64_t zk_number;
	char leader_node[CL_PATH_BYTES];
	bool in_turn, holds; /* the turn was cut, before this was done */
	struct agent_out held;
	struct list requests, replies; /* to and from the helper */
	struct list late;	       /* what a bad shell has not left unread */
	uint64_t starts;
	bool rotten;	/* its checkpoint is not what it was */
	bool estranged; /* the registry has another id for it, as its master says */
};

/* cl_agent.c */
struct cl_host *cl_host_new(struct cl *c, unsigned number, uint64_t cpu_milli, uint64_t memory);
void cl_host_free(struct cl_host *h);
void cl_host_boot(struct cl_host *h);
/* The agent's process dies. */
void cl_agent_kill(struct cl_host *h);
void cl_host_power_loss(struct cl_host *h, uint64_t down_ms);
/* While no agent runs there: a bit of its checkpoint flips, or all of it is gone. */
void cl_host_rot(struct cl_host *h, bool all);
void cl_agent_turn(struct cl_host *h);
bool cl_agent_runs(const struct cl_host *h);

/* cl_agent_link.c: its master and its executors */
void cl_agent_links_tick(struct cl_host *h);
void cl_agent_links_timer(struct cl_host *h);
void cl_agent_links_start(struct cl_host *h);
void cl_agent_links_end(struct cl_host *h);
void cl_agent_late_free(struct cl_host *h);
void cl_agent_master_send(struct cl_host *h, const struct agent_out *out);
void cl_agent_master_drop(struct cl_host *h);
void cl_agent_executor_send(struct cl_host *h, const struct agent_out *out);
void *cl_agent_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops);

/* cl_helper.c: the helper and the kernel */
void cl_helper_ask(struct cl_host *h, const struct agent_out *out);
/* The agent is gone: of what it asked, a prefix is done. */
void cl_helper_lose(struct cl_host *h);
void cl_helper_deliver(struct cl_host *h);
struct cl_group *cl_group_find(struct cl_host *h, const struct taskkey *key);
bool cl_group_empty(const struct cl_group *g); /* no process of the task */
void cl_group_free(struct cl_group *g);
void cl_task_start(struct cl_group *g);
void cl_task_signal(struct cl_group *g, int signo);
void cl_task_kill(struct cl_group *g);
void cl_task_orphan(struct cl_group *g); /* its executor has died */
void cl_task_vanish(struct cl_group *g); /* the power is off */

/* cl_exec.c: executors */
void cl_exec_start(struct cl_group *g);
void cl_exec_kill(struct cl_group *g);
/* The task's first process has ended, or its last one. */
void cl_exec_child(struct cl_group *g);
void cl_exec_tick(struct cl_group *g);
bool cl_exec_alive(const struct cl_group *g);

#endif
