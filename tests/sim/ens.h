/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated ensemble: the shipped cores of its members (peer, server, and everything on disk) in
 * one world, with a network that delays and is cut, disks that fail, clients that do everything,
 * and an oracle that knows what was committed. One seed is one life.
 *
 * ens_net.c has the network, ens_node.c a member, ens_reconf.c how members change, ens_client.c the
 * clients, ens_work.c what they ask for, ens_life.c the faults, ens_damage.c and ens_fuzzy.c what
 * becomes of files, zabsim.c the program. The oracle is ens_book.c, ens_check.c, ens_zab.c,
 * ens_effect.c, ens_turn.c and ens_disk.c, and for what clients see ens_answer.c, ens_watch.c and
 * ens_session.c, with the tree that model.c knows.
 */
#ifndef CORRAL_TESTS_SIM_ENS_H
#define CORRAL_TESTS_SIM_ENS_H

#include "tests/lib/simdisk.h"
#include "tests/sim/ens_client.h"
#include "tests/sim/model.h"
#include "tests/sim/world.h"
#include "zkserver/core/notification.h"
#include "zkserver/core/peer.h"
#include "zkserver/core/txnlog.h"

#define ENS_NODES_MAX 9 /* up to 7 voters, observers, and who is to join */
#define ENS_CLIENTS 6
#define ENS_WORDS 8 /* of each voter that are remembered */

/* Bugs planted on purpose, which the simulation must find. */
enum ens_plant {
	ENS_PLANT_NONE,
	ENS_PLANT_EARLY_ACK,   /* a batch counts as durable when it is submitted */
	ENS_PLANT_NO_SYNC,     /* sync() of files does nothing */
	ENS_PLANT_NO_DIR_SYNC, /* sync() of the directory does nothing */
	ENS_PLANT_FORGETS,     /* a start forgets the configuration that was proposed */
	ENS_PLANT_KINDS
};

struct ens;
struct ens_node;

/* ---- the network ---- */

struct ens_chunk {
	struct list link;
	uint8_t *bytes;
	size_t size;
	bool fin; /* behind the last bytes */
};

/* One direction of a connection: FIFO, one arrival planned at a time. */
struct ens_flow {
	struct list chunks;
	size_t bytes;
	bool planned, fin_sent;
};

struct ens_end {
	struct ens_wire *wire;
	struct ens_node *node; /* NULL: that side is closed */
	struct peer_link core;
	struct buf out;
	bool snapshot_planned;
};

/* A connection from the one who dialled (0) to the other (1). */
struct ens_wire {
	struct list link;
	struct ens *e;
	uint64_t id;
	unsigned who[2]; /* indices of nodes */
	struct ens_end ends[2];
	struct ens_flow flows[2]; /* by sender */
	unsigned arrivals;	  /* planned ones: not freed while there are some */
};

struct ens_pair {
	struct ens *e;
	unsigned from, to;
};

struct ens_net {
	struct rng rng;
	struct ens_pair pairs[ENS_NODES_MAX][ENS_NODES_MAX]; /* for events */
	uint64_t dials[ENS_NODES_MAX];			     /* the last one counts */
	bool to_master[ENS_NODES_MAX];			     /* that goes to a port for observers */
	bool masters;					     /* followers have one */
	struct list wires;
	uint64_t next_id, delay_max_ms;
	bool splits; /* what was sent arrives in pieces, if only of a byte */
	bool blocked[ENS_NODES_MAX][ENS_NODES_MAX]; /* from, to */
	/* Election: the newest notification that has not arrived; how the receiver sees the link.
	 */
	struct buf said[ENS_NODES_MAX][ENS_NODES_MAX];
	bool said_planned[ENS_NODES_MAX][ENS_NODES_MAX];
	enum election_link seen[ENS_NODES_MAX][ENS_NODES_MAX];
	uint64_t cuts, resets, bytes;
};

void ens_net_init(struct ens *e);
void ens_net_fini(struct ens *e);
void ens_net_block(struct ens *e, unsigned from, unsigned to, bool blocked);
void ens_net_heal(struct ens *e);
/* A connection between two ends is reset. */
void ens_net_reset(struct ens *e, unsigned a, unsigned b);
/* What the peers ask for. */
void ens_net_notify(struct ens *e, unsigned from, unsigned to, const uint8_t *bytes, size_t size);
void ens_net_dial(struct ens *e, unsigned from, unsigned to, bool master);
/* Send what links have, close those that ended. */
void ens_net_attend(struct ens_node *n);
/* The process of a node is gone, or is there: its links end; others see it. */
void ens_net_gone(struct ens_node *n);
void ens_net_here(struct ens_node *n);

/* ---- a member ---- */

/* What a member has delivered since its database was loaded, or taken over from its leader. */
struct ens_delivered {
	int64_t from, *zxids;
	size_t count, cap;
};

#define ENS_NAME_BYTES 96
#define ENS_TORN_MAX 4

