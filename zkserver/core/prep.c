/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/prep.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "zkserver/core/path.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"

#define SCRATCH_BYTES_MAX ((size_t)64 << 20)
#define SUFFIX_BYTES 12 /* "-2147483648" and a NUL */
#define ACL_ITEM_BYTES_MIN 12

/*
 * A txn must fit into a record of the log (16 MiB). A multi takes no more parts above this, and
 * each part is at most a frame (8 MiB) and a list of ACLs; a session with more nodes than fit is
 * closed without naming them, as servers before 3.6 do: whoever applies it finds them by their
 * owner.
 */
#define TXN_BYTES_SOFT ((size_t)7 << 20)

/* A request as it was read, before anything was checked. */
struct op {
	int32_t type, flags, version;
	struct jute_bytes path, data;
	struct jute_reader acl; /* at the vector */
	int64_t ttl_ms;		/* createTTL; -1: the others */
};

/* The txn under way. */
struct work {
	struct prep *p;
	const struct prep_request *q;
	int64_t zxid;
};

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
static bool
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
	default:
		return false;
	}
	return !r->bad;
}

static bool
allowed(const struct work *w, const struct change_node *n, int32_t perm)
{
	return acl_allows(&w->p->db->tree.acls, n->acl, perm, w->q->who);
}

static int
put(const struct work *w, struct jute_bytes path, const struct change_node *n)
{
	return changes_put(&w->p->changes, path, n, w->zxid) ? ZK_OK : ZK_SYSTEMERROR;
}

/* The client's list, made ready, in body->acl. */
static int
make_acl(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct jute_reader r = op->acl;
	int error;

	buf_clear(&w->p->acl);
	if ((error = acl_fix_up(&w->p->db->tree.acls.policy, &r, w->q->who, &w->p->acl)) != ZK_OK)
		return error;
	body->acl = (struct jute_bytes){w->p->acl.data, (int32_t)w->p->acl.len};
	return ZK_OK;
}

static int
add_suffix(const struct work *w, int32_t cversion, struct jute_bytes *path)
{
	struct buf *b = &w->p->path;
	char suffix[SUFFIX_BYTES];
	int len = snprintf(suffix, sizeof suffix, "%010d", cversion);

	assert(len > 0 && (size_t)len < sizeof suffix);
	buf_clear(b);
	buf_append(b, path->data, (size_t)path->len);
	buf_append(b, suffix, (size_t)len);
	if (b->failed)
		return ZK_SYSTEMERROR;
	*path = (struct jute_bytes){b->data, (int32_t)b->len};
	return ZK_OK;
}

static bool
is_ttl_mode(int32_t flags)
{
	return flags == ZK_PERSISTENT_TTL || flags == ZK_SEQUENTIAL_TTL;
}

/* A createTTL of another mode without a TTL is refused too, of which Apache's server dies. */
static int
check_mode(const struct work *w, const struct op *op)
{
	bool ttl = is_ttl_mode(op->flags);

	if (op->flags < ZK_PERSISTENT || op->flags > ZK_SEQUENTIAL_TTL)
		return ZK_BADARGUMENTS;
	if (ttl && !w->p->db->rules.extended_types)
		return ZK_UNIMPLEMENTED;
	if (ttl ? op->ttl_ms <= 0 || op->ttl_ms > TREE_TTL_MAX_MS
		: op->ttl_ms >= 0 || op->type == ZK_OP_CREATE_TTL)
		return ZK_BADARGUMENTS;
	return ZK_OK;
}

/* The kind of a node is decided by the operation; only whether it is ephemeral, by the mode. */
static void
set_owner(const struct work *w, const struct op *op, struct txn_body *body)
{
	if (op->type == ZK_OP_CREATE_CONTAINER)
		body->owner = TREE_CONTAINER_OWNER;
	else if (op->type == ZK_OP_CREATE_TTL)
		body->owner = tree_ttl_owner(op->ttl_ms);
	else if (op->flags == ZK_EPHEMERAL || op->flags == ZK_EPHEMERAL_SEQUENTIAL) {
		body->ephemeral = true;
		body->owner = w->q->session;
	}
}

/* Computed once: whoever applies the txn gets it from here. */
static uint32_t
crc_of(const struct work *w, struct jute_bytes path, struct jute_bytes data)
{
	w->p->crc = tree_crc(path, data);
	w->p->crc_known = w->q->type != ZK_OP_MULTI;
	return w->p->crc;
}

/* The node will be there, and the parent will know. */
static int
put_created(const struct work *w, const struct txn_body *b, struct jute_bytes above,
    struct change_node *parent)
{
	struct change_node n = {
	    .exists = true,
	    .crc = crc_of(w, b->path, b->data),
	    .stat = {.czxid = w->zxid,
		.mzxid = w->zxid,
		.pzxid = w->zxid,
		.ctime = w->q->time_ms,
		.mtime = w->q->time_ms,
		.ephemeral_owner = b->owner},
	};
	int error;

