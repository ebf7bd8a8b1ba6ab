/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: the predicates of Zab, held against what the members do. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens.h"
#include "zkserver/core/txn.h"

#define EPOCHS_MAX (1 << 12)

#define VIOLATION(n, ...) world_violation(&(n)->e->world, __VA_ARGS__)

static const struct hash_key KEY = {1, 2};

static void *
grow(void *array, size_t *cap, size_t count, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap > 0 ? 2 * *cap : 1024;
	if ((array = realloc(array, *cap * size)) == NULL)
		exit(71);
	return array;
}

void
ens_check_init(struct ens_check *c, const struct members *members)
{
	memset(c, 0, sizeof *c);
	c->in_force = *members;
}

void
ens_check_fini(struct ens_check *c)
{
	for (size_t i = 0; i < c->made_count; i++)
		free(c->made[i].bytes);
	free(c->made);
	free(c->committed);
	free(c->ended);
	for (unsigned i = 0; i < ENS_PATHS; i++)
		free(c->paths[i].states);
}

uint64_t
ens_digest(const struct db *db)
{
	uint64_t sum = 0;
	struct list *at = NULL;
	struct session *s;

	while ((s = session_next(&db->sessions, &at)) != NULL)
		sum += hash_u64((uint64_t)s->id); /* the timeout is the last connection's */
	return hash_u64(db->tree.digest) + sum + 1;
}

int64_t
ens_check_last(const struct ens_check *c)
{
	return c->committed_count > 0 ? c->committed[c->committed_count - 1] : 0;
}

/* The place of a zxid among those made: its own, or where it would be. */
static size_t
place(const struct ens_check *c, int64_t zxid)
{
	size_t low = 0, high = c->made_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->made[middle].zxid < zxid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct ens_txn *
find(struct ens_check *c, int64_t zxid)
{
	size_t at = place(c, zxid);

	return at < c->made_count && c->made[at].zxid == zxid ? &c->made[at] : NULL;
}

static struct ens_txn *
insert(struct ens_check *c, int64_t zxid)
{
	size_t at = place(c, zxid);

	c->made = grow(c->made, &c->made_cap, c->made_count, sizeof *c->made);
	memmove(c->made + at + 1, c->made + at, (c->made_count - at) * sizeof *c->made);
	c->made_count++;
	c->made[at] = (struct ens_txn){.zxid = zxid};
	return &c->made[at];
}

/*
 * S2: no session ends before its timeout is over. That is the shortest one that clients ask for: an
 * election brings back the one with which the session was made, whatever was agreed on since. A
 * leader's clock may be a tenth too fast; who has asked for the end gets it at once; and what a
 * client sends to a learner counts from when the leader hears of it: looked at is what was sent to
 * this leader.
 */
static void
check_expiry(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	uint64_t least_ms = 4 * n->e->tick_ms * 9 / 10, now_ms = n->e->world.now_ms;
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size) || h.type != ZK_OP_CLOSE_SESSION)
		return;
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->session == h.session && c->asked_end != h.session && c->touched == n &&
		    c->touched_life == n->life && now_ms - c->touched_ms < least_ms)
			VIOLATION(n, "S2: session 0x%llx of client %u ends %llu ms after a request",
			    (unsigned long long)h.session, i,
			    (unsigned long long)(now_ms - c->touched_ms));
	}
}

static void
tell_of_reconfig(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	struct txn_header h;

	if (n->e->reconfig_made != NULL && txn_decode_header(&h, bytes, size) &&
	    h.type == ZK_OP_RECONFIG)
		n->e->reconfig_made(n->e);
}

