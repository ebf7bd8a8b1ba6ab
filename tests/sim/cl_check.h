/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, watched from outside and in true time. A violation names the predicate: L1 to L6
 * (leadership), T1 to T9 (tasks), R1 to R4 (resources), A1 to A8 (agents), S1 (never two of a
 * singleton), S2 (no next one while a report has an earlier one alive), D1 (nothing is begun on a
 * node that operators keep free).
 */
#ifndef CORRAL_TESTS_SIM_CL_CHECK_H
#define CORRAL_TESTS_SIM_CL_CHECK_H

#include "tests/sim/cl_host.h"
#include "tests/sim/cl_master.h"

struct cl_totals {
	uint64_t tasks, starts, ended, acks, kills, elections, marks, compared;
};

void cl_check_new(struct cl *c);
void cl_check_free(struct cl *c);
const struct cl_totals *cl_check_totals(const struct cl *c);

/* ---- The store ---- */
void cl_check_commit(struct cl *c, int64_t session, int64_t zxid, const uint8_t *ops, size_t size);
/* A copy is made of all that is stored; that is what is stored now. */
void cl_check_copy(struct cl *c);
void cl_check_restored(struct cl *c);

/* ---- Masters ---- */
enum cl_sent { CL_SENT_OTHER, CL_SENT_LAUNCH, CL_SENT_KILL, CL_SENT_ACK };
void cl_check_leads(struct cl_master *m);
/* It waits for another one. */
void cl_check_stands_by(struct cl_master *m);
/* What it leaves alone is a job that it cannot know, or that no master has made. */
bool cl_check_is_unread(struct cl_master *m, const char *path);
/* Jobs of this name are not made by masters. */
#define CL_HAND_MADE "/corral/jobs/hand-"
/* It is about to hand something to a socket; uuid: of what is acknowledged. */
void cl_check_acts(
    struct cl_master *m, enum cl_sent what, const struct task_key *key, const uint8_t *uuid);
void cl_check_out(struct cl_master *m, const struct out *o);
void cl_check_master(struct cl_master *m);
/* cl_fair.c: it has placed what it could; held: some nodes were held when it began. */
void cl_check_fair(struct cl_master *m, bool held);
int cl_check_agent_named(const struct cl *c, const char *name); /* -1: there is none */
/* An operator has given it up, or forgotten it. */
void cl_check_asked(struct cl *c, const char *name, bool forgotten);
/* An operator has said so as well, and it is stored with the next commit. */
void cl_check_powered_off(struct cl *c, const char *name);
void cl_check_report(struct cl_master *m, const char *name, const Corral__Register *r);
/* That report was refused: nobody knows what was in it. */
void cl_check_refused(struct cl_master *m, const char *name);
void cl_check_update(struct cl_master *m, const Corral__StatusUpdate *u);

/* ---- Agents ---- */
/* registration: as it came. */
void cl_check_before_message(
    struct cl_host *h, const Corral__MasterToAgent *m, uint64_t registration);
void cl_check_after_message(struct cl_host *h, const Corral__MasterToAgent *m,
    uint64_t registration, enum agent_verdict verdict);
void cl_check_agent_out(struct cl_host *h, const struct agent_out *out);
void cl_check_agent_committed(struct cl_host *h);
/* It has taken who said so for an executor of its own. */
void cl_check_adopted(struct cl_host *h, const Corral__ExecutorHello *hello);
void cl_check_agent(struct cl_host *h);
void cl_check_recovered(struct cl_host *h, const struct checkpoint_faults *faults);

/* ---- Executors and tasks ---- */
void cl_check_forked(struct cl_group *g);
void cl_check_task_starts(struct cl_group *g);
void cl_check_task_stops(struct cl_group *g);
void cl_check_task_ended(struct cl_group *g);
void cl_check_group_killed(struct cl_group *g);
/* As none that the agent's checkpoint has. */
void cl_check_group_swept(struct cl_group *g);

/* ---- The end: all was healed, and time enough has passed ---- */
bool cl_check_is_quiet(struct cl *c);
void cl_check_quiet(struct cl *c);

#endif
