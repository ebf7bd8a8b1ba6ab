/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ensembles of election cores and link cores in a network that delays, loses, cuts and reorders,
 * with crashes, all from a seed. What synchronization does is only hinted at: who elected a server
 * that leads joins it, a leader with a quorum begins an epoch, one without gives up.
 *
 * While it is like that, each election won has its quorum of votes, cast by servers that had no
 * more than the winner (Z16); when it has become quiet all find the same leader.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"
#include "zkserver/core/election.h"
#include "zkserver/core/election_links.h"

#define NODES_MAX 9
#define WIRES_MAX 512
#define EVENTS_MAX 8192
#define RECORDS_MAX 4096
#define SEEDS 60

#define CHAOS_MS 8000
#define QUIET_MS 30000	 /* until all must have found the leader */
#define STABLE_MS 1000	 /* for so long it must stay so */
#define CONNECT_MS 2000	 /* of the links */
#define HOLD_MS 500	 /* for so long a follower waits for a leader that still looks */
#define PATIENCE_MS 1500 /* for so long a leader waits for its quorum, a follower behind a cut */

struct node;

/* A connection: end 0 has dialled end 1. */
struct wire {
	struct node *ends[2];
	bool used, broken, gone[2]; /* gone: that side has closed it or was told */
	bool greeted;		    /* the hello has arrived */
	uint64_t last_ms[2];	    /* of deliveries to that side, which do not overtake */
};

struct wire_end {
	struct wire *wire;
	int side;
};

struct node {
	int64_t sid;
	bool alive, observer, joined, established;
	int64_t zxid, epoch;
	struct election e;
	struct election_links l;
	struct wire_end ends[WIRES_MAX]; /* this node's ends, by wire */
	uint64_t role_ms, quorum_ms, start_at_ms, restart_at_ms;
	unsigned term; /* of its leadership; of the one that it has joined */
	bool over;     /* the end of this election was looked at */
};

struct event {
	enum { CONNECTED, HELLO, MESSAGE, CLOSED } kind;
	uint64_t at_ms, order;
	struct wire *wire;
	int side;
	uint8_t *bytes;
	size_t size;
};

/* A vote that was sent: what its sender had. */
struct record {
	int64_t sid, round, epoch, zxid;
};

static struct node nodes[NODES_MAX];
static struct wire wires[WIRES_MAX];
static struct event events[EVENTS_MAX];
static struct record records[RECORDS_MAX];
static size_t node_count, event_count, record_count;
static struct members members;
static bool cut[NODES_MAX][NODES_MAX];
static uint32_t delay_ms, loss; /* loss: one of so many messages breaks its link; 0: none */
static struct rng rng;
static uint64_t now_ms, orders;
static unsigned terms, seed, decisions;

static size_t
index_of(const struct node *n)
{
	return (size_t)(n - nodes);
}

static bool
is_cut(const struct node *a, const struct node *b)
{
	return cut[index_of(a)][index_of(b)];
}

static void
add_event(int kind, uint64_t after_ms, struct wire *w, int side, const uint8_t *bytes, size_t size)
{
	struct event *v = &events[event_count];

	ck_assert_uint_lt(event_count, EVENTS_MAX);
	*v = (struct event){kind, now_ms + after_ms, ++orders, w, side, NULL, size};
	if (v->at_ms < w->last_ms[side])
		v->at_ms = w->last_ms[side];
	w->last_ms[side] = v->at_ms;
	if (size > 0) {
		v->bytes = malloc(size);
		ck_assert_ptr_nonnull(v->bytes);
		memcpy(v->bytes, bytes, size);
	}
	event_count++;
}

static uint64_t
some_delay(void)
{
	return 1 + rng_below(&rng, delay_ms);
}

/* The other side gets to know that this wire is no more; sooner or later. */
static void
break_wire(struct wire *w, uint64_t within_ms)
{
	if (w->broken)
		return;
	w->broken = true;
	for (int side = 0; side < 2; side++)
		add_event(CLOSED, 1 + rng_below(&rng, within_ms), w, side, NULL, 0);
}

