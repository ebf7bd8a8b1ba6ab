/* SPDX-License-Identifier: Apache-2.0 */
/* What the rig does to its nodes' disks and files. */
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"
#include "zkserver/core/snapshot.h"

void
rig_snapshot(unsigned i)
{
	struct fault f = {0};

	ck_assert_msg(snapshot_write(rig_nodes[i].store, &rig_nodes[i].db, &f) == 0, "%s", f.text);
	if (rig_nodes[i].log_open)
		txnlog_roll(&rig_nodes[i].log);
}

void
rig_remove_snapshots_but_newest(unsigned i)
{
	struct datadir_list list;
	struct fault f = {0};

	ck_assert_int_eq(datadir_list(rig_nodes[i].store, "snapshot", &list, &f), 0);
	for (size_t k = 0; k + 1 < list.count; k++) {
		char name[DATADIR_NAME_BYTES];

		snapshot_name(name, list.entries[k]);
		ck_assert_int_eq(store_unlink(rig_nodes[i].store, name), 0);
	}
	ck_assert_int_eq(store_sync_dir(rig_nodes[i].store), 0);
	datadir_list_free(&list);
}

void
rig_write_members(unsigned i, const char *text)
{
	struct fault f = {0};

	ck_assert_msg(
	    members_parse(&rig_nodes[i].committed, text, strlen(text), &f) == 0, "%s", f.text);
}

static const struct hash_key OTHER_KEY = {5, 6};

static bool
quiet(void *arg)
{
	unsigned i = *(unsigned *)arg;

	return rig_nodes[i].server.pending_count == 0;
}

void
rig_check_disk(unsigned i)
{
	struct rig_node *n = &rig_nodes[i];
	struct recover_options options = {.read_only = true, .now_ms = rig_now_ms};
	struct recover_report report;
	struct fault f = {0};
	struct db db;

	ck_assert(rig_run_until(quiet, &i, 60000));
	history_check(&n->peer.zab.history);
	ck_assert(db_init(&db, &OTHER_KEY, RIG_TICK_MS));
	ck_assert_msg(recover(n->store, n->store, &options, &db, &report, &f) == 0, "%s", f.text);
	ck_assert_msg(db.tree.digest == n->db.tree.digest,
	    "server %lld: memory (zxid %llx) and disk (zxid %llx) differ", (long long)n->sid,
	    (unsigned long long)zab_last_zxid(&n->peer.zab), (unsigned long long)db.last_zxid);
	ck_assert_int_eq(db.last_zxid, zab_last_zxid(&n->peer.zab));
	ck_assert_uint_eq(session_count(&db.sessions), session_count(&n->db.sessions));
	db_fini(&db);
}
