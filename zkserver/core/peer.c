/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/peer.h"

#include <assert.h>
#include <errno.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/qpacket.h"

/* What a link has room for; it keeps it. */
#define ROOM_BYTES ((size_t)128 << 10)
#define READ_ONLY_AFTER_MS 2000 /* or a tick, if that is longer */

static void
on_notify(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct peer *p = arg;

	p->zab.ops->notify(p->zab.arg, sid, bytes, size);
}

static bool
on_newer_config(void *arg, int64_t sid, const struct members *newer)
{
	struct peer *p = arg;

	zab_say(&p->zab, "server %lld knows configuration %llx, which is newer than %llx here",
	    (long long)sid, (unsigned long long)newer->version,
	    (unsigned long long)p->zab.members->version);
	p->gossip = *newer;
	p->has_gossip = true;
	return true;
}

static const struct election_ops election_ops = {.send = on_notify},
				 election_ops_reconfig = {
				     .send = on_notify, .newer_config = on_newer_config};

/* ---- the server's upstream ---- */

static void
on_request(void *arg, int64_t session, int32_t cxid, int32_t type, const uint8_t *body, size_t size,
    const struct acl_ids *who)
{
	struct peer *p = arg;

	learner_send_request(&p->learner, session, cxid, type, body, size, who);
}

static void
on_revalidate(void *arg, int64_t session, int32_t timeout_ms)
{
	struct peer *p = arg;

	learner_send_revalidate(&p->learner, session, timeout_ms);
}

static void
on_sync(void *arg)
{
	struct peer *p = arg;

	if (p->phase == PEER_LEADS)
		leader_own_sync(&p->leader);
	else
		learner_send_sync(&p->learner);
}

static void
on_applied(void *arg, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct peer *p = arg;

	if (ZAB_PLANTED(PLANT_HISTORY_GAP) && p->phase == PEER_FOLLOWS &&
	    p->learner.phase != LEARNER_SERVES)
		return;
	history_append(&p->zab.history, zxid, bytes, size);
}

static int
on_reconfig(void *arg, const struct reconf_request *r, int64_t zxid, struct buf *text)
{
	struct peer *p = arg;

	return leader_judge(&p->leader, r, zxid, text);
}

static int
on_reconfig_made(void *arg)
{
	struct peer *p = arg;

	return leader_propose_members(&p->leader);
}

/* ---- beginning and end ---- */

static void
free_parts(struct peer *p)
{
	leader_fini(&p->leader);
	election_fini(&p->election);
	history_fini(&p->zab.history);
}

int
peer_init(struct peer *p, const struct peer_config *config, struct db *db,
    struct recover_report *report, struct fault *note, struct fault *f)
{
	struct zab *z = &p->zab;
	const struct member *self;
	int err;

	*p = (struct peer){.phase = PEER_DRAINING, .appointed = -1};
	*z = (struct zab){.settings = config->settings,
	    .ops = config->ops,
	    .arg = config->arg,
	    .committed = *config->members,
	    .election = &p->election,
	    .db = db,
	    .snapshots = config->snapshots,
	    .logs = config->logs,
	    .epoch_leader = -1};
	z->members = &z->committed;
	if (config->seen != NULL && config->seen->version > z->members->version) {
		z->proposed = *config->seen;
		z->seen = &z->proposed;
	}
	self = members_find(z->members, z->settings.sid);
	z->observer = self != NULL && self->observer;
	list_init(&z->links);
	list_init(&z->dirty);
	leader_init(&p->leader, z);
	learner_init(&p->learner, z);
	election_init(&p->election, &config->election,
	    config->settings.reconfig ? &election_ops_reconfig : &election_ops, p);
	p->upstream = (struct server_upstream){.request = on_request,
	    .revalidate = on_revalidate,
	    .sync = on_sync,
	    .applied = on_applied,
	    .arg = p};
	if (!history_init(&z->history, z->settings.history_count, z->settings.history_bytes) ||
	    !election_set_members(&p->election, z->members, z->seen))
		err = fault_set(f, -ENOMEM, "no memory for a member of the ensemble");
	else if ((err = zab_load(z, report, f)) == 0)
		err = epochs_load(z->snapshots, zab_last_zxid(z), &z->epochs, note, f);
	if (err != 0)
		free_parts(p);
	return err;
}

