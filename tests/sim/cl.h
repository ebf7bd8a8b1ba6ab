/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole cluster in one process, for simulation: machines with clocks of their own, processes that
 * stop, die and come again, connections between them, a model of an ensemble, and the shipped cores
 * of masters, agents and executors in shells that are as thin as the real ones. Everything is drawn
 * from one seed. What must hold is watched from outside (cl_check.h), in true time.
 */
#ifndef CORRAL_TESTS_SIM_CL_H
#define CORRAL_TESTS_SIM_CL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/rng.h"
#include "tests/sim/world.h"

enum {
	CL_SERVERS_MAX = 5,
	CL_MASTERS_MAX = 4,
	CL_AGENTS_MAX = 12,
	CL_MACHINES_MAX = CL_SERVERS_MAX + CL_MASTERS_MAX + CL_AGENTS_MAX,
	CL_DRIFT_PPM = 10000, /* the bound d: 1 % */
};

/* Bugs in the simulation's shells, where the real ones could have them; the cores' are in plants.h.
 */
enum cl_plant {
	CL_PLANT_NONE,
	CL_PLANT_OUTPUT_FIRST, /* an agent does what it decided before its checkpoint is durable */
	CL_PLANT_PINGS_PROVE,  /* the right to act is counted from answered pings, too */
	CL_PLANT_ACK_FIRST,    /* a master acknowledges an end before the store has it */
	CL_PLANT_REGISTRATION_IGNORED, /* an agent obeys messages of any registration */
	CL_PLANT_END_EARLY,	       /* an executor tells the end before the group is empty */
	CL_PLANT_RECOVERING_UNTOLD,    /* what an agent has not heard again is not in its report */
};

struct cl;
struct cl_proc;

/* ---- Machines and their clocks (cl_net.c) ---- */

struct cl_machine {
	struct cl *c;
	unsigned number;
	char name[16];
	uint64_t true_base_ms, boot_base_ms; /* boot time was the second at the first */
	int32_t drift_ppm;
	uint64_t boots;
	char boot_id[40];
	int64_t wall_offset_ms;
	uint64_t asleep_until_ms; /* suspended, or its virtual machine is stopped */
	uint64_t woke_ms;	  /* true time of the last end of that */
	bool dark;		  /* power is off: nobody is told that connections end */
	struct list procs;
};

/* Milliseconds on the machine's CLOCK_BOOTTIME. */
uint64_t cl_now(const struct cl_machine *m);
int64_t cl_wall_ms(const struct cl_machine *m);
/* True milliseconds until its clock shows boot_ms; 0 if it does already. */
uint64_t cl_until(const struct cl_machine *m, uint64_t boot_ms);
void cl_set_drift(struct cl_machine *m, int32_t ppm);
void cl_reboot_clock(struct cl_machine *m);
bool cl_is_asleep(const struct cl_machine *m);

/* ---- Processes ---- */

/*
 * A process runs its handlers to the end of a turn; it can be made to die or to stop at the k-th
 * output from now on (cl_output()). While it is stopped, nothing reaches it; what came meanwhile
 * lies in its connections. resume() is called when it goes on: it first ends the turn that was cut.
 */
struct cl_proc {
	struct list in_machine;
	struct cl *c;
	struct cl_machine *machine;
	bool up;
	uint64_t life; /* goes up with each start and each end */
	uint64_t paused_until_ms;
	unsigned crash_in, pause_in; /* outputs until it dies, or stops; 0: never */
	uint64_t pause_ms;
	uint64_t timer_ms; /* true time of the pending timer; UINT64_MAX: none */
	bool in_resume;
	bool gathers;	   /* its turn takes more events with it */
	unsigned gathered; /* so many by now */
	void *owner;
	void (*turn)(struct cl_proc *p);   /* it has gathered what there is: decide */
	void (*die)(struct cl_proc *p);	   /* it is up: take it down */
	void (*resume)(struct cl_proc *p); /* go on after a stop */
	void (*tick)(struct cl_proc *p);   /* its timer is due, or was early */
};

enum cl_go { CL_GO, CL_STOPPED, CL_DEAD };

void cl_proc_init(struct cl_proc *p, struct cl_machine *m);
void cl_proc_fini(struct cl_proc *p);
void cl_proc_start(struct cl_proc *p);
/* From die(): all its connections end, its timers are void. */
void cl_proc_end(struct cl_proc *p);
bool cl_runs(const struct cl_proc *p);
void cl_pause(struct cl_proc *p, uint64_t ms);
/* All processes of the machine, and its tasks, stand still. */
void cl_sleep(struct cl_machine *m, uint64_t ms);
/* Before each output: may it be carried out? After CL_STOPPED the turn ends, to be gone on with. */
enum cl_go cl_output(struct cl_proc *p);
/*
 * Something was handed to its core: does the turn wait for more? Real loops hand on all that has
 * come before they let a core decide. If so, turn() is called soon, or resume() if it stops first.
 */
