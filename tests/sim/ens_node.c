/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ens.h"
#include "zkserver/core/snapshot.h"

#define WALL_START_MS INT64_C(1700000000000)
#define SERVE_ROUNDS 64

static const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};

static const struct peer_ops ops;

static struct ens_node *
of_peer_arg(void *arg)
{
	return arg;
}

static void
new_disk(struct ens_node *n)
{
	if ((n->disk = simdisk_new(rng_u64(&n->rng), UINT64_MAX)) == NULL)
		exit(71);
	n->store = simdisk_store(n->disk);
	ens_disk_begin(n);
	simdisk_ignore_sync(
	    n->disk, n->e->plant == ENS_PLANT_NO_SYNC, n->e->plant == ENS_PLANT_NO_DIR_SYNC);
}

/* 2 is the least that a server takes: a snapshot behind each transaction. */
static uint32_t
draw_snap_count(struct rng *r)
{
	return rng_below(r, 10) == 0 ? 2
				     : 2 + (uint32_t)rng_below(r, rng_below(r, 2) == 0 ? 20 : 400);
}

/* As many transactions as a leader remembers: 1 is the least. */
static size_t
draw_history(struct rng *r)
{
	if (rng_below(r, 6) == 0)
		return 1;
	return rng_below(r, 2) == 0 ? 1 + (size_t)rng_below(r, 20) : 500;
}

bool
ens_node_init(struct ens_node *n, struct ens *e, unsigned index)
{
	static const uint64_t preallocations[] = {0, 64 << 10, 256 << 10};
	char name[32];
	struct rng rng;

	memset(n, 0, sizeof *n);
	n->e = e;
	n->index = index;
	n->sid = index + 1;
	n->off = index >= e->members_count;
	n->conf = e->members;
	if ((n->heard = calloc(ENS_NODES_MAX, sizeof *n->heard)) == NULL)
		return false;
	snprintf(name, sizeof name, "node %u", index);
	world_rng(&e->world, name, &n->rng);
	world_rng(&e->world, "settings", &rng);
	new_disk(n);
	n->settings = (struct server_settings){
	    .tick_ms = e->tick_ms,
	    .min_timeout_ms = 2 * (int32_t)e->tick_ms,
	    .max_timeout_ms = 20 * (int32_t)e->tick_ms,
	    .frame_bytes_max = 1 << 20,
	    .snap_count = draw_snap_count(&rng),
	    .outstanding_max = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) == 0 ? 10 : 1000),
	    .sid = (uint8_t)n->sid,
	    .reconfig_enabled = e->reconfig,
	    .reap_interval_ms = 100 + (uint32_t)rng_below(&rng, 3000),
	    .reap_max_per_minute = 600,
	    .local_sessions = ens_work_does(e, ENS_KIND_LOCAL),
	    .local_upgrade = ens_work_does(e, ENS_KIND_UPGRADE),
	};
	n->preallocate_bytes = preallocations[rng_below(&n->rng, 3)];
	n->snapshot_at_start = rng_below(&rng, 2) == 0;
	n->writes_fuzzy = rng_below(&n->rng, 3) == 0;
	n->rate = rng_below(&rng, 2) == 0 ? 1000 : 900 + (uint32_t)rng_below(&n->rng, 201);
	return true;
}

uint64_t
ens_node_now_ms(const struct ens_node *n)
{
	return n->e->world.now_ms * n->rate / 1000;
}

void
ens_node_set_time(struct ens_node *n)
{
	uint64_t now_ms = ens_node_now_ms(n);

	server_set_time(&n->server, now_ms, WALL_START_MS + n->wall_offset_ms + (int64_t)now_ms);
	peer_set_time(&n->peer, now_ms);
}

bool
ens_node_sleeps(struct ens_node *n, world_fn *fn, void *arg, uint64_t token)
{
	uint64_t now_ms = n->e->world.now_ms;

	if (!n->up || n->paused_until_ms <= now_ms)
		return false;
	world_at(&n->e->world, n->paused_until_ms - now_ms, fn, arg, token);
	return true;
}

/* ---- starting and ending ---- */

static void
close_log(struct ens_node *n)
{
	if (!n->log_open)
		return;
	txnlog_fini(&n->log);
	txnlog_batch_fini(&n->batches[0]);
	txnlog_batch_fini(&n->batches[1]);
	n->log_open = n->flying = n->flush_planned = false;
}

