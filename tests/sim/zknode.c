/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/zknode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/sim/zkclient.h"
#include "tests/sim/zkkinds.h"
#include "zkserver/core/purge.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txn.h"

#define WALL_START_MS INT64_C(1700000000000)

static const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};

static void
trace_disk(void *arg, const char *what, const char *name, uint64_t offset, uint64_t size)
{
	world_trace(arg, "disk: %s %s %llu %llu", what, name, (unsigned long long)offset,
	    (unsigned long long)size);
}

/* From numbers of their own: lives without them stay what they were before there were any. */
static void
draw_kinds(struct zknode *n)
{
	struct rng rng;

	world_rng(n->world, "reaping", &rng);
	n->kinds = rng_below(&rng, 2) == 0;
	if (!n->kinds)
		return;
	n->settings.reap_interval_ms = 100 + (uint32_t)rng_below(&rng, 3000);
	n->settings.reap_max_per_minute = rng_below(&rng, 2) == 0 ? 600 : 100000;
	n->settings.enforce_quota = rng_below(&rng, 2) == 0;
}

bool
zknode_init_db(const struct zknode *n, struct db *db)
{
	const struct tree_rules rules = {.extended_types = n->kinds};

	if (!db_init(db, &KEY, n->settings.tick_ms))
		return false;
	db_set_rules(db, &rules);
	return true;
}

bool
zknode_init(struct zknode *n, struct world *w, enum zksim_plant plant)
{
	static const uint64_t preallocations[] = {0, 64 << 10, 256 << 10, 1 << 20};
	struct rng rng;

	memset(n, 0, sizeof(*n));
	n->world = w;
	n->plant = plant;
	world_rng(w, "disk delays", &n->rng);
	world_rng(w, "turns", &n->turns);
	world_rng(w, "settings", &rng);
	if ((n->disk = simdisk_new(rng_u64(&rng), UINT64_MAX)) == NULL)
		return false;
	n->store = simdisk_store(n->disk);
	simdisk_set_trace(n->disk, trace_disk, w);
	simdisk_ignore_sync(n->disk, plant == PLANT_NO_SYNC, plant == PLANT_NO_DIR_SYNC);
	n->settings = (struct server_settings){
	    .tick_ms = 200 + (uint32_t)rng_below(&rng, 2000),
	    .frame_bytes_max = 1 << 20,
	    .snap_count = 2 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) == 0 ? 10 : 300),
	    .outstanding_max = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) == 0 ? 4 : 1000),
	};
	n->settings.min_timeout_ms = 2 * (int32_t)n->settings.tick_ms;
	n->settings.max_timeout_ms = 20 * (int32_t)n->settings.tick_ms;
	draw_kinds(n);
	n->preallocate_bytes = preallocations[rng_below(&rng, 4)];
	n->snapshots_kept =
	    n->settings.snap_count > 10 && rng_below(&rng, 2) == 0 ? 0 : PURGE_RETAIN_MIN;
	model_init(&n->model);
	return true;
}

/* The process is gone: nothing of its memory stays. */
static void
forget(struct zknode *n)
{
	for (unsigned i = 0; i < n->client_count; i++)
		zkclient_cut(&n->clients[i]);
	server_fini(&n->server);
	db_fini(&n->db);
	txnlog_fini(&n->log);
	txnlog_batch_fini(&n->batches[0]);
	txnlog_batch_fini(&n->batches[1]);
	n->up = n->flying = n->flush_planned = false;
	n->life++;
}

void
zknode_fini(struct zknode *n)
{
	if (n->up)
		forget(n);
	model_fini(&n->model);
	simdisk_free(n->disk);
}

int64_t
zknode_wall_ms(const struct zknode *n)
{
	return WALL_START_MS + n->wall_offset_ms + (int64_t)n->world->now_ms;
}

void
zknode_set_time(struct zknode *n)
{
	server_set_time(&n->server, n->world->now_ms, zknode_wall_ms(n));
}

/* ---- starting ---- */

static void
on_start(void *arg, uint64_t token)
{
	struct zknode *n = arg;

	if (!n->up && n->life == token)
		zknode_start(n);
}

static void
start_later(struct zknode *n)
{
	world_at(n->world, 1 + rng_below(&n->rng, 500), on_start, n, n->life);
}

