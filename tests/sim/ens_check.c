/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what is made, applied and committed, and by whom; the predicates of Zab about it. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"
#include "zkserver/core/txn.h"

static void
tell_of_made(struct ens_node *n, const uint8_t *bytes, size_t size)
{
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size))
		return;
	ens_session_made(n, &h);
	if (n->e->reconfig_made != NULL && h.type == ZK_OP_RECONFIG)
		n->e->reconfig_made(n->e);
}

/* Z4: a zxid names one transaction; within an epoch they have no holes. */
void
ens_check_made(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	uint64_t hash = hash_bytes(&ens_check_key, bytes, size);
	struct ens_txn *t = ens_book_find(c, zxid);
	uint32_t counter = (uint32_t)zxid;

	if (t != NULL && t->hash != 0 && t->hash != hash)
		ENS_VIOLATION(n, "Z4: zxid 0x%llx is made twice", (unsigned long long)zxid);
	if (counter == 0 || (counter > 1 && ens_book_find(c, zxid - 1) == NULL))
		ENS_VIOLATION(n, "Z4: zxid 0x%llx is made, the one before it was not",
		    (unsigned long long)zxid);
	if (t == NULL)
		t = ens_book_insert(c, zxid);
	if (t->bytes != NULL)
		return;
	if (counter == 1)
		ens_zab_first(n, zxid);
	ens_check_expiry(n, bytes, size);
	tell_of_made(n, bytes, size);
	t->hash = hash;
	t->prev = counter > 1 ? zxid - 1 : (int64_t)((uint64_t)zxid >> 32 << 32);
	t->size = size;
	if ((t->bytes = malloc(size)) == NULL)
		exit(71);
	memcpy(t->bytes, bytes, size);
}

bool
ens_is_durable_at_quorum(const struct ens *e, const struct members *members, int64_t zxid)
{
	struct sid_set have = {{0}};

	for (unsigned i = 0; i < e->count; i++)
		if (e->nodes[i].durable_zxid >= zxid)
			sid_set_add(&have, e->nodes[i].sid);
	return members_quorum(members, &have);
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
		ENS_VIOLATION(n, "Z9: reconfig 0x%llx is none", (unsigned long long)zxid);
		return;
	}
	if (!ens_is_durable_at_quorum(n->e, &next, zxid))
		ENS_VIOLATION(n,
		    "%s: server %lld takes reconfig 0x%llx for committed, no quorum of the new "
		    "members has it",
		    ens_zab_no_quorum(n->e, &next, zxid), (long long)n->sid,
		    (unsigned long long)zxid);
	c->in_force = next;
	c->reconfigs++;
	if (n->server.role == SERVER_LEADER && members_weight(&next, n->sid) == 0)
		c->removed_leaders++;
}

static void
commit(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;

	if (!ens_is_durable_at_quorum(n->e, &c->in_force, zxid))
		ENS_VIOLATION(n, "%s: server %lld takes 0x%llx for committed, no quorum has it",
		    ens_zab_no_quorum(n->e, &c->in_force, zxid), (long long)n->sid,
		    (unsigned long long)zxid);
	commit_members(n, zxid, bytes, size);
	c->committed = ens_book_grow(
	    c->committed, &c->committed_cap, c->committed_count, sizeof *c->committed);
	c->committed[c->committed_count++] = zxid;
	ens_check_session(n, bytes, size);
	ens_check_replay(n, bytes, size);
}

/* Z15, and that the same zxid means the same history: whoever is there has the same tree. */
static void
compare_digest(struct ens_node *n, struct ens_txn *t, const char *name)
{
	uint64_t digest = ens_digest(&n->db);

	if (t->digest == 0)
		t->digest = digest;
	else if (t->digest != digest)
		ENS_VIOLATION(n, "%s: server %lld differs at zxid 0x%llx", name, (long long)n->sid,
		    (unsigned long long)t->zxid);
}

void
ens_check_applied(struct ens_node *n, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = ens_book_find(c, zxid);

	if (t == NULL || (t->hash != 0 && t->hash != hash_bytes(&ens_check_key, bytes, size))) {
		ENS_VIOLATION(n, "%s: server %lld applies 0x%llx, which no leader has made",
		    ens_zab_name(n, "Z3"), (long long)n->sid, (unsigned long long)zxid);
		return;
	}
	ens_zab_applied(n, t);
	compare_digest(n, t, "Z15");
	if (!server_serves(&n->server))
		return; /* what it has, or is to have when its leader is established */
	if (zxid <= ens_check_last(c)) {
		if (!ens_is_committed(c, zxid))
			ENS_VIOLATION(n,
			    "%s: server %lld delivers 0x%llx, which others passed over",
			    ens_zab_name(n, "Z5"), (long long)n->sid, (unsigned long long)zxid);
	} else
		commit(n, zxid, bytes, size);
}

