/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's core in a small world of fakes: a disk, a helper, one executor, a master that
 * launches one task. The world can be stopped at every operation of the disk and before every act,
 * and started again.
 */
#ifndef CORRAL_TESTS_AGENT_WORLD_H
#define CORRAL_TESTS_AGENT_WORLD_H

#include "tests/lib/agent_bed.h"

struct fake_executor {
	unsigned forks; /* how often it was started */
	bool alive, linked, has_word, stopped, status_written;
	unsigned said; /* updates made: RUNNING, the final one */
	unsigned acked;
	Corral__TaskState outcome;
};

struct agent_world {
	struct agent_bed bed;
	/* Where it is stopped: before the act of this number; where the executor dies. 0: nowhere.
	 */
	uint64_t acts, crash_at_act, executor_dies_at_act;
	bool crashed;
	struct fake_executor executor;
	/* The master. */
	bool connected, launched;
	unsigned starts;	   /* of the task */
	Corral__TaskState outcome; /* 0: none yet */
	uint32_t last_sequence;
	unsigned outcomes; /* different terminal updates */
	uint8_t outcome_uuid[ATTEMPT_UUID_BYTES];
};

void agent_world_init(struct agent_world *w);
void agent_world_fini(struct agent_world *w);
/* A new core over the disk. False: the disk failed. */
bool agent_world_boot(struct agent_world *w);
void agent_world_crash(struct agent_world *w);
/* Turn until the master has the outcome; with `power`, a crash is a power loss and another boot. */
void agent_world_run(struct agent_world *w, bool power);
/* What must hold in the end, whatever happened. */
void agent_world_check(const struct agent_world *w, const char *what, uint64_t at);

/* The master answers a registration (r may be NULL if nothing was launched), and launches. */
void agent_world_welcome(struct agent_world *w, const Corral__Register *r);
/* The executor's n-th update, RUNNING or the final one; it points to *key. */
void agent_world_executor_message(
    struct agent_world *w, unsigned n, Corral__StatusUpdate *u, Corral__TaskKey *key);

#endif