static void
open_log(struct ens_node *n)
{
	txnlog_init(&n->log, n->store, n->preallocate_bytes);
	txnlog_batch_init(&n->batches[0]);
	txnlog_batch_init(&n->batches[1]);
	n->filling = 0;
	n->log_open = true;
}

static void
on_start(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	if (!n->up && !n->off && n->life == token)
		ens_node_start(n);
}

static void
start_later(struct ens_node *n)
{
	uint64_t most_ms = rng_below(&n->rng, 2) == 0 ? 200 : 3000;

	if (n->off)
		return;
	world_at(&n->e->world, 1 + rng_below(&n->rng, most_ms), on_start, n, n->life);
}

/* A snapshot that cannot be written costs nothing, unless the power went. */
static bool
write_snapshot(struct ens_node *n)
{
	struct fault fault = {{0}};

	n->snapshots++;
	if (snapshot_write(n->store, &n->db, &fault) == 0) {
		ens_disk_snapshot(n);
		ens_disk_purge(n);
	}
	return !simdisk_stopped(n->disk);
}

static struct peer_config
configure(struct ens_node *n)
{
	const struct server_settings *s = &n->settings;
	struct rng rng;

	world_rng(&n->e->world, "zab settings", &rng);
	return (struct peer_config){
	    .settings = {.sid = n->sid,
		.tick_ms = s->tick_ms,
		.init_limit = 10,
		.sync_limit = 4,
		.packet_bytes_max = 2 << 20,
		.out_soft_bytes = (size_t)1 << (10 + rng_below(&rng, 10)),
		.out_bytes_max = 64 << 20,
		.links_max = 64,
		.hold_ms = 1000 + (uint32_t)rng_below(&rng, 4000),
		.observer_masters = n->e->net.masters,
		.reconfig = n->e->reconfig,
		.read_only = ens_work_does(n->e, ENS_KIND_READ_ONLY),
		.force_snapshot_sync = rng_below(&rng, 4) == 0,
		.log_sync_percent =
		    rng_below(&rng, 3) == 0
			? -1
			: 33 + (int32_t)rng_below(&rng, rng_below(&rng, 2) == 0 ? 500 : 1000000),
		.history_count = draw_history(&rng),
		.history_bytes = 1 << 20,
		.recover = {.now_ms = ens_node_now_ms(n)}},
	    .election = {.sid = n->sid,
		.notify_min_ms = ELECTION_NOTIFY_MIN_MS,
		.notify_max_ms = ELECTION_NOTIFY_MAX_MS,
		.finalize_ms = ELECTION_FINALIZE_MS},
	    .members = &n->conf,
	    .seen = n->has_conf_next && n->e->plant != ENS_PLANT_FORGETS ? &n->conf_next : NULL,
	    .snapshots = n->store,
	    .logs = n->store,
	    .ops = &ops,
	    .arg = n,
	};
}

static void
on_applied(void *arg, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct peer *p = arg;
	struct ens_node *n = CONTAINER_OF(p, struct ens_node, peer);

	n->up_before.applied(arg, zxid, bytes, size);
	ens_check_applied(n, zxid, bytes, size);
}

/* The oracle hears of what is applied, before the peer's own listener is done with it. */
static void
listen(struct ens_node *n)
{
	n->up_before = *n->server.up;
	n->upstream = n->up_before;
	n->upstream.applied = on_applied;
	n->server.up = &n->upstream;
}

bool
ens_node_can_be_lost(const struct ens_node *n)
{
	const struct ens *e = n->e;

	for (unsigned i = 0; i < e->count; i++) {
		const struct ens_node *leader = &e->nodes[i];
		struct sid_set have = {{0}};
		int64_t last;

		if (leader == n || !leader->up || leader->server.role != SERVER_LEADER)
			continue;
		last = server_last_zxid(&leader->server);
		last = (uint32_t)last == 0 ? ens_check_last(&e->check) : last;
		for (unsigned k = 0; k < e->count; k++) {
			const struct ens_node *m = &e->nodes[k];

			if (m != n && m->up && !m->rotten && server_serves(&m->server) &&
			    m->durable_zxid >= last &&
			    (m == leader || (m->server.role == SERVER_FOLLOWER &&
						m->peer.learner.leader == leader->sid)))
				sid_set_add(&have, m->sid);
		}
		if (last >= ens_check_last(&e->check) && ens_is_settled(e) &&
		    members_quorum(&e->check.in_force, &have))
			return true;
	}
	return false;
}

