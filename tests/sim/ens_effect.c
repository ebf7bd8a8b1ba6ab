/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what the committed transactions do to paths and sessions. */
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"
#include "zkserver/core/txn.h"

/*
 * S2: no session ends before its timeout is over. That is the shortest one that clients ask for: an
 * election brings back the one with which the session was made, whatever was agreed on since. A
 * leader's clock may be a tenth too fast; who has asked for the end gets it at once; and what a
 * client sends to a learner counts from when the leader hears of it: looked at is what was sent to
 * this leader.
 */
void
ens_check_expiry(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	uint64_t least_ms = 4 * n->e->tick_ms * 9 / 10, now_ms = n->e->world.now_ms;
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size) || h.type != ZK_OP_CLOSE_SESSION)
		return;
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->session == h.session && c->asked_end != h.session && c->touched == n &&
		    c->touched_life == n->life && now_ms - c->touched_ms < least_ms)
			ENS_VIOLATION(n,
			    "S2: session 0x%llx of client %u ends %llu ms after a request",
			    (unsigned long long)h.session, i,
			    (unsigned long long)(now_ms - c->touched_ms));
	}
}

static void
remember(struct ens_path *p, const struct ens_state *state)
{
	p->states = ens_book_grow(p->states, &p->cap, p->count, sizeof *p->states);
	p->states[p->count++] = *state;
}

/* /k0 to /k5; -1: another. */
static int
path_index(struct jute_bytes path)
{
	if (path.len != 3 || memcmp(path.data, "/k", 2) != 0)
		return -1;
	return path.data[2] - '0';
}

static void
replay_part(struct ens_check *c, const struct txn_body *b, int64_t zxid)
{
	const struct ens_state *before;
	int path = path_index(b->path);

	if (path < 0 || path >= ENS_PATHS)
		return;
	before = ens_check_state(c, (unsigned)path, zxid);
	if (b->type == ZK_OP_DELETE)
		remember(&c->paths[path], &(struct ens_state){.zxid = zxid});
	else if (b->type == ZK_OP_SET_DATA || b->type == ZK_OP_CREATE || b->type == ZK_OP_CREATE2)
		remember(&c->paths[path],
		    &(struct ens_state){.zxid = zxid,
			.exists = true,
			.data = hash_bytes(&ens_check_key, b->data.data,
			    (size_t)(b->data.len > 0 ? b->data.len : 0)),
			.owner = b->type == ZK_OP_SET_DATA ? before->owner : b->owner});
}

void
ens_check_replay(struct ens_check *c, const uint8_t *bytes, size_t size)
{
	struct txn txn;
	struct txn_body part;

	if (!txn_decode(&txn, bytes, size))
		return;
	if (txn.header.type == ZK_OP_CLOSE_SESSION) {
		struct jute_reader r = txn.body.rest;

		for (int32_t i = 0; i < txn.body.count; i++) {
			part = (struct txn_body){.type = ZK_OP_DELETE, .path = jute_get_bytes(&r)};
			replay_part(c, &part, txn.header.zxid);
		}
		return;
	}
	if (txn.header.type != ZK_OP_MULTI) {
		replay_part(c, &txn.body, txn.header.zxid);
		return;
	}
	for (struct jute_reader r = txn.body.rest; txn_next_part(&r, &txn.header, &part);)
		if (part.type == ZK_OP_ERROR)
			return;
	for (struct jute_reader r = txn.body.rest; txn_next_part(&r, &txn.header, &part);)
		replay_part(c, &part, txn.header.zxid);
}

/* S4: what belonged to a session is gone with it. */
static void
end_session(struct ens_node *n, int64_t session)
{
	struct ens_check *c = &n->e->check;

	for (unsigned i = 0; i < ENS_PATHS; i++) {
		const struct ens_state *s = ens_check_state(c, i, INT64_MAX);

		if (s->exists && s->owner == session)
			ENS_VIOLATION(n, "S4: /k%u outlives its session 0x%llx", i,
			    (unsigned long long)session);
	}
	c->ended = ens_book_grow(c->ended, &c->ended_cap, c->ended_count, sizeof *c->ended);
	c->ended[c->ended_count++] = session;
}

/*
 * C2, S5: a session's requests take effect in their order, whichever server they went to. Not the
 * end of the session, which is its expiry, too, and then has no place among them; and not what is
 * refused because the session has moved or ended: it is that which keeps the order.
 */
static void
check_order(struct ens_node *n, const struct txn_header *h, int32_t error)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->session != h->session || h->cxid <= 0 || h->type == ZK_OP_CLOSE_SESSION ||
		    error == ZK_SESSIONMOVED || error == ZK_SESSIONEXPIRED)
			continue;
		if (c->committed_session == h->session && c->committed_cxid >= h->cxid)
			ENS_VIOLATION(n, "C2: request %d of client %u takes effect behind its %d",
			    h->cxid, i, c->committed_cxid);
		c->committed_session = h->session;
		c->committed_cxid = h->cxid;
	}
}

static int32_t
error_of(const uint8_t *bytes, size_t size)
{
	struct txn t;

	return txn_decode(&t, bytes, size) && t.header.type == ZK_OP_ERROR ? t.body.error : 0;
}

/* Nothing is left to be removed when a session ends a second time. */
static bool
ends_nothing(const uint8_t *bytes, size_t size)
{
	struct txn t;

	return txn_decode(&t, bytes, size) && t.body.count <= 0;
}

/*
 * S1, S4: an ended session does nothing more. An error changes nothing, it is the answer to what
 * came too late; and a session may be ended twice, asked for and expired at once, but for nothing.
 */
void
ens_check_session(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size))
		return;
	for (size_t i = 0; i < c->ended_count; i++)
		if (c->ended[i] == h.session && h.type != ZK_OP_ERROR &&
		    (h.type != ZK_OP_CLOSE_SESSION || !ends_nothing(bytes, size)))
			ENS_VIOLATION(n,
			    "S1: 0x%llx, type %d, is of session 0x%llx, which has ended",
			    (unsigned long long)h.zxid, h.type, (unsigned long long)h.session);
	check_order(n, &h, error_of(bytes, size));
	if (h.type == ZK_OP_CLOSE_SESSION)
		end_session(n, h.session);
}

const struct ens_state *
ens_check_state(const struct ens_check *c, unsigned path, int64_t zxid)
{
	static const struct ens_state none;
	const struct ens_path *p = &c->paths[path];

	for (size_t i = p->count; i-- > 0;)
		if (p->states[i].zxid <= zxid)
			return &p->states[i];
	return &none;
}

const struct ens_state *
ens_check_change(const struct ens_check *c, unsigned path, int64_t zxid)
{
	const struct ens_path *p = &c->paths[path];
	const struct ens_state *first = NULL;

	for (size_t i = p->count; i-- > 0 && p->states[i].zxid > zxid;)
		first = &p->states[i];
	return first;
}
