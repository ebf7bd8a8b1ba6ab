/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ens_life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long clients and faults go on, and how long an ensemble without faults may take to recover.
 */
#define LIFE_MS 120000
#define CALM_MS 120000

/* So many times a timeout it may take, with slow disks, until all sessions have ended. */
#define TIMES_MAX 20

/* The longest timeout that a client gets. */
#define SESSION_TICKS_MAX 20

const char *const fault_names[FAULT_KINDS] = {"kill", "power loss", "power loss in a write",
    "disk error", "power loss of all", "pause", "isolation", "one-way cut", "cut of a pair",
    "split", "reset", "heal", "clock step", "full disk", "stuck disk", "slow server",
    "empty directory", "damaged file", "torn snapshot", "leader ahead", "power loss in an adoption",
    "power loss in a configuration's write", "fault behind a reconfig"};

static struct ens_node *
any_node(struct life *l)
{
	return &l->e.nodes[rng_below(&l->rng, l->e.count)];
}

static void
split(struct life *l)
{
	uint64_t side = rng_u64(&l->rng);

	for (unsigned a = 0; a < l->e.count; a++)
		for (unsigned b = 0; b < l->e.count; b++)
			if ((side >> a & 1) != (side >> b & 1))
				ens_net_block(&l->e, a, b, true);
}

static void
cut_off(struct life *l, unsigned a, bool in, bool out)
{
	for (unsigned b = 0; b < l->e.count; b++) {
		if (in)
			ens_net_block(&l->e, b, a, true);
		if (out)
			ens_net_block(&l->e, a, b, true);
	}
}

static void
on_space(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	(void)token;
	simdisk_set_capacity(n->disk, UINT64_MAX);
}

/* No other fault of the disk keeps the damage from being stored: a power loss would mend it. */
static void
rot(struct life *l, struct ens_node *n)
{
	ens_node_crash(n, false, "its disk rots");
	simdisk_set_capacity(n->disk, UINT64_MAX);
	ens_disk_fail_at(n, 0, 0);
	if (!ens_damage(n, &l->rng))
		l->faults[FAULT_ROT]--;
}

/* Damage of which an ensemble must recover: all others have what this one has. */
static bool
may_be_lost(const struct life *l, const struct ens_node *n)
{
	for (unsigned i = 0; i < l->e.count; i++)
		if (l->e.nodes[i].rotten)
			return false;
	return ens_node_can_be_lost(n);
}

/*
 * It is killed while it is still cut off, and comes back when another one leads, or not yet.
 * Clients may rest meanwhile: then what it has is ahead of all that the other one has made.
 */
static void
on_ahead(void *arg, uint64_t token)
{
	struct ens_node *n = arg;
	struct ens *e = n->e;

	if (n->life != token)
		return;
	if (rng_below(&n->rng, 2) == 0)
		e->rest_until_ms = e->world.now_ms + 1000 + rng_below(&n->rng, 5000);
	ens_node_crash(n, false, "killed, ahead of the others");
	for (unsigned i = 0; i < e->count; i++)
		ens_net_block(e, n->index, i, false);
}

/* What it proposes stays with it: the others' history will be another one. */
static void
run_ahead(struct life *l)
{
	for (unsigned i = 0; i < l->e.count; i++) {
		struct ens_node *n = &l->e.nodes[i];

		if (!n->up || n->server.role != SERVER_LEADER)
			continue;
		cut_off(l, i, false, true);
		world_at(&l->e.world, rng_below(&l->rng, 2 * l->e.tick_ms), on_ahead, n, n->life);
		return;
	}
	l->faults[FAULT_AHEAD]--;
}

static void
inject_disk(struct life *l, struct ens_node *n, enum fault_kind kind)
{
	uint64_t time_ms = rng_below(&l->rng, 8 * l->e.tick_ms);

	if (kind == FAULT_FULL) {
		simdisk_set_capacity(n->disk, 0);
		world_at(&l->e.world, time_ms, on_space, n, 0);
	} else if (kind == FAULT_STUCK)
		n->stuck_until_ms = l->e.world.now_ms + time_ms;
	else if (kind == FAULT_SLOW)
		n->slow_ms = 1 + (uint32_t)rng_below(&l->rng, 40);
	else if (kind == FAULT_TORN) {
		ens_node_crash(n, false, "killed while it writes a snapshot");
		ens_damage_torn_snapshot(n, &l->rng);
	} else if (!may_be_lost(l, n))
		l->faults[kind]--;
	else if (kind == FAULT_ROT)
		rot(l, n);
	else {
		ens_node_crash(n, false, "its directory is emptied");
		ens_node_wipe(n);
	}
}

