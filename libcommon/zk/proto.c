/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/proto.h"

#include <stdlib.h>
#include <string.h>

#define MULTI_END (-1) /* type of the header that ends a multi */
#define CHILD_BYTES_MIN 4
#define ID_BYTES_MIN 8
#define ACL_BYTES_MIN 12

/* Where decoded texts go: room for all that a reply can hold, since each text had a 4-byte length.
 */
struct pool {
	char *at;
};

/* The fault of one component of `len` bytes, NULL if it has none. */
static const char *
path_component_fault(const char *component, size_t len)
{
	if (len == 0)
		return "it has an empty component";
	if ((len == 1 && component[0] == '.') || (len == 2 && memcmp(component, "..", 2) == 0))
		return "'.' and '..' are not allowed in it";
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)component[i] < 0x20 || component[i] == 0x7f)
			return "it has a control character";
	}
	return NULL;
}

const char *
zk_path_fault(const char *path)
{
	const char *fault = NULL, *component, *end;

	if (path[0] != '/')
		return "it does not start with '/'";
	if (path[1] == '\0')
		return NULL;
	for (component = path + 1; fault == NULL; component = end + 1) {
		end = strchrnul(component, '/');
		if (*end == '\0' && end == component)
			return "it ends with '/'";
		fault = path_component_fault(component, (size_t)(end - component));
		if (*end == '\0')
			break;
	}
	return fault;
}

void
zk_header_encode(struct buf *b, int32_t xid, enum zk_opcode type)
{
	jute_put_i32(b, xid);
	jute_put_i32(b, type);
}

static void
data_encode(struct buf *b, const void *data, size_t size)
{
	if (size > INT32_MAX)
		b->failed = true;
	else
		jute_put_bytes(b, (struct jute_bytes){data, data != NULL ? (int32_t)size : -1});
}

static void
acls_encode(struct buf *b, const struct zk_acl *acls, size_t count)
{
	static const struct zk_acl open = {ZK_PERM_ALL, "world", "anyone"};

	if (acls == NULL) {
		acls = &open;
		count = 1;
	}
	if (count > ZK_FRAME_BYTES_MAX) {
		b->failed = true;
		return;
	}
	jute_put_i32(b, (int32_t)count);
	for (size_t i = 0; i < count; i++) {
		jute_put_i32(b, acls[i].perms);
		jute_put_text(b, acls[i].scheme);
		jute_put_text(b, acls[i].id);
	}
}

static void
list_encode(struct buf *b, const char *text)
{
	if (text != NULL)
		jute_put_text(b, text);
	else
		jute_put_i32(b, -1);
}

static void
reconfig_encode(struct buf *b, const struct zk_op *op)
{
	list_encode(b, op->joining);
	list_encode(b, op->leaving);
	list_encode(b, op->members);
	jute_put_i64(b, op->base);
}

static void
record_encode(struct buf *b, const struct zk_op *op, bool watch)
{
	if (op->path != NULL && op->type != ZK_OP_RECONFIG)
		jute_put_text(b, op->path);
	switch (op->type) {
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		data_encode(b, op->data, op->size);
		acls_encode(b, op->acls, op->acl_count);
		jute_put_i32(b, op->flags);
		if (op->type == ZK_OP_CREATE_TTL)
			jute_put_i64(b, op->ttl_ms);
		break;
	case ZK_OP_SET_DATA:
		data_encode(b, op->data, op->size);
		jute_put_i32(b, op->version);
		break;
	case ZK_OP_SET_ACL:
		acls_encode(b, op->acls, op->acl_count);
		jute_put_i32(b, op->version);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		jute_put_i32(b, op->version);
		break;
	case ZK_OP_EXISTS:
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN2:
		jute_put_bool(b, watch);
		break;
	case ZK_OP_RECONFIG:
		reconfig_encode(b, op);
		break;
	case ZK_OP_ADD_WATCH:
	case ZK_OP_REMOVE_WATCHES:
		jute_put_i32(b, op->flags);
		break;
	default:
		break; /* the path alone */
	}
}

void
zk_request_encode(struct buf *b, int32_t xid, const struct zk_op *op, bool watch)
{
	zk_header_encode(b, xid, op->type);
	record_encode(b, op, watch);
}

