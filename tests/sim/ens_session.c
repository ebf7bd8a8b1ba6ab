/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: whom they are given to, for how long, on which connection; what becomes of those that
 * one server alone knows; and how old what a server says may be.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"
#include "zkserver/core/txn.h"

/* Delays of disks and network beside the limit. */
#define LATE_MS 5000

static struct ens_session *
find(const struct ens *e, int64_t id)
{
	for (size_t i = e->sessions.count; i-- > 0;)
		if (e->sessions.of[i].id == id)
			return &e->sessions.of[i];
	return NULL;
}

static struct ens_session *
find_or_add(struct ens *e, int64_t id)
{
	struct ens_sessions *all = &e->sessions;
	struct ens_session *s = find(e, id);

	if (s != NULL)
		return s;
	all->of = ens_book_grow(all->of, &all->cap, all->count, sizeof *all->of);
	s = &all->of[all->count++];
	*s = (struct ens_session){.id = id};
	return s;
}

void
ens_sessions_fini(struct ens *e)
{
	free(e->sessions.of);
	free(e->sessions.times);
}

bool
ens_session_is_local(const struct ens *e, int64_t session)
{
	const struct ens_session *s = find(e, session);

	return s == NULL || !s->created;
}

/* ---- what leaders make, and what is committed ---- */

/*
 * S5: behind the answer to the new connection nothing is carried out that was asked for on an
 * earlier one: by the leader that has taken the move note of.
 */
static void
check_moved(struct ens_node *n, const struct txn_header *h)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		const struct ens_client *c = &n->e->clients[i];

		if (c->connected && c->session == h->session && h->cxid > 0 &&
		    h->cxid <= c->floor_xid && h->zxid >> 32 == c->floor_epoch)
			ENS_VIOLATION(n,
			    "S5: request %d of client %u is carried out, which has moved since %d",
			    h->cxid, i, c->floor_xid);
	}
}

void
ens_session_made(struct ens_node *n, const struct txn_header *h)
{
	if (h->type == ZK_OP_CLOSE_SESSION)
		find_or_add(n->e, h->session)->ending = true;
	else if (h->type != ZK_OP_ERROR)
		check_moved(n, h);
}

/* S9: no id is given twice; C11: and those that a server without a leader gives are nobody's. */
void
ens_session_committed(struct ens_node *n, const struct txn_header *h)
{
	struct ens_sessions *all = &n->e->sessions;
	struct ens_session *s = find_or_add(n->e, h->session);

	all->times =
	    ens_book_grow(all->times, &all->times_cap, all->times_count, sizeof *all->times);
	all->times[all->times_count++] = (struct ens_time){h->zxid, n->e->world.now_ms};
	if (s->read_only)
		ENS_VIOLATION(n,
		    "C11: 0x%llx, type %d, is of session 0x%llx of a server without a leader",
		    (unsigned long long)h->zxid, h->type, (unsigned long long)h->session);
	if (h->type != ZK_OP_CREATE_SESSION)
		return;
	if (s->created)
		ENS_VIOLATION(
		    n, "S9: session 0x%llx is made twice", (unsigned long long)h->session);
	s->created = true;
	s->epoch = (int32_t)(h->zxid >> 32);
}

/* ---- connections ---- */

/*
 * S6: who does not know the password is told what the owner of an ended session is told. S1: who
 * does is not told so unless the session's end was decided; but a server without a leader knows
 * only some, of a local session one server alone knows, and who was made in an epoch that the
 * server has not heard of is unknown to it: an answer to a connect request has no zxid, so that
 * such a client may come.
 */
static void
check_refused(struct ens_client *c, int32_t timeout_ms, struct jute_bytes password)
{
	static const uint8_t zeros[SESSION_PASSWORD_BYTES];
	const struct ens_session *s = find(c->e, c->asked_session);

	if (timeout_ms != 0 || password.len != sizeof zeros ||
	    memcmp(password.data, zeros, sizeof zeros) != 0)
		ENS_VIOLATION(
		    c, "S6: client %u is refused with a timeout or a password", c->number);
	if (c->asked_session == 0)
		ENS_VIOLATION(c, "S1: client %u is refused a new session", c->number);
	else if (!c->stranger && s != NULL && !c->asked_local && !s->ending &&
		 c->asked_end != c->asked_session && c->node->server.role != SERVER_READ_ONLY &&
		 s->epoch <= c->node->peer.zab.epochs.current)
		ENS_VIOLATION(c, "S1: client %u is refused session 0x%llx, which lives", c->number,
		    (unsigned long long)c->asked_session);
}

int32_t
ens_session_timeout(const struct ens_client *c)
{
	const struct server_settings *set = &c->node->settings;

	if (c->asked_timeout_ms < set->min_timeout_ms)
		return set->min_timeout_ms;
	return c->asked_timeout_ms > set->max_timeout_ms ? set->max_timeout_ms
							 : c->asked_timeout_ms;
}