static void
inject(struct life *l, enum fault_kind kind)
{
	struct ens_node *n = any_node(l), *other = any_node(l);
	uint64_t way;

	world_trace(&l->e.world, "fault: %s at %lld", fault_names[kind], (long long)n->sid);
	l->faults[kind]++;
	switch (kind) {
	case FAULT_CRASH:
		ens_node_crash(n, false, "killed");
		break;
	case FAULT_POWER:
		ens_node_crash(n, true, "power loss");
		break;
	case FAULT_POWER_AT:
		simdisk_stop_at(n->disk, simdisk_ops(n->disk) + 1 + rng_below(&l->rng, 25));
		break;
	case FAULT_ERROR_AT:
		ens_disk_fail_at(n, simdisk_ops(n->disk) + 1 + rng_below(&l->rng, 25),
		    rng_below(&l->rng, 2) == 0 ? -EIO : -ENOSPC);
		break;
	case FAULT_ALL_POWER:
		for (unsigned i = 0; i < l->e.count; i++)
			ens_node_crash(&l->e.nodes[i], true, "power loss of all");
		break;
	case FAULT_PAUSE:
		n->paused_until_ms = l->e.world.now_ms + rng_below(&l->rng, 8 * l->e.tick_ms);
		break;
	case FAULT_ISOLATE:
		cut_off(l, n->index, true, true);
		break;
	case FAULT_ONE_WAY:
		way = rng_below(&l->rng, 2);
		cut_off(l, n->index, way == 0, way == 1);
		break;
	case FAULT_PAIR:
		ens_net_block(&l->e, n->index, other->index, true);
		ens_net_block(&l->e, other->index, n->index, true);
		break;
	case FAULT_SPLIT:
		split(l);
		break;
	case FAULT_RESET:
		ens_net_reset(&l->e, n->index, other->index);
		break;
	case FAULT_HEAL:
		ens_net_heal(&l->e);
		break;
	case FAULT_AHEAD:
		run_ahead(l);
		break;
	case FAULT_ADOPT:
		n->frail = true;
		break;
	case FAULT_CONF:
		n->conf_frail = true;
		break;
	case FAULT_CLOCK:
		n->wall_offset_ms += (int64_t)rng_below(&l->rng, 2 * 86400000) - 86400000;
		break;
	default:
		inject_disk(l, n, kind);
		break;
	}
}

/* Between a reconfig's proposal and its activation, or soon behind it. */
static void
on_reconfig_fault(void *arg, uint64_t token)
{
	static const enum fault_kind kinds[] = {FAULT_CRASH, FAULT_POWER, FAULT_POWER_AT,
	    FAULT_PAUSE, FAULT_ISOLATE, FAULT_ONE_WAY, FAULT_SPLIT, FAULT_RESET, FAULT_AHEAD,
	    FAULT_CONF};
	struct life *l = arg;

	(void)token;
	if (!l->e.calm)
		inject(l, kinds[rng_below(&l->rng, sizeof kinds / sizeof kinds[0])]);
}

static void
on_reconfig_made(struct ens *e)
{
	struct life *l = CONTAINER_OF(e, struct life, e);

	if (e->calm || !l->enabled[FAULT_RECONFIG] || rng_below(&l->rng, 2) == 0)
		return;
	l->faults[FAULT_RECONFIG]++;
	for (uint64_t left = 1 + rng_below(&l->rng, 3); left > 0; left--)
		world_at(&e->world, rng_below(&l->rng, rng_below(&l->rng, 2) == 0 ? 15 : 150),
		    on_reconfig_fault, l, 0);
}

static void
on_fault(void *arg, uint64_t token)
{
	struct life *l = arg;
	enum fault_kind kind = (enum fault_kind)rng_below(&l->rng, FAULT_KINDS);

	(void)token;
	if (l->e.calm)
		return;
	if (l->enabled[kind] && kind != FAULT_RECONFIG)
		inject(l, kind);
	world_at(&l->e.world, 1 + rng_below(&l->rng, l->pace_ms), on_fault, l, 0);
}

/* Let the world go on until a time, or until the condition holds. */
static bool
run_until(struct life *l, uint64_t end_ms, bool (*done)(const struct life *l))
{
	struct world *w = &l->e.world;

	while (w->violation[0] == '\0' && w->now_ms < end_ms && (done == NULL || !done(l)))
		if (!world_step(w))
			break;
	return done == NULL || done(l);
}

