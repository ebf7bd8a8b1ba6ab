/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask for: which kinds of things a life has, and the bytes of each request. */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens.h"

#define PATHS 6	  /* /k0 to /k5 */
#define PARENTS 2 /* of each other kind */
#define TTL_MAX_MS 20000
#define VALUE_ROOM 4096

/* What the ACLs allow everybody, and each of the users. */
static const int32_t acl_perms[ENS_ACLS][1 + ENS_USERS] = {
    {ACL_ALL, 0, 0},
    {0, ACL_ALL, 0},
    {0, 0, ACL_ALL},
    {ACL_READ, ACL_ALL, 0},
    {ACL_ALL & ~ACL_READ, ACL_ALL, 0},
};

bool
ens_work_does(const struct ens *e, enum ens_kind kind)
{
	return (e->kinds >> kind & 1) != 0;
}

void
ens_work_draw_kinds(struct ens *e)
{
	struct rng rng;

	world_rng(&e->world, "kinds", &rng);
	for (unsigned k = 0; k < ENS_KINDS; k++)
		e->kinds |= (rng_below(&rng, 2) == 0 ? 1u : 0u) << k;
	if (e->reconfig)
		e->kinds &= ~(1u << ENS_KIND_ACLS); /* nothing is asked then */
	e->at_once_max = rng_below(&rng, 2) == 0 ? WATCH_AT_ONCE_MAX : (uint32_t)rng_below(&rng, 3);
}

const char *
ens_work_user(unsigned user)
{
	static const char *const names[ENS_USERS] = {"ann:1", "bob:2"};

	return names[user];
}

static void
put_acl(struct buf *b, unsigned acl)
{
	size_t at = b->len;
	int32_t count = 0;

	jute_put_i32(b, 0);
	for (unsigned who = 0; who < 1 + ENS_USERS; who++) {
		if (acl_perms[acl][who] == 0)
			continue;
		jute_put_i32(b, acl_perms[acl][who]);
		jute_put_text(b, who == 0 ? "world" : "digest");
		jute_put_text(b, who == 0 ? "anyone" : ens_work_user(who - 1));
		count++;
	}
	jute_set_i32(b, at, count);
}

bool
ens_work_may(const struct ens *e, uint64_t acl, unsigned users, int32_t perm)
{
	static uint64_t known[ENS_ACLS];
	uint8_t room[128];

	if (acl == 0 || e->reconfig)
		return true; /* nobody has set one */
	for (unsigned k = 0; k < ENS_ACLS; k++) {
		struct buf b = {.data = room, .cap = sizeof room, .max_bytes = sizeof room};
		int32_t perms = acl_perms[k][0];

		if (known[k] == 0) {
			put_acl(&b, k);
			known[k] = model_acl((struct jute_bytes){b.data, (int32_t)b.len});
		}
		for (unsigned u = 0; u < ENS_USERS; u++)
			perms |= (users >> u & 1) != 0 ? acl_perms[k][1 + u] : 0;
		if (known[k] == acl)
			return (perms & perm) != 0;
	}
	return false;
}

/* ---- the draw ---- */

static struct ens_part *
add_part(struct ens_request *q, int32_t op)
{
	struct ens_part *p = &q->parts[q->count++];

	*p = (struct ens_part){.op = op, .version = -1};
	return p;
}

static unsigned
draw_acl(struct ens_client *c)
{
	if (!ens_work_does(c->e, ENS_KIND_ACLS) || rng_below(&c->rng, 6) > 0)
		return 0;
	return (unsigned)rng_below(&c->rng, ENS_ACLS);
}

static int32_t
draw_version(struct ens_client *c)
{
	if (!ens_work_does(c->e, ENS_KIND_VERSIONS) || rng_below(&c->rng, 3) > 0)
		return -1;
	return (int32_t)rng_below(&c->rng, 8);
}

static void
name(struct ens_part *p, char kind, unsigned number)
{
	snprintf(p->path, sizeof p->path, "/%c%u", kind, number);
}

static void
draw_path(struct ens_client *c, struct ens_part *p)
{
	name(p, 'k', (unsigned)rng_below(&c->rng, PATHS));
}