/* Z4: a zxid names one transaction; within an epoch they have no holes. */
void
ens_check_made(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	uint64_t hash = hash_bytes(&KEY, bytes, size);
	struct ens_txn *t = find(c, zxid);
	uint32_t counter = (uint32_t)zxid;

	if (t != NULL && t->hash != 0 && t->hash != hash)
		VIOLATION(n, "Z4: zxid 0x%llx is made twice", (unsigned long long)zxid);
	if (counter == 0 || (counter > 1 && find(c, zxid - 1) == NULL))
		VIOLATION(n, "Z4: zxid 0x%llx is made, the one before it was not",
		    (unsigned long long)zxid);
	if (t == NULL)
		t = insert(c, zxid);
	if (t->bytes != NULL)
		return;
	check_expiry(n, bytes, size);
	tell_of_reconfig(n, bytes, size);
	t->hash = hash;
	t->prev = counter > 1 ? zxid - 1 : (int64_t)((uint64_t)zxid >> 32 << 32);
	t->size = size;
	if ((t->bytes = malloc(size)) == NULL)
		exit(71);
	memcpy(t->bytes, bytes, size);
}

static bool
is_durable_at_quorum(const struct ens *e, const struct members *members, int64_t zxid)
{
	struct sid_set have = {{0}};

	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].durable_zxid >= zxid)
			sid_set_add(&have, e->nodes[i].sid);
	return members_quorum(members, &have);
}

static void
remember(struct ens_path *p, const struct ens_state *state)
{
	p->states = grow(p->states, &p->cap, p->count, sizeof *p->states);
	p->states[p->count++] = *state;
}

/* /k0 to /k5; -1: another. */
static int
path_index(struct jute_bytes path)
{
	if (path.len != 3 || memcmp(path.data, "/k", 2) != 0)
		return -1;
	return path.data[2] - '0';
}

static void
replay_part(struct ens_check *c, const struct txn_body *b, int64_t zxid)
{
	const struct ens_state *before;
	int path = path_index(b->path);

	if (path < 0 || path >= ENS_PATHS)
		return;
	before = ens_check_state(c, (unsigned)path, zxid);
	if (b->type == ZK_OP_DELETE)
		remember(&c->paths[path], &(struct ens_state){.zxid = zxid});
	else if (b->type == ZK_OP_SET_DATA || b->type == ZK_OP_CREATE || b->type == ZK_OP_CREATE2)
		remember(&c->paths[path],
		    &(struct ens_state){.zxid = zxid,
			.exists = true,
			.data = hash_bytes(
			    &KEY, b->data.data, (size_t)(b->data.len > 0 ? b->data.len : 0)),
			.owner = b->type == ZK_OP_SET_DATA ? before->owner : b->owner});
}

static void
replay(struct ens_check *c, const uint8_t *bytes, size_t size)
{
	struct txn txn;
	struct txn_body part;

	if (!txn_decode(&txn, bytes, size))
		return;
	if (txn.header.type == ZK_OP_CLOSE_SESSION) {
		struct jute_reader r = txn.body.rest;

		for (int32_t i = 0; i < txn.body.count; i++) {
			part = (struct txn_body){.type = ZK_OP_DELETE, .path = jute_get_bytes(&r)};
			replay_part(c, &part, txn.header.zxid);
		}
		return;
	}
	if (txn.header.type != ZK_OP_MULTI) {
		replay_part(c, &txn.body, txn.header.zxid);
		return;
	}
	for (struct jute_reader r = txn.body.rest; txn_next_part(&r, &txn.header, &part);)
		if (part.type == ZK_OP_ERROR)
			return;
	for (struct jute_reader r = txn.body.rest; txn_next_part(&r, &txn.header, &part);)
		replay_part(c, &part, txn.header.zxid);
}

/* S4: what belonged to a session is gone with it. */
static void
end_session(struct ens_node *n, int64_t session)
{
	struct ens_check *c = &n->e->check;

	for (unsigned i = 0; i < ENS_PATHS; i++) {
		const struct ens_state *s = ens_check_state(c, i, INT64_MAX);

		if (s->exists && s->owner == session)
			VIOLATION(n, "S4: /k%u outlives its session 0x%llx", i,
			    (unsigned long long)session);
	}
	c->ended = grow(c->ended, &c->ended_cap, c->ended_count, sizeof *c->ended);
	c->ended[c->ended_count++] = session;
}

