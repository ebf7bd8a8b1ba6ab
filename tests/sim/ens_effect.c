/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what the committed transactions do to paths and sessions. */
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"
#include "zkserver/core/txn.h"

/*
 * S2: no session ends before its timeout is over. That is the shortest one that was agreed on: an
 * election brings back the one with which the session was made. A
 * leader's clock may be a tenth too fast; who has asked for the end gets it at once; and what a
 * client sends to a learner counts from when the leader hears of it: looked at is what was sent to
 * this leader.
 */
void
ens_check_expiry(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	uint64_t now_ms = n->e->world.now_ms;
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size) || h.type != ZK_OP_CLOSE_SESSION)
		return;
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->session == h.session && c->asked_end != h.session && c->touched == n &&
		    c->touched_life == n->life &&
		    now_ms - c->touched_ms < (uint64_t)c->least_timeout_ms * 9 / 10)
			ENS_VIOLATION(n,
			    "S2: session 0x%llx of client %u ends %llu ms after a request",
			    (unsigned long long)h.session, i,
			    (unsigned long long)(now_ms - c->touched_ms));
	}
}

void
ens_check_replay(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	model_apply(&n->e->model, bytes, size);
	if (n->e->model.wrong[0] != '\0')
		ENS_VIOLATION(n, "%s", n->e->model.wrong);
}

/*
 * C2: a session's requests take effect in their order, whichever server they went to. Not the
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
 * Where sessions are local at first a leader takes one that it does not know for one of those, of
 * another server: it may write, but for ephemeral nodes.
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
		    (h.type == ZK_OP_CLOSE_SESSION || !ens_work_does(n->e, ENS_KIND_LOCAL)) &&
		    (h.type != ZK_OP_CLOSE_SESSION || !ends_nothing(bytes, size)))
			ENS_VIOLATION(n,
			    "S1: 0x%llx, type %d, is of session 0x%llx, which has ended",
			    (unsigned long long)h.zxid, h.type, (unsigned long long)h.session);
	check_order(n, &h, error_of(bytes, size));
	ens_session_committed(n, &h);
	if (h.type != ZK_OP_CLOSE_SESSION)
		return;
	c->ended = ens_book_grow(c->ended, &c->ended_cap, c->ended_count, sizeof *c->ended);
	c->ended[c->ended_count++] = h.session;
}