static struct node *
node_of(int64_t sid)
{
	for (size_t i = 0; i < node_count; i++) {
		if (nodes[i].sid == sid)
			return &nodes[i];
	}
	return NULL;
}

static void
on_dial(void *arg, int64_t sid, const char *address)
{
	struct node *n = arg, *to = node_of(sid);
	size_t i = 0;

	ck_assert_ptr_null(address);
	while (wires[i].used)
		ck_assert_uint_lt(++i, WIRES_MAX);
	wires[i] = (struct wire){.ends = {n, to}, .used = true};
	n->ends[i] = (struct wire_end){&wires[i], 0};
	to->ends[i] = (struct wire_end){&wires[i], 1};
	/* Into a cut nothing comes back: the caller's patience ends it. */
	if (!is_cut(n, to))
		add_event(CONNECTED, some_delay(), &wires[i], 0, NULL, 0);
}

static void
on_give_up(void *arg, int64_t sid)
{
	struct node *n = arg;

	for (size_t i = 0; i < WIRES_MAX; i++) {
		if (wires[i].used && wires[i].ends[0] == n && wires[i].ends[1]->sid == sid &&
		    !wires[i].greeted)
			wires[i].gone[0] = true;
	}
}

static void
on_hang_up(void *arg, void *link, bool flush)
{
	struct wire_end *end = link;
	struct wire *w = end->wire;

	(void)arg;
	(void)flush;
	w->gone[end->side] = true;
	if (!w->broken)
		add_event(CLOSED, some_delay(), w, 1 - end->side, NULL, 0);
}

static void
on_hello(void *arg, void *link)
{
	struct wire_end *end = link;

	(void)arg;
	add_event(HELLO, some_delay(), end->wire, 1, NULL, 0);
}

static bool
on_wire_send(void *arg, void *link, const uint8_t *bytes, size_t size)
{
	struct wire_end *end = link;

	(void)arg;
	if (loss > 0 && rng_below(&rng, loss) == 0)
		break_wire(end->wire, 200); /* and the message with it, or not */
	if (!is_cut(end->wire->ends[0], end->wire->ends[1]))
		add_event(MESSAGE, some_delay(), end->wire, 1 - end->side, bytes, size);
	return true;
}

static void
on_changed(void *arg, int64_t sid, enum election_link state)
{
	struct node *n = arg;

	election_link_is(&n->e, now_ms, sid, state);
}

static void
on_send(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct node *n = arg;

	if (n->e.state == PEER_LOOKING && !n->observer) {
		ck_assert_uint_lt(record_count, RECORDS_MAX);
		records[record_count++] =
		    (struct record){n->sid, n->e.round, n->e.own.epoch, n->e.own.zxid};
		/* The same again and again is one. */
		for (size_t i = 0; i + 1 < record_count; i++) {
			if (memcmp(&records[i], &records[record_count - 1], sizeof *records) == 0) {
				record_count--;
				break;
			}
		}
	}
	election_links_send(&n->l, now_ms, sid, bytes, size);
}

static const struct election_links_ops LINKS_OPS = {
    on_dial, on_give_up, on_hang_up, on_hello, on_wire_send, on_changed};
static const struct election_ops OPS = {.send = on_send};

static bool
has_no_more(int64_t epoch, int64_t zxid, int64_t sid, const struct vote *v)
{
	if (epoch != v->epoch)
		return epoch < v->epoch;
	return zxid != v->zxid ? zxid < v->zxid : sid <= v->leader;
}

static bool
cast_with_no_more(int64_t sid, const struct vote *v)
{
	for (size_t i = 0; i < record_count; i++) {
		const struct record *r = &records[i];

		if (r->sid == sid && r->round == v->round &&
		    (members_weight(&members, sid) == 0 || has_no_more(r->epoch, r->zxid, sid, v)))
			return true;
	}
	return false;
}

