/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/audit.h"

#include <inttypes.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)16 << 20)
#define WAITING_BYTES_MAX ((size_t)256 << 20)
#define NO_MODE INT32_C(-1)

/* What a request asked for; its texts and items follow. */
struct entry {
	int64_t zxid;
	size_t size;	/* with all that follows */
	size_t who_len; /* "session=...", "user=...", "ip=..." */
	bool multi;
};

/* One change of it; path and ACL follow. */
struct item {
	int32_t op, mode; /* mode: of enum zk_create_mode, or NO_MODE */
	size_t path_len, acl_len;
};

void
audit_init(struct audit *a)
{
	buf_init(&a->waiting, WAITING_BYTES_MAX);
	buf_init(&a->text, LINE_BYTES_MAX);
	a->at = 0;
}

void
audit_fini(struct audit *a)
{
	buf_fini(&a->waiting);
	buf_fini(&a->text);
}

/* ---- what the request says ---- */

static bool
is_create(int32_t op)
{
	return op == ZK_OP_CREATE || op == ZK_OP_CREATE2 || op == ZK_OP_CREATE_CONTAINER ||
	       op == ZK_OP_CREATE_TTL;
}

static const char *
operation_name(int32_t op)
{
	if (is_create(op))
		return "create";
	switch (op) {
	case ZK_OP_DELETE:
	case ZK_OP_DELETE_CONTAINER:
		return "delete";
	case ZK_OP_SET_DATA:
		return "setData";
	case ZK_OP_SET_ACL:
		return "setAcl";
	default:
		return NULL; /* a check, a session: not audited */
	}
}

/* Identities as names: of a digest what stands before the colon. */
static void
put_users(struct buf *b, const struct acl_ids *who)
{
	struct jute_reader r = jute_reader(who->ids.data, who->ids.len);

	for (int32_t i = 0; i < who->count; i++) {
		struct jute_bytes scheme = jute_get_bytes(&r), id = jute_get_bytes(&r);
		const void *colon = NULL;

		if (r.bad || id.len <= 0)
			return;
		if (scheme.len == 6 && memcmp(scheme.data, "digest", 6) == 0)
			colon = memchr(id.data, ':', (size_t)id.len);
		buf_printf(b, "%s", i == 0 ? "\tuser=" : ",");
		buf_append(b, id.data,
		    colon != NULL ? (size_t)((const uint8_t *)colon - id.data) : (size_t)id.len);
	}
}

static void
put_ip(struct buf *b, const struct acl_ids *who)
{
	struct jute_reader r = jute_reader(who->ids.data, who->ids.len);

	for (int32_t i = 0; i < who->count; i++) {
		struct jute_bytes scheme = jute_get_bytes(&r), id = jute_get_bytes(&r);

		if (r.bad || scheme.len != 2 || memcmp(scheme.data, "ip", 2) != 0 || id.len <= 0)
			continue;
		buf_printf(b, "\tip=");
		buf_append(b, id.data, (size_t)id.len);
		return;
	}
}

/* "SCHEME:ID:PERMS", one behind the other as Apache's ZKUtil has it. */
static void
put_acl(struct buf *b, struct jute_reader *r)
{
	static const char letters[] = "rwcda"; /* by bit */
	static const char order[] = "cdrwa";
	int32_t count = jute_get_count(r, 12);

	for (int32_t i = 0; i < count && !r->bad; i++) {
		int32_t perms = jute_get_i32(r);
		struct jute_bytes scheme = jute_get_bytes(r), id = jute_get_bytes(r);

		if (r->bad || scheme.len < 0 || id.len < 0)
			return;
		buf_append(b, scheme.data, (size_t)scheme.len);
		buf_printf(b, ":");
		buf_append(b, id.data, (size_t)id.len);
		buf_printf(b, ":");
		for (const char *p = order; *p != '\0'; p++) {
			if ((perms & 1 << (strchr(letters, *p) - letters)) != 0)
				buf_append(b, p, 1);
		}
	}
}

