/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/plants.h"
#include "zkserver/core/election_links.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

void
election_links_init(struct election_links *l, const struct election_links_settings *settings,
    const struct election_links_ops *ops, void *arg)
{
	assert(sid_is_valid(settings->sid));
	*l = (struct election_links){.settings = *settings, .ops = ops, .arg = arg};
}

static void
peer_free(struct election_peer *p)
{
	buf_fini(&p->last);
	free(p->address);
	free(p);
}

void
election_links_fini(struct election_links *l)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (l->peers[sid] != NULL)
			peer_free(l->peers[sid]);
	}
	*l = (struct election_links){.settings = l->settings};
}

static struct election_peer *
peer_new(struct election_links *l, int64_t sid)
{
	struct election_peer *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	buf_init(&p->last, NOTIFICATION_FRAME_BYTES_MAX);
	p->retry_at_ms = NEVER;
	l->peers[sid] = p;
	return p;
}

static struct election_peer *
peer_of(const struct election_links *l, int64_t sid)
{
	return sid_is_valid(sid) ? l->peers[sid] : NULL;
}

static void
set_state(struct election_links *l, int64_t sid, enum election_link state)
{
	struct election_peer *p = l->peers[sid];

	if (p->state == state)
		return;
	p->state = state;
	l->ops->changed(l->arg, sid, state);
}

/* Is there a reason and a place to connect to? */
static bool
is_wanted(const struct election_peer *p)
{
	return p->kept || (p->queued && (p->member || p->address != NULL));
}

/* Try again after the wait, if there is a reason, and wait longer the next time. */
static void
retry_later(struct election_peer *p, uint64_t now_ms, uint32_t wait_min_ms)
{
	uint32_t wait_ms = p->wait_ms > wait_min_ms ? p->wait_ms : wait_min_ms;

	if (!is_wanted(p)) {
		p->retry_at_ms = NEVER;
		p->queued = false;
		return;
	}
	p->retry_at_ms = now_ms + wait_ms;
	if (p->wait_ms == 0)
		p->wait_ms = ELECTION_DIAL_MIN_MS;
	else if (p->wait_ms < ELECTION_DIAL_MAX_MS / 2)
		p->wait_ms *= 2;
	else
		p->wait_ms = ELECTION_DIAL_MAX_MS;
}

/* A stranger with whom there is nothing going on leaves its place to another. */
static void
forget_if_idle(struct election_links *l, int64_t sid)
{
	struct election_peer *p = l->peers[sid];

	if (p->member || p->link != NULL || p->dialling || p->queued)
		return;
	peer_free(p);
	l->peers[sid] = NULL;
	l->stranger_count--;
}

static void
dial(struct election_links *l, uint64_t now_ms, int64_t sid)
{
	struct election_peer *p = l->peers[sid];

	assert(!p->dialling);
	for (int64_t other = 0; other <= MEMBERS_SID_MAX && ZAB_PLANTED(PLANT_DIALS_IN_TURN);
	     other++) {
		if (l->peers[other] != NULL && l->peers[other]->dialling)
			return;
	}
	p->dialling = true;
	p->dial_ms = now_ms;
	p->retry_at_ms = NEVER;
	l->ops->dial(l->arg, sid, p->address);
}

static void
give_up_dial(struct election_links *l, int64_t sid)
{
	struct election_peer *p = l->peers[sid];

	if (!p->dialling)
		return;
	p->dialling = false;
	l->ops->give_up_dial(l->arg, sid);
}

static void
drop_link(struct election_links *l, int64_t sid)
{
	struct election_peer *p = l->peers[sid];
	void *link = p->link;

	if (link == NULL)
		return;
	p->link = NULL;
	l->ops->hang_up(l->arg, link, false);
}

/* A server that is none of ours any more: may it stay as a stranger? */
static void
dismiss(struct election_links *l, int64_t sid)
{
	struct election_peer *p = l->peers[sid];

	if (!p->member)
		return;
	if (l->stranger_count < ELECTION_STRANGERS_MAX) {
		p->member = p->kept = false;
		l->stranger_count++;
		forget_if_idle(l, sid);
		return;
	}
	give_up_dial(l, sid);
	drop_link(l, sid);
	set_state(l, sid, ELECTION_LINK_UNKNOWN);
	peer_free(p);
	l->peers[sid] = NULL;
}

