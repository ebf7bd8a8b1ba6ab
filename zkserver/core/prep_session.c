/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions begin, and end with what they own. */
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/prep_priv.h"

int
prep_create_session(const struct work *w, struct buf *txn)
{
	struct jute_reader r = w->q->body;
	struct txn_body body = {.type = ZK_OP_CREATE_SESSION, .timeout_ms = jute_get_i32(&r)};

	put_header(w, ZK_OP_CREATE_SESSION, txn);
	txn_put_body(txn, &body);
	txn_put_digest(txn, w->p->changes.digest);
	return ZK_OK;
}

struct paths {
	struct buf *to;
	int32_t count;
};

static void
add_path(void *arg, struct jute_bytes path)
{
	struct paths *paths = arg;

	jute_put_bytes(paths->to, path);
	paths->count++;
}

/* The session's nodes in the tree, except those that will be gone or somebody else's by then. */
static bool
add_owned(const struct work *w, struct paths *paths)
{
	const struct tree *t = &w->p->db->tree;
	const struct tree_owner *o = tree_owner_find(t, w->q->session);

	if (o == NULL)
		return true;
	for (const struct list *l = o->nodes.next; l != &o->nodes; l = l->next) {
		const struct tree_owned *owned = CONTAINER_OF(l, struct tree_owned, of_owner);
		struct jute_bytes path;
		struct change_node n;

		buf_clear(&w->p->path);
		tree_node_path(t, tree_by_id(t, owned->id), &w->p->path);
		if (w->p->path.failed)
			return false;
		path = (struct jute_bytes){w->p->path.data, (int32_t)w->p->path.len};
		if (changes_look(&w->p->changes, path, tree_hash(t, path), &n) &&
		    n.stat.ephemeral_owner == w->q->session)
			add_path(paths, path);
	}
	return true;
}

/* Record the deletion of each path that the txn names. */
static int
put_closed(const struct work *w, struct jute_reader r, int32_t count)
{
	int error = ZK_OK;

	changes_try(&w->p->changes);
	for (int32_t i = 0; i < count && error == ZK_OK; i++) {
		struct tree_place at = tree_place(&w->p->db->tree, jute_get_bytes(&r));
		struct change_node n;

		changes_look(&w->p->changes, at.path, at.hash, &n);
		error = put_deleted(w, &at, &n);
	}
	if (error == ZK_OK)
		changes_keep(&w->p->changes);
	else
		changes_undo(&w->p->changes);
	return error;
}

int
prep_close(const struct work *w, struct buf *txn)
{
	struct paths paths = {.to = txn};
	struct session *s = session_find_any(&w->p->db->sessions, w->q->session);
	size_t at;
	int error;

	put_header(w, ZK_OP_CLOSE_SESSION, txn);
	at = txn->len;
	jute_put_i32(txn, 0);
	if (!add_owned(w, &paths))
		return ZK_SYSTEMERROR;
	changes_owned(&w->p->changes, w->q->session, add_path, &paths);
	if (txn->failed)
		return ZK_SYSTEMERROR;
	jute_set_i32(txn, at, paths.count);
	error = put_closed(w, jute_reader(txn->data + at + 4, txn->len - at - 4), paths.count);
	if (error != ZK_OK)
		return error;
	if (txn->len - at > TXN_BYTES_SOFT) {
		buf_truncate(txn, at + 4);
		jute_set_i32(txn, at, 0);
	}
	if (s != NULL)
		s->closing = true;
	txn_put_digest(txn, w->p->changes.digest);
	return ZK_OK;
}