static bool
says_that_it_leads(const struct node *n, int64_t sid)
{
	const struct election_words *roles = &n->e.roles, *votes = &n->e.votes;

	return (sid_set_has(&roles->from, sid) && roles->of[sid].state == PEER_LEADING) ||
	       (sid_set_has(&votes->from, sid) && votes->of[sid].state == PEER_LEADING);
}

/*
 * An election has ended at this server: with right? Either a quorum voted as it did, or it has
 * joined a leader that stands.
 */
static void
check_decision(const struct node *n)
{
	const struct vote *v = election_result(&n->e);
	const struct vote *p = &n->e.proposal;
	struct sid_set agreeing;

	decisions++;
	ck_assert(members_is_voter(&members, v->leader));
	ck_assert_int_gt(members_weight(&members, v->leader), 0);
	election_agreeing(&n->e, &agreeing);
	if (v->leader != p->leader || v->zxid != p->zxid || v->epoch != p->epoch ||
	    v->round != p->round || !members_quorum(&members, &agreeing)) {
		ck_assert_msg(v->leader == n->sid || says_that_it_leads(n, v->leader),
		    "seed %u: %d follows %d, which does not lead", seed, (int)n->sid,
		    (int)v->leader);
		return;
	}
	ck_assert(n->observer || members_weight(&members, n->sid) == 0 ||
		  has_no_more(n->e.own.epoch, n->e.own.zxid, n->sid, v));
	for (int64_t sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		/* Who follows the winner has not voted for it necessarily. */
		ck_assert_msg(!sid_set_has(&agreeing, sid) || sid == n->sid ||
				  n->e.votes.of[sid].state != PEER_LOOKING ||
				  cast_with_no_more(sid, v),
		    "seed %u: %d had more than it voted for", seed, (int)sid);
	}
}

static void
leave(struct node *n)
{
	election_leave(&n->e);
	n->joined = n->established = n->over = false;
	n->start_at_ms = now_ms + rng_below(&rng, 20); /* what is pending goes to disk */
}

static void
boot(struct node *n)
{
	const struct election_settings settings = {n->sid, 200, 60000, 200};
	const struct election_links_settings links = {n->sid, CONNECT_MS, false};

	n->alive = true;
	election_init(&n->e, &settings, &OPS, n);
	election_links_init(&n->l, &links, &LINKS_OPS, n);
	ck_assert(election_set_members(&n->e, &members, NULL));
	ck_assert(election_links_set_members(&n->l, now_ms, &members, NULL));
	leave(n);
}

static void
crash(struct node *n)
{
	n->alive = n->joined = n->established = false;
	n->restart_at_ms = UINT64_MAX;
	for (size_t i = 0; i < WIRES_MAX; i++) {
		struct wire *w = &wires[i];

		if (!w->used || (w->ends[0] != n && w->ends[1] != n))
			continue;
		w->gone[w->ends[0] == n ? 0 : 1] = true;
		break_wire(w, is_cut(w->ends[0], w->ends[1]) ? 2000 : delay_ms);
	}
	election_fini(&n->e);
	election_links_fini(&n->l);
}

static bool
leads(const struct node *n)
{
	return n->alive && n->over && n->e.state == PEER_LEADING;
}

static void
catch_up(struct node *n, const struct node *leader)
{
	n->epoch = leader->epoch;
	n->zxid = leader->zxid;
	election_synced(&n->e, n->epoch);
}

/* A leader with its quorum begins an epoch, unless one of them has more. */
static void
run_leader(struct node *n)
{
	struct sid_set with = {{0}};
	int64_t epoch = n->epoch;

	sid_set_add(&with, n->sid);
	for (size_t i = 0; i < node_count; i++) {
		const struct node *f = &nodes[i];

		if (!f->alive || !f->joined || f->term != n->term || is_cut(f, n))
			continue;
		sid_set_add(&with, f->sid);
		epoch = f->epoch > epoch ? f->epoch : epoch;
		if (!n->established && !f->observer &&
		    (f->epoch > n->epoch || (f->epoch == n->epoch && f->zxid > n->zxid))) {
			leave(n);
			return;
		}
	}
	if (members_quorum(&members, &with)) {
		n->quorum_ms = now_ms;
		if (!n->established) {
			n->established = true;
			n->epoch = epoch + 1;
			n->zxid = (n->epoch << 32) + (int64_t)rng_below(&rng, 3);
			election_synced(&n->e, n->epoch);
		}
	} else if (now_ms - n->quorum_ms > PATIENCE_MS ||
		   (!n->established && election_forsaken(&n->e))) {
		leave(n);
	}
}

