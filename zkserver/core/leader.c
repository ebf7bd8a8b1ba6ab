/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/leader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/leader_priv.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/qpacket.h"

void
leader_init(struct leader *l, struct zab *z)
{
	*l = (struct leader){.z = z};
	buf_init(&l->syncs, LEADER_SYNCS_MAX * sizeof(struct leader_sync));
	buf_init(&l->reconfigs, SIZE_MAX / 4);
	l->appointed = -1;
}

void
leader_fini(struct leader *l)
{
	buf_fini(&l->syncs);
	buf_fini(&l->reconfigs);
}

static uint64_t
ticks(const struct leader *l, uint32_t count)
{
	return (uint64_t)l->z->settings.tick_ms * count;
}

static void
enter(struct leader *l, enum leader_phase phase)
{
	l->phase = phase;
	l->phase_until_ms = l->z->now_ms + ticks(l, l->z->settings.init_limit);
}

void
leader_start(struct leader *l)
{
	struct zab *z = l->z;
	int32_t accepted = z->epochs.accepted;

	if (accepted < z->accepted_elsewhere)
		accepted = z->accepted_elsewhere;
	buf_fini(&l->syncs);
	buf_clear(&l->reconfigs);
	*l = (struct leader){.z = z,
	    .syncs = l->syncs,
	    .reconfigs = l->reconfigs,
	    .appointed = -1,
	    .proposed_epoch = accepted + 1,
	    .start_current = z->epochs.current,
	    .start_zxid = zab_last_zxid(z),
	    .committed = zab_last_zxid(z),
	    .tick_at_ms = z->now_ms + z->settings.tick_ms,
	    .ping_at_ms = z->now_ms + z->settings.tick_ms / 2};
	sid_set_add(&l->known, z->settings.sid);
	enter(l, LEADER_DISCOVERY);
}

void
leader_fail(struct leader *l, const char *fmt, ...)
{
	va_list ap;

	if (l->phase == LEADER_AWAY)
		return;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof l->why, fmt, ap);
	va_end(ap);
	l->phase = LEADER_AWAY;
}

bool
leader_lives(const struct leader *l)
{
	return l->phase != LEADER_AWAY;
}

/* The next learner's link behind `at`; NULL to begin with, NULL at the end. */
struct peer_link *
leader_next(const struct leader *l, const struct peer_link *at)
{
	const struct list *it = at != NULL ? at->link.next : l->z->links.next;

	for (; it != &l->z->links; it = it->next) {
		struct peer_link *link = CONTAINER_OF(it, struct peer_link, link);

		if (link->use == PEER_LINK_LEARNER && link->end == PEER_LINK_OPEN)
			return link;
	}
	return NULL;
}

void
leader_stop(struct leader *l, const char *why)
{
	struct peer_link *link = NULL;

	while ((link = leader_next(l, link)) != NULL) {
		leader_sync_drop(link);
		zab_link_end(l->z, link, "%s", why);
	}
	buf_fini(&l->syncs);
	l->phase = LEADER_AWAY;
	if (l->upstream != NULL)
		l->upstream->relay = NULL;
	l->upstream = NULL;
}

void
leader_take(struct leader *l, struct peer_link *link)
{
	link->use = PEER_LINK_LEARNER;
	link->stage = LEARNER_NEW;
	link->since_ms = link->heard_ms = l->z->now_ms;
	buf_init(&link->syncs, LEADER_SYNCS_MAX * sizeof(struct leader_sync));
	if (link->in.len > 0)
		leader_read(l, link);
}

/* ---- quorums ---- */

bool
leader_is_voter(const struct leader *l, const struct peer_link *link)
{
	return (!link->observer && zab_is_voter(l->z, link->sid)) ||
	       ZAB_PLANTED(PLANT_OBSERVERS_COUNT);
}

/* Do those voters whose link fulfils this, and ourselves, make a quorum? */
static bool
is_quorum(const struct leader *l,
    bool (*has)(const struct leader *l, const struct peer_link *link, int64_t value), int64_t value,
    bool self)
{
	const struct peer_link *link = NULL;
	struct sid_set set = {0};

	if (self)
		sid_set_add(&set, l->z->settings.sid);
	while ((link = leader_next(l, link)) != NULL) {
		if (leader_is_voter(l, link) && has(l, link, value))
			sid_set_add(&set, link->sid);
	}
	return zab_quorum(l->z, &set);
}

static bool
is_synced(const struct leader *l, const struct peer_link *link, int64_t value)
{
	(void)l;
	(void)value;
	return link->stage >= LEARNER_SYNCED;
}

static bool
has_acked(const struct leader *l, const struct peer_link *link, int64_t zxid)
{
	(void)l;
	return link->stage >= LEARNER_SYNCED && link->acked >= zxid;
}

