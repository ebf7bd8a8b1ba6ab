/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that change nothing: one function each, in a table by operation. */
#include <endian.h>
#include <string.h>

#include "zkserver/core/server_priv.h"

static int
add_watch(struct reading *q, enum watch_kind kind, struct jute_bytes path)
{
	if (q->watchless)
		return ZK_OK;
	return watch_add(&q->s->watches, kind, WATCH_ONCE, path, &q->c->watcher) ? ZK_OK
										 : ZK_SYSTEMERROR;
}

/* The node at the path that leads the record, if it is there and the caller may do `perm` to it. */
static int
find(struct reading *q, struct jute_bytes path, int32_t perm, struct tree_node **n)
{
	struct tree *t = &q->s->db->tree;

	if (path.len < 0)
		return ZK_MARSHALLINGERROR; /* no path at all; "" is one that nothing has */
	if ((*n = tree_find_hashed(t, path, q->hash)) == NULL)
		return ZK_NONODE;
	return acl_allows(&t->acls, (*n)->acl, perm, &q->c->ids) ? ZK_OK : ZK_NOAUTH;
}

static void
put_stat(struct reading *q, const struct tree_node *n)
{
	uint8_t *to = buf_reserve(q->c->out, ZK_STAT_BYTES);

	if (to == NULL)
		return;
	db_put_stat(q->s->db, n, to);
	buf_commit(q->c->out, ZK_STAT_BYTES);
}

/* The node of a request that names a path and whether to watch it, watched if it is there. */
static int
take_node(struct reading *q, enum watch_kind kind, struct tree_node **n)
{
	struct jute_bytes path = jute_get_bytes(&q->r);
	bool watch = jute_get_bool(&q->r);
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	if ((error = find(q, path, ACL_READ, n)) != ZK_OK)
		return error;
	return watch ? add_watch(q, kind, path) : ZK_OK;
}

static int
read_exists(struct reading *q)
{
	struct jute_bytes path = jute_get_bytes(&q->r);
	bool watch = jute_get_bool(&q->r);
	struct tree_node *n;
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	if (path.len > 0 && memchr(path.data, '\0', (size_t)path.len) != NULL)
		return ZK_BADARGUMENTS;
	if ((error = find(q, path, ACL_READ, &n)) != ZK_OK && error != ZK_NONODE)
		return error;
	if (watch && add_watch(q, WATCH_DATA, path) != ZK_OK)
		return ZK_SYSTEMERROR;
	if (error == ZK_OK)
		put_stat(q, n);
	return error;
}

static int
read_data(struct reading *q)
{
	struct tree_node *n;
	int error = take_node(q, WATCH_DATA, &n);

	if (error != ZK_OK)
		return error;
	jute_put_bytes(q->c->out, tree_node_data(n));
	put_stat(q, n);
	return ZK_OK;
}

static void
put_name(void *arg, const struct tree_node *child)
{
	jute_put_bytes(arg, tree_node_name(child));
}

static int
put_children(struct reading *q, bool stat)
{
	struct tree_node *n;
	int error = take_node(q, WATCH_CHILD, &n);

	if (error != ZK_OK)
		return error;
	jute_put_i32(q->c->out, (int32_t)tree_child_count(n));
	tree_children(&q->s->db->tree, n, put_name, q->c->out);
	if (stat)
		put_stat(q, n);
	return ZK_OK;
}

static int
read_children(struct reading *q)
{
	return put_children(q, false);
}

static int
read_children2(struct reading *q)
{
	return put_children(q, true);
}

static int
read_acl(struct reading *q)
{
	struct jute_bytes path = jute_get_bytes(&q->r), list;
	const struct tree *t = &q->s->db->tree;
	struct tree_node *n;
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	if ((error = find(q, path, ACL_READ | ACL_ADMIN, &n)) != ZK_OK)
		return error;
	list = acl_bytes(&t->acls, n->acl);
	if (acl_allows(&t->acls, n->acl, ACL_ADMIN, &q->c->ids))
		buf_append(q->c->out, list.data, (size_t)list.len);
	else
		acl_put_masked(q->c->out, list);
	put_stat(q, n);
	return ZK_OK;
}

static int
read_sync(struct reading *q)
{
	struct jute_bytes path = jute_get_bytes(&q->r);

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	jute_put_bytes(q->c->out, path);
	return ZK_OK;
}

