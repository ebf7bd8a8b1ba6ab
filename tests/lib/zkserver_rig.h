/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core of zkserver with clients in front and a log in memory behind, driven as its shell does
 * it: frames in, records to the log, replies out. One server a test: rig_setup() and rig_teardown()
 * are the fixture.
 */
#ifndef CORRAL_TESTS_ZKSERVER_RIG_H
#define CORRAL_TESTS_ZKSERVER_RIG_H

#include "zkserver/core/server.h"

#define TICK_MS 1000
#define CLIENTS 4
#define WALL_MS INT64_C(1700000000000) /* the wall clock at the start */
#define REAP_ROUND_MS 10000

/* ACL lists as they lie in a create request; the last byte is a string's end and not part of it. */
extern const uint8_t WORLD_ALL[28], AUTH_ALL[21];

struct client {
	struct server_conn conn;
	struct buf out;
	size_t at; /* of `out`: what was looked at */
};

/* A reply or an event, its record in `r`. */
struct reply {
	int32_t xid, error;
	int64_t zxid;
	struct jute_reader r;
	uint32_t size;
};

struct stat {
	int64_t czxid, mzxid, ctime, mtime;
	int32_t version, cversion, aversion;
	int64_t owner;
	int32_t data_len, children;
	int64_t pzxid;
};

extern struct db db;
extern struct server server;
extern struct client clients[CLIENTS];
extern struct buf request; /* the frame that is being written */
extern struct buf logged;  /* every record so far, each behind its length */

void rig_setup(void);
void rig_setup_at(int64_t wall_ms); /* with another wall clock than WALL_MS */
void rig_teardown(void);

/* With extended types, and a round of reaping every REAP_ROUND_MS. */
void rig_setup_reaping(int64_t wall_ms);

/* A connection without a session, and one with. join() returns the session's id. */
void open_client(struct client *c);
int64_t join(struct client *c);
void close_client(struct client *c);

void send_connect(struct client *c, int64_t seen, int32_t timeout, int64_t session,
    const uint8_t *password, bool read_only);

/* The answer to a connect request; the session id, 0 if it was refused. */
int64_t connect_reply(
    struct client *c, int32_t *timeout, uint8_t password[SESSION_PASSWORD_BYTES], int32_t *size);

/* Take what is to be logged; nothing is durable before sync_log(). */
void take_records(void);
void sync_log(void);

/* Both clocks go on, and the server is told. */
void pass_time(uint64_t ms);

/* The same in the steps of a timer, and this client keeps its session alive. */
void live_on(struct client *c, uint64_t ms);

/* Somebody sets the wall clock. */
void set_wall(int64_t wall_ms);

/* Begin the next request; what follows is put into `request`. */
void header(int32_t xid, int32_t op);
void put_create(
    const char *path, const char *data, const uint8_t *acl, size_t acl_size, int32_t flags);

/* Of a multi: what a part takes is put behind put_part(); behind the last one stands their end. */
void put_part(int32_t op);
void put_parts_end(void);

/* Hand in one frame, what `request` holds. Returns how many were taken: 0 if it has to wait. */
size_t send_request(struct client *c);

bool has_reply(const struct client *c);
struct reply next_reply(struct client *c);

/* A whole request, durable and answered. */
struct reply do_create(struct client *c, const char *path, int32_t flags);
struct reply do_create_acl(
    struct client *c, const char *path, const uint8_t *acl, size_t acl_size, int32_t flags);
/* By this operation; only a create with a TTL takes the last. */
struct reply do_create_op(
    struct client *c, int32_t op, const char *path, int32_t flags, int64_t ttl_ms);
struct reply do_multi(struct client *c); /* `request` has all but the end of its parts */
struct reply do_version(struct client *c, int32_t op, const char *path, int32_t version);
struct reply do_read(struct client *c, int32_t op, const char *path, bool watch);
struct stat stat_of(struct client *c, const char *path);
bool exists(struct client *c, const char *path);

/* What a reply holds next. */
struct stat get_stat(struct jute_reader *r);
void expect_text(struct jute_reader *r, const char *text);
void expect_event(struct client *c, enum watch_event event, const char *path);

#endif
