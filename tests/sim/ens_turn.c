/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what a member promises, votes for and has on its disk, behind each of its turns. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ens_check.h"

/* Z2: promises are kept, over restarts, too. */
static void
check_epochs(struct ens_node *n)
{
	const struct epochs *now = &n->peer.zab.epochs;

	if (now->accepted < n->epochs.accepted || now->current < n->epochs.current ||
	    now->current > now->accepted)
		ENS_VIOLATION(n, "Z2: server %lld is at epochs %d/%d, it was at %d/%d",
		    (long long)n->sid, now->current, now->accepted, n->epochs.current,
		    n->epochs.accepted);
	if (now->current > n->epochs.current && n->peer.phase >= PEER_FOLLOWS &&
	    n->peer.learner.link != NULL && n->durable_zxid < n->peer.learner.settled_zxid)
		ENS_VIOLATION(n, "Z10: server %lld enters epoch %d with 0x%llx, not 0x%llx",
		    (long long)n->sid, now->current, (unsigned long long)n->durable_zxid,
		    (unsigned long long)n->peer.learner.settled_zxid);
	n->epochs = *now;
}

/* A snapshot from an epoch's beginning has what its leader had before it, and that alone. */
static bool
is_same_place(struct ens_check *c, int64_t on_disk, int64_t zxid)
{
	const struct ens_txn *t;

	while (on_disk > zxid && (uint32_t)on_disk == 0 && (t = ens_book_find(c, on_disk)) != NULL)
		on_disk = t->prev;
	return on_disk == zxid;
}

/*
 * Z13: what is on the disk, loaded as at a start, is what is in memory; with fuzzy snapshots P5, as
 * that is what replaying over them must come to. Of a disk with a flipped
 * bit that cannot be asked: it has less, or is refused; then it is emptied, and only if it can be
 * spared.
 */
static void
compare_with_disk(struct ens_node *n)
{
	static const struct peer_ops nothing;
	struct simdisk *copy = simdisk_copy(n->disk);
	struct peer *p = calloc(1, sizeof *p);
	struct peer_config config = {.settings = n->peer.zab.settings,
	    .election = n->peer.election.settings,
	    .members = n->peer.zab.members,
	    .seen = n->peer.zab.seen,
	    .ops = &nothing};
	struct recover_report report;
	struct fault note = {{0}}, f = {{0}};
	const char *name = n->fuzzies > 0 ? "P5" : "Z13";
	struct db db;
	int err;

	if (copy == NULL || p == NULL || !db_init(&db, &ens_check_key, n->e->tick_ms))
		exit(71);
	db_set_rules(&db, &n->db.rules);
	config.snapshots = config.logs = simdisk_store(copy);
	if ((err = peer_init(p, &config, &db, &report, &note, &f)) != 0) {
		if (!n->rotten || err != DATADIR_CORRUPT)
			ENS_VIOLATION(n, "%s: what server %lld has cannot be loaded: %s", name,
			    (long long)n->sid, f.text);
	} else if (!n->rotten && (!is_same_place(&n->e->check, zab_last_zxid(&p->zab),
				      zab_last_zxid(&n->peer.zab)) ||
				     ens_digest(&db) != ens_digest(&n->db)))
		ENS_VIOLATION(n, "%s: server %lld is at 0x%llx, its disk has 0x%llx%s", name,
		    (long long)n->sid, (unsigned long long)zab_last_zxid(&n->peer.zab),
		    (unsigned long long)zab_last_zxid(&p->zab),
		    ens_digest(&db) != ens_digest(&n->db) ? " and another tree" : "");
	n->compared++;
	if (err == 0)
		peer_fini(p);
	db_fini(&db);
	simdisk_free(copy);
	free(p);
}

void
ens_check_reloaded(struct ens_node *n)
{
	ens_check_loaded(n);
	ens_disk_changed(n);
	if (!simdisk_stopped(n->disk))
		compare_with_disk(n);
}

