/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that change nothing: one function each, in a table by operation. */
#include <endian.h>
#include <string.h>

#include "zkserver/core/server_priv.h"

#define TEXT_BYTES_MIN 4

/* A request that is being answered; its record goes to c->out. */
struct reading {
	struct server *s;
	struct server_conn *c;
	struct jute_reader r;
	uint32_t hash; /* of the path that leads the record */
};

/* Append the record of the answer, or return an error. */
typedef int read_fn(struct reading *q);

static int
add_watch(struct reading *q, enum watch_kind kind, struct jute_bytes path)
{
	return watch_add(&q->s->watches, kind, path, &q->c->watcher) ? ZK_OK : ZK_SYSTEMERROR;
}

/* The node at the path that leads the record, if it is there and the caller may do `perm` to it. */
static int
find(struct reading *q, struct jute_bytes path, int32_t perm, struct tree_node **n)
{
	struct tree *t = &q->s->db->tree;

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
	if ((error = find(q, path, ACL_READ, &n)) == ZK_NOAUTH)
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
	struct jute_bytes path = jute_get_bytes(&q->r), data;
	bool watch = jute_get_bool(&q->r);
	struct tree_node *n;
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	if ((error = find(q, path, ACL_READ, &n)) != ZK_OK)
		return error;
	if (watch && add_watch(q, WATCH_DATA, path) != ZK_OK)
		return ZK_SYSTEMERROR;
	data = tree_node_data(n);
	jute_put_bytes(q->c->out, data);
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
	struct jute_bytes path = jute_get_bytes(&q->r);
	bool watch = jute_get_bool(&q->r);
	struct tree_node *n;
	int error;

	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	if ((error = find(q, path, ACL_READ, &n)) != ZK_OK)
		return error;
	if (watch && add_watch(q, WATCH_CHILD, path) != ZK_OK)
		return ZK_SYSTEMERROR;
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

/* What setWatches makes of one path: an event for what was missed, or a watch. */
enum rewatch { REWATCH_DATA, REWATCH_EXIST, REWATCH_CHILD, REWATCH_LISTS };

static int
rewatch(struct reading *q, enum rewatch list, struct jute_bytes path, int64_t seen_zxid)
{
	const struct tree_node *n = tree_find(&q->s->db->tree, path);
	enum watch_kind kind = list == REWATCH_CHILD ? WATCH_CHILD : WATCH_DATA;
	enum watch_event event;

	if (list == REWATCH_EXIST
		? n == NULL
		: n != NULL && (list == REWATCH_DATA ? n->mzxid : n->pzxid) <= seen_zxid)
		return add_watch(q, kind, path);
	if (list == REWATCH_EXIST)
		event = WATCH_NODE_CREATED;
	else if (n == NULL)
		event = WATCH_NODE_DELETED;
	else
		event = list == REWATCH_DATA ? WATCH_DATA_CHANGED : WATCH_CHILDREN_CHANGED;
	/* Somebody who may not read it learns nothing, not even that it is there. */
	if (n == NULL || acl_allows(&q->s->db->tree.acls, n->acl, ACL_READ, &q->c->ids))
		event_send(q->s, q->c, -1, event, path);
	return ZK_OK;
}

/*
 * The events go out before the reply, which has not been begun: so this answers by itself. Checked
 * whole before anything is done.
 */
static int
read_set_watches(struct reading *q)
{
	int64_t seen_zxid = jute_get_i64(&q->r);
	struct jute_reader lists = q->r;
	int error = ZK_OK;

	for (int l = 0; l < REWATCH_LISTS; l++) {
		for (int32_t count = jute_get_count(&q->r, TEXT_BYTES_MIN); count > 0; count--)
			jute_get_bytes(&q->r);
	}
	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	for (int l = 0; l < REWATCH_LISTS; l++) {
		for (int32_t count = jute_get_count(&lists, TEXT_BYTES_MIN);
		     count > 0 && error == ZK_OK; count--)
			error = rewatch(q, (enum rewatch)l, jute_get_bytes(&lists), seen_zxid);
	}
	return error;
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

void
read_serve(struct server *s, struct server_conn *c, int32_t xid, int32_t op,
    struct jute_reader body, uint32_t hash)
{
	struct reading q = {s, c, body, hash};
	read_fn *fn = read_find(op);
	size_t at;
	int error;

	if (op == ZK_OP_SET_WATCHES) {
		error = read_set_watches(&q);
		reply_send(s, c, xid, s->db->last_zxid, error, NULL);
		return;
	}
	if (fn == NULL) {
		reply_send(s, c, xid, -1, ZK_UNIMPLEMENTED, NULL);
		server_refuse_conn(
		    s, c, SERVER_CLOSE_FLUSHED, "an operation that is not known here");
		return;
	}
	at = reply_begin(c);
	error = fn(&q);
	reply_end(s, c, at, op == ZK_OP_PING ? ZK_XID_PING : xid, s->db->last_zxid, error);
}
