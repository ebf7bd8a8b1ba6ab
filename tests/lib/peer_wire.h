/* SPDX-License-Identifier: Apache-2.0 */
/* A link of a rig's node whose other end is the test. */
#ifndef CORRAL_TESTS_PEER_WIRE_H
#define CORRAL_TESTS_PEER_WIRE_H

#include "tests/lib/peer_rig.h"
#include "zkserver/core/qpacket.h"

struct wire {
	struct peer_link link;
	struct buf out; /* what the node says */
	bool open;
};

/* Somebody connects to the node's quorum port; or to its port for observers. */
void wire_accept(struct wire *w, unsigned node);
void wire_accept_observer(struct wire *w, unsigned node);

/* The node connects to this server, which is elected; it says FOLLOWERINFO, or OBSERVERINFO. */
void wire_follow(struct wire *w, unsigned node, int64_t leader, bool observer);
void wire_close(struct wire *w, unsigned node);

void wire_say(struct wire *w, unsigned node, const struct buf *b);
void wire_say_packet(
    struct wire *w, unsigned node, int32_t type, int64_t zxid, const void *data, size_t size);
void wire_say_info(
    struct wire *w, unsigned node, int32_t type, int64_t sid, int32_t accepted_epoch);
/* A leader's LEADERINFO: it begins at this zxid. */
void wire_say_leaderinfo(struct wire *w, unsigned node, int64_t zxid);
/* A proposal of a node /N, N the counter of zxid; digest 0: without one. */
void wire_propose_create(
    struct wire *w, unsigned node, int64_t zxid, int64_t header_zxid, uint64_t digest);
/* A node of a snapshot, without data or owner; acl: its list's key, -1: all may all. */
void wire_put_node(struct buf *b, const char *path, int64_t acl);

/* What the node says next must be this. */
void wire_expect(struct wire *w, int32_t type, int64_t zxid);

/* Has the node ended the link, for a reason with this in it? */
bool wire_ended(const struct wire *w, const char *why);

#endif
