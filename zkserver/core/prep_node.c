/* SPDX-License-Identifier: Apache-2.0 */
/* One write of a client: is it allowed, and what does it make of the nodes? */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/path.h"
#include "zkserver/core/prep_priv.h"

#define CONFIG_PATH "/zookeeper/config"
#define SUFFIX_BYTES 12 /* "-2147483648" and a NUL */

static bool
allowed(const struct work *w, const struct change_node *n, int32_t perm)
{
	return acl_allows(&w->p->db->tree.acls, n->acl, perm, w->q->who);
}

static int
put(const struct work *w, struct jute_bytes path, uint32_t hash, const struct change_node *n)
{
	return changes_put(&w->p->changes, path, hash, n, w->zxid) ? ZK_OK : ZK_SYSTEMERROR;
}

static bool
look(const struct work *w, struct jute_bytes path, uint32_t hash, struct change_node *n)
{
	return changes_look(&w->p->changes, path, hash, n);
}

/* Whoever applies the txn gets from here what was computed once. */
static void
set_hash(const struct work *w, struct tree_place *at, uint32_t hash)
{
	w->p->known.hash = at->hash = hash;
}

/* The parent's path, and its hash; false if the path has no parent. */
static bool
find_above(const struct work *w, struct tree_place *at, struct jute_bytes *above)
{
	if (!path_parent(at->path, above))
		return false;
	at->above_hash = tree_hash(&w->p->db->tree, *above);
	w->p->known.above_hash = at->above_hash;
	return true;
}

