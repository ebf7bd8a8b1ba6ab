/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server without its sockets, disk, clock and ensemble: requests come in as frames, go through
 * prepare, log and apply, and leave as replies. The shell
 *
 *	- sets the time (server_set_time()) before each batch of inputs,
 *	- hands in connections and frames; replies are appended to the connection's `out`,
 *	- takes the records that are to be logged (server_next_record()) and says up to which zxid
 *they are on stable storage (server_synced()): only then are they applied and answered,
 *	- sends what the dirty connections have in `out` (server_next_dirty()), closes those that
 *say so,
 *	- takes a snapshot when server_snapshot_due() says so.
 *
 * It is alone, or a member of an ensemble (server_join()) in the role that its peer gives it. Then
 * a record is applied when it is both on stable storage here and committed. Clients are served by
 * a leader, a follower and an observer alike; the last two are learners, whose writes go through
 * the leader.
 *
 * Same inputs, same outputs.
 */
#ifndef CORRAL_ZKSERVER_CORE_SERVER_H
#define CORRAL_ZKSERVER_CORE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/rng.h"
#include "zkserver/core/acl.h"
#include "zkserver/core/audit.h"
#include "zkserver/core/db.h"
#include "zkserver/core/metrics.h"
#include "zkserver/core/prep.h"
#include "zkserver/core/watch.h"

/*
 * Syncs for which the leader's word is awaited, and the same of sessions that come back to a
 * learner; those of clients that have gone since count too. While there are so many, no requests
 * are read.
 */
#define SERVER_QUESTIONS_MAX 5000
#define SERVER_BATCH_MAX 64   /* frames looked at together */
#define SERVER_WALK_MAX 50000 /* nodes visited for one connection before others are served */
/* A reply is no larger; the list of very many children fails instead. */
#define SERVER_REPLY_BYTES_MAX ((size_t)48 << 20)
#define SERVER_OUT_SOFT_BYTES                                                                      \
	((size_t)1 << 20) /* more unsent bytes: no further frames of this connection */

struct server_settings {
	uint32_t tick_ms;
	int32_t min_timeout_ms, max_timeout_ms; /* of sessions */
	uint32_t frame_bytes_max;		/* jute.maxbuffer */
	uint32_t snap_count;			/* txns between snapshots, at least 2 */
	uint64_t snap_bytes;			/* of their sum; 0: no limit */
	uint32_t outstanding_max;     /* txns on their way to the log: globalOutstandingLimit */
	uint8_t sid;		      /* top byte of session ids */
	uint32_t reap_interval_ms;    /* between two looks at container and TTL nodes; 0: never */
	uint32_t reap_max_per_minute; /* of them deleted, at least 1 */
	bool enforce_quota, reconfig_enabled;
	/* A member's: new sessions are known to it alone; with an ephemeral node, to all. */
	bool local_sessions, local_upgrade;
	int64_t reap_never_used_ms;    /* a container without children yet; 0: stays */
	session_password_fn *password; /* NULL: session_password() */
	void *password_arg;
	const char *schemes;	/* one of them every request needs (acl.h); NULL: none is needed */
	bool allow_failed_sasl; /* a connection whose SASL failed lives on, if it need not have it
				 */
	struct limits limits;
};

enum server_role {
	SERVER_STANDALONE,
	SERVER_IDLE,	/* a member without a role, and */
	SERVER_SYNCING, /* a learner that is brought up to date: they serve nobody */
	SERVER_LEADER,
	SERVER_FOLLOWER,
	SERVER_OBSERVER,
	SERVER_READ_ONLY, /* without a leader: it serves reads to those who want no more */
};

/* What a member asks of its ensemble. Called from within server_*(); must not call back. */
struct server_upstream {
	/* A learner's write for the leader; its body is behind the request's header. who NULL: null
	 * authinfo, of a createSession. */
	void (*request)(void *arg, int64_t session, int32_t cxid, int32_t type, const uint8_t *body,
	    size_t size, const struct acl_ids *who);
	/* A session comes (back) to this learner: server_revalidated() says what of it. */
	void (*revalidate)(void *arg, int64_t session, int32_t timeout_ms);
	/* A sync is parked, at a learner or a leader: server_sync_done() answers the oldest. */
	void (*sync)(void *arg);
	/* A txn was applied: each one, in order, in any role. */
	void (*applied)(void *arg, int64_t zxid, const uint8_t *bytes, size_t size);
	void *arg;
};

