/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle: that histories have no holes, that a leader begins with all there was, that all agree
 * in the end, and that observers do not count.
 */
#include "tests/sim/ens_check.h"

static bool
is_observer(const struct ens_node *n)
{
	const struct member *m = members_find(&n->e->check.in_force, n->sid);

	return m != NULL && m->observer;
}

const char *
ens_zab_name(const struct ens_node *n, const char *name)
{
	static const char *const names[][2] = {
	    {"Z3", "Z14 (Z3)"}, {"Z5", "Z14 (Z5)"}, {"Z7", "Z14 (Z7)"}};

	for (size_t i = 0; is_observer(n) && i < sizeof names / sizeof names[0]; i++)
		if (names[i][0][1] == name[1])
			return names[i][1];
	return name;
}

static int64_t
last_delivered(const struct ens_node *n)
{
	const struct ens_delivered *d = &n->delivered;

	return d->count > 0 ? d->zxids[d->count - 1] : d->from;
}

void
ens_zab_loaded(struct ens_node *n)
{
	n->delivered.from = n->db.last_zxid;
	n->delivered.count = 0;
}

/* Z7: what is delivered follows on what its leader had before it. */
void
ens_zab_applied(struct ens_node *n, const struct ens_txn *t)
{
	struct ens_delivered *d = &n->delivered;
	int64_t before = ens_book_place(&n->e->check, t->prev),
		last = ens_book_place(&n->e->check, last_delivered(n));

	if (before != last)
		ENS_VIOLATION(n, "%s: server %lld delivers 0x%llx behind 0x%llx, not 0x%llx",
		    ens_zab_name(n, "Z7"), (long long)n->sid, (unsigned long long)t->zxid,
		    (unsigned long long)last, (unsigned long long)before);
	d->zxids = ens_book_grow(d->zxids, &d->cap, d->count, sizeof *d->zxids);
	d->zxids[d->count++] = t->zxid;
}

/* Z8: a leader has delivered all of the epochs before that anybody has, and proposes then. */
void
ens_zab_first(struct ens_node *n, int64_t zxid)
{
	struct ens_check *c = &n->e->check;
	size_t below = ens_committed_below(c, (int64_t)((uint64_t)zxid >> 32 << 32));
	int64_t last = ens_book_place(c, last_delivered(n));

	if (below > 0 && last < c->committed[below - 1])
		ENS_VIOLATION(n,
		    "Z8: server %lld proposes 0x%llx, has delivered 0x%llx, others 0x%llx",
		    (long long)n->sid, (unsigned long long)zxid, (unsigned long long)last,
		    (unsigned long long)c->committed[below - 1]);
}

/*
 * Z6, the set form, when all are at one place: what anybody has delivered all have, since each
 * loaded what it has. What lies before that is in the digest of the database that it loaded. Z5 and
 * Z7, asked at each delivery, are one chain: of two that delivered otherwise one has broken those
 * first. One that delivered nothing breaks only this.
 */
static void
check_agreement(struct ens_node *n)
{
	const struct ens_check *c = &n->e->check;
	const struct ens_delivered *d = &n->delivered;
	size_t at = ens_committed_below(c, d->from + 1);

	for (size_t i = 0; i < d->count || at < c->committed_count; i++, at++) {
		int64_t own = i < d->count ? d->zxids[i] : INT64_MAX,
			other = at < c->committed_count ? c->committed[at] : INT64_MAX;

		if (own == other)
			continue;
		ENS_VIOLATION(n, "Z6: server %lld has %s 0x%llx, %s", (long long)n->sid,
		    own < other ? "delivered" : "not delivered",
		    (unsigned long long)(own < other ? own : other),
		    own < other ? "nobody else has" : "others have");
		return;
	}
}

void
ens_check_quiet(struct ens *e)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].up && members_find(&e->check.in_force, e->nodes[i].sid) != NULL)
			check_agreement(&e->nodes[i]);
}

/* Z14 if observers were counted: with them it is more than half of those that vote. */
const char *
ens_zab_no_quorum(const struct ens *e, const struct members *m, int64_t zxid)
{
	unsigned all = 0, observers = 0;

	for (unsigned i = 0; i < e->count; i++) {
		const struct member *who = members_find(m, e->nodes[i].sid);

		if (who == NULL || e->nodes[i].durable_zxid < zxid)
			continue;
		all++;
		observers += who->observer;
	}
	return observers > 0 && all > members_voter_count(m) / 2 ? "Z14" : "Z9";
}

/* Z14: who is an observer in every configuration that it knows does not begin to lead. */
void
ens_zab_role(struct ens_node *n)
{
	if (n->peer.phase == PEER_LEADS && is_observer(n) && !zab_is_voter(&n->peer.zab, n->sid))
		ENS_VIOLATION(n, "Z14: observer %lld leads", (long long)n->sid);
}