static bool
has_answered(const struct leader *l, const struct peer_link *link, int64_t value)
{
	(void)value;
	return link->stage == LEARNER_SERVING && link->ping_round == l->round &&
	       link->pings_answered >= link->ping_mark;
}

/* ---- discovery ---- */

/*
 * As Apache's: a configuration that was written by hand gets a version with the first epoch that is
 * led in it, so that it is newer than what whoever wants to join was given.
 */
static bool
begin_versions(struct leader *l)
{
	struct zab *z = l->z;
	struct fault f = {0};

	if ((!z->settings.reconfig && !ZAB_PLANTED(PLANT_STATIC_VERSIONS)) ||
	    zab_newest(z)->version != 0)
		return true;
	l->next = *z->members;
	l->next.version = (int64_t)l->epoch << 32;
	if (zab_see(z, &l->next, &f))
		return true;
	leader_fail(l, "%s", f.text);
	return false;
}

static void
fix_epoch(struct leader *l)
{
	struct peer_link *link = NULL;
	struct zab *z = l->z;
	struct fault f = {0};

	if (epochs_accept(z->snapshots, &z->epochs, l->proposed_epoch, &f) != 0) {
		zab_fatal(z, "%s", f.text);
		return;
	}
	l->epoch = l->proposed_epoch;
	if (!begin_versions(l))
		return;
	sid_set_add(&l->promised, z->settings.sid);
	enter(l, LEADER_PROMISE);
	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage == LEARNER_KNOWN)
			leader_greet(l, link);
	}
}

static void
begin_sync(struct leader *l)
{
	struct peer_link *link = NULL;
	struct zab *z = l->z;
	struct fault f = {0};

	if (epochs_enter(z->snapshots, &z->epochs, l->epoch, &f) != 0) {
		zab_fatal(z, "%s", f.text);
		return;
	}
	z->epoch_leader = z->settings.sid;
	enter(l, LEADER_SYNC);
	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage == LEARNER_ACCEPTED)
			leader_sync_choose(l, link);
	}
}

/* Before UPTODATE none is answered, they only say that we live. */
static void
ping_one(struct leader *l, struct peer_link *link)
{
	qpacket_put(link->out, QPACKET_PING, server_last_zxid(l->z->server), NULL, 0);
	if (link->stage == LEARNER_SERVING)
		link->pings_sent++;
	zab_link_touch(l->z, link);
}

/* It has everything; it may serve once we do, and once all that it has is committed. */
static void
set_up_to_date(struct leader *l, struct peer_link *link)
{
	if (!leader_serves(l) || link->stage != LEARNER_SYNCED || l->committed < link->asked_zxid)
		return;
	qpacket_put(link->out, QPACKET_UPTODATE, -1, NULL, 0);
	link->stage = LEARNER_SERVING;
	if (link->committed < (int64_t)l->epoch << 32)
		link->committed = (int64_t)l->epoch << 32;
	ping_one(l, link);
	link->ping_round = l->round;
	link->ping_mark = link->pings_sent;
	zab_say(l->z, "server %lld is in sync as %s", (long long)link->sid,
	    link->observer ? "an observer" : "a follower");
}

static void
activate(struct leader *l)
{
	if (l->z->seen != NULL)
		leader_adopt(l, l->start_zxid);
	zab_show_members(l->z);
	server_lead(l->z->server, l->epoch);
	l->committed = (int64_t)l->epoch << 32;
	enter(l, LEADER_ACTIVE);
	l->active_since_ms = l->z->now_ms;
	zab_say(l->z, "leading epoch %d from zxid 0x%llx on", (int)l->epoch,
	    (unsigned long long)l->start_zxid);
}

/* Whoever is being synchronized has the time that it takes, as long as it goes on. */
void
leader_progress(struct leader *l, struct peer_link *link)
{
	if (ZAB_PLANTED(PLANT_NO_PROGRESS))
		return;
	link->heard_ms = l->z->now_ms;
	if (l->phase == LEADER_SYNC && link->stage >= LEARNER_SNAPSHOT && leader_is_voter(l, link))
		l->phase_until_ms = l->z->now_ms + ticks(l, l->z->settings.init_limit);
}

/* ---- pings and syncs ---- */

bool
leader_park(struct leader *l, struct buf *syncs)
{
	struct leader_sync s = {.zxid = server_last_zxid(l->z->server), .round = l->round + 1};

	buf_append(syncs, &s, sizeof s);
	l->wanted = s.round;
	return !syncs->failed;
}

void
leader_own_sync(struct leader *l)
{
	if (l->phase == LEADER_ACTIVE && !leader_park(l, &l->syncs))
		leader_fail(l, "too many syncs wait for a confirmation");
}

