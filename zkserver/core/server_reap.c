/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container nodes that are empty again and TTL nodes whose time is over are deleted: every
 * reap_interval_ms a round looks at all of them, some at a time, and deletes those that are due,
 * at a bounded rate.
 */
#include "zkserver/core/server_priv.h"

#define REAP_VISITS_MAX 1000 /* nodes looked at in one go */
#define REAP_PATH_BYTES_MAX ((size_t)16 << 20)
#define MINUTE_MS 60000

void
reap_init(struct server *s)
{
	s->reap_left = 0;
	if (s->settings.reap_interval_ms == 0)
		s->reap_at_ms = UINT64_MAX;
	else
		s->reap_round_ms = s->reap_at_ms = s->now_ms + s->settings.reap_interval_ms;
}

/* As Apache's server sees it: a container that was never used is new, and stays, if it may. */
static bool
is_due(const struct server *s, const struct tree_node *n)
{
	const struct tree *t = &s->db->tree;
	int64_t owner = tree_node_owner(t, n), age_ms = s->wall_ms - n->mtime;

	if (tree_child_count(n) > 0)
		return false;
	if (tree_owner_kind(t, owner) == TREE_OWNER_TTL)
		return tree_ttl_ms(owner) != 0 && age_ms > tree_ttl_ms(owner);
	return n->cversion > 0 ||
	       (s->settings.reap_never_used_ms > 0 && age_ms > s->settings.reap_never_used_ms);
}

/* Nothing that is on its way to the log makes a difference. */
static bool
stays_due(const struct server *s, const struct tree_node *n, struct jute_bytes path)
{
	struct change_node will;

	return changes_look(&s->prep.changes, path, tree_hash(&s->db->tree, path), &will) &&
	       will.kids == 0 && will.stat.czxid == n->czxid && will.stat.mtime == n->mtime;
}

/* True: a txn was made of it. */
static bool
reap_node(struct server *s, const struct tree_node *n)
{
	static const struct acl_ids nobody;
	struct prep_request q = {
	    .type = ZK_OP_DELETE_CONTAINER, .who = &nobody, .time_ms = s->wall_ms};
	struct buf body;
	size_t head;
	bool due;

	buf_init(&body, REAP_PATH_BYTES_MAX);
	jute_put_i32(&body, 0);
	head = body.len;
	tree_node_path(&s->db->tree, n, &body);
	due = !body.failed &&
	      stays_due(s, n, (struct jute_bytes){body.data + head, (int32_t)(body.len - head)});
	if (due) {
		jute_set_i32(&body, 0, (int32_t)(body.len - head));
		q.body = jute_reader(body.data, body.len);
		server_submit(s, NULL, &q);
	}
	buf_fini(&body);
	return due;
}

/* A learner's leader does it for all. */
uint64_t
reap_at_ms(const struct server *s)
{
	return s->role == SERVER_STANDALONE || s->role == SERVER_LEADER ? s->reap_at_ms
									: UINT64_MAX;
}

void
reap(struct server *s)
{
	struct tree *t = &s->db->tree;
	uint64_t gap_ms;

	if (s->now_ms < reap_at_ms(s))
		return;
	gap_ms = MINUTE_MS / s->settings.reap_max_per_minute;
	if (s->reap_left == 0)
		s->reap_left = t->reapable_count;
	s->reap_at_ms = s->now_ms + 1;
	for (int i = 0; i < REAP_VISITS_MAX && s->reap_left > 0 && !server_is_full(s); i++) {
		const struct tree_node *n = tree_next_reapable(t);

		s->reap_left = n != NULL ? s->reap_left - 1 : 0;
		if (n == NULL || !is_due(s, n) || !reap_node(s, n) || gap_ms == 0)
			continue;
		s->reap_at_ms = s->now_ms + gap_ms;
		break;
	}
	if (s->reap_left > 0)
		return;
	while (s->reap_round_ms <= s->now_ms)
		s->reap_round_ms += s->settings.reap_interval_ms;
	s->reap_at_ms = s->reap_round_ms;
}
