/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How what a learner has becomes what its leader has, before what follows is proposed to it: by
 * nothing (DIFF), by a cut (TRUNC), by a snapshot (SNAP).
 */
#include <errno.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/adopt.h"
#include "zkserver/core/learner_priv.h"
#include "zkserver/core/qpacket.h"
#include "zkserver/core/snapshot.h"

void
learner_reopen(struct learner *l)
{
	if (!l->released)
		return;
	l->released = false;
	l->z->ops->log_reopen(l->z->arg);
}

static void
release(struct learner *l)
{
	l->released = true;
	l->z->ops->log_release(l->z->arg);
}

static void
begin_following_up(struct learner *l)
{
	server_sync_begin(l->z->server);
	l->committed = l->delivered = zab_last_zxid(l->z);
	l->phase = LEARNER_FOLLOWING_UP;
}

/* What is in memory is thrown away. False: the disk cannot be read, the process ends. */
static bool
load_again(struct learner *l)
{
	struct recover_report report;
	struct fault f = {0};

	if (zab_load(l->z, &report, &f) == 0) {
		server_reloaded(l->z->server);
		return true;
	}
	zab_fatal(l->z, "%s", f.text);
	return false;
}

static void
take_truncation(struct learner *l, int64_t zxid)
{
	struct zab *z = l->z;
	struct fault f = {0};
	int err;

	release(l);
	err = zxid < 0 ? -ENOENT : adopt_truncation(z->snapshots, z->logs, (uint64_t)zxid, &f);
	if (err == -ENOENT) {
		l->wants_snapshot = true;
		learner_leave(l,
		    "it wants the history here cut at zxid 0x%llx, which cannot be: %s; the "
		    "next time a snapshot is asked for",
		    (unsigned long long)zxid, f.text);
		return;
	}
	if (err != 0)
		zab_fatal(z, "%s", f.text);
	if (err != 0 || (!ZAB_PLANTED(PLANT_CUT_STAYS_IN_MEMORY) && !load_again(l)))
		return;
	learner_reopen(l);
	zab_say(z, "the history here was cut behind zxid 0x%llx, as server %lld, which leads, says",
	    (unsigned long long)zxid, (long long)l->leader);
	begin_following_up(l);
}

static void
begin_snapshot(struct learner *l, int64_t zxid)
{
	struct fault f = {0};

	if (zxid < 0 || zxid >> 32 > l->epoch) {
		learner_leave(l, "it sends a snapshot of zxid 0x%llx in epoch %d",
		    (unsigned long long)zxid, (int)l->epoch);
		return;
	}
	release(l);
	if (snapstream_begin(&l->snapstream, l->z->snapshots, &f) != 0) {
		zab_fatal(l->z, "%s", f.text);
		return;
	}
	l->spooling = true;
	l->snapshot_zxid = zxid;
	l->phase = LEARNER_RECEIVING;
}

/* What was received is no snapshot: what is on disk is what there is, as before. */
static void
refuse_snapshot(struct learner *l, const char *why)
{
	if (load_again(l))
		learner_leave(l, "%s", why);
}

/* It is whole, and on disk under a temporary name. */
static void
take_snapshot(struct learner *l)
{
	struct zab *z = l->z;
	const struct acl_policy policy = z->db->tree.acls.policy;
	struct fault f = {0};
	int err;

	snapstream_end(&l->snapstream);
	l->spooling = false;
	z->was_busy = true;
	err = snapshot_load_new(z->snapshots, (uint64_t)l->snapshot_zxid, z->db, &f);
	if (err == DATADIR_CORRUPT || (err == 0 && recover_check_ttl(z->db, &f) == -EINVAL)) {
		refuse_snapshot(l, f.text);
		return;
	}
	if (err == 0 && !ZAB_PLANTED(PLANT_SNAPSHOT_TO_MEMORY))
		err = !zab_see_tree(z, &f)
			  ? -EIO
			  : adopt_snapshot(z->snapshots, z->logs, (uint64_t)l->snapshot_zxid, &f);
	if (err != 0) {
		zab_fatal(z, "%s", f.text);
		return;
	}
	z->db->tree.acls.policy = policy;    /* the settings', not the snapshot's */
	z->db->digest_from_zxid = INT64_MAX; /* Apache's are fuzzy; who knows how far */
	l->fuzzy = l->unfinished = true;
	l->wants_snapshot = false;
	history_reset(&z->history, l->snapshot_zxid);
	learner_reopen(l);
	server_reloaded(z->server);
	zab_say(z, "received a snapshot of zxid 0x%llx from server %lld, which leads",
	    (unsigned long long)l->snapshot_zxid, (long long)l->leader);
	begin_following_up(l);
}

void
learner_receive(struct learner *l)
{
	struct buf *in = &l->link->in;
	struct fault f = {0};
	size_t used;
	int got = snapstream_feed(&l->snapstream, in->data, in->len, &used, &f);

	buf_consume(in, used);
	if (got == 1)
		take_snapshot(l);
	else if (got == DATADIR_CORRUPT)
		learner_leave(l, "%s", f.text);
	else if (got != 0)
		zab_fatal(l->z, "%s", f.text);
}

void
learner_choose(struct learner *l, const struct qpacket *p)
{
	char name[24];

	switch (p->type) {
	case QPACKET_DIFF:
		begin_following_up(l);
		return;
	case QPACKET_TRUNC:
		take_truncation(l, p->zxid);
		return;
	case QPACKET_SNAP:
		begin_snapshot(l, p->zxid);
		return;
	default:
		learner_leave(
		    l, "%s came where DIFF, TRUNC or SNAP was due", qpacket_name(p->type, name));
	}
}

bool
learner_finish_loading(struct learner *l)
{
	struct fault f = {0};

	if (recover_check_acls(l->z->db, &f) != 0) {
		l->wants_snapshot = true;
		learner_leave(l, "%s; the next time a snapshot is asked for", f.text);
		return false;
	}
	if (l->unfinished && !db_finish_load(l->z->db))
		zab_fatal(l->z, "no memory to finish loading a snapshot");
	l->unfinished = false;
	return !l->z->failed;
}

void
learner_reload(struct learner *l)
{
	if (!l->unfinished)
		return;
	l->unfinished = false;
	release(l);
	if (!load_again(l))
		return;
	learner_reopen(l);
	l->z->db->digest_from_zxid = INT64_MAX;
}