/* One that any of this life's kinds has; most often of the plain ones. */
static void
draw_any_path(struct ens_client *c, struct ens_part *p)
{
	bool numbers = ens_work_does(c->e, ENS_KIND_NUMBERS);
	unsigned number = (unsigned)rng_below(&c->rng, PARENTS);

	switch (rng_below(&c->rng, 6)) {
	case 0:
		if (numbers)
			name(p, 'q', number);
		break;
	case 1:
		if (ens_work_does(c->e, ENS_KIND_CONTAINERS))
			name(p, rng_below(&c->rng, 2) == 0 ? 'c' : 't', number);
		break;
	case 2:
		if (numbers && c->recent_count > 0)
			memcpy(p->path, c->recent[rng_below(&c->rng, ENS_RECENT) % c->recent_count],
			    sizeof p->path);
		break;
	default:
		break;
	}
	if (p->path[0] == '\0')
		draw_path(c, p);
}

static void
draw_create(struct ens_client *c, struct ens_request *q, int32_t flags)
{
	struct ens_part *p = add_part(q, rng_below(&c->rng, 2) == 0 ? ZK_OP_CREATE : ZK_OP_CREATE2);

	q->op = p->op;
	p->flags = flags;
	p->acl = draw_acl(c);
	draw_path(c, p);
}

/* Two sets, or one and what must fail. */
static void
draw_multi(struct ens_client *c, struct ens_request *q, bool bad)
{
	struct ens_part *p = add_part(q, ZK_OP_SET_DATA);

	q->op = ZK_OP_MULTI;
	draw_path(c, p);
	p->version = draw_version(c);
	if (bad) {
		snprintf(add_part(q, ZK_OP_DELETE)->path, ENS_PATH_BYTES, "/nowhere");
		return;
	}
	name(add_part(q, ZK_OP_SET_DATA), 'k',
	    ((unsigned)(p->path[2] - '0') + 1 + (unsigned)rng_below(&c->rng, PATHS - 1)) % PATHS);
}

static void
draw_plain(struct ens_client *c, struct ens_request *q)
{
	struct ens_part *p;

	switch (rng_below(&c->rng, 13)) {
	case 0:
	case 1:
		draw_create(c, q, ZK_PERSISTENT);
		return;
	case 2:
		draw_create(c, q, ZK_EPHEMERAL);
		return;
	case 3:
	case 4:
		draw_multi(c, q, rng_below(&c->rng, 2) == 0);
		return;
	case 5:
		q->op = ZK_OP_SYNC;
		draw_path(c, add_part(q, q->op));
		return;
	case 6:
	case 7:
	case 8:
		q->op = ZK_OP_GET_DATA;
		draw_any_path(c, add_part(q, q->op));
		return;
	case 9:
		q->op = ZK_OP_DELETE;
		break;
	default:
		q->op = ZK_OP_SET_DATA;
		break;
	}
	p = add_part(q, q->op);
	draw_path(c, p);
	p->version = draw_version(c);
}

static void
draw_number(struct ens_client *c, struct ens_request *q, struct ens_part *p)
{
	snprintf(p->path, sizeof p->path, "/q%u/n", (unsigned)rng_below(&c->rng, PARENTS));
	p->flags =
	    rng_below(&c->rng, 3) == 0 && q->count < 2 ? ZK_EPHEMERAL_SEQUENTIAL : ZK_SEQUENTIAL;
	p->acl = draw_acl(c);
}

static void
draw_numbers(struct ens_client *c, struct ens_request *q)
{
	struct ens_part *p;

	switch (rng_below(&c->rng, 6)) {
	case 0:
		draw_create(c, q, ZK_PERSISTENT);
		name(&q->parts[0], 'q', (unsigned)rng_below(&c->rng, PARENTS));
		return;
	case 1:
		q->op = ZK_OP_DELETE;
		p = add_part(q, q->op);
		draw_any_path(c, p);
		if (c->recent_count > 0)
			memcpy(p->path, c->recent[--c->recent_count], sizeof p->path);
		return;
	case 2: /* several, and something else */
		q->op = ZK_OP_MULTI;
		draw_number(c, q, add_part(q, ZK_OP_CREATE));
		draw_number(c, q, add_part(q, ZK_OP_CREATE));
		draw_path(c, add_part(q, ZK_OP_SET_DATA));
		return;
	default:
		q->op = rng_below(&c->rng, 2) == 0 ? ZK_OP_CREATE : ZK_OP_CREATE2;
		draw_number(c, q, add_part(q, q->op));
		return;
	}
}

