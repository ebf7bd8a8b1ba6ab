/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/prep.h"

#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/prep_priv.h"

#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define ACL_ITEM_BYTES_MIN 12

void
prep_init(struct prep *p, struct db *db)
{
	*p = (struct prep){.db = db, .last_zxid = db->last_zxid};
	changes_init(&p->changes, &db->tree);
	buf_init(&p->path, SCRATCH_BYTES_MAX);
	buf_init(&p->acl, SCRATCH_BYTES_MAX);
}

void
prep_fini(struct prep *p)
{
	changes_fini(&p->changes);
	buf_fini(&p->path);
	buf_fini(&p->acl);
}

void
prep_reset(struct prep *p)
{
	changes_fini(&p->changes);
	changes_init(&p->changes, &p->db->tree);
	p->last_zxid = p->db->last_zxid;
}

void
prep_applied(struct prep *p, int64_t zxid)
{
	changes_applied(&p->changes, zxid);
}

static void
skip_acl(struct jute_reader *r)
{
	for (int32_t count = jute_get_count(r, ACL_ITEM_BYTES_MIN); count > 0 && !r->bad; count--) {
		jute_get_i32(r);
		jute_get_bytes(r);
		jute_get_bytes(r);
	}
}

/* False: bytes are missing, or the type is none of a single write. */
bool
op_read(struct jute_reader *r, int32_t type, struct op *op)
{
	*op = (struct op){.type = type, .path = jute_get_bytes(r), .ttl_ms = -1};
	switch (type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		op->data = jute_get_bytes(r);
		op->acl = *r;
		skip_acl(r);
		op->flags = jute_get_i32(r);
		if (type == ZK_OP_CREATE_TTL)
			op->ttl_ms = jute_get_i64(r);
		break;
	case ZK_OP_SET_DATA:
		op->data = jute_get_bytes(r);
		op->version = jute_get_i32(r);
		break;
	case ZK_OP_SET_ACL:
		op->acl = *r;
		skip_acl(r);
		op->version = jute_get_i32(r);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		op->version = jute_get_i32(r);
		break;
	case ZK_OP_DELETE_CONTAINER:
		break;
	case ZK_OP_RECONFIG: /* who joins, who leaves, or all members; the version that it is for */
		jute_get_bytes(r);
		jute_get_bytes(r);
		jute_get_i64(r);
		break;
	default:
		return false;
	}
	return !r->bad;
}

void
put_header(const struct work *w, int32_t type, struct buf *txn)
{
	struct txn_header h = {w->q->session, w->q->cxid, w->zxid, w->q->time_ms, type};

	txn_put_header(txn, &h);
}

static void
put_error(struct buf *txn, int error)
{
	struct txn_body body = {.type = ZK_OP_ERROR, .error = error};

	txn_put_body(txn, &body);
}

/* It changes one node or none: there is nothing to undo. Others change the parent, too. */
static bool
is_one_change(int32_t type)
{
	return type == ZK_OP_SET_DATA || type == ZK_OP_SET_ACL || type == ZK_OP_CHECK;
}

static int
prep_several(const struct work *w, const struct op *op, struct txn_body *body)
{
	int error;

	changes_try(&w->p->changes);
	error = prep_op(w, op, body);
	if (error == ZK_OK)
		changes_keep(&w->p->changes);
	else
		changes_undo(&w->p->changes);
	return error;
}

static int
prep_single(const struct work *w, struct buf *txn)
{
	struct jute_reader r = w->q->body;
	struct txn_body body;
	struct op op;
	int error;

	if (!op_read(&r, w->q->type, &op))
		return ZK_MARSHALLINGERROR;
	op.hash = w->q->hash != 0 ? w->q->hash : tree_hash(&w->p->db->tree, op.path);
	if (is_one_change(op.type))
		error = prep_op(w, &op, &body);
	else
		error = prep_several(w, &op, &body);
	if (error != ZK_OK)
		return error;
	w->p->is_known = true;
	put_header(w, op.type, txn);
	txn_put_body(txn, &body);
	txn_put_digest(txn, w->p->changes.digest);
	return ZK_OK;
}

bool
prep_takes(int32_t type, struct jute_reader body)
{
	struct op op;

	if (type == ZK_OP_RECONFIG)
		return op_read(&body, type, &op);
	return type == ZK_OP_CREATE || type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER ||
	       type == ZK_OP_CREATE_TTL || type == ZK_OP_DELETE || type == ZK_OP_SET_DATA ||
	       type == ZK_OP_SET_ACL || type == ZK_OP_MULTI || type == ZK_OP_CLOSE_SESSION;
}

static int
prep_any(const struct work *w, struct buf *txn)
{
	switch (w->q->type) {
	case ZK_OP_MULTI:
		return prep_multi(w, txn);
	case ZK_OP_CREATE_SESSION:
		return prep_create_session(w, txn);
	case ZK_OP_CLOSE_SESSION:
		return prep_close(w, txn);
	default:
		return prep_single(w, txn);
	}
}

bool
prep_txn(struct prep *p, const struct prep_request *q, struct buf *txn)
{
	struct work w = {p, q, p->last_zxid + 1};
	size_t before = txn->len;
	int error;

	p->is_known = false;
	error = q->error != ZK_OK ? q->error : prep_any(&w, txn);
	if (txn->failed)
		return false;
	if (error != ZK_OK) {
		buf_truncate(txn, before);
		put_header(&w, ZK_OP_ERROR, txn);
		put_error(txn, error);
	}
	p->last_zxid = w.zxid;
	return !txn->failed;
}