/* What a member's disk must have, and what was done to it. */
struct ens_disk {
	bool changing;		  /* its history is being changed at a leader's word: */
	int64_t floor_zxid;	  /* what it has at least, whatever happens then */
	int64_t was_zxid;	  /* what it had */
	int64_t cut_from, cut_to; /* above the one, up to the other: cut, and nothing logged since
				   */
	bool must_tell;		  /* of its damage, or have all up to here nevertheless: */
	int64_t whole_zxid;
	bool gone; /* a file is; nothing else is damaged */
	bool epoch_damaged;
	char damage[ENS_NAME_BYTES]; /* the last one */
	uint64_t torn[ENS_TORN_MAX]; /* snapshots that lie there without their end */
	unsigned torn_count;
	/* The last operation, if it may not fail, and the first of these that did. */
	bool op_matters;
	char op[ENS_NAME_BYTES], failed[ENS_NAME_BYTES];
	uint64_t fails_at, full_seen;
};

/* A snapshot in the making, as Apache's servers write them: while transactions are applied. */
struct ens_fuzzy {
	struct buf before; /* what the walk has seen at its beginning */
	int64_t zxid;
	uint64_t life, reloads, number;
	bool due;
};

struct ens_node {
	struct ens *e;
	unsigned index;
	int64_t sid;
	struct rng rng;
	struct simdisk *disk;
	struct store *store;
	struct server_settings settings;
	uint64_t preallocate_bytes;
	int64_t wall_offset_ms;
	uint32_t rate; /* its clock's seconds in 1000 of the world's */

	bool up, fatal;
	bool snapshot_at_start; /* as Apache's servers do: of what may be cut later */
	uint64_t life;		/* counts the starts; events of an earlier one are void */
	uint64_t paused_until_ms, stuck_until_ms; /* the process; its disk's syncs */
	uint32_t slow_ms;			  /* each turn takes up to so long */
	bool frail;	 /* the power goes when it next changes its history at a leader's word */
	bool conf_frail; /* ... when it next writes a configuration */
	bool off;	 /* its operator has stopped it, or not started it yet */
	struct members conf, conf_next; /* as its files say: in force, proposed */
	bool has_conf_next;
	bool rotten; /* its disk may be damaged: it may refuse to start, and is emptied then */
	struct ens_words *heard; /* by index of who said it, in this life */
	struct epochs epochs;	 /* as it promised last, in this life of its disk */
	enum peer_phase phase;
	struct db db;
	struct server server;
	struct peer peer;
	struct server_upstream up_before, upstream;
	struct txnlog log;
	struct txnlog_batch batches[2];
	int filling;
	bool flying, flush_planned, log_open, turning;
	uint64_t tick_planned_ms;
	enum server_role role; /* as it was at the last look */
	int64_t durable_zxid;  /* everything up to here is on its disk */
	struct ens_delivered delivered;
	struct ens_disk checked;
	struct ens_fuzzy fuzzy;
	bool writes_fuzzy; /* its snapshots are */
	uint64_t starts, leads, snapshots, fatals, reloads, repairs, refusals, compared, purged,
	    fuzzies, epochs_refused;
};

bool ens_node_init(struct ens_node *n, struct ens *e, unsigned index);
void ens_node_fini(struct ens_node *n);
void ens_node_start(struct ens_node *n);
void ens_node_crash(struct ens_node *n, bool power, const char *why);
/* Its disk, down as it is, is replaced by an empty one, as an operator does. */
void ens_node_wipe(struct ens_node *n);
/* Do the others have, durably and in a quorum with a leader, all that was ever acknowledged? */
bool ens_node_can_be_lost(const struct ens_node *n);
uint64_t ens_node_now_ms(const struct ens_node *n);
void ens_node_set_time(struct ens_node *n);
/* Something was handed to it: carry its outputs out. */
void ens_node_turn(struct ens_node *n);
/* True: the event must come later, when the process goes on; fn was planned again. */
bool ens_node_sleeps(struct ens_node *n, world_fn *fn, void *arg, uint64_t token);

/* ---- the oracle ---- */

struct ens_txn {
	int64_t zxid;
	int64_t prev;	/* what its leader had before it */
	uint8_t *bytes; /* NULL: an epoch's beginning, which nobody logs */
	size_t size;
	uint64_t hash;	 /* of its bytes */
	uint64_t digest; /* of the tree and the sessions behind it; 0: not applied anywhere yet */
};

/* What a server was told in elections, the newest last. */
struct ens_words {
	struct vote vote[ENS_WORDS];
	int32_t state[ENS_WORDS];
	unsigned count;
};