void
ens_node_wipe(struct ens_node *n)
{
	world_trace(&n->e->world, "%lld: gets an empty disk", (long long)n->sid);
	simdisk_free(n->disk);
	new_disk(n);
	n->durable_zxid = 0;
	n->epochs = (struct epochs){0};
	n->rotten = false;
	n->repairs++;
}

/* Damage was found: its disk is emptied, when the others have everything. */
static void
on_repair(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	if (n->up || n->off || n->life != token)
		return;
	if (!ens_node_can_be_lost(n)) {
		world_at(&n->e->world, 100, on_repair, n, token);
		return;
	}
	ens_node_wipe(n);
	start_later(n);
}

/* What keeps it from starting: a disk that failed (again), or what must not be. */
static void
start_failed(struct ens_node *n, int err, const struct fault *f)
{
	if (err == DATADIR_CORRUPT && n->rotten) {
		world_trace(&n->e->world, "%lld: does not start: %s", (long long)n->sid, f->text);
		if (f->text[0] == '\0')
			world_violation(&n->e->world,
			    "P2: server %lld does not say what is damaged", (long long)n->sid);
		n->refusals++;
		n->epochs_refused += n->checked.epoch_damaged;
		n->life++;
		world_at(&n->e->world, 100 + rng_below(&n->rng, 500), on_repair, n, n->life);
		return;
	}
	if (err == DATADIR_CORRUPT || err == -ENOMEM) {
		world_violation(&n->e->world, "%s: server %lld does not start: %s",
		    n->fuzzies > 0 ? "P5" : "P1", (long long)n->sid, f->text);
		return;
	}
	world_trace(&n->e->world, "%lld: start: %s", (long long)n->sid, f->text);
	if (simdisk_stopped(n->disk))
		simdisk_power_loss(n->disk);
	else
		simdisk_crash(n->disk);
	ens_disk_down(n);
	n->life++;
	start_later(n);
}

void
ens_node_start(struct ens_node *n)
{
	struct peer_config config = configure(n);
	struct recover_report report;
	struct fault note = {{0}}, f = {{0}};
	uint64_t now_ms = ens_node_now_ms(n);
	int err;

	if (!db_init(&n->db, &KEY, n->settings.tick_ms))
		exit(71);
	db_set_rules(&n->db, &(struct tree_rules){.extended_types = true});
	n->db.tree.acls.policy.skip = n->e->reconfig; /* anybody may change it */
	ens_disk_starts(n);
	if ((err = peer_init(&n->peer, &config, &n->db, &report, &note, &f)) != 0) {
		db_fini(&n->db);
		start_failed(n, err, &f);
		return;
	}
	ens_disk_loaded(n, &report);
	if (n->snapshot_at_start && !write_snapshot(n)) {
		peer_fini(&n->peer);
		db_fini(&n->db);
		fault_set(&f, -EIO, "the power goes");
		start_failed(n, -EIO, &f);
		return;
	}
	world_trace(&n->e->world, "%lld: starts at zxid 0x%llx, epochs %d/%d%s", (long long)n->sid,
	    (unsigned long long)n->db.last_zxid, n->peer.zab.epochs.current,
	    n->peer.zab.epochs.accepted, report.cut ? ", a torn end cut" : "");
	n->up = true;
	n->fatal = false;
	n->starts++;
	n->paused_until_ms = 0;
	n->slow_ms = 0;
	n->tick_planned_ms = UINT64_MAX;
	n->role = SERVER_IDLE;
	n->phase = PEER_DRAINING;
	memset(n->heard, 0, ENS_NODES_MAX * sizeof *n->heard);
	server_init(&n->server, &n->settings, &n->db, n->e->world.seed, now_ms,
	    WALL_START_MS + n->wall_offset_ms + (int64_t)now_ms);
	n->server.watches.at_once_max = n->e->at_once_max;
	open_log(n);
	ens_check_loaded(n);
	peer_start(&n->peer, &n->server, now_ms);
	listen(n);
	ens_net_here(n);
	ens_node_turn(n);
}

/* The process is gone: nothing of its memory stays. */
static void
forget(struct ens_node *n)
{
	ens_clients_gone(n);
	n->up = false;
	n->life++;
	ens_net_gone(n);
	peer_fini(&n->peer);
	server_fini(&n->server);
	db_fini(&n->db);
	close_log(n);
}

