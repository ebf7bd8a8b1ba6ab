/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer and what comes over one link: the first byte says who it is (enum who), and whether its
 * members may change; the second how large the pieces are. Whatever comes costs the link at most:
 * memory and disk agree afterwards, and nobody says that the process must end.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/peer_feed.h"
#include "tests/lib/simdisk.h"
#include "zkserver/core/peer.h"
#include "zkserver/core/qpacket.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"

enum who {
	FOLLOWER, /* its leader's bytes come, as to an */
	LEADER,	  /* a learner's */
	OBSERVER,
	MASTER, /* an observer's, to a follower; its leader answers what it is asked */
	WHO_COUNT,
	RECONFIG = 4,
};

static const struct hash_key KEY = {1, 2};
static const struct server_settings SERVER = {.tick_ms = 2000,
    .min_timeout_ms = 4000,
    .max_timeout_ms = 40000,
    .frame_bytes_max = 1 << 16,
    .snap_count = 1000000,
    .outstanding_max = 1000,
    .sid = 1};

struct world {
	struct simdisk *disk;
	struct store *store;
	struct db db;
	struct server server;
	struct peer peer;
	struct txnlog log;
	struct txnlog_batch batch;
	struct members members;
	struct peer_link link, leader;
	struct buf out, to_leader;
	enum who who;
	bool open, dead;
};

static void
on_notify(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	(void)arg;
	(void)sid;
	(void)bytes;
	(void)size;
}

static void
on_dial(void *arg, int64_t sid)
{
	(void)arg;
	(void)sid;
}

static void
on_release(void *arg)
{
	struct world *w = arg;

	txnlog_fini(&w->log);
}

static void
on_reopen(void *arg)
{
	struct world *w = arg;

	txnlog_init(&w->log, w->store, 0);
}