static void
skip_acl(struct jute_reader *r)
{
	int32_t count = jute_get_count(r, 12);

	for (int32_t i = 0; i < count && !r->bad; i++) {
		jute_get_i32(r);
		jute_get_bytes(r);
		jute_get_bytes(r);
	}
}

/* Append one change, and leave the reader behind its record. */
static void
put_item(struct buf *b, int32_t op, struct jute_reader *r)
{
	struct item item = {.op = op, .mode = NO_MODE};
	struct jute_bytes path = jute_get_bytes(r);
	size_t at = b->len;

	item.path_len = path.len > 0 ? (size_t)path.len : 0;
	buf_append(b, &item, sizeof item);
	buf_append(b, path.data, item.path_len);
	if (is_create(op)) {
		jute_get_bytes(r);
		skip_acl(r);
		item.mode = jute_get_i32(r);
		if (op == ZK_OP_CREATE_TTL)
			jute_get_i64(r);
	} else if (op == ZK_OP_SET_ACL) {
		put_acl(b, r);
		item.acl_len = b->len - at - sizeof item - item.path_len;
		jute_get_i32(r);
	} else {
		if (op == ZK_OP_SET_DATA)
			jute_get_bytes(r);
		jute_get_i32(r);
	}
	if (!b->failed)
		memcpy(b->data + at, &item, sizeof item);
}

static void
put_multi(struct buf *b, struct jute_reader r)
{
	for (;;) {
		int32_t op = jute_get_i32(&r);
		bool done = jute_get_bool(&r);

		jute_get_i32(&r);
		if (r.bad || done)
			return;
		put_item(b, op, &r);
	}
}

bool
audit_submitted(struct audit *a, const struct prep_request *q, int64_t zxid)
{
	struct buf *b = &a->waiting;
	struct entry e = {.zxid = zxid, .multi = q->type == ZK_OP_MULTI};
	struct jute_reader body = q->body;
	size_t at = b->len;

	if (!e.multi && operation_name(q->type) == NULL)
		return true;
	buf_append(b, &e, sizeof e);
	buf_printf(b, "session=0x%" PRIx64, (uint64_t)q->session);
	put_users(b, q->who);
	put_ip(b, q->who);
	e.who_len = b->len - at - sizeof e;
	if (e.multi)
		put_multi(b, body);
	else
		put_item(b, q->type, &body);
	e.size = b->len - at;
	if (b->failed) {
		b->failed = false;
		buf_truncate(b, at);
		return false;
	}
	memcpy(b->data + at, &e, sizeof e);
	return true;
}

/* ---- lines ---- */

static void
put_escaped(struct buf *b, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i] < ' ' || p[i] == 0x7f)
			buf_printf(b, "\\x%02x", p[i]);
		else
			buf_append(b, p + i, 1);
	}
}

static void
put_field(struct buf *b, const char *key, const uint8_t *value, size_t size)
{
	buf_printf(b, "\t%s=", key);
	put_escaped(b, value, size);
}

static void
end_line(struct audit *a, const char *result)
{
	buf_printf(&a->text, "\tresult=%s", result);
	if (!a->text.failed)
		a->line(a->arg, (const char *)a->text.data, a->text.len,
		    strcmp(result, "failure") == 0);
	buf_clear(&a->text);
}

static struct entry
head(const struct audit *a)
{
	struct entry e;

	memcpy(&e, a->waiting.data, sizeof e);
	return e;
}

/* Session, user and address: tabs of our own stay, what came from outside has none. */
static void
put_who(struct audit *a)
{
	const uint8_t *who = a->waiting.data + sizeof(struct entry);
	size_t len = head(a).who_len;

	for (size_t i = 0; i < len; i++) {
		if (who[i] == '\t')
			buf_append(&a->text, who + i, 1);
		else
			put_escaped(&a->text, who + i, 1);
	}
}