void
ens_node_fini(struct ens_node *n)
{
	if (n->up)
		forget(n);
	simdisk_free(n->disk);
	ens_fuzzy_fini(n);
	free(n->delivered.zxids);
	free(n->heard);
}

void
ens_node_crash(struct ens_node *n, bool power, const char *why)
{
	world_trace(&n->e->world, "%lld: crash: %s", (long long)n->sid, why);
	if (n->up)
		forget(n);
	else
		n->life++;
	if (power || simdisk_stopped(n->disk))
		simdisk_power_loss(n->disk);
	else
		simdisk_crash(n->disk);
	ens_disk_down(n);
	start_later(n);
}

/* ---- the peer's wishes ---- */

static void
op_notify(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct ens_node *n = of_peer_arg(arg);

	ens_net_notify(n->e, n->index, (unsigned)sid - 1, bytes, size);
}

static void
op_dial(void *arg, int64_t sid)
{
	struct ens_node *n = of_peer_arg(arg);

	ens_net_dial(n->e, n->index, (unsigned)sid - 1, false);
}

static void
op_dial_master(void *arg, int64_t sid)
{
	struct ens_node *n = of_peer_arg(arg);

	ens_net_dial(n->e, n->index, (unsigned)sid - 1, true);
}

static void
op_log_release(void *arg)
{
	struct ens_node *n = of_peer_arg(arg);

	if (n->flying || n->batches[n->filling].count > 0)
		world_violation(&n->e->world,
		    "server %lld: the log is let go of while it is written", (long long)n->sid);
	close_log(n);
	ens_disk_changes(n);
	if (!n->frail)
		return;
	n->frail = false;
	simdisk_stop_at(n->disk, simdisk_ops(n->disk) + 1 + rng_below(&n->rng, 20));
}

static void
op_log_reopen(void *arg)
{
	struct ens_node *n = of_peer_arg(arg);

	open_log(n);
	n->reloads++;
	if (n->up && !n->fatal) /* else its links are closed because it dies */
		ens_check_reloaded(n);
}

static bool
op_members_seen(void *arg, const struct members *m, struct fault *f)
{
	return ens_conf_seen(of_peer_arg(arg), m, f);
}

static void
op_members_adopted(void *arg, const struct members *m)
{
	ens_conf_adopted(of_peer_arg(arg), m);
}

static void
op_say(void *arg, const char *text)
{
	struct ens_node *n = of_peer_arg(arg);

	world_trace(&n->e->world, "%lld: %s", (long long)n->sid, text);
}

static void
op_fatal(void *arg, const char *why)
{
	struct ens_node *n = of_peer_arg(arg);

	world_trace(&n->e->world, "%lld: fatal: %s", (long long)n->sid, why);
	n->fatal = true;
	n->fatals++;
}

static const struct peer_ops ops = {
    .notify = op_notify,
    .dial = op_dial,
    .dial_master = op_dial_master,
    .log_release = op_log_release,
    .log_reopen = op_log_reopen,
    .members_seen = op_members_seen,
    .members_adopted = op_members_adopted,
    .say = op_say,
    .fatal = op_fatal,
};

/* ---- running ---- */

static void
on_durable(void *arg, uint64_t token)
{
	struct ens_node *n = arg;
	struct txnlog_batch *b;

	if (!n->up || n->life != token || ens_node_sleeps(n, on_durable, arg, token))
		return;
	b = &n->batches[!n->filling];
	n->flying = false;
	ens_node_set_time(n);
	if (n->e->plant != ENS_PLANT_EARLY_ACK)
		peer_synced(&n->peer, (int64_t)b->last_zxid);
	txnlog_batch_clear(&n->log, b);
	ens_node_turn(n);
}

/* Mostly milliseconds, now and then a second. */
static uint64_t
disk_delay_ms(struct ens_node *n)
{
	return rng_below(&n->rng, 60) == 0 ? 100 + rng_below(&n->rng, 1500) : rng_below(&n->rng, 8);
}

