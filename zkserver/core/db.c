/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/db.h"

#include <endian.h>
#include <string.h>

#include "libcommon/base/plants.h"

struct apply {
	struct db *db;
	const struct txn *txn;
	const struct apply_live *live;
	void (*part)(void *arg, const struct apply_part *p);
	void *arg;
	const struct tree_node *node; /* that the change at hand has made or changed */
};

bool
db_init(struct db *db, const struct hash_key *key, uint32_t tick_ms)
{
	*db = (struct db){0};
	session_table_init(&db->sessions, tick_ms);
	return tree_init(&db->tree, key);
}

void
db_fini(struct db *db)
{
	tree_fini(&db->tree);
	session_table_fini(&db->sessions);
}

void
db_set_rules(struct db *db, const struct tree_rules *rules)
{
	db->rules = db->tree.rules = *rules;
}

static bool
reset(struct db *db, bool (*init)(struct tree *t, const struct hash_key *key))
{
	struct tree_rules rules = db->rules;
	struct hash_key key = db->tree.hash_key;
	uint32_t tick_ms = db->sessions.tick_ms;

	db_fini(db);
	*db = (struct db){0};
	session_table_init(&db->sessions, tick_ms);
	if (!init(&db->tree, &key))
		return false;
	db_set_rules(db, &rules);
	return true;
}

bool
db_reset(struct db *db)
{
	return reset(db, tree_init);
}

bool
db_reset_bare(struct db *db)
{
	return reset(db, tree_init_bare);
}

bool
db_find_hidden_ttl(const struct db *db, struct buf *path)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &db->tree.owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);
		const struct tree_owned *first =
		    CONTAINER_OF(o->nodes.next, struct tree_owned, of_owner);

		if (!tree_is_ttl_owner(o->session) ||
		    session_find(&db->sessions, o->session) != NULL)
			continue;
		tree_node_path(&db->tree, tree_by_id(&db->tree, first->id), path);
		return true;
	}
	return false;
}

bool
db_find_unlisted(const struct db *db, struct buf *path)
{
	const struct tree_node *n =
	    tree_find(&db->tree, (struct jute_bytes){(const uint8_t *)"", 0});

	if (db->tree.acls.unlisted == 0)
		return false;
	while (n != NULL && n->acl != ACL_KEY_UNLISTED)
		n = tree_next(&db->tree, path);
	return n != NULL;
}

/* Delete all nodes of an owner, oldest first. */
static enum tree_result delete_owned(
    struct db *db, int64_t session, int64_t zxid, const struct apply *a);

/* Owners that are no sessions. */
static void
find_orphans(const struct db *db, struct buf *to)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &db->tree.owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);

		if (session_find(&db->sessions, o->session) == NULL)
			buf_append(to, &o->session, sizeof o->session);
	}
}

bool
db_has_orphans(const struct db *db)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &db->tree.owners) {
		const struct tree_owner *o = HMAP_ENTRY(it, struct tree_owner, link);

		if (session_find(&db->sessions, o->session) == NULL)
			return true;
	}
	return false;
}

bool
db_finish_load(struct db *db)
{
	struct buf orphans;
	int64_t session;
	bool ok;

	/* All first: a node of one may go with what is above it, and be another's last. */
	buf_init(&orphans, SIZE_MAX / 4);
	find_orphans(db, &orphans);
	ok = !orphans.failed;
	for (size_t at = 0; ok && at < orphans.len; at += sizeof session) {
		memcpy(&session, orphans.data + at, sizeof session);
		ok = delete_owned(db, session, db->last_zxid, NULL) != TREE_NO_MEMORY;
	}
	buf_fini(&orphans);
	acl_purge(&db->tree.acls);
	return ok && tree_add_config(&db->tree);
}

