/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/plants.h"
#include "zkserver/core/election.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define CONFIG_BYTES_MAX (NOTIFICATION_FRAME_BYTES_MAX - 64)
#define ZXID_UNINITIALIZED (-1) /* of a server whose data was lost, and which must not vote yet */

#define NO_CLAIM (-1)

/* Votes of a server that sends no version stand for what it follows, not for the epoch of it. */
#define VERSION_WITH_EPOCH 1

static bool
is_voter(const struct election *e, int64_t sid)
{
	return members_is_voter(e->now, sid) || (e->next != NULL && members_is_voter(e->next, sid));
}

static bool
is_quorum(const struct election *e, const struct sid_set *set)
{
	return members_quorum(e->now, set) &&
	       (e->next == NULL || members_quorum(e->next, set) || ZAB_PLANTED(PLANT_ONE_QUORUM));
}

static bool
may_lead(const struct election *e, int64_t sid)
{
	return members_weight(e->now, sid) > 0 ||
	       (e->next != NULL && members_weight(e->next, sid) > 0);
}

/* Is a the better vote? Epoch first, then zxid, then sid; without a weight nobody is better. */
static bool
outranks(const struct election *e, const struct vote *a, const struct vote *b)
{
	if (!may_lead(e, a->leader))
		return false;
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->zxid != b->zxid)
		return a->zxid > b->zxid;
	return a->leader > b->leader;
}

static bool
same_vote(const struct vote *a, const struct vote *b)
{
	return a->leader == b->leader && a->zxid == b->zxid && a->round == b->round &&
	       a->epoch == b->epoch;
}

/*
 * Do two words agree? Of two that lead or follow, round and zxid need not be the same: they joined
 * at different times; and the epoch counts only between two that know to keep it up to date.
 */
static bool
words_agree(const struct election_word *a, const struct election_word *b)
{
	if (a->state == PEER_LOOKING || b->state == PEER_LOOKING || ZAB_PLANTED(PLANT_ROUNDS_AGREE))
		return same_vote(&a->vote, &b->vote);
	if ((a->version >= VERSION_WITH_EPOCH) != (b->version >= VERSION_WITH_EPOCH))
		return a->vote.leader == b->vote.leader;
	return a->vote.leader == b->vote.leader && a->vote.epoch == b->vote.epoch;
}

static void
words_clear(struct election_words *w)
{
	w->from = (struct sid_set){{0}};
}

static void
words_put(struct election_words *w, int64_t sid, const struct election_word *word)
{
	sid_set_add(&w->from, sid);
	w->of[sid] = *word;
}

/* Those whose word agrees with this one. */
static void
words_agreeing(
    const struct election_words *w, const struct election_word *word, struct sid_set *set)
{
	*set = (struct sid_set){{0}};
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (sid_set_has(&w->from, sid) && words_agree(&w->of[sid], word))
			sid_set_add(set, sid);
	}
}

void
election_init(struct election *e, const struct election_settings *settings,
    const struct election_ops *ops, void *arg)
{
	assert(sid_is_valid(settings->sid));
	assert(settings->notify_min_ms > 0);
	*e = (struct election){.settings = *settings, .ops = ops, .arg = arg};
	buf_init(&e->config, CONFIG_BYTES_MAX);
	buf_init(&e->out, NOTIFICATION_FRAME_BYTES_MAX);
	e->notify_at_ms = e->finalize_at_ms = NEVER;
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++)
		e->claimed[sid] = NO_CLAIM;
}

void
election_fini(struct election *e)
{
	buf_fini(&e->config);
	buf_fini(&e->out);
	free(e->parsed);
}

bool
election_set_members(struct election *e, const struct members *now, const struct members *next)
{
	struct buf text;

	buf_init(&text, CONFIG_BYTES_MAX);
	members_print(now, &text);
	if (text.failed) {
		buf_fini(&text);
		return false;
	}
	buf_fini(&e->config);
	e->config = text;
	e->now = now;
	e->next = next;
	return true;
}

