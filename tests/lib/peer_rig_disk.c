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