static void
on_flush(void *arg, uint64_t token)
{
	struct ens_node *n = arg;
	struct txnlog_batch *b;
	struct fault fault = {{0}};

	if (!n->up || n->life != token || ens_node_sleeps(n, on_flush, arg, token))
		return;
	n->flush_planned = false;
	b = &n->batches[n->filling];
	n->filling = !n->filling;
	n->flying = true;
	txnlog_seal(&n->log, b);
	if (n->e->plant == ENS_PLANT_EARLY_ACK) {
		ens_node_set_time(n);
		peer_synced(&n->peer, (int64_t)b->last_zxid);
		ens_node_turn(n);
		if (!n->up || n->life != token)
			return;
	}
	if (txnlog_write(&n->log, b, &fault) != 0) {
		ens_node_crash(n, false, simdisk_stopped(n->disk) ? "power loss" : fault.text);
		return;
	}
	n->durable_zxid = (int64_t)b->last_zxid;
	ens_disk_written(n);
	ens_disk_stops(n);
	world_at(&n->e->world,
	    disk_delay_ms(n) + (n->stuck_until_ms > n->e->world.now_ms
				       ? n->stuck_until_ms - n->e->world.now_ms
				       : 0),
	    on_durable, n, n->life);
}

static void
take_records(struct ens_node *n, bool led)
{
	const uint8_t *bytes;
	int64_t zxid;
	size_t size;

	while (n->log_open && server_next_record(&n->server, &zxid, &bytes, &size)) {
		if (led || n->server.role == SERVER_LEADER)
			ens_check_made(n, zxid, bytes, size);
		if (txnlog_append(&n->log, &n->batches[n->filling], bytes, size) != 0)
			world_violation(&n->e->world, "the log takes no record");
	}
}

static void
on_tick(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	if (!n->up || n->life != token || ens_node_sleeps(n, on_tick, arg, token))
		return;
	n->tick_planned_ms = UINT64_MAX;
	ens_node_set_time(n);
	peer_tick(&n->peer);
	server_tick(&n->server);
	ens_node_turn(n);
}

static void
plan_tick(struct ens_node *n)
{
	uint64_t at = server_deadline_ms(&n->server), peer_at = peer_deadline_ms(&n->peer),
		 now = ens_node_now_ms(n);

	at = peer_at < at ? peer_at : at;
	if (at == UINT64_MAX || n->tick_planned_ms <= at)
		return;
	n->tick_planned_ms = at;
	world_at(&n->e->world, at > now ? ((at - now) * 1000 + n->rate - 1) / n->rate : 0, on_tick,
	    n, n->life);
}

static bool
take_snapshot(struct ens_node *n)
{
	txnlog_roll(&n->log);
	if (n->writes_fuzzy)
		ens_fuzzy_begin(n);
	if (n->writes_fuzzy || write_snapshot(n))
		return true;
	ens_node_crash(n, true, "power loss");
	return false;
}

static void
note_role(struct ens_node *n)
{
	enum server_role role = n->server.role;

	if (role == n->role)
		return;
	n->role = role;
	if (role == SERVER_LEADER) {
		n->leads++;
		ens_check_leads(n);
	} else if (server_is_learner(&n->server))
		ens_check_follows(n);
}

static void
work(struct ens_node *n)
{
	for (int round = 0; round < SERVE_ROUNDS && n->e->world.violation[0] == '\0'; round++) {
		bool led = n->role == SERVER_LEADER; /* what it made last is taken from it yet */

		peer_turn(&n->peer);
		if (n->fatal)
			return;
		note_role(n);
		take_records(n, led);
		ens_net_attend(n);
		if (n->fatal || !ens_clients_serve(n))
			return;
	}
}

void
ens_node_turn(struct ens_node *n)
{
	if (!n->up || n->turning || n->e->world.violation[0] != '\0')
		return;
	n->turning = true;
	work(n);
	n->turning = false;
	if (n->server.failed)
		world_violation(&n->e->world, "server %lld has no memory", (long long)n->sid);
	if (!n->fatal)
		ens_check_turn(n);
	ens_watch_turn(n);
	if (n->slow_ms > 0 && n->paused_until_ms <= n->e->world.now_ms)
		n->paused_until_ms = n->e->world.now_ms + rng_below(&n->rng, n->slow_ms + 1);
	if (n->fatal) {
		ens_node_crash(n, false, "it cannot go on");
		return;
	}
	if (n->log_open && server_snapshot_due(&n->server) && !take_snapshot(n))
		return;
	if (n->log_open && !n->flying && !n->flush_planned && n->batches[n->filling].count > 0) {
		n->flush_planned = true;
		world_at(&n->e->world, rng_below(&n->rng, 3), on_flush, n, n->life);
	}
	plan_tick(n);
}
