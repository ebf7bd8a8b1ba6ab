/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/peer_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_feed.h"
#include "tests/lib/unit.h"
#include "zkserver/core/snapshot.h"

#define OUT_MAX ((size_t)256 << 20)
#define LINKS_MAX 64
#define START_MS 1000000
#define WALL_MS INT64_C(1700000000000)

static const struct hash_key KEY = {3, 4};

/* Side 0 dialled side 1. */
struct rig_link {
	bool used, broken, held;
	unsigned node[2];
	struct peer_link side[2];
	struct buf out[2];
	bool open[2];
	size_t break_after; /* bytes to side 0; 0: never */
};

struct rig_node rig_nodes[RIG_NODES_MAX];
unsigned rig_count;
uint64_t rig_now_ms;
struct zab_settings rig_zab_settings;
static struct members members;
static struct rig_link links[LINKS_MAX];
static bool cut[RIG_NODES_MAX][RIG_NODES_MAX];
static bool frozen[RIG_NODES_MAX], throttled[RIG_NODES_MAX];
static size_t link_bytes;

static unsigned
index_of(const struct rig_node *n)
{
	return (unsigned)(n - rig_nodes);
}

static bool
reaches(unsigned a, unsigned b)
{
	return rig_nodes[a].up && rig_nodes[b].up && !cut[a][b];
}

/* ---- what a peer wants ---- */

static void
on_notify(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct rig_node *n = arg;
	struct buf *mail = &n->mail[sid - 1];

	buf_clear(mail);
	buf_append(mail, bytes, size);
}

static void
on_dial(void *arg, int64_t sid)
{
	struct rig_node *n = arg;

	n->dialling = true;
	n->dials = sid;
	n->dials_master = false;
	n->dial_count++;
}

static void
on_dial_master(void *arg, int64_t sid)
{
	on_dial(arg, sid);
	((struct rig_node *)arg)->dials_master = true;
}

static void
on_log_release(void *arg)
{
	struct rig_node *n = arg;

	ck_assert(n->log_open);
	ck_assert_uint_eq(n->batch.count, 0);
	txnlog_fini(&n->log);
	n->log_open = false;
}

static void
on_log_reopen(void *arg)
{
	struct rig_node *n = arg;

	ck_assert(!n->log_open);
	txnlog_init(&n->log, n->store, 64 << 10);
	n->log_open = true;
}

static void
on_say(void *arg, const char *text)
{
	struct rig_node *n = arg;

	snprintf(n->said, sizeof n->said, "%s", text);
	if (strstr(text, "was cut behind") != NULL)
		n->truncations++;
	if (strstr(text, "received a snapshot") != NULL)
		n->snapshots_taken++;
	if (getenv("RIG_TRACE") != NULL)
		fprintf(stderr, "%8llu %lld: %s\n", (unsigned long long)(rig_now_ms - START_MS),
		    (long long)n->sid, text);
}

static void
on_fatal(void *arg, const char *why)
{
	struct rig_node *n = arg;

	n->failed = true;
	snprintf(n->fatal, sizeof n->fatal, "%s", why);
	if (getenv("RIG_TRACE") != NULL)
		fprintf(stderr, "%8llu %lld: FATAL %s\n",
		    (unsigned long long)(rig_now_ms - START_MS), (long long)n->sid, why);
}

static bool
on_members_seen(void *arg, const struct members *m, struct fault *f)
{
	struct rig_node *n = arg;

	if (n->forgets) {
		fault_set(f, -EIO, "the file cannot be written");
		return false;
	}
	n->seen = *m;
	return true;
}

static void
on_members_adopted(void *arg, const struct members *m)
{
	struct rig_node *n = arg;

	if (!n->forgets)
		n->committed = *m;
}

static const struct peer_ops ops = {
    .members_seen = on_members_seen,
    .members_adopted = on_members_adopted,
    .notify = on_notify,
    .dial = on_dial,
    .dial_master = on_dial_master,
    .log_release = on_log_release,
    .log_reopen = on_log_reopen,
    .say = on_say,
    .fatal = on_fatal,
};

/* ---- beginning and end ---- */