	if ((n.acl = acl_intern(&w->p->db->tree.acls, b->acl)) == ACL_KEY_NONE)
		return ZK_SYSTEMERROR;
	error = put(w, b->path, &n);
	acl_unref(&w->p->db->tree.acls, n.acl);
	if (error != ZK_OK)
		return error;
	parent->kids++;
	if (b->version > parent->stat.cversion) { /* as the tree does it: only raised */
		parent->stat.cversion = b->version;
		parent->stat.pzxid = w->zxid;
	}
	return put(w, above, parent);
}

static int
prep_create(const struct work *w, const struct op *op, struct txn_body *body)
{
	bool sequential = op->flags == ZK_SEQUENTIAL || op->flags == ZK_EPHEMERAL_SEQUENTIAL ||
			  op->flags == ZK_SEQUENTIAL_TTL;
	struct change_node parent;
	struct jute_bytes above;
	int error;

	if ((error = check_mode(w, op)) != ZK_OK)
		return error;
	body->path = op->path;
	body->data = op->data;
	set_owner(w, op, body);
	if (!path_parent(op->path, &above))
		return ZK_BADARGUMENTS;
	if ((error = make_acl(w, op, body)) != ZK_OK)
		return error;
	parent = changes_look(&w->p->changes, above);
	if (!parent.exists)
		return ZK_NONODE;
	if (!allowed(w, &parent, ACL_CREATE))
		return ZK_NOAUTH;
	if (sequential && (error = add_suffix(w, parent.stat.cversion, &body->path)) != ZK_OK)
		return error;
	if (!path_is_valid(body->path))
		return ZK_BADARGUMENTS;
	if (changes_look(&w->p->changes, body->path).exists)
		return ZK_NODEEXISTS;
	if (tree_owner_kind(&w->p->db->tree, parent.stat.ephemeral_owner) == TREE_OWNER_SESSION)
		return ZK_NOCHILDRENFOREPHEMERALS;
	body->version = (int32_t)((uint32_t)parent.stat.cversion + 1);
	return put_created(w, body, above, &parent);
}

static int
put_deleted(const struct work *w, struct jute_bytes path)
{
	static const struct change_node gone = {.exists = false};
	struct jute_bytes above;
	struct change_node parent;
	int error;

	if (!path_parent(path, &above))
		return ZK_BADARGUMENTS;
	if ((error = put(w, path, &gone)) != ZK_OK)
		return error;
	parent = changes_look(&w->p->changes, above);
	parent.kids--;
	if (w->zxid > parent.stat.pzxid)
		parent.stat.pzxid = w->zxid;
	return put(w, above, &parent);
}

static bool
is_builtin(struct jute_bytes path)
{
	return path_equals(path, "/") || path_equals(path, "/zookeeper") ||
	       path_equals(path, "/zookeeper/quota") || path_equals(path, "/zookeeper/config");
}

static bool
version_matches(int32_t wanted, int32_t version)
{
	return wanted == -1 || wanted == version;
}

static int
prep_delete(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct change_node parent, n;
	struct jute_bytes above;

	if (!path_parent(op->path, &above) || is_builtin(op->path))
		return ZK_BADARGUMENTS;
	parent = changes_look(&w->p->changes, above);
	if (!parent.exists)
		return ZK_NONODE;
	if (!allowed(w, &parent, ACL_DELETE))
		return ZK_NOAUTH;
	n = changes_look(&w->p->changes, op->path);
	if (!n.exists)
		return ZK_NONODE;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	if (n.kids > 0)
		return ZK_NOTEMPTY;
	body->path = op->path;
	return put_deleted(w, op->path);
}

/* A container or TTL node that is no longer wanted; nobody's wish, so no ACL is asked. */
static int
prep_delete_container(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct change_node n;

	if (is_builtin(op->path))
		return ZK_BADARGUMENTS;
	n = changes_look(&w->p->changes, op->path);
	if (!n.exists)
		return ZK_NONODE;
	if (n.kids > 0)
		return ZK_NOTEMPTY;
	if (tree_owner_kind(&w->p->db->tree, n.stat.ephemeral_owner) == TREE_OWNER_SESSION)
		return ZK_BADVERSION;
	body->path = op->path;
	return put_deleted(w, op->path);
}

static int
prep_set_data(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct change_node n;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	n = changes_look(&w->p->changes, op->path);
	if (!n.exists)
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_WRITE))
		return ZK_NOAUTH;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	body->path = op->path;
	body->data = op->data;
	body->version = (int32_t)((uint32_t)n.stat.version + 1);
	n.stat.version = body->version;
	n.stat.mzxid = w->zxid;
	n.stat.mtime = w->q->time_ms;
	n.crc = crc_of(w, op->path, op->data);
	return put(w, op->path, &n);
}

