/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated standalone server: the shipped core (requests, log, snapshots, recovery) on a
 * simulated disk, driven by a world's events, with the model beside it. It crashes, loses power at
 * any operation of the disk, and starts again; what it says is checked by its clients (zkclient.h).
 */
#ifndef CORRAL_TESTS_SIM_ZKNODE_H
#define CORRAL_TESTS_SIM_ZKNODE_H

#include "tests/lib/simdisk.h"
#include "tests/sim/model.h"
#include "tests/sim/world.h"
#include "zkserver/core/server.h"
#include "zkserver/core/txnlog.h"

/* A bug planted on purpose, which the simulation must find. */
enum zksim_plant {
	PLANT_NONE,
	PLANT_EARLY_ACK,   /* replies leave when the batch is submitted, not when it is durable */
	PLANT_NO_SYNC,	   /* sync() of files does nothing */
	PLANT_NO_DIR_SYNC, /* sync() of the directory does nothing */
	PLANT_KINDS
};

struct zkclient;

struct zknode {
	struct world *world;
	enum zksim_plant plant;
	struct rng rng;	  /* of the disk's delays */
	struct rng turns; /* what is done in a turn, and what in a later one */
	struct simdisk *disk;
	struct store *store;
	struct server_settings settings;
	uint64_t preallocate_bytes;
	unsigned snapshots_kept; /* 0: never purge */
	int64_t wall_offset_ms;
	bool kinds; /* clients make containers, TTL nodes and quotas, too */

	bool up;
	uint64_t life; /* counts the starts; events of an earlier one are void */
	uint64_t started_ms;
	struct db db;
	struct server server;
	struct txnlog log;
	struct txnlog_batch batches[2];
	int filling;	   /* the other one flies while `flying` */
	bool more_planned; /* a turn for what one left */
	bool flying, flush_planned;
	uint64_t tick_planned_ms;

	struct model model;
	int64_t seen_zxid; /* the highest one that any reply has named: it must survive */
	uint64_t starts, replayed, cuts, snapshots, fail_stops, reaped;
	struct zkclient *clients;
	unsigned client_count;
};

bool zknode_init(struct zknode *n, struct world *w, enum zksim_plant plant);
void zknode_fini(struct zknode *n);

/* Recover and serve; if the disk fails meanwhile, try again a little later. */
void zknode_start(struct zknode *n);

/* The process ends here and now; power: the unsynced goes too. It starts again after a while. */
void zknode_crash(struct zknode *n, bool power, const char *why);

/* Something was handed to the server: carry its outputs out. Also sets its time when called with
 * nothing new. */
void zknode_turn(struct zknode *n);
void zknode_set_time(struct zknode *n);

/* The wall clock. */
int64_t zknode_wall_ms(const struct zknode *n);

/* An empty database as this server begins with. False: no memory. */
bool zknode_init_db(const struct zknode *n, struct db *db);

/* Recover what is on disk into a database of its own, and compare it with the model. */
void zknode_check_disk(struct zknode *n);

#endif