/* Without memory nothing is sent; the next repetition tries again. */
static void
say(struct election *e, int64_t sid, const struct vote *vote)
{
	const struct notification n = {
	    .state = e->state,
	    .vote = *vote,
	    .config = e->config.data,
	    .config_size = e->config.len,
	};

	buf_clear(&e->out);
	notification_encode(&e->out, &n);
	if (!e->out.failed)
		e->ops->send(e->arg, sid, e->out.data, e->out.len);
}

static void
say_to_voters(struct election *e, uint64_t now_ms)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (sid != e->settings.sid && is_voter(e, sid))
			say(e, sid, &e->proposal);
	}
	e->notify_at_ms = now_ms + e->interval_ms;
}

/* What we stand for at the moment, to one. */
static void
answer(struct election *e, int64_t sid)
{
	struct vote vote = e->phase == ELECTION_LOOKING ? e->proposal : e->vote;

	/* Who is no voter takes part in rounds, not in what was agreed in one. */
	if (!is_voter(e, sid))
		vote.round = e->round;
	say(e, sid, &vote);
}

static void
tell_askers(struct election *e)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (sid_set_has(&e->askers, sid))
			answer(e, sid);
	}
}

/* Others that asked while we were looking are told; voters find out with us. */
static void
decide(struct election *e, const struct vote *vote)
{
	assert(e->phase == ELECTION_LOOKING);
	e->phase = ELECTION_OVER;
	e->vote = *vote;
	e->forsaken = false;
	e->deserters = (struct sid_set){{0}};
	e->notify_at_ms = e->finalize_at_ms = NEVER;
	if (vote->leader == e->settings.sid)
		e->state = PEER_LEADING;
	else
		e->state = e->observer ? PEER_OBSERVING : PEER_FOLLOWING;
	tell_askers(e);
}

void
election_agreeing(const struct election *e, struct sid_set *set)
{
	const struct election_word ours = {e->proposal, PEER_LOOKING, NOTIFICATION_VERSION};

	words_agreeing(&e->votes, &ours, set);
	if (is_voter(e, e->settings.sid))
		sid_set_add(set, e->settings.sid);
}

/* Could somebody still change our mind who can be reached, or may be? */
static bool
all_have_spoken(const struct election *e, const struct sid_set *agreeing)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (is_voter(e, sid) && !sid_set_has(agreeing, sid) &&
		    e->links[sid] != ELECTION_LINK_DOWN)
			return false;
	}
	return true;
}

/* Is it over, or about to be? Called whenever a vote, the proposal or a link has changed. */
static void
judge(struct election *e, uint64_t now_ms)
{
	struct sid_set agreeing;

	if (e->phase != ELECTION_LOOKING || e->own.zxid == ZXID_UNINITIALIZED)
		return;
	election_agreeing(e, &agreeing);
	if (!is_voter(e, e->proposal.leader) || !is_quorum(e, &agreeing))
		e->finalize_at_ms = NEVER;
	else if (all_have_spoken(e, &agreeing) || now_ms >= e->finalize_at_ms)
		decide(e, &e->proposal);
	else if (e->finalize_at_ms == NEVER)
		e->finalize_at_ms = now_ms + e->settings.finalize_ms;
}

static void
propose(struct election *e, uint64_t now_ms, const struct vote *vote)
{
	e->proposal = *vote;
	e->proposal.round = e->round;
	e->finalize_at_ms = NEVER;
	say_to_voters(e, now_ms);
}

static int64_t
step_to(int64_t from, int64_t to)
{
	return to > from && to - from > ELECTION_ROUND_STEP_MAX ? from + ELECTION_ROUND_STEP_MAX
								: to;
}

/* Go on in another round, with a vote of it or with our own. */
static void
enter_round(struct election *e, uint64_t now_ms, int64_t round, const struct vote *vote)
{
	e->round = round;
	words_clear(&e->votes);
	propose(e, now_ms, vote != NULL && outranks(e, vote, &e->own) ? vote : &e->own);
}

/* A vote for us must say what we have, or less if we have learned more since. */
static bool
claims_too_much(const struct election *e, const struct vote *vote)
{
	return vote->leader == e->settings.sid && outranks(e, vote, &e->own);
}