/* S7: within the server's bounds, and what was asked for if that is. */
static void
check_timeout(struct ens_client *c, int32_t timeout_ms)
{
	if (timeout_ms != ens_session_timeout(c))
		ENS_VIOLATION(c, "S7: client %u asks for %d ms, gets %d, not %d", c->number,
		    c->asked_timeout_ms, timeout_ms, ens_session_timeout(c));
}

/* S9: an id is new, and says who has given it. */
static void
check_new(struct ens_client *c, int64_t session)
{
	struct ens_session *s = find_or_add(c->e, session);

	if (s->given)
		ENS_VIOLATION(c, "S9: session 0x%llx is given to client %u, was another's",
		    (unsigned long long)session, c->number);
	if ((int64_t)((uint64_t)session >> SESSION_SID_SHIFT) != c->node->sid)
		ENS_VIOLATION(c, "S9: session 0x%llx is not one of server %lld",
		    (unsigned long long)session, (long long)c->node->sid);
	s->given = true;
	s->read_only = c->node->server.role == SERVER_READ_ONLY;
}

void
ens_session_answered(struct ens_client *c, int32_t timeout_ms, int64_t session,
    struct jute_bytes password, bool read_only)
{
	bool is_read_only = c->node->server.role == SERVER_READ_ONLY, local;

	if (session == 0) {
		check_refused(c, timeout_ms, password);
		return;
	}
	if (c->stranger)
		ENS_VIOLATION(c, "S6: client %u has session 0x%llx without its password", c->number,
		    (unsigned long long)session);
	if (c->asked_session != 0 && session != c->asked_session)
		ENS_VIOLATION(c, "S6: client %u asks for session 0x%llx, gets 0x%llx", c->number,
		    (unsigned long long)c->asked_session, (unsigned long long)session);
	if (read_only != is_read_only || (is_read_only && !c->asks_read_only))
		ENS_VIOLATION(c, "C11: client %u is served by server %lld, which %s a leader%s",
		    c->number, (long long)c->node->sid, is_read_only ? "lacks" : "has",
		    read_only ? ", as if it had none" : "");
	check_timeout(c, timeout_ms);
	if (c->asked_session == 0)
		check_new(c, session);
	/* A local one has not moved: what its server has passed on comes to the leader in order. It
	 * is local until its server has applied that it is not. */
	local = ens_session_is_local(c->e, session) ||
		session_find(&c->node->server.local, session) != NULL;
	c->floor_xid = local ? 0 : c->next_xid;
	c->floor_epoch = c->node->peer.zab.epochs.current;
}

/* ---- reads ---- */

/* When the first transaction behind zxid was committed; false: there is none. */
static bool
find_missed(const struct ens_sessions *all, int64_t zxid, uint64_t *at_ms)
{
	size_t low = 0, high = all->times_count;

	if (high == 0 || all->times[high - 1].zxid <= zxid)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (all->times[middle].zxid <= zxid)
			low = middle + 1;
		else
			high = middle;
	}
	*at_ms = all->times[low].at_ms;
	return true;
}

static bool
was_held_up(const struct ens_node *n, uint64_t since_ms)
{
	return n->paused_until_ms > since_ms || n->stuck_until_ms > since_ms;
}

/*
 * C10: what is read is no older than a follower may be without its leader, whose clock may be slow,
 * or than the oldest proposal that it may owe, which is twice as much; an observer may have it from
 * a follower. Of a server that was stopped meanwhile, or whose disk
 * was, that cannot be asked: it takes what its leader has sent in order, nothing in it says how old
 * it is, and while there is some left its leader is not silent, though it be gone. What an observer
 * has is what its master has taken, and is as old; so then it cannot be asked of this one either.
 */
void
ens_session_read(struct ens_client *c, int64_t zxid)
{
	const struct ens_node *n = c->node;
	uint64_t alone_ms = (uint64_t)n->peer.zab.settings.sync_limit * n->e->tick_ms * 10 / 9,
		 limit_ms = 2 * alone_ms, since_ms, now_ms = n->e->world.now_ms;

	if (n->server.role == SERVER_READ_ONLY && c->read_only)
		return;
	if (c->read_only || !server_serves(&n->server)) {
		ENS_VIOLATION(c, "C10: client %u is answered by server %lld, which has no leader",
		    c->number, (long long)n->sid);
		return;
	}
	if (!find_missed(&n->e->sessions, zxid, &since_ms) || was_held_up(n, since_ms))
		return;
	if (n->server.role == SERVER_OBSERVER) {
		int64_t master = n->peer.learner.master;

		if (master > 0 && was_held_up(&n->e->nodes[master - 1], since_ms))
			return;
		limit_ms += alone_ms;
	}
	if (now_ms - since_ms > limit_ms + LATE_MS)
		ENS_VIOLATION(c,
		    "C10: client %u reads at 0x%llx what has not been so for %llu ms, at server "
		    "%lld",
		    c->number, (unsigned long long)zxid, (unsigned long long)(now_ms - since_ms),
		    (long long)n->sid);
}
