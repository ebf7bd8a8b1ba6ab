/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/elect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"

void
elect_init(struct elect *e)
{
	memset(e, 0, sizeof *e);
	e->why = "";
}

static void
emit(struct elect *e, enum elect_act act, const char *name)
{
	struct elect_out *o = &e->out[e->out_count];

	assert(e->out_count < ELECT_OUT_MAX);
	e->out_count++;
	o->act = act;
	if (!str_copy(o->name, sizeof o->name, name))
		o->name[0] = '\0';
}

void
elect_out_clear(struct elect *e)
{
	e->out_count = 0;
}

static void
list_again(struct elect *e)
{
	e->state = ELECT_LISTING;
	e->changed = false;
	emit(e, ELECT_LIST, "");
}

void
elect_session(struct elect *e, int64_t session_id, uint64_t timeout_ms)
{
	if (e->state != ELECT_IDLE && e->state != ELECT_DROPPED)
		return;
	elect_init(e);
	e->session_id = session_id;
	e->timeout_ms = timeout_ms;
	list_again(e);
}

void
elect_drop(struct elect *e, const char *why)
{
	/* Asked for, and not done yet. (Else it is the next session that is no good, either.) */
	if (e->state == ELECT_DROPPED && e->out_count > 0)
		return;
	e->state = ELECT_DROPPED;
	e->why = why;
	e->leader[0] = e->own[0] = '\0';
	/* What was to be done before has become wrong. */
	e->out_count = 0;
	emit(e, ELECT_DROP, "");
}

void
elect_expired(struct elect *e)
{
	elect_drop(e, "the session expired");
}

/* The sequence number at the end of a candidate's name; false for anything else below the
 * directory. */
static bool
sequence_of(const char *name, int64_t *sequence)
{
	return str_starts(name, ELECT_PREFIX) &&
	       str_to_i64(name + strlen(ELECT_PREFIX), INT32_MIN, INT64_MAX, sequence);
}

/* ZooKeeper pads the number with zeros, which a strict reader of numbers takes as well. */
static int
by_sequence(const void *a, const void *b)
{
	int64_t x = 0, y = 0;

	(void)sequence_of(a, &x);
	(void)sequence_of(b, &y);
	return x < y ? -1 : x > y;
}

/* Of more than there is room for, the highest go: it is the lowest one that leads. */
static void
take_candidate(struct elect *e, const char *name)
{
	char(*highest)[ELECT_NODE_MAX] = &e->candidates[e->candidate_count];
	int64_t sequence;

	if (!sequence_of(name, &sequence) || strlen(name) >= ELECT_NODE_MAX)
		return;
	if (e->candidate_count < ELECT_CANDIDATES_MAX) {
		e->candidate_count++;
	} else if (ZAB_PLANTED(PLANT_FIRST_CANDIDATES)) {
		return;
	} else {
		e->crowded = true;
		highest = &e->candidates[0];
		for (size_t i = 1; i < e->candidate_count; i++)
			if (by_sequence(e->candidates[i], highest) > 0)
				highest = &e->candidates[i];
		if (by_sequence(name, highest) >= 0)
			return;
	}
	(void)str_copy(*highest, sizeof *highest, name);
}

static void
take_candidates(struct elect *e, const char *const *names, size_t count)
{
	e->candidate_count = 0;
	e->crowded = e->own_found = false;
	for (size_t i = 0; i < count; i++) {
		take_candidate(e, names[i]);
		e->own_found = e->own_found || strcmp(names[i], e->own) == 0;
	}
	qsort(e->candidates, e->candidate_count, ELECT_NODE_MAX, by_sequence);
	if (e->candidate_count == 0 || !str_copy(e->leader, sizeof e->leader, e->candidates[0]))
		e->leader[0] = '\0';
}

/* The one that is read now: whose is it? */
static const char *
candidate(const struct elect *e)
{
	if (ZAB_PLANTED(PLANT_NEWEST_OWN))
		return e->candidates[e->candidate_count - 1 - e->candidate_next];
	return e->candidates[e->candidate_next];
}

static void
search_on(struct elect *e)
{
	if (e->candidate_next < e->candidate_count) {
		e->state = ELECT_SEARCHING;
		emit(e, ELECT_READ, candidate(e));
		return;
	}
	e->state = ELECT_CREATING;
	emit(e, ELECT_CREATE, "");
}

static void
renew(struct elect *e, uint64_t now_ms)
{
	e->next_renewal_ms = now_ms + e->timeout_ms / 10;
	if (e->renewals == ELECT_RENEWALS_MAX)
		return; /* none of them was answered: the bound is near anyway */
	e->sent_ms[e->renewals++] = now_ms;
	emit(e, ELECT_RENEW, e->own);
}