static void
heard_looking(struct election *e, uint64_t now_ms, int64_t sid, const struct election_word *word)
{
	const struct vote *vote = &word->vote;
	bool had_role = sid_set_has(&e->roles.from, sid);
	int64_t round;

	sid_set_remove(&e->roles.from, sid);
	if (vote->round < e->round) {
		say(e, sid, &e->proposal);
		return;
	}
	if (e->own.zxid == ZXID_UNINITIALIZED || vote->zxid == ZXID_UNINITIALIZED)
		return;
	round = step_to(e->round, vote->round);
	if (claims_too_much(e, vote)) {
		enter_round(e, now_ms, round < INT64_MAX ? round + 1 : round, NULL);
	} else if (round < vote->round) {
		enter_round(e, now_ms, round, NULL);
	} else {
		if (round > e->round)
			enter_round(e, now_ms, round, vote);
		else if (outranks(e, vote, &e->proposal))
			propose(e, now_ms, vote);
		else if (had_role)
			say(e, sid, &e->proposal); /* it heard that in its role, to no effect */
		words_put(&e->votes, sid, word);
	}
	judge(e, now_ms);
}

/*
 * Does the leader itself say that it leads? If it is us, others must follow us in this very round,
 * for what we have: not for what we were before a restart.
 */
static bool
leader_stands(const struct election *e, const struct election_words *words, const struct vote *vote)
{
	if (vote->leader == e->settings.sid && ZAB_PLANTED(PLANT_LEADS_AGAIN))
		return true;
	if (vote->leader == e->settings.sid)
		return vote->round == e->round && vote->zxid == e->own.zxid &&
		       vote->epoch == e->own.epoch;
	return sid_set_has(&words->from, vote->leader) &&
	       words->of[vote->leader].state == PEER_LEADING;
}

/* A quorum of this round follows; our own vote counts with the others'. */
static bool
won_in_round(const struct election *e, const struct election_word *word)
{
	const struct election_word ours = {e->proposal, PEER_LOOKING, NOTIFICATION_VERSION};
	struct sid_set set;

	words_agreeing(&e->votes, word, &set);
	if (is_voter(e, e->settings.sid) && words_agree(&ours, word))
		sid_set_add(&set, e->settings.sid);
	return is_quorum(e, &set) && leader_stands(e, &e->votes, &word->vote);
}

static void
heard_role(struct election *e, int64_t sid, const struct election_word *word)
{
	struct sid_set set;

	if (word->vote.round == e->round) {
		words_put(&e->votes, sid, word);
		if (won_in_round(e, word)) {
			decide(e, &word->vote);
			return;
		}
	}
	words_put(&e->roles, sid, word);
	words_agreeing(&e->roles, word, &set);
	if (!is_quorum(e, &set) || !leader_stands(e, &e->roles, &word->vote))
		return;
	e->round = step_to(e->round, word->vote.round);
	decide(e, &word->vote);
}

/* A word of a voter for a voter, while we are looking. */
static void
weigh(struct election *e, uint64_t now_ms, int64_t sid, const struct election_word *word)
{
	if (!is_voter(e, word->vote.leader))
		return;
	switch (word->state) {
	case PEER_LOOKING:
		heard_looking(e, now_ms, sid, word);
		break;
	case PEER_FOLLOWING:
	case PEER_LEADING:
		heard_role(e, sid, word);
		/* Its vote may have taken the place of one that agreed with our proposal. */
		judge(e, now_ms);
		break;
	default:
		break;
	}
}

/* What our leader says after we have elected it. */
static void
heard_leader(struct election *e, const struct election_word *word)
{
	const struct vote *vote = &word->vote;

	if (word->state == PEER_LOOKING)
		e->forsaken = vote->round > e->vote.round ||
			      (vote->round == e->vote.round && vote->leader != e->vote.leader);
	else
		e->forsaken = word->state != PEER_LEADING;
}

