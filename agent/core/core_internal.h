/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the agent's core share. */
#ifndef CORRAL_AGENT_CORE_INTERNAL_H
#define CORRAL_AGENT_CORE_INTERNAL_H

#include "agent/core/core.h"

enum helper_kind {
	HELPER_LAUNCH,
	HELPER_PROBE,
	HELPER_KILL,
	HELPER_CLEAN,
	HELPER_FORGET,
	HELPER_SWEEP, /* of no attempt */
};

/* A request to the helper whose reply is awaited; replies come in order. */
struct helper_wait {
	struct list link;
	uint64_t id;
	enum helper_kind kind;
	struct taskkey key;
};

struct agent_core {
	struct agent_core_conf conf;
	struct checkpoint checkpoint;
	bool no_memory; /* something could not be done for want of it: stop at the commit */

	char agent_id[64];
	Corral__Term highest_term;
	bool has_term;
	uint16_t executor_port;

	struct attempt_table table;
	struct list active, settled;
	size_t active_count, settled_count;

	/* The master's connection. */
	bool up, registered;
	uint64_t registration;
	uint64_t register_ms; /* when Register was sent on this connection */
	uint64_t register_number;
	uint64_t lease_ms, heartbeat_ms, heartbeat_at_ms;
	/* Of the lease that masters have granted, whichever they were; 0: none in this life. */
	uint64_t lease_end_ms;
	Corral__Term lease_term; /* of the master that granted it */
	/* The checkpoint was lost or damaged in this boot: more may run, and is being ended. */
	bool incomplete;
	bool sweep_asked;
	uint64_t sweep_at_ms, sweep_wait_ms;
	char sweep_error[256];
	size_t stuck_count;
	Corral__NodeUsage usage;

	uint64_t next_request;
	struct list helper_waits;

	struct list outputs;
	size_t output_count;
};

/* ---- core.c ---- */
void core_push(struct agent_core *c, enum agent_out_kind kind, const struct taskkey *key,
    const ProtobufCMessage *m);
void core_drop_master(struct agent_core *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void core_record_node(struct agent_core *c);
void core_record_term(struct agent_core *c);
void core_record_attempt(struct agent_core *c, const struct attempt *a);
void core_record_executor(struct agent_core *c, const struct attempt *a);
void core_record_update(struct agent_core *c, Corral__StatusUpdate *update);
void core_record_ack(
    struct agent_core *c, const struct attempt *a, const Corral__StatusUpdate *update);
void core_record_forget(struct agent_core *c, const struct attempt *a);
void core_to_executor(struct agent_core *c, const struct attempt *a, Corral__AgentToExecutor *m);
/* The same of a master's command, in whose term it obeys or refuses it. */
void core_pass_on(struct agent_core *c, const struct attempt *a, Corral__AgentToExecutor *m,
    const Corral__Term *term);

/* ---- core_task.c: attempts, executors, the helper ---- */
/* The reply comes to agent_core_helper_reply(); key: of the attempt, NULL: of none. */
void core_ask_helper(struct agent_core *c, const struct taskkey *key, enum helper_kind kind,
    Corral__HelperRequest *r);
/* The next wait of those that grow from look to look. */
uint64_t core_longer_wait_ms(uint64_t wait_ms);
struct attempt *core_add_attempt(
    struct agent_core *c, const Corral__TaskKey *key, const Corral__TaskSpec *spec);
/* Make an update of our own, checkpoint it and send it. */
void core_make_update(struct agent_core *c, struct attempt *a, Corral__TaskState state,
    Corral__TaskReason reason, const char *message, uint64_t now_ms);
/* Take the update as the attempt's next: numbered, checkpointed; terminal ones end the attempt. */
void core_take_update(
    struct agent_core *c, struct attempt *a, const Corral__StatusUpdate *update, uint64_t now_ms);
void core_enter_over(struct agent_core *c, struct attempt *a, uint64_t now_ms);
/* An attempt that is over, acknowledged and cleaned up is settled. */
void core_settle(struct agent_core *c, struct attempt *a, uint64_t now_ms);
/* Say the outcome of an attempt that is over once more. */
void core_repeat_outcome(struct agent_core *c, struct attempt *a, uint64_t now_ms);
void core_kill(struct agent_core *c, struct attempt *a, uint64_t now_ms);
void core_recover(struct agent_core *c, struct attempt *a, bool same_boot, uint64_t now_ms);
/* When core_task_tick() has something to do; UINT64_MAX: never. */
uint64_t core_task_deadline_ms(const struct agent_core *c, const struct attempt *a);
void core_task_tick(struct agent_core *c, struct attempt *a, uint64_t now_ms);
void core_forget_old(struct agent_core *c, uint64_t now_ms);
void core_launch(struct agent_core *c, struct attempt *a);

/* ---- core_lease.c ---- */
/* Until when a singleton may run: what its executor was told, or the node's lease; 0: no lease. */
uint64_t core_lease_end_ms(const struct agent_core *c, const struct attempt *a);
/* The absolute end of the lease, if there is one, to the executor of a singleton. */
void core_send_lease(struct agent_core *c, struct attempt *a, uint64_t now_ms);
/* The lease ends at this time: executors of singletons are told. */
void core_set_lease(struct agent_core *c, uint64_t end_ms, uint64_t now_ms);
/* Is the lease over, or about to be: too late to start a singleton? */
bool core_lease_is_short(const struct agent_core *c, uint64_t now_ms);
/* May there be a process of a singleton that nobody is killing yet? */
bool core_is_running_singleton(const struct attempt *a);
/*
 * It has to be gone a grace after from_ms. That is its executor's part; if it has not done it a
 * little later, and before the master counts on it, both are killed.
 */
void core_end_singleton(struct attempt *a, uint64_t from_ms);
/* If the lease is over: a singleton that may run has to end, whatever comes later. */
void core_task_lease(struct agent_core *c, struct attempt *a, uint64_t now_ms);

/* ---- core_sweep.c ---- */
/* The checkpoint lacks attempts, or may: have the helper end them. */
void core_sweep_begin(struct agent_core *c, uint64_t now_ms);
void core_sweep_tick(struct agent_core *c, uint64_t now_ms);
uint64_t core_sweep_deadline_ms(const struct agent_core *c);
void core_swept(struct agent_core *c, const Corral__HelperReply *reply, uint64_t now_ms);

/* ---- core_master.c ---- */
/* Somebody has seen this term: it counts as if we had. */
void core_heard_of_term(struct agent_core *c, const Corral__Term *term);
/* On the connection that is up. */
void core_register(struct agent_core *c, uint64_t now_ms);
/* Send the first update of the attempt, if it is due and we are registered. */
void core_pump(struct agent_core *c, struct attempt *a, uint64_t now_ms);
void core_master_tick(struct agent_core *c, uint64_t now_ms);

#endif
