/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the preparation share. Functions that return int: enum zk_rc. */
#ifndef CORRAL_ZKSERVER_CORE_PREP_PRIV_H
#define CORRAL_ZKSERVER_CORE_PREP_PRIV_H

#include "zkserver/core/prep.h"
#include "zkserver/core/txn.h"

/*
 * A txn must fit into a record of the log (64 MiB). A multi takes no more parts above this, and
 * what is left is at most a frame (32 MiB) and a list of ACLs; a session with more nodes than fit
 * is closed without naming them, as servers before 3.6 do: whoever applies it finds them by their
 * owner.
 */
#define TXN_BYTES_SOFT ((size_t)24 << 20)

/* A request as it was read, before anything was checked. */
struct op {
	int32_t type, flags, version;
	struct jute_bytes path, data;
	uint32_t hash;		/* tree_hash() of the path */
	struct jute_reader acl; /* at the vector */
	int64_t ttl_ms;		/* createTTL; -1: the others */
};

/* The txn under way. */
struct work {
	struct prep *p;
	const struct prep_request *q;
	int64_t zxid;
};

/* False: bytes are missing, or the type is none of a single write. */
bool op_read(struct jute_reader *r, int32_t type, struct op *op);
bool is_ttl_mode(int32_t flags);

/* Check one operation, record what it will change, and fill in the body of its txn. */
int prep_op(const struct work *w, const struct op *op, struct txn_body *body);

/* The node, n as changes_look() gave it, will be gone. */
int put_deleted(const struct work *w, const struct tree_place *at, const struct change_node *n);

void put_header(const struct work *w, int32_t type, struct buf *txn);

/* Append whole txns. */
int prep_multi(const struct work *w, struct buf *txn);
int prep_create_session(const struct work *w, struct buf *txn);
int prep_close(const struct work *w, struct buf *txn);

#endif
