/* SPDX-License-Identifier: Apache-2.0 */
/* One life of a cluster: what its seed wants of it, the work that it is given, and its faults. */
#ifndef CORRAL_TESTS_SIM_CL_LIFE_H
#define CORRAL_TESTS_SIM_CL_LIFE_H

#include "tests/sim/cl_check.h"

enum cl_fault {
	CLF_AGENT_KILL,
	CLF_AGENT_CRASH_AT, /* between two outputs */
	CLF_AGENT_PAUSE,
	CLF_AGENT_PAUSE_AT, /* between two outputs */
	CLF_MASTER_KILL,
	CLF_MASTER_CRASH_AT,
	CLF_MASTER_PAUSE,
	CLF_MASTER_PAUSE_AT,
	CLF_EXECUTOR_KILL,
	CLF_EXECUTOR_CRASH_AT,
	CLF_EXECUTOR_PAUSE,
	CLF_POWER,
	CLF_POWER_IN_WRITE,
	CLF_ALL_POWER,
	CLF_DISK_ERROR,
	CLF_DISK_FULL,
	CLF_SLEEP,
	CLF_MASTER_SLEEP,
	CLF_ISOLATE,
	CLF_ONE_WAY,
	CLF_PAIR,
	CLF_LEADER_ENSEMBLE, /* the leader is cut from the ensemble only */
	CLF_STALE_SIDE,	     /* a server, the leader that uses it and an agent, cut from the rest */
	CLF_AGENT_ENSEMBLE,  /* an agent sees the leader, and not the ensemble */
	CLF_SPLIT,
	CLF_SERVER_CRASH,
	CLF_SERVER_LEADER_CRASH,
	CLF_SERVER_PAUSE,
	CLF_RESET,
	CLF_LAG,
	CLF_HEAL,
	CLF_EXPIRE,
	CLF_DRIFT,
	CLF_WALL,
	CLF_ROT,	     /* an agent is killed, and what its checkpoint has rots meanwhile */
	CLF_CHECKPOINT_LOST, /* the same, and the whole file is gone */
	CLF_GHOSTS,	     /* nodes of masters that are dead, where masters contend */
	CLF_KINDS
};

extern const char *const cl_fault_names[CLF_KINDS];

/* What operators do. */
enum cl_deed {
	CLD_DRAIN,
	CLD_UNDRAIN,
	CLD_MARK,
	CLD_FORGET,
	CLD_FORGET_OFF, /* the machine is powered off before */
	CLD_QUOTA,
	CLD_WEIGHT,
	CLD_RESERVE,
	CLD_ERA,
	CLD_COPY,    /* of the ensemble */
	CLD_HAND,    /* a job that no master has made */
	CLD_RESTORE, /* the ensemble from it, while all masters are stopped */
	CLD_KINDS
};

extern const char *const cl_deed_names[CLD_KINDS];

struct cl_life {
	struct cl *c;
	struct rng rng, rng_work, rng_deeds;
	bool enabled[CLF_KINDS];
	uint64_t faults[CLF_KINDS];
	bool wanted_deeds[CLD_KINDS];
	uint64_t deeds[CLD_KINDS], deed_ms;
	uint64_t pace_ms, work_ms;
	uint64_t life_ms;
	unsigned submitted, wanted; /* jobs */
	bool singletons, shared;    /* by roles and priorities */
};

struct cl_life *cl_life_new(uint64_t seed, enum cl_plant plant, bool trace);
void cl_life_live(struct cl_life *l);
void cl_life_free(struct cl_life *l);

/* cl_fault.c */
void cl_inject(struct cl_life *l, enum cl_fault kind);

/* cl_operate.c */
const char *cl_any_role(struct rng *r);
/* Something that is drawn, if it can be now. */
void cl_operate(struct cl_life *l, struct cl_master *m);
void cl_retire_node(struct cl_life *l);
/* Agents refuse the leader for its term: the era is raised. */
void cl_mend_era(struct cl_life *l, struct cl_master *m);
/* Quotas, reservations and drains, all of them. */
void cl_lift_all(struct cl_master *m);

#endif
