/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one attempt as its executor sees it: the word, the steps before, the task, its stop,
 * the final status kept until it is acknowledged. Decides only: what is to be done comes out as a
 * queue of acts, and the shell reports back what happened. Times are milliseconds on
 * CLOCK_BOOTTIME.
 *
 *   WAITING --word--> STEPS --last step done--> RUNNING --exit--> SWEEPING --tree empty--> ENDED
 * --ack--> GONE
 */
#ifndef CORRAL_EXECUTOR_LIFE_H
#define CORRAL_EXECUTOR_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/corral.pb-c.h"

#define LIFE_UUID_BYTES 16
#define LIFE_ACTS_MAX 16
#define LIFE_MESSAGE_BYTES 160

/* A singleton is not started that close to its lease's end. */
#define LIFE_LEASE_MARGIN_MS 1000
/* What was killed should be gone by then; the agent is told that it is not. */
#define LIFE_STUCK_MS 10000
/* What life_started() calls the step that found, right before exec, that the lease is too short. */
#define LIFE_STEP_LEASE "lease"

enum life_state {
	LIFE_WAITING,  /* for the word */
	LIFE_STEPS,    /* a step of exec_start_pre runs */
	LIFE_RUNNING,  /* the task runs */
	LIFE_SWEEPING, /* the task has ended; what it left behind is killed */
	LIFE_ENDED,    /* nothing of it is left; the final status waits for its acknowledgement */
	LIFE_GONE,     /* leave */
};

enum life_act_kind {
	LIFE_ACT_START, /* step `step` of exec_start_pre, or the task itself if step is LIFE_MAIN */
	LIFE_ACT_SIGNAL, /* `signo` to the process that runs and its group */
	LIFE_ACT_KILL,	 /* everything of the task, until life_swept() can be said */
	LIFE_ACT_SAVE,	 /* `update` to disk, synced, before any later act */
	LIFE_ACT_SEND,	 /* `update` to the agent, if the link is up */
	LIFE_ACT_STUCK,	 /* tell the agent that what was killed does not die */
	LIFE_ACT_LEAVE,
};

#define LIFE_MAIN SIZE_MAX

struct life_act {
	enum life_act_kind kind;
	size_t step;
	int signo;
	unsigned update; /* number of the update, 0 or 1: life_update() */
};

/* What is known of the outcome; fills a StatusUpdate. */
struct life_update {
	uint8_t uuid[LIFE_UUID_BYTES];
	bool made, acked;
	Corral__TaskState state;
	Corral__TaskReason reason;
	bool has_exit_code, has_signal;
	int32_t exit_code, signal;
	char message[LIFE_MESSAGE_BYTES];
	int64_t at_wall_ms;
	uint64_t cpu_ms, memory_bytes;
};

struct life {
	const Corral__TaskSpec *spec;
	uint64_t recovery_timeout_ms;
	enum life_state state;
	size_t step;
	bool linked;
	bool process_runs; /* between life_started() and life_exited() */
	bool stopping;	   /* the stop has begun, with stop_reason */
	Corral__TaskReason stop_reason;
	uint64_t kill_at_ms;   /* end of the grace; 0: none is running */
	uint64_t limit_at_ms;  /* end of the allowed run time; 0: none */
	uint64_t lease_end_ms; /* of a singleton; 0: none heard */
	uint64_t killed_at_ms; /* since when everything is being killed; 0: it is not */
	bool stuck;	       /* that has gone on for LIFE_STUCK_MS */
	uint64_t leave_at_ms;  /* without an agent; 0: not counting */
	bool has_term;
	uint64_t era; /* of the highest term heard of, with czxid */
	int64_t czxid;
	struct life_update update[2]; /* RUNNING, and the final one */
	struct life_act acts[LIFE_ACTS_MAX];
	size_t act_head, act_count;
};

/* What the shell saw when a process ended. */
struct life_exit {
	int wait_status; /* of waitpid() */
	bool out_of_memory;
	uint64_t cpu_ms, memory_bytes;
};

/* spec is borrowed for the life; the uuids are random bytes for the two updates. */
void life_init(struct life *l, const Corral__TaskSpec *spec,
    const uint8_t uuids[2 * LIFE_UUID_BYTES], uint64_t recovery_timeout_ms, uint64_t now_ms);

/* The next thing to do, in order; false when there is none. */
bool life_next(struct life *l, struct life_act *act);

/* Inputs. Those that come too late or twice change nothing. */
void life_link(struct life *l, bool up, uint64_t now_ms);
/*
 * Of what comes with a term; NULL: it comes without. The highest is kept; false: this is a lower
 * one, and nothing that comes with it is done.
 */
bool life_term(struct life *l, const Corral__Term *term);
/* The highest so far, for ExecutorHello. False: none was heard of. */
bool life_highest_term(const struct life *l, Corral__Term *to);
void life_word(struct life *l, uint64_t now_ms);
void life_stop(struct life *l, bool at_once, uint64_t now_ms);
void life_signal(struct life *l, int signo);
/*
 * The node's lease goes on to this time. A singleton whose lease had ended before is stopped all
 * the same: by then its replacement may have been decided on.
 */
void life_lease(struct life *l, uint64_t end_ms, uint64_t now_ms);
/* The last time at which a process may still be started; UINT64_MAX: any. */
uint64_t life_start_by_ms(const struct life *l);
/* The answer to LIFE_ACT_START: error 0, or the errno of `what` failed (127 or 126 is the status).
 */
void life_started(
    struct life *l, int error, int exit_status, const char *what, uint64_t now_ms, int64_t wall_ms);
void life_exited(struct life *l, const struct life_exit *e, uint64_t now_ms, int64_t wall_ms);
/* Nothing of the task is alive. */
void life_swept(struct life *l, uint64_t now_ms);
void life_acked(struct life *l, const uint8_t *uuid, size_t size);
void life_tick(struct life *l, uint64_t now_ms);

/* When to call life_tick() next if nothing else happens; UINT64_MAX: never. */
uint64_t life_deadline_ms(const struct life *l);

/* State for ExecutorHello. */
Corral__TaskState life_task_state(const struct life *l);

/* The status for the shell of `run`: that of the task as env(1) has it, 125 if it has none. */
int life_exit_status(const struct life *l);

#endif