/* Path and data stay, and so these are the only changes of the stat that count. */
static void
restat(struct change_node *n, int32_t cversion, int32_t aversion, int64_t pzxid)
{
	const struct tree_stat bits = {
	    .cversion = n->stat.cversion ^ cversion,
	    .aversion = n->stat.aversion ^ aversion,
	    .pzxid = n->stat.pzxid ^ pzxid,
	};

	n->stat.cversion = cversion;
	n->stat.aversion = aversion;
	n->stat.pzxid = pzxid;
	if (!n->undigested)
		n->digest = tree_digest_flip(n->digest, &bits);
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

bool
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

/* The node will have the body's data instead of so many bytes; count: nodes that it is more. */
static int
check_quota(const struct work *w, const struct txn_body *b, uint32_t data_len, int64_t count)
{
	int64_t bytes = (b->data.len > 0 ? b->data.len : 0) - (int64_t)data_len;
	struct prep *p = w->p;

	if (!p->enforce_quota)
		return ZK_OK;
	if (ZAB_PLANTED(PLANT_QUOTA_BEHIND) && count == 0 &&
	    tree_find(&p->db->tree, b->path) == NULL)
		return ZK_NONODE;
	return quota_check(&p->db->tree, b->path, bytes, count, &p->quota);
}

/* With the data of the body. */
static void
set_digest(const struct work *w, const struct txn_body *b, struct change_node *n)
{
	w->p->known.crc = tree_crc(b->path, b->data);
	n->digest = n->undigested ? 0 : tree_digest_of(w->p->known.crc, &n->stat);
}

static bool
is_undigested(struct jute_bytes path)
{
	static const char below[] = "/zookeeper/";
	size_t len = sizeof below - 1;

	return (size_t)path.len >= len && memcmp(path.data, below, len) == 0;
}

/* The node will be there, and the parent will know. */
static int
put_created(const struct work *w, const struct txn_body *b, const struct tree_place *at,
    struct jute_bytes above, struct change_node *parent)
{
	struct change_node n = {
	    .exists = true,
	    .undigested = is_undigested(b->path),
	    .data_len = b->data.len > 0 ? (uint32_t)b->data.len : 0,
	    .stat = {.czxid = w->zxid,
		.mzxid = w->zxid,
		.pzxid = w->zxid,
		.ctime = w->q->time_ms,
		.mtime = w->q->time_ms,
		.ephemeral_owner = b->owner},
	};
	int error;

	set_digest(w, b, &n);
	if ((n.acl = acl_intern(&w->p->db->tree.acls, b->acl)) == ACL_KEY_NONE)
		return ZK_SYSTEMERROR;
	error = put(w, b->path, at->hash, &n);
	acl_unref(&w->p->db->tree.acls, n.acl);
	if (error != ZK_OK)
		return error;
	parent->kids++;
	if (b->version > parent->stat.cversion) /* as the tree does it: only raised */
		restat(parent, b->version, parent->stat.aversion, w->zxid);
	return put(w, above, at->above_hash, parent);
}

static int
prep_create(const struct work *w, const struct op *op, struct txn_body *body)
{
	bool sequential = op->flags == ZK_SEQUENTIAL || op->flags == ZK_EPHEMERAL_SEQUENTIAL ||
			  op->flags == ZK_SEQUENTIAL_TTL;
	struct tree_place at = {.path = op->path};
	struct change_node parent, n;
	struct jute_bytes above;
	int32_t number;
	int error;

	if ((error = check_mode(w, op)) != ZK_OK)
		return error;
	body->path = op->path;
	body->data = op->data;
	set_owner(w, op, body);
	if (op->path.len < 0) /* Apache's server reads on, and stumbles */
		return ZK_MARSHALLINGERROR;
	if (!find_above(w, &at, &above))
		return op->path.len < 0 ? ZK_MARSHALLINGERROR : ZK_BADARGUMENTS;
	if ((error = make_acl(w, op, body)) != ZK_OK)
		return error;
	if (!look(w, above, at.above_hash, &parent))
		return ZK_NONODE;
	if (!allowed(w, &parent, ACL_CREATE))
		return ZK_NOAUTH;
	number = ZAB_PLANTED(PLANT_NUMBERS_BY_COUNT) ? (int32_t)parent.kids : parent.stat.cversion;
	if (sequential && (error = add_suffix(w, number, &body->path)) != ZK_OK)
		return error;
	if (!path_is_valid(body->path))
		return ZK_BADARGUMENTS;
	at.path = body->path;
	set_hash(w, &at, sequential ? tree_hash(&w->p->db->tree, at.path) : op->hash);
	if (look(w, at.path, at.hash, &n))
		return ZK_NODEEXISTS;
	if (tree_owner_kind(&w->p->db->tree, parent.stat.ephemeral_owner) == TREE_OWNER_SESSION)
		return ZK_NOCHILDRENFOREPHEMERALS;
	if ((error = check_quota(w, body, 0, 1)) != ZK_OK)
		return error;
	body->version = (int32_t)((uint32_t)parent.stat.cversion + 1);
	return put_created(w, body, &at, above, &parent);
}

int
put_deleted(const struct work *w, const struct tree_place *at, const struct change_node *n)
{
	const struct change_node gone = {.was = n->was};
	struct jute_bytes above;
	struct change_node parent;
	int error;

	if (!path_parent(at->path, &above))
		return ZK_BADARGUMENTS;
	if ((error = put(w, at->path, at->hash, &gone)) != ZK_OK)
		return error;
	look(w, above, at->above_hash, &parent);
	parent.kids--;
	if (w->zxid > parent.stat.pzxid)
		restat(&parent, parent.stat.cversion, parent.stat.aversion, w->zxid);
	return put(w, above, at->above_hash, &parent);
}

static bool
is_builtin(struct jute_bytes path)
{
	return path_equals(path, "/") || path_equals(path, "/zookeeper") ||
	       path_equals(path, "/zookeeper/quota") || path_equals(path, CONFIG_PATH);
}

static bool
version_matches(int32_t wanted, int32_t version)
{
	return wanted == -1 || wanted == version;
}

/* Never -1, which means any: Apache's servers come to that after 2^32 - 1 changes. */
static int32_t
version_after(int32_t version)
{
	int32_t next = (int32_t)((uint32_t)version + 1);

	return next == -1 && !ZAB_PLANTED(PLANT_VERSION_ANY) ? 0 : next;
}

static int
prep_delete(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct tree_place at = {.path = op->path};
	struct change_node parent, n;
	struct jute_bytes above;

	if (op->path.len < 0)
		return ZK_MARSHALLINGERROR;
	if (!find_above(w, &at, &above) || is_builtin(op->path))
		return op->path.len < 0 ? ZK_MARSHALLINGERROR : ZK_BADARGUMENTS;
	if (!look(w, above, at.above_hash, &parent))
		return ZK_NONODE;
	if (!allowed(w, &parent, ACL_DELETE))
		return ZK_NOAUTH;
	set_hash(w, &at, op->hash);
	if (!look(w, at.path, at.hash, &n))
		return ZK_NONODE;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	if (n.kids > 0)
		return ZK_NOTEMPTY;
	body->path = op->path;
	return put_deleted(w, &at, &n);
}

/* A container or TTL node that is no longer wanted; nobody's wish, so no ACL is asked. */
static int
prep_delete_container(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct tree_place at = {.path = op->path};
	struct jute_bytes above;
	struct change_node n;

	if (is_builtin(op->path) || !find_above(w, &at, &above))
		return ZK_BADARGUMENTS;
	set_hash(w, &at, op->hash);
	if (!look(w, at.path, at.hash, &n))
		return ZK_NONODE;
	if (n.kids > 0)
		return ZK_NOTEMPTY;
	if (tree_owner_kind(&w->p->db->tree, n.stat.ephemeral_owner) == TREE_OWNER_SESSION)
		return ZK_BADVERSION;
	MARK("a container or a TTL node is no longer wanted");
	body->path = op->path;
	return put_deleted(w, &at, &n);
}

static int
prep_set_data(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct tree_place at = {.path = op->path};
	struct change_node n;
	int error;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	set_hash(w, &at, op->hash);
	if (!look(w, at.path, at.hash, &n))
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_WRITE))
		return ZK_NOAUTH;
	body->path = op->path;
	body->data = op->data;
	if ((error = check_quota(w, body, n.data_len, 0)) != ZK_OK)
		return error;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	body->version = version_after(n.stat.version);
	n.stat.version = body->version;
	n.stat.mzxid = w->zxid;
	n.stat.mtime = w->q->time_ms;
	set_digest(w, body, &n);
	n.data_len = op->data.len > 0 ? (uint32_t)op->data.len : 0;
	return put(w, at.path, at.hash, &n);
}