/* One leads, all other members follow it, and all have applied the same and know of each other. */
static bool
is_whole(const struct life *l)
{
	unsigned leaders = 0;
	int64_t zxid = 0;

	for (unsigned i = 0; i < l->e.count; i++) {
		const struct ens_node *n = &l->e.nodes[i];

		if (members_find(&l->e.check.in_force, n->sid) == NULL)
			continue;
		if (!n->up || !server_serves(&n->server) || n->server.role == SERVER_READ_ONLY ||
		    n->server.pending_count > 0 || n->peer.zab.seen != NULL ||
		    !members_same(n->peer.zab.members, &l->e.check.in_force))
			return false;
		leaders += n->server.role == SERVER_LEADER;
		/* A leader that has made nothing yet is at its epoch's beginning, and whoever has a
		 * snapshot from it. */
		if ((uint32_t)n->db.last_zxid != 0) {
			if (zxid != 0 && n->db.last_zxid != zxid)
				return false;
			zxid = n->db.last_zxid;
		}
	}
	return leaders == 1 && ens_clients_idle(&l->e);
}

static void
explain_not_whole(struct life *l, const char *what)
{
	ens_reconf_explain(&l->e);
	for (unsigned i = 0; i < l->e.count; i++) {
		const struct ens_node *n = &l->e.nodes[i];

		world_trace(&l->e.world,
		    "%lld: %s, %s, phase %d, role %d, zxid 0x%llx, %zu pending", (long long)n->sid,
		    n->up ? "up" : "down", n->up ? peer_role_name(&n->peer) : "-",
		    n->up ? (int)n->peer.phase : -1, n->up ? (int)n->server.role : -1,
		    (unsigned long long)(n->up ? n->db.last_zxid : 0),
		    n->up ? n->server.pending_count : 0);
	}
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		const struct ens_client *c = &l->e.clients[i];

		if (c->node != NULL)
			world_trace(&l->e.world, "client %u at %lld: %s, %zu requests wait", i,
			    (long long)c->node->sid, c->connected ? "connected" : "connecting",
			    c->request_count);
	}
	world_violation(&l->e.world, "%s", what);
}

static bool
has_no_sessions(const struct life *l)
{
	for (unsigned i = 0; i < l->e.count; i++) {
		struct list *at = NULL;

		if (members_find(&l->e.check.in_force, l->e.nodes[i].sid) != NULL &&
		    (session_next(&l->e.nodes[i].db.sessions, &at) != NULL ||
			session_count(&l->e.nodes[i].server.local) > 0))
			return false;
	}
	return is_whole(l);
}

/* Grows with each election and each transaction. */
static uint64_t
progress(const struct life *l)
{
	uint64_t sum = l->e.check.committed_count;

	for (unsigned i = 0; i < l->e.count; i++)
		sum += l->e.nodes[i].leads;
	return sum;
}

/*
 * S3: nobody says anything any more, so each session ends, two ticks behind its timeout at the
 * latest, by a clock that may be a tenth too slow. With each election it has all its time again,
 * and a slow disk may bring about some; and of many that end at once the last is behind the others.
 * So it is held that in so long a time something ends. While faults go on nothing can be asked.
 */
static void
end_sessions(struct life *l)
{
	uint64_t limit_ms = (SESSION_TICKS_MAX + 3) * l->e.tick_ms * 10 / 9 + 2000;

	for (int times = 0; times < TIMES_MAX; times++) {
		uint64_t before = progress(l);

		if (run_until(l, l->e.world.now_ms + limit_ms, has_no_sessions) ||
		    l->e.world.violation[0] != '\0')
			return;
		if (progress(l) != before)
			continue;
		explain_not_whole(l, "S3: a session outlives its timeout by more than two ticks");
		return;
	}
}

static void
compare_all(struct life *l)
{
	const struct ens_node *first = NULL;

	for (unsigned i = 0; i < l->e.count; i++) {
		const struct ens_node *n = &l->e.nodes[i];

		if (members_find(&l->e.check.in_force, n->sid) == NULL)
			continue;
		if (first == NULL)
			first = n;
		if (ens_digest(&n->db) != ens_digest(&first->db))
			world_violation(&l->e.world, "Z15: in the end servers %lld and %lld differ",
			    (long long)first->sid, (long long)n->sid);
	}
}

static void
calm_down(struct life *l)
{
	l->e.calm = true;
	l->e.rest_until_ms = 0;
	for (unsigned i = 0; i < l->e.count; i++) {
		struct ens_node *n = &l->e.nodes[i];

		simdisk_stop_at(n->disk, 0);
		ens_disk_fail_at(n, 0, 0);
		simdisk_set_capacity(n->disk, UINT64_MAX);
		n->slow_ms = 0;
		n->stuck_until_ms = 0;
		n->frail = n->conf_frail = false;
		ens_operator_start(n);
	}
	ens_net_heal(&l->e);
	/* First with clients that go on, then to the end of what they asked for. */
	run_until(l, l->e.world.now_ms + 5000, NULL);
	l->e.quiet = true;
	if (!run_until(l, l->e.world.now_ms + CALM_MS / 2, is_whole))
		ens_operator_rescue(&l->e);
	if (!run_until(l, l->e.world.now_ms + CALM_MS, is_whole))
		explain_not_whole(l, "liveness: not whole two minutes after the last fault");
	else if (l->e.world.violation[0] == '\0')
		end_sessions(l);
	if (l->e.world.violation[0] != '\0')
		return;
	ens_check_quiet(&l->e);
	compare_all(l);
}