static void
ping(struct leader *l)
{
	struct peer_link *link = NULL;

	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage >= LEARNER_SYNCED)
			ping_one(l, link);
	}
}

/* Begin a round: whoever answers the ping that goes out now still follows us now. */
static void
begin_round(struct leader *l)
{
	struct peer_link *link = NULL;

	l->round++;
	ping(l);
	while ((link = leader_next(l, link)) != NULL) {
		link->ping_mark = link->pings_sent;
		link->ping_round = l->round;
	}
}

static void
confirm(struct leader *l)
{
	if (l->round > l->confirmed && is_quorum(l, has_answered, 0, true))
		l->confirmed = l->round;
	if (l->round == l->confirmed && l->wanted > l->round) {
		begin_round(l);
		if (is_quorum(l, has_answered, 0, true))
			l->confirmed = l->round; /* nobody else is needed */
	}
}

/* Is the oldest of these done, as far as `told`? Then it is taken off. */
static bool
take_sync(const struct leader *l, struct buf *syncs, int64_t told, struct leader_sync *s)
{
	if (syncs->len == 0)
		return false;
	memcpy(s, syncs->data, sizeof *s);
	if ((s->round > l->confirmed && !ZAB_PLANTED(PLANT_SYNC_UNCONFIRMED)) || s->zxid > told)
		return false;
	buf_consume(syncs, sizeof *s);
	return true;
}

void
leader_answer(struct leader *l, struct peer_link *link)
{
	struct leader_sync s;

	while (take_sync(l, &link->syncs, link->committed, &s)) {
		if (s.revalidation)
			qpacket_put_revalidated(link->out, s.session, s.valid);
		else
			qpacket_put(link->out, QPACKET_SYNC, 0, NULL, 0);
		zab_link_touch(l->z, link);
		leader_sync_pump(l, link); /* what had to wait behind it */
	}
}

static void
answer_syncs(struct leader *l)
{
	struct peer_link *link = NULL;
	struct leader_sync s;

	while (take_sync(l, &l->syncs, l->committed, &s))
		server_sync_done(l->z->server);
	while ((link = leader_next(l, link)) != NULL) {
		leader_answer(l, link);
	}
}

/* ---- what follows ---- */

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The highest zxid that a quorum has on stable storage. */
static int64_t
find_committed(const struct leader *l)
{
	int64_t values[MEMBERS_MAX + 1], own = server_synced_zxid(l->z->server);
	const struct peer_link *link = NULL;
	size_t count = 0;

	if (ZAB_PLANTED(PLANT_OWN_DISK_LATER))
		own = server_last_zxid(l->z->server);
	values[count++] = own;
	while (count <= MEMBERS_MAX && (link = leader_next(l, link)) != NULL) {
		if (ZAB_PLANTED(PLANT_SNAPSHOT_BLOCKS) && link->stage == LEARNER_SNAPSHOT)
			return l->committed;
		if (leader_is_voter(l, link) && link->stage >= LEARNER_SYNCED)
			values[count++] = link->acked;
	}
	qsort(values, count, sizeof values[0], by_value);
	for (size_t i = 0; i < count && values[i] > l->committed; i++) {
		if (is_quorum(l, has_acked, values[i], own >= values[i]))
			return values[i];
	}
	return l->committed;
}

static void
commit(struct leader *l)
{
	const struct members *seen = l->z->seen;
	int64_t zxid = find_committed(l);

	if (zxid <= l->committed || l->retire_at_ms > 0)
		return;
	/* Behind a reconfig all is counted anew. */
	if (seen != NULL && zxid > seen->version)
		zxid = seen->version;
	l->committed = zxid;
	if (seen != NULL && zxid == seen->version)
		leader_adopt(l, zxid);
	server_committed(l->z->server, zxid);
	commit(l);
}

static void
advance(struct leader *l)
{
	if (l->phase == LEADER_DISCOVERY && zab_quorum(l->z, &l->known))
		fix_epoch(l);
	if (l->phase == LEADER_PROMISE && !l->z->failed && zab_quorum(l->z, &l->promised))
		begin_sync(l);
	if (l->phase == LEADER_SYNC && !l->z->failed && is_quorum(l, is_synced, 0, true))
		activate(l);
}