void
rig_setup(unsigned voters, unsigned observers)
{
	struct fault f = {0};

	ck_assert_uint_le(voters + observers, RIG_NODES_MAX);
	rig_count = voters + observers;
	rig_now_ms = START_MS;
	members_init(&members);
	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];
		char key[32], value[64];

		*n = (struct rig_node){.sid = i + 1};
		snprintf(key, sizeof key, "server.%u", i + 1);
		snprintf(value, sizeof value, "10.0.0.%u:2888:3888%s;2181", i + 1,
		    i >= voters ? ":observer" : ":participant");
		ck_assert_int_eq(members_put(&members, key, value, &f), 0);
		n->disk = simdisk_new(i + 1, UINT64_MAX);
		n->store = simdisk_store(n->disk);
		for (unsigned k = 0; k < RIG_NODES_MAX; k++)
			buf_init(&n->mail[k], 1 << 20);
	}
	ck_assert_int_eq(members_finish(&members, &f), 0);
	for (unsigned i = 0; i < rig_count; i++) {
		rig_nodes[i].committed = members;
		rig_nodes[i].seen.version = -1;
	}
	rig_zab_settings = (struct zab_settings){.tick_ms = RIG_TICK_MS,
	    .init_limit = RIG_INIT_LIMIT,
	    .sync_limit = RIG_SYNC_LIMIT,
	    .packet_bytes_max = 4 << 20,
	    .out_soft_bytes = 64 << 10,
	    .out_bytes_max = OUT_MAX,
	    .links_max = 20,
	    .hold_ms = 5000,
	    .log_sync_percent = 33,
	    .history_count = 500,
	    .history_bytes = 64 << 20};
}

void
rig_setup_three(void)
{
	rig_setup(3, 0);
}

bool
rig_try_start(unsigned i)
{
	struct rig_node *n = &rig_nodes[i];
	struct peer_config config = {.settings = rig_zab_settings,
	    .election = {.sid = n->sid,
		.notify_min_ms = ELECTION_NOTIFY_MIN_MS,
		.notify_max_ms = ELECTION_NOTIFY_MAX_MS,
		.finalize_ms = ELECTION_FINALIZE_MS},
	    .members = &n->committed,
	    .seen = n->seen.version > n->committed.version ? &n->seen : NULL,
	    .snapshots = n->store,
	    .logs = n->store,
	    .ops = &ops,
	    .arg = n};
	struct recover_report report;
	struct fault note = {0}, f = {0};
	int err;

	ck_assert(!n->up);
	n->settings = (struct server_settings){.tick_ms = RIG_TICK_MS,
	    .min_timeout_ms = 2 * RIG_TICK_MS,
	    .max_timeout_ms = 20 * RIG_TICK_MS,
	    .frame_bytes_max = 0xfffff,
	    .snap_count = 1000000,
	    .outstanding_max = 10000,
	    .reconfig_enabled = rig_zab_settings.reconfig,
	    .sid = (uint8_t)n->sid};
	config.settings.sid = n->sid;
	n->failed = false;
	n->fatal[0] = '\0';
	ck_assert(db_init(&n->db, &KEY, RIG_TICK_MS));
	err = peer_init(&n->peer, &config, &n->db, &report, &note, &f);
	if (err != 0) {
		snprintf(n->fatal, sizeof n->fatal, "%s", f.text);
		db_fini(&n->db);
		return false;
	}
	n->db.tree.acls.policy.skip = rig_zab_settings.reconfig;
	server_init(&n->server, &n->settings, &n->db, (uint64_t)n->sid, rig_now_ms, WALL_MS);
	txnlog_init(&n->log, n->store, 64 << 10);
	txnlog_batch_init(&n->batch);
	n->log_open = n->up = true;
	n->dialling = false;
	n->restarts++;
	peer_start(&n->peer, &n->server, rig_now_ms);
	for (unsigned k = 0; k < rig_count; k++) {
		if (k == i)
			continue;
		peer_election_link(
		    &n->peer, k + 1, reaches(i, k) ? ELECTION_LINK_UP : ELECTION_LINK_DOWN);
		if (reaches(i, k))
			peer_election_link(&rig_nodes[k].peer, n->sid, ELECTION_LINK_UP);
	}
	return true;
}

void
rig_start(unsigned i)
{
	ck_assert_msg(rig_try_start(i), "server %u does not start: %s", i + 1, rig_nodes[i].fatal);
}

