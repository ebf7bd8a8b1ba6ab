/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of ZooKeeper's client protocol, for both of its ends: operations, reserved xids, create
 * modes. Source: ZooDefs and ClientCnxn of Apache ZooKeeper. Result codes are in zk_err.h.
 */
#ifndef CORRAL_CODEC_ZK_WIRE_H
#define CORRAL_CODEC_ZK_WIRE_H

enum zk_opcode {
	ZK_OP_CREATE = 1,
	ZK_OP_DELETE = 2,
	ZK_OP_EXISTS = 3,
	ZK_OP_GET_DATA = 4,
	ZK_OP_SET_DATA = 5,
	ZK_OP_GET_ACL = 6,
	ZK_OP_SET_ACL = 7,
	ZK_OP_GET_CHILDREN = 8,
	ZK_OP_SYNC = 9,
	ZK_OP_PING = 11,
	ZK_OP_GET_CHILDREN2 = 12, /* with the parent's Stat */
	ZK_OP_CHECK = 13,	  /* inside a multi only */
	ZK_OP_MULTI = 14,
	ZK_OP_CREATE2 = 15, /* create whose reply has a Stat */
	ZK_OP_RECONFIG = 16,
	ZK_OP_CHECK_WATCHES = 17,
	ZK_OP_REMOVE_WATCHES = 18,
	ZK_OP_CREATE_CONTAINER = 19,
	ZK_OP_DELETE_CONTAINER = 20, /* a server's own */
	ZK_OP_CREATE_TTL = 21,
	ZK_OP_MULTI_READ = 22,
	ZK_OP_AUTH = 100,
	ZK_OP_SET_WATCHES = 101,
	ZK_OP_SASL = 102,
	ZK_OP_GET_EPHEMERALS = 103, /* of the session that asks */
	ZK_OP_GET_ALL_CHILDREN_NUMBER = 104,
	ZK_OP_SET_WATCHES2 = 105, /* with the lists of persistent ones */
	ZK_OP_ADD_WATCH = 106,
	ZK_OP_WHO_AM_I = 107,
	ZK_OP_CREATE_SESSION = -10, /* a server's own */
	ZK_OP_CLOSE_SESSION = -11,
	ZK_OP_ERROR = -1, /* of a txn, and of a multi's failed part */
};

enum zk_xid {
	ZK_XID_EVENT = -1,
	ZK_XID_PING = -2,
	ZK_XID_AUTH = -4,
	ZK_XID_SET_WATCHES = -8,
};

/* What a create's flags say: the first four are also EPHEMERAL and SEQUENTIAL, put together. */
enum zk_create_mode {
	ZK_PERSISTENT = 0,
	ZK_EPHEMERAL = 1,
	ZK_SEQUENTIAL = 2,
	ZK_EPHEMERAL_SEQUENTIAL = 3,
	ZK_CONTAINER = 4,
	ZK_PERSISTENT_TTL = 5,
	ZK_SEQUENTIAL_TTL = 6,
};

/* What addWatch asks for. */
enum zk_add_watch_mode {
	ZK_ADD_WATCH_PERSISTENT = 0,
	ZK_ADD_WATCH_RECURSIVE = 1,
};

/* Whose watches checkWatches and removeWatches mean. */
enum zk_watcher_type {
	ZK_WATCHER_CHILDREN = 1,
	ZK_WATCHER_DATA = 2,
	ZK_WATCHER_ANY = 3,
};

#define ZK_STAT_BYTES 68
#define ZK_STATE_CONNECTED 3 /* the state that a server puts into every event */

#endif
