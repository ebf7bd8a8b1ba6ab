/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that come and go: what each server's files say of them, an operator who starts and stops
 * servers, the reconfigs that a client asks for, and which configuration is in force.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens.h"
#include "zkserver/core/txn.h"

#define QUORUM_PORT 2888
#define ADDRESS_BYTES 96

/* ---- what a server's files say ---- */

/* The power goes with this write, before or behind it. False: before. */
static bool
conf_write_survives(struct ens_node *n)
{
	if (!n->conf_frail)
		return true;
	n->conf_frail = false;
	simdisk_stop_at(n->disk, simdisk_ops(n->disk) + 1);
	return rng_below(&n->rng, 2) == 0;
}

bool
ens_conf_seen(struct ens_node *n, const struct members *m, struct fault *f)
{
	if (!conf_write_survives(n)) {
		fault_set(f, -EIO, "the proposed configuration cannot be written");
		return false;
	}
	world_trace(&n->e->world, "%lld: writes that configuration %llx is proposed",
	    (long long)n->sid, (unsigned long long)m->version);
	n->conf_next = *m;
	n->has_conf_next = m->version > n->conf.version;
	return true;
}

/* If it cannot be written, the proposal is what is found at the next start. */
void
ens_conf_adopted(struct ens_node *n, const struct members *m)
{
	if (!conf_write_survives(n))
		return;
	world_trace(&n->e->world, "%lld: writes that configuration %llx is in force",
	    (long long)n->sid, (unsigned long long)m->version);
	n->conf = *m;
	n->has_conf_next = n->has_conf_next && n->conf_next.version > m->version;
}

static void
print_address(char to[ADDRESS_BYTES], unsigned index, unsigned port, bool observer)
{
	snprintf(to, ADDRESS_BYTES, "10.0.0.%u:%u:3888:%s;2181", index + 1, port,
	    observer ? "observer" : "participant");
}

/* As an operator writes it for who is to join: those that are in it, and itself. */
void
ens_conf_write(struct ens_node *n)
{
	char key[32], address[ADDRESS_BYTES];
	struct fault f = {{0}};

	n->conf = n->e->check.in_force;
	n->conf.version = 0;
	n->has_conf_next = false;
	if (n->conf.hierarchical || members_find(&n->conf, n->sid) != NULL)
		return;
	snprintf(key, sizeof key, "server.%lld", (long long)n->sid);
	print_address(address, n->index, QUORUM_PORT, rng_below(&n->rng, 4) == 0);
	if (members_put(&n->conf, key, address, &f) != 0 || members_finish(&n->conf, &f) != 0)
		exit(70);
}

/* ---- the operator ---- */

void
ens_operator_start(struct ens_node *n)
{
	if (!n->off)
		return;
	if (n->starts == 0)
		ens_conf_write(n);
	world_trace(&n->e->world, "%lld: is started by its operator", (long long)n->sid);
	n->off = false;
	ens_node_start(n);
}

/* Whoever is no member any more may be stopped, with all that it has. */
static void
stop(struct ens_node *n)
{
	if (members_find(&n->e->check.in_force, n->sid) != NULL || rng_below(&n->rng, 3) != 0)
		return;
	n->off = true;
	ens_node_crash(n, false, "stopped by its operator");
}

/* Nobody leads, and a quorum of the others has all that was ever committed. */
static bool
can_be_emptied(const struct ens_node *n)
{
	const struct ens *e = n->e;
	struct sid_set have = {{0}};

	for (unsigned i = 0; i < e->count; i++) {
		const struct ens_node *m = &e->nodes[i];

		if (m == n || !m->up)
			continue;
		if (m->server.role == SERVER_LEADER)
			return false;
		if (!m->rotten && m->durable_zxid >= ens_check_last(&e->check))
			sid_set_add(&have, m->sid);
	}
	return members_quorum(&e->check.in_force, &have);
}

/*
 * A configuration was proposed, and its leader died before enough members heard of it. Those that
 * did not vote for nobody who is new in it, and no vote tells them of it, as the protocol is
 * Apache's: with an old leader that stays away it may take them to make a quorum. Their operator
 * copies the file with the proposal to them: that can do no harm, more is needed for a quorum then.
 * Or it needs a member which the damage of its disk keeps from starting, and which nobody can lead
 * without: that one gets an empty disk.
 */
void
ens_operator_rescue(struct ens *e)
{
	const struct members *newest = &e->check.in_force;

	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].up && zab_newest(&e->nodes[i].peer.zab)->version > newest->version)
			newest = zab_newest(&e->nodes[i].peer.zab);
	e->rescue = *newest;
	for (unsigned i = 0; i < e->count; i++) {
		struct ens_node *n = &e->nodes[i];
		bool emptied = !n->up && !n->off && n->rotten && can_be_emptied(n);

		if ((!n->up && !emptied) ||
		    (members_find(&e->rescue, n->sid) == NULL &&
			members_find(&e->check.in_force, n->sid) == NULL) ||
		    (!emptied && zab_newest(&n->peer.zab)->version >= e->rescue.version))
			continue;
		e->rescues++;
		n->conf_next = e->rescue;
		n->has_conf_next = e->rescue.version > n->conf.version;
		if (emptied) {
			ens_node_wipe(n);
			ens_node_start(n);
		} else {
			ens_node_crash(n, false, "is given the proposed configuration");
		}
	}
}

static void
on_operator(void *arg, uint64_t token)
{
	struct ens *e = arg;
	struct ens_node *n = &e->nodes[rng_below(&e->operator, e->count)];

	(void)token;
	if (e->calm)
		return;
	if (n->off)
		ens_operator_start(n);
	else
		stop(n);
	world_at(&e->world, 200 + rng_below(&e->operator, 5000), on_operator, e, 0);
}

