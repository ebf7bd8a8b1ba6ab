/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the cluster's core share with each other and with nobody else. */
#ifndef CORRAL_MASTER_INSIDE_H
#define CORRAL_MASTER_INSIDE_H

#include "master/core/cluster.h"

/* Append an output; NULL when there is no memory, which the shell learns from c->failed. */
struct out *cluster_emit(struct cluster *c, enum out_kind kind, struct agent *a, struct job *j);
void cluster_emit_key(
    struct cluster *c, enum out_kind kind, struct agent *a, const Corral__TaskKey *key);

/* A key as it came; false, with a name cut short, if that is too long. */
bool task_key_read(struct task_key *to, const Corral__TaskKey *key);

/*
 * The number of a term, of an earlier leader's too; ours is 0. False: CLUSTER_TERMS_MAX others have
 * one (or there is no memory, which the shell learns from c->failed).
 */
bool cluster_term_number(struct cluster *c, struct term term, uint16_t *number);
uint64_t cluster_hash_text(const struct cluster *c, const char *text);

/* agents.c */
struct agent *agent_new(struct cluster *c, const char *name, const char *id);
void agent_free(struct agent *a);
void agent_enter(struct cluster *c, struct agent *a, enum agent_state state);
/* The registry has it: welcome it and settle what it reported. */
void agent_admitted(struct cluster *c, uint64_t now_ms, struct agent *a);
/* The mark is stored: its tasks are given up. */
void agent_given_up(struct cluster *c, uint64_t now_ms, struct agent *a);
/* Of what runs on an unreachable agent, that for which nobody waits any more is over. */
void agent_end_tasks(struct cluster *c, uint64_t now_ms, struct agent *a);
void agents_scan(struct cluster *c, uint64_t now_ms);
void registry_dirty(struct cluster *c, const struct agent *a);

/* drain.c */
bool agent_takes_tasks(const struct agent *a);
/* What is due of its drain. */
void drain_scan(struct cluster *c, uint64_t now_ms, struct agent *a);
void drain_encode(const struct cluster *c, const struct drain *d, struct buf *out);
/* What follows the name in a line of the registry; false: it cannot be read. */
bool drain_decode(const struct cluster *c, const char *text, struct drain *d);
/* A forgotten node registers, with this id. False: the id is too long. */
bool agent_revive(struct cluster *c, struct agent *a, const char *id);

/* attempts.c */
struct attempt *attempt_new(struct cluster *c, uint64_t now_ms, struct job *j, struct agent *a,
    uint32_t index, uint32_t number, struct term term, Corral__TaskState state);
void attempt_free(struct cluster *c, struct attempt *t);
struct attempt *attempt_find(const struct cluster *c, const Corral__TaskKey *key);
void attempt_enter(struct cluster *c, struct attempt *t, Corral__TaskState state);
/* Its node is given up, it is not. */
void attempt_recovering(struct cluster *c, uint64_t now_ms, struct attempt *t);
/* It may run, and is not booked: it counts against the limit of its role all the same. */
void attempt_unsettled(struct cluster *c, struct attempt *t, bool unsettled);
/* It ended with an outcome; uuid NULL: nobody waits for an acknowledgement, and *t is gone. */
void attempt_over(struct cluster *c, uint64_t now_ms, struct attempt *t, Corral__TaskState state,
    Corral__TaskReason reason, uint8_t code, const uint8_t *uuid);
void attempts_settle_report(struct cluster *c, uint64_t now_ms, struct agent *a);
/* Does what is reported as running fit into this capacity? */
bool attempts_report_fits(
    const struct cluster *c, const Corral__Register *report, const struct resources *capacity);

/* doomed.c */
/*
 * An attempt that was reported is killed (but of a job that cannot be read), and its resources are
 * booked until it is over.
 */
void doom_reported(struct cluster *c, struct agent *a, const struct task_key *key,
    struct role *role, const struct resources *need);
/* The same for one that is in our books: they stay booked for it, and are its own no more. */
void doom_replaced(struct cluster *c, struct attempt *t);
/*
 * What an agent reports of singletons, when it has to be admitted before its report is settled:
 * whatever is not theirs by now holds their indexes back.
 */
void doom_admitting(struct cluster *c, struct agent *a);
void doomed_over(struct cluster *c, struct agent *a, const struct task_key *key);
void doomed_release_all(struct cluster *c, struct agent *a);
/* Is there one at this index of a job of this name, of whatever incarnation? */
bool doomed_has(const struct cluster *c, const struct job *j, uint32_t index);

/* jobs.c */
struct job *job_new(struct cluster *c, const char *name, uint32_t count,
    const struct job_policy *policy, void *definition, const char *text, size_t text_size,
    enum cell_state first);
void job_free(struct cluster *c, struct job *j);
/* One that was to be removed is to be found again, and stays. */
void job_keep(struct cluster *c, struct job *j);
void job_enter(struct cluster *c, struct job *j, enum job_state state);
void job_dirty(struct cluster *c, struct job *j);
void job_kill_all(struct cluster *c, struct job *j);
bool job_is_unread(const struct cluster *c, const char *name);
/* Nothing holds indexes of unknown state up any more. */
void jobs_recovered(struct cluster *c, uint64_t now_ms);
void jobs_delays(struct cluster *c, uint64_t now_ms);
void cell_enter(struct cluster *c, struct job *j, uint32_t index, enum cell_state state);
/* An attempt at the index ended: what becomes of the index. Returns true if it is settled. */
bool cell_outcome(struct cluster *c, uint64_t now_ms, struct job *j, const struct attempt *t,
    Corral__TaskReason reason, uint8_t code);
