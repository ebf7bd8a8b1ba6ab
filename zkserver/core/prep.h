/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preparation: every write gets the next zxid and becomes a txn, checked against the tree as it
 * will be when all earlier txns are applied. What is refused becomes an error txn, so that zxids
 * have no holes.
 */
#ifndef CORRAL_ZKSERVER_CORE_PREP_H
#define CORRAL_ZKSERVER_CORE_PREP_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/acl.h"
#include "zkserver/core/change.h"
#include "zkserver/core/db.h"
#include "zkserver/core/limits.h"
#include "zkserver/core/quota.h"
#include "zkserver/core/reconf.h"

struct prep {
	struct db *db;
	struct changes changes;
	int64_t last_zxid; /* given out last */
	bool is_known; /* the txn made last is a single write: `known` is for whoever applies it */
	struct apply_known known;
	const struct limits *limits; /* borrowed; NULL: none */
	struct limits_refused *refused;
	bool reconfig_enabled;
	/*
	 * A leader's peer: append the text of the configuration that follows, of the zxid given,
	 * or return an error of enum zk_rc. Whether the client may is asked after it. NULL: there
	 * are no members to change.
	 */
	int (*reconfig)(void *arg, const struct reconf_request *r, int64_t zxid, struct buf *text);
	/* It may: the one that was asked for last is proposed, unless this returns an error. */
	int (*reconfig_made)(void *arg);
	void *reconfig_arg;
	bool enforce_quota;	   /* off until set: then quotas only count */
	struct quota_notice quota; /* what was exceeded */
	struct buf path, acl;	   /* scratch: a sequential node's path, a list made ready */
};

struct prep_request {
	int64_t session;
	int32_t cxid;
	int32_t type;		 /* enum zk_opcode: a write, createSession or closeSession */
	struct jute_reader body; /* at the request's record; createSession: i32 timeout */
	const struct acl_ids *who;
	int64_t time_ms; /* wall clock */
	int error;	 /* it was refused already: an error txn; ZK_OK: it was not */
	uint32_t hash;	 /* tree_hash() of the path that leads the body, or 0: not known */
};

/* Zxids go on from db->last_zxid. */
void prep_init(struct prep *p, struct db *db);
void prep_fini(struct prep *p);

/* What was made and not applied is forgotten; zxids go on from db->last_zxid. */
void prep_reset(struct prep *p);

/*
 * Does prep_txn() take the operation from a client? A reconfig that cannot be read becomes no txn,
 * as at Apache's servers; any other write does, and fails.
 */
bool prep_takes(int32_t type, struct jute_reader body);

/* Is it a create of an ephemeral node, or a multi with one? */
bool prep_makes_ephemeral(int32_t type, struct jute_reader body);

/* Append the txn's bytes to *txn; its zxid is p->last_zxid then. False: the buffer failed. */
bool prep_txn(struct prep *p, const struct prep_request *q, struct buf *txn);

/* Everything up to this zxid was applied to the tree. */
void prep_applied(struct prep *p, int64_t zxid);

#endif
