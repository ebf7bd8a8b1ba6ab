/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet: thousands of agents in one process, for measuring a master. Each has a certificate, a
 * link and books of its own and speaks as agent/core does; tasks are timers. What a real agent
 * writes to its disk is not written here.
 */
#ifndef CORRAL_BENCH_FLEET_H
#define CORRAL_BENCH_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/list.h"
#include "libcommon/base/rng.h"
#include "libcommon/io/link.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/sys/corral_conf.h"
#include "proto/api.pb-c.h"
#include "proto/corral.pb-c.h"

enum {
	FLEET_TICK_MS = 10,
	FLEET_SLOTS = 4096, /* of the wheel: more than the longest usual delay */
	FLEET_UUID_BYTES = 16,
	FLEET_NAME_MAX = 64,
};

struct fleet;

/* Something that is due at a tick, in a wheel. */
struct due {
	struct list in_slot;
	uint64_t tick;
	void (*fire)(struct fleet *f, struct due *d);
};

struct fleet_job {
	char name[FLEET_NAME_MAX];
	uint32_t number, count;
	bool holds; /* its tasks run until they are released */
	bool accepted, checked, asking;
	uint64_t posted_us;
	uint8_t *launches; /* by index: how often */
	uint8_t *codes;	   /* by index: exit status */
	uint32_t launched, running, ended, acked, failed;
};

enum task_phase { TASK_STARTING, TASK_RUNNING, TASK_ENDED };

struct fleet_task {
	struct list in_agent;
	struct due life;  /* its start, then its end */
	struct due again; /* the update at hand is sent anew */
	struct fleet_agent *agent;
	struct fleet_job *job;
	int64_t incarnation;
	uint32_t index, attempt;
	uint64_t era;
	int64_t czxid;
	struct fleet_need {
		uint64_t cpu_milli, memory_bytes;
	} need;
	enum task_phase phase;
	Corral__TaskState end; /* FINISHED, FAILED or KILLED */
	uint32_t acked, told;  /* updates: 1 is RUNNING, 2 the end */
	uint64_t wait_ms, sent_us;
	uint8_t uuid[FLEET_UUID_BYTES]; /* of the update at hand */
};

struct fleet_agent {
	struct fleet *fleet;
	char name[FLEET_NAME_MAX], id[FLEET_NAME_MAX];
	struct tls *tls;
	struct dialer *dialer;
	struct link *link; /* NULL while it is down */
	bool registered;
	uint64_t registration, lease_ms, lease_end_ms, heartbeat_ms, up_ms;
	struct due beat;
	struct list tasks;
	struct fleet_need used;
};

struct fleet_options {
	const char *config, *directory;
	uint64_t agents, slots, tasks, job_tasks, hold, rate, run_min_ms, run_max_ms, seed, verify;
	uint64_t deaf; /* one acknowledgement in so many is not heard; 0: all are */
	uint64_t mark; /* say so when so many outcomes are acknowledged; 0: do not */
};

struct fleet_counts {
	uint64_t launched, relaunched, running_acked, ended, acked, failed, repeated, killed,
	    overcommitted, leases_ended, downs, unheard, strange;
};

/* Microseconds, for percentiles at the end. */
struct fleet_samples {
	uint32_t *items;
	size_t count, capacity;
};

struct fleet {
	struct fleet_options o;
	struct corral_conf conf;
	struct loop *loop;
	struct rng rng;
	struct timer ticker;
	struct list wheel[FLEET_SLOTS];
	uint64_t tick;

	struct leader *leader;
	struct fleet_agent *agents;
	uint32_t registered;
	Corral__Term highest_term;
	bool has_term;
	struct fleet_counts counts;
	struct fleet_samples placed, committed, accepted;

	struct tls *client_tls;
	struct fleet_job *jobs;
	uint32_t job_count, jobs_submitted, calls;
	size_t api; /* of conf.client.master: asked last */
};

/* fleet_wheel.c */
void wheel_init(struct fleet *f);
void wheel_set(struct fleet *f, struct due *d, uint64_t after_ms);
void wheel_cancel(struct due *d);
void wheel_turn(struct fleet *f);

/* fleet_agent.c: links and leases */
bool fleet_agent_open(struct fleet *f, uint32_t number);
void fleet_agent_close(struct fleet_agent *a);
void fleet_agents_dial(struct fleet *f, const char *address);
bool fleet_agent_send(struct fleet_agent *a, Corral__AgentToMaster *message);

/* fleet_task.c: what an agent does about tasks */
void fleet_launch(struct fleet_agent *a, const Corral__TaskLaunch *l);
void fleet_kill(struct fleet_agent *a, const Corral__TaskKey *key);
void fleet_ack(struct fleet_agent *a, const Corral__UpdateAck *ack);
/* After a registration: the first update of each task that is not acknowledged. */
void fleet_pump_all(struct fleet_agent *a);
void fleet_release(struct fleet *f); /* tasks that are held end, over a second or so */
void fleet_task_key(const struct fleet_task *t, Corral__TaskKey *key, Corral__Term *term);
Corral__TaskState fleet_task_state(const struct fleet_task *t);

/* fleet_jobs.c: the master's API */
bool fleet_jobs_make(struct fleet *f);
struct fleet_job *fleet_job_named(struct fleet *f, const char *name);
void fleet_job_submit(struct fleet *f, struct fleet_job *j);
/* Ask for the job until it has ended, and compare. */
void fleet_job_check(struct fleet *f, struct fleet_job *j);
/* Compare each index of the job, one page. */
void fleet_job_verify(struct fleet *f, struct fleet_job *j);
/* Ask how many tasks run; said(f, count) is called with the answer, if there is one. */
void fleet_ask_running(struct fleet *f, void (*said)(struct fleet *f, uint32_t running));

void samples_add(struct fleet_samples *s, uint64_t us);
double samples_ms(struct fleet_samples *s, double quantile); /* sorts */

void fleet_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