static bool
admit_member(struct election_links *l, uint64_t now_ms, int64_t sid, bool voter)
{
	struct election_peer *p = l->peers[sid];

	if (p != NULL && !p->member)
		l->stranger_count--;
	if (p == NULL && (p = peer_new(l, sid)) == NULL)
		return false;
	p->member = true;
	p->kept = voter;
	if (p->kept && p->link == NULL && !p->dialling && p->retry_at_ms == NEVER)
		retry_later(p, now_ms, 0);
	return true;
}

bool
election_links_set_members(struct election_links *l, uint64_t now_ms, const struct members *now,
    const struct members *next)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		bool member = members_find(now, sid) != NULL ||
			      (next != NULL && members_find(next, sid) != NULL);
		bool voter =
		    members_is_voter(now, sid) || (next != NULL && members_is_voter(next, sid));

		if (sid == l->settings.sid)
			continue;
		if (member && !admit_member(l, now_ms, sid, voter))
			return false;
		if (!member && l->peers[sid] != NULL)
			dismiss(l, sid);
	}
	return true;
}

static void
send_last(struct election_links *l, struct election_peer *p)
{
	p->queued = !l->ops->send(l->arg, p->link, p->last.data, p->last.len);
}

/*
 * This is the connection from now on. What was said last is said again: on the link before, it may
 * have been lost. The word that the link is up may have been answered with something newer.
 */
static void
establish(struct election_links *l, uint64_t now_ms, int64_t sid, void *link)
{
	struct election_peer *p = l->peers[sid];

	give_up_dial(l, sid);
	drop_link(l, sid);
	set_state(l, sid, ELECTION_LINK_UNKNOWN);
	p->retry_at_ms = NEVER;
	p->failures = 0;
	p->state = ELECTION_LINK_UP;
	l->ops->changed(l->arg, sid, ELECTION_LINK_UP);
	p->link = link;
	p->link_ms = now_ms;
	if (p->last.len > 0)
		send_last(l, p);
}

/*
 * A server with a smaller id wants to be connected to. A link that has only just been made is what
 * it asks for, though its call may have been on the way before.
 */
static void
call_back(struct election_links *l, uint64_t now_ms, int64_t sid)
{
	struct election_peer *p = l->peers[sid];

	if ((p->link != NULL && now_ms - p->link_ms < ELECTION_SETTLED_MS) ||
	    (p->dialling && now_ms - p->dial_ms < ELECTION_STUCK_DIAL_MS))
		return;
	give_up_dial(l, sid);
	drop_link(l, sid);
	set_state(l, sid, ELECTION_LINK_UNKNOWN);
	if (p->member || p->address != NULL)
		dial(l, now_ms, sid);
}

/*
 * Where a member says that it is counts only if members may have moved without our knowing. Of a
 * stranger there is no better word.
 */
static bool
note_address(struct election_links *l, struct election_peer *p, const struct hello *hello)
{
	char address[HELLO_ADDRESS_MAX + 1], *copy;

	if ((p->member && !l->settings.members_move) ||
	    !hello_address(hello, address, sizeof address))
		return true;
	if ((copy = strdup(address)) == NULL)
		return false;
	free(p->address);
	p->address = copy;
	return true;
}

enum election_hello
election_links_hello(
    struct election_links *l, uint64_t now_ms, void *link, const struct hello *hello)
{
	int64_t sid = hello->sid;
	struct election_peer *p;

	if (sid == l->settings.sid)
		return ELECTION_HELLO_OURSELVES;
	if (!sid_is_valid(sid))
		return ELECTION_HELLO_IMPOSSIBLE;
	if ((p = l->peers[sid]) == NULL) {
		if (l->stranger_count >= ELECTION_STRANGERS_MAX)
			return ELECTION_HELLO_UNKNOWN;
		if ((p = peer_new(l, sid)) == NULL)
			return ELECTION_HELLO_NO_MEMORY;
		l->stranger_count++;
	}
	if (!note_address(l, p, hello))
		return ELECTION_HELLO_NO_MEMORY;
	if (sid < l->settings.sid) {
		call_back(l, now_ms, sid);
		forget_if_idle(l, sid);
		return ELECTION_HELLO_CALL_BACK;
	}
	establish(l, now_ms, sid, link);
	return ELECTION_HELLO_KEPT;
}

