/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent decides: which launches it takes, what is checkpointed before what is done, what
 * becomes of attempts after a crash, which updates go to the master and when. Inputs are functions
 * that take the time; what is to be done comes out as a queue. The rule that keeps promises over
 * crashes: agent_core_commit() makes the checkpoint durable, and only then agent_core_next() gives
 * out what depends on it. Times are milliseconds on CLOCK_BOOTTIME.
 */
#ifndef CORRAL_AGENT_CORE_H
#define CORRAL_AGENT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/attempt.h"
#include "agent/core/checkpoint.h"
#include "libcommon/base/store.h"
#include "proto/corral.pb-c.h"

#define AGENT_ATTEMPTS_MAX 65536 /* active ones; a launch beyond is refused */
/* A singleton is not started that close to its lease's end. */
#define AGENT_LEASE_MARGIN_MS 1000
/* Behind a lease's end and the grace of a stop: what an executor has to kill its singleton. */
#define AGENT_LEASE_KILL_MS 1000
/* What is killed should be gone by then; the master is told that it is not. */
#define AGENT_STUCK_MS 10000
#define AGENT_SETTLED_MAX 10000 /* remembered; beyond, the oldest is forgotten with its sandbox */

struct agent_core;

struct agent_core_conf {
	Corral__Register *
	    identity; /* node, version, attributes, capacity ...; borrowed, filled in by the core */
	const char *boot_id;
	const char *executor_address; /* where executors report in; borrowed */
	const char *state_dir;	      /* sandboxes and run directories lie below it; borrowed */
	struct hash_key hash_key;
	uint64_t sandbox_keep_ms; /* after settlement */
	uint64_t recovery_ms; /* how long a silent executor may live after a restart of the agent */
	void (*random)(void *arg, void *bytes, size_t size); /* fit for keys */
	int64_t (*wall_ms)(void *arg);			     /* for the time in updates only */
	void *arg;
};

enum agent_out_kind {
	AGENT_OUT_MASTER,      /* `bytes`: an AgentToMaster */
	AGENT_OUT_MASTER_DROP, /* close the connection and register anew, unread bytes unread;
				  `text` says why */
	AGENT_OUT_EXECUTOR,    /* `bytes`: an AgentToExecutor for `key` */
	AGENT_OUT_HELPER,      /* `bytes`: a HelperRequest */
	AGENT_OUT_READ_STATUS, /* read the final status in the run directory of `key`:
				  agent_core_status() */
};

struct agent_out {
	enum agent_out_kind kind;
	struct taskkey key;
	uint8_t *bytes; /* freed by agent_out_fini() */
	size_t size;
	char text[256];
};

/* What a message of a master asks of the shell. */
enum agent_verdict {
	AGENT_DONE,
	AGENT_STREAM, /* StreamOpen, StreamData, StreamClose, StreamAck: term and registration are
			 right */
	AGENT_IGNORED,
};

/* NULL: no memory. conf's strings and messages are borrowed for the life of the core. */
struct agent_core *agent_core_new(const struct agent_core_conf *conf, struct store *store);
void agent_core_free(struct agent_core *c);

/*
 * Recover from the store and write the checkpoint anew. 0 or -errno; faults tell what was left out.
 * What recovery asks for is in the queue then.
 */
int agent_core_open(struct agent_core *c, uint64_t now_ms, struct checkpoint_faults *faults);

/* The port where executors of an earlier run look for us; 0: none was kept. Then the one of this
 * run. */
uint16_t agent_core_executor_port(const struct agent_core *c);
void agent_core_set_executor_port(struct agent_core *c, uint16_t port);

/* Make durable what was decided. 0, or -errno: the agent must stop (-ENOMEM too: recovery starts
 * afresh). */
int agent_core_commit(struct agent_core *c);

/* The next thing to do; false: none. Only after a commit. agent_out_fini() releases it. */
bool agent_core_next(struct agent_core *c, struct agent_out *out);
void agent_out_fini(struct agent_out *out);

/* ---- Inputs. ---- */
void agent_core_master_up(struct agent_core *c, uint64_t now_ms);
void agent_core_master_down(struct agent_core *c);
enum agent_verdict agent_core_master_message(
    struct agent_core *c, const Corral__MasterToAgent *m, uint64_t now_ms);

/* False: not an attempt of ours, or not the executor that we know: close its link. */
bool agent_core_hello(struct agent_core *c, const Corral__ExecutorHello *hello, uint64_t now_ms);
void agent_core_executor_update(struct agent_core *c, const struct taskkey *key,
    const Corral__StatusUpdate *update, uint64_t now_ms);
/* What is left of its task was killed and does not die. */
void agent_core_executor_stuck(struct agent_core *c, const struct taskkey *key, uint64_t now_ms);
void agent_core_executor_down(struct agent_core *c, const struct taskkey *key, uint64_t now_ms);

/* Replies come in the order of the requests. */
void agent_core_helper_reply(
    struct agent_core *c, const Corral__HelperReply *reply, uint64_t now_ms);
void agent_core_status(struct agent_core *c, const struct taskkey *key,
    const Corral__StatusUpdate *update, uint64_t now_ms);
void agent_core_tick(struct agent_core *c, uint64_t now_ms);
uint64_t agent_core_deadline_ms(const struct agent_core *c);

/* What the next heartbeat says of the node. */
void agent_core_set_usage(struct agent_core *c, const Corral__NodeUsage *usage);

/* ---- Questions. ---- */
/* The key of the link of the attempt with this name; false: none that may connect. */
bool agent_core_psk(const struct agent_core *c, const char *name, uint8_t psk[ATTEMPT_PSK_BYTES]);
const struct attempt *agent_core_find(const struct agent_core *c, const struct taskkey *key);
const struct list *agent_core_active(const struct agent_core *c); /* of struct attempt, by link */
bool agent_core_registered(const struct agent_core *c);
/*
 * Does the helper still end attempts that the checkpoint lacks? The agent registers when it does
 * not. *error: what it could not do when it was asked last; "": nothing.
 */
bool agent_core_is_sweeping(const struct agent_core *c, const char **error);
/* The number that goes with messages to this master. */
uint64_t agent_core_registration(const struct agent_core *c);
/* Our own number of the newest Register, which its Welcome gives back. */
uint64_t agent_core_register_number(const struct agent_core *c);

/* Where an attempt's files are: STATE/sandbox/NAME, STATE/run/NAME. False: does not fit. */
bool agent_core_sandbox(const struct agent_core *c, const char *name, char *to, size_t size);
bool agent_core_run_directory(const struct agent_core *c, const char *name, char *to, size_t size);

/* What the attempts that are not over hold, their executors' own need included. */
void agent_core_in_use(const struct agent_core *c, Corral__Resources *to);

/* Asserts what always holds; for tests and simulations. */
void agent_core_check(const struct agent_core *c);

#endif