static void
draw_container(struct ens_client *c, struct ens_request *q)
{
	static const int32_t ops[] = {
	    ZK_OP_CREATE_CONTAINER, ZK_OP_CREATE_TTL, ZK_OP_CREATE, ZK_OP_CREATE, ZK_OP_DELETE};
	unsigned number = (unsigned)rng_below(&c->rng, PARENTS);
	struct ens_part *p;

	q->op = ops[rng_below(&c->rng, sizeof ops / sizeof ops[0])];
	p = add_part(q, q->op);
	if (q->op == ZK_OP_CREATE_CONTAINER || q->op == ZK_OP_CREATE_TTL) {
		name(p, q->op == ZK_OP_CREATE_TTL ? 't' : 'c', number);
		p->flags = q->op == ZK_OP_CREATE_TTL ? ZK_PERSISTENT_TTL : ZK_CONTAINER;
	} else
		snprintf(p->path, sizeof p->path, "/%c%u/a", rng_below(&c->rng, 3) == 0 ? 't' : 'c',
		    number);
}

static void
draw_acls(struct ens_client *c, struct ens_request *q)
{
	struct ens_part *p;

	q->op = ZK_OP_SET_ACL;
	p = add_part(q, q->op);
	draw_path(c, p);
	/* Open again most often: a life in which nobody may write does not count. */
	p->acl = rng_below(&c->rng, 4) > 0 ? 0 : (unsigned)rng_below(&c->rng, ENS_ACLS);
}

static void
draw_watches(struct ens_client *c, struct ens_request *q)
{
	static const int32_t ops[] = {ZK_OP_EXISTS, ZK_OP_EXISTS, ZK_OP_GET_CHILDREN2,
	    ZK_OP_GET_CHILDREN2, ZK_OP_ADD_WATCH, ZK_OP_ADD_WATCH, ZK_OP_ADD_WATCH,
	    ZK_OP_REMOVE_WATCHES, ZK_OP_CHECK_WATCHES};
	struct ens_part *p;

	q->op = ops[rng_below(&c->rng, sizeof ops / sizeof ops[0])];
	p = add_part(q, q->op);
	draw_any_path(c, p);
	if (q->op == ZK_OP_ADD_WATCH && rng_below(&c->rng, 6) == 0)
		snprintf(p->path, sizeof p->path, "/");
	if (q->op == ZK_OP_ADD_WATCH)
		q->mode =
		    rng_below(&c->rng, 2) == 0 ? ZK_ADD_WATCH_PERSISTENT : ZK_ADD_WATCH_RECURSIVE;
	else
		q->mode = ZK_WATCHER_CHILDREN + (int32_t)rng_below(&c->rng, 3);
}

/* A third of what is asked for is of the life's kinds. */
static void
draw_request(struct ens_client *c, struct ens_request *q)
{
	static void (*const draws[])(struct ens_client *, struct ens_request *) = {
	    [ENS_KIND_NUMBERS] = draw_numbers,
	    [ENS_KIND_CONTAINERS] = draw_container,
	    [ENS_KIND_ACLS] = draw_acls,
	    [ENS_KIND_WATCHES] = draw_watches,
	};
	enum ens_kind kind = (enum ens_kind)rng_below(&c->rng, 12);

	if (kind < sizeof draws / sizeof draws[0] && ens_work_does(c->e, kind))
		draws[kind](c, q);
	else
		draw_plain(c, q);
}

/* ---- bytes ---- */

static void
put_value(struct ens_client *c, struct ens_part *p)
{
	char text[VALUE_ROOM];
	unsigned more = c->e->value_bytes;
	int len =
	    snprintf(text, sizeof text, "%u.%llu", c->number, (unsigned long long)++c->values);

	more = more > 0 ? (unsigned)rng_below(&c->rng, more) : 0;
	memset(text + len, '.', more);
	text[(unsigned)len + more] = '\0';
	jute_put_text(&c->wire, text);
	p->data =
	    model_acl((struct jute_bytes){(const uint8_t *)text, (int32_t)((unsigned)len + more)});
}