void
peer_fini(struct peer *p)
{
	assert(list_empty(&p->zab.links));
	learner_stop(&p->learner);
	free_parts(p);
}

/* ---- roles ---- */

/* Whoever is to vote takes part: a quorum of the new members may need it. */
static bool
observes(const struct peer *p)
{
	const struct zab *z = &p->zab;

	return z->observer && (z->seen == NULL || !members_is_voter(z->seen, z->settings.sid));
}

static void
elect(struct peer *p)
{
	int64_t appointed = p->appointed;

	if (p->phase != PEER_ELECTING)
		p->looking_ms = p->zab.now_ms;
	p->zab.db->last_zxid = zab_last_zxid(&p->zab);
	p->phase = PEER_ELECTING;
	p->voted = false;
	p->logged = -1;
	p->appointed = -1;
	if (appointed >= 0)
		election_appoint(&p->election, appointed, zab_last_zxid(&p->zab),
		    p->zab.epochs.current, observes(p));
	else
		election_start(&p->election, p->zab.now_ms, zab_last_zxid(&p->zab),
		    p->zab.epochs.current, observes(p));
}

void
peer_start(struct peer *p, struct server *server, uint64_t now_ms)
{
	p->zab.server = server;
	p->zab.now_ms = now_ms;
	server_join(server, &p->upstream);
	server->prep.reconfig = on_reconfig;
	server->prep.reconfig_made = on_reconfig_made;
	server->prep.reconfig_arg = p;
	zab_show_members(&p->zab);
	elect(p);
}

/* A role has ended: who is connected to us looks elsewhere, and the log takes what is pending. */
static void
leave(struct peer *p)
{
	if (p->phase == PEER_LEADS) {
		zab_say(&p->zab, "no longer leading: %s", p->leader.why);
		leader_stop(&p->leader, p->leader.why);
		p->appointed = p->leader.appointed;
	} else {
		if (peer_takes_observers(p))
			leader_stop(&p->leader, "this server follows nobody any more");
		learner_stop(&p->learner);
		p->appointed = p->learner.appointed;
	}
	server_idle(p->zab.server);
	election_leave(&p->election);
	p->phase = PEER_DRAINING;
}

/* The links that came early are a new leader's first learners. */
static void
take_held(struct peer *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->zab.links) {
		struct peer_link *l = CONTAINER_OF(it, struct peer_link, link);

		if (l->use == PEER_LINK_HELD && l->end == PEER_LINK_OPEN)
			leader_take(&p->leader, l);
	}
}

static void
refuse_held(struct peer *p, uint64_t held_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->zab.links) {
		struct peer_link *l = CONTAINER_OF(it, struct peer_link, link);

		if (l->use == PEER_LINK_HELD && p->zab.now_ms - l->since_ms >= held_ms)
			zab_link_end(&p->zab, l, "this server does not lead");
	}
}

/* When it begins to serve those who only want to read, as Apache's servers do. */
static uint64_t
read_only_at_ms(const struct peer *p)
{
	uint32_t tick_ms = p->zab.settings.tick_ms;

	if (!p->zab.settings.read_only || p->phase != PEER_ELECTING ||
	    p->zab.server->role != SERVER_IDLE)
		return UINT64_MAX;
	return p->looking_ms + (tick_ms > READ_ONLY_AFTER_MS ? tick_ms : READ_ONLY_AFTER_MS);
}

/* Its clients go to where they may write, or come again. */
static void
end_read_only(struct peer *p)
{
	if (p->zab.server->role == SERVER_READ_ONLY)
		server_idle(p->zab.server);
}

static void
take_role(struct peer *p)
{
	const struct vote *v = election_result(&p->election);

	if (v == NULL)
		return;
	end_read_only(p);
	p->elections++;
	if (p->election.state == PEER_LEADING) {
		struct fault f = {0};

		if (recover_check_acls(p->zab.db, &f) != 0) {
			zab_fatal(&p->zab, "%s, and there is no leader to have it from", f.text);
			return;
		}
		p->phase = PEER_LEADS;
		leader_start(&p->leader);
		take_held(p);
		return;
	}
	p->phase = p->election.observer ? PEER_OBSERVES : PEER_FOLLOWS;
	refuse_held(p, 0);
	learner_start(&p->learner, v->leader, p->election.observer);
}