/* Compare a recovered database with what the records say. */
static void
compare(struct zknode *n, const struct db *db)
{
	int64_t zxid = db->last_zxid;

	if (zxid < n->seen_zxid)
		world_violation(n->world,
		    "P1: zxid 0x%llx was acknowledged, recovery ends at 0x%llx",
		    (unsigned long long)n->seen_zxid, (unsigned long long)zxid);
	if ((size_t)zxid > n->model.record_count)
		world_violation(n->world, "recovery gives zxid 0x%llx, which was never logged",
		    (unsigned long long)zxid);
	model_rewind(&n->model, zxid);
	if (model_digest(&n->model) != db->tree.digest)
		world_violation(n->world,
		    "P1: after recovery at zxid 0x%llx the tree is not that of a replay",
		    (unsigned long long)zxid);
	if (session_count(&db->sessions) != n->model.session_count)
		world_violation(n->world,
		    "P1: after recovery at zxid 0x%llx there are %zu sessions, not %zu",
		    (unsigned long long)zxid, session_count(&db->sessions), n->model.session_count);
	tree_check(&db->tree);
}

static int
try_recover(struct zknode *n, struct fault *fault)
{
	struct recover_options options = {.now_ms = n->world->now_ms};
	struct recover_report report;
	int err;

	if (!zknode_init_db(n, &n->db))
		return -ENOMEM;
	err = recover(n->store, n->store, &options, &n->db, &report, fault);
	if (err != 0) {
		db_fini(&n->db);
		return err;
	}
	n->replayed += report.replayed;
	n->cuts += report.cut;
	world_trace(n->world, "recovered: zxid 0x%llx, snapshot 0x%llx, %llu replayed%s",
	    (unsigned long long)n->db.last_zxid, (unsigned long long)report.snapshot_zxid,
	    (unsigned long long)report.replayed, report.cut ? ", a torn end cut" : "");
	if (report.bad_snapshots > 0)
		world_violation(
		    n->world, "a snapshot that is not whole has its name: %s", report.bad.text);
	if (report.digest_wrong)
		world_violation(n->world, "the snapshot's digest is wrong");
	return 0;
}

void
zknode_start(struct zknode *n)
{
	struct fault fault = {0};
	int err = try_recover(n, &fault);

	if (err == DATADIR_CORRUPT || err == -ENOMEM) {
		world_violation(n->world, "it does not start: %s", fault.text);
		return;
	}
	if (err != 0) {
		world_trace(n->world, "start: %s", fault.text);
		if (simdisk_stopped(n->disk))
			simdisk_power_loss(n->disk);
		else
			simdisk_crash(n->disk);
		n->life++;
		start_later(n);
		return;
	}
	n->up = true;
	n->starts++;
	n->started_ms = n->world->now_ms;
	n->tick_planned_ms = UINT64_MAX;
	n->more_planned = false;
	compare(n, &n->db);
	server_init(
	    &n->server, &n->settings, &n->db, n->world->seed, n->world->now_ms, zknode_wall_ms(n));
	n->server.watches.at_once_max = (uint32_t)rng_below(&n->turns, 3);
	txnlog_init(&n->log, n->store, n->preallocate_bytes);
	txnlog_batch_init(&n->batches[0]);
	txnlog_batch_init(&n->batches[1]);
	n->filling = 0;
	zknode_turn(n);
}

void
zknode_crash(struct zknode *n, bool power, const char *why)
{
	world_trace(n->world, "crash: %s", why);
	if (n->up)
		forget(n);
	else
		n->life++;
	if (power || simdisk_stopped(n->disk))
		simdisk_power_loss(n->disk);
	else
		simdisk_crash(n->disk);
	start_later(n);
}

/* What a failed operation of the disk does to the process. */
static void
disk_failed(struct zknode *n, const struct fault *fault)
{
	if (!simdisk_stopped(n->disk))
		n->fail_stops++;
	zknode_crash(n, false, simdisk_stopped(n->disk) ? "power loss" : fault->text);
}

void
zknode_check_disk(struct zknode *n)
{
	struct fault fault = {0};
	int err = try_recover(n, &fault);

	if (err == 0) {
		compare(n, &n->db);
		db_fini(&n->db);
	} else
		world_violation(n->world, "it does not start: %s", fault.text);
}

/* ---- serving ---- */

static void
tell_synced(struct zknode *n, int64_t zxid)
{
	zknode_set_time(n);
	server_synced(&n->server, zxid);
	if (n->server.failed)
		world_violation(
		    n->world, "the server failed at zxid 0x%llx", (unsigned long long)zxid);
}

static void
on_durable(void *arg, uint64_t token)
{
	struct zknode *n = arg;
	struct txnlog_batch *b;

	if (!n->up || n->life != token)
		return;
	b = &n->batches[!n->filling];
	n->flying = false;
	tell_synced(n, (int64_t)b->last_zxid);
	txnlog_batch_clear(&n->log, b);
	zknode_turn(n);
}

/* Mostly milliseconds, now and then a second. */
static uint64_t
disk_delay_ms(struct zknode *n)
{
	return rng_below(&n->rng, 50) == 0 ? 200 + rng_below(&n->rng, 2000)
					   : rng_below(&n->rng, 12);
}