static void
on_say(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
on_fatal(void *arg, const char *why)
{
	struct world *w = arg;

	/* Only what the disk refuses may end a process, and this one refuses nothing. */
	w->dead = true;
	fprintf(stderr, "%s\n", why);
	assert(why == NULL);
}

static const struct peer_ops OPS = {
    .notify = on_notify,
    .dial = on_dial,
    .log_release = on_release,
    .log_reopen = on_reopen,
    .say = on_say,
    .fatal = on_fatal,
};

static void
turn(struct world *w)
{
	const uint8_t *bytes;
	struct fault f = {0};
	int64_t zxid, last = 0;
	size_t size;

	peer_turn(&w->peer);
	while (w->log.store != NULL && server_next_record(&w->server, &zxid, &bytes, &size)) {
		assert(txnlog_append(&w->log, &w->batch, bytes, size) == 0);
		last = zxid;
	}
	if (w->batch.count > 0) {
		txnlog_seal(&w->log, &w->batch);
		assert(txnlog_write(&w->log, &w->batch, &f) == 0);
		txnlog_batch_clear(&w->log, &w->batch);
		peer_synced(&w->peer, last);
		peer_turn(&w->peer);
	}
	while (peer_next_dirty(&w->peer) != NULL)
		continue;
	if (w->open && w->link.wants_snapshot && w->link.end == PEER_LINK_OPEN) {
		peer_link_snapshot_begin(&w->peer, &w->link);
		peer_link_snapshot_sent(&w->peer, &w->link);
	}
	if (w->open && w->link.end != PEER_LINK_OPEN) {
		peer_link_closed(&w->peer, &w->link);
		w->open = false;
	}
	buf_clear(&w->out);
}

static void
put_members(struct members *m, enum who who)
{
	struct fault f = {0};

	members_init(m);
	assert(members_put(m, "server.1", who == OBSERVER ? "a:1:2:observer" : "a:1:2", &f) == 0);
	assert(members_put(m, "server.2", who == LEADER ? "b:1:2:observer" : "b:1:2", &f) == 0);
	assert(members_finish(m, &f) == 0);
}

static void
hear_leader(struct world *w, int32_t type, int64_t zxid, const void *data, size_t size)
{
	struct buf b;

	buf_init(&b, 4096);
	qpacket_put(&b, type, zxid, data, size);
	(void)peer_feed(&w->peer, &w->leader, b.data, b.len);
	buf_fini(&b);
	turn(w);
}

/* Up to where it serves, and takes observers. */
static void
follow(struct world *w)
{
	static const int64_t mark = INT64_C(1) << 32;

	peer_link_dialled(&w->peer, &w->leader, &w->to_leader, 2);
	hear_leader(w, QPACKET_LEADERINFO, mark, "\0\1\0\0", 4);
	hear_leader(w, QPACKET_DIFF, 0, NULL, 0);
	hear_leader(w, QPACKET_NEWLEADER, mark, NULL, 0);
	hear_leader(w, QPACKET_UPTODATE, -1, NULL, 0);
	assert(peer_takes_observers(&w->peer));
	peer_observer_accepted(&w->peer, &w->link, &w->out);
}

/* The leader answers a sync, and what was asked of a session. */
static void
answer(struct world *w)
{
	struct learner_question q;
	struct buf b;

	if (w->peer.learner.syncs.len > 0)
		hear_leader(w, QPACKET_SYNC, 0, NULL, 0);
	if (w->peer.learner.revalidations.len == 0)
		return;
	memcpy(&q, w->peer.learner.revalidations.data, sizeof q);
	buf_init(&b, 4096);
	qpacket_put_revalidated(&b, q.session, (q.session & 1) != 0);
	(void)peer_feed(&w->peer, &w->leader, b.data, b.len);
	buf_fini(&b);
	turn(w);
}

static void
begin(struct world *w, enum who who, bool reconfig)
{
	struct peer_config config = {.settings = {.sid = 1,
					 .reconfig = reconfig,
					 .observer_masters = who == MASTER,
					 .tick_ms = 2000,
					 .init_limit = 10,
					 .sync_limit = 5,
					 .packet_bytes_max = 1 << 16,
					 .out_soft_bytes = 1 << 14,
					 .out_bytes_max = 1 << 24,
					 .links_max = 4,
					 .hold_ms = 5000,
					 .log_sync_percent = 33,
					 .history_count = 10,
					 .history_bytes = 1 << 16},
	    .election = {.sid = 1,
		.notify_min_ms = 200,
		.notify_max_ms = 60000,
		.finalize_ms = 200},
	    .members = &w->members,
	    .ops = &OPS,
	    .arg = w};
	struct recover_report report;
	struct fault note = {0}, f = {0};

	w->who = who;
	put_members(&w->members, who);
	w->disk = simdisk_new(1, UINT64_MAX);
	w->store = simdisk_store(w->disk);
	config.snapshots = config.logs = w->store;
	assert(db_init(&w->db, &KEY, 2000));
	assert(peer_init(&w->peer, &config, &w->db, &report, &note, &f) == 0);
	server_init(&w->server, &SERVER, &w->db, 1, 1000, 1000);
	txnlog_init(&w->log, w->store, 0);
	txnlog_batch_init(&w->batch);
	buf_init(&w->out, 1 << 24);
	buf_init(&w->to_leader, 1 << 24);
	peer_start(&w->peer, &w->server, 1000);
	if (who != LEADER) {
		w->peer.phase = who == OBSERVER ? PEER_OBSERVES : PEER_FOLLOWS;
		w->peer.voted = true; /* there was no election */
		learner_start(&w->peer.learner, 2, who == OBSERVER);
	}
	if (who == MASTER)
		follow(w);
	else if (who != LEADER)
		peer_link_dialled(&w->peer, &w->link, &w->out, 2);
	peer_turn(&w->peer);
	if (who == LEADER)
		peer_link_accepted(&w->peer, &w->link, &w->out);
	w->open = true;
	turn(w);
}

/* What is on the disk is what is in memory. */
static void
compare(struct world *w)
{
	struct recover_options options = {.read_only = true, .leader_has_more = true};
	struct recover_report report;
	struct fault f = {0};
	struct db db;

	while (w->server.role != SERVER_LEADER && w->server.pending_count > 0)
		turn(w);
	history_check(&w->peer.zab.history);
	tree_check(&w->db.tree);
	/* No leader makes an ephemeral node of a session that does not exist; these bytes may. */
	assert(db_finish_load(&w->db));
	assert(db_init(&db, &KEY, 2000));
	assert(recover(w->store, w->store, &options, &db, &report, &f) == 0);
	assert(db.tree.digest == w->db.tree.digest);
	db_fini(&db);
}

static void
end(struct world *w)
{
	if (w->open)
		peer_link_closed(&w->peer, &w->link);
	w->open = false;
	if (w->who == MASTER)
		peer_link_closed(&w->peer, &w->leader);
	turn(w);
	compare(w);
	peer_fini(&w->peer);
	server_fini(&w->server);
	db_fini(&w->db);
	if (w->log.store != NULL)
		txnlog_fini(&w->log);
	txnlog_batch_fini(&w->batch);
	buf_fini(&w->out);
	buf_fini(&w->to_leader);
	simdisk_free(w->disk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct world w;
	size_t piece;

	if (size < 2)
		return 0;
	w = (struct world){0};
	begin(&w, bytes[0] % WHO_COUNT, (bytes[0] & RECONFIG) != 0);
	piece = bytes[1] == 0 ? 65536 : bytes[1];
	for (size_t at = 2, took = 1; at < size && took > 0 && w.open; at += took) {
		took =
		    peer_feed(&w.peer, &w.link, bytes + at, size - at < piece ? size - at : piece);
		turn(&w);
		if (w.who == MASTER)
			answer(&w);
	}
	end(&w);
	return 0;
}