/* Now and then quorums are of groups, and voters weigh unequally. */
static int
draw_groups(struct life *l, char *text, size_t room)
{
	unsigned groups = 1 + (unsigned)rng_below(&l->rng, 3), voters = l->e.voters;
	int len = 0;

	if (voters < 3 || rng_below(&l->rng, 5) != 0)
		return 0;
	for (unsigned g = 0; g < groups; g++) {
		len += snprintf(text + len, room - (size_t)len, "group.%u=%u", g + 1, g + 1);
		for (unsigned i = g + groups; i < voters; i += groups)
			len += snprintf(text + len, room - (size_t)len, ":%u", i + 1);
		len += snprintf(text + len, room - (size_t)len, "\n");
	}
	for (unsigned i = 0; i < voters; i++)
		len += snprintf(text + len, room - (size_t)len, "weight.%u=%u\n", i + 1,
		    i == 0 ? 1 : (unsigned)rng_below(&l->rng, 4));
	return len;
}

static void
draw(struct life *l)
{
	static const unsigned sizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7};
	struct ens *e = &l->e;
	char text[1024];
	int len = 0;
	struct fault f = {{0}};

	e->voters = sizes[rng_below(&l->rng, sizeof sizes / sizeof sizes[0])];
	e->count =
	    e->voters + (rng_below(&l->rng, 3) == 0 ? 1 + (unsigned)rng_below(&l->rng, 2) : 0);
	e->members_count = e->count;
	e->reconfig = rng_below(&l->rng, 5) < 3;
	if (e->reconfig)
		e->count += (unsigned)rng_below(&l->rng, 4);
	if (e->count > ENS_NODES_MAX)
		e->count = ENS_NODES_MAX;
	e->tick_ms = 200 + (uint32_t)rng_below(&l->rng, 1800);
	for (unsigned i = 0; i < e->members_count; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
		    "server.%u=10.0.0.%u:2888:3888:%s;2181\n", i + 1, i + 1,
		    i < e->voters ? "participant" : "observer");
	len += draw_groups(l, text + len, sizeof text - (size_t)len);
	if (members_parse(&e->members, text, (size_t)len, &f) != 0) {
		fprintf(stderr, "zabsim: %s\n", f.text);
		exit(70);
	}
	for (int i = 0; i < FAULT_KINDS; i++)
		l->enabled[i] = i == FAULT_HEAL || rng_below(&l->rng, 2) == 0;
	e->value_bytes = rng_below(&l->rng, 6) == 0 ? 3000 : 0;
	l->pace_ms = 500 + rng_below(&l->rng, 8000);
}

static void
on_late_start(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	if (!n->up && n->life == token)
		ens_node_start(n);
}

void
life_live(struct life *l)
{
	for (unsigned i = 0; i < l->e.members_count; i++)
		if (i >= l->e.voters && rng_below(&l->rng, 2) == 0)
			world_at(&l->e.world, rng_below(&l->rng, LIFE_MS / 2), on_late_start,
			    &l->e.nodes[i], 0);
		else
			ens_node_start(&l->e.nodes[i]);
	ens_clients_start(&l->e);
	ens_operator_begin(&l->e);
	world_at(&l->e.world, rng_below(&l->rng, 4000), on_fault, l, 0);
	run_until(l, LIFE_MS, NULL);
	if (l->e.world.violation[0] == '\0')
		calm_down(l);
}

struct life *
life_new(uint64_t seed, enum ens_plant plant, bool trace)
{
	struct life *l = calloc(1, sizeof *l);

	if (l == NULL)
		exit(71);
	world_init(&l->e.world, seed, trace);
	world_rng(&l->e.world, "faults", &l->rng);
	l->e.plant = plant;
	draw(l);
	ens_work_draw_kinds(&l->e);
	ens_net_init(&l->e);
	ens_check_init(&l->e.check, &l->e.members);
	model_init(&l->e.model);
	l->e.reconfig_made = on_reconfig_made;
	ens_clients_init(&l->e);
	for (unsigned i = 0; i < l->e.count; i++)
		if (!ens_node_init(&l->e.nodes[i], &l->e, i))
			exit(71);
	return l;
}

void
life_free(struct life *l)
{
	for (unsigned i = 0; i < l->e.count; i++)
		ens_node_fini(&l->e.nodes[i]);
	ens_net_fini(&l->e);
	ens_clients_fini(&l->e);
	ens_check_fini(&l->e.check);
	ens_sessions_fini(&l->e);
	model_fini(&l->e.model);
	world_fini(&l->e.world);
	free(l);
}
