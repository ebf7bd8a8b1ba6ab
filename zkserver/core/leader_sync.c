/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a learner is brought to the leader's history and kept there: the choice between DIFF, TRUNC
 * and SNAP, and a cursor that goes through the log, the history in memory and what is pending. What
 * a learner may make us hold is what is under way in its link.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/leader_priv.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/qpacket.h"
#include "zkserver/core/snapshot.h"

/* Who is brought up to date gets so much less in a turn: the clients wait meanwhile. */
#define CATCHING_UP_PARTS 4

/* No transaction has it: a leader's first state in its epoch. */
static bool
is_epoch_start(int64_t zxid)
{
	return (uint32_t)zxid == 0;
}

static bool
is_pending(const struct zab *z, int64_t zxid)
{
	struct server_cursor at = {0};
	const uint8_t *bytes;
	int64_t next;
	size_t size;

	return zxid > 0 && server_pending_after(z->server, zxid - 1, &at, &next, &bytes, &size) &&
	       next == zxid;
}

static int
add_size(struct store *s, const char *name, uint64_t *sum)
{
	struct store_file *file;
	uint64_t size = 0;
	int err = store_open(s, name, STORE_OPEN_READ, &file);

	if (err != 0)
		return err;
	err = store_size(file, &size);
	store_close(file);
	*sum += size;
	return err;
}

static bool
newest_snapshot_bytes(const struct zab *z, uint64_t *size)
{
	char name[DATADIR_NAME_BYTES];
	struct datadir_list list;
	struct fault f = {0};
	bool known;

	*size = 0;
	if (datadir_list(z->snapshots, "snapshot", &list, &f) != 0)
		return false;
	known = list.count > 0;
	if (known) {
		snapshot_name(name, list.entries[list.count - 1]);
		known = add_size(z->snapshots, name, size) == 0;
	}
	datadir_list_free(&list);
	return known;
}

/* The sizes of the log's files that hold what lies behind zxid. */
static bool
log_bytes(const struct zab *z, int64_t zxid, uint64_t *size)
{
	struct datadir_list list;
	struct fault f = {0};
	bool known = true;
	size_t i = 0;

	*size = 0;
	if (datadir_list(z->logs, "log", &list, &f) != 0)
		return false;
	while (i + 1 < list.count && list.entries[i + 1].zxid <= (uint64_t)zxid)
		i++;
	for (; known && i < list.count; i++) {
		char name[DATADIR_NAME_BYTES];

		datadir_name(name, "log", list.entries[i].zxid);
		known = add_size(z->logs, name, size) == 0;
	}
	datadir_list_free(&list);
	return known;
}

static bool
log_has(const struct zab *z, int64_t zxid)
{
	struct txnlog_record record;
	struct txnlog_reader r;
	struct fault f = {0};
	bool found;

	found = txnlog_reader_open(&r, z->logs, (uint64_t)zxid - 1, &f) == 0 &&
		txnlog_reader_next(&r, &record, &f) == 1 && record.zxid == (uint64_t)zxid;
	txnlog_reader_close(&r);
	return found;
}

/* Is the log a shorter way than a snapshot, and does it begin where the learner is? */
static bool
log_serves(const struct zab *z, int64_t zxid)
{
	int32_t percent = z->settings.log_sync_percent;
	uint64_t snapshot, log;

	return percent >= 0 && !z->log_unreadable && zxid > 0 && !is_epoch_start(zxid) &&
	       newest_snapshot_bytes(z, &snapshot) && log_bytes(z, zxid, &log) &&
	       log <= snapshot / 100 * (uint64_t)percent && log_has(z, zxid);
}

/*
 * As ZooKeeper's servers decide, with two differences. What was applied here since the start is
 * known even if it is the snapshot's zxid alone; and a learner that is ahead by what this leader
 * itself proposed to it keeps that: cut, or replaced by a snapshot that lacks it, it would be lost
 * if it was committed by then.
 */
enum leader_choice
leader_sync_decide(const struct zab *z, int64_t zxid, int64_t *cut_to)
{
	const struct history *h = &z->history;
	int64_t last = history_last(h);

	if (is_pending(z, zxid))
		return LEADER_DIFF;
	if (z->settings.force_snapshot_sync)
		return LEADER_SNAP;
	if (zxid == z->db->last_zxid || history_knows(h, zxid))
		return LEADER_DIFF;
	if (ZAB_PLANTED(PLANT_ALWAYS_DIFF) && zxid > h->base)
		return LEADER_DIFF;
	if (is_epoch_start(zxid))
		MARK("sync: a learner stands at an epoch's beginning");
	if (zxid > last) {
		MARK("sync: a learner is ahead of its leader");
		*cut_to = last;
		return is_epoch_start(zxid) || is_epoch_start(last) ? LEADER_SNAP : LEADER_TRUNC;
	}
	if (zxid > h->base)
		return is_epoch_start(zxid) ? LEADER_DIFF : LEADER_SNAP;
	return log_serves(z, zxid) ? LEADER_DIFF_FROM_LOG : LEADER_SNAP;
}