void
rig_start_all(void)
{
	for (unsigned i = 0; i < rig_count; i++)
		rig_start(i);
}

/* ---- links ---- */

static void
close_side(struct rig_link *l, unsigned side)
{
	if (!l->open[side])
		return;
	l->open[side] = false;
	peer_link_closed(&rig_nodes[l->node[side]].peer, &l->side[side]);
}

static void
close_link(struct rig_link *l)
{
	close_side(l, 0);
	close_side(l, 1);
	if (!l->used)
		return;
	buf_fini(&l->out[0]);
	buf_fini(&l->out[1]);
	l->used = false;
}

static void
connect_link(struct rig_node *n)
{
	unsigned i = index_of(n), k = (unsigned)(n->dials - 1);
	struct rig_link *l = links;

	n->dialling = false;
	if (!reaches(i, k) || (n->dials_master && !peer_takes_observers(&rig_nodes[k].peer))) {
		peer_dial_failed(&n->peer, n->dials);
		return;
	}
	while (l < links + LINKS_MAX && l->used)
		l++;
	ck_assert(l < links + LINKS_MAX);
	*l = (struct rig_link){.used = true, .node = {i, k}, .open = {true, true}};
	buf_init(&l->out[0], OUT_MAX);
	buf_init(&l->out[1], OUT_MAX);
	peer_link_dialled(&n->peer, &l->side[0], &l->out[0], n->dials);
	if (n->dials_master)
		peer_observer_accepted(&rig_nodes[k].peer, &l->side[1], &l->out[1]);
	else
		peer_link_accepted(&rig_nodes[k].peer, &l->side[1], &l->out[1]);
}

/* Bytes from one side to the other. */
static bool
move_bytes(struct rig_link *l, unsigned from)
{
	unsigned to = 1 - from;
	struct buf *out = &l->out[from];
	size_t size = link_bytes > 0 && link_bytes < out->len ? link_bytes : out->len;

	if (frozen[l->node[0]] || frozen[l->node[1]] || throttled[l->node[to]])
		return false;
	if (size == 0 || !l->open[to] || l->side[to].paused || l->side[to].end != PEER_LINK_OPEN)
		return false;
	if (to == 0 && l->held)
		return false;
	if (to == 0 && l->break_after > 0) {
		if (size >= l->break_after) {
			size = l->break_after;
			l->broken = true;
		}
		l->break_after -= size;
	}
	buf_consume(out, peer_feed(&rig_nodes[l->node[to]].peer, &l->side[to], out->data, size));
	if (l->open[from] && l->side[from].end == PEER_LINK_OPEN)
		peer_link_drained(&rig_nodes[l->node[from]].peer, &l->side[from]);
	return true;
}

static bool
step_link(struct rig_link *l)
{
	bool moved = false;

	if (!l->used)
		return false;
	for (unsigned side = 0; side < 2; side++)
		moved |= move_bytes(l, side);
	if (l->broken || l->side[0].end != PEER_LINK_OPEN || l->side[1].end != PEER_LINK_OPEN ||
	    !reaches(l->node[0], l->node[1])) {
		close_link(l);
		return true;
	}
	return moved;
}

static struct rig_link *
link_of(unsigned learner)
{
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		if (links[i].used && links[i].node[0] == learner)
			return &links[i];
	}
	return NULL;
}

bool
rig_break_link_after(unsigned learner, size_t bytes)
{
	struct rig_link *l = link_of(learner);

	if (l != NULL)
		l->break_after = bytes;
	return l != NULL;
}

bool
rig_hold_link(unsigned learner, bool on)
{
	struct rig_link *l = link_of(learner);

	if (l != NULL)
		l->held = on;
	return l != NULL;
}

/* ---- a node's turn ---- */

static int
put_snapshot(void *arg, const uint8_t *bytes, size_t size)
{
	buf_append(arg, bytes, size);
	return 0;
}

static bool
take_records(struct rig_node *n)
{
	const uint8_t *bytes;
	bool any = false;
	int64_t zxid;
	size_t size;

	while (n->log_open && n->batch.len < TXNLOG_BATCH_FULL_BYTES &&
	       server_next_record(&n->server, &zxid, &bytes, &size)) {
		ck_assert_int_eq(txnlog_append(&n->log, &n->batch, bytes, size), 0);
		n->appended = zxid;
		any = true;
	}
	return any;
}