/* Nothing runs at an index of unknown state: it is free to be placed, or is stopped. */
void cell_settle(struct cluster *c, struct job *j, uint32_t index);
/* If nothing is left to do, the job ends. */
void job_settle(struct cluster *c, uint64_t now_ms, struct job *j);
void results_dirty(struct cluster *c, struct job *j, uint32_t index);

/* singles.c */
bool singles_allocate(struct job *j);
/* After an election: what may still run is waited for, everything else is free to be placed. */
void singles_recover(struct cluster *c, uint64_t now_ms);
/* Those whose node was not heard for long enough are given up. */
void singles_scan(struct cluster *c, uint64_t now_ms);
/* The attempt's place goes to the store, and only then the attempt to its agent. */
void single_place(struct cluster *c, struct attempt *t);
/* May the index be placed? Its last place is stored, and nothing of it that came back is left. */
bool single_is_free(const struct cluster *c, const struct job *j, uint32_t index);
/* The lists of what is on its way to the store: into the batch, and out of it. */
void singles_collect(struct cluster *c);
void singles_committed(struct cluster *c, uint64_t now_ms);
/* Those whose places are stored go out now, or were never sent. */
void singles_send(struct cluster *c, uint64_t now_ms);
/*
 * Does the agent run a singleton under a lease that is longer than the store has it? (Its last
 * leader had a shorter one.) It is welcomed when the store knows; with `dirty`: when it is not even
 * on its way there.
 */
bool singles_hold(const struct agent *a, bool dirty);
void attempt_stuck(struct cluster *c, struct attempt *t, bool stuck);

/* disconnect.c */
/* Is the attempt, on an unreachable node, waited for? */
bool attempt_is_kept(const struct attempt *t, uint64_t now_ms);
/* Are there tasks to wait for on an agent that is being marked? */
bool agent_is_waited_for(const struct cluster *c, const struct agent *a);
/* The mark of an agent is stored that was not heard since the election, but is waited for. */
void agent_unheard(struct cluster *c, uint64_t now_ms, struct agent *a);
/* May indexes of unknown state of this job run on nodes for which it waits? */
bool job_is_held_up(const struct cluster *c, uint64_t now_ms, const struct job *j);
/* No index of unknown state is left for which anybody would wait. */
void unheard_settled(struct cluster *c);
void disconnect_scan(struct cluster *c, uint64_t now_ms);

/* commit.c: is anything to be stored? */
bool commit_wanted(const struct cluster *c);

/* launch.c */
void cluster_launch(struct cluster *c, uint64_t now_ms);
bool job_waits(const struct job *j);
/* May a task of the job run there, but for resources? */
bool job_suits(const struct cluster *c, const struct job *j, const struct agent *a);

/* hold.c */
void holds_scan(struct cluster *c, uint64_t now_ms);
void hold_end(struct cluster *c, struct agent *a);
void hold_end_all(struct cluster *c, struct job *j);
/* One of the tasks for which the node is held is placed there. */
void hold_placed(struct cluster *c, struct agent *a);

/* reserve.c */
void reserve_settle(struct cluster *c, struct agent *a);
void reserve_settle_all(struct cluster *c);
void reserve_free_all(struct cluster *c, struct agent *a);
/* What a role may have of reservations, and of the node in all. */
struct resources reserve_unused(const struct agent *a, const struct role *role);
struct resources reserve_usable(
    const struct cluster *c, const struct agent *a, const struct role *role);
/*
 * Do limits and guarantees let the role have so much more there, reserved amounts first, once tasks
 * of its own have given so much back there? During a turn.
 */
bool reserve_admits(const struct cluster *c, const struct agent *a, const struct role *role,
    const struct resources *need, const struct resources *back);
/* What it may have there when all that ends by itself has ended: what is no service. */
struct resources reserve_usable_later(
    const struct cluster *c, const struct agent *a, const struct role *role);
void reserved_encode(const struct cluster *c, uint32_t piece, struct buf *out);
bool reserved_load_line(struct cluster *c, char *words[3]);

/* roles.c */
enum { ROLE_AMOUNTS_MAX = 200 };
/* "cpus=2.0,memory=4G" without what is `none`; "-" if all is. */
const char *role_print_amounts(char to[ROLE_AMOUNTS_MAX], const struct resources *a, uint64_t none);
void quota_encode(const struct cluster *c, uint32_t piece, struct buf *out);
void weights_encode(const struct cluster *c, uint32_t piece, struct buf *out);

/* records.c: the texts in the ensemble */
void registry_encode(const struct cluster *c, uint32_t piece, struct buf *out);
/* For the store: it has ended, but for results that the store has to have first. */
bool job_is_being_stopped(const struct job *j);
void job_state_encode(const struct job *j, struct buf *out);
bool job_state_decode(struct job *j, enum job_state *state, const char *text, size_t size);
void results_encode(const struct cluster *c, const struct job *j, uint32_t piece, struct buf *out);
void single_encode(const struct cluster *c, const struct single *s, struct buf *out);

#endif