/*
 * C2, S5: a session's requests take effect in their order, whichever server they went to. Not the
 * end of the session, which is its expiry, too, and then has no place among them; and not what is
 * refused because the session has moved or ended: it is that which keeps the order.
 */
static void
check_order(struct ens_node *n, const struct txn_header *h, int32_t error)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->session != h->session || h->cxid <= 0 || h->type == ZK_OP_CLOSE_SESSION ||
		    error == ZK_SESSIONMOVED || error == ZK_SESSIONEXPIRED)
			continue;
		if (c->committed_session == h->session && c->committed_cxid >= h->cxid)
			VIOLATION(n, "C2: request %d of client %u takes effect behind its %d",
			    h->cxid, i, c->committed_cxid);
		c->committed_session = h->session;
		c->committed_cxid = h->cxid;
	}
}

static int32_t
error_of(const uint8_t *bytes, size_t size)
{
	struct txn t;

	return txn_decode(&t, bytes, size) && t.header.type == ZK_OP_ERROR ? t.body.error : 0;
}

/* Nothing is left to be removed when a session ends a second time. */
static bool
ends_nothing(const uint8_t *bytes, size_t size)
{
	struct txn t;

	return txn_decode(&t, bytes, size) && t.body.count <= 0;
}

/*
 * S1, S4: an ended session does nothing more. An error changes nothing, it is the answer to what
 * came too late; and a session may be ended twice, asked for and expired at once, but for nothing.
 */
static void
check_session(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size))
		return;
	for (size_t i = 0; i < c->ended_count; i++)
		if (c->ended[i] == h.session && h.type != ZK_OP_ERROR &&
		    (h.type != ZK_OP_CLOSE_SESSION || !ends_nothing(bytes, size)))
			VIOLATION(n, "S1: 0x%llx, type %d, is of session 0x%llx, which has ended",
			    (unsigned long long)h.zxid, h.type, (unsigned long long)h.session);
	check_order(n, &h, error_of(bytes, size));
	if (h.type == ZK_OP_CLOSE_SESSION)
		end_session(n, h.session);
}

/* A reconfig needs a quorum of what it makes, too, and from then on that alone counts. */
static void
commit_members(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	struct txn_header h;
	struct members next;

	if (!txn_decode_header(&h, bytes, size) || h.type != ZK_OP_RECONFIG)
		return;
	if (!ens_reconf_read(bytes, size, &next) || next.version != zxid) {
		VIOLATION(n, "Z9: reconfig 0x%llx is none", (unsigned long long)zxid);
		return;
	}
	if (!is_durable_at_quorum(n->e, &next, zxid))
		VIOLATION(n,
		    "Z9: server %lld takes reconfig 0x%llx for committed, no quorum of the new "
		    "members has it",
		    (long long)n->sid, (unsigned long long)zxid);
	c->in_force = next;
	c->reconfigs++;
	if (n->server.role == SERVER_LEADER && members_weight(&next, n->sid) == 0)
		c->removed_leaders++;
}

static void
commit(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;

	if (!is_durable_at_quorum(n->e, &c->in_force, zxid))
		VIOLATION(n, "Z9: server %lld takes 0x%llx for committed, no quorum has it",
		    (long long)n->sid, (unsigned long long)zxid);
	commit_members(n, zxid, bytes, size);
	c->committed =
	    grow(c->committed, &c->committed_cap, c->committed_count, sizeof *c->committed);
	c->committed[c->committed_count++] = zxid;
	replay(c, bytes, size);
	check_session(n, bytes, size);
}

static bool
is_committed(const struct ens_check *c, int64_t zxid)
{
	size_t low = 0, high = c->committed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->committed[middle] < zxid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->committed_count && c->committed[low] == zxid;
}

/* Z15, and that the same zxid means the same history: whoever is there has the same tree. */
static void
compare_digest(struct ens_node *n, struct ens_txn *t)
{
	uint64_t digest = ens_digest(&n->db);

	if (t->digest == 0)
		t->digest = digest;
	else if (t->digest != digest)
		VIOLATION(n, "Z15: server %lld differs at zxid 0x%llx", (long long)n->sid,
		    (unsigned long long)t->zxid);
}

