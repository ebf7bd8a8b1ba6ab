/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions: which exist (what a snapshot holds), and when each expires. Expiry works in buckets
 * of one tick: a session touched at time t ends between t + timeout and one tick later.
 */
#ifndef CORRAL_ZKSERVER_CORE_SESSION_H
#define CORRAL_ZKSERVER_CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"

#define SESSION_PASSWORD_BYTES 16
#define SESSION_SID_SHIFT 56 /* above are the server's id in a session's */
#define SESSION_WHEEL_SLOTS 256
#define SESSION_ENDED_MAX 65536 /* remembered ends; the oldest are forgotten */

/* Who serves a session, as the leader sees it: a learner, by its server id, or one of these. */
#define SESSION_OWNER_NONE INT64_MIN
#define SESSION_OWNER_SELF INT64_MAX

struct session {
	struct hmap_node by_id;
	struct list bucket; /* in a slot of the wheel, once the table is started; or in `touched` */
	int64_t id;
	int64_t owner;
	int32_t timeout_ms;
	bool local, upgrading; /* known to this server only; and not for long: server_local.c */
	bool shown;	       /* while upgrading, at a learner: the leader is to hear of it */
	bool closing;	       /* its end was decided; it takes no further requests */
	uint64_t expires_ms;   /* a multiple of the tick */
	void *conn;	       /* the server's, NULL while not connected here */
};

struct session_table {
	struct hmap by_id;
	struct hmap coming; /* a leader's: their createSession is not applied here yet */
	struct hmap ended;  /* once session_remember() was called: those that were removed since */
	bool remembers;
	struct list wheel[SESSION_WHEEL_SLOTS];
	struct list touched; /* a learner's: those that the leader has not been told of */
	bool collecting;
	uint32_t tick_ms;
	uint64_t checked_ms; /* all buckets up to this time were handed out */
	bool started;
};

void session_table_init(struct session_table *t, uint32_t tick_ms);
void session_table_fini(struct session_table *t);

/* Add or, if it exists, set the timeout; NULL: no memory. Removing one that is unknown does
 * nothing. */
struct session *session_add(
    struct session_table *t, int64_t id, int32_t timeout_ms, uint64_t now_ms);
void session_remove(struct session_table *t, int64_t id);
struct session *session_find(const struct session_table *t, int64_t id);
size_t session_count(const struct session_table *t);

/*
 * A leader knows a session from the moment its createSession is proposed, as it may be in use at a
 * learner before it is applied here. session_add() makes it one of the others. NULL: no memory.
 * session_find_any() finds both.
 */
struct session *session_expect(
    struct session_table *t, int64_t id, int32_t timeout_ms, uint64_t now_ms);
struct session *session_find_any(const struct session_table *t, int64_t id);

/*
 * From now on, until another start or stop, the last SESSION_ENDED_MAX that are removed are known
 * as such. It is for a leader that cannot tell an ended session from one that only its own server
 * knows.
 */
void session_remember(struct session_table *t);
bool session_has_ended(const struct session_table *t, int64_t id);

/* Visit all in order of creation, for a snapshot: start with *at NULL; NULL at the end. */
struct session *session_next(const struct session_table *t, struct list **at);

/* Begin to expire: every session gets its whole timeout from now. Before it, none expires. */
void session_start(struct session_table *t, uint64_t now_ms);

/* None expires (any more), and what only the last role of the server knew of them is forgotten. */
void session_stop(struct session_table *t);

/* While stopped: those that show themselves are noted, each once, until they are taken. */
void session_collect(struct session_table *t);
struct session *session_take_touched(struct session_table *t);

/* The session has shown itself; false if it is closing. timeout_ms is what it has from now on. */
bool session_touch(struct session_table *t, struct session *s, int32_t timeout_ms, uint64_t now_ms);

/* The next session whose time is over, marked closing; NULL when there is none (more). */
struct session *session_expire(struct session_table *t, uint64_t now_ms);

/* When to call session_expire() next; UINT64_MAX before session_start(). */
uint64_t session_deadline_ms(const struct session_table *t);

/* A session's password as Apache's servers derive it (java.util.Random), which anyone can compute.
 */
void session_password(int64_t id, uint8_t password[SESSION_PASSWORD_BYTES]);

/* Another derivation, from a secret, of the shell's; false: it failed. */
typedef bool session_password_fn(void *arg, int64_t id, uint8_t password[SESSION_PASSWORD_BYTES]);

/* The first id of a server that starts at this wall-clock time; sid in the top byte. */
int64_t session_first_id(uint8_t sid, int64_t wall_ms);

#endif
