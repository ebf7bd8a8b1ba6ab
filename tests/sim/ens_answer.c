/* SPDX-License-Identifier: Apache-2.0 */
/* Replies, held against the tree of the zxid that they speak of. */
#include <stdio.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"

#define TYPE_ERROR (-1)

static const struct model_state nothing;

static const struct model_state *
state_at(const struct ens_client *c, const char *path, int64_t zxid)
{
	const struct model_state *s = model_at(&c->e->model, path, zxid);

	return s != NULL ? s : &nothing;
}

static bool
may(const struct ens_client *c, const struct model_state *s, int32_t perm)
{
	return ens_work_may(c->e, s->acl, c->users, perm);
}

static void
parent_of(const char *path, char to[ENS_PATH_BYTES])
{
	size_t len = (size_t)(strrchr(path, '/') - path);

	memcpy(to, path, len);
	to[len] = '\0';
}

/* ---- what a write must come to: C1 ---- */

static bool
is_create(int32_t op)
{
	return op == ZK_OP_CREATE || op == ZK_OP_CREATE2 || op == ZK_OP_CREATE_CONTAINER ||
	       op == ZK_OP_CREATE_TTL;
}

static bool
is_sequential(const struct ens_part *p)
{
	return is_create(p->op) &&
	       (p->flags == ZK_SEQUENTIAL || p->flags == ZK_EPHEMERAL_SEQUENTIAL);
}

static int
expect_create(const struct ens_client *c, const struct ens_part *p, int64_t zxid)
{
	char above[ENS_PATH_BYTES];
	const struct model_state *parent;

	parent_of(p->path, above);
	parent = state_at(c, above, zxid);
	if (!parent->exists)
		return ZK_NONODE;
	if (!may(c, parent, ACL_CREATE))
		return ZK_NOAUTH;
	if (!is_sequential(p) && state_at(c, p->path, zxid)->exists)
		return ZK_NODEEXISTS;
	return parent->owner > 0 ? ZK_NOCHILDRENFOREPHEMERALS : ZK_OK;
}

static int
expect_delete(const struct ens_client *c, const struct ens_part *p, int64_t zxid)
{
	const struct model_state *s = state_at(c, p->path, zxid), *parent;
	char above[ENS_PATH_BYTES];

	parent_of(p->path, above);
	parent = state_at(c, above, zxid);
	if (!parent->exists)
		return ZK_NONODE;
	if (!may(c, parent, ACL_DELETE))
		return ZK_NOAUTH;
	if (!s->exists)
		return ZK_NONODE;
	if (p->version != -1 && p->version != s->version)
		return ZK_BADVERSION;
	return s->children > 0 ? ZK_NOTEMPTY : ZK_OK;
}

/* What comes of one write on the tree of this zxid. */
static int
expect(const struct ens_client *c, const struct ens_part *p, int64_t zxid)
{
	const struct model_state *s = state_at(c, p->path, zxid);
	bool acl = p->op == ZK_OP_SET_ACL;

	if (is_create(p->op))
		return expect_create(c, p, zxid);
	if (p->op == ZK_OP_DELETE)
		return expect_delete(c, p, zxid);
	if (!s->exists)
		return ZK_NONODE;
	if (!may(c, s, acl ? ACL_ADMIN : ACL_WRITE))
		return ZK_NOAUTH;
	if (p->version != -1 && p->version != (acl ? s->aversion : s->version))
		return ZK_BADVERSION;
	return ZK_OK;
}

/* ---- what a reply says ---- */

/* C8: a Stat is that of the node at this zxid. */
static void
check_stat(struct ens_client *c, const char *path, int64_t zxid, struct jute_reader *r)
{
	const struct model_state *s = state_at(c, path, zxid);
	const char *wrong = NULL;

	if (jute_get_i64(r) != s->czxid)
		wrong = "czxid";
	if (jute_get_i64(r) != s->mzxid)
		wrong = "mzxid";
	if (jute_get_i64(r) != s->ctime)
		wrong = "ctime";
	if (jute_get_i64(r) != s->mtime)
		wrong = "mtime";
	if (jute_get_i32(r) != s->version)
		wrong = "version";
	if (jute_get_i32(r) != s->changes)
		wrong = "cversion";
	if (jute_get_i32(r) != s->aversion)
		wrong = "aversion";
	if (jute_get_i64(r) != (s->owner > 0 ? s->owner : 0))
		wrong = "ephemeralOwner";
	if (jute_get_i32(r) != (s->len > 0 ? s->len : 0))
		wrong = "dataLength";
	if (jute_get_i32(r) != s->children)
		wrong = "numChildren";
	if (jute_get_i64(r) != s->pzxid)
		wrong = "pzxid";
	if (r->bad)
		wrong = "length";
	if (wrong != NULL)
		ENS_VIOLATION(c, "C8: client %u: the %s of %s at 0x%llx is another one", c->number,
		    wrong, path, (unsigned long long)zxid);
}