static uint8_t *
put64(uint8_t *p, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	uint32_t be = htobe32(v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

/* Clients see creates and deletes in cversion, and an owner only if it is a session. */
static void
put_stat(const struct db *db, const struct tree_node *n, uint32_t data_len, uint8_t *stat)
{
	uint32_t kids = tree_child_count(n);
	int64_t owner = tree_node_owner(&db->tree, n);
	uint8_t *p = stat;

	p = put64(p, n->czxid);
	p = put64(p, n->mzxid);
	p = put64(p, n->ctime);
	p = put64(p, n->mtime);
	p = put32(p, (uint32_t)n->version);
	p = put32(p, (uint32_t)n->cversion * 2 -
			 (ZAB_PLANTED(PLANT_STAT_OF_CREATES) ? (uint32_t)n->cversion : kids));
	p = put32(p, (uint32_t)n->aversion);
	p = put64(p, tree_owner_kind(&db->tree, owner) == TREE_OWNER_SESSION ? owner : 0);
	p = put32(p, data_len);
	p = put32(p, kids);
	put64(p, n->pzxid);
}

void
db_put_stat(const struct db *db, const struct tree_node *n, uint8_t stat[ZK_STAT_BYTES])
{
	put_stat(db, n, n->data_len, stat);
}

static void
tell(const struct apply *a, enum watch_event event, struct jute_bytes path, uint32_t acl)
{
	if (a != NULL && a->live != NULL)
		a->live->changed(a->live->arg, event, path, acl);
}

static struct jute_bytes
parent_path(struct jute_bytes path)
{
	static const struct jute_bytes root = {(const uint8_t *)"/", 1};
	int32_t at = path.len;

	while (at > 0 && path.data[at - 1] != '/')
		at--;
	return at <= 1 ? root : (struct jute_bytes){path.data, at - 1};
}

/* Whoever watches the children of the node's parent. */
static void
tell_parent(const struct apply *a, const struct tree_node *parent, struct jute_bytes path)
{
	tell(a, WATCH_CHILDREN_CHANGED, parent_path(path), parent->acl);
}

static int
error_of(enum tree_result result)
{
	switch (result) {
	case TREE_OK:
		return ZK_OK;
	case TREE_NODE_EXISTS:
		return ZK_NODEEXISTS;
	case TREE_NO_NODE:
		return ZK_NONODE;
	default:
		return ZK_SYSTEMERROR;
	}
}

static const struct apply_known *
known_of(const struct apply *a)
{
	return a->live != NULL ? a->live->known : NULL;
}

static uint32_t
crc_of(const struct apply *a, const struct txn_body *b)
{
	const struct apply_known *known = known_of(a);

	return known != NULL ? known->crc : tree_crc(b->path, b->data);
}

static struct tree_place
place_of(const struct apply *a, const struct txn_body *b)
{
	const struct apply_known *known = known_of(a);

	if (known != NULL)
		return (struct tree_place){b->path, known->hash, known->above_hash};
	return tree_place(&a->db->tree, b->path);
}

bool
db_know(const struct db *db, const struct txn *txn, struct apply_known *known)
{
	const struct txn_body *b = &txn->body;
	struct tree_place at;

	switch (b->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		at = tree_place(&db->tree, b->path);
		break;
	case ZK_OP_SET_DATA:
		at.hash = tree_hash(&db->tree, b->path);
		at.above_hash = 0;
		break;
	default:
		return false;
	}
	*known = (struct apply_known){at.hash, at.above_hash, tree_crc(b->path, b->data)};
	return true;
}

static enum tree_result
apply_create(struct apply *a, const struct txn_body *b)
{
	struct tree *t = &a->db->tree;
	struct tree_create c = {
	    .at = place_of(a, b),
	    .data = b->data,
	    .crc = crc_of(a, b),
	    .owner = b->owner,
	    .parent_cversion = b->version,
	    .zxid = a->txn->header.zxid,
	    .time_ms = a->txn->header.time_ms,
	};
	enum tree_result result;

	if ((c.acl = acl_intern(&t->acls, b->acl)) == ACL_KEY_NONE)
		return TREE_NO_MEMORY;
	if ((result = tree_create(t, &c)) != TREE_OK)
		return result;
	a->node = c.node;
	tell(a, WATCH_NODE_CREATED, b->path, c.acl);
	tell_parent(a, c.parent, b->path);
	return TREE_OK;
}

static enum tree_result
apply_delete(const struct apply *a, struct db *db, struct tree_place at, int64_t zxid)
{
	struct tree_delete d = {.at = at, .zxid = zxid};
	enum tree_result result = tree_delete(&db->tree, &d);

	if (result != TREE_OK)
		return result;
	tell(a, WATCH_NODE_DELETED, at.path, d.acl);
	tell_parent(a, d.parent, at.path);
	acl_unref(&db->tree.acls, d.acl);
	return TREE_OK;
}

static enum tree_result
apply_set_data(struct apply *a, const struct txn_body *b)
{
	struct tree_set s = {
	    .at = place_of(a, b),
	    .data = b->data,
	    .crc = crc_of(a, b),
	    .version = b->version,
	    .zxid = a->txn->header.zxid,
	    .time_ms = a->txn->header.time_ms,
	};
	enum tree_result result = tree_set_data(&a->db->tree, &s);

	if (result != TREE_OK)
		return result;
	a->node = s.node;
	tell(a, WATCH_DATA_CHANGED, b->path, s.node->acl);
	return TREE_OK;
}

static enum tree_result
apply_set_acl(struct apply *a, const struct txn_body *b)
{
	struct tree_set s = {.at = place_of(a, b), .version = b->version};
	enum tree_result result;

	if ((s.acl = acl_intern(&a->db->tree.acls, b->acl)) == ACL_KEY_NONE)
		return TREE_NO_MEMORY;
	if ((result = tree_set_acl(&a->db->tree, &s)) == TREE_OK)
		a->node = s.node;
	return result;
}

static bool
is_create_with_stat(int32_t type)
{
	return type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER || type == ZK_OP_CREATE_TTL;
}

static bool
answers_stat(int32_t type)
{
	return is_create_with_stat(type) || type == ZK_OP_SET_DATA || type == ZK_OP_SET_ACL ||
	       type == ZK_OP_RECONFIG;
}

static void
report(const struct apply *a, const struct txn_body *b, int error)
{
	struct apply_part p;

	if (a->part == NULL)
		return;
	p.type = b->type;
	p.error = error;
	p.path = b->path;
	p.has_stat = error == ZK_OK && answers_stat(b->type) && a->node != NULL;
	if (p.has_stat) {
		uint32_t data_len = a->node->data_len;

		if (is_create_with_stat(b->type)) /* a quota's statistics are counted by now */
			data_len = b->data.len > 0 ? (uint32_t)b->data.len : 0;
		put_stat(a->db, a->node, data_len, p.stat);
	}
	a->part(a->arg, &p);
}

/* One change, alone or as a part of a multi. False: no memory. */
static bool
apply_body(struct apply *a, const struct txn_body *b)
{
	enum tree_result result = TREE_OK;

	a->node = NULL;
	switch (b->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		result = apply_create(a, b);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		result = apply_delete(a, a->db, place_of(a, b), a->txn->header.zxid);
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		result = apply_set_data(a, b);
		break;
	case ZK_OP_SET_ACL:
		result = apply_set_acl(a, b);
		break;
	default:
		break;
	}
	if (result == TREE_NO_MEMORY ||
	    (ZAB_PLANTED(PLANT_REPLAY_STRICT) && result == TREE_NO_NODE))
		return false;
	report(a, b, b->type == ZK_OP_ERROR ? b->error : error_of(result));
	return true;
}

/* A multi that failed has an error among its parts; then none is carried out, and each reports one.
 */
static enum apply_status
apply_multi(struct apply *a)
{
	struct jute_reader r = a->txn->body.rest;
	struct txn_body part, failed = {.type = ZK_OP_ERROR};
	bool bad = false;
	int32_t i;

	for (i = 0; i < a->txn->body.count; i++) {
		if (!txn_next_part(&r, &a->txn->header, &part))
			return APPLY_BAD;
		bad |= part.type == ZK_OP_ERROR;
	}
	r = a->txn->body.rest;
	for (i = 0; i < a->txn->body.count; i++) {
		txn_next_part(&r, &a->txn->header, &part);
		if (bad)
			report(a, &failed, part.type == ZK_OP_ERROR ? part.error : ZK_OK);
		else if (!apply_body(a, &part))
			return APPLY_NO_MEMORY;
		else if (ZAB_PLANTED(PLANT_HALF_MULTI) && a->node == NULL)
			break;
	}
	return APPLY_OK;
}

static enum tree_result
delete_owned(struct db *db, int64_t session, int64_t zxid, const struct apply *a)
{
	struct tree_owner *o;
	struct buf path;
	enum tree_result result = TREE_OK;

	buf_init(&path, INT32_MAX);
	while (result != TREE_NO_MEMORY && (o = tree_owner_find(&db->tree, session)) != NULL) {
		const struct tree_owned *first =
		    CONTAINER_OF(list_first(&o->nodes), struct tree_owned, of_owner);

		buf_clear(&path);
		tree_node_path(&db->tree, tree_by_id(&db->tree, first->id), &path);
		if (path.failed)
			result = TREE_NO_MEMORY;
		else
			result = apply_delete(a, db,
			    tree_place(
				&db->tree, (struct jute_bytes){path.data, (int32_t)path.len}),
			    zxid);
	}
	buf_fini(&path);
	return result;
}

static enum apply_status
apply_close(const struct apply *a)
{
	const struct txn_header *h = &a->txn->header;
	struct jute_reader r = a->txn->body.rest;

	for (int32_t i = 0; i < a->txn->body.count; i++) {
		struct tree_place at = tree_place(&a->db->tree, jute_get_bytes(&r));

		if (apply_delete(a, a->db, at, h->zxid) == TREE_NO_MEMORY)
			return APPLY_NO_MEMORY;
	}
	if (delete_owned(a->db, h->session, h->zxid, a) == TREE_NO_MEMORY)
		return APPLY_NO_MEMORY;
	session_remove(&a->db->sessions, h->session);
	report(a, &a->txn->body, ZK_OK);
	return APPLY_OK;
}

static void
compare_digest(struct db *db, const struct txn *txn)
{
	if (!txn->has_digest || txn->header.zxid <= db->digest_from_zxid)
		return;
	if (txn->digest == db->tree.digest)
		db->digest_match_zxid = txn->header.zxid;
	else if (db->digest_mismatches++ == 0)
		db->digest_mismatch_zxid = txn->header.zxid;
}

static void
remember_digest(struct db *db, int64_t zxid)
{
	if (zxid % DB_DIGEST_EVERY == 0)
		db->digests[db->digest_count++ % DB_DIGESTS_MAX] =
		    (struct db_digest){zxid, db->tree.digest};
}

enum apply_status
db_apply_txn(struct db *db, const struct txn *txn, uint64_t now_ms, const struct apply_live *live,
    void (*part)(void *arg, const struct apply_part *p), void *arg)
{
	struct apply a = {db, txn, live, part, arg, NULL};
	enum apply_status status = APPLY_OK;

	switch (txn->header.type) {
	case ZK_OP_MULTI:
		status = apply_multi(&a);
		break;
	case ZK_OP_CLOSE_SESSION:
		status = apply_close(&a);
		break;
	case ZK_OP_CREATE_SESSION:
		if (session_add(&db->sessions, txn->header.session, txn->body.timeout_ms, now_ms) ==
		    NULL)
			return APPLY_NO_MEMORY;
		report(&a, &txn->body, ZK_OK);
		break;
	default:
		if (!apply_body(&a, &txn->body))
			return APPLY_NO_MEMORY;
	}
	if (status != APPLY_OK)
		return status;
	if (txn->header.zxid > db->last_zxid)
		db->last_zxid = txn->header.zxid;
	compare_digest(db, txn);
	remember_digest(db, txn->header.zxid);
	return APPLY_OK;
}

enum apply_status
db_apply(struct db *db, const void *bytes, size_t size, uint64_t now_ms,
    const struct apply_live *live, void (*part)(void *arg, const struct apply_part *p), void *arg)
{
	struct txn txn;

	if (!txn_decode(&txn, bytes, size))
		return APPLY_BAD;
	return db_apply_txn(db, &txn, now_ms, live, part, arg);
}