/* What a voter says while we lead: is there still a quorum to wait for? */
static void
heard_follower(struct election *e, int64_t sid, const struct election_word *word)
{
	struct sid_set rest = {{0}};

	if (word->state == PEER_LOOKING && word->vote.round > e->vote.round)
		sid_set_add(&e->deserters, sid);
	else if (word->state == PEER_FOLLOWING && word->vote.leader == e->settings.sid)
		sid_set_remove(&e->deserters, sid);
	for (int64_t other = 0; other <= MEMBERS_SID_MAX; other++) {
		if (is_voter(e, other) && !sid_set_has(&e->deserters, other))
			sid_set_add(&rest, other);
	}
	e->forsaken = !is_quorum(e, &rest);
}

static void
heard_in_role(struct election *e, int64_t sid, const struct election_word *word)
{
	if (word->state == PEER_LOOKING) {
		sid_set_add(&e->askers, sid);
		answer(e, sid);
	} else {
		sid_set_remove(&e->askers, sid);
	}
	if (e->state == PEER_LEADING)
		heard_follower(e, sid, word);
	else if (sid == e->vote.leader)
		heard_leader(e, word);
}

static void
heard_voter(struct election *e, uint64_t now_ms, int64_t sid, const struct election_word *word)
{
	if (word->state == PEER_LOOKING && word->vote.leader == sid &&
	    word->version >= VERSION_WITH_EPOCH)
		e->claimed[sid] = word->vote.epoch;
	switch (e->phase) {
	case ELECTION_AWAY:
		words_put(&e->held, sid, word);
		break;
	case ELECTION_LOOKING:
		weigh(e, now_ms, sid, word);
		break;
	case ELECTION_OVER:
		heard_in_role(e, sid, word);
		break;
	}
}

/* An observer, or a server that is to join. It is told when the answer changes, too. */
static void
heard_other(struct election *e, int64_t sid, const struct election_word *word)
{
	if (word->state == PEER_LOOKING)
		sid_set_add(&e->askers, sid);
	else
		sid_set_remove(&e->askers, sid);
	if (e->phase != ELECTION_AWAY)
		answer(e, sid);
}

/* Has a looking server told us of a newer configuration that is to be adopted? */
static bool
adopts_config(struct election *e, int64_t sid, const struct notification *n)
{
	struct fault fault = {{0}};

	if (ZAB_PLANTED(PLANT_DEAF_WHILE_LOOKING))
		return false;
	if (e->ops->newer_config == NULL || e->phase != ELECTION_LOOKING || n->config_size == 0 ||
	    (n->config_size == e->config.len &&
		memcmp(n->config, e->config.data, n->config_size) == 0))
		return false;
	if (e->parsed == NULL && (e->parsed = malloc(sizeof *e->parsed)) == NULL)
		return false;
	return members_parse(e->parsed, n->config, n->config_size, &fault) == 0 &&
	       (e->parsed->version > e->now->version || ZAB_PLANTED(PLANT_OLDER_MEMBERS)) &&
	       e->ops->newer_config(e->arg, sid, e->parsed);
}

void
election_heard(struct election *e, uint64_t now_ms, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct election_word word;
	struct notification n;

	if (e->now == NULL || !sid_is_valid(sid) || sid == e->settings.sid ||
	    !notification_decode(&n, bytes, size) || adopts_config(e, sid, &n) || n.state < 0 ||
	    n.state >= PEER_STATE_COUNT || n.vote.round < 0)
		return;
	word = (struct election_word){n.vote, n.state, n.version};
	if (is_voter(e, sid))
		heard_voter(e, now_ms, sid, &word);
	else
		heard_other(e, sid, &word);
}

/* Voters that asked while we had a role have heard since that it has ended, or will from this. */
static void
forget_voters_questions(struct election *e)
{
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (is_voter(e, sid))
			sid_set_remove(&e->askers, sid);
	}
}

