/* SPDX-License-Identifier: Apache-2.0 */
/* A master of the simulated cluster: the shipped cores in a shell like master/'s. */
#ifndef CORRAL_TESTS_SIM_CL_MASTER_H
#define CORRAL_TESTS_SIM_CL_MASTER_H

#include "master/core/cluster.h"
#include "master/core/conn.h"
#include "master/core/elect.h"
#include "tests/sim/cl_zk.h"

/* No machine of the simulation has nearly as much: who needs it waits for ever. */
static inline bool
cl_is_giant(const struct resources *need)
{
	return need->cpu_milli > 1000000 || need->memory_bytes > UINT64_C(1) << 40;
}

/* What a job of the simulation says; its text in the ensemble is these numbers. */
struct cl_def {
	struct job_policy policy;
	char role[32]; /* "": the default */
	uint32_t count;
	uint64_t stop_ms;  /* TimeoutStopSec */
	uint64_t limit_ms; /* RuntimeMaxSec; 0: none */
	bool singleton;
	unsigned release; /* of Corral, from which on masters can read it */
	/* How its tasks behave; the executor's kernel reads it from argv. */
	uint64_t run_min_ms, run_max_ms; /* 0, 0: until they are stopped */
	unsigned fail_percent, stubborn_percent, stray_percent;
};

void cl_def_encode(const struct cl_def *d, struct buf *text);
bool cl_def_decode(struct cl_def *d, const char *text);

enum cl_phase { PHASE_DONE, PHASE_SEND, PHASE_ELECT, PHASE_WRITE };

struct cl_master {
	struct cl *c;
	unsigned number;
	struct cl_proc proc;
	struct cl_listener port;
	struct cl_zk *zk;
	uint64_t zk_number; /* answers to an older handle are not for us */
	uint64_t zk_at_ms;  /* when the next handle is made; 0: there is one */
	struct elect elect;
	bool cluster_made, leading;
	struct cluster cluster;
	struct list links;
	struct list queue; /* of messages that go out in this turn */
	enum cl_phase phase;
	struct elect_out acts[ELECT_OUT_MAX];
	size_t act_count, act_next;
	bool commit_again;
	struct load *load;
	unsigned release;
	uint64_t lease_ms, heartbeat_ms; /* as its configuration had them when it started */
	uint64_t elections, starts;
	uint64_t bump; /* when the store has this, the leader steps down; 0: nothing */
};

struct cl_master *cl_master_new(struct cl *c, unsigned number);
void cl_master_free(struct cl_master *m);
void cl_master_start(struct cl_master *m);
/* It leads, and may say so now. */
bool cl_master_serves(const struct cl_master *m);
/* False: refused. */
bool cl_master_submit(struct cl_master *m, const char *name, const struct cl_def *d);
bool cl_master_stop_job(struct cl_master *m, const char *name);
/* corral era bump */
void cl_master_bump_era(struct cl_master *m);
/* What would go on for ever; one job at each call. */
void cl_master_stop_services(struct cl_master *m);

/* ---- shared by its files ---- */

#define CL_MASTER_OPS_BYTES (2u << 20)

/* cl_master.c */
void cl_master_turn(struct cl_master *m);
void cl_master_loaded(struct cl_master *m);
/* cl_master_link.c */
void *cl_master_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops);
void cl_master_drop_links(struct cl_master *m);
void cl_master_take_pending(struct cl_master *m);
/* Connections of which nothing was heard for long. */
void cl_master_end_idle(struct cl_master *m);
void cl_master_queue_outs(struct cl_master *m);
/* Send what is queued; false: the turn was cut. */
bool cl_master_send_queue(struct cl_master *m);
void cl_master_clear_queue(struct cl_master *m);
/* cl_master_store.c */
void cl_master_load(struct cl_master *m);
void cl_master_load_cancel(struct cl_master *m);
void cl_master_elect_act(struct cl_master *m, const struct elect_out *o);
void cl_master_write(struct cl_master *m, const struct commit *batch, bool again);
void cl_master_session_open(struct cl_master *m);

#endif