void
leader_sync_choose(struct leader *l, struct peer_link *link)
{
	struct zab *z = l->z;
	int64_t from = link->last_zxid;
	enum leader_choice choice = leader_sync_decide(z, link->last_zxid, &from);

	if (l->phase == LEADER_RELAYS && !leader_relay_serves(l, link))
		return;
	link->stage = LEARNER_CATCHING_UP;
	link->heard_ms = z->now_ms;
	zab_link_touch(z, link);
	if (choice == LEADER_DIFF_FROM_LOG)
		MARK("sync: DIFF from the log's files");
	switch (choice) {
	case LEADER_DIFF_FROM_LOG:
	case LEADER_DIFF:
		from = link->last_zxid;
		qpacket_put(link->out, QPACKET_DIFF,
		    from == z->db->last_zxid ? from : zab_last_zxid(z), NULL, 0);
		break;
	case LEADER_TRUNC:
		MARK("sync: TRUNC");
		qpacket_put(link->out, QPACKET_TRUNC, from, NULL, 0);
		zab_say(z, "server %lld is ahead of this one, which leads: cut at zxid 0x%llx",
		    (long long)link->sid, (unsigned long long)from);
		break;
	case LEADER_SNAP:
		MARK("sync: SNAP");
		link->stage = LEARNER_SNAPSHOT;
		link->wants_snapshot = true;
		zk_metrics_count(&z->server->metrics, ZK_COUNTER_SNAP_COUNT, 1);
		return;
	}
	zk_metrics_count(&z->server->metrics, ZK_COUNTER_DIFF_COUNT, 1);
	link->sent = link->committed = link->acked = from;
}

void
leader_snapshot_begin(struct leader *l, struct peer_link *link)
{
	int64_t zxid = l->z->db->last_zxid;

	link->wants_snapshot = false;
	link->snapshot_under_way = true;
	link->heard_ms = l->z->now_ms; /* it may have waited long for its turn */
	link->sent = link->committed = link->acked = zxid;
	qpacket_put(link->out, QPACKET_SNAP, zxid, NULL, 0);
	zab_say(l->z, "server %lld gets a snapshot of zxid 0x%llx", (long long)link->sid,
	    (unsigned long long)zxid);
}

void
leader_snapshot_sent(struct leader *l, struct peer_link *link)
{
	link->snapshot_under_way = false;
	link->heard_ms = l->z->now_ms;
	if (link->stage == LEARNER_SNAPSHOT)
		link->stage = LEARNER_CATCHING_UP;
}

static void
drop_reader(struct peer_link *link)
{
	if (link->reader != NULL)
		txnlog_reader_close(link->reader);
	free(link->reader);
	link->reader = NULL;
}

void
leader_sync_drop(struct peer_link *link)
{
	drop_reader(link);
	buf_fini(&link->syncs);
	link->wants_snapshot = false;
}

/* What comes next for a learner. */
struct next {
	int64_t zxid;
	const uint8_t *bytes;
	size_t size;
};

/* From the log's files. 1, 0: they end, or a negative errno with *f. */
static int
next_in_log(struct leader *l, struct peer_link *link, struct next *n, struct fault *f)
{
	struct txnlog_record record;
	int got;

	if (link->reader == NULL) {
		if ((link->reader = calloc(1, sizeof *link->reader)) == NULL)
			return fault_set(f, -ENOMEM, "no memory to read the log");
		got = txnlog_reader_open(link->reader, l->z->logs, (uint64_t)link->sent, f);
		if (got != 0)
			return got;
	}
	got = txnlog_reader_next(link->reader, &record, f);
	if (got == 1)
		*n = (struct next){(int64_t)record.zxid, record.txn, record.size};
	return got;
}

/* What the history in memory lacks. A reader knows the files that were there when it was opened. */
static bool
fetch_from_log(struct leader *l, struct peer_link *link, struct next *n)
{
	struct fault f = {0};
	int got = next_in_log(l, link, n, &f);

	if (got == 0) {
		MARK("sync: the log has a newer file");
		drop_reader(link);
		got = next_in_log(l, link, n, &f);
	}
	if (got == 1)
		return true;
	MARK("sync: the log cannot be sent");
	l->z->log_unreadable = !ZAB_PLANTED(PLANT_SENDS_DAMAGE);
	zab_link_end(l->z, link, "server %lld cannot be sent the log behind zxid 0x%llx: %s",
	    (long long)link->sid, (unsigned long long)link->sent,
	    got == 0 ? "it ends there" : f.text);
	return false;
}

static bool
fetch(struct leader *l, struct peer_link *link, struct next *n)
{
	const struct history *h = &l->z->history;

	if (link->sent < h->base)
		return fetch_from_log(l, link, n);
	drop_reader(link);
	return history_after(h, link->sent, &n->zxid, &n->bytes, &n->size) ||
	       server_pending_after(
		   l->z->server, link->sent, &link->cursor, &n->zxid, &n->bytes, &n->size);
}

/*
 * How far it may be told of commits. What was asked for after a sync is committed to the learner
 * after the sync's answer: Apache's learners expect the answers to all they sent in its order.
 */