static void
drain(struct peer *p)
{
	struct server *s = p->zab.server;

	if (ZAB_PLANTED(PLANT_NO_DRAIN) && s->pending_count > 0) {
		elect(p);
		return;
	}
	if (s->pending_count > 0 && server_synced_zxid(s) < server_last_zxid(s))
		return;
	if (s->pending_count > 0)
		MARK("peer: what nobody committed is in the log before the vote");
	if (ZAB_PLANTED(PLANT_TAIL_FORGOTTEN))
		server_reloaded(s);
	else
		server_fast_forward(s);
	learner_reload(&p->learner);
	if (!p->zab.failed)
		elect(p);
}

/* Votes name the epoch from when its leader and we are in sync. */
static void
tell_voters(struct peer *p, int32_t epoch)
{
	if (!p->voted)
		election_synced(&p->election, epoch);
	p->voted = true;
}

/*
 * Has the log taken nothing for syncLimit ticks though something waits? Whoever is connected to us
 * would see nothing new and get no answer as long as we live. Where nobody else could lead, it is
 * waited for.
 */
static bool
log_hangs(struct peer *p)
{
	const struct zab_settings *s = &p->zab.settings;
	int64_t synced = server_synced_zxid(p->zab.server);

	if (synced >= server_last_zxid(p->zab.server) || synced != p->logged ||
	    members_voter_count(p->zab.members) == 1 || ZAB_PLANTED(PLANT_HANGING_LOG)) {
		p->logged = synced;
		p->logged_ms = p->zab.now_ms;
		return false;
	}
	if (p->zab.now_ms - p->logged_ms <= (uint64_t)s->tick_ms * s->sync_limit)
		return false;
	MARK("peer: its own log hangs");
	zab_say(&p->zab, "the log here has taken nothing for %llu ms",
	    (unsigned long long)(p->zab.now_ms - p->logged_ms));
	return true;
}

static void
lead(struct peer *p)
{
	leader_turn(&p->leader);
	if (p->leader.phase == LEADER_ACTIVE)
		tell_voters(p, p->leader.epoch);
	if (!leader_lives(&p->leader))
		leave(p);
}

bool
peer_takes_observers(const struct peer *p)
{
	return p->leader.phase == LEADER_RELAYS;
}

/* A follower that serves. */
static void
serve(struct peer *p)
{
	tell_voters(p, p->learner.epoch);
	if (p->phase != PEER_FOLLOWS || !p->zab.settings.observer_masters)
		return;
	if (!peer_takes_observers(p))
		leader_relay(&p->leader, &p->learner);
	leader_turn(&p->leader);
}

static void
follow(struct peer *p)
{
	learner_turn(&p->learner);
	if (p->learner.phase == LEARNER_SERVES && log_hangs(p))
		learner_stop(&p->learner);
	else if (p->learner.phase == LEARNER_SERVES)
		serve(p);
	else if (p->learner.phase < LEARNER_FOLLOWING_UP && election_forsaken(&p->election)) {
		MARK("learner: its leader does not lead");
		learner_stop(&p->learner);
	}
	if (!learner_lives(&p->learner))
		leave(p);
	else if (p->zab.seen == NULL)
		refuse_held(p, 0);
}

void
peer_turn(struct peer *p)
{
	enum peer_phase before;

	zab_compare_digests(&p->zab);
	do {
		before = p->phase;
		if (p->zab.failed)
			return;
		switch (p->phase) {
		case PEER_DRAINING:
			drain(p);
			break;
		case PEER_ELECTING:
			take_role(p);
			break;
		case PEER_LEADS:
			lead(p);
			break;
		case PEER_FOLLOWS:
		case PEER_OBSERVES:
			follow(p);
			break;
		}
	} while (p->phase != before);
}

/* ---- time ---- */