static const char *
mode_name(int32_t mode)
{
	static const char *const names[] = {
	    [ZK_PERSISTENT] = "persistent",
	    [ZK_EPHEMERAL] = "ephemeral",
	    [ZK_SEQUENTIAL] = "persistent_sequential",
	    [ZK_EPHEMERAL_SEQUENTIAL] = "ephemeral_sequential",
	    [ZK_CONTAINER] = "container",
	    [ZK_PERSISTENT_TTL] = "persistent_with_ttl",
	    [ZK_SEQUENTIAL_TTL] = "persistent_sequential_with_ttl",
	};

	return mode >= 0 && mode <= ZK_SEQUENTIAL_TTL ? names[mode] : NULL;
}

static void
put_line(struct audit *a, const char *operation, struct jute_bytes path, const char *mode,
    const uint8_t *acl, size_t acl_len, const char *result)
{
	put_who(a);
	buf_printf(&a->text, "\toperation=%s", operation);
	if (path.len > 0)
		put_field(&a->text, "znode", path.data, (size_t)path.len);
	if (mode != NULL)
		buf_printf(&a->text, "\tznode_type=%s", mode);
	if (acl_len > 0)
		put_field(&a->text, "acl", acl, acl_len);
	end_line(a, result);
}

void
audit_forget(struct audit *a)
{
	buf_clear(&a->waiting);
	a->at = 0;
}

void
audit_begin(struct audit *a, int64_t zxid)
{
	struct entry e;

	a->at = 0;
	a->multi_failed = false;
	if (a->waiting.len == 0)
		return;
	e = head(a);
	if (e.zxid == zxid)
		a->at = sizeof e + e.who_len;
}

void
audit_part(struct audit *a, const struct apply_part *p)
{
	bool done = p->type != ZK_OP_ERROR && p->error == ZK_OK, multi;
	struct jute_bytes path;
	const uint8_t *bytes;
	struct item item;

	if (a->at == 0 || a->at >= head(a).size)
		return;
	bytes = a->waiting.data + a->at;
	memcpy(&item, bytes, sizeof item);
	bytes += sizeof item;
	a->at += sizeof item + item.path_len + item.acl_len;
	multi = head(a).multi;
	path = (struct jute_bytes){bytes, (int32_t)item.path_len};
	if (multi && !done) {
		a->multi_failed = true;
		return;
	}
	if (operation_name(item.op) == NULL || (multi && item.op == ZK_OP_SET_ACL))
		return;
	/* Inside a multi Apache's server knows the mode by the path that was asked for. */
	if (done && is_create(item.op)) {
		if (multi && (p->path.len != path.len ||
				 memcmp(p->path.data, path.data, item.path_len) != 0))
			item.mode = NO_MODE;
		path = p->path;
	}
	if (multi && item.op == ZK_OP_CREATE_TTL)
		item.mode = NO_MODE;
	put_line(a, operation_name(item.op), path, mode_name(item.mode), bytes + item.path_len,
	    item.acl_len, done ? "success" : "failure");
}

void
audit_end(struct audit *a)
{
	if (a->at == 0)
		return;
	if (a->multi_failed)
		put_line(
		    a, "multiOperation", (struct jute_bytes){NULL, -1}, NULL, NULL, 0, "failure");
	buf_consume(&a->waiting, head(a).size);
	a->at = 0;
}

void
audit_ephemeral(struct audit *a, int64_t session, struct jute_bytes path)
{
	buf_printf(&a->text,
	    "session=0x%" PRIx64
	    "\tuser=%s\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire",
	    (uint64_t)session, a->user);
	put_field(&a->text, "znode", path.data, (size_t)path.len);
	end_line(a, "success");
}

void
audit_server(struct audit *a, const char *operation, const char *result)
{
	buf_printf(&a->text, "user=%s\toperation=%s", a->user, operation);
	end_line(a, result);
}