static void
remember(struct ens_client *c, const char *path)
{
	unsigned at = c->recent_count < ENS_RECENT ? c->recent_count++
						   : (unsigned)rng_below(&c->rng, ENS_RECENT);

	snprintf(c->recent[at], sizeof c->recent[at], "%s", path);
}

/* C7: the name is the one asked for, with a number behind it if it was to have one. */
static bool
check_name(struct ens_client *c, const struct ens_part *p, const char *path)
{
	size_t len = strlen(p->path);

	if (strncmp(path, p->path, len) == 0 && strlen(path) == len + (is_sequential(p) ? 10 : 0))
		return true;
	ENS_VIOLATION(c, "C7: client %u creates %s, is told of %s", c->number, p->path, path);
	return false;
}

static void
check_created(
    struct ens_client *c, const struct ens_part *p, int64_t zxid, bool stat, struct jute_reader *r)
{
	struct jute_bytes b = jute_get_bytes(r);
	char path[ENS_PATH_BYTES];
	const struct model_state *s;
	int64_t owner = 0;

	snprintf(path, sizeof path, "%.*s", b.len > 0 ? b.len : 0, (const char *)b.data);
	if (!check_name(c, p, path))
		return;
	s = state_at(c, path, zxid);
	if (!s->exists || s->czxid != zxid ||
	    model_acl((struct jute_bytes){s->data, s->len}) != p->data)
		ENS_VIOLATION(c, "C1: client %u has created %s, 0x%llx has not done it", c->number,
		    path, (unsigned long long)zxid);
	if (p->op == ZK_OP_CREATE || p->op == ZK_OP_CREATE2)
		owner = p->flags == ZK_EPHEMERAL || p->flags == ZK_EPHEMERAL_SEQUENTIAL ? c->session
											: 0;
	if (owner >= 0 && s->owner >= 0 && s->owner != owner)
		ENS_VIOLATION(c, "C8: client %u has created %s, it is of session 0x%llx", c->number,
		    path, (unsigned long long)s->owner);
	if (stat)
		check_stat(c, path, zxid, r);
	if (is_sequential(p))
		remember(c, path);
}

/* One write has been done: as it was asked for. */
static void
check_done(
    struct ens_client *c, const struct ens_part *p, int64_t zxid, bool multi, struct jute_reader *r)
{
	const struct model_state *s = state_at(c, p->path, zxid);

	if (is_create(p->op)) {
		check_created(c, p, zxid, p->op != ZK_OP_CREATE && !multi, r);
		return;
	}
	if (p->op == ZK_OP_DELETE) {
		if (s->exists)
			ENS_VIOLATION(c, "C1: client %u has deleted %s, 0x%llx has not done it",
			    c->number, p->path, (unsigned long long)zxid);
		return;
	}
	if (p->op == ZK_OP_SET_DATA &&
	    (s->mzxid != zxid || model_acl((struct jute_bytes){s->data, s->len}) != p->data))
		ENS_VIOLATION(c, "C1: client %u has set %s, 0x%llx has not done it", c->number,
		    p->path, (unsigned long long)zxid);
	check_stat(c, p->path, zxid, r);
}

/* C6: all, or for each the error that kept it from being done. */
static void
check_multi(struct ens_client *c, const struct ens_request *q, int64_t zxid, struct jute_reader *r)
{
	int32_t errors[ENS_PARTS_MAX] = {0};
	unsigned failed = q->count;

	for (unsigned i = 0; i < q->count; i++) {
		errors[i] =
		    i > failed ? ZK_RUNTIMEINCONSISTENCY : expect(c, &q->parts[i], zxid - 1);
		if (errors[i] != ZK_OK && failed == q->count)
			failed = i;
	}
	for (unsigned i = 0; i < q->count; i++) {
		const struct ens_part *p = &q->parts[i];
		int32_t type = jute_get_i32(r), right = failed < q->count ? TYPE_ERROR : p->op;

		jute_get_bool(r);
		jute_get_i32(r);
		if (type != right && !(is_create(type) && is_create(right))) {
			ENS_VIOLATION(c,
			    "C6: client %u: part %u of a multi comes to type %d, not %d", c->number,
			    i, type, right);
			return;
		}
		if (type != TYPE_ERROR)
			check_done(c, p, zxid, true, r);
		else if (jute_get_i32(r) != errors[i])
			ENS_VIOLATION(c, "C6: client %u: part %u of a multi does not fail with %d",
			    c->number, i, errors[i]);
	}
}