enum server_end {
	SERVER_OPEN,
	SERVER_CLOSE_FLUSHED, /* close when `out` was sent */
	SERVER_CLOSE_NOW,     /* close, whatever is in `out` */
};

/* Embedded in the shell's connection. The shell sets `out` and reads `end`; the rest is the core's.
 */
struct server_conn {
	struct buf
	    *out; /* where replies and events go; the shell may point it elsewhere between calls */
	enum server_end end;
	const char *why;      /* a fault of the peer's that ended it; NULL: none */
	struct list link;     /* of all connections */
	struct list dirty;    /* on server->dirty: has output, ended, or may take frames again */
	struct list told;     /* on server->told, and not on dirty: has nothing but events */
	struct list waiting;  /* on server->resting: its last request took long; or on
				 server->stalled: waits until the server has room */
	struct list awaiting; /* of a learner: on server->creating or on server->revalidating */
	uint64_t asked;	      /* on the latter: which of the questions is this one's */
	int64_t valid_at;     /* on the latter: the leader said yes, and up to here is to be applied
				 first; -1: it has not said */
	bool connecting;      /* sent its connect request, the session is not made yet */
	bool read_only_byte;  /* the connect request had it, the response has it too */
	struct session *session;
	int64_t session_id; /* also after the session ended */
	int32_t timeout_ms;
	uint64_t touched_ms;
	struct acl_ids ids;
	struct watcher watcher;
	struct buf queue; /* requests that wait for a write of this connection (and those writes) */
	uint32_t queue_count;
	uint32_t syncs_parked, syncs_done; /* of those in queue: not done yet; done, not answered */
	uint32_t forwarded_count;	   /* writes that a learner's leader was asked for */
	size_t forwarded_bytes;
	/* For the admin's words. */
	uint64_t received, sent, since_ms, answered_ms;
	int32_t last_xid, last_op;
	int64_t last_zxid;
	uint64_t latency_last_ms, latency_min_ms, latency_max_ms, latency_sum_ms;
};

struct server_stats {
	uint64_t received, sent;
	uint64_t latency_min_ms, latency_max_ms, latency_sum_ms, latency_count;
	uint64_t auth_failed, connections_rejected;
	uint64_t proposal_last, proposal_min, proposal_max; /* bytes, of a leader's; 0: none yet */
	uint64_t slow_syncs; /* of the log: fsync.warningthresholdms */
};

struct server {
	struct server_settings settings;
	enum server_role role;
	const struct server_upstream *up; /* NULL: standalone */
	struct db *db;
	struct prep prep;
	struct watch_table watches;
	struct rng rng;
	uint64_t now_ms, started_ms;
	int64_t wall_ms, next_session;
	struct list conns, dirty, told, resting, stalled;
	uint64_t walked; /* nodes that requests of the frames at hand have visited */
	size_t conn_count;
	struct buf pending;	   /* records not yet applied, each behind a struct server_record */
	size_t pending_count;	   /* of them */
	size_t unlogged;	   /* offset in pending of the first that was not handed out */
	int64_t last_pending_zxid; /* of the last in pending */
	uint64_t pending_base;	   /* so many bytes were ever taken off its front */
	int64_t synced_zxid, committed_zxid; /* pending up to both may be applied */
	bool zxids_end; /* the leader's epoch has no further zxid: its leadership must end */
	/* A learner's, in the order in which the leader was asked. */
	struct list creating, revalidating;
	struct session_table local; /* a member's sessions that are its own; server_local.c */
	bool local_shown;	    /* some of them have something to be told to the leader */
	size_t forwarded_count, forwarded_bytes; /* writes that the leader was asked for */
	/* A struct of server_learner.c for each session that was asked about, the oldest first. */
	struct buf asked;
	uint64_t asked_count;
	struct buf parked;	/* a struct of server_learner.c for each sync, the oldest first */
	size_t parked_done;	/* of those, from the front: the leader said so */
	struct buf record_part; /* scratch: the record of the reply that is being made */
	int64_t applying_zxid;	/* of the txn that is being applied, its type, what came of it */
	int32_t applying_type, applying_error;
	int64_t applying_session;	    /* whose txn it is */
	uint64_t reap_round_ms, reap_at_ms; /* when the next round, and the next look, is due */
	uint64_t quota_said, quota_say_ms;  /* notices that were handed out; when the next may be */
	uint64_t reap_left;		    /* nodes that this round has not looked at */
	uint64_t txn_bytes, snapshot_at_bytes; /* the same of their bytes */
	uint32_t txns, snapshot_at; /* applied since the last snapshot; when the next is due */
	bool failed; /* out of memory in the middle of a change: the process must end */
	struct server_stats stats;
	struct limits_refused refused;
	struct throttle connects;
	struct zk_metrics metrics;
	struct audit *audit; /* NULL: none; set after server_init(), and borrowed */
};

