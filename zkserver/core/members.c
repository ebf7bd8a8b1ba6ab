/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/members.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

void
sid_set_add(struct sid_set *s, int64_t sid)
{
	assert(sid_is_valid(sid));
	s->bits[sid / 64] |= UINT64_C(1) << (sid % 64);
}

void
sid_set_remove(struct sid_set *s, int64_t sid)
{
	assert(sid_is_valid(sid));
	s->bits[sid / 64] &= ~(UINT64_C(1) << (sid % 64));
}

unsigned
sid_set_count(const struct sid_set *s)
{
	unsigned count = 0;

	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++)
		count += sid_set_has(s, sid);
	return count;
}

void
members_init(struct members *m)
{
	*m = (struct members){0};
	for (unsigned sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		m->group[sid] = MEMBERS_NO_GROUP;
		m->weight[sid] = MEMBERS_NO_WEIGHT;
	}
}

const struct member *
members_find(const struct members *m, int64_t sid)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->list[i].sid == sid)
			return &m->list[i];
	}
	return NULL;
}

bool
members_is_voter(const struct members *m, int64_t sid)
{
	const struct member *member = members_find(m, sid);

	return member != NULL && !member->observer;
}

unsigned
members_voter_count(const struct members *m)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->count; i++)
		count += !m->list[i].observer;
	return count;
}

uint32_t
members_weight(const struct members *m, int64_t sid)
{
	if (!members_is_voter(m, sid))
		return 0;
	return m->weight[sid] == MEMBERS_NO_WEIGHT ? 1 : m->weight[sid];
}

static bool
majority(const struct members *m, const struct sid_set *set)
{
	unsigned voters = 0, in = 0;

	for (unsigned i = 0; i < m->count; i++) {
		if (m->list[i].observer)
			continue;
		voters++;
		in += sid_set_has(set, m->list[i].sid);
	}
	return in > voters / 2;
}

/* More than half of the group's weight is in the set; *weighs says whether it has any. */
static bool
group_agrees(const struct members *m, const struct sid_set *set, uint32_t group, bool *weighs)
{
	uint64_t all = 0, in = 0;

	for (unsigned i = 0; i < m->count; i++) {
		int64_t sid = m->list[i].sid;

		if (m->list[i].observer || m->group[sid] != group)
			continue;
		all += members_weight(m, sid);
		in += sid_set_has(set, sid) ? members_weight(m, sid) : 0;
	}
	*weighs = all > 0;
	return in > all / 2;
}

/* Is this voter the first one of its group? */
static bool
first_of_group(const struct members *m, unsigned i)
{
	for (unsigned k = 0; k < i; k++) {
		if (!m->list[k].observer && m->group[m->list[k].sid] == m->group[m->list[i].sid])
			return false;
	}
	return !m->list[i].observer;
}

static bool
most_groups(const struct members *m, const struct sid_set *set)
{
	unsigned groups = 0, agree = 0;

	for (unsigned i = 0; i < m->count; i++) {
		bool weighs;

		if (!first_of_group(m, i))
			continue;
		agree += group_agrees(m, set, m->group[m->list[i].sid], &weighs);
		groups += weighs;
	}
	return agree > groups / 2;
}

bool
members_quorum(const struct members *m, const struct sid_set *set)
{
	return m->hierarchical ? most_groups(m, set) : majority(m, set);
}

static bool
same_member(const struct member *a, const struct member *b)
{
	return a->sid == b->sid && a->observer == b->observer && a->quorum_port == b->quorum_port &&
	       a->election_port == b->election_port && a->client_port == b->client_port &&
	       strcasecmp(a->host, b->host) == 0 &&
	       (a->client_port == 0 || strcasecmp(a->client_host, b->client_host) == 0);
}

bool
members_same(const struct members *a, const struct members *b)
{
	if (a->hierarchical != b->hierarchical || a->count != b->count ||
	    memcmp(a->group, b->group, sizeof a->group) != 0 ||
	    memcmp(a->weight, b->weight, sizeof a->weight) != 0)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (!same_member(&a->list[i], &b->list[i]))
			return false;
	}
	return true;
}

const char *
members_warning(const struct members *m)
{
	unsigned voters = members_voter_count(m);

	if (voters <= 2)
		return "no server may fail: an ensemble needs three voters to survive one";
	if (voters % 2 == 0 && !m->hierarchical)
		return "an even number of voters: with one less as many of them may fail";
	return NULL;
}

/* A place where a member listens. */
struct place {
	const struct member *member;
	const char *what, *host;
	uint16_t port;
};

static bool
is_wildcard(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "0:0:0:0:0:0:0:0") == 0;
}

static unsigned
list_places(const struct members *m, struct place places[3 * MEMBERS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++) {
		const struct member *x = &m->list[i];

		places[n++] = (struct place){x, "quorum", x->host, x->quorum_port};
		places[n++] = (struct place){x, "election", x->host, x->election_port};
		if (x->client_port != 0)
			places[n++] = (struct place){x, "client",
			    is_wildcard(x->client_host) ? x->host : x->client_host, x->client_port};
	}
	return n;
}

int64_t
members_address_clash(const struct members *m, struct fault *f)
{
	struct place places[3 * MEMBERS_MAX];
	unsigned n = list_places(m, places);

	for (unsigned i = 1; i < n; i++) {
		for (unsigned k = 0; k < i; k++) {
			const struct place *a = &places[k], *b = &places[i];

			if (a->port != b->port || strcasecmp(a->host, b->host) != 0)
				continue;
			fault_set(f, -EINVAL,
			    "server.%d: its %s port, %d at %s, is the %s port of server.%d",
			    (int)b->member->sid, b->what, b->port, b->host, a->what,
			    (int)a->member->sid);
			return b->member->sid;
		}
	}
	return -1;
}
