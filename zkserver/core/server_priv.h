/* SPDX-License-Identifier: Apache-2.0 */
/* What the server's files share: replies, events, reads. */
#ifndef CORRAL_ZKSERVER_CORE_SERVER_PRIV_H
#define CORRAL_ZKSERVER_CORE_SERVER_PRIV_H

#include <stddef.h>
#include <string.h>

#include "zkserver/core/server.h"

#define REPLY_HEADER_BYTES 20 /* length, xid, zxid, error */

/* In front of each txn in server->pending. */
struct server_record {
	struct server_conn *conn; /* who waits for it; NULL: nobody (any more), or it is a learner's
				   */
	int64_t zxid;
	size_t size;
	bool is_known; /* as in struct prep */
	struct apply_known known;
};

/*
 * Field by field, of which none was written to memory just before: a copy of several that were has
 * to wait until all that was written before is in the cache, the txn before it as well.
 */
static inline void
server_record_put(uint8_t *to, struct server_conn *conn, int64_t zxid, size_t size,
    const struct apply_known *known)
{
	const bool is_known = known != NULL;

	memcpy(to + offsetof(struct server_record, conn), &conn, sizeof conn);
	memcpy(to + offsetof(struct server_record, zxid), &zxid, sizeof zxid);
	memcpy(to + offsetof(struct server_record, size), &size, sizeof size);
	memcpy(to + offsetof(struct server_record, is_known), &is_known, sizeof is_known);
	if (is_known)
		memcpy(to + offsetof(struct server_record, known), known, sizeof *known);
}

#define REQUEST_HEADER_BYTES 8 /* xid, type */

enum queued_kind {
	QUEUED_READ,
	QUEUED_SYNC,
	QUEUED_HERE,  /* answered without a txn: a refusal, or the end of a local session */
	QUEUED_HELD,  /* a write behind a member's sync: on its way when that is done */
	QUEUED_WRITE, /* on its way */
};

/* In front of each request in server_conn->queue; of a write on its way they are rarely kept. */
struct queued {
	int32_t xid, op;
	uint64_t since_ms;
	uint32_t size;
	uint32_t forwarded; /* bytes that the leader was sent of it */
	enum queued_kind kind;
	int32_t error; /* of QUEUED_HERE */
};

/* No more writes now: too many are on their way. */
bool server_is_full(const struct server *s);
void server_enqueue(
    struct server *s, struct server_conn *c, const struct queued *q, const uint8_t *bytes);

/* The writes that were held go on their way. */
void server_send_held(struct server *s, struct server_conn *c);

/* Answer now what is no write. hash: of its path. */
void server_serve(struct server *s, struct server_conn *c, const struct queued *q,
    struct jute_reader body, uint32_t hash);

/* Serve what stands at the head of the queue, up to what has to wait. */
void server_serve_queue(struct server *s, struct server_conn *c);

/* The pending txns that the connection, or (NULL) any, waits for will be answered to nobody. */
void server_forget_records(struct server *s, const struct server_conn *c);

/* The same for what stands in its queue. */
void server_forget_queue(struct server *s, struct server_conn *c);

/* Apply what may be applied, and answer. */
void server_progress(struct server *s);

/* A learner: a write, a new session, a session that comes back. */
void learner_forward(struct server *s, struct server_conn *c, struct queued *q,
    struct jute_reader body, const struct acl_ids *who);
void learner_create(
    struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body);
void learner_revalidate(struct server *s, struct server_conn *c);

/* Who of the connections here waits for this txn? */
struct server_conn *learner_find(struct server *s, const struct txn_header *h);

/* What the client asked for is audited with the txn that was made of it. False: no memory. */
bool learner_audit(struct server *s, const struct server_conn *c, const struct txn_header *h);

/* It was answered. */
void learner_answered(struct server *s, struct server_conn *c, const struct queued *q);

/* A learner's or a leader's sync waits in the queue. */
void sync_park(struct server *s, struct server_conn *c);

/* So many answers of the leader's, or confirmations of it, are awaited that nobody may ask. */
bool questions_are_full(const struct server *s);