static int
prep_set_acl(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct acl_table *acls = &w->p->db->tree.acls;
	struct change_node n;
	int error;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	if ((error = make_acl(w, op, body)) != ZK_OK)
		return error;
	n = changes_look(&w->p->changes, op->path);
	if (!n.exists)
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_ADMIN))
		return ZK_NOAUTH;
	if (!version_matches(op->version, n.stat.aversion))
		return ZK_BADVERSION;
	body->path = op->path;
	body->version = (int32_t)((uint32_t)n.stat.aversion + 1);
	n.stat.aversion = body->version;
	if ((n.acl = acl_intern(acls, body->acl)) == ACL_KEY_NONE)
		return ZK_SYSTEMERROR;
	error = put(w, op->path, &n);
	acl_unref(acls, n.acl);
	return error;
}

static int
prep_check(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct change_node n;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	n = changes_look(&w->p->changes, op->path);
	if (!n.exists)
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_READ))
		return ZK_NOAUTH;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	body->path = op->path;
	body->version = (int32_t)((uint32_t)n.stat.version + 1);
	return ZK_OK;
}

static int
prep_op(const struct work *w, const struct op *op, struct txn_body *body)
{
	*body = (struct txn_body){.type = op->type, .data = {NULL, -1}, .acl = {NULL, -1}};
	switch (op->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		return prep_create(w, op, body);
	case ZK_OP_DELETE:
		return prep_delete(w, op, body);
	case ZK_OP_DELETE_CONTAINER:
		return prep_delete_container(w, op, body);
	case ZK_OP_SET_DATA:
		return prep_set_data(w, op, body);
	case ZK_OP_SET_ACL:
		return prep_set_acl(w, op, body);
	case ZK_OP_CHECK:
		return prep_check(w, op, body);
	default:
		return ZK_UNIMPLEMENTED;
	}
}

static void
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

static int
prep_single(const struct work *w, struct buf *txn)
{
	struct jute_reader r = w->q->body;
	struct txn_body body;
	struct op op;
	int error;

	if (!op_read(&r, w->q->type, &op))
		return ZK_MARSHALLINGERROR;
	changes_try(&w->p->changes);
	error = prep_op(w, &op, &body);
	if (error != ZK_OK) {
		changes_undo(&w->p->changes);
		return error;
	}
	changes_keep(&w->p->changes);
	put_header(w, op.type, txn);
	txn_put_body(txn, &body);
	txn_put_digest(txn, w->p->changes.digest);
	return ZK_OK;
}

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
	if (type == ZK_OP_SET_ACL || type == ZK_OP_DELETE_CONTAINER || !op_read(r, type, op))
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
static int
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
			if (part_is_confused(&op)) {
				changes_undo(&w->p->changes);
				return ZK_MARSHALLINGERROR;
			}
			failed.error = txn->len - start > TXN_BYTES_SOFT ? ZK_BADARGUMENTS
									 : prep_op(w, &op, &body);
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

static int
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
		n = changes_look(&w->p->changes, path);
		if (n.exists && n.stat.ephemeral_owner == w->q->session)
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
	for (int32_t i = 0; i < count && error == ZK_OK; i++)
		error = put_deleted(w, jute_get_bytes(&r));
	if (error == ZK_OK)
		changes_keep(&w->p->changes);
	else
		changes_undo(&w->p->changes);
	return error;
}

static int
prep_close(const struct work *w, struct buf *txn)
{
	struct paths paths = {.to = txn};
	struct session *s = session_find(&w->p->db->sessions, w->q->session);
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

bool
prep_takes(int32_t type)
{
	return type == ZK_OP_CREATE || type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER ||
	       type == ZK_OP_CREATE_TTL || type == ZK_OP_DELETE || type == ZK_OP_SET_DATA ||
	       type == ZK_OP_SET_ACL || type == ZK_OP_MULTI || type == ZK_OP_CLOSE_SESSION;
}

bool
prep_txn(struct prep *p, const struct prep_request *q, struct buf *txn)
{
	struct work w = {p, q, p->last_zxid + 1};
	size_t before = txn->len;
	int error;

	p->crc_known = false;
	switch (q->type) {
	case ZK_OP_MULTI:
		error = prep_multi(&w, txn);
		break;
	case ZK_OP_CREATE_SESSION:
		error = prep_create_session(&w, txn);
		break;
	case ZK_OP_CLOSE_SESSION:
		error = prep_close(&w, txn);
		break;
	default:
		error = prep_single(&w, txn);
	}
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
