/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/txn.h"

#include <assert.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/tree.h"

#define PART_BYTES_MIN 8
#define TEXT_BYTES_MIN 4
#define ACL_ITEM_BYTES_MIN 12

static const struct jute_bytes NOTHING = {NULL, -1};

static bool
get_header(struct jute_reader *r, struct txn_header *h)
{
	h->session = jute_get_i64(r);
	h->cxid = jute_get_i32(r);
	h->zxid = jute_get_i64(r);
	h->time_ms = jute_get_i64(r);
	h->type = jute_get_i32(r);
	return !r->bad;
}

/* The bytes of an ACL vector, its count included. */
static struct jute_bytes
get_acl(struct jute_reader *r)
{
	const uint8_t *start = r->pos;
	int32_t count = jute_get_count(r, ACL_ITEM_BYTES_MIN);

	if (count < 0)
		return NOTHING;
	for (; count > 0 && !r->bad; count--) {
		jute_get_i32(r);
		jute_get_bytes(r);
		jute_get_bytes(r);
	}
	return r->bad ? NOTHING : (struct jute_bytes){start, (int32_t)(r->pos - start)};
}

static void
get_create(struct jute_reader *r, const struct txn_header *h, struct txn_body *b)
{
	b->path = jute_get_bytes(r);
	b->data = jute_get_bytes(r);
	b->acl = get_acl(r);
	if (b->type == ZK_OP_CREATE || b->type == ZK_OP_CREATE2) {
		b->ephemeral = jute_get_bool(r);
		b->owner = b->ephemeral ? h->session : 0;
		/* The oldest logs end here. */
		b->version = !r->bad && jute_left(r) == 0 ? -1 : jute_get_i32(r);
		return;
	}
	b->version = jute_get_i32(r);
	b->owner = b->type == ZK_OP_CREATE_CONTAINER ? TREE_CONTAINER_OWNER
						     : tree_ttl_owner(jute_get_i64(r));
}

/* Leave the reader behind a vector and remember where its items begin. */
static void
get_vector(struct jute_reader *r, struct txn_body *b, bool parts)
{
	b->count = jute_get_count(r, parts ? PART_BYTES_MIN : TEXT_BYTES_MIN);
	b->rest = *r;
	for (int32_t i = 0; i < b->count && !r->bad; i++) {
		if (parts)
			jute_get_i32(r);
		jute_get_bytes(r);
	}
	b->rest.end = r->pos;
}

/* Read a body of b->type; false if there is no such type or the bytes end too soon. */
static bool
get_body(struct jute_reader *r, const struct txn_header *h, struct txn_body *b, bool top)
{
	switch (b->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		get_create(r, h, b);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		b->path = jute_get_bytes(r);
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		b->path = jute_get_bytes(r);
		b->data = jute_get_bytes(r);
		b->version = jute_get_i32(r);
		break;
	case ZK_OP_SET_ACL:
		b->path = jute_get_bytes(r);
		b->acl = get_acl(r);
		b->version = jute_get_i32(r);
		break;
	case ZK_OP_CHECK:
		b->path = jute_get_bytes(r);
		b->version = jute_get_i32(r);
		return !top && !r->bad;
	case ZK_OP_ERROR:
		b->error = jute_get_i32(r);
		break;
	case ZK_OP_CREATE_SESSION:
		b->timeout_ms = jute_get_i32(r);
		return top && !r->bad;
	case ZK_OP_CLOSE_SESSION:
		/* Servers before 3.6, and later ones when told so, name no paths. */
		if (jute_left(r) > 0)
			get_vector(r, b, false);
		return top && !r->bad;
	case ZK_OP_MULTI:
		get_vector(r, b, true);
		return top && !r->bad;
	default:
		return false;
	}
	return !r->bad;
}

/* One by one: the compiler's way to clear the whole is slow to begin, and this is done a lot. */
static void
body_begin(struct txn_body *b, int32_t type)
{
	b->type = type;
	b->path = b->data = b->acl = NOTHING;
	b->version = -1;
	b->timeout_ms = b->error = b->count = 0;
	b->owner = 0;
	b->ephemeral = false;
	b->rest = (struct jute_reader){NULL, NULL, false};
}

bool
txn_decode_header(struct txn_header *h, const void *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);

	return get_header(&r, h);
}

bool
txn_decode(struct txn *t, const void *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);

	t->has_digest = false;
	t->digest = 0;
	if (!get_header(&r, &t->header))
		return false;
	body_begin(&t->body, t->header.type);
	if (!get_body(&r, &t->header, &t->body, true))
		return false;
	if (jute_left(&r) < 12)
		return true;
	if (jute_get_i32(&r) == TXN_DIGEST_VERSION) {
		t->has_digest = true;
		t->digest = (uint64_t)jute_get_i64(&r);
	}
	return true;
}

bool
txn_next_part(struct jute_reader *r, const struct txn_header *h, struct txn_body *part)
{
	struct jute_bytes bytes;
	struct jute_reader in;

	body_begin(part, jute_get_i32(r));
	bytes = jute_get_bytes(r);
	if (r->bad || bytes.data == NULL)
		return false;
	in = jute_reader(bytes.data, (size_t)bytes.len);
	return get_body(&in, h, part, false);
}

void
txn_put_header(struct buf *b, const struct txn_header *h)
{
	jute_put_i64(b, h->session);
	jute_put_i32(b, h->cxid);
	jute_put_i64(b, h->zxid);
	jute_put_i64(b, h->time_ms);
	jute_put_i32(b, h->type);
}

static void
put_acl(struct buf *b, struct jute_bytes acl)
{
	if (acl.len < 0)
		jute_put_i32(b, -1);
	else
		buf_append(b, acl.data, (size_t)acl.len);
}

static void
put_create(struct buf *b, const struct txn_body *body)
{
	jute_put_bytes(b, body->path);
	jute_put_bytes(b, body->data);
	put_acl(b, body->acl);
	if (body->type == ZK_OP_CREATE || body->type == ZK_OP_CREATE2)
		jute_put_bool(b, body->ephemeral);
	jute_put_i32(b, body->version);
	if (body->type == ZK_OP_CREATE_TTL)
		jute_put_i64(b, tree_ttl_ms(body->owner));
}

void
txn_put_body(struct buf *b, const struct txn_body *body)
{
	switch (body->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		put_create(b, body);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		jute_put_bytes(b, body->path);
		break;
	case ZK_OP_SET_DATA:
	case ZK_OP_RECONFIG:
		jute_put_bytes(b, body->path);
		jute_put_bytes(b, body->data);
		jute_put_i32(b, body->version);
		break;
	case ZK_OP_SET_ACL:
		jute_put_bytes(b, body->path);
		put_acl(b, body->acl);
		jute_put_i32(b, body->version);
		break;
	case ZK_OP_CHECK:
		jute_put_bytes(b, body->path);
		jute_put_i32(b, body->version);
		break;
	case ZK_OP_ERROR:
		jute_put_i32(b, body->error);
		break;
	case ZK_OP_CREATE_SESSION:
		jute_put_i32(b, body->timeout_ms);
		break;
	default:
		assert(false && "a txn that nobody makes");
	}
}

void
txn_put_digest(struct buf *b, uint64_t digest)
{
	jute_put_i32(b, TXN_DIGEST_VERSION);
	jute_put_i64(b, (int64_t)digest);
}
