/* SPDX-License-Identifier: Apache-2.0 */
/* Several writes that happen together or not at all. */
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/prep_priv.h"

/* Read the next operation of a multi. 1: there was one, 0: the end, -1: bytes that are none. */
static int
multi_next(struct jute_reader *r, struct op *op)
{
	int32_t type = jute_get_i32(r);
	bool done = jute_get_bool(r);

	jute_get_i32(r);
	if (r->bad)
		return -1;
	if (done)
		return 0;
	if (type == ZK_OP_SET_ACL || type == ZK_OP_RECONFIG || type == ZK_OP_DELETE_CONTAINER ||
	    !op_read(r, type, op) || op->path.len < 0)
		return -1;
	/* As Apache's servers: the mode says what it is, and a create2 is none of the parts. */
	if (type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER ||
	    (type == ZK_OP_CREATE_TTL && !is_ttl_mode(op->flags))) {
		op->type = ZK_OP_CREATE;
		op->ttl_ms = -1;
	}
	if (op->type == ZK_OP_CREATE && op->flags == ZK_CONTAINER)
		op->type = ZK_OP_CREATE_CONTAINER;
	return 1;
}

static bool
is_ephemeral(const struct op *op)
{
	return (op->type == ZK_OP_CREATE || op->type == ZK_OP_CREATE2) &&
	       (op->flags == ZK_EPHEMERAL || op->flags == ZK_EPHEMERAL_SEQUENTIAL);
}

bool
prep_makes_ephemeral(int32_t type, struct jute_reader body)
{
	struct op op;

	if (type != ZK_OP_MULTI)
		return op_read(&body, type, &op) && is_ephemeral(&op);
	while (multi_next(&body, &op) > 0) {
		if (is_ephemeral(&op))
			return true;
	}
	return false;
}

/* A part whose mode wants a TTL that it does not have: nothing of the multi is looked at. */
static bool
part_is_confused(const struct op *op)
{
	return op->type == ZK_OP_CREATE && is_ttl_mode(op->flags);
}

/* The operations of a multi, or -1. */
static int32_t
multi_count(struct jute_reader r)
{
	struct op op;
	int32_t count = 0;
	int got;

	while ((got = multi_next(&r, &op)) > 0)
		count++;
	return got == 0 ? count : -1;
}

/* A marshalling error is the whole multi's. */
static int
prep_part(const struct work *w, const struct op *op, struct txn_body *body, size_t size)
{
	if (part_is_confused(op))
		return ZK_MARSHALLINGERROR;
	return size > TXN_BYTES_SOFT ? ZK_BADARGUMENTS : prep_op(w, op, body);
}

static void
put_part(struct buf *txn, int32_t type, const struct txn_body *body)
{
	size_t at;

	jute_put_i32(txn, type);
	at = txn->len;
	jute_put_i32(txn, 0);
	txn_put_body(txn, body);
	if (!txn->failed)
		jute_set_i32(txn, at, (int32_t)(txn->len - at - 4));
}

/* All parts, or, from the first that fails, errors; those before it stay as they would have been.
 */
int
prep_multi(const struct work *w, struct buf *txn)
{
	struct jute_reader r = w->q->body;
	int32_t count = multi_count(r);
	struct txn_body body, failed = {.type = ZK_OP_ERROR};
	size_t start = txn->len;
	struct op op;

	if (count < 0)
		return ZK_MARSHALLINGERROR;
	put_header(w, ZK_OP_MULTI, txn);
	jute_put_i32(txn, count);
	changes_try(&w->p->changes);
	for (int32_t i = 0; i < count; i++) {
		if (failed.error == ZK_OK) {
			multi_next(&r, &op);
			op.hash = tree_hash(&w->p->db->tree, op.path);
			failed.error = prep_part(w, &op, &body, txn->len - start);
			if (failed.error == ZK_MARSHALLINGERROR) {
				changes_undo(&w->p->changes);
				return failed.error;
			}
		} else
			failed.error = ZK_RUNTIMEINCONSISTENCY;
		if (failed.error == ZK_OK)
			put_part(txn, op.type, &body);
		else
			put_part(txn, ZK_OP_ERROR, &failed);
	}
	if (failed.error == ZK_OK)
		changes_keep(&w->p->changes);
	else
		changes_undo(&w->p->changes);
	txn_put_digest(txn, w->p->changes.digest);
	return ZK_OK;
}