void
ens_check_applied(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = find(c, zxid);

	if (t == NULL || (t->hash != 0 && t->hash != hash_bytes(&KEY, bytes, size))) {
		VIOLATION(n, "Z3: server %lld applies 0x%llx, which no leader has made",
		    (long long)n->sid, (unsigned long long)zxid);
		return;
	}
	compare_digest(n, t);
	if (!server_serves(&n->server))
		return; /* what it has, or is to have when its leader is established */
	if (zxid <= ens_check_last(c)) {
		if (!is_committed(c, zxid))
			VIOLATION(n, "Z5: server %lld delivers 0x%llx, which others passed over",
			    (long long)n->sid, (unsigned long long)zxid);
	} else
		commit(n, zxid, bytes, size);
}

void
ens_check_loaded(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = find(c, n->db.last_zxid);

	n->durable_zxid = n->db.last_zxid;
	if (n->db.last_zxid == 0)
		return;
	if (t == NULL && (uint32_t)n->db.last_zxid != 0) {
		VIOLATION(n, "Z3: server %lld has 0x%llx, which no leader has made",
		    (long long)n->sid, (unsigned long long)n->db.last_zxid);
		return;
	}
	compare_digest(n, t != NULL ? t : insert(c, n->db.last_zxid));
}

/* What stands behind zxid and nobody has delivered yet, the oldest first: a quorum must have it. */
static void
commit_tail(struct ens_node *n, int64_t zxid)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = zxid > ens_check_last(c) ? find(c, zxid) : NULL;

	if (t == NULL) {
		if (zxid != ens_check_last(c))
			VIOLATION(n,
			    "Z11: the history of server %lld passes over 0x%llx, which was "
			    "committed",
			    (long long)n->sid, (unsigned long long)ens_check_last(c));
		return;
	}
	commit_tail(n, t->prev);
	if (t->bytes != NULL) /* not an epoch's beginning */
		commit(n, t->zxid, t->bytes, t->size);
}

/*
 * With an epoch the configuration is in force that its leader saw last, as at Apache's: whether or
 * not the transaction is in its history, a quorum of both has what it leads from.
 */
static void
check_members_of_leader(struct ens_node *n)
{
	const struct members *m = n->peer.zab.members;
	struct ens_check *c = &n->e->check;

	if (m->version < c->in_force.version)
		VIOLATION(n, "Z9: server %lld leads in configuration %llx, %llx is in force",
		    (long long)n->sid, (unsigned long long)m->version,
		    (unsigned long long)c->in_force.version);
	if (!is_durable_at_quorum(n->e, &c->in_force, n->durable_zxid) ||
	    !is_durable_at_quorum(n->e, m, n->durable_zxid))
		VIOLATION(n, "Z9: server %lld leads from 0x%llx, no quorum has it",
		    (long long)n->sid, (unsigned long long)n->durable_zxid);
	c->in_force = *m;
}

static bool
is_led_since(const struct ens_check *c, int32_t epoch)
{
	for (int32_t later = epoch + 1; later < EPOCHS_MAX; later++)
		if (c->leader_of_epoch[later] != 0)
			return true;
	return false;
}

/*
 * Z11 of one that was away, and hears only now of the quorum that it had: others lead since, and
 * what it leads from is in what they have committed.
 */
static void
check_late_leader(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = find(c, ens_check_last(c));

	while (t != NULL && t->zxid > n->durable_zxid)
		t = find(c, t->prev);
	if (t == NULL || t->zxid != n->durable_zxid)
		VIOLATION(n, "Z11: server %lld has led from 0x%llx, which later leaders had not",
		    (long long)n->sid, (unsigned long long)n->durable_zxid);
}

/* Z9, Z11 of one that leads as the last one does. */
static void
check_new_leader(struct ens_node *n, int32_t epoch)
{
	int64_t last = ens_check_last(&n->e->check);

	if (n->durable_zxid < last)
		VIOLATION(n, "Z11: server %lld leads epoch %d with 0x%llx, 0x%llx was committed",
		    (long long)n->sid, epoch, (unsigned long long)n->durable_zxid,
		    (unsigned long long)last);
	commit_tail(n, n->durable_zxid);
	check_members_of_leader(n);
}