static int
prep_set_acl(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct acl_table *acls = &w->p->db->tree.acls;
	struct tree_place at = {.path = op->path};
	struct change_node n;
	int error;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	if ((error = make_acl(w, op, body)) != ZK_OK)
		return error;
	set_hash(w, &at, op->hash);
	if (!look(w, at.path, at.hash, &n))
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_ADMIN))
		return ZK_NOAUTH;
	if (!version_matches(op->version, n.stat.aversion))
		return ZK_BADVERSION;
	body->path = op->path;
	body->version = version_after(n.stat.aversion);
	restat(&n, n.stat.cversion, body->version, n.stat.pzxid);
	if ((n.acl = acl_intern(acls, body->acl)) == ACL_KEY_NONE)
		return ZK_SYSTEMERROR;
	error = put(w, at.path, at.hash, &n);
	acl_unref(acls, n.acl);
	return error;
}

static int
prep_check(const struct work *w, const struct op *op, struct txn_body *body)
{
	struct change_node n;

	if (!path_is_valid(op->path))
		return ZK_BADARGUMENTS;
	if (!look(w, op->path, op->hash, &n))
		return ZK_NONODE;
	if (!allowed(w, &n, ACL_READ))
		return ZK_NOAUTH;
	if (!version_matches(op->version, n.stat.version))
		return ZK_BADVERSION;
	body->path = op->path;
	body->version = (int32_t)((uint32_t)n.stat.version + 1);
	return ZK_OK;
}

/* A set of the node that has the configuration, whose version then is -1, as at Apache's. */
static int
prep_reconfig(const struct work *w, struct txn_body *body)
{
	static const struct jute_bytes node = {
	    (const uint8_t *)CONFIG_PATH, sizeof CONFIG_PATH - 1};
	struct jute_reader r = w->q->body;
	struct reconf_request asked = {.joining = jute_get_bytes(&r)};
	struct prep *p = w->p;
	struct tree_place at = {.path = node};
	struct change_node n;
	int error;

	asked.leaving = jute_get_bytes(&r);
	asked.members = jute_get_bytes(&r);
	asked.base = jute_get_i64(&r);
	if (!p->reconfig_enabled)
		return ZK_RECONFIGDISABLED;
	if (p->reconfig == NULL)
		return ZK_UNIMPLEMENTED;
	buf_clear(&p->path);
	if ((error = p->reconfig(p->reconfig_arg, &asked, w->zxid, &p->path)) != ZK_OK)
		return error;
	set_hash(w, &at, tree_hash(&p->db->tree, node));
	if (p->path.failed || !look(w, at.path, at.hash, &n))
		return ZK_SYSTEMERROR;
	if (!allowed(w, &n, ACL_WRITE))
		return ZK_NOAUTH;
	if (p->reconfig_made != NULL && (error = p->reconfig_made(p->reconfig_arg)) != ZK_OK)
		return error;
	body->path = node;
	body->data = (struct jute_bytes){p->path.data, (int32_t)p->path.len};
	body->version = n.stat.version = -1;
	n.stat.mzxid = w->zxid;
	n.stat.mtime = w->q->time_ms;
	set_digest(w, body, &n);
	n.data_len = (uint32_t)body->data.len;
	return put(w, at.path, at.hash, &n);
}

int
prep_op(const struct work *w, const struct op *op, struct txn_body *body)
{
	const struct limits_write write = {w->q->session, op->type, op->flags, op->path};
	const struct prep *p = w->p;
	int error;

	*body = (struct txn_body){.type = op->type, .data = {NULL, -1}, .acl = {NULL, -1}};
	if (p->limits != NULL &&
	    (error = limits_check(p->limits, p->refused, &p->db->tree, &write)) != ZK_OK)
		return error;
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
	case ZK_OP_RECONFIG:
		return prep_reconfig(w, body);
	default:
		return ZK_UNIMPLEMENTED;
	}
}