/*
 * db is loaded and borrowed. seed draws the jitter of snapshots.
 * Sessions found in db start with their whole timeout.
 */
void server_init(struct server *s, const struct server_settings *settings, struct db *db,
    uint64_t seed, uint64_t now_ms, int64_t wall_ms);
void server_fini(struct server *s); /* after all connections were closed */

/* now_ms: monotonic; wall_ms: since 1970. */
void server_set_time(struct server *s, uint64_t now_ms, int64_t wall_ms);

/* Expire sessions and nodes; call when server_deadline_ms() has come. */
void server_tick(struct server *s);
uint64_t server_deadline_ms(const struct server *s);

/* A new connection; `ip` is the peer's address as text. False: no memory, nothing to be undone. */
bool server_conn_open(struct server *s, struct server_conn *c, struct buf *out, const char *ip);
/* The shell closes it (for whatever reason); requests on their way are carried out unanswered. */
void server_conn_close(struct server *s, struct server_conn *c);

/* Add an identity (x509: at the handshake). False: too many. */
bool server_conn_identify(struct server_conn *c, const char *scheme, const char *id);

struct server_frame {
	const uint8_t *bytes; /* behind the length */
	uint32_t size;
	uint32_t hash; /* the core's */
};

/*
 * Serve frames in order; at most SERVER_BATCH_MAX. Returns how many were taken: less than count if
 * the connection ended, must wait (then it will be dirty when it may go on), or the next frame is
 * an auth or SASL packet: the shell does the hashing and says server_auth() or server_sasl().
 */
size_t server_frames(
    struct server *s, struct server_conn *c, struct server_frame *frames, size_t count);
bool server_conn_blocked(const struct server *s, const struct server_conn *c);
bool server_frame_is_auth(const struct server_conn *c, const struct server_frame *f);

/* Count a packet that the shell answers itself: an auth packet, a four-letter word. */
void server_conn_received(struct server *s, struct server_conn *c, size_t bytes);
void server_conn_sent(struct server *s, struct server_conn *c);

/* Answer an auth packet: the identities were added by server_conn_identify(); !ok ends the
 * connection. */
void server_auth(struct server *s, struct server_conn *c, int32_t xid, bool ok);

/* The same for a SASL packet; token is the server's next, null when there is none. */
void server_sasl(
    struct server *s, struct server_conn *c, int32_t xid, bool ok, struct jute_bytes token);

/* The next record for the log; false when there is none. Bytes are borrowed until the next input.
 */
bool server_next_record(struct server *s, int64_t *zxid, const uint8_t **bytes, size_t *size);

/* All records up to zxid are on stable storage. */
void server_synced(struct server *s, int64_t zxid);
int64_t server_synced_zxid(const struct server *s);

/*
 * The next connection that wants the shell's attention, taken off the list; NULL when there is
 * none. Those with replies come before those with nothing but events, which may be very many at
 * once: server_only_tells() says that only such are left.
 */
struct server_conn *server_next_dirty(struct server *s);
bool server_only_tells(const struct server *s);
bool server_has_more(const struct server *s); /* some want attention, now or in a later turn */

/*
 * One that has asked for so much that the others come first: it goes on when the shell attends to
 * it, which should be once a turn and one at a time. NULL: none.
 */
struct server_conn *server_next_resting(struct server *s);

/* It was attended to without being asked for. */
void server_attended(struct server_conn *c);

/*
 * Quotas were exceeded since this was asked last, *count times: the last one in words, valid until
 * the next input; NULL: none was, or a minute has not passed since it was said.
 */
const char *server_quota_notice(struct server *s, uint64_t *count);

/* Enough was applied since the last snapshot; asking again says no until it is due again. */
bool server_snapshot_due(struct server *s);

/* Is it in a role in which it serves clients? */
static inline bool
server_serves(const struct server *s)
{
	return s->role == SERVER_STANDALONE || s->role >= SERVER_LEADER;
}

static inline bool
server_is_learner(const struct server *s)
{
	return s->role == SERVER_FOLLOWER || s->role == SERVER_OBSERVER;
}

/* The role, as srvr and mntr name it. */
const char *server_mode(const struct server *s);

/* Writes that are on their way. */
static inline size_t
server_outstanding(const struct server *s)
{
	return server_is_learner(s) ? s->forwarded_count : s->pending_count;
}

