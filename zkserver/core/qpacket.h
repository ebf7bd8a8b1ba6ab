/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leader and its learners say to each other, as bytes and as values: QuorumPackets, jute
 * records one after the other without any framing, and what some of them carry. Nothing is decided
 * here.
 *
 *	i32 type, i64 zxid, buffer data (-1: null), vector of Id{str scheme, str id} (-1: null)
 */
#ifndef CORRAL_ZKSERVER_CORE_QPACKET_H
#define CORRAL_ZKSERVER_CORE_QPACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/acl.h"

enum qpacket_type {
	QPACKET_REQUEST = 1,
	QPACKET_PROPOSAL,
	QPACKET_ACK,
	QPACKET_COMMIT,
	QPACKET_PING,
	QPACKET_REVALIDATE,
	QPACKET_SYNC,
	QPACKET_INFORM,
	QPACKET_COMMIT_AND_ACTIVATE,
	QPACKET_NEWLEADER,
	QPACKET_FOLLOWERINFO,
	QPACKET_UPTODATE,
	QPACKET_DIFF,
	QPACKET_TRUNC,
	QPACKET_SNAP,
	QPACKET_OBSERVERINFO,
	QPACKET_LEADERINFO,
	QPACKET_ACKEPOCH,
	QPACKET_INFORM_AND_ACTIVATE,
};

#define QPACKET_HEAD_BYTES 16	    /* type, zxid, length of data */
#define QPACKET_IDS_BYTES_MAX 65536 /* of authinfo; a connection's identities are fewer */
#define QPACKET_PROTOCOL 0x10000

struct qpacket {
	int32_t type;
	int64_t zxid;
	struct jute_bytes data; /* borrowed; len -1: null */
	int32_t id_count;	/* -1: null */
	struct jute_bytes ids;	/* those, one after the other */
};

enum qpacket_got {
	QPACKET_WHOLE,
	QPACKET_SHORT, /* *used says how many bytes there must be at least to go on */
	QPACKET_BAD,   /* a length that is impossible or over the bound: the link is lost */
};

/* Read the packet at the start of bytes; *used is its size if it is whole. */
enum qpacket_got qpacket_decode(
    struct qpacket *p, const uint8_t *bytes, size_t size, size_t data_bytes_max, size_t *used);

/* Append a packet without authinfo; data NULL: null. */
void qpacket_put(struct buf *to, int32_t type, int64_t zxid, const void *data, size_t size);

/* The name of a type, for messages: "PROPOSAL", "type 77". Overwritten by the next call. */
const char *qpacket_name(int32_t type, char to[24]);

/* FOLLOWERINFO and OBSERVERINFO: who comes. */
struct learner_info {
	bool anonymous; /* an old server that gives no id */
	int64_t sid;
	int32_t protocol;
	int64_t config_version;
};
bool learner_info_decode(struct learner_info *info, struct jute_bytes data);
void learner_info_put(
    struct buf *to, int32_t type, int32_t accepted_epoch, const struct learner_info *info);

void qpacket_put_leader_info(struct buf *to, int32_t epoch);
/* LEADERINFO's data: the protocol; false: it is not ours. */
bool qpacket_leader_info_check(const struct qpacket *p);

/* ACKEPOCH; current -1: this epoch was accepted before. */
void qpacket_put_ack_epoch(struct buf *to, int64_t zxid, int32_t current);
bool qpacket_ack_epoch_decode(const struct qpacket *p, int32_t *current);

/* REQUEST: a client's, forwarded. */
struct qpacket_request {
	int64_t session;
	int32_t cxid, type;
	struct jute_reader body;
};
void qpacket_put_request(struct buf *to, int64_t session, int32_t cxid, int32_t type,
    const uint8_t *body, size_t size, const struct acl_ids *who /* NULL: null */);
bool qpacket_request_decode(const struct qpacket *p, struct qpacket_request *q);
/* The client's identities, within the packet's bytes: *who is only read. False: they are none. */
bool qpacket_ids(const struct qpacket *p, struct acl_ids *who);

/* REVALIDATE, the question and the answer. */
void qpacket_put_revalidate(struct buf *to, int64_t session, int32_t timeout_ms);
bool qpacket_revalidate_decode(const struct qpacket *p, int64_t *session, int32_t *timeout_ms);
void qpacket_put_revalidated(struct buf *to, int64_t session, bool valid);
bool qpacket_revalidated_decode(const struct qpacket *p, int64_t *session, bool *valid);

/* PING's answer: a reader of {i64 session, i32 timeout}; false when there is no (whole) next one.
 */
bool qpacket_touch_next(struct jute_reader *r, int64_t *session, int32_t *timeout_ms);

#endif
