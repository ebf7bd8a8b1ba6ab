/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions as they stand in the log and travel between servers: a header, a body by type, and
 * (optionally) the digest that the tree has after it. Bytes in, values out; nothing is decided
 * here.
 */
#ifndef CORRAL_ZKSERVER_CORE_TXN_H
#define CORRAL_ZKSERVER_CORE_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"

#define TXN_HEADER_BYTES 32
#define TXN_DIGEST_VERSION 2

struct txn_header {
	int64_t session;
	int32_t cxid;
	int64_t zxid;
	int64_t time_ms; /* wall clock of the server that made it */
	int32_t type;	 /* enum zk_opcode, or ZK_OP_ERROR */
};

/* One change, its texts borrowed from the bytes that it was read from. */
struct txn_body {
	int32_t type;
	struct jute_bytes path, data;
	struct jute_bytes acl; /* the bytes of vec<ACL>, its count included; len -1 if null */
	/* set*: the new one. create*: the parent's new cversion, -1: one more. check: matched + 1
	 */
	int32_t version;
	int32_t timeout_ms; /* createSession */
	int32_t error;	    /* error */
	int64_t owner;	    /* create*: ephemeralOwner */
	bool ephemeral;
	struct jute_reader rest; /* multi: at the first sub-txn; closeSession: at the first path */
	int32_t count;		 /* of those */
};

struct txn {
	struct txn_header header;
	struct txn_body body;
	bool has_digest;
	uint64_t digest;
};

/*
 * Read a whole txn. False: the bytes are none. A multi's parts are checked by txn_next_part() only.
 */
bool txn_decode(struct txn *t, const void *bytes, size_t size);

/* The header alone, for those that do not need more. */
bool txn_decode_header(struct txn_header *h, const void *bytes, size_t size);

/* The next part of a multi, in a copy of body.rest; false at a part that is none. */
bool txn_next_part(struct jute_reader *r, const struct txn_header *h, struct txn_body *part);

/*
 * Append a header, a body of its type, a digest. The vectors of a multi (i32 type, buf body) and of
 * a closeSession (str path) are put by their makers: a count, then the items.
 */
void txn_put_header(struct buf *b, const struct txn_header *h);
void txn_put_body(struct buf *b, const struct txn_body *body);
void txn_put_digest(struct buf *b, uint64_t digest);

#endif
