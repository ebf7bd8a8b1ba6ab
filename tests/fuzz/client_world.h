/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world that the client port is put into: its shell's calls to the system are wrapped by the
 * linker (local.mk), so that the files that are shipped run without a socket and without a clock.
 * What comes in, in which pieces, how much of the answers is taken, and the time are the target's.
 */
#ifndef CORRAL_TESTS_CLIENT_WORLD_H
#define CORRAL_TESTS_CLIENT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"

#define WORLD_PEERS 4

struct event;

struct world_peer {
	bool open;			   /* the server has not closed it */
	bool ended;			   /* hung up: nothing comes behind `in` */
	struct event *readable, *writable; /* what the server waits for; NULL: not for that */
	struct buf in;			   /* on its way to the server */
	struct buf out;			   /* what the server has sent; the target takes it */
	size_t piece;			   /* recv() gives no more at once */
	size_t window;			   /* send() takes so much, and then nothing until it is
					      raised */
};

extern struct world_peer world_peers[WORLD_PEERS];
extern uint64_t world_boot_ms; /* the time; the wall clock goes with it */

#define WORLD_WALL_MS INT64_C(1700000000000) /* the wall clock when the other one is 0 */

/* Before the client port is opened, once: the next event that is added is its listener's. */
void world_begin(void);

/* Nothing is on its way, nobody is connected. */
void world_reset(uint64_t boot_ms);

/* Let the server accept this peer; false: it was refused. */
bool world_connect(size_t peer);

/* Call what waits for this peer's bytes or for room, as often as there is any. */
void world_deliver(size_t peer);

#endif
