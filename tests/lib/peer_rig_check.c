/* SPDX-License-Identifier: Apache-2.0 */
/* What the rig's nodes must have, in memory and on disk. */
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

bool
rig_has(unsigned i, const char *path)
{
	struct jute_bytes p = {(const uint8_t *)path, (int32_t)strlen(path)};

	return tree_find(&rig_nodes[i].db.tree, p) != NULL;
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
	struct recover_options options = {
	    .read_only = true, .now_ms = rig_now_ms, .leader_has_more = true};
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

static bool
all_even(void *arg)
{
	int64_t zxid = -1;

	(void)arg;
	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];

		if (!n->up)
			continue;
		if (n->server.pending_count > 0 ||
		    (zxid >= 0 && zxid != zab_last_zxid(&n->peer.zab)))
			return false;
		zxid = zab_last_zxid(&n->peer.zab);
	}
	return true;
}

void
rig_check_same(void)
{
	struct rig_node *first = NULL;

	ck_assert_msg(rig_run_until(all_even, NULL, 60000), "they do not come to one zxid");
	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];

		if (!n->up)
			continue;
		tree_check(&n->db.tree);
		ck_assert_uint_eq(n->db.digest_mismatches, 0);
		rig_check_disk(i);
		if (first == NULL)
			first = n;
		ck_assert_msg(n->db.tree.digest == first->db.tree.digest,
		    "servers %lld and %lld differ", (long long)n->sid, (long long)first->sid);
		ck_assert_uint_eq(
		    session_count(&n->db.sessions), session_count(&first->db.sessions));
	}
}