static bool
sync_log(struct rig_node *n)
{
	struct fault f = {0};

	if (n->hold_sync || n->batch.count == 0)
		return false;
	txnlog_seal(&n->log, &n->batch);
	if (txnlog_write(&n->log, &n->batch, &f) != 0) {
		on_fatal(n, f.text);
		return false;
	}
	txnlog_batch_clear(&n->log, &n->batch);
	peer_synced(&n->peer, n->appended);
	return true;
}

static bool
turn(struct rig_node *n)
{
	struct peer_link *l;
	struct server_conn *c;
	bool any;

	peer_turn(&n->peer);
	if (n->failed)
		return false;
	any = take_records(n);
	any |= sync_log(n);
	while ((l = peer_next_dirty(&n->peer)) != NULL) {
		if (n->hold_snapshots || !l->wants_snapshot || l->end != PEER_LINK_OPEN)
			continue;
		peer_link_snapshot_begin(&n->peer, l);
		ck_assert_int_eq(snapshot_stream(&n->db, put_snapshot, l->out), 0);
		peer_link_snapshot_sent(&n->peer, l);
		any = true;
	}
	while ((c = server_next_dirty(&n->server)) != NULL) {
		if (c->end != SERVER_OPEN)
			n->client.gone = true;
	}
	if (n->client.open && n->client.gone) {
		server_conn_close(&n->server, &n->client.conn);
		n->client.open = false;
	}
	return any;
}

void
rig_set_time(struct rig_node *n)
{
	server_set_time(&n->server, rig_now_ms, WALL_MS + (int64_t)(rig_now_ms - START_MS));
	peer_set_time(&n->peer, rig_now_ms);
}

static bool
deliver_mail(struct rig_node *n)
{
	bool any = false;

	for (unsigned k = 0; k < rig_count; k++) {
		struct buf *mail = &n->mail[k];
		uint8_t copy[4096];
		size_t size = mail->len;

		if (size == 0 || !reaches(index_of(n), k) || frozen[k] || frozen[index_of(n)])
			continue;
		ck_assert_uint_le(size, sizeof copy);
		memcpy(copy, mail->data, size);
		buf_clear(mail);
		rig_set_time(&rig_nodes[k]);
		peer_heard(&rig_nodes[k].peer, n->sid, copy, size);
		any = true;
	}
	return any;
}

bool
rig_step(void)
{
	bool any = false;

	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];

		if (!n->up || n->failed)
			continue;
		rig_set_time(n);
		if (rig_now_ms >= server_deadline_ms(&n->server))
			server_tick(&n->server);
		if (rig_now_ms >= peer_deadline_ms(&n->peer))
			peer_tick(&n->peer);
		any |= turn(n);
		any |= deliver_mail(n);
		if (n->dialling) {
			connect_link(n);
			any = true;
		}
	}
	for (unsigned i = 0; i < LINKS_MAX; i++)
		any |= step_link(&links[i]);
	return any;
}

static uint64_t
next_ms(void)
{
	uint64_t at_ms = UINT64_MAX;

	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];
		uint64_t peer_ms, server_ms;

		if (!n->up || n->failed)
			continue;
		peer_ms = peer_deadline_ms(&n->peer);
		server_ms = server_deadline_ms(&n->server);
		at_ms = peer_ms < at_ms ? peer_ms : at_ms;
		at_ms = server_ms < at_ms ? server_ms : at_ms;
	}
	return at_ms > rig_now_ms ? at_ms : rig_now_ms + 1;
}

bool
rig_run_until(bool (*done)(void *arg), void *arg, uint64_t ms)
{
	uint64_t until_ms = rig_now_ms + ms;

	for (unsigned steps = 0; steps < 2000000; steps++) {
		uint64_t at_ms;

		if (done != NULL && done(arg))
			return true;
		if (rig_step())
			continue;
		if (done != NULL && done(arg))
			return true;
		at_ms = next_ms();
		if (at_ms > until_ms) {
			rig_now_ms = until_ms;
			return false;
		}
		rig_now_ms = at_ms;
	}
	ck_abort_msg("the ensemble does not come to rest");
	return false;
}

void
rig_run(uint64_t ms)
{
	rig_run_until(NULL, NULL, ms);
}