void
ens_operator_begin(struct ens *e)
{
	world_rng(&e->world, "operator", &e->operator);
	if (e->reconfig)
		world_at(&e->world, rng_below(&e->operator, 2000), on_operator, e, 0);
}

/* ---- requests ---- */

struct wish {
	char joining[1024], leaving[64], members[1024];
	int64_t base;
};

static void
add(char *to, size_t room, const struct ens_node *n, unsigned port, bool observer)
{
	char address[ADDRESS_BYTES];
	size_t len = strlen(to);

	print_address(address, n->index, port, observer);
	snprintf(to + len, room - len, "%sserver.%lld=%s", len > 0 ? "," : "", (long long)n->sid,
	    address);
}

/* A random member, or somebody who is none; NULL: there is none. */
static struct ens_node *
pick(struct ens *e, struct rng *r, bool member)
{
	struct ens_node *chosen = NULL;
	unsigned seen = 0;

	for (unsigned i = 0; i < e->count; i++)
		if ((members_find(&e->check.in_force, e->nodes[i].sid) != NULL) == member &&
		    rng_below(r, ++seen) == 0)
			chosen = &e->nodes[i];
	return chosen;
}

static struct ens_node *
leader_of(struct ens *e)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].up && e->nodes[i].server.role == SERVER_LEADER)
			return &e->nodes[i];
	return NULL;
}

static void
wish_join(struct ens *e, struct rng *r, struct wish *w)
{
	struct ens_node *n = pick(e, r, false);

	if (n != NULL)
		add(w->joining, sizeof w->joining, n, QUORUM_PORT, rng_below(r, 4) == 0);
}

static void
wish_leave(const struct ens_node *n, struct wish *w)
{
	if (n != NULL)
		snprintf(w->leaving, sizeof w->leaving, "%lld", (long long)n->sid);
}

/* The same member with another role, or at another port. */
static void
wish_change(struct ens *e, struct rng *r, struct wish *w)
{
	struct ens_node *n = pick(e, r, true);
	const struct member *m = n != NULL ? members_find(&e->check.in_force, n->sid) : NULL;
	bool role = rng_below(r, 3) != 0;

	if (m != NULL)
		add(w->joining, sizeof w->joining, n,
		    role ? m->quorum_port : QUORUM_PORT + (unsigned)rng_below(r, 3),
		    role ? !m->observer : m->observer);
}

/* Some of all servers, mostly of those that run. */
static void
wish_whole(struct ens *e, struct rng *r, struct wish *w)
{
	bool any = rng_below(r, 5) == 0;

	for (unsigned i = 0; i < e->count; i++)
		if ((any || e->nodes[i].up) && rng_below(r, 4) != 0)
			add(w->members, sizeof w->members, &e->nodes[i], QUORUM_PORT,
			    rng_below(r, 6) == 0);
}

static void
draw_wish(struct ens *e, struct rng *r, struct wish *w)
{
	uint64_t kind = rng_below(r, 12);

	w->base = rng_below(r, 2) == 0 ? -1 : e->check.in_force.version;
	if (rng_below(r, 10) == 0)
		w->base = e->check.in_force.version - 1; /* too late */
	if (kind < 4)
		wish_join(e, r, w);
	if (kind == 3 || kind == 4)
		wish_leave(pick(e, r, true), w);
	if (kind == 5 || kind == 6)
		wish_leave(leader_of(e), w);
	if (kind >= 7 && kind < 10)
		wish_change(e, r, w);
	if (kind >= 10)
		wish_whole(e, r, w);
}

static void
put_list(struct buf *to, const char *text)
{
	jute_put_text(to, text[0] != '\0' ? text : NULL);
}

void
ens_reconf_put(struct ens *e, struct rng *r, struct buf *to)
{
	struct wish w = {.base = -1};

	draw_wish(e, r, &w);
	world_trace(&e->world, "reconfig: + %s - %s = %s", w.joining, w.leaving, w.members);
	put_list(to, w.joining);
	put_list(to, w.leaving);
	put_list(to, w.members);
	jute_put_i64(to, w.base);
}

/* ---- what is in force ---- */

bool
ens_reconf_read(const uint8_t *bytes, size_t size, struct members *m)
{
	struct fault f = {{0}};
	struct txn t;

	return txn_decode_header(&t.header, bytes, size) && t.header.type == ZK_OP_RECONFIG &&
	       txn_decode(&t, bytes, size) && t.body.data.len > 0 &&
	       members_parse(m, t.body.data.data, (size_t)t.body.data.len, &f) == 0;
}

static void
print_members(char *to, size_t room, const struct members *m)
{
	size_t len = (size_t)snprintf(to, room, "%llx:", (unsigned long long)m->version);

	for (unsigned i = 0; i < m->count && len < room; i++)
		len += (size_t)snprintf(to + len, room - len, " %lld%s", (long long)m->list[i].sid,
		    m->list[i].observer ? "o" : "");
}

void
ens_reconf_explain(struct ens *e)
{
	char now[160], next[160];

	print_members(now, sizeof now, &e->check.in_force);
	world_trace(&e->world, "in force: %s", now);
	for (unsigned i = 0; i < e->count; i++) {
		const struct zab *z = &e->nodes[i].peer.zab;

		if (!e->nodes[i].up)
			continue;
		print_members(now, sizeof now, z->members);
		next[0] = '\0';
		if (z->seen != NULL)
			print_members(next, sizeof next, z->seen);
		world_trace(&e->world, "%lld: members %s; proposed %s", (long long)e->nodes[i].sid,
		    now, next);
	}
}

bool
ens_is_settled(const struct ens *e)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].up && e->nodes[i].peer.zab.seen != NULL)
			return false;
	return true;
}