/* Z1, Z8, Z11: one leader an epoch, and it has all that was committed before it. */
void
ens_check_leads(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	int32_t epoch = n->peer.zab.epochs.current;
	struct ens_txn *t;

	world_trace(&n->e->world, "%lld: leads epoch %d from 0x%llx", (long long)n->sid, epoch,
	    (unsigned long long)n->durable_zxid);
	if (epoch <= 0 || epoch >= EPOCHS_MAX || c->leader_of_epoch[epoch] != 0) {
		VIOLATION(n, "Z1: epoch %d has a second leader", epoch);
		return;
	}
	c->leader_of_epoch[epoch] = (int32_t)n->index + 1;
	if (is_led_since(c, epoch))
		check_late_leader(n);
	else
		check_new_leader(n, epoch);
	/* Its last zxid is the epoch's beginning now. */
	if ((t = find(c, n->db.last_zxid)) == NULL)
		t = insert(c, n->db.last_zxid);
	t->prev = n->durable_zxid;
	compare_digest(n, t);
}

/* Whoever follows has nothing that is not committed. */
void
ens_check_follows(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	int64_t zxid = n->db.last_zxid;

	if (zxid > ens_check_last(c))
		commit_tail(n, zxid);
	else if ((uint32_t)zxid != 0 && !is_committed(c, zxid))
		VIOLATION(n, "Z12: server %lld begins to serve with 0x%llx, which is not committed",
		    (long long)n->sid, (unsigned long long)zxid);
}

/* Z2: promises are kept, over restarts, too. */
static void
check_epochs(struct ens_node *n)
{
	const struct epochs *now = &n->peer.zab.epochs;

	if (now->accepted < n->epochs.accepted || now->current < n->epochs.current ||
	    now->current > now->accepted)
		VIOLATION(n, "Z2: server %lld is at epochs %d/%d, it was at %d/%d",
		    (long long)n->sid, now->current, now->accepted, n->epochs.current,
		    n->epochs.accepted);
	if (now->current > n->epochs.current && n->peer.phase >= PEER_FOLLOWS &&
	    n->peer.learner.link != NULL && n->durable_zxid < n->peer.learner.settled_zxid)
		VIOLATION(n, "Z10: server %lld enters epoch %d with 0x%llx, not 0x%llx",
		    (long long)n->sid, now->current, (unsigned long long)n->durable_zxid,
		    (unsigned long long)n->peer.learner.settled_zxid);
	n->epochs = *now;
}

/* A snapshot from an epoch's beginning has what its leader had before it, and that alone. */
static bool
is_same_place(struct ens_check *c, int64_t on_disk, int64_t zxid)
{
	const struct ens_txn *t;

	while (on_disk > zxid && (uint32_t)on_disk == 0 && (t = find(c, on_disk)) != NULL)
		on_disk = t->prev;
	return on_disk == zxid;
}