void
ens_check_loaded(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = ens_book_find(c, n->db.last_zxid);

	n->durable_zxid = n->db.last_zxid;
	ens_zab_loaded(n);
	if (n->db.last_zxid == 0)
		return;
	if (t == NULL && (uint32_t)n->db.last_zxid != 0) {
		ENS_VIOLATION(n, "%s: server %lld has 0x%llx, which no leader has made",
		    ens_zab_name(n, "Z3"), (long long)n->sid, (unsigned long long)n->db.last_zxid);
		return;
	}
	/* What was replayed is a prefix of what was made: P1, over a fuzzy snapshot P5. */
	compare_digest(
	    n, t != NULL ? t : ens_book_insert(c, n->db.last_zxid), n->fuzzies > 0 ? "P5" : "P1");
}

/* What stands behind zxid and nobody has delivered yet, the oldest first: a quorum must have it. */
static void
commit_tail(struct ens_node *n, int64_t zxid)
{
	struct ens_check *c = &n->e->check;
	struct ens_txn *t = zxid > ens_check_last(c) ? ens_book_find(c, zxid) : NULL;

	if (t == NULL) {
		if (zxid != ens_check_last(c))
			ENS_VIOLATION(n,
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
		ENS_VIOLATION(n, "Z9: server %lld leads in configuration %llx, %llx is in force",
		    (long long)n->sid, (unsigned long long)m->version,
		    (unsigned long long)c->in_force.version);
	if (!ens_is_durable_at_quorum(n->e, &c->in_force, n->durable_zxid) ||
	    !ens_is_durable_at_quorum(n->e, m, n->durable_zxid))
		ENS_VIOLATION(n, "%s: server %lld leads from 0x%llx, no quorum has it",
		    ens_zab_no_quorum(n->e, &c->in_force, n->durable_zxid), (long long)n->sid,
		    (unsigned long long)n->durable_zxid);
	c->in_force = *m;
}

static bool
is_led_since(const struct ens_check *c, int32_t epoch)
{
	for (int32_t later = epoch + 1; later < ENS_EPOCHS_MAX; later++)
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
	struct ens_txn *t = ens_book_find(c, ens_check_last(c));

	while (t != NULL && t->zxid > n->durable_zxid)
		t = ens_book_find(c, t->prev);
	if (t == NULL || t->zxid != n->durable_zxid)
		ENS_VIOLATION(n,
		    "Z11: server %lld has led from 0x%llx, which later leaders had not",
		    (long long)n->sid, (unsigned long long)n->durable_zxid);
}

/* Z9, Z11 of one that leads as the last one does. */
static void
check_new_leader(struct ens_node *n, int32_t epoch)
{
	int64_t last = ens_check_last(&n->e->check);

	if (n->durable_zxid < last)
		ENS_VIOLATION(n,
		    "Z11: server %lld leads epoch %d with 0x%llx, 0x%llx was committed",
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
	if (epoch <= 0 || epoch >= ENS_EPOCHS_MAX || c->leader_of_epoch[epoch] != 0) {
		ENS_VIOLATION(n, "Z1: epoch %d has a second leader", epoch);
		return;
	}
	c->leader_of_epoch[epoch] = (int32_t)n->index + 1;
	if (is_led_since(c, epoch))
		check_late_leader(n);
	else
		check_new_leader(n, epoch);
	/* Its last zxid is the epoch's beginning now. */
	if ((t = ens_book_find(c, n->db.last_zxid)) == NULL)
		t = ens_book_insert(c, n->db.last_zxid);
	t->prev = n->durable_zxid;
	compare_digest(n, t, "Z15");
}

/* Whoever follows has nothing that is not committed. */
void
ens_check_follows(struct ens_node *n)
{
	struct ens_check *c = &n->e->check;
	int64_t zxid = n->db.last_zxid;

	if (zxid > ens_check_last(c))
		commit_tail(n, zxid);
	else if ((uint32_t)zxid != 0 && !ens_is_committed(c, zxid))
		ENS_VIOLATION(n,
		    "Z12: server %lld begins to serve with 0x%llx, which is not committed",
		    (long long)n->sid, (unsigned long long)zxid);
}