/* Answer what waited for records that are applied by now. */
void learner_progress(struct server *s);
void learner_forget(struct server *s, struct server_conn *c);
void learner_reset(struct server *s);

/* Local sessions. Is a new one to be one, does the connection have one now, is this one? */
bool local_is_wanted(const struct server *s);
bool local_create(struct server *s, struct server_conn *c);
struct session *local_find(const struct server *s, int64_t id);
void local_expire(struct server *s);

/* It has shown itself; false if it is closing. What the leader is to hear of that (a learner). */
bool local_touch(struct server *s, struct session *session, int32_t timeout_ms);
void local_take_touched(struct server *s, struct buf *to);

/* Its createSession was applied. */
void local_upgraded(struct server *s, int64_t id);

/* A request of a local session, or to a read-only server: is it answered here (q says how)? */
bool local_takes(
    struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body);
void local_answer(struct server *s, struct server_conn *c, const struct queued *q);

/* Have the shell look at the connection. */
void server_mark_dirty(struct server *s, struct server_conn *c);
void server_end_conn(struct server *s, struct server_conn *c, enum server_end how);
/* The same for a fault of the peer's; `why` is for a log, a constant. */
void server_refuse_conn(
    struct server *s, struct server_conn *c, enum server_end how, const char *why);

/*
 * A reply: begin, append the record to c->out, end. With an error the record is dropped. What its
 * watches have to tell goes out before it.
 */
size_t reply_begin(struct server *s, struct server_conn *c);
void reply_end(
    struct server *s, struct server_conn *c, size_t at, int32_t xid, int64_t zxid, int32_t error);
/* One whose record stands ready. */
void reply_send(struct server *s, struct server_conn *c, int32_t xid, int64_t zxid, int32_t error,
    const struct buf *record);

/* Tell a watcher of an event (reply_send's counterpart). */
void event_send(struct server *s, struct server_conn *c, int64_t zxid, enum watch_event event,
    struct jute_bytes path);

void watches_init(struct server *s);

/* db_apply()'s listener: fires the watches. arg is the struct server. */
void watches_changed(void *arg, enum watch_event event, struct jute_bytes path, uint32_t acl);

/* Serve a read (or a ping, a sync, an unknown operation) now. hash: of its path, if it leads the
 * record. */
void read_serve(struct server *s, struct server_conn *c, int32_t xid, int32_t op,
    struct jute_reader body, uint32_t hash);

/* A request that is being answered; its record goes to c->out. */
struct reading {
	struct server *s;
	struct server_conn *c;
	struct jute_reader r;
	uint32_t hash;	/* of the path that leads the record */
	bool watchless; /* part of a multiRead, which sets no watches */
};

/* Append the record of the answer, or return an error. */
typedef int read_fn(struct reading *q);

read_fn read_add_watch, read_check_watches, read_remove_watches;

/* setWatches and setWatches2. Its events go out before its reply, which must not be begun yet. */
int read_set_watches(struct reading *q, bool persistent);

/* The path that leads the record of most operations; len -1 if this has none. */
struct jute_bytes frame_path(const struct server_frame *f);

/* Has the connection shown an identity of a scheme that every request needs? If not it is told so
 * and ends. */
bool auth_is_enough(struct server *s, struct server_conn *c, const struct server_frame *f);

/* Sessions: the connect request, its answer, the end. */
void connect_request(struct server *s, struct server_conn *c, const struct server_frame *f);
void connect_answer(struct server *s, struct server_conn *c, bool valid);
/* The session is the connection's; whoever held it here loses it. */
void connect_take(struct server *s, struct server_conn *c, struct session *session);

/* Container and TTL nodes that are no longer wanted: look for them when reap_at_ms has come. */
void reap_init(struct server *s);
uint64_t reap_at_ms(const struct server *s);
void reap(struct server *s);

/* A leader: the session is served by that learner, or here. */
void server_own(struct server *s, int64_t session, int64_t owner);

/* Make a txn; c NULL: nobody waits for it, otherwise the caller puts it into c's queue. */
void server_submit(struct server *s, struct server_conn *c, const struct prep_request *q);

#endif