void
peer_set_time(struct peer *p, uint64_t now_ms)
{
	struct list *it, *nx;

	p->zab.now_ms = now_ms;
	if (!p->zab.was_busy)
		return;
	p->zab.was_busy = false;
	LIST_EACH(it, nx, &p->zab.links)
		CONTAINER_OF(it, struct peer_link, link)->heard_ms = now_ms;
}

void
peer_tick(struct peer *p)
{
	if (p->zab.failed)
		return;
	if (p->zab.now_ms >= election_deadline_ms(&p->election))
		election_tick(&p->election, p->zab.now_ms);
	learner_tick(&p->learner);
	leader_tick(&p->leader);
	if (p->phase == PEER_LEADS && p->leader.phase == LEADER_ACTIVE && log_hangs(p))
		leader_fail(&p->leader, "its log hangs");
	if (p->phase != PEER_LEADS)
		refuse_held(p, p->zab.settings.hold_ms);
	if (p->zab.now_ms >= read_only_at_ms(p)) {
		zab_say(&p->zab, "serving reads only, until there is a leader");
		server_read_only(p->zab.server);
	}
	peer_turn(p);
}

static uint64_t
held_deadline_ms(const struct peer *p)
{
	uint64_t at_ms = UINT64_MAX;

	for (const struct list *it = p->zab.links.next; it != &p->zab.links; it = it->next) {
		const struct peer_link *l = CONTAINER_OF(it, struct peer_link, link);
		uint64_t until_ms = l->since_ms + p->zab.settings.hold_ms;

		if (l->use == PEER_LINK_HELD && l->end == PEER_LINK_OPEN && until_ms < at_ms)
			at_ms = until_ms;
	}
	return at_ms;
}

uint64_t
peer_deadline_ms(const struct peer *p)
{
	uint64_t times[] = {election_deadline_ms(&p->election), learner_deadline_ms(&p->learner),
	    leader_deadline_ms(&p->leader), held_deadline_ms(p), read_only_at_ms(p)};
	uint64_t at_ms = UINT64_MAX;

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		at_ms = times[i] < at_ms ? times[i] : at_ms;
	return at_ms;
}

/* ---- what comes ---- */

void
peer_heard(struct peer *p, int64_t sid, const uint8_t *bytes, size_t size)
{
	election_heard(&p->election, p->zab.now_ms, sid, bytes, size);
	if (ZAB_PLANTED(PLANT_LOOKERS_DISTURB) && p->phase == PEER_FOLLOWS &&
	    sid_set_has(&p->election.askers, sid))
		learner_stop(&p->learner);
	if (!p->has_gossip)
		return;
	p->has_gossip = false;
	end_read_only(p);
	zab_adopt(&p->zab, &p->gossip);
	elect(p);
}

void
peer_election_link(struct peer *p, int64_t sid, enum election_link link)
{
	election_link_is(&p->election, p->zab.now_ms, sid, link);
}

void
peer_synced(struct peer *p, int64_t zxid)
{
	server_synced(p->zab.server, zxid);
}

static void
link_begin(struct peer *p, struct peer_link *l, struct buf *out, enum peer_link_use use)
{
	const struct zab_settings *s = &p->zab.settings;

	*l = (struct peer_link){.out = out,
	    .sid = -1,
	    .use = use,
	    .since_ms = p->zab.now_ms,
	    .heard_ms = p->zab.now_ms};
	list_init(&l->dirty);
	list_append(&p->zab.links, &l->link);
	buf_init(&l->in, s->packet_bytes_max + QPACKET_IDS_BYTES_MAX + ROOM_BYTES);
	buf_init(&l->syncs, 0);
}

/* Somebody has come; false: there is no room. */
static bool
admit(struct peer *p, struct peer_link *l, struct buf *out)
{
	link_begin(p, l, out, PEER_LINK_HELD);
	l->counted = true;
	if (++p->zab.link_count <= p->zab.settings.links_max)
		return true;
	zab_link_end(
	    &p->zab, l, "there are %u links to the quorum port already", p->zab.settings.links_max);
	return false;
}

void
peer_observer_accepted(struct peer *p, struct peer_link *l, struct buf *out)
{
	if (!admit(p, l, out))
		return;
	if (peer_takes_observers(p))
		leader_take(&p->leader, l);
	else
		zab_link_end(&p->zab, l, "this server takes no observers now");
}