/* The batch that filled goes to the disk; it is told of when it is done, and only then. */
static void
on_flush(void *arg, uint64_t token)
{
	struct zknode *n = arg;
	struct txnlog_batch *b;
	struct fault fault = {0};

	if (!n->up || n->life != token)
		return;
	n->flush_planned = false;
	b = &n->batches[n->filling];
	n->filling = !n->filling;
	n->flying = true;
	txnlog_seal(&n->log, b);
	world_trace(n->world, "log: zxids 0x%llx to 0x%llx", (unsigned long long)b->first_zxid,
	    (unsigned long long)b->last_zxid);
	if (n->plant == PLANT_EARLY_ACK) {
		tell_synced(n, (int64_t)b->last_zxid);
		zkclient_serve_all(n);
	}
	if (txnlog_write(&n->log, b, &fault) != 0) {
		disk_failed(n, &fault);
		return;
	}
	world_at(n->world, disk_delay_ms(n), on_durable, n, n->life);
}

/* The next log file, made ahead of time as the shell's thread does. */
static bool
make_spare(struct zknode *n)
{
	uint64_t wanted = txnlog_spare_wanted_bytes(&n->log);
	struct store_file *file;
	struct fault fault = {0};

	if (wanted == 0 || rng_below(&n->rng, 4) > 0)
		return true;
	if (txnlog_spare_make(n->store, wanted, &file, &fault) == 0)
		txnlog_spare_adopt(&n->log, file, wanted);
	else if (simdisk_stopped(n->disk)) {
		disk_failed(n, &fault);
		return false;
	}
	return true;
}

/* A snapshot that cannot be written costs nothing, unless the power went. */
static bool
take_snapshot(struct zknode *n)
{
	struct fault fault = {0};

	txnlog_roll(&n->log);
	n->snapshots++;
	if (snapshot_write(n->store, &n->db, &fault) == 0 && n->snapshots_kept > 0)
		purge(n->store, n->store, n->snapshots_kept, &fault);
	if (!simdisk_stopped(n->disk))
		return true;
	disk_failed(n, &fault);
	return false;
}

static void
on_tick(void *arg, uint64_t token)
{
	struct zknode *n = arg;

	if (!n->up || n->life != token)
		return;
	n->tick_planned_ms = UINT64_MAX;
	zknode_set_time(n);
	server_tick(&n->server);
	zknode_turn(n);
}

static void
plan_tick(struct zknode *n)
{
	uint64_t at = server_deadline_ms(&n->server);

	if (at == UINT64_MAX || n->tick_planned_ms <= at)
		return;
	n->tick_planned_ms = at;
	world_at(n->world, at > n->world->now_ms ? at - n->world->now_ms : 0, on_tick, n, n->life);
}

/* Records on their way to the log; a session's end must not come before its time. */
static void
take_records(struct zknode *n)
{
	struct txn_header header;
	const uint8_t *bytes;
	int64_t zxid;
	size_t size;

	while (server_next_record(&n->server, &zxid, &bytes, &size)) {
		if ((size_t)zxid != n->model.record_count + 1)
			world_violation(n->world, "zxid 0x%llx is logged after 0x%zx",
			    (unsigned long long)zxid, n->model.record_count);
		n->reaped += txn_decode_header(&header, bytes, size) &&
			     header.type == ZK_OP_DELETE_CONTAINER;
		model_record(&n->model, bytes, size);
		zkclient_logged(n, bytes, size);
		if (txnlog_append(&n->log, &n->batches[n->filling], bytes, size) != 0)
			world_violation(n->world, "the log takes no record");
	}
}

static void
on_more(void *arg, uint64_t token)
{
	struct zknode *n = arg;

	if (!n->up || n->life != token)
		return;
	n->more_planned = false;
	zknode_turn(n);
}

void
zknode_turn(struct zknode *n)
{
	if (n->world->violation[0] != '\0')
		return;
	take_records(n);
	zkclient_serve_all(n);
	if (server_has_more(&n->server) && !n->more_planned) {
		n->more_planned = true;
		world_at(n->world, 1, on_more, n, n->life);
	}
	take_records(n);
	if (n->model.wrong[0] != '\0')
		world_violation(n->world, "%s", n->model.wrong);
	if (n->model.applied == n->db.last_zxid && model_digest(&n->model) != n->db.tree.digest)
		world_violation(n->world, "at zxid 0x%llx the tree is not that of a replay",
		    (unsigned long long)n->db.last_zxid);
	if (n->model.applied == n->db.last_zxid && n->kinds)
		zkkinds_check_quotas(n);
	if (server_snapshot_due(&n->server) && !take_snapshot(n))
		return;
	if (!make_spare(n))
		return;
	if (!n->flying && !n->flush_planned && n->batches[n->filling].count > 0) {
		n->flush_planned = true;
		world_at(n->world, rng_below(&n->rng, 3), on_flush, n, n->life);
	}
	plan_tick(n);
}