static void
multi_header_encode(struct buf *b, int32_t type, bool done)
{
	jute_put_i32(b, type);
	jute_put_bool(b, done);
	jute_put_i32(b, -1);
}

void
zk_multi_encode(struct buf *b, int32_t xid, const struct zk_op *ops, size_t count)
{
	zk_header_encode(b, xid, ZK_OP_MULTI);
	for (size_t i = 0; i < count && !b->failed; i++) {
		multi_header_encode(b, ops[i].type, false);
		record_encode(b, &ops[i], false);
	}
	multi_header_encode(b, MULTI_END, true);
}

bool
zk_reply_header_decode(struct jute_reader *r, struct zk_reply_header *h)
{
	h->xid = jute_get_i32(r);
	h->zxid = jute_get_i64(r);
	h->err = jute_get_i32(r);
	return !r->bad;
}

static void
stat_decode(struct jute_reader *r, struct zk_stat *st)
{
	st->czxid = jute_get_i64(r);
	st->mzxid = jute_get_i64(r);
	st->ctime_ms = jute_get_i64(r);
	st->mtime_ms = jute_get_i64(r);
	st->version = jute_get_i32(r);
	st->cversion = jute_get_i32(r);
	st->aversion = jute_get_i32(r);
	st->ephemeral_owner = jute_get_i64(r);
	st->data_bytes = jute_get_i32(r);
	st->child_count = jute_get_i32(r);
	st->pzxid = jute_get_i64(r);
}

/* A text that must be there and must be one: null or a NUL inside is no name of a node. */
static const char *
text_decode(struct jute_reader *r, struct pool *p)
{
	struct jute_bytes bytes = jute_get_bytes(r);
	char *text = p->at;

	if (bytes.len < 0 || memchr(bytes.data, '\0', (size_t)bytes.len) != NULL) {
		r->bad = true;
		return NULL;
	}
	memcpy(text, bytes.data, (size_t)bytes.len);
	text[bytes.len] = '\0';
	p->at += bytes.len + 1;
	return text;
}

/* Allocate result->memory: an array of `bytes` at its start, and behind it the pool for what is
 * left. */
static void *
result_allocate(struct jute_reader *r, struct zk_result *result, size_t bytes, struct pool *p)
{
	result->memory = calloc(1, bytes + jute_left(r) + 1);
	if (result->memory == NULL) {
		result->rc = ZK_NOMEMORY;
		r->bad = true;
		return NULL;
	}
	p->at = (char *)result->memory + bytes;
	return result->memory;
}

static void
path_decode(struct jute_reader *r, struct zk_result *result)
{
	struct pool p;

	if (result_allocate(r, result, 0, &p) != NULL)
		result->path = text_decode(r, &p);
}

static void
get_decode(struct jute_reader *r, struct zk_result *result)
{
	struct jute_bytes bytes;
	struct pool p;

	if (result_allocate(r, result, 0, &p) == NULL)
		return;
	bytes = jute_get_bytes(r);
	if (bytes.len >= 0) {
		result->data = memcpy(p.at, bytes.data, (size_t)bytes.len);
		result->size = (size_t)bytes.len;
	}
	stat_decode(r, &result->stat);
}

static void
children_decode(struct jute_reader *r, struct zk_result *result)
{
	int32_t count = jute_get_count(r, CHILD_BYTES_MIN);
	const char **names;
	struct pool p;

	if (count < 0)
		count = 0;
	names = result_allocate(r, result, (size_t)count * sizeof *names, &p);
	if (names == NULL)
		return;
	for (int32_t i = 0; i < count && !r->bad; i++)
		names[i] = text_decode(r, &p);
	result->children = names;
	result->child_count = (size_t)count;
	stat_decode(r, &result->stat);
}

/* A vector of access control entries, or of identities, which are entries without permissions. */
static void
entries_decode(struct jute_reader *r, struct zk_result *result, bool with_perms)
{
	int32_t count = jute_get_count(r, with_perms ? ACL_BYTES_MIN : ID_BYTES_MIN);
	struct zk_acl *entries;
	struct pool p;

	if (count < 0)
		count = 0;
	entries = result_allocate(r, result, (size_t)count * sizeof *entries, &p);
	if (entries == NULL)
		return;
	for (int32_t i = 0; i < count && !r->bad; i++) {
		entries[i].perms = with_perms ? jute_get_i32(r) : 0;
		entries[i].scheme = text_decode(r, &p);
		entries[i].id = text_decode(r, &p);
	}
	result->acls = entries;
	result->acl_count = (size_t)count;
}