/*
 * Z13: what is on the disk, loaded as at a start, is what is in memory. Of a disk with a flipped
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
	struct db db;
	int err;

	if (copy == NULL || p == NULL || !db_init(&db, &KEY, n->e->tick_ms))
		exit(71);
	config.snapshots = config.logs = simdisk_store(copy);
	if ((err = peer_init(p, &config, &db, &report, &note, &f)) != 0) {
		if (!n->rotten || err != DATADIR_CORRUPT)
			VIOLATION(n, "Z13: what server %lld has cannot be loaded: %s",
			    (long long)n->sid, f.text);
	} else if (!n->rotten && (!is_same_place(&n->e->check, zab_last_zxid(&p->zab),
				      zab_last_zxid(&n->peer.zab)) ||
				     ens_digest(&db) != ens_digest(&n->db)))
		VIOLATION(n, "Z13: server %lld is at 0x%llx, its disk has 0x%llx%s",
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
	if (n->up && !n->fatal && !simdisk_stopped(n->disk))
		compare_with_disk(n);
}

static void
check_vote(struct ens_node *n)
{
	int64_t zxid = zab_last_zxid(&n->peer.zab);

	if (n->server.pending_count > 0 || zxid > n->durable_zxid)
		VIOLATION(n, "Z13: server %lld votes with 0x%llx, 0x%llx is durable",
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

/*
 * Z16: nobody ends an election without a quorum of equal votes. If those of one round are none,
 * others have a leader, and it has said so itself; and where one is elected, nobody who voted has
 * more.
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
		VIOLATION(n, "Z16: server %lld follows %lld, no quorum has told it so",
		    (long long)n->sid, (long long)v->leader);
	else if (zab_quorum(&n->peer.zab, &round)) {
		if (el->own.leader == n->sid && el->proposal.leader == v->leader &&
		    members_weight(zab_newest(&n->peer.zab), n->sid) > 0 &&
		    (v->epoch < el->own.epoch ||
			(v->epoch == el->own.epoch && v->zxid < el->own.zxid)))
			VIOLATION(n, "Z16: server %lld votes for %lld, which has less",
			    (long long)n->sid, (long long)v->leader);
	} else if (v->leader != n->sid && !has_led(&n->heard[v->leader - 1]))
		VIOLATION(n, "Z16: server %lld follows %lld, which does not say that it leads",
		    (long long)n->sid, (long long)v->leader);
}

/* Z16: who leads was voted for with what it has. */
static void
check_won(struct ens_node *n)
{
	const struct vote *v = election_result(&n->peer.election);

	if (v == NULL || v->leader != n->sid || v->zxid != zab_last_zxid(&n->peer.zab))
		VIOLATION(n, "Z16: server %lld leads by a vote for another, or another history",
		    (long long)n->sid);
	if (members_weight(n->peer.zab.members, n->sid) == 0 &&
	    members_weight(zab_newest(&n->peer.zab), n->sid) == 0)
		VIOLATION(n, "Z16: server %lld leads, its vote weighs nothing", (long long)n->sid);
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
	    is_durable_at_quorum(n->e, &n->e->check.in_force, l->acked) ||
	    is_durable_at_quorum(n->e, zab_newest(&n->peer.zab), l->acked))
		return;
	VIOLATION(n, "Z9a: server %lld has acknowledged 0x%llx, 0x%llx is durable",
	    (long long)n->sid, (unsigned long long)l->acked, (unsigned long long)n->durable_zxid);
}

void
ens_check_turn(struct ens_node *n)
{
	int64_t synced = server_synced_zxid(&n->server);

	check_epochs(n);
	if ((uint32_t)synced != 0 && synced > n->durable_zxid)
		VIOLATION(n, "Z9a: server %lld takes 0x%llx for durable, 0x%llx is",
		    (long long)n->sid, (unsigned long long)synced,
		    (unsigned long long)n->durable_zxid);
	check_acknowledged(n);
	if (n->peer.phase == n->phase)
		return;
	n->phase = n->peer.phase;
	if (n->phase == PEER_ELECTING)
		check_vote(n);
	else if (n->phase == PEER_LEADS && n->peer.leader.phase == LEADER_DISCOVERY)
		check_won(n);
	if (n->phase >= PEER_LEADS)
		check_elected(n);
}

const struct ens_state *
ens_check_state(const struct ens_check *c, unsigned path, int64_t zxid)
{
	static const struct ens_state none;
	const struct ens_path *p = &c->paths[path];

	for (size_t i = p->count; i-- > 0;)
		if (p->states[i].zxid <= zxid)
			return &p->states[i];
	return &none;
}

const struct ens_state *
ens_check_change(const struct ens_check *c, unsigned path, int64_t zxid)
{
	const struct ens_path *p = &c->paths[path];
	const struct ens_state *first = NULL;

	for (size_t i = p->count; i-- > 0 && p->states[i].zxid > zxid;)
		first = &p->states[i];
	return first;
}