void
election_start(struct election *e, uint64_t now_ms, int64_t zxid, int64_t epoch, bool observer)
{
	struct sid_set held = e->held.from;

	assert(e->now != NULL);
	e->phase = ELECTION_LOOKING;
	e->state = PEER_LOOKING;
	e->observer = observer;
	e->interval_ms = e->settings.notify_min_ms;
	if (observer)
		e->own = (struct vote){VOTE_NOBODY, INT64_MIN, 0, INT64_MIN};
	else
		e->own = (struct vote){
		    is_voter(e, e->settings.sid) ? e->settings.sid : VOTE_NOBODY, zxid, 0, epoch};
	words_clear(&e->roles);
	words_clear(&e->held);
	forget_voters_questions(e);
	enter_round(e, now_ms, e->round < INT64_MAX ? e->round + 1 : e->round, NULL);
	judge(e, now_ms);
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX && e->phase == ELECTION_LOOKING; sid++) {
		if (sid_set_has(&held, sid) && is_voter(e, sid))
			weigh(e, now_ms, sid, &e->held.of[sid]);
	}
}

void
election_appoint(struct election *e, int64_t leader, int64_t zxid, int64_t epoch, bool observer)
{
	const struct vote vote = {leader, zxid, e->round, epoch};

	assert(e->now != NULL && e->phase == ELECTION_AWAY);
	e->phase = ELECTION_LOOKING;
	e->observer = observer;
	e->own = e->proposal = vote;
	words_clear(&e->votes);
	words_clear(&e->roles);
	words_clear(&e->held);
	decide(e, &vote);
}

void
election_leave(struct election *e)
{
	e->phase = ELECTION_AWAY;
	e->state = PEER_LOOKING;
	e->forsaken = false;
	e->notify_at_ms = e->finalize_at_ms = NEVER;
	words_clear(&e->held);
}

void
election_link_is(struct election *e, uint64_t now_ms, int64_t sid, enum election_link link)
{
	if (!sid_is_valid(sid) || e->links[sid] == link)
		return;
	e->links[sid] = link;
	if (link != ELECTION_LINK_UP)
		e->claimed[sid] = NO_CLAIM;
	if (e->phase == ELECTION_AWAY || !is_voter(e, sid))
		return;
	if (link == ELECTION_LINK_UP)
		answer(e, sid);
	else if (e->phase == ELECTION_LOOKING)
		sid_set_remove(&e->roles.from, sid); /* it was so; is it still? */
	judge(e, now_ms);
}

uint64_t
election_deadline_ms(const struct election *e)
{
	return e->notify_at_ms < e->finalize_at_ms ? e->notify_at_ms : e->finalize_at_ms;
}

static void
repeat(struct election *e, uint64_t now_ms)
{
	static const struct sid_set nobody;
	uint64_t doubled = 2 * (uint64_t)e->interval_ms;

	e->interval_ms =
	    doubled < e->settings.notify_max_ms ? (uint32_t)doubled : e->settings.notify_max_ms;
	/* There is a leader, or there will be: those that answered are asked again soon. */
	if (memcmp(&e->roles.from, &nobody, sizeof nobody) != 0)
		e->interval_ms = e->settings.notify_min_ms;
	say_to_voters(e, now_ms);
}

void
election_tick(struct election *e, uint64_t now_ms)
{
	if (e->phase == ELECTION_LOOKING && now_ms >= e->finalize_at_ms)
		judge(e, now_ms);
	if (e->phase == ELECTION_LOOKING && now_ms >= e->notify_at_ms)
		repeat(e, now_ms);
}

const struct vote *
election_result(const struct election *e)
{
	return e->phase == ELECTION_OVER ? &e->vote : NULL;
}

void
election_synced(struct election *e, int64_t epoch)
{
	assert(e->phase == ELECTION_OVER);
	e->vote.epoch = epoch;
	tell_askers(e);
	e->askers = (struct sid_set){{0}};
}

bool
election_forsaken(const struct election *e)
{
	return e->phase == ELECTION_OVER && e->forsaken && !ZAB_PLANTED(PLANT_NEVER_FORSAKEN);
}

int64_t
election_claimed_epoch(const struct election *e, int64_t sid)
{
	return sid_is_valid(sid) ? e->claimed[sid] : NO_CLAIM;
}