static int
read_ping(struct reading *q)
{
	(void)q;
	return ZK_OK;
}

static int
read_count(struct reading *q)
{
	struct jute_bytes path = jute_get_bytes(&q->r);
	struct tree_node *n;
	uint64_t count;
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	q->hash = tree_hash(&q->s->db->tree, path);
	if ((error = find(q, path, ACL_READ, &n)) != ZK_OK)
		return error;
	if (!tree_count_below(&q->s->db->tree, n, &count))
		return ZK_SYSTEMERROR;
	if (n->parent != 0) /* of the root it is known */
		q->s->walked += count;
	/* Below "", which is the root too, Apache's servers find "/" as well. */
	jute_put_i32(q->c->out, (int32_t)(count + (path.len == 0)));
	return ZK_OK;
}

/* The prefix is one of text: /a finds /ab too, as at Apache's servers. */
static bool
has_prefix(const struct buf *b, size_t at, struct jute_bytes prefix)
{
	return prefix.len <= 0 || (b->len - at >= (size_t)prefix.len &&
				      memcmp(b->data + at, prefix.data, (size_t)prefix.len) == 0);
}

static int
read_ephemerals(struct reading *q)
{
	struct jute_bytes prefix = jute_get_bytes(&q->r);
	const struct tree *t = &q->s->db->tree;
	const struct tree_owner *o = tree_owner_find(t, q->c->session_id);
	struct buf *b = q->c->out;
	size_t count_at = b->len;
	int32_t count = 0;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	jute_put_i32(b, 0);
	for (const struct list *l = o != NULL ? o->nodes.next : NULL;
	     l != NULL && l != &o->nodes && !b->failed; l = l->next) {
		const struct tree_owned *owned = CONTAINER_OF(l, struct tree_owned, of_owner);
		size_t at = b->len;

		jute_put_i32(b, 0);
		tree_node_path(t, tree_by_id(t, owned->id), b);
		if (b->failed)
			break;
		if (!has_prefix(b, at + 4, prefix)) {
			buf_truncate(b, at);
			continue;
		}
		jute_set_i32(b, at, (int32_t)(b->len - at - 4));
		count++;
	}
	if (!b->failed)
		jute_set_i32(b, count_at, count);
	return ZK_OK;
}

/* One entry for each identity: the scheme, and the user without what proves it. */
static int
read_who_am_i(struct reading *q)
{
	const struct buf *ids = &q->c->ids.ids;
	struct jute_reader r = jute_reader(ids->data, ids->len);

	jute_put_i32(q->c->out, q->c->ids.count);
	for (int32_t i = 0; i < q->c->ids.count; i++) {
		struct jute_bytes scheme = jute_get_bytes(&r), id = jute_get_bytes(&r);
		const uint8_t *colon = NULL;

		if (scheme.len == 6 && memcmp(scheme.data, "digest", 6) == 0 && id.len > 0)
			colon = memchr(id.data, ':', (size_t)id.len);
		if (colon != NULL)
			id.len = (int32_t)(colon - id.data);
		jute_put_bytes(q->c->out, scheme);
		jute_put_bytes(q->c->out, id);
	}
	return ZK_OK;
}

/* The next part of a multiRead. 1: there is one, *type says which; 0: the end; -1: it is none. */
static int
multi_next(struct jute_reader *r, int32_t *type)
{
	bool done;

	*type = jute_get_i32(r);
	done = jute_get_bool(r);
	jute_get_i32(r);
	if (r->bad)
		return -1;
	if (done)
		return 0;
	return *type == ZK_OP_GET_DATA || *type == ZK_OP_GET_CHILDREN ? 1 : -1;
}

static bool
multi_is_whole(struct jute_reader r)
{
	int32_t type;
	int got;

	while ((got = multi_next(&r, &type)) > 0) {
		jute_get_bytes(&r);
		jute_get_bool(&r);
	}
	return got == 0;
}

static void
put_multi_header(struct buf *b, int32_t type, bool done, int32_t error)
{
	jute_put_i32(b, type);
	jute_put_bool(b, done);
	jute_put_i32(b, error);
}

