/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/standing.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what it waits for ---- */

static void __attribute__((format(printf, 2, 3))) add(struct standing *to, const char *fmt, ...)
{
	size_t len = strlen(to->why);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to->why + len, sizeof to->why - len, fmt, ap);
	va_end(ap);
}

/* Voters that were not reached, and why. */
static void
add_troubles(struct standing *to, const struct peer *p, standing_trouble_fn *trouble, void *arg)
{
	const struct members *m = p->zab.members;

	for (unsigned i = 0; i < m->count; i++) {
		int64_t sid = m->list[i].sid;
		const char *why;

		if (m->list[i].observer || sid == to->sid ||
		    p->election.links[sid] == ELECTION_LINK_UP)
			continue;
		why = trouble(arg, sid);
		add(to, "; server %" PRId64 ": %s", sid, why[0] != '\0' ? why : "not reached yet");
	}
}

static void
say_looking(struct standing *to, const struct peer *p)
{
	struct sid_set agreeing;

	if (!to->voting) {
		add(to, "an observer that looks for a leader");
		return;
	}
	election_agreeing(&p->election, &agreeing);
	add(to, "looking for a leader: %u of %u voters agree", sid_set_count(&agreeing),
	    to->voters);
}

static void
say_leading(struct standing *to, const struct leader *l)
{
	switch (l->phase) {
	case LEADER_DISCOVERY:
		add(to, "elected, waiting for followers: %u of %u voters are here",
		    sid_set_count(&l->known), to->voters);
		break;
	case LEADER_PROMISE:
		add(to, "elected, agreeing on epoch %d: %u of %u voters have promised",
		    (int)l->epoch, sid_set_count(&l->promised), to->voters);
		break;
	case LEADER_SYNC:
		add(to, "elected, bringing followers up to date: %u of %u voters are in sync",
		    to->synced_followers + (to->voting ? 1 : 0), to->voters);
		break;
	case LEADER_AWAY:
	case LEADER_ACTIVE:
	case LEADER_RELAYS:
		break;
	}
}

static void
say_following(struct standing *to, const struct learner *l)
{
	static const char *const steps[] = {
	    [LEARNER_AWAY] = "is left",
	    [LEARNER_DIALLING] = "connecting to its quorum port",
	    [LEARNER_GREETING] = "waiting for it to begin its epoch",
	    [LEARNER_CHOOSING] = "waiting for it to bring this server up to date",
	    [LEARNER_RECEIVING] = "receiving a snapshot from it",
	    [LEARNER_FOLLOWING_UP] = "receiving what is missing here",
	    [LEARNER_SETTLING] = "writing to disk what was missing here",
	    [LEARNER_AGREED] = "in sync with it, which waits for a quorum",
	    [LEARNER_SERVES] = "serves",
	};

	add(to, "server %" PRId64 " was elected: %s", l->leader, steps[l->phase]);
	if (l->master >= 0 && l->master != l->leader)
		add(to, " (of server %" PRId64 ", which follows it)", l->master);
}

static void
say_why(struct standing *to, const struct peer *p, standing_trouble_fn *trouble, void *arg)
{
	switch (p->phase) {
	case PEER_DRAINING:
		add(to, "a role has ended, its last transactions go to the disk");
		return;
	case PEER_ELECTING:
		say_looking(to, p);
		break;
	case PEER_LEADS:
		say_leading(to, &p->leader);
		break;
	case PEER_FOLLOWS:
	case PEER_OBSERVES:
		say_following(to, &p->learner);
		return;
	}
	add_troubles(to, p, trouble, arg);
}

/* ---- the figures ---- */

static const char *
phase_name(const struct peer *p)
{
	switch (p->phase) {
	case PEER_LEADS:
		return p->leader.phase == LEADER_ACTIVE ? "broadcast"
		       : p->leader.phase == LEADER_SYNC ? "synchronization"
							: "discovery";
	case PEER_FOLLOWS:
	case PEER_OBSERVES:
		return p->learner.phase == LEARNER_SERVES     ? "broadcast"
		       : p->learner.phase >= LEARNER_CHOOSING ? "synchronization"
							      : "discovery";
	case PEER_DRAINING:
	case PEER_ELECTING:
		break;
	}
	return "election";
}

