/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations of an ensemble as a member knows them: in force, and proposed. */
#include <errno.h>
#include <strings.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/election.h"
#include "zkserver/core/txn.h"
#include "zkserver/core/zab.h"

bool
zab_quorum(const struct zab *z, const struct sid_set *set)
{
	if (ZAB_PLANTED(PLANT_OBSERVERS_COUNT))
		return sid_set_count(set) > members_voter_count(z->members) / 2;
	return members_quorum(z->members, set) &&
	       (z->seen == NULL || members_quorum(z->seen, set) || ZAB_PLANTED(PLANT_ONE_QUORUM));
}

bool
zab_is_voter(const struct zab *z, int64_t sid)
{
	return members_is_voter(z->members, sid) ||
	       (z->seen != NULL && members_is_voter(z->seen, sid));
}

const struct members *
zab_newest(const struct zab *z)
{
	return z->seen != NULL ? z->seen : z->members;
}

/* Without memory its votes name the configuration before; they count nevertheless. */
static void
tell_election(struct zab *z)
{
	if (!election_set_members(z->election, z->members, z->seen))
		zab_fatal(z, "no memory for the configuration of the ensemble");
}

bool
zab_see(struct zab *z, const struct members *m, struct fault *f)
{
	if (m->version == zab_newest(z)->version)
		return true;
	if (z->ops->members_seen != NULL && !ZAB_PLANTED(PLANT_MEMBERS_FORGOTTEN) &&
	    !z->ops->members_seen(z->arg, m, f))
		return false;
	if (m->version > z->members->version) {
		z->proposed = *m;
		z->seen = &z->proposed;
	} else
		z->seen = NULL;
	tell_election(z);
	return true;
}

/* Apart from what looks at every proposal: a configuration is large, and the stack is cleared for
 * it. */
static bool __attribute__((noinline))
see_reconfig(struct zab *z, const uint8_t *txn, size_t size, struct fault *f)
{
	struct members m;
	struct txn t;

	if (!txn_decode(&t, txn, size) || t.body.data.len < 0) {
		fault_set(f, -EINVAL, "the reconfig is none");
		return false;
	}
	return members_parse(&m, t.body.data.data, (size_t)t.body.data.len, f) == 0 &&
	       (m.version <= z->members->version || zab_see(z, &m, f));
}

bool
zab_see_record(struct zab *z, const uint8_t *txn, size_t size, struct fault *f)
{
	struct txn_header h;

	return !z->settings.reconfig || !txn_decode_header(&h, txn, size) ||
	       h.type != ZK_OP_RECONFIG || see_reconfig(z, txn, size, f);
}

static const struct tree_node *
shown_node(const struct zab *z)
{
	static const char path[] = "/zookeeper/config";

	return tree_find(&z->db->tree, (struct jute_bytes){(const uint8_t *)path, sizeof path - 1});
}

bool
zab_see_tree(struct zab *z, struct fault *f)
{
	const struct tree_node *n = shown_node(z);
	struct jute_bytes text;
	struct fault ignored = {0};
	struct members m;

	if (!z->settings.reconfig || n == NULL || n->mzxid <= zab_newest(z)->version)
		return true;
	text = tree_node_data(n);
	return text.len <= 0 || members_parse(&m, text.data, (size_t)text.len, &ignored) != 0 ||
	       m.version <= zab_newest(z)->version || zab_see(z, &m, f);
}

/* Whoever is no member is a participant, without a vote. */
static bool
is_observer(const struct zab *z)
{
	const struct member *self = members_find(z->members, z->settings.sid);

	return self != NULL && self->observer;
}

bool
zab_adopt(struct zab *z, const struct members *m)
{
	bool was = z->observer;

	if (m->version <= z->members->version)
		return false;
	z->committed = *m;
	if (z->seen != NULL && z->seen->version <= m->version)
		z->seen = NULL;
	z->observer = is_observer(z);
	if (z->ops->members_adopted != NULL)
		z->ops->members_adopted(z->arg, z->members);
	tell_election(z);
	if (z->server != NULL && !server_serves(z->server))
		zab_show_members(z);
	zab_say(z, "configuration %llx is in force: %u participants, %u observers",
	    (unsigned long long)z->members->version, members_voter_count(z->members),
	    z->members->count - members_voter_count(z->members));
	return was != z->observer;
}

bool
zab_stays(const struct members *a, const struct members *b, int64_t sid)
{
	const struct member *x = members_find(a, sid), *y = members_find(b, sid);

	return x != NULL && y != NULL && !x->observer && !y->observer &&
	       x->quorum_port == y->quorum_port && strcasecmp(x->host, y->host) == 0;
}

void
zab_show_members(struct zab *z)
{
	const struct tree_node *n = shown_node(z);
	struct buf text;

	if (z->settings.reconfig && n != NULL && n->mzxid > z->members->version)
		return; /* of a reconfig that is in the history, and not committed yet */
	buf_init(&text, MEMBERS_TEXT_BYTES_MAX);
	members_print(z->members, &text);
	if (text.failed || !server_show_config(z->server, text.data, text.len, z->members->version))
		zab_fatal(z, "no memory for the configuration of the ensemble");
	buf_fini(&text);
}