static void
check_vote(struct ens_node *n)
{
	int64_t zxid = zab_last_zxid(&n->peer.zab);

	if (n->server.pending_count > 0 || zxid > n->durable_zxid)
		ENS_VIOLATION(n, "Z13: server %lld votes with 0x%llx, 0x%llx is durable",
		    (long long)n->sid, (unsigned long long)zxid,
		    (unsigned long long)n->durable_zxid);
	else if (!simdisk_stopped(n->disk) && rng_below(&n->rng, 6) == 0)
		compare_with_disk(n);
}

void
ens_check_heard(struct ens_node *n, unsigned from, const uint8_t *bytes, size_t size)
{
	struct ens_words *w = &n->heard[from];
	struct notification said;
	unsigned at = w->count % ENS_WORDS, last = (w->count + ENS_WORDS - 1) % ENS_WORDS;

	if (!notification_decode(&said, bytes, size))
		return;
	if (w->count > 0 && w->state[last] == said.state &&
	    memcmp(&w->vote[last], &said.vote, sizeof said.vote) == 0)
		return; /* said again */
	w->vote[at] = said.vote;
	w->state[at] = said.state;
	w->count++;
}

/* Has this server said the same? Those with a role may have come to it in rounds of their own. */
static bool
has_said(const struct ens_words *w, const struct vote *v, bool in_round)
{
	for (unsigned i = 0; i < ENS_WORDS && i < w->count; i++)
		if (w->vote[i].leader == v->leader && w->vote[i].epoch == v->epoch &&
		    ((w->vote[i].zxid == v->zxid && w->vote[i].round == v->round) ||
			(!in_round && w->state[i] != PEER_LOOKING)))
			return true;
	return false;
}

static bool
has_led(const struct ens_words *w)
{
	for (unsigned i = 0; i < ENS_WORDS && i < w->count; i++)
		if (w->state[i] == PEER_LEADING)
			return true;
	return false;
}

static bool
has_less(const struct vote *a, const struct vote *b)
{
	return a->epoch < b->epoch || (a->epoch == b->epoch && a->zxid < b->zxid);
}

/* Is it what this server itself stood for last? A result that is not was said by another. */
static bool
is_proposal(const struct election *el, const struct vote *v)
{
	return v->leader == el->proposal.leader && v->zxid == el->proposal.zxid &&
	       v->round == el->proposal.round && v->epoch == el->proposal.epoch;
}

/*
 * Z16: nobody ends an election without a quorum of equal votes. If this server's own proposal has
 * none in its round, others have a leader, and it has said so itself; and where one is elected,
 * nobody who voted has more.
 *
 * Who joins others takes over what one of them said, which may be of any round: its zxid is from
 * when the leader was elected, and that it is less than what this server has learned from that very
 * leader since means nothing. Nor does it that a quorum has said the same in that round.
 */
static void
check_elected(struct ens_node *n)
{
	const struct election *el = &n->peer.election;
	const struct vote *v = election_result(el);
	struct sid_set round = {{0}}, all = {{0}};

	if (v == NULL || n->peer.voted || el->own.round != 0) /* appointed by a reconfig */
		return;
	for (unsigned i = 0; i < n->e->count; i++) {
		bool self = i == n->index;

		if (self || has_said(&n->heard[i], v, true))
			sid_set_add(&round, n->e->nodes[i].sid);
		if (self || has_said(&n->heard[i], v, false))
			sid_set_add(&all, n->e->nodes[i].sid);
	}
	if (!zab_quorum(&n->peer.zab, &all))
		ENS_VIOLATION(n, "Z16: server %lld follows %lld, no quorum has told it so",
		    (long long)n->sid, (long long)v->leader);
	else if (v->leader == n->sid && v->round != el->proposal.round)
		ENS_VIOLATION(n, "Z16: server %lld leads by votes of round %lld, it was in %lld",
		    (long long)n->sid, (long long)v->round, (long long)el->proposal.round);
	else if (v->leader == n->sid || (is_proposal(el, v) && zab_quorum(&n->peer.zab, &round))) {
		if (el->own.leader == n->sid &&
		    members_weight(zab_newest(&n->peer.zab), n->sid) > 0 && has_less(v, &el->own))
			ENS_VIOLATION(n, "Z16: server %lld votes for %lld, which has less",
			    (long long)n->sid, (long long)v->leader);
	} else if (!has_led(&n->heard[v->leader - 1]))
		ENS_VIOLATION(n, "Z16: server %lld follows %lld, which does not say that it leads",
		    (long long)n->sid, (long long)v->leader);
}