/* Each part answers for itself: the others do not fail with it. */
static int
read_multi(struct reading *q)
{
	struct buf *b = q->c->out;
	int32_t type;

	if (!multi_is_whole(q->r))
		return ZK_MARSHALLINGERROR;
	q->watchless = true;
	while (multi_next(&q->r, &type) > 0 && !b->failed) {
		struct jute_reader ahead = q->r;
		size_t at = b->len;
		int error;

		q->hash = tree_hash(&q->s->db->tree, jute_get_bytes(&ahead));
		put_multi_header(b, type, false, ZK_OK);
		error = type == ZK_OP_GET_DATA ? read_data(q) : read_children(q);
		if (error == ZK_OK || b->failed)
			continue;
		buf_truncate(b, at);
		put_multi_header(b, ZK_OP_ERROR, false, error);
		jute_put_i32(b, error);
	}
	put_multi_header(b, -1, true, -1);
	return ZK_OK;
}

/* One that can be read is a write. */
static int
read_broken_reconfig(struct reading *q)
{
	(void)q;
	return ZK_MARSHALLINGERROR;
}

static read_fn *
read_find(int32_t op)
{
	static const struct {
		int32_t op;
		read_fn *fn;
	} table[] = {
	    {ZK_OP_GET_DATA, read_data},
	    {ZK_OP_EXISTS, read_exists},
	    {ZK_OP_PING, read_ping},
	    {ZK_OP_GET_CHILDREN2, read_children2},
	    {ZK_OP_GET_CHILDREN, read_children},
	    {ZK_OP_GET_ACL, read_acl},
	    {ZK_OP_SYNC, read_sync},
	    {ZK_OP_MULTI_READ, read_multi},
	    {ZK_OP_GET_EPHEMERALS, read_ephemerals},
	    {ZK_OP_GET_ALL_CHILDREN_NUMBER, read_count},
	    {ZK_OP_WHO_AM_I, read_who_am_i},
	    {ZK_OP_ADD_WATCH, read_add_watch},
	    {ZK_OP_CHECK_WATCHES, read_check_watches},
	    {ZK_OP_REMOVE_WATCHES, read_remove_watches},
	    {ZK_OP_RECONFIG, read_broken_reconfig},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].op == op)
			return table[i].fn;
	}
	return NULL;
}

struct jute_bytes
frame_path(const struct server_frame *f)
{
	static const struct jute_bytes none = {NULL, -1};
	struct jute_reader r = jute_reader(f->bytes, f->size);
	int32_t type;

	jute_get_i32(&r);
	type = jute_get_i32(&r);
	if (type < ZK_OP_CREATE || type > ZK_OP_CREATE_TTL || type == ZK_OP_MULTI)
		return none;
	return jute_get_bytes(&r);
}

/*
 * A list of very many children. What failed although there was room for any reply is too large too;
 * what failed behind others is for reply_end(): the peer does not read.
 */
static bool
is_too_large(struct reading *q, size_t at)
{
	struct buf *b = q->c->out;

	if (b->failed ? at + SERVER_REPLY_BYTES_MAX > b->max_bytes
		      : b->len - at <= SERVER_REPLY_BYTES_MAX)
		return false;
	b->failed = false;
	q->s->refused.count[LIMIT_REPLY]++;
	return true;
}

void
read_serve(struct server *s, struct server_conn *c, int32_t xid, int32_t op,
    struct jute_reader body, uint32_t hash)
{
	struct reading q = {s, c, body, hash, false};
	read_fn *fn = read_find(op);
	size_t at;
	int error;

	if (op == ZK_OP_SET_WATCHES || op == ZK_OP_SET_WATCHES2) {
		error = read_set_watches(&q, op == ZK_OP_SET_WATCHES2);
		reply_send(s, c, xid, s->db->last_zxid, error, NULL);
		return;
	}
	if (fn == NULL) {
		reply_send(s, c, xid, -1, ZK_UNIMPLEMENTED, NULL);
		server_refuse_conn(
		    s, c, SERVER_CLOSE_FLUSHED, "an operation that is not known here");
		return;
	}
	at = reply_begin(s, c);
	error = fn(&q);
	if (is_too_large(&q, at))
		error = ZK_SYSTEMERROR;
	reply_end(s, c, at, op == ZK_OP_PING ? ZK_XID_PING : xid, s->db->last_zxid, error);
}