/*
 * Roles, for the peer of a member. After server_init() and server_join() it is idle. `up` is
 * borrowed.
 */
void server_join(struct server *s, const struct server_upstream *up);

/* A role ends, at once: all connections end without a further word, and what they waited for is
 * forgotten. Records stay pending. */
void server_idle(struct server *s);

/* Idle, and all that is pending is on stable storage: it is applied, and answers nobody. */
void server_fast_forward(struct server *s);

/* Idle or syncing, and db was loaded anew: nothing is pending. */
void server_reloaded(struct server *s);

/* Serving nobody: /zookeeper/config says this, of the version's zxid. False: no memory. */
bool server_show_config(struct server *s, const uint8_t *text, size_t size, int64_t version);

/* Idle, nothing pending: from now on it takes server_propose() and server_committed(). */
void server_sync_begin(struct server *s);

/* Brought up to date: it serves. Sessions do not expire here. */
void server_follow(struct server *s, bool observer);

/* Idle, nothing pending: clients that want no more may read what it has. server_idle() ends it. */
void server_read_only(struct server *s);

/*
 * Idle, nothing pending: it leads from epoch << 32 on, which is db's last zxid then. Every session
 * has its whole timeout from now. When s->zxids_end is set it takes no further writes, and must
 * become idle.
 */
void server_lead(struct server *s, int32_t epoch);

/*
 * A learner: a record from the leader. False, and nothing is changed: it is not the one that
 * follows the last, its bytes are none, or it has what server_finds_hidden_ttl().
 */
bool server_propose(struct server *s, int64_t zxid, const uint8_t *bytes, size_t size);

/*
 * Does the record make a TTL node where the setting is missing that makes it one? No start would
 * open what is on disk then. *path is which, borrowed.
 */
bool server_finds_hidden_ttl(
    const struct server *s, const uint8_t *bytes, size_t size, struct jute_bytes *path);

/* Everything up to zxid is committed: a quorum has it. */
void server_committed(struct server *s, int64_t zxid);

/* The zxid of the last record that was made or proposed here, applied or not. */
int64_t server_last_zxid(const struct server *s);

/*
 * The first pending record after zxid; false: there is none (yet). It need not be the next zxid, as
 * those before it may have been applied meanwhile. Bytes are borrowed until the next input. *at
 * (all zero at first) makes going on from the last answer fast.
 */
struct server_cursor {
	int64_t zxid;
	uint64_t end; /* in bytes of pending since the start */
};
bool server_pending_after(const struct server *s, int64_t zxid, struct server_cursor *at,
    int64_t *next, const uint8_t **bytes, size_t *size);
/* The zxid alone; -1: there is none. */
int64_t server_pending_next(const struct server *s, int64_t zxid, struct server_cursor *at);

/*
 * A leader, for its learners; `owner` is the learner's server id. A request is made a txn, or an
 * error txn, always; a session that comes (back) there belongs to it from now on; a session showed
 * itself there. False: there is no such session (any more). A session's yes is sent to the learner
 * behind the commit of all that was proposed before: then nothing that an earlier connection has
 * asked for is taken for a request of the new one, whose client may count from one again.
 */
void server_remote_request(struct server *s, int64_t owner, int64_t session, int32_t cxid,
    int32_t type, struct jute_reader body, const struct acl_ids *who);
bool server_remote_revalidate(struct server *s, int64_t owner, int64_t session, int32_t timeout_ms);
bool server_remote_touch(struct server *s, int64_t session, int32_t timeout_ms);

/*
 * A follower that takes observers. The leader is asked whether a session may be served by that
 * owner from now on; and: may what it asks for that session go to the leader, who cannot tell
 * its clients from ours? Not if the session has moved on since: behind the question the leader
 * takes whatever comes from here for the session's, though it may have moved on elsewhere, too.
 */
void server_passed_on(struct server *s, int64_t owner, int64_t session, int32_t timeout_ms);
bool server_passes(struct server *s, int64_t owner, int64_t session, int32_t type);

/* A learner: the leader's answer to upstream->revalidate(). */
void server_revalidated(struct server *s, int64_t session, bool valid);

/*
 * The oldest parked sync is answered as soon as what is committed now (learner), or was proposed
 * before it (leader), is applied.
 */
void server_sync_done(struct server *s);

/* A learner: append {i64 session, i32 timeout} for each that showed itself since the last time. */
void server_take_touched(struct server *s, struct buf *to);

#endif