bool cl_gather(struct cl_proc *p);
/* Call tick() when the machine's clock shows boot_ms, at the latest; UINT64_MAX: no matter when. */
void cl_timer(struct cl_proc *p, uint64_t boot_ms);

/* ---- Connections: FIFO each way; a suffix is lost when one ends ---- */

struct cl_conn;

struct cl_end_ops {
	void (*frame)(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size);
	void (*down)(void *owner, struct cl_conn *conn); /* not after cl_close() of one's own */
};

struct cl_listener {
	struct cl_proc *proc;
	/* A connection has come: the owner of this end, with its ops; NULL refuses. */
	void *(*accept)(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops);
	void *owner;
};

/*
 * Connect; up() is called with the connection, or with NULL when that failed, unless the process
 * has died. token is given back: whose attempt it was.
 */
typedef void cl_up_fn(void *owner, struct cl_conn *conn, uint64_t token);
void cl_dial(struct cl_proc *from, const struct cl_listener *to, cl_up_fn *up,
    const struct cl_end_ops *ops, void *owner, uint64_t token);
void cl_send(struct cl_conn *conn, const struct cl_proc *from, const void *bytes, size_t size);
/* End it: what is unread is not read, of what was sent the other side gets a prefix. */
void cl_close(struct cl_conn *conn, const struct cl_proc *from);
/* Take what lies unread, for a shell that reads on where it should not; false: nothing does. */
bool cl_take_unread(struct cl_conn *conn, const struct cl_proc *of, uint8_t **bytes, size_t *size);
/* The machine that connected, and what it gave as its owner. */
const char *cl_peer_name(const struct cl_conn *conn);
void *cl_peer_owner(const struct cl_conn *conn);
/* Either side cuts it, at a moment of its own. */
void cl_reset_between(struct cl *c, unsigned a, unsigned b);
void cl_block(struct cl *c, unsigned from, unsigned to, bool blocked);
bool cl_blocked(const struct cl *c, unsigned from, unsigned to);
void cl_heal(struct cl *c);
void cl_net_fini(struct cl *c);

/* ---- The whole ---- */

struct cl_ens;
struct cl_master;
struct cl_host;
struct cl_check;

struct cl_conf {
	unsigned servers, masters, agents;
	uint32_t session_ms, tick_ms, sync_ticks; /* of the ensemble */
	uint64_t lease_ms, heartbeat_ms, unreachable_ms;
	bool releases;		/* masters are of two */
	bool stale;		/* answers to creates are lost, and what is read then is older */
	uint64_t lease_most_ms; /* masters that start have a lease of up to this; 0: the usual */
	uint64_t delay_ms;	/* the usual, on the network */
	unsigned gather_in;	/* one turn of so many is of several events; 0: none */
	bool discover;		/* agents find the leader in the ensemble, not in a list */
	bool isolates;		/* a task dies with its executor */
	bool sleepers;		/* some processes do not die when they are killed, for a while */
	uint64_t patience_ms;	/* how long an executor waits for its agent */
	bool reads_late;	/* an agent's shell hands on what it should have left unread */
};

struct cl {
	struct world world;
	struct cl_conf conf;
	enum cl_plant plant;
	struct rng rng_net, rng_disk, rng_host, rng_core, rng_turn, rng_set;
	struct cl_machine machines[CL_MACHINES_MAX];
	unsigned machine_count;
	bool blocked[CL_MACHINES_MAX][CL_MACHINES_MAX];
	uint32_t lag_ms[CL_MACHINES_MAX]; /* all that goes to or from it is late by up to so much */
	struct list conns, closed_conns, dials, zks;
	struct cl_ens *ens;
	struct cl_master *masters[CL_MASTERS_MAX];
	struct cl_host *hosts[CL_AGENTS_MAX];
	struct cl_check *check;
	bool calm;		 /* no more faults */
	uint64_t masters_off_ms; /* operators keep all masters stopped until then */
	uint64_t lates;		 /* messages that were read too late */
	uint64_t gathered;	 /* events that shared their turn with an earlier one */
};

static inline unsigned
cl_server_machine(unsigned i)
{
	return i;
}

static inline unsigned
cl_master_machine(const struct cl *c, unsigned i)
{
	return c->conf.servers + i;
}

static inline unsigned
cl_agent_machine(const struct cl *c, unsigned i)
{
	return c->conf.servers + c->conf.masters + i;
}

/* With conf filled in: machines, ensemble, masters and agents, all started. */
struct cl *cl_new(uint64_t seed, const struct cl_conf *conf, enum cl_plant plant, bool trace);
void cl_free(struct cl *c);

void *cl_alloc(size_t size); /* zeroed; ends the program when there is no memory */

#define cl_trace(c, ...) world_trace(&(c)->world, __VA_ARGS__)

#endif