/* Own node is known, and the list is fresh. */
static void
take_place(struct elect *e, uint64_t now_ms)
{
	if (!e->own_found) {
		MARK("elect: own node is gone");
		elect_drop(e, "its election node is gone");
	} else if (strcmp(e->leader, e->own) != 0) {
		e->state = ELECT_STANDBY;
	} else {
		e->state = ELECT_PROVING;
		renew(e, now_ms);
	}
}

void
elect_listed(struct elect *e, uint64_t now_ms, enum elect_result result, const char *const *names,
    size_t count)
{
	if (e->state != ELECT_LISTING)
		return;
	if (result != ELECT_OK || e->changed) {
		list_again(e);
		return;
	}
	take_candidates(e, names, count);
	if (e->own[0] != '\0') {
		take_place(e, now_ms);
		return;
	}
	if (e->crowded) {
		MARK("elect: too many contend");
		elect_drop(e, "more masters contend than there is room for");
		return;
	}
	e->candidate_next = 0;
	search_on(e);
}

void
elect_read(struct elect *e, uint64_t now_ms, enum elect_result result, int64_t ephemeral_owner)
{
	if (e->state != ELECT_SEARCHING)
		return;
	if (result == ELECT_AGAIN) {
		list_again(e);
		return;
	}
	if (result == ELECT_OK && ephemeral_owner == e->session_id) {
		MARK("elect: own node is found");
		memcpy(e->own, candidate(e), sizeof e->own);
		e->own_found = true;
		if (e->changed)
			list_again(e);
		else
			take_place(e, now_ms);
		return;
	}
	e->candidate_next++;
	search_on(e);
}

void
elect_created(struct elect *e, enum elect_result result)
{
	if (e->state != ELECT_CREATING)
		return;
	if (result == ELECT_GONE) {
		elect_drop(e, "the ensemble refuses the election node");
		return;
	}
	list_again(e); /* and it is looked for, with what may have been made before it */
}

void
elect_renewed(struct elect *e, uint64_t now_ms, enum elect_result result, int64_t czxid)
{
	uint64_t sent_ms = e->sent_ms[0];

	if (e->renewals == 0 || (e->state != ELECT_PROVING && e->state != ELECT_LEADING))
		return;
	memmove(e->sent_ms, e->sent_ms + 1, --e->renewals * sizeof e->sent_ms[0]);
	if (result == ELECT_GONE) {
		MARK("elect: own node is gone when it is renewed");
		elect_drop(e, "its election node is gone");
		return;
	}
	if (result == ELECT_OK)
		e->renewed_ms = sent_ms;
	if (e->state != ELECT_PROVING)
		return;
	if (result == ELECT_AGAIN) {
		MARK("elect: the proof is asked for again");
		renew(e, now_ms);
	} else {
		e->term.czxid = czxid;
		emit(e, ELECT_ERA, "");
	}
}

static bool
parse_era(const void *text, size_t size, uint64_t *era)
{
	char number[24];

	if (text == NULL || size >= sizeof number)
		return false;
	memcpy(number, text, size);
	number[size] = '\0';
	return str_to_u64(number, 1, INT64_MAX, era);
}

static void
lead(struct elect *e, uint64_t now_ms, uint64_t era)
{
	if (now_ms - e->renewed_ms >= e->timeout_ms / 2) {
		MARK("elect: the ensemble is too slow");
		elect_drop(e, "the ensemble answers too slowly");
		return;
	}
	e->term.era = era;
	e->state = ELECT_LEADING;
	emit(e, ELECT_LEAD, "");
}

bool
elect_era(struct elect *e, uint64_t now_ms, const void *text, size_t size)
{
	uint64_t era;

	if (e->state != ELECT_PROVING)
		return true;
	if (!parse_era(text, size, &era)) {
		elect_drop(e, "the era could not be read");
		return false;
	}
	lead(e, now_ms, era);
	return true;
}

void
elect_changed(struct elect *e)
{
	if (e->state == ELECT_STANDBY)
		list_again(e);
	else
		e->changed = true;
}

void
elect_tick(struct elect *e, uint64_t now_ms)
{
	if (e->state != ELECT_LEADING)
		return;
	if (!elect_may_act(e, now_ms))
		elect_drop(e, "no write of its own was answered for half a session time-out");
	else if (now_ms >= e->next_renewal_ms)
		renew(e, now_ms);
}

uint64_t
elect_deadline_ms(const struct elect *e)
{
	uint64_t bound = e->renewed_ms + e->timeout_ms / 2;

	if (e->state != ELECT_LEADING)
		return UINT64_MAX;
	return e->next_renewal_ms < bound ? e->next_renewal_ms : bound;
}

bool
elect_may_act(const struct elect *e, uint64_t now_ms)
{
	return e->state == ELECT_LEADING && now_ms - e->renewed_ms < e->timeout_ms / 2;
}
