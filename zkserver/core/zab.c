/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/zab.h"

#include <stdarg.h>
#include <stdio.h>

/* After a leader has begun its epoch, the database's zxid is one that no record has. */
int64_t
zab_last_zxid(const struct zab *z)
{
	return history_last(&z->history);
}

void
zab_say(struct zab *z, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	z->ops->say(z->arg, text);
}

void
zab_fatal(struct zab *z, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (z->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	z->failed = true;
	z->ops->fatal(z->arg, text);
}

void
zab_link_touch(struct zab *z, struct peer_link *l)
{
	if (list_empty(&l->dirty))
		list_append(&z->dirty, &l->dirty);
}

void
zab_link_end(struct zab *z, struct peer_link *l, const char *fmt, ...)
{
	va_list ap;

	if (l->end != PEER_LINK_OPEN)
		return;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof l->why, fmt, ap);
	va_end(ap);
	l->end = PEER_LINK_CLOSE;
	l->wants_snapshot = false;
	zab_link_touch(z, l);
}

/* What recover() replays goes into the history, which begins at the snapshot's zxid. */
struct loading {
	struct zab *z;
	const struct recover_report *report;
};

static void
on_replayed(void *arg, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct loading *l = arg;

	if (l->report->replayed == 1) /* of this snapshot: another may have been tried before */
		history_reset(&l->z->history, (int64_t)l->report->snapshot_zxid);
	history_append(&l->z->history, zxid, bytes, size);
}

int
zab_load(struct zab *z, struct recover_report *report, struct fault *f)
{
	struct recover_options options = z->settings.recover;
	struct loading l = {.z = z, .report = report};
	const struct acl_policy policy = z->db->tree.acls.policy; /* of settings, not of the disk */
	int err;

	options.replayed = on_replayed;
	options.arg = &l;
	options.now_ms = z->now_ms;
	options.leader_has_more = true;
	if ((err = recover(z->snapshots, z->logs, &options, z->db, report, f)) != 0)
		return err;
	z->db->tree.acls.policy = policy;
	z->digest_mismatches = z->db->digest_mismatches; /* whoever loads it says so */
	if (report->replayed == 0)
		history_reset(&z->history, (int64_t)report->snapshot_zxid);
	z->was_busy = true;
	return 0;
}

void
zab_compare_digests(struct zab *z)
{
	const struct db *db = z->db;

	if (db->digest_mismatches > 0 && z->digest_mismatches == 0)
		zab_say(z,
		    "the tree here differs from its leader's: the digest of zxid 0x%llx is another "
		    "one; what is read here may be wrong, zkserver-ensemble(7) says what to do",
		    (unsigned long long)db->digest_mismatch_zxid);
	z->digest_mismatches = db->digest_mismatches;
}
