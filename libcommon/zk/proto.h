/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of ZooKeeper's client protocol as a client sees them: requests to bytes, reply bytes
 * to values. Pure. Source: zookeeper.jute and ClientCnxn of Apache ZooKeeper 3.8.
 */
#ifndef CORRAL_ZK_PROTO_H
#define CORRAL_ZK_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"

/* The largest request that servers take unless told otherwise: jute.maxbuffer's default. */
#define ZK_FRAME_BYTES_MAX 0xfffff
#define ZK_PASSWORD_BYTES 16
#define ZK_ANY_VERSION (-1)

enum {
	ZK_PERM_READ = 1,
	ZK_PERM_WRITE = 2,
	ZK_PERM_CREATE = 4,
	ZK_PERM_DELETE = 8,
	ZK_PERM_ADMIN = 16,
	ZK_PERM_ALL = 31
};

struct zk_acl {
	int32_t perms;
	const char *scheme, *id;
};

struct zk_stat {
	int64_t czxid, mzxid, ctime_ms, mtime_ms;
	int32_t version, cversion, aversion;
	int64_t ephemeral_owner;
	int32_t data_bytes, child_count;
	int64_t pzxid;
};

/*
 * One request, or one part of a multi (the creates, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_CHECK).
 * Fields that an operation does not have are ignored.
 */
struct zk_op {
	enum zk_opcode type;
	const char *path; /* NULL: ZK_OP_WHO_AM_I alone */
	const void *data; /* NULL: null, which is not the same as empty */
	size_t size;
	const struct zk_acl *acls; /* NULL: world:anyone, all permissions */
	size_t acl_count;
	int32_t flags;	 /* of create: enum zk_create_mode; of ZK_OP_ADD_WATCH: enum
			    zk_add_watch_mode; of ZK_OP_REMOVE_WATCHES: enum zk_watcher_type */
	int64_t ttl_ms;	 /* of ZK_OP_CREATE_TTL */
	int32_t version; /* ZK_ANY_VERSION: whichever */
	/* Of ZK_OP_RECONFIG, whose path is the configuration's; NULL: nobody, no whole one. */
	const char *joining, *leaving, *members;
	int64_t base; /* the version that it is made from; -1: any */
	bool local;   /* of ZK_OP_REMOVE_WATCHES: if the connection is lost, go all the same */
};

struct zk_op_result {
	int rc;		     /* ZK_RUNTIMEINCONSISTENCY: another part failed */
	const char *path;    /* create: the name that was made */
	struct zk_stat stat; /* set; create: all 0 if an Apache server answers */
};

/* What came of a request. Pointers are borrowed for the callback; what does not apply is 0 or NULL.
 */
struct zk_result {
	int rc;	      /* zk_err.h; of a multi: that of the part that failed */
	int64_t zxid; /* of the reply: a write's zxid or a later one; 0 without a reply */
	uint64_t
	    sent_ms; /* clock_boot_ms() when the request was handed to the socket; 0: never sent */
	size_t sent_bytes;	     /* of the request's frame; 0: never sent */
	struct zk_stat stat;	     /* create, exists, get, set, children, get_acl, set_acl; of
					ZK_OP_GET_ALL_CHILDREN_NUMBER child_count alone */
	const uint8_t *data;	     /* get; NULL: null */
	size_t size;		     /* of data */
	const char *path;	     /* create: the name that was made; sync */
	const char *const *children; /* names without the parent's path, in no order */
	size_t child_count;
	const struct zk_acl *acls; /* get_acl; of ZK_OP_WHO_AM_I schemes and ids */
	size_t acl_count;
	const struct zk_op_result
	    *ops; /* multi: one for each part, whether it was carried out or not */
	size_t op_count;
	bool watching; /* the watch that came with the request is set: it will be called */
	void *memory;  /* what the pointers point into; zk_result_fini() releases it */
};

struct zk_reply_header {
	int32_t xid;
	int64_t zxid;
	int32_t err;
};

/* A path as Apache's servers accept it (PathUtils.validatePath); NULL if it is good, else why not.
 */
const char *zk_path_fault(const char *path);

/* Append header and record of a request. b->failed: longer than b may be, or no memory. */
void zk_request_encode(struct buf *b, int32_t xid, const struct zk_op *op, bool watch);
void zk_multi_encode(struct buf *b, int32_t xid, const struct zk_op *ops, size_t count);

void zk_header_encode(struct buf *b, int32_t xid, enum zk_opcode type);
bool zk_reply_header_decode(struct jute_reader *r, struct zk_reply_header *h);

/*
 * The record behind a reply header without error, for a request of this type. False: result->rc is
 * ZK_NOMEMORY, or ZK_PROTOCOL for bytes that make no sense. Everything is copied to result->memory.
 */
bool zk_result_decode(struct jute_reader *r, enum zk_opcode type, struct zk_result *result);
void zk_result_fini(struct zk_result *result);

#endif