void
election_links_dialled(struct election_links *l, uint64_t now_ms, int64_t sid, void *link)
{
	struct election_peer *p = peer_of(l, sid);

	if (p == NULL || !p->dialling) {
		l->ops->hang_up(l->arg, link, false);
		return;
	}
	p->dialling = false;
	if (sid < l->settings.sid) {
		l->ops->send_hello(l->arg, link);
		establish(l, now_ms, sid, link);
		return;
	}
	/* It has to connect; if it does so already, there is no need to ask. */
	if (p->link != NULL) {
		l->ops->hang_up(l->arg, link, false);
		return;
	}
	l->ops->send_hello(l->arg, link);
	l->ops->hang_up(l->arg, link, true);
	set_state(l, sid, ELECTION_LINK_UNKNOWN);
	retry_later(p, now_ms, ELECTION_CALL_BACK_MS);
	forget_if_idle(l, sid);
}

void
election_links_dial_failed(struct election_links *l, uint64_t now_ms, int64_t sid)
{
	struct election_peer *p = peer_of(l, sid);

	if (p == NULL || !p->dialling)
		return;
	p->dialling = false;
	if (p->member) {
		free(p->address);
		p->address = NULL;
	}
	if (++p->failures >= ELECTION_STRANGER_DIALS_MAX && !p->kept)
		p->queued = false;
	if (p->link == NULL) {
		if (!ZAB_PLANTED(PLANT_DIAL_ENDS))
			retry_later(p, now_ms, 0);
		set_state(l, sid, ELECTION_LINK_DOWN);
	}
	forget_if_idle(l, sid);
}

void
election_links_closed(struct election_links *l, uint64_t now_ms, int64_t sid, void *link)
{
	struct election_peer *p = peer_of(l, sid);

	if (p == NULL || p->link != link)
		return;
	p->link = NULL;
	/* How soon it is known that nobody is there decides how long an election takes. */
	if (now_ms - p->link_ms >= ELECTION_LIVED_MS)
		p->wait_ms = 0;
	if (!p->dialling)
		retry_later(p, now_ms, 0);
	set_state(l, sid, ELECTION_LINK_UNKNOWN);
	forget_if_idle(l, sid);
}

void
election_links_writable(struct election_links *l, int64_t sid, void *link)
{
	struct election_peer *p = peer_of(l, sid);

	if (p != NULL && p->link == link && p->queued)
		send_last(l, p);
}

void
election_links_send(
    struct election_links *l, uint64_t now_ms, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct election_peer *p = peer_of(l, sid);
	uint64_t earliest_ms;

	if (p == NULL)
		return;
	buf_clear(&p->last);
	buf_append(&p->last, bytes, size);
	p->queued = p->last.len > 0;
	if (p->link != NULL && p->queued) {
		send_last(l, p);
		return;
	}
	if (!is_wanted(p))
		p->queued = false;
	if (p->dialling || p->state == ELECTION_LINK_UP || !p->queued)
		return;
	earliest_ms = p->wait_ms == 0 ? now_ms : p->dial_ms + ELECTION_DIAL_MIN_MS;
	if (earliest_ms < now_ms)
		earliest_ms = now_ms;
	if (p->retry_at_ms > earliest_ms)
		p->retry_at_ms = earliest_ms;
}

uint64_t
election_links_deadline_ms(const struct election_links *l)
{
	uint64_t deadline_ms = NEVER, at_ms;

	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		const struct election_peer *p = l->peers[sid];

		if (p == NULL)
			continue;
		at_ms = p->dialling ? p->dial_ms + l->settings.connect_ms : p->retry_at_ms;
		if (at_ms < deadline_ms)
			deadline_ms = at_ms;
	}
	return deadline_ms;
}

void
election_links_tick(struct election_links *l, uint64_t now_ms)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		struct election_peer *p = l->peers[sid];

		if (p == NULL)
			continue;
		if (p->dialling && now_ms >= p->dial_ms + l->settings.connect_ms) {
			l->ops->give_up_dial(l->arg, sid);
			election_links_dial_failed(l, now_ms, sid);
		} else if (!p->dialling && now_ms >= p->retry_at_ms) {
			dial(l, now_ms, sid);
		}
	}
}