static void
count_learners(struct standing *to, const struct peer *p)
{
	struct standing_learner l = {0};

	while (standing_next(&l, p)) {
		to->learners++;
		to->pending_syncs += l.link->syncs.len / sizeof(struct leader_sync);
		if (!l.synced)
			continue;
		if (l.observer)
			to->synced_observers++;
		else if (members_is_voter(p->zab.members, l.sid))
			to->synced_followers++;
		else
			to->synced_non_voting++;
	}
	to->pending_syncs += p->leader.syncs.len / sizeof(struct leader_sync);
}

void
standing_of(struct standing *to, const struct peer *p, standing_trouble_fn *trouble, void *arg)
{
	static const char *const states[] = {
	    [PEER_DRAINING] = "looking",
	    [PEER_ELECTING] = "looking",
	    [PEER_LEADS] = "leading",
	    [PEER_FOLLOWS] = "following",
	    [PEER_OBSERVES] = "observing",
	};
	const struct zab *z = &p->zab;
	bool read_only = z->server != NULL && z->server->role == SERVER_READ_ONLY;

	*to = (struct standing){
	    .sid = z->settings.sid,
	    .role = read_only ? "read-only" : peer_role_name(p),
	    .phase = phase_name(p),
	    .voting = members_is_voter(z->members, z->settings.sid),
	    .leader = STANDING_UNKNOWN,
	    .master = STANDING_UNKNOWN,
	    .epoch = z->epochs.current,
	    .zxid = z->db->last_zxid,
	    .round = p->election.round,
	    .lag = z->server == NULL ? 0 : (int64_t)z->server->pending_count,
	    .voters = members_voter_count(z->members),
	};
	snprintf(to->state, sizeof to->state, "%s - %s", states[p->phase], to->phase);
	to->serves = strcmp(to->phase, "broadcast") == 0;
	if (p->phase == PEER_LEADS) {
		to->leader = to->master = to->sid;
		to->epoch = p->leader.epoch;
		count_learners(to, p);
	} else if (p->phase == PEER_FOLLOWS || p->phase == PEER_OBSERVES) {
		to->leader = p->learner.leader;
		to->master = p->learner.master;
		if ((to->takes_observers = peer_takes_observers(p)))
			count_learners(to, p);
	}
	if (!to->serves)
		say_why(to, p, trouble, arg);
}

/* ---- learners and links ---- */

/* Who is in sync has all of earlier epochs. */
static int64_t
behind(const struct peer *p, int64_t acked, bool synced)
{
	int64_t committed = p->leader.committed;

	if (acked >= committed)
		return 0;
	if (acked >> 32 == committed >> 32)
		return committed - acked;
	return synced ? committed & UINT32_MAX : STANDING_UNKNOWN;
}

bool
standing_next(struct standing_learner *l, const struct peer *p)
{
	static const char *const stages[] = {
	    [LEARNER_NEW] = "new",
	    [LEARNER_KNOWN] = "waits for the epoch",
	    [LEARNER_EPOCH] = "promises the epoch",
	    [LEARNER_ACCEPTED] = "waits for synchronization",
	    [LEARNER_SNAPSHOT] = "gets a snapshot",
	    [LEARNER_CATCHING_UP] = "catches up",
	    [LEARNER_ASKED] = "writes what it got",
	    [LEARNER_SYNCED] = "in sync",
	    [LEARNER_SERVING] = "serves",
	};
	const struct list *it = l->link == NULL ? p->zab.links.next : l->link->link.next;

	for (; it != &p->zab.links; it = it->next) {
		const struct peer_link *link = CONTAINER_OF(it, struct peer_link, link);
		int64_t at;

		if (link->use != PEER_LINK_LEARNER || link->end != PEER_LINK_OPEN)
			continue;
		/* An observer acknowledges nothing: what it was told of counts. */
		at = link->observer ? link->committed : link->acked;
		*l = (struct standing_learner){
		    .link = link,
		    .sid = link->sid,
		    .acked = at,
		    .lag = behind(p, at, link->stage >= LEARNER_SYNCED),
		    .observer = link->observer,
		    .synced = link->stage >= LEARNER_SYNCED,
		    .stage = stages[link->stage],
		    .unsent = link->out->len,
		    .since_ms = p->zab.now_ms - link->since_ms,
		};
		return true;
	}
	return false;
}

const char *
standing_link(const struct peer *p, int64_t sid)
{
	switch (p->election.links[sid]) {
	case ELECTION_LINK_UP:
		return "up";
	case ELECTION_LINK_DOWN:
		return "down";
	case ELECTION_LINK_UNKNOWN:
		break;
	}
	return "trying";
}