/* One result of a multi; false at the header that ends it, or when the bytes are bad. */
static bool
part_decode(struct jute_reader *r, struct zk_op_result *part, struct pool *p)
{
	int32_t type = jute_get_i32(r);
	bool done = jute_get_bool(r);

	part->rc = jute_get_i32(r);
	if (done || r->bad)
		return false;
	switch (type) {
	case ZK_OP_ERROR:
		part->rc = jute_get_i32(r);
		break;
	case ZK_OP_CREATE:
		part->path = text_decode(r, p);
		break;
	case ZK_OP_CREATE2:
		part->path = text_decode(r, p);
		stat_decode(r, &part->stat);
		break;
	case ZK_OP_SET_DATA:
		stat_decode(r, &part->stat);
		break;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		break;
	default:
		r->bad = true;
	}
	return !r->bad;
}

/* How many results a multi's reply has, if it is sound; the texts go to scratch and are forgotten.
 */
static bool
multi_count(struct jute_reader r, const struct pool *scratch, size_t *count)
{
	struct zk_op_result part;
	struct pool p = *scratch;

	*count = 0;
	while (part_decode(&r, &part, &p))
		++*count;
	return !r.bad;
}

/* The code of the part that failed: the parts around it have OK before and RUNTIMEINCONSISTENCY
 * after. */
static int
multi_rc(const struct zk_op_result *ops, size_t count)
{
	int rc = ZK_OK;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].rc != ZK_OK && (rc == ZK_OK || rc == ZK_RUNTIMEINCONSISTENCY))
			rc = ops[i].rc;
	}
	return rc;
}

static void
multi_decode(struct jute_reader *r, struct zk_result *result)
{
	struct zk_op_result *ops, last;
	struct pool p;
	size_t count;

	if (result_allocate(r, result, 0, &p) == NULL)
		return;
	if (!multi_count(*r, &p, &count)) {
		r->bad = true;
		return;
	}
	free(result->memory);
	ops = result_allocate(r, result, count * sizeof *ops, &p);
	if (ops == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		part_decode(r, &ops[i], &p);
	(void)part_decode(r, &last, &p); /* the header that ends it */
	result->ops = ops;
	result->op_count = count;
	result->rc = multi_rc(ops, count);
}

bool
zk_result_decode(struct jute_reader *r, enum zk_opcode type, struct zk_result *result)
{
	result->rc = ZK_OK;
	switch (type) {
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		path_decode(r, result);
		stat_decode(r, &result->stat);
		break;
	case ZK_OP_SYNC:
		path_decode(r, result);
		break;
	case ZK_OP_EXISTS:
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
		stat_decode(r, &result->stat);
		break;
	case ZK_OP_GET_DATA:
	case ZK_OP_RECONFIG:
		get_decode(r, result);
		break;
	case ZK_OP_GET_CHILDREN2:
		children_decode(r, result);
		break;
	case ZK_OP_GET_ALL_CHILDREN_NUMBER:
		result->stat.child_count = jute_get_i32(r);
		break;
	case ZK_OP_WHO_AM_I:
		entries_decode(r, result, false);
		break;
	case ZK_OP_GET_ACL:
		entries_decode(r, result, true);
		stat_decode(r, &result->stat);
		break;
	case ZK_OP_MULTI:
		multi_decode(r, result);
		break;
	case ZK_OP_ADD_WATCH:
		(void)jute_get_i32(r); /* an error, of none */
		break;
	default:
		break; /* delete, close: no record */
	}
	if (!r->bad)
		return true;
	int rc = result->rc == ZK_NOMEMORY ? ZK_NOMEMORY : ZK_PROTOCOL;
	free(result->memory);
	*result = (struct zk_result){.rc = rc, .zxid = result->zxid, .sent_ms = result->sent_ms};
	return false;
}

void
zk_result_fini(struct zk_result *result)
{
	free(result->memory);
	result->memory = NULL;
}
