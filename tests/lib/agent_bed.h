/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test of the agent's core gives it: a disk, a clock, an identity, and a master that says
 * things about one task. Who listens to the core is the test's.
 */
#ifndef CORRAL_TESTS_AGENT_BED_H
#define CORRAL_TESTS_AGENT_BED_H

#include "agent/core/core.h"
#include "tests/lib/simdisk.h"

/* As the master names the agent. */
#define AGENT_BED_ID "A1"

struct agent_bed {
	struct simdisk *disk;
	struct agent_core *core; /* NULL: the agent does not run */
	Corral__Register identity;
	Corral__Resources capacity;
	const char *boot_id;
	uint64_t now_ms, recovery_ms, random;
	Corral__Term term;     /* the master's */
	uint64_t registration; /* the last that it welcomed */
};

void agent_bed_init(struct agent_bed *b, uint64_t now_ms, uint64_t recovery_ms);
void agent_bed_fini(struct agent_bed *b);
/* A new core over the disk; what agent_core_open() returned. */
int agent_bed_boot(struct agent_bed *b, struct checkpoint_faults *faults);

/* The one task's; it points into the bed. */
Corral__TaskKey agent_bed_key(struct agent_bed *b);

/* ---- What the task's executor says, process 100. ---- */
bool agent_bed_hello(struct agent_bed *b, Corral__TaskState state);
/* The same with what it knows of leaders, and whether it is stopping its task. */
bool agent_bed_hello_of(
    struct agent_bed *b, Corral__TaskState state, const Corral__Term *highest, bool stopping);

/* ---- What the master says, in its term, to the agent that it welcomed last. ---- */
enum agent_verdict agent_bed_say(struct agent_bed *b, Corral__MasterToAgent *m);
enum agent_verdict agent_bed_welcome(
    struct agent_bed *b, uint64_t lease_ms, uint64_t heartbeat_ms);
/* The task's command is the bed's, all else in *spec the test's. */
enum agent_verdict agent_bed_launch(struct agent_bed *b, Corral__TaskSpec *spec);
enum agent_verdict agent_bed_kill(struct agent_bed *b);
enum agent_verdict agent_bed_acknowledge(struct agent_bed *b, const Corral__StatusUpdate *u);

#endif