/*
 * By a configuration of its own, or by that of one who voted for it: who was proposed one and could
 * not keep it does not know what its voters go by.
 */
static bool
weighs(const struct ens_node *n, const struct vote *won)
{
	bool weighs = members_weight(n->peer.zab.members, n->sid) > 0 ||
		      members_weight(zab_newest(&n->peer.zab), n->sid) > 0;

	for (unsigned i = 0; i < n->e->count && !weighs; i++)
		weighs = n->e->nodes[i].up && has_said(&n->heard[i], won, false) &&
			 members_weight(zab_newest(&n->e->nodes[i].peer.zab), n->sid) > 0;
	return weighs;
}

/* Z16: who leads was voted for with what it has. */
static void
check_won(struct ens_node *n)
{
	const struct vote *v = election_result(&n->peer.election);

	if (v == NULL || v->leader != n->sid || v->zxid != zab_last_zxid(&n->peer.zab))
		ENS_VIOLATION(n, "Z16: server %lld leads by a vote for another, or another history",
		    (long long)n->sid);
	else if (!weighs(n, v))
		ENS_VIOLATION(
		    n, "Z16: server %lld leads, its vote weighs nothing", (long long)n->sid);
}

/*
 * Z9a: who acknowledges has it. A learner counts what was committed before it agreed as
 * acknowledged though it sends no ACK for it; that is right if a quorum has it without this server,
 * which is what is looked at: as nobody may have applied it yet, and a reconfig may be among it, of
 * the members that its leader told it of, too.
 */
static void
check_acknowledged(struct ens_node *n)
{
	const struct learner *l = &n->peer.learner;

	if (l->link == NULL || l->phase < LEARNER_AGREED || l->observer ||
	    (uint32_t)l->acked == 0 || l->acked <= n->durable_zxid ||
	    ens_is_durable_at_quorum(n->e, &n->e->check.in_force, l->acked) ||
	    ens_is_durable_at_quorum(n->e, zab_newest(&n->peer.zab), l->acked))
		return;
	ENS_VIOLATION(n, "Z9a: server %lld has acknowledged 0x%llx, 0x%llx is durable",
	    (long long)n->sid, (unsigned long long)l->acked, (unsigned long long)n->durable_zxid);
}

void
ens_check_turn(struct ens_node *n)
{
	int64_t synced = server_synced_zxid(&n->server);

	check_epochs(n);
	if ((uint32_t)synced != 0 && synced > n->durable_zxid)
		ENS_VIOLATION(n, "Z9a: server %lld takes 0x%llx for durable, 0x%llx is",
		    (long long)n->sid, (unsigned long long)synced,
		    (unsigned long long)n->durable_zxid);
	check_acknowledged(n);
	ens_disk_stops(n);
	if (n->peer.phase == n->phase)
		return;
	n->phase = n->peer.phase;
	ens_zab_role(n);
	if (n->phase == PEER_ELECTING)
		check_vote(n);
	else if (n->phase == PEER_LEADS && n->peer.leader.phase == LEADER_DISCOVERY)
		check_won(n);
	if (n->phase >= PEER_LEADS)
		check_elected(n);
}