struct ens_check {
	struct ens_txn *made; /* every transaction that a leader made, by zxid */
	size_t made_count, made_cap;
	int64_t *committed; /* in order */
	size_t committed_count, committed_cap;
	int32_t leader_of_epoch[1 << 12]; /* index + 1 */
	int64_t *ended;			  /* sessions, in order of their ends */
	size_t ended_count, ended_cap;
	struct members in_force; /* as the last committed reconfig says */
	int64_t answered_zxid;	 /* the last write that anybody was told of */
	uint64_t acked_writes, reads, syncs, reconfigs, refused_reconfigs, removed_leaders;
};

void ens_check_init(struct ens_check *c, const struct members *members);
void ens_check_fini(struct ens_check *c);
/* A leader hands a new transaction to its log. */
void ens_check_made(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size);
/* A member has applied one. */
void ens_check_applied(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size);
/* It has loaded what is on its disk. */
void ens_check_loaded(struct ens_node *n);
/* It has taken over a history at its leader's word. */
void ens_check_reloaded(struct ens_node *n);
/* It begins to lead. */
void ens_check_leads(struct ens_node *n);
/* It begins to follow. */
void ens_check_follows(struct ens_node *n);
/* A notification comes to it. */
void ens_check_heard(struct ens_node *n, unsigned from, const uint8_t *bytes, size_t size);
/* Behind each turn: what it promised, what it acknowledged, what it votes with. */
void ens_check_turn(struct ens_node *n);
/* At the end, when all are at one place. */
void ens_check_quiet(struct ens *e);
int64_t ens_check_last(const struct ens_check *c);
uint64_t ens_digest(const struct db *db);

/* ---- what is on the disk: ens_disk.c ---- */

void ens_disk_begin(struct ens_node *n); /* it has a disk that is new */
/* Its process is gone. */
void ens_disk_down(struct ens_node *n);
/* Before and behind each start. */
void ens_disk_starts(struct ens_node *n);
void ens_disk_loaded(struct ens_node *n, const struct recover_report *report);
/* Its history is about to be changed, and was. */
void ens_disk_changes(struct ens_node *n);
void ens_disk_changed(struct ens_node *n);
/* Records up to durable_zxid were written. */
void ens_disk_written(struct ens_node *n);
/* Behind a turn, and behind each write: an I/O error has stopped it. */
void ens_disk_stops(struct ens_node *n);
/* The operation with this number is going to fail. */
void ens_disk_fail_at(struct ens_node *n, uint64_t op, int error);
/* A snapshot of the database was written. */
void ens_disk_snapshot(struct ens_node *n);
/* Old files go. */
void ens_disk_purge(struct ens_node *n);

/* ---- damage to it, down as it is: ens_damage.c ---- */

/* False: there was nothing to damage. */
bool ens_damage(struct ens_node *n, struct rng *r);
/* Leave the beginning of a snapshot behind, as a server of Apache's does that is killed. */
void ens_damage_torn_snapshot(struct ens_node *n, struct rng *r);

/* ---- fuzzy snapshots: ens_fuzzy.c ---- */

void ens_fuzzy_begin(struct ens_node *n);
void ens_fuzzy_fini(struct ens_node *n);

/* ---- members that change ---- */

/* What a server's files say: of ops members_seen() and members_adopted(). */
bool ens_conf_seen(struct ens_node *n, const struct members *m, struct fault *f);
void ens_conf_adopted(struct ens_node *n, const struct members *m);
void ens_conf_write(struct ens_node *n);

/* An operator starts servers that are to join, and stops some that have left. */
void ens_operator_begin(struct ens *e);
/* Start it if it is off. */
void ens_operator_start(struct ens_node *n);

/* Whoever does not know of a proposed configuration that it is in is told. */
void ens_operator_rescue(struct ens *e);

/* Append a reconfig's body. */
void ens_reconf_put(struct ens *e, struct rng *r, struct buf *to);
/* The configuration that a transaction is about; false: about none. */
bool ens_reconf_read(const uint8_t *bytes, size_t size, struct members *m);
/* Nobody who is up knows of a configuration that was only proposed. */
bool ens_is_settled(const struct ens *e);
/* Who is a member, and who thinks so: into the trace. */
void ens_reconf_explain(struct ens *e);

struct ens {
	struct world world;
	enum ens_plant plant;
	struct members members;
	unsigned count, voters, members_count; /* the rest is to join */
	bool reconfig;
	struct rng operator;
	struct members rescue;
	uint64_t rescues;
	void (*reconfig_made)(struct ens *e); /* a leader has proposed one */
	uint32_t tick_ms;
	unsigned value_bytes; /* up to so many are put behind a value */
	struct ens_net net;
	struct ens_node nodes[ENS_NODES_MAX];
	struct ens_client clients[ENS_CLIENTS];
	unsigned kinds;	      /* 1 << enum ens_kind: what clients do in this life */
	uint32_t at_once_max; /* watches that a change tells of at once */
	struct model model;   /* what is committed */
	struct ens_sessions sessions;
	struct ens_check check;
	uint64_t rest_until_ms; /* clients do nothing */
	bool calm;		/* no more faults */
	bool quiet;		/* the end: no new requests */
};

#endif