static void
put_part(struct ens_client *c, struct ens_part *p)
{
	jute_put_text(&c->wire, p->path);
	switch (p->op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		put_value(c, p);
		put_acl(&c->wire, p->acl);
		jute_put_i32(&c->wire, p->flags);
		if (p->op == ZK_OP_CREATE_TTL)
			jute_put_i64(&c->wire, 1 + (int64_t)rng_below(&c->rng, TTL_MAX_MS));
		break;
	case ZK_OP_SET_DATA:
		put_value(c, p);
		jute_put_i32(&c->wire, p->version);
		break;
	case ZK_OP_SET_ACL:
		put_acl(&c->wire, p->acl);
		jute_put_i32(&c->wire, p->version);
		break;
	case ZK_OP_DELETE:
		jute_put_i32(&c->wire, p->version);
		break;
	default:
		break;
	}
}

static void
put_multi(struct ens_client *c, struct ens_request *q)
{
	for (unsigned i = 0; i < q->count; i++) {
		jute_put_i32(&c->wire, q->parts[i].op);
		jute_put_bool(&c->wire, false);
		jute_put_i32(&c->wire, -1);
		put_part(c, &q->parts[i]);
	}
	jute_put_i32(&c->wire, -1);
	jute_put_bool(&c->wire, true);
	jute_put_i32(&c->wire, -1);
}

static void
put_request(struct ens_client *c, struct ens_request *q)
{
	jute_put_i32(&c->wire, q->xid);
	jute_put_i32(&c->wire, q->op);
	switch (q->op) {
	case ZK_OP_MULTI:
		put_multi(c, q);
		break;
	case ZK_OP_RECONFIG:
		ens_reconf_put(c->e, &c->rng, &c->wire);
		break;
	case ZK_OP_SET_WATCHES2:
		ens_watch_put(c);
		break;
	case ZK_OP_CLOSE_SESSION:
		c->closing = true;
		c->asked_end = c->session;
		break;
	default:
		put_part(c, &q->parts[0]);
		if (q->op == ZK_OP_GET_DATA || q->op == ZK_OP_EXISTS ||
		    q->op == ZK_OP_GET_CHILDREN2)
			jute_put_bool(&c->wire, q->watch);
		else if (q->op == ZK_OP_ADD_WATCH || q->op == ZK_OP_REMOVE_WATCHES ||
			 q->op == ZK_OP_CHECK_WATCHES)
			jute_put_i32(&c->wire, q->mode);
		break;
	}
}

void
ens_work_request(struct ens_client *c)
{
	struct ens_request *q = &c->requests[c->request_count++];

	*q = (struct ens_request){.xid = ++c->next_xid,
	    .watch = rng_below(&c->rng, 2) == 0 && ens_watch_has_room(c),
	    .must_zxid = c->e->check.answered_zxid};
	if (rng_below(&c->rng, 200) == 0)
		q->op = ZK_OP_CLOSE_SESSION;
	else if (c->e->reconfig && c->number == 0 && rng_below(&c->rng, 25) == 0)
		q->op = ZK_OP_RECONFIG;
	else
		draw_request(c, q);
	if (q->op == ZK_OP_ADD_WATCH && !ens_watch_has_room(c))
		q->op = ZK_OP_CHECK_WATCHES, q->mode = ZK_WATCHER_ANY;
	put_request(c, q);
}

void
ens_work_set_watches(struct ens_client *c)
{
	struct ens_request *q = &c->requests[c->request_count++];

	*q = (struct ens_request){.xid = ZK_XID_SET_WATCHES,
	    .op = ZK_OP_SET_WATCHES2,
	    .must_zxid = c->e->check.answered_zxid};
	put_request(c, q);
}

void
ens_work_auth(struct ens_client *c, unsigned user)
{
	jute_put_i32(&c->wire, ZK_XID_AUTH);
	jute_put_i32(&c->wire, ZK_OP_AUTH);
	jute_put_i32(&c->wire, (int32_t)user); /* the simulation's shell reads it */
}