void
peer_link_accepted(struct peer *p, struct peer_link *l, struct buf *out)
{
	if (!admit(p, l, out))
		return;
	if (p->phase == PEER_LEADS)
		leader_take(&p->leader, l);
	else if (p->phase >= PEER_FOLLOWS && p->zab.seen == NULL && learner_lives(&p->learner))
		zab_link_end(&p->zab, l, "this server does not lead");
}

void
peer_link_dialled(struct peer *p, struct peer_link *l, struct buf *out, int64_t sid)
{
	link_begin(p, l, out, PEER_LINK_LEADER);
	l->sid = sid;
	if (p->learner.phase == LEARNER_DIALLING && p->learner.master == sid)
		learner_dialled(&p->learner, l);
	else
		zab_link_end(&p->zab, l, "it is no longer wanted");
}

void
peer_dial_failed(struct peer *p, int64_t sid)
{
	if (p->learner.master == sid)
		learner_dial_failed(&p->learner);
}

uint8_t *
peer_link_room(struct peer *p, struct peer_link *l, size_t *size)
{
	uint8_t *to;

	if (l->end != PEER_LINK_OPEN || l->paused)
		return NULL;
	*size = ROOM_BYTES;
	if (l->use == PEER_LINK_HELD) /* one too many, so that it is seen */
		*size = ZAB_HELLO_BYTES_MAX + 1 - l->in.len;
	if ((to = buf_reserve(&l->in, *size)) == NULL)
		zab_link_end(&p->zab, l, "no memory for what it sends");
	return to;
}

void
peer_link_took(struct peer *p, struct peer_link *l, size_t size)
{
	buf_commit(&l->in, size);
	l->heard_ms = p->zab.now_ms;
	if (l->use == PEER_LINK_HELD && l->in.len > ZAB_HELLO_BYTES_MAX)
		zab_link_end(&p->zab, l, "it does not begin as a learner does");
	else if (l->in.failed)
		zab_link_end(&p->zab, l, "no memory for what it sends");
	else if (l->use == PEER_LINK_LEARNER)
		leader_read(&p->leader, l);
	else if (l->use == PEER_LINK_LEADER)
		learner_read(&p->learner);
}

void
peer_link_drained(struct peer *p, struct peer_link *l)
{
	if (l->use == PEER_LINK_LEARNER && l->stage >= LEARNER_SNAPSHOT &&
	    l->stage <= LEARNER_CATCHING_UP)
		leader_progress(&p->leader, l);
}

void
peer_link_snapshot_begin(struct peer *p, struct peer_link *l)
{
	assert(l->wants_snapshot);
	leader_snapshot_begin(&p->leader, l);
}

void
peer_link_snapshot_sent(struct peer *p, struct peer_link *l)
{
	if (l->use == PEER_LINK_LEARNER && l->end == PEER_LINK_OPEN)
		leader_snapshot_sent(&p->leader, l);
}

void
peer_link_closed(struct peer *p, struct peer_link *l)
{
	if (l->end == PEER_LINK_OPEN)
		zab_link_end(&p->zab, l, "the connection between them was closed");
	list_remove(&l->link);
	list_remove(&l->dirty);
	if (l->use == PEER_LINK_LEARNER)
		leader_lost(&p->leader, l);
	else if (l == p->learner.link)
		learner_lost(&p->learner);
	l->use = PEER_LINK_DONE;
	if (l->counted)
		p->zab.link_count--;
	buf_fini(&l->in);
	buf_fini(&l->syncs);
}

struct peer_link *
peer_next_dirty(struct peer *p)
{
	struct list *first = list_first(&p->zab.dirty);

	if (first == NULL)
		return NULL;
	list_remove(first);
	return CONTAINER_OF(first, struct peer_link, dirty);
}

const char *
peer_role_name(const struct peer *p)
{
	if (p->phase == PEER_LEADS && p->leader.phase == LEADER_ACTIVE)
		return "leader";
	if (p->learner.phase == LEARNER_SERVES)
		return p->phase == PEER_OBSERVES ? "observer" : "follower";
	return "looking";
}