void
leader_turn(struct leader *l)
{
	struct peer_link *link = NULL;

	if (l->phase == LEADER_AWAY)
		return;
	advance(l);
	if (l->z->failed)
		return;
	if (l->phase == LEADER_ACTIVE) {
		commit(l);
		confirm(l);
	} else if (l->phase == LEADER_RELAYS)
		leader_relay_turn(l);
	while ((link = leader_next(l, link)) != NULL) {
		leader_sync_pump(l, link);
		set_up_to_date(l, link);
		if (link->out->failed)
			zab_link_end(l->z, link,
			    "server %lld does not take what it is sent: too much waits",
			    (long long)link->sid);
	}
	if (leader_serves(l))
		answer_syncs(l);
	if (l->z->server->zxids_end && !ZAB_PLANTED(PLANT_ZXIDS_WRAP))
		leader_fail(l, "epoch %d has no zxid left", (int)l->epoch);
}

/* All have heard who leads on, and gone there. */
static void
retire(struct leader *l)
{
	const struct peer_link *link = NULL;

	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage >= LEARNER_CATCHING_UP)
			return;
	}
	leader_fail(l, "server %lld leads on", (long long)l->appointed);
}

/* A quorum that is lost ends the leadership at once, unless who left is on its way back. */
void
leader_lost(struct leader *l, struct peer_link *link)
{
	const struct peer_link *other = NULL;
	bool counted = link->stage >= LEARNER_SYNCED && leader_is_voter(l, link);

	leader_sync_drop(link);
	link->use = PEER_LINK_DONE;
	leader_relay_lost(l, link);
	if (l->retire_at_ms > 0) {
		retire(l);
		return;
	}
	if (!counted || l->phase != LEADER_ACTIVE || is_quorum(l, is_synced, 0, true))
		return;
	while ((other = leader_next(l, other)) != NULL) {
		if (other->sid == link->sid)
			return;
	}
	MARK("leader: the quorum leaves");
	leader_fail(l, "server %lld has left, and with it the quorum", (long long)link->sid);
}

/* ---- time ---- */

uint64_t
leader_deadline_ms(const struct leader *l)
{
	uint64_t at_ms;

	if (l->phase == LEADER_AWAY)
		return UINT64_MAX;
	at_ms = l->tick_at_ms < l->ping_at_ms ? l->tick_at_ms : l->ping_at_ms;
	return !leader_serves(l) && l->phase_until_ms < at_ms ? l->phase_until_ms : at_ms;
}

/* How long a learner may be silent; 0: as long as it takes, it waits for us. */
static uint64_t
silence_ms(const struct leader *l, const struct peer_link *link)
{
	if (link->paused)
		return 0;
	switch (link->stage) {
	case LEARNER_KNOWN:
	case LEARNER_ACCEPTED:
		return 0;
	case LEARNER_SNAPSHOT:
		return link->wants_snapshot ? 0 : ticks(l, l->z->settings.init_limit);
	case LEARNER_SERVING:
		return ticks(l, l->z->settings.sync_limit);
	default:
		return ticks(l, l->z->settings.init_limit);
	}
}

static void
check_silence(struct leader *l)
{
	struct peer_link *link = NULL;
	uint64_t now_ms = l->z->now_ms;

	while ((link = leader_next(l, link)) != NULL) {
		uint64_t limit_ms = silence_ms(l, link);

		if (limit_ms > 0 && now_ms - link->heard_ms > limit_ms)
			zab_link_end(l->z, link, "server %lld said nothing for %llu ms",
			    (long long)link->sid, (unsigned long long)(now_ms - link->heard_ms));
		else if (link->stage == LEARNER_SERVING && link->waits_since_ms > 0 &&
			 now_ms - link->waits_since_ms > ticks(l, l->z->settings.sync_limit))
			zab_link_end(l->z, link,
			    "server %lld has not acknowledged a proposal of %llu ms ago",
			    (long long)link->sid,
			    (unsigned long long)(now_ms - link->waits_since_ms));
	}
}

void
leader_tick(struct leader *l)
{
	uint64_t now_ms = l->z->now_ms;

	if (l->phase == LEADER_AWAY)
		return;
	if (!leader_serves(l) && now_ms >= l->phase_until_ms) {
		MARK("leader: no quorum comes");
		leader_fail(l, "no quorum came within %llu ms",
		    (unsigned long long)ticks(l, l->z->settings.init_limit));
		return;
	}
	if (now_ms >= l->ping_at_ms) {
		ping(l);
		l->ping_at_ms = now_ms + l->z->settings.tick_ms / 2;
	}
	if (now_ms < l->tick_at_ms)
		return;
	l->tick_at_ms = now_ms + l->z->settings.tick_ms;
	if (l->retire_at_ms > 0 && now_ms >= l->retire_at_ms)
		leader_fail(l, "server %lld leads on", (long long)l->appointed);
	check_silence(l);
	if (l->phase == LEADER_ACTIVE && l->retire_at_ms == 0 &&
	    !is_quorum(l, is_synced, 0, true)) {
		MARK("leader: the quorum is silent");
		leader_fail(l, "no quorum is in sync any more");
	}
}