static void
run_follower(struct node *n)
{
	const struct node *leader = node_of(n->e.vote.leader);
	bool away = is_cut(n, leader);

	if (away ? now_ms - n->role_ms > PATIENCE_MS : !leader->alive) {
		leave(n);
		return;
	}
	if (away)
		return;
	n->role_ms = n->joined ? now_ms : n->role_ms;
	if (n->joined && (!leads(leader) || leader->term != n->term)) {
		leave(n);
	} else if (leads(leader)) {
		if (!n->joined && leader->established)
			catch_up(n, leader);
		else if (n->joined && leader->established && n->epoch < leader->epoch)
			catch_up(n, leader);
		n->joined = true;
		n->term = leader->term;
	} else if (election_forsaken(&n->e) || now_ms - n->role_ms > HOLD_MS) {
		leave(n);
	}
}

static void
run_node(struct node *n)
{
	if (!n->alive)
		return;
	if (now_ms >= election_links_deadline_ms(&n->l))
		election_links_tick(&n->l, now_ms);
	if (n->e.phase == ELECTION_AWAY && now_ms >= n->start_at_ms)
		election_start(&n->e, now_ms, n->zxid, n->epoch, n->observer);
	if (now_ms >= election_deadline_ms(&n->e))
		election_tick(&n->e, now_ms);
	if (n->e.phase != ELECTION_OVER)
		return;
	if (!n->over) {
		n->over = true;
		n->role_ms = n->quorum_ms = now_ms;
		n->term = n->e.state == PEER_LEADING ? ++terms : 0;
		check_decision(n);
	}
	if (leads(n))
		run_leader(n);
	else
		run_follower(n);
}

static void
hear_hello(struct wire *w)
{
	struct node *n = w->ends[1];
	const struct hello hello = {.sid = w->ends[0]->sid};
	struct wire_end *end = &n->ends[w - wires];

	w->greeted = true;
	if (election_links_hello(&n->l, now_ms, end, &hello) != ELECTION_HELLO_KEPT) {
		w->gone[1] = true;
		add_event(CLOSED, some_delay(), w, 0, NULL, 0);
	}
}

static void
handle(struct event *v)
{
	struct wire *w = v->wire;
	struct node *n = w->ends[v->side], *other = w->ends[1 - v->side];
	struct wire_end *end = &n->ends[w - wires];

	if (!n->alive || w->gone[v->side] || (v->kind != CLOSED && is_cut(n, other)))
		return;
	switch (v->kind) {
	case CONNECTED:
		if (!other->alive || w->broken) {
			w->gone[0] = true;
			election_links_dial_failed(&n->l, now_ms, other->sid);
		} else {
			w->greeted = true; /* it is no dial any more */
			election_links_dialled(&n->l, now_ms, other->sid, end);
		}
		break;
	case HELLO:
		hear_hello(w);
		break;
	case MESSAGE:
		election_heard(&n->e, now_ms, other->sid, v->bytes, v->size);
		break;
	case CLOSED:
		w->gone[v->side] = true;
		election_links_closed(&n->l, now_ms, other->sid, end);
		break;
	}
}

/* All that is due, in order. */
static void
run_events(void)
{
	for (;;) {
		size_t first = event_count;
		struct event v;

		for (size_t i = 0; i < event_count; i++) {
			if (events[i].at_ms <= now_ms &&
			    (first == event_count || events[i].order < events[first].order))
				first = i;
		}
		if (first == event_count)
			return;
		v = events[first];
		events[first] = events[--event_count];
		handle(&v);
		free(v.bytes);
	}
}

