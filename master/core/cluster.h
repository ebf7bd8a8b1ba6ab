/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leading master's picture of the cluster: agents, jobs, attempts, and what is to be stored. It
 * lives from an election to the loss of leadership and is then dropped as a whole; a new leader
 * builds it anew from the ensemble (registry, jobs, results) and from what agents report.
 *
 * A core: each function takes an event and the time (milliseconds on the master's CLOCK_BOOTTIME),
 * changes the state, and appends to cluster->out what is to be sent or told. The shell carries
 * `out` out after each call and empties it. What has to outlive the master is collected and written
 * by group commit: cluster_commit_begin() gives one batch, at most one at a time, and what depends
 * on it (a welcome, a job's acceptance, an update's acknowledgement) comes out of
 * cluster_committed(). There is no answer for a failed batch: a leader that cannot write is none,
 * and drops all this.
 */
#ifndef CORRAL_MASTER_CLUSTER_H
#define CORRAL_MASTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"
#include "master/core/books.h"
#include "master/core/tokens.h"
#include "proto/corral.pb-c.h"

enum {
	CLUSTER_NAME_MAX = 63,
	CLUSTER_ID_MAX = 63,
	CLUSTER_UUID_BYTES = 16,
	CLUSTER_AGENTS_MAX = 100000,	/* of the registry, forgotten ones included */
	CLUSTER_JOBS_MAX = 100000,	/* that are stored, ended ones included */
	CLUSTER_ENDED_MAX = 200,	/* ended jobs kept; the oldest is removed first */
	CLUSTER_INDEXES_MAX = 10000000, /* of all jobs together */
	CLUSTER_SINGLETONS_MAX = 1000,	/* indexes of a job whose tasks are singletons */
	CLUSTER_ATTEMPTS_MAX = 1 << 30, /* at an index: no number is ever given twice */
	CLUSTER_TERMS_MAX = 65535,	/* under which the last attempts were launched */
	CLUSTER_PLACED_MAX = 4096,	/* attempts launched in one turn; the next turn goes on */
	REGISTRY_PIECE = 1024,		/* agents to a node of the registry */
	RESERVED_PIECE = 256,		/* agents to a node of reservations */
	CLUSTER_RESERVATIONS_MAX = 4,	/* of a node */
	CLUSTER_MARK_SLOTS = 61, /* seconds: a whole minute before any moment of the last one */
	RESULTS_PIECE = 8192,	 /* indexes to a node of results: the longest text fits a node */
	COMMIT_OPS_MAX = 256,
	COMMIT_BYTES_MAX = 512 * 1024,	 /* a batch is closed when it has passed this */
	COMMIT_BYTES_PER_MS = 64 * 1024, /* how long nothing is written after a batch */
};

/* How long an ended job of a client's own (job_policy.once) can still be asked about. */
#define CLUSTER_ONCE_KEPT_MS 60000

/* What an executor has behind a singleton's grace to kill what is left of it. */
#define CLUSTER_STOP_MARGIN_MS 2000
/* Of a clock's rate from true time at most: (1 + d)/(1 - d) <= 1 + 3d holds up to there. */
#define CLUSTER_DRIFT_PERMILLE_MAX 333

/* How long a task must have run for its failure not to count against the limit of a service. */
#define CLUSTER_STEADY_MS 10000

/*
 * How long the first waiting job of a role fits nowhere before a node is held for it, and how long
 * that is held at most; after that, none is held for it as long again.
 */
#define CLUSTER_HOLD_AFTER_MS 10000
#define CLUSTER_HOLD_MS 600000

struct term {
	uint64_t era;
	int64_t czxid;
};

static inline bool
term_equal(struct term a, struct term b)
{
	return a.era == b.era && a.czxid == b.czxid;
}

struct task_key {
	char job[CLUSTER_NAME_MAX + 1];
	int64_t incarnation;
	uint32_t index, attempt;
	struct term term;
};

struct cluster_settings {
	uint64_t lease_ms;
	uint32_t drift_permille;       /* how far any clock's rate may be from true time: d */
	uint64_t unreachable_after_ms; /* raised to lease_ms x (1 + 3d) */
	int64_t wall_offset_ms;	       /* the time of the day, less that of our clock */
	struct resources executor;     /* each executor's own need, booked with its task's */
	uint32_t agents_max;	       /* that are admitted anew; 0: CLUSTER_AGENTS_MAX */
};

/*
 * AWAITED: in the registry, not heard since the election. ADMITTING: registered, the registry write
 * is under way. SILENT: no connection, or not heard for a lease's length.
 */
enum agent_marking { MARKING_NOT, MARKING_WANTED, MARKING_IN_BATCH };
enum agent_state { AGENT_AWAITED, AGENT_ADMITTING, AGENT_READY, AGENT_SILENT, AGENT_UNREACHABLE };

/* When a node takes no more tasks, when those that it has are stopped, when it takes some again. */
struct drain {
	bool wanted;
	uint64_t from_ms, stop_ms, until_ms; /* UINT64_MAX: never */
};

/* PLANNED: its time has not come. DONE: nothing runs there any more. */
enum drain_phase { DRAIN_NONE, DRAIN_PLANNED, DRAIN_GOING_ON, DRAIN_DONE };

struct agent {
	struct hmap_node by_name;
	struct list in_admitting;	 /* admitting, or admitted by the batch at hand */
	char name[CLUSTER_NAME_MAX + 1]; /* as its certificate has it */
	char id[CLUSTER_ID_MAX + 1];
	enum agent_state state;
	bool connected;
	bool stored;	    /* the registry has it as admitted and reachable */
	bool awaited;	    /* holds up indexes of unknown state */
	bool marked;	    /* the registry says unreachable, or will with the next commit */
	bool away;	    /* of those: tasks may run there that are waited for */
	bool unheard;	    /* of those: by this leader not even once, nobody knows which tasks */
	uint64_t marked_ms; /* when the mark was stored, or the election */
	enum agent_marking marking; /* its tasks are given up when the mark is stored */
	uint32_t number;	    /* place in the registry */
	uint32_t node; /* number in the books; PLACE_NONE before it registered with this master */
	uint64_t registration; /* the newest one's number; 0: none with this master */
	/* When a registration or heartbeat came last; the election, while none has. */
	uint64_t heard_ms;
	struct drain drain;
	bool closed;		  /* being drained: takes no tasks */
	struct list reservations; /* struct reservation, of the lowest role first */
	struct list in_reserving;
	struct list in_holding;
	struct job *held_for; /* who alone is placed here; NULL: anybody */
	uint32_t held_tasks;  /* so many of its tasks */
	uint64_t held_until_ms;
	bool gone;	      /* forgotten: for who asks there is no such node */
	bool off;	      /* gone, and was powered off for that: nothing of it runs */
	bool powered_off;     /* the operator says so: nothing is waited for */
	uint32_t stuck_count; /* of its attempts that were killed and do not die */
	Corral__Register
	    *report;	       /* the newest registration; its tasks only until they are settled */
	struct resources used; /* measured by the agent: cpu and memory used, disk free */
	uint32_t load_milli;
	struct list attempts;
	struct list doomed; /* struct doomed */
	uint32_t attempt_count;
	void *link; /* the shell's */
};

enum job_state { JOB_CREATING, JOB_RUNNING, JOB_STOPPING, JOB_STOPPED, JOB_FINISHED, JOB_FAILED };
enum job_restart { JOB_RESTART_NO, JOB_RESTART_ON_FAILURE, JOB_RESTART_ALWAYS };

/* What the core needs to know of a job; made by the shell from the job file. */
struct job_policy {
	bool service;
	enum job_restart restart;
	uint64_t restart_ms;
	uint32_t retries_max;  /* failures of one index that are tried again */
	struct resources need; /* without the executor's own */
	bool constrained;      /* ask cluster_ops.allows() for each node */
	bool once;	       /* a lost attempt is not made again */
	bool singleton;	       /* never two of one index at once */
	uint64_t stop_ms;      /* of a singleton: its grace, TimeoutStopSec= */
	/* How long a task is waited for whose node is unreachable; UINT64_MAX: always. */
	uint64_t disconnect_ms;
	uint32_t priority; /* 0 to 100, higher first */
	const char *role;  /* NULL: the default; read by whoever makes the job, not kept */
};

/* UNKNOWN: after an election, may run on an agent that has not registered yet. */
enum cell_state {
	CELL_UNKNOWN,
	CELL_PENDING,
	CELL_DELAYED,
	CELL_LIVE,
	CELL_FINISHED,
	CELL_FAILED,
	CELL_STOPPED
};
#define CELL_STATES 7

/* One index of a job: all that there is to a task that is not running. */
struct cell {
	uint32_t attempts; /* made so far */
	uint16_t failures; /* that count against the limit */
	uint8_t state : 4;
	uint8_t reason : 4; /* Corral__TaskReason of the last end */
	uint8_t code;	    /* the signal with REASON_SIGNAL, else the exit status */
	uint32_t agent;	    /* number of the last attempt's; CLUSTER_NO_AGENT: none */
	uint16_t term;	    /* the last attempt's: cluster.terms[term] */
};
#define CLUSTER_NO_AGENT UINT32_MAX

enum { PIECE_STORED = 1, PIECE_DIRTY = 2, PIECE_IN_BATCH = 4 };

/*
 * The last attempt at an index of a singleton's job, and its agent, as the store names them (or
 * will with the next commit): a new leader waits for that agent, and for no other.
 */
struct single {
	uint32_t attempt;  /* 0: none */
	uint32_t agent;	   /* its number */
	uint16_t term;	   /* cluster.terms[term] */
	uint8_t flags;	   /* PIECE_* */
	bool stuck;	   /* it does not die: only people can say that it is over */
	bool raised;	   /* lease_ms is more than the store has */
	uint64_t lease_ms; /* the longest that any leader gave its agent while it ran */
};

struct job {
	struct hmap_node by_name;
	struct list in_order;	 /* of creation: live, ended or removed jobs */
	struct list in_dirty;	 /* has something to store */
	struct list attempts;	 /* struct attempt.in_job */
	struct list delayed;	 /* struct delay, by time: one for each index in CELL_DELAYED */
	struct list in_delaying; /* while it has any */
	struct list in_role;	 /* while it is live: struct role.jobs of its priority */
	struct role *role;
	uint64_t stuck_ms;	/* since when nothing more of it can be placed; 0: not so */
	enum share_bar barred;	/* by what; NOT: no node fits */
	uint64_t hold_pause_ms; /* no node is held for it until then */
	uint32_t held_tasks;	/* for which nodes are held */
	char name[CLUSTER_NAME_MAX + 1];
	int64_t incarnation; /* czxid of its node */
	enum job_state state;
	struct job_policy policy;
	struct resources need; /* policy.need and the executor's own */
	void *definition;      /* the shell's, released with cluster_ops.release() */
	void *client;	       /* the shell's: who waits for its output and its end */
	char *text;	       /* as stored in its node */
	size_t text_size;
	char by[128];	      /* who submitted it */
	char stopped_by[128]; /* who stopped it, and why */
	int64_t submitted_wall_ms;
	uint64_t since_ms;
	uint32_t count;
	struct cell *cells;
	uint8_t *pieces;	/* PIECE_*, one for each RESULTS_PIECE indexes */
	uint32_t next_piece;	/* where the next batch begins */
	struct single *singles; /* one for each index; NULL: no singletons */
	uint32_t in_state[CELL_STATES];
	uint32_t lost, retries;
	uint32_t stopped_live; /* live when the stop came */
	uint32_t next_pending; /* no index below it is pending */
	bool hidden;	       /* not to be found by its name */
	bool kept;	       /* its node has a child that is no master's: it cannot be removed */
	bool state_dirty;
	bool results_dirty;
	bool singles_dirty;
	bool in_commit; /* its creation or its new state is in the batch at hand */
};

struct attempt {
	struct hmap_node by_key;
	struct list in_agent, in_job;
	struct list in_ending; /* waits for the commit of its outcome, or (unsent) of its place */
	struct job *job;
	struct agent *agent;
	struct term term;
	uint32_t index, attempt;
	uint32_t sequence; /* of the last update that was taken; 0: none */
	Corral__TaskState state;
	bool booked;
	bool unsettled;	       /* not booked, but counts against the limit of its role */
	bool told_over;	       /* its agent registered with it as over: its outcome is to come */
	bool moved;	       /* was told to end because its node is drained: is made again */
	bool unsent;	       /* waits for its place's commit: nobody but us knows of it */
	bool stuck;	       /* what is left of it was killed and does not die */
	uint64_t registration; /* of the agent's last report that named it */
	uint64_t since_ms, launched_ms;
	uint8_t uuid[CLUSTER_UUID_BYTES]; /* of the terminal update */
};

/* So much of a node is for a role and those below it. */
struct reservation {
	struct list in_agent;
	struct role *role;
	struct resources amount, used;
};

/*
 * An attempt that an agent came back with and nobody wants: killed, and booked until it is over. Is
 * it a singleton's, then its index is not placed again before that.
 */
struct doomed {
	struct list in_agent;
	struct hmap_node by_index; /* by its job's name and its index */
	struct role *role;	   /* NULL: its job is not ours */
	struct resources need;
	bool booked; /* false: its agent is being admitted */
	struct task_key key;
};

struct delay {
	struct list in_job;
	uint32_t index;
	uint64_t at_ms;
};

enum out_kind {
	OUT_WELCOME,	  /* agent */
	OUT_LAUNCH,	  /* agent, job, key */
	OUT_KILL,	  /* agent, key */
	OUT_ACK,	  /* agent, key, uuid */
	OUT_JOB_ACCEPTED, /* job: its creation is stored */
	OUT_JOB,	  /* job: another state, stored */
	OUT_TASK,	  /* job, key, agent, state, reason, code, settled */
	OUT_NODE,	  /* agent: another state */
};

struct out {
	enum out_kind kind;
	struct agent *agent;
	uint64_t registration; /* the agent's newest when this was put out */
	struct job *job;
	struct task_key key;
	Corral__TaskState state;
	Corral__TaskReason reason;
	uint8_t code;	   /* as in struct cell */
	bool settled;	   /* the index will not be tried again */
	uint64_t delay_ms; /* since its launch */
	char message[128]; /* of the update, cut */
	uint8_t uuid[CLUSTER_UUID_BYTES];
};

/* Everything in it is borrowed from the core until the next call of one of its functions. */
struct cluster_out {
	struct out *items;
	size_t count, capacity;
};

struct cluster_ops {
	/* May a task of this job run on this agent? Pure. */
	bool (*allows)(const void *definition, const struct agent *agent);
	void (*release)(void *definition);
};

enum store_op_kind { STORE_CREATE, STORE_SET, STORE_DELETE };

struct store_op {
	enum store_op_kind kind;
	char path[160];
	size_t offset, size;   /* of the data, in commit.data */
	struct job *job;       /* a job's node that is created: its czxid is the incarnation */
	struct single *single; /* that is written */
};

struct commit {
	struct store_op ops[COMMIT_OPS_MAX];
	size_t count;
	struct buf data;
};

struct cluster {
	struct cluster_settings settings;
	struct cluster_ops ops;
	struct hash_key hash;
	struct term term;
	struct books books;
	uint64_t elected_ms;

	struct hmap agents; /* by name */
	struct agent **by_number, **by_node;
	uint32_t agent_count, agent_capacity;
	uint8_t *registry; /* PIECE_*, by piece */
	bool registry_dirty;
	bool marking; /* some agent's mark waits for its commit */
	uint64_t registrations;
	struct list admitting, admitting_in_batch;
	uint32_t awaited;    /* agents of the registry that hold up indexes of unknown state */
	uint32_t unheard;    /* agents that do so only for jobs that wait for unreachable nodes */
	uint64_t unheard_ms; /* when the last of them was marked, or the election */
	bool alarm;	     /* more than half of the agents are silent: none is marked */
	uint64_t scan_ms;    /* when agents are looked at next */
	uint64_t mark_slot;  /* the last second that marks[] knows of */
	uint32_t marks[CLUSTER_MARK_SLOTS]; /* agents marked in it and in those before */

	struct tokens tokens;
	struct term seen;  /* the highest that an agent has refused ours for; era 0: none has */
	uint64_t era_next; /* with era_dirty: to be the era from the next election on */
	bool era_dirty;
	uint8_t quota_piece, weights_piece; /* PIECE_* */
	bool quota_in_batch;
	uint64_t tickets, batch_ticket, stored_ticket;

	struct term *terms; /* of attempts, ours first */
	size_t term_count;

	struct hmap jobs;		      /* by name; ended ones too */
	char (*unread)[CLUSTER_NAME_MAX + 1]; /* of jobs in the store that cannot be read */
	size_t unread_count;
	struct list live, ended, removed, removing; /* removing: with the batch at hand */
	struct list delaying;			    /* jobs, by struct job.in_delaying */
	struct list dirty, in_batch;		    /* jobs, by struct job.in_dirty */
	uint32_t ended_count;
	uint64_t index_count;
	struct hmap attempts; /* by (incarnation, index) */
	struct hmap doomed;   /* by (job's name, index) */
	struct list ending, committing;
	struct list placing, placing_in_batch, placed; /* singletons, by struct attempt.in_ending */
	struct list reserving;			       /* agents of which something is reserved */
	uint8_t *reserved;			       /* PIECE_*, by RESERVED_PIECE agents */
	bool reserved_dirty;
	struct list holding; /* agents that are held for a job */
	uint32_t hold_count;
	bool unplaced; /* something changed that may let a task be placed */
	bool writing;  /* a batch is out */
	bool pausing;  /* one was large: the next one is not before pause_end_ms */
	uint64_t pause_end_ms;
	uint64_t placements;	   /* ever */
	uint32_t in_task_state[8]; /* attempts by Corral__TaskState */
	uint32_t in_job_state[6];
	bool failed; /* no memory for something that cannot be refused: the shell gives up
			leadership */

	struct commit commit;
	struct cluster_out out;
};

/* ops are kept by value. False: no memory. */
bool cluster_init(struct cluster *c, const struct cluster_settings *settings,
    const struct cluster_ops *ops, const struct hash_key *hash, struct term term, uint64_t now_ms);
void cluster_fini(struct cluster *c);
/* Another setting than at first; never less than what a lease may last. */
void cluster_set_unreachable_after(struct cluster *c, uint64_t ms);

/* --- what the ensemble has, before cluster_start(); on false the text in error[size] says what is
 * wrong --- */
bool cluster_load_agents(struct cluster *c, uint32_t piece, const char *text, size_t size,
    char *error, size_t error_size);
/* Quotas and weights, before the jobs. */
bool cluster_load_quota(
    struct cluster *c, const char *text, size_t size, char *error, size_t error_size);
bool cluster_load_weights(
    struct cluster *c, const char *text, size_t size, char *error, size_t error_size);
/* Reservations of these agents, behind the registry. */
bool cluster_load_reserved(struct cluster *c, uint32_t piece, const char *text, size_t size,
    char *error, size_t error_size);
/* Jobs in order of their incarnation. Takes definition (also on failure); text is copied. */
struct job *cluster_load_job(struct cluster *c, const char *name, int64_t incarnation,
    uint32_t count, const struct job_policy *policy, void *definition, const char *text,
    size_t text_size, const char *state, size_t state_size, char *error, size_t error_size);
/*
 * There is a job of this name that cannot be read: the name is taken, what runs of it goes on, and
 * what its agents say of it is left for a leader that can read it.
 */
void cluster_load_unread(struct cluster *c, const char *name);
bool cluster_load_results(struct cluster *c, struct job *j, uint32_t piece, const char *text,
    size_t size, char *error, size_t error_size);
/*
 * Of an index of a job of singletons; after the job's results. An index whose text cannot be read
 * is never placed: it may run anywhere.
 */
bool cluster_load_single(struct cluster *c, struct job *j, uint32_t index, const char *text,
    size_t size, char *error, size_t error_size);
void cluster_start(struct cluster *c, uint64_t now_ms);

/* --- agents --- */
/*
 * A registration on a new connection. Takes report in any case. NULL: refused, with the reason in
 * error. Otherwise the agent, whose newest registration this now is (agent->registration);
 * OUT_WELCOME follows at once or with the commit.
 */
struct agent *cluster_register(struct cluster *c, uint64_t now_ms, const char *name,
    Corral__Register *report, void *link, char *error, size_t error_size);
/* The connection of this registration is gone; an older one's end is no news. */
void cluster_agent_down(struct cluster *c, uint64_t now_ms, struct agent *a, uint64_t registration);
void cluster_heartbeat(
    struct cluster *c, uint64_t now_ms, struct agent *a, const Corral__NodeUsage *usage);
/* The attempts that do not die, all of them, with each heartbeat. */
void cluster_stuck(struct cluster *c, struct agent *a, Corral__TaskKey *const *keys, size_t count);
void cluster_update(
    struct cluster *c, uint64_t now_ms, struct agent *a, const Corral__StatusUpdate *u);
/* By the operator: as if it had been silent long enough, without the limit. False: it is connected.
 */
bool cluster_mark_unreachable(struct cluster *c, struct agent *a);
/*
 * The same of a machine that the operator has powered off: with the mark everything that ran there
 * is over, singletons and what does not die too, and nothing is waited for. False: it is connected.
 */
bool cluster_powered_off(struct cluster *c, uint64_t now_ms, struct agent *a);
/* As the registry has it: a forgotten one, too (agent->gone). */
struct agent *cluster_agent(const struct cluster *c, const char *name);

/* Drain a node as `drain` says, in place of what was wanted before; not wanted: no longer. */
void cluster_drain(struct cluster *c, uint64_t now_ms, struct agent *a, const struct drain *drain);
enum drain_phase cluster_drain_phase(const struct agent *a);
/*
 * By the operator: there is no such node any more, its tasks are given up; with powered_off its
 * singletons at once. False, with the reason: it is connected, or a singleton may run there.
 */
bool cluster_forget(struct cluster *c, uint64_t now_ms, struct agent *a, bool powered_off,
    char *error, size_t error_size);
/* From the next election on the era is this: above all that this leader has heard of. */
uint64_t cluster_era_bump(struct cluster *c);

/* --- jobs --- */
/*
 * UNREAD: the store has a job of that name that this master cannot read. KEPT: it has an ended one
 * that cannot be removed.
 */
enum submit_result {
	SUBMIT_OK,
	SUBMIT_IN_USE,
	SUBMIT_UNREAD,
	SUBMIT_KEPT,
	SUBMIT_FULL,
	SUBMIT_NO_MEMORY
};
/* Takes definition in any case; text is copied. An ended job of the same name is replaced. */
enum submit_result cluster_submit(struct cluster *c, uint64_t now_ms, const char *name,
    uint32_t count, const struct job_policy *policy, void *definition, const char *text,
    size_t text_size, const char *by, int64_t wall_ms, struct job **job);
/* Idempotent; false if the job has ended already. */
bool cluster_stop(struct cluster *c, uint64_t now_ms, struct job *j, const char *by);
struct job *cluster_job(const struct cluster *c, const char *name);
/* The attempt at an index that is not over; NULL if there is none. */
struct attempt *cluster_live_attempt(const struct cluster *c, const struct job *j, uint32_t index);
void cluster_key(const struct attempt *t, struct task_key *key);
/*
 * When the attempt at a singleton is given up, unless its node is heard again. UINT64_MAX: not
 * before people say that it is over.
 */
uint64_t cluster_give_up_at_ms(const struct cluster *c, const struct attempt *t);
/*
 * When what runs, or may run, on an unreachable node is made again elsewhere, unless that is heard
 * before: an attempt, or those indexes of a job of which nobody knows where they are. UINT64_MAX:
 * not before people say that there is no such node. 0: nothing of it is waited for.
 */
uint64_t cluster_replaced_at_ms(const struct attempt *t);
uint64_t cluster_unheard_until_ms(const struct cluster *c, const struct job *j);
/* Can this node end singletons for sure? NULL, or what it lacks. */
const char *cluster_lacks_for_singletons(const struct agent *a);
/*
 * CORRAL_FENCE: of later attempts at an index of a name it is larger, also when the job was
 * submitted anew. The n-th attempt of a singleton is sent after n transactions of its own, all of
 * them behind that of the job's node (the incarnation, a zxid); the node of a later job of this
 * name is made behind all of those, so that its zxid is larger than this incarnation + n.
 */
uint64_t cluster_fence(const struct task_key *key);
/* The last attempt at an index, over or not: its key and its agent. NULL: there was none. */
struct agent *cluster_last_attempt(
    const struct cluster *c, const struct job *j, uint32_t index, struct task_key *key);

/* --- roles: false, with the reason in error, if that cannot be --- */
/*
 * A quota with neither guarantee nor limit takes it away. force: a limit below what the role has,
 * and guarantees beyond what the cluster has, are taken.
 */
bool cluster_set_quota(struct cluster *c, const char *role, const struct quota *q, bool force,
    char *error, size_t size);
/* Nothing: the reservation is removed. */
bool cluster_reserve(struct cluster *c, struct agent *a, const char *role,
    const struct resources *amount, char *error, size_t size);
bool cluster_set_weight(
    struct cluster *c, const char *role, uint64_t weight_milli, char *error, size_t size);

/* --- turns --- */
/* Do what is due: delays, marking, placement. Once per loop turn, and at the deadline. */
void cluster_turn(struct cluster *c, uint64_t now_ms);
uint64_t cluster_deadline_ms(const struct cluster *c, uint64_t now_ms);

/*
 * The next batch to write, or NULL: nothing to store, or a batch is out, or a large one has just
 * been (cluster_turn() tells the time). Borrowed until committed.
 */
const struct commit *cluster_commit_begin(struct cluster *c);
/*
 * What the ensemble answered to the batch, and what is to be done then. UNKNOWN: the connection
 * broke. NODES: nodes that operation failed_at needed were gone, or those that it makes were there;
 * operation 0 of the multi is the fence. CHILD: what it removes has one. `again`: the batch was
 * sent before.
 */
enum commit_answer {
	COMMIT_ANSWER_OK,
	COMMIT_ANSWER_UNKNOWN,
	COMMIT_ANSWER_NODES,
	COMMIT_ANSWER_CHILD,
	COMMIT_ANSWER_NO
};
/*
 * LEARN: first the czxid of the job that ops[*made] created. SHORTEN: a job cannot be removed;
 * cluster_commit_shorten(), then send what is left of the batch. GIVE_UP: leadership.
 */
enum commit_then {
	COMMIT_STORED,
	COMMIT_LEARN,
	COMMIT_AGAIN,
	COMMIT_SHORTEN,
	COMMIT_GIVE_UP
};
enum commit_then cluster_commit_answered(
    const struct cluster *c, enum commit_answer answer, bool again, size_t failed_at, size_t *made);
/* The job that operation failed_at was to remove stays, and the batch has nothing more of it. */
void cluster_commit_shorten(struct cluster *c, size_t failed_at);
/* The batch is stored; czxids[i] is that of ops[i] where it created a node. */
void cluster_committed(struct cluster *c, uint64_t now_ms, const int64_t *czxids);

/*
 * A number for what the registry, the tokens and the era are now: cluster_has_stored() says whether
 * the store has that, too.
 */
uint64_t cluster_ticket(struct cluster *c);
bool cluster_has_stored(const struct cluster *c, uint64_t ticket);

/*
 * Where what was put out goes; NULL: to no agent, or not any more. Of several events in one turn a
 * registration may be a later one: what was meant for the connection before it is settled by what
 * the agent reported, and never reaches the new one.
 */
void *cluster_out_link(const struct out *o);
/* Forget what was put out: it was carried out. */
void cluster_out_clear(struct cluster *c);

/* The books balance, the counts are those of the lists, no index has two live attempts. For tests.
 */
bool cluster_check(const struct cluster *c);

const char *agent_state_name(enum agent_state state);
const char *job_state_name(enum job_state state);

/* Is this the end of an attempt? */
bool task_state_terminal(Corral__TaskState state);
/* "running" and so on. */
const char *task_state_name(Corral__TaskState state);

#endif
