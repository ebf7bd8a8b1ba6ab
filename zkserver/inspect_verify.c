/* SPDX-License-Identifier: Apache-2.0 */
/* A data directory is looked through: every file, then what a start would make of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/sys/store_posix.h"
#include "zkserver/core/recover.h"
#include "zkserver/inspect.h"
#include "zkserver/inspect_priv.h"

/* What is being looked through, and whether anything was wrong. */
struct look {
	struct store *snapshots, *logs;
	struct db db;
	bool damaged;
};

/* A snapshot's seals, and its digest where nothing of the log is needed to compare it. */
static void
look_at_snapshot(struct look *l, struct datadir_entry which)
{
	struct snapshot_info info = {0};
	struct fault fault = {{0}};
	char name[DATADIR_NAME_BYTES];
	bool here;

	snapshot_name(name, which);
	if (snapshot_load(l->snapshots, which, &l->db, &info, &fault) != 0) {
		printf("%s: damaged: %s\n", name, fault.text);
		l->damaged = true;
		return;
	}
	here = snapshot_digest_is_of(&info, which.zxid);
	if (here && info.digest != l->db.tree.digest) {
		printf("%s: damaged: its nodes' digest is %" PRIu64 ", and it says %" PRIu64 "\n",
		    name, l->db.tree.digest, info.digest);
		l->damaged = true;
		return;
	}
	printf("%s: whole: %" PRIu64 " nodes, %" PRIu64 " sessions%s\n", name, info.nodes,
	    info.sessions, here ? ", its digest matches" : "");
}

static void
look_at_log(struct look *l, struct datadir_entry which)
{
	struct txnlog_record record;
	struct fault fault = {{0}};
	char name[DATADIR_NAME_BYTES];
	uint64_t count = 0, last = 0;
	struct txnlog_reader r;
	int got;

	datadir_name(name, "log", which.zxid);
	got = txnlog_reader_open_file(&r, l->logs, which.zxid, &fault);
	while (got == 0 && (got = txnlog_reader_next(&r, &record, &fault)) == 1) {
		count++;
		last = record.zxid;
		got = 0;
	}
	if (got != 0) {
		printf("%s: damaged: %s\n", name, fault.text);
		l->damaged = true;
	} else if (count == 0)
		printf("%s: no transactions%s\n", name, r.torn ? ", and a torn end" : "");
	else
		printf("%s: %" PRIu64 " transactions, the last is 0x%" PRIx64 "%s\n", name, count,
		    last, r.torn ? ", then a torn end" : "");
	txnlog_reader_close(&r);
}

/* False: the directory cannot be listed, which was said. */
static bool
look_at_all(struct look *l, struct store *s, const char *prefix,
    void (*each)(struct look *l, struct datadir_entry which))
{
	struct datadir_list list;
	struct fault fault = {{0}};

	if (datadir_list(s, prefix, &list, &fault) != 0) {
		inspect_complain(prefix, fault.text, EX_IOERR);
		return false;
	}
	for (size_t i = 0; i < list.count; i++)
		each(l, list.entries[i]);
	datadir_list_free(&list);
	return true;
}

static void
say_recovery(struct look *l)
{
	const struct recover_options options = {.trust_empty = false, .read_only = true};
	struct recover_report report;
	struct fault fault = {{0}};

	if (recover(l->snapshots, l->logs, &options, &l->db, &report, &fault) < 0) {
		printf("a start fails: %s\n", fault.text);
		l->damaged = true;
		return;
	}
	if (report.found_snapshot)
		printf("a start loads snapshot 0x%" PRIx64, report.snapshot_zxid);
	else
		printf("a start begins empty");
	printf(", replays %" PRIu64 " transactions, and is at zxid 0x%" PRIx64 " with %" PRIu64
	       " nodes\n",
	    report.replayed, (uint64_t)l->db.last_zxid, l->db.tree.node_count);
	if (report.cut)
		printf("it cuts log.%" PRIx64 " at offset %" PRIu64
		       ": what follows was never acknowledged\n",
		    report.cut_file_zxid, report.cut_offset);
	if (l->db.digest_mismatches > 0 || report.digest_wrong) {
		printf("the tree differs from the digest of %" PRIu64 " transactions%s\n",
		    l->db.digest_mismatches, report.digest_wrong ? " and the snapshot" : "");
		l->damaged = true;
	}
}

static struct store *
open_dir(const char *path)
{
	struct place place;
	struct store *s;

	if (!inspect_place(path, &place) || place.name != NULL) {
		inspect_complain(path, "is no directory", EX_NOINPUT);
		return NULL;
	}
	if ((s = store_posix_open(place.directory)) == NULL)
		inspect_complain(path, strerror(errno), EX_NOINPUT);
	return s;
}

int
inspect_verify(const char *data_dir, const char *log_dir)
{
	/* A TTL node is one whatever zoo.cfg says. */
	static const struct tree_rules rules = {.extended_types = true};
	struct look l = {.snapshots = open_dir(data_dir)};
	int status = EX_NOINPUT;

	if (l.snapshots == NULL)
		return status;
	l.logs = log_dir == NULL ? l.snapshots : open_dir(log_dir);
	if (l.logs != NULL && inspect_db(&l.db)) {
		db_set_rules(&l.db, &rules);
		status = EX_IOERR;
		if (look_at_all(&l, l.snapshots, "snapshot", look_at_snapshot) &&
		    look_at_all(&l, l.logs, "log", look_at_log)) {
			say_recovery(&l);
			status = l.damaged ? EXIT_DAMAGED : EX_OK;
		}
		db_fini(&l.db);
	}
	if (l.logs != NULL && l.logs != l.snapshots)
		store_posix_close(l.logs);
	store_posix_close(l.snapshots);
	return status;
}
