/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's core and an executor's, both real: the master is the test's, and what goes from agent
 * to executor lies in a queue until the test has it delivered. One job of one singleton.
 */
#ifndef CORRAL_TESTS_LEASE_RIG_H
#define CORRAL_TESTS_LEASE_RIG_H

#include "executor/core/life.h"
#include "tests/lib/agent_bed.h"

#define RIG_LEASE_MS 10000
#define RIG_STOP_MS 3000
#define RIG_MAIL_MAX 64

struct lease_rig {
	struct agent_bed bed;

	/* What the agent said to its master, and did. */
	bool dropped, kill_fails;
	char why[256];
	uint64_t heartbeat_ms; /* sending time of the last one */
	size_t stuck;	       /* attempts that it named */
	Corral__TaskState state;
	Corral__TaskReason reason;
	unsigned forks, kills, registrations;
	/* Of what the checkpoint lacks: rounds that the helper was asked for, that yet meet
	 * something, and that fail; what was to be kept in the last one. */
	unsigned sweeps, sweeps_meet, sweeps_fail;
	bool helper_silent; /* it answers no sweep: a later rig_answer_sweep() does */
	uint64_t sweep_id;
	size_t kept;
	uint64_t helper_late_ms; /* it takes so long to launch, and refuses: no lease is left */

	/* The executor. */
	struct life life;
	Corral__TaskSpec *spec;
	bool lives, linked, frozen;
	uint64_t kill_takes_ms, dies_ms; /* how long what is killed lives on, and until when */
	uint64_t started_ms, signalled_ms, gone_ms;
	Corral__AgentToExecutor *mail[RIG_MAIL_MAX];
	size_t mail_count;
};

extern struct lease_rig *rig;

void rig_setup(void);
void rig_teardown(void);
struct taskkey rig_key(void);

void rig_boot(void); /* the agent starts */
void rig_agent_dies(void);
void rig_lose_checkpoint(void); /* of an agent that is dead */
void rig_answer_sweep(void);
void rig_drain(void); /* what the agent wants done is done */
/* Time passes in steps, for the agent and, unless it is frozen, its executor. */
void rig_pass(uint64_t ms);

void rig_executor_connects(void);
/* All that lies in the queue reaches the executor. */
void rig_deliver(void);

/* ---- The master. ---- */
void rig_register(void); /* on a new connection */
void rig_welcome(void);
void rig_acknowledge(uint64_t sent_ms); /* the heartbeat of then */
enum agent_verdict rig_launch(void);
void rig_kill(void);
/* Registered and welcomed at once, and the singleton runs. */
void rig_run(void);

#endif