/* ---- faults ---- */

static void
tell_link(unsigned a, unsigned b)
{
	enum election_link state = reaches(a, b) ? ELECTION_LINK_UP : ELECTION_LINK_DOWN;

	if (rig_nodes[a].up)
		peer_election_link(&rig_nodes[a].peer, b + 1, state);
	if (rig_nodes[b].up)
		peer_election_link(&rig_nodes[b].peer, a + 1, state);
}

static void
close_unreachable(void)
{
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		if (links[i].used && !reaches(links[i].node[0], links[i].node[1]))
			close_link(&links[i]);
	}
}

void
rig_cut(unsigned a, unsigned b, bool on)
{
	cut[a][b] = cut[b][a] = on;
	buf_clear(&rig_nodes[a].mail[b]);
	buf_clear(&rig_nodes[b].mail[a]);
	close_unreachable();
	tell_link(a, b);
}

void
rig_isolate(unsigned i, bool on)
{
	for (unsigned k = 0; k < rig_count; k++) {
		if (k != i)
			rig_cut(i, k, on);
	}
}

void
rig_freeze(unsigned i, bool on)
{
	frozen[i] = on;
}

void
rig_throttle(unsigned i, bool on)
{
	throttled[i] = on;
}

void
rig_set_link_bytes(size_t bytes)
{
	link_bytes = bytes;
}

void
rig_crash(unsigned i, bool power)
{
	struct rig_node *n = &rig_nodes[i];

	if (!n->up)
		return;
	/* Its own sides first: it does not live to hear of anything. */
	for (unsigned k = 0; k < LINKS_MAX; k++) {
		if (links[k].used && (links[k].node[0] == i || links[k].node[1] == i))
			close_link(&links[k]);
	}
	rig_disconnect(i);
	peer_fini(&n->peer);
	server_fini(&n->server);
	db_fini(&n->db);
	if (n->log_open)
		txnlog_fini(&n->log);
	txnlog_batch_fini(&n->batch);
	n->up = n->log_open = n->hold_sync = false;
	for (unsigned k = 0; k < RIG_NODES_MAX; k++)
		buf_clear(&n->mail[k]);
	if (power)
		simdisk_power_loss(n->disk);
	else
		simdisk_crash(n->disk);
	for (unsigned k = 0; k < rig_count; k++) {
		if (k != i)
			tell_link(i, k);
	}
}

void
rig_teardown(void)
{
	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];

		rig_crash(i, false);
		simdisk_free(n->disk);
		for (unsigned k = 0; k < RIG_NODES_MAX; k++)
			buf_fini(&n->mail[k]);
		memset(cut[i], 0, sizeof cut[i]);
		frozen[i] = throttled[i] = false;
	}
	link_bytes = 0;
}

/* ---- questions ---- */

bool
rig_serves(unsigned i)
{
	return rig_nodes[i].up && !rig_nodes[i].failed && server_serves(&rig_nodes[i].server);
}

int
rig_leader(void)
{
	int found = -1;

	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];

		if (rig_serves(i) && n->server.role == SERVER_LEADER &&
		    (found < 0 || n->peer.leader.epoch > rig_nodes[found].peer.leader.epoch))
			found = (int)i;
	}
	return found;
}

static bool
all_serve(void *arg)
{
	const unsigned *but = arg;

	for (unsigned i = 0; i < rig_count; i++) {
		if (rig_nodes[i].up && !rig_serves(i) && (but == NULL || i != *but))
			return false;
	}
	return rig_leader() >= 0 && (but == NULL || (unsigned)rig_leader() != *but);
}

static int
settle(unsigned *but)
{
	for (unsigned i = 0; i < rig_count; i++)
		ck_assert_msg(!rig_nodes[i].up || !rig_nodes[i].failed, "server %u ended: %s",
		    i + 1, rig_nodes[i].fatal);
	ck_assert_msg(rig_run_until(all_serve, but, 120000),
	    "no leader with all others; the last words: %s / %s / %s", rig_nodes[0].said,
	    rig_nodes[1].said, rig_nodes[2].said);
	return rig_leader();
}

int
rig_settle(void)
{
	return settle(NULL);
}

int
rig_settle_others(unsigned i)
{
	return settle(&i);
}