static void
check_write(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader *r)
{
	int right;

	if (q->op == ZK_OP_CLOSE_SESSION || q->op == ZK_OP_RECONFIG)
		return;
	if (q->op == ZK_OP_MULTI) {
		if (error != ZK_OK)
			ENS_VIOLATION(c, "C6: client %u: a multi fails with %d", c->number, error);
		else
			check_multi(c, q, zxid, r);
		return;
	}
	right = expect(c, &q->parts[0], zxid - 1);
	if (error != right)
		ENS_VIOLATION(c, "C1: client %u: %d of %s at 0x%llx comes to %d, it should to %d",
		    c->number, q->op, q->parts[0].path, (unsigned long long)zxid, error, right);
	else if (error == ZK_OK)
		check_done(c, &q->parts[0], zxid, false, r);
}

/* ---- reads: C4 ---- */

static void
check_children(struct ens_client *c, const char *path, int64_t zxid, struct jute_reader *r)
{
	int32_t count = jute_get_i32(r);
	char child[2 * ENS_PATH_BYTES];

	if (count != state_at(c, path, zxid)->children)
		ENS_VIOLATION(c, "C4: client %u: %s has %d children at 0x%llx, is said to have %d",
		    c->number, path, state_at(c, path, zxid)->children, (unsigned long long)zxid,
		    count);
	for (int32_t i = 0; i < count && !r->bad; i++) {
		struct jute_bytes b = jute_get_bytes(r);

		snprintf(child, sizeof child, "%s/%.*s", path, b.len > 0 ? b.len : 0,
		    (const char *)b.data);
		if (!state_at(c, child, zxid)->exists)
			ENS_VIOLATION(c, "C4: client %u: there is no %s at 0x%llx", c->number,
			    child, (unsigned long long)zxid);
	}
}

static void
add_watch(struct ens_client *c, const struct ens_request *q, int32_t error)
{
	bool exist = error == ZK_NONODE;

	if (q->watch && (error == ZK_OK || (exist && q->op == ZK_OP_EXISTS)))
		ens_watch_add(c, q->op == ZK_OP_GET_CHILDREN2 ? WATCH_CHILD : WATCH_DATA,
		    WATCH_ONCE, exist, q->parts[0].path);
}

static void
check_read(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader *r)
{
	const char *path = q->parts[0].path;
	const struct model_state *s = state_at(c, path, zxid);
	int right = !s->exists ? ZK_NONODE : may(c, s, ACL_READ) ? ZK_OK : ZK_NOAUTH;

	add_watch(c, q, error);
	if (c->read_only && !ens_is_committed(&c->e->check, zxid))
		return; /* of what a server without a leader has, nobody knows what becomes */
	if (error != right) {
		ENS_VIOLATION(c, "C4: client %u: reading %s at 0x%llx comes to %d, it should to %d",
		    c->number, path, (unsigned long long)zxid, error, right);
		return;
	}
	if (error != ZK_OK)
		return;
	if (q->op == ZK_OP_GET_DATA) {
		struct jute_bytes data = jute_get_bytes(r);

		if (data.len != s->len ||
		    (s->len > 0 && memcmp(data.data, s->data, (size_t)s->len) != 0))
			ENS_VIOLATION(c,
			    "C4: client %u reads %s at 0x%llx: %.*s is not what is there",
			    c->number, path, (unsigned long long)zxid, data.len > 0 ? data.len : 0,
			    (const char *)data.data);
	} else if (q->op == ZK_OP_GET_CHILDREN2)
		check_children(c, path, zxid, r);
	check_stat(c, path, zxid, r);
}

/* ---- any reply ---- */

static bool
is_read(int32_t op)
{
	return op == ZK_OP_GET_DATA || op == ZK_OP_EXISTS || op == ZK_OP_GET_CHILDREN2;
}

static bool
is_about_watches(int32_t op)
{
	return op == ZK_OP_ADD_WATCH || op == ZK_OP_REMOVE_WATCHES || op == ZK_OP_CHECK_WATCHES;
}