static int64_t
may_commit(const struct leader *l, const struct peer_link *link)
{
	struct leader_sync s;

	if (link->syncs.len == 0)
		return l->committed;
	memcpy(&s, link->syncs.data, sizeof s);
	return s.zxid < l->committed ? s.zxid : l->committed;
}

static void
put_commit(const struct leader *l, struct peer_link *link)
{
	int64_t leader, zxid = ++link->committed;
	struct buf data;

	if (!leader_reconfig_at(l, zxid, &leader)) {
		qpacket_put(link->out, QPACKET_COMMIT, zxid, NULL, 0);
		return;
	}
	buf_init(&data, sizeof leader);
	jute_put_i64(&data, leader);
	qpacket_put(link->out, QPACKET_COMMIT_AND_ACTIVATE, zxid, data.data, data.len);
	link->out->failed |= data.failed;
	buf_fini(&data);
}

/* An observer gets the transaction with it. */
static void
put_inform(const struct leader *l, struct peer_link *link, const struct next *n)
{
	struct buf data;
	int64_t leader;

	if (!leader_reconfig_at(l, n->zxid, &leader)) {
		qpacket_put(link->out, QPACKET_INFORM, n->zxid, n->bytes, n->size);
		return;
	}
	buf_init(&data, sizeof leader + n->size);
	jute_put_i64(&data, leader);
	buf_append(&data, n->bytes, n->size);
	qpacket_put(link->out, QPACKET_INFORM_AND_ACTIVATE, n->zxid, data.data, data.len);
	link->out->failed |= data.failed;
	buf_fini(&data);
}

/* COMMIT for what is committed and was proposed, one by one; all of it is of this epoch. */
static void
put_commits(const struct leader *l, struct peer_link *link)
{
	int64_t first = (int64_t)l->epoch << 32, may = may_commit(l, link);
	int64_t to = link->sent < may ? link->sent : may;

	if (link->committed < first && to > first)
		link->committed = first;
	while (link->committed >= first && link->committed < to)
		put_commit(l, link);
}

/*
 * What the learner takes for in force with UPTODATE. A reconfig that waits for its commit is none
 * of that, though Apache's leaders say so: it comes as a proposal behind NEWLEADER, unless the
 * learner has it already.
 */
static const struct members *
members_for(const struct leader *l, const struct peer_link *link)
{
	const struct zab *z = l->z;

	if (l->phase == LEADER_RELAYS ||
	    (l->phase == LEADER_ACTIVE && z->seen != NULL && link->sent < z->seen->version))
		return z->members;
	return zab_newest(z);
}

/* Everything committed was sent: the learner may show that it has it. */
static void
ask(struct leader *l, struct peer_link *link)
{
	struct buf text;

	buf_init(&text, MEMBERS_TEXT_BYTES_MAX);
	/* An observer hears of what is only proposed here when it is in force. */
	members_print(members_for(l, link), &text);
	qpacket_put(link->out, QPACKET_NEWLEADER, (int64_t)l->epoch << 32, text.data, text.len);
	if (text.failed)
		link->out->failed = true;
	buf_fini(&text);
	link->asked_zxid = link->sent;
	link->stage = LEARNER_ASKED;
}

static void
put_next(const struct leader *l, struct peer_link *link, const struct next *n)
{
	bool inform = link->observer && link->stage != LEARNER_CATCHING_UP;

	if (inform)
		put_inform(l, link, n);
	else
		qpacket_put(link->out, QPACKET_PROPOSAL, n->zxid, n->bytes, n->size);
	link->sent = n->zxid;
	if (inform)
		link->committed = n->zxid;
	else if (link->stage == LEARNER_CATCHING_UP) {
		qpacket_put(link->out, QPACKET_COMMIT, n->zxid, NULL, 0);
		link->committed = n->zxid;
	} else if (link->waits_since_ms == 0)
		leader_await(l, link);
}

void
leader_sync_pump(struct leader *l, struct peer_link *link)
{
	size_t before = link->out->len, soft = l->z->settings.out_soft_bytes;
	struct next n;

	link->more = false;
	if (link->stage < LEARNER_CATCHING_UP)
		return;
	if (link->stage == LEARNER_CATCHING_UP)
		soft /= CATCHING_UP_PARTS;
	if (!link->observer && link->stage > LEARNER_CATCHING_UP)
		put_commits(l, link);
	while (link->out->len < soft && link->end == PEER_LINK_OPEN) {
		bool there = fetch(l, link, &n);

		if (link->end != PEER_LINK_OPEN)
			return;
		if (link->stage == LEARNER_CATCHING_UP &&
		    (!there || n.zxid > l->committed || ZAB_PLANTED(PLANT_ASK_FIRST))) {
			ask(l, link);
			continue;
		}
		if (!there || (link->observer && n.zxid > may_commit(l, link)))
			break;
		put_next(l, link, &n);
	}
	link->more = link->out->len >= soft;
	if (!link->observer && link->stage > LEARNER_CATCHING_UP)
		put_commits(l, link);
	if (link->out->len != before)
		zab_link_touch(l->z, link);
}