static void
free_wires(void)
{
	for (size_t i = 0; i < WIRES_MAX; i++) {
		struct wire *w = &wires[i];
		bool spoken_of = false;

		if (!w->used || !w->gone[0] || (!w->gone[1] && w->greeted))
			continue;
		for (size_t j = 0; j < event_count; j++)
			spoken_of |= events[j].wire == w;
		w->used = spoken_of;
	}
}

static void
step(void)
{
	now_ms++;
	run_events();
	for (size_t i = 0; i < node_count; i++) {
		if (!nodes[i].alive && now_ms >= nodes[i].restart_at_ms)
			boot(&nodes[i]);
		run_node(&nodes[i]);
	}
	if (now_ms % 64 == 0)
		free_wires();
}

/* Do something to somebody. */
static void
trouble(void)
{
	size_t a = rng_below(&rng, node_count), b = rng_below(&rng, node_count);

	switch (rng_below(&rng, 4)) {
	case 0:
		if (nodes[a].alive)
			crash(&nodes[a]);
		nodes[a].restart_at_ms = now_ms + rng_below(&rng, 1500);
		break;
	case 1:
		if (a == b)
			break;
		cut[a][b] = cut[b][a] = true;
		for (size_t i = 0; i < WIRES_MAX; i++) {
			struct wire *w = &wires[i];

			if (w->used && is_cut(w->ends[0], w->ends[1]))
				break_wire(w, 2000);
		}
		break;
	default:
		cut[a][b] = cut[b][a] = false;
		break;
	}
}

static void
make_members(size_t voters)
{
	char text[2048] = "", group[256] = "group.1=";
	size_t len = 0, group_len = strlen(group);
	bool weights = voters >= 3 && rng_below(&rng, 4) == 0;
	struct fault f = {{0}};

	for (size_t i = 0; i < node_count; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "server.%zu=h%zu:1:2%s\n",
		    i + 1, i + 1, i < voters ? "" : ":observer");
		if (i < voters)
			group_len += (size_t)snprintf(group + group_len, sizeof group - group_len,
			    "%s%zu", i > 0 ? ":" : "", i + 1);
		if (i < voters && weights)
			len += (size_t)snprintf(text + len, sizeof text - len, "weight.%zu=%d\n",
			    i + 1, i == 0 ? 1 : (int)rng_below(&rng, 3));
	}
	if (weights)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", group);
	ck_assert_msg(members_parse(&members, text, len, &f) == 0, "%s: %s", text, f.text);
}

static void
begin(unsigned with_seed)
{
	size_t voters;

	seed = with_seed;
	rng_init(&rng, seed);
	memset(wires, 0, sizeof wires);
	memset(cut, 0, sizeof cut);
	memset(nodes, 0, sizeof nodes);
	event_count = record_count = 0;
	now_ms = 1000;
	delay_ms = 3;
	loss = 0;
	voters = 1 + rng_below(&rng, 7);
	node_count = voters + rng_below(&rng, 3);
	make_members(voters);
	for (size_t i = 0; i < node_count; i++) {
		nodes[i].sid = (int64_t)i + 1;
		nodes[i].observer = i >= voters;
		nodes[i].epoch = (int64_t)rng_below(&rng, 3);
		nodes[i].zxid = (nodes[i].epoch << 32) + (int64_t)rng_below(&rng, 3);
		boot(&nodes[i]);
	}
}

static void
end(void)
{
	for (size_t i = 0; i < node_count; i++) {
		if (nodes[i].alive)
			crash(&nodes[i]);
	}
	while (event_count > 0)
		free(events[--event_count].bytes);
}