static bool
makes_ephemeral(const struct ens_request *q)
{
	for (unsigned i = 0; i < q->count; i++)
		if ((q->parts[i].op == ZK_OP_CREATE || q->parts[i].op == ZK_OP_CREATE2) &&
		    (q->parts[i].flags == ZK_EPHEMERAL ||
			q->parts[i].flags == ZK_EPHEMERAL_SEQUENTIAL))
			return true;
	return false;
}

/*
 * C11, S8: what a server answers by itself: a write, if it has no leader; and what a local session
 * may not do, or its end.
 */
static bool
is_answered_here(struct ens_client *c, const struct ens_request *q, int32_t error)
{
	bool closes = q->op == ZK_OP_CLOSE_SESSION;

	if (c->read_only) {
		if (error != (closes ? ZK_OK : ZK_NOTREADONLY))
			ENS_VIOLATION(c,
			    "C11: client %u: %d at a server without a leader comes to %d",
			    c->number, q->op, error);
		return true;
	}
	if (!ens_session_is_local(c->e, c->session))
		return false;
	if (closes)
		return true;
	if (makes_ephemeral(q) && error != ZK_EPHEMERALONLOCALSESSION)
		ENS_VIOLATION(c, "S8: client %u: a local session has an ephemeral node (%d)",
		    c->number, error);
	return makes_ephemeral(q);
}

static bool
has_failed(const struct ens_request *q, struct jute_reader r)
{
	return q->op == ZK_OP_MULTI && jute_get_i32(&r) == TYPE_ERROR;
}

static void
answer_write(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader *r)
{
	struct ens_check *check = &c->e->check;

	if (is_answered_here(c, q, error))
		return;
	if (zxid > ens_check_last(check))
		ENS_VIOLATION(c, "C9: client %u is told of 0x%llx, which is not committed",
		    c->number, (unsigned long long)zxid);
	if (zxid <= q->must_zxid)
		ENS_VIOLATION(c,
		    "C1: client %u: 0x%llx comes before 0x%llx, which was answered before it was "
		    "asked for",
		    c->number, (unsigned long long)zxid, (unsigned long long)q->must_zxid);
	if (zxid > check->answered_zxid)
		check->answered_zxid = zxid;
	check->refused_reconfigs += error != ZK_OK && q->op == ZK_OP_RECONFIG;
	check->acked_writes += error == ZK_OK && !has_failed(q, *r);
	check_write(c, q, zxid, error, r);
}

static void
answer_read(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader *r)
{
	c->e->check.reads++;
	if (zxid < c->synced_zxid)
		ENS_VIOLATION(c, "C5: client %u reads at 0x%llx behind a sync that saw 0x%llx",
		    c->number, (unsigned long long)zxid, (unsigned long long)c->synced_zxid);
	ens_session_read(c, zxid);
	check_read(c, q, zxid, error, r);
}

static void
answer_sync(struct ens_client *c, const struct ens_request *q, int32_t error)
{
	if (c->read_only && error != ZK_NOTREADONLY)
		ENS_VIOLATION(c, "C11: client %u: a server without a leader syncs", c->number);
	if (error != ZK_OK)
		return;
	c->e->check.syncs++;
	c->synced_zxid = q->must_zxid > c->synced_zxid ? q->must_zxid : c->synced_zxid;
}

void
ens_answer(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader r)
{
	if (error == ZK_SESSIONMOVED || error == ZK_SESSIONEXPIRED)
		return; /* it says nothing of the tree, and comes from a server that it leaves */
	if (zxid < c->seen_zxid)
		ENS_VIOLATION(c, "C3: client %u has seen 0x%llx, is answered at 0x%llx", c->number,
		    (unsigned long long)c->seen_zxid, (unsigned long long)zxid);
	c->seen_zxid = zxid > c->seen_zxid ? zxid : c->seen_zxid;
	if (q->op == ZK_OP_SET_WATCHES2) {
		ens_watch_set_again(c, zxid);
		return;
	}
	ens_watch_reply(c, zxid);
	if (is_about_watches(q->op))
		ens_watch_answer(c, q, error);
	else if (is_read(q->op))
		answer_read(c, q, zxid, error, &r);
	else if (q->op == ZK_OP_SYNC)
		answer_sync(c, q, error);
	else
		answer_write(c, q, zxid, error, &r);
	if (q->op == ZK_OP_CLOSE_SESSION)
		c->session = 0;
}