/* All that are alive have joined one leader, which is established; NULL: not so. */
static const struct node *
common_leader(void)
{
	const struct node *leader = NULL;

	for (size_t i = 0; i < node_count; i++) {
		if (leads(&nodes[i]) && nodes[i].established)
			leader = &nodes[i];
	}
	for (size_t i = 0; leader != NULL && i < node_count; i++) {
		const struct node *n = &nodes[i];

		if (n->alive && n != leader && (!n->joined || n->term != leader->term))
			return NULL;
	}
	return leader;
}

/* Where everybody stands, for who must find out why. */
static void
tell(void)
{
	for (size_t i = 0; i < node_count; i++) {
		const struct node *n = &nodes[i];
		const struct election *e = &n->e;

		printf("%d%s%s phase %d state %d round %d own (%d,%d) weight %u for %d in round "
		       "%d, result %d%s%s; links",
		    (int)n->sid, n->alive ? "" : " dead", n->observer ? " observer" : "", e->phase,
		    e->state, (int)e->round, (int)n->epoch, (int)(n->zxid & 0xffff),
		    members_weight(&members, n->sid), (int)e->proposal.leader,
		    (int)e->proposal.round, (int)e->vote.leader, n->joined ? " joined" : "",
		    n->established ? " established" : "");
		for (size_t j = 0; j < node_count; j++)
			printf(" %d", e->links[nodes[j].sid]);
		printf("\n");
	}
	fflush(stdout);
}

static void
wait_for_leader(uint64_t within_ms)
{
	uint64_t end_ms = now_ms + within_ms;

	while (common_leader() == NULL && now_ms < end_ms)
		step();
	if (common_leader() == NULL)
		tell();
	ck_assert_msg(
	    common_leader() != NULL, "seed %u: no common leader after %d ms", seed, (int)within_ms);
}

START_TEST(elections_are_won_with_right_and_end_when_it_becomes_quiet)
{
	begin((unsigned)_i);
	delay_ms = 1 + (uint32_t)rng_below(&rng, 100);
	loss = 2 + (uint32_t)rng_below(&rng, 40);
	for (uint64_t end_ms = now_ms + CHAOS_MS; now_ms < end_ms; step()) {
		if (rng_below(&rng, 150) == 0)
			trouble();
	}
	memset(cut, 0, sizeof cut);
	loss = 0;
	for (size_t i = 0; i < node_count; i++) {
		if (!nodes[i].alive)
			boot(&nodes[i]);
	}
	wait_for_leader(QUIET_MS);
	for (uint64_t end_ms = now_ms + STABLE_MS; now_ms < end_ms; step())
		ck_assert_msg(common_leader() != NULL, "seed %u: it did not last", seed);
	ck_assert_uint_gt(decisions, 0);
	end();
}
END_TEST

/*
 * Where all can be reached, or are known to be down, nobody waits: messages of 1 to 3 ms, and 20 ms
 * until what is pending is on disk. A voter without weight that has more than all others does not
 * agree with them, so that they do wait for it.
 */
START_TEST(nobody_waits_where_all_is_known)
{
	struct sid_set rest = {{0}};
	struct node *leader;

	begin((unsigned)_i);
	if (members.hierarchical) {
		end();
		return;
	}
	wait_for_leader(ELECTION_FINALIZE_MS / 2);
	for (uint64_t end_ms = now_ms + 2 * ELECTION_SETTLED_MS; now_ms < end_ms; step())
		ck_assert_msg(common_leader() != NULL, "seed %u: it did not last", seed);
	leader = &nodes[common_leader() - nodes];
	for (size_t i = 0; i < node_count; i++) {
		if (&nodes[i] != leader)
			sid_set_add(&rest, nodes[i].sid);
	}
	crash(leader);
	if (members_quorum(&members, &rest))
		wait_for_leader(ELECTION_FINALIZE_MS / 2);
	end();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_model");
	TCase *t = tcase_create("election_model");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(
	    t, elections_are_won_with_right_and_end_when_it_becomes_quiet, 1, SEEDS + 1);
	tcase_add_loop_test(t, nobody_waits_where_all_is_known, 1, SEEDS + 1);
	suite_add_tcase(s, t);
	return s;
}
