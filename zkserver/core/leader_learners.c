/* SPDX-License-Identifier: Apache-2.0 */
/* What a leader's learners send: each packet is taken, or ends its link. */
#include "libcommon/base/plants.h"
#include "zkserver/core/election.h"
#include "zkserver/core/leader_priv.h"
#include "libcommon/base/mark.h"

/*
 * An epoch is a member's current one only after a quorum has accepted it, some of whom we would
 * have met: what is newer than ours comes from another ensemble's directory. An observer does not
 * say, and brings nobody its data.
 */
static bool
is_foreign(const struct leader *l, const struct peer_link *link)
{
	return !link->observer && election_claimed_epoch(l->z->election, link->sid) > l->epoch &&
	       !ZAB_PLANTED(PLANT_FOREIGN_LEADS);
}

/*
 * A member that promised more to somebody who never got to lead could not follow us as long as we
 * lead: a new epoch above that takes it in. Apache's server leaves it out until somebody fails. It
 * has to wait until we have led for a while, so that one who only says so cannot keep an ensemble
 * electing; and until it has said what its current epoch is.
 */
static void
make_way(struct leader *l, const struct peer_link *link)
{
	struct zab *z = l->z;
	uint64_t while_ms = (uint64_t)z->settings.init_limit * z->settings.tick_ms;

	if (members_find(z->members, link->sid) == NULL ||
	    (l->phase == LEADER_ACTIVE && z->now_ms - l->active_since_ms < while_ms) ||
	    (!link->observer && election_claimed_epoch(z->election, link->sid) < 0))
		return;
	MARK("leader: makes way for a newer epoch");
	if (link->accepted_epoch > z->accepted_elsewhere)
		z->accepted_elsewhere = link->accepted_epoch;
	leader_fail(l, "server %lld has accepted epoch %d: a newer one than %d is needed",
	    (long long)link->sid, (int)link->accepted_epoch, (int)l->epoch);
}

/* It is told which epoch is led here, so that its own log can say what is the matter. */
static void
turn_away(struct leader *l, struct peer_link *link)
{
	struct zab *z = l->z;

	qpacket_put_leader_info(link->out, l->epoch);
	if (is_foreign(l, link)) {
		MARK("leader: a directory of another ensemble");
		zab_link_end(z, link,
		    "server %lld has been in epoch %lld, and this ensemble is in %d only: its "
		    "data directory is another ensemble's, or others have lost theirs; stop it",
		    (long long)link->sid, (long long)election_claimed_epoch(z->election, link->sid),
		    (int)l->epoch);
	} else {
		if (l->phase != LEADER_RELAYS)
			make_way(l, link);
		zab_link_end(z, link, "server %lld has accepted epoch %d, this one leads %d",
		    (long long)link->sid, (int)link->accepted_epoch, (int)l->epoch);
	}
	if (link->end == PEER_LINK_CLOSE)
		link->end = PEER_LINK_CLOSE_FLUSHED;
}

void
leader_greet(struct leader *l, struct peer_link *link)
{
	if (link->accepted_epoch > l->epoch) {
		turn_away(l, link);
		return;
	}
	qpacket_put_leader_info(link->out, l->epoch);
	link->stage = LEARNER_EPOCH;
	zab_link_touch(l->z, link);
}

/* One link a server: the newer one counts, as the older may be dead without a sign. */
static void
replace(struct leader *l, const struct peer_link *by)
{
	struct peer_link *link = NULL, *old = NULL;

	while ((link = leader_next(l, link)) != NULL) {
		if (link != by && link->sid == by->sid)
			old = link;
	}
	if (old == NULL || ZAB_PLANTED(PLANT_OLD_LINK_STAYS))
		return;
	MARK("leader: a learner comes again");
	leader_sync_drop(old);
	zab_link_end(l->z, old, "server %lld came again", (long long)by->sid);
}

/*
 * What is wrong with who comes; NULL: nothing. As at Apache's servers, an observer need not be one
 * that is known here. A participant has to be, or to be able to become one: it is in the wrong
 * ensemble otherwise.
 */
static const char *
check_info(const struct leader *l, const struct learner_info *info, bool observer, int64_t accepted)
{
	const struct zab *z = l->z;

	if (info->anonymous)
		return "it does not say which server it is";
	if (!observer && (!z->settings.reconfig || ZAB_PLANTED(PLANT_MEMBERS_ONLY)) &&
	    members_find(z->members, info->sid) == NULL)
		return "it is no member of the configuration here";
	if (!sid_is_valid(info->sid))
		return "its number is none that is possible here";
	if (info->sid == z->settings.sid)
		return "it says that it is this server";
	if (info->protocol < QPACKET_PROTOCOL)
		return "it speaks a protocol from before ZooKeeper 3.4";
	if (info->config_version > z->members->version)
		return "it has a newer configuration";
	if (accepted < 0 || accepted - z->epochs.accepted > ZAB_EPOCH_JUMP_MAX)
		return "the epoch that it has accepted is beyond belief";
	return NULL;
}

static void
take_info(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	struct learner_info info;
	int64_t accepted = p->zxid >> 32;
	const char *wrong;

	if ((p->type != QPACKET_FOLLOWERINFO && p->type != QPACKET_OBSERVERINFO) ||
	    !learner_info_decode(&info, p->data)) {
		zab_link_end(l->z, link, "it does not begin as a learner does");
		return;
	}
	wrong = l->phase == LEADER_RELAYS && p->type != QPACKET_OBSERVERINFO
		    ? "this server follows, and takes observers only"
		    : check_info(l, &info, p->type == QPACKET_OBSERVERINFO, accepted);
	if (wrong != NULL) {
		zab_link_end(l->z, link, "refused a learner that calls itself %lld: %s",
		    (long long)info.sid, wrong);
		return;
	}
	link->sid = info.sid;
	link->observer = p->type == QPACKET_OBSERVERINFO;
	link->accepted_epoch = (int32_t)accepted;
	link->stage = LEARNER_KNOWN;
	replace(l, link);
	if (l->phase != LEADER_DISCOVERY) {
		leader_greet(l, link);
		return;
	}
	if (link->accepted_epoch >= l->proposed_epoch)
		l->proposed_epoch = link->accepted_epoch + 1;
	if (leader_is_voter(l, link))
		sid_set_add(&l->known, link->sid);
}

static void
take_ack_epoch(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	int32_t current;

	if (p->type != QPACKET_ACKEPOCH || !qpacket_ack_epoch_decode(p, &current)) {
		zab_link_end(l->z, link, "server %lld did not answer LEADERINFO with ACKEPOCH",
		    (long long)link->sid);
		return;
	}
	link->last_zxid = p->zxid;
	link->stage = LEARNER_ACCEPTED;
	if (l->phase == LEADER_PROMISE && current != -1 && leader_is_voter(l, link)) {
		if (current > l->start_current ||
		    (current == l->start_current && p->zxid > l->start_zxid)) {
			MARK("leader: a voter has more");
			zab_link_end(l->z, link,
			    "server %lld has zxid 0x%llx of epoch %d, more than this one",
			    (long long)link->sid, (unsigned long long)p->zxid, (int)current);
			return;
		}
		if (p->zxid != -1)
			sid_set_add(&l->promised, link->sid);
	}
	if (l->phase >= LEADER_SYNC) {
		MARK("leader: a learner joins later");
		leader_sync_choose(l, link);
	}
}

void
leader_await(const struct leader *l, struct peer_link *link)
{
	bool waits = !link->observer && link->acked < link->sent;

	link->awaited = link->sent;
	link->waits_since_ms = waits ? l->z->now_ms : 0;
}

static void
take_ack(struct leader *l, struct peer_link *link, int64_t zxid)
{
	bool mark = zxid == (int64_t)l->epoch << 32;

	if (link->stage == LEARNER_ASKED && mark) {
		link->stage = LEARNER_SYNCED;
		if (link->acked < link->asked_zxid)
			link->acked = link->asked_zxid;
		leader_await(l, link);
		return;
	}
	if (mark)
		return; /* of UPTODATE */
	if (ZAB_PLANTED(PLANT_STRICT_ACKS) && link->stage == LEARNER_ASKED)
		leader_fail(l, "an ACK out of turn");
	if (link->observer || zxid > link->sent) {
		zab_link_end(l->z, link, "server %lld acknowledges zxid 0x%llx, %s",
		    (long long)link->sid, (unsigned long long)zxid,
		    link->observer ? "as an observer" : "which was not proposed to it");
		return;
	}
	if (zxid <= link->acked)
		return;
	link->acked = zxid;
	if (zxid >= link->awaited)
		leader_await(l, link);
}

/* A sync has its place from here on. */
static bool
has_room(struct leader *l, struct peer_link *link, const struct qpacket_request *q)
{
	return l->z->server->pending.len <= LEADER_PENDING_BYTES_MAX &&
	       (q->type != ZK_OP_SYNC || leader_park(l, &link->syncs));
}

static void
take_request(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	struct qpacket_request q;
	struct acl_ids who;

	if (!qpacket_request_decode(p, &q)) {
		zab_link_end(
		    l->z, link, "server %lld sent a REQUEST that is none", (long long)link->sid);
		return;
	}
	if (l->phase == LEADER_ACTIVE && !has_room(l, link, &q)) {
		zab_link_end(l->z, link, "server %lld asks for more than is taken at once",
		    (long long)link->sid);
		return;
	}
	if (!qpacket_ids(p, &who))
		zab_link_end(l->z, link, "server %lld sent a client's identities that are none",
		    (long long)link->sid);
	else if (l->phase == LEADER_RELAYS)
		leader_relay_request(l, link, &q, p->id_count < 0 ? NULL : &who);
	else if (q.type != ZK_OP_SYNC)
		server_remote_request(l->z->server, link->sid, q.session, q.cxid, q.type, q.body,
		    p->id_count < 0 ? NULL : &who);
}

static void
take_ping(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	struct jute_reader r = jute_reader(p->data.data, p->data.len > 0 ? (size_t)p->data.len : 0);
	int32_t timeout_ms;
	int64_t session;

	if (link->pings_answered < link->pings_sent)
		link->pings_answered++;
	while (leader_serves(l) && qpacket_touch_next(&r, &session, &timeout_ms))
		server_remote_touch(l->z->server, session, timeout_ms);
}

static void
take_revalidate(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	int32_t timeout_ms;
	int64_t session;

	if (!qpacket_revalidate_decode(p, &session, &timeout_ms)) {
		zab_link_end(
		    l->z, link, "server %lld sent a REVALIDATE that is none", (long long)link->sid);
		return;
	}
	if (l->phase == LEADER_RELAYS) {
		server_passed_on(l->z->server, link->sid, session, timeout_ms);
		learner_pass_revalidate(l->upstream, link, session, timeout_ms);
		return;
	}
	qpacket_put_revalidated(link->out, session,
	    server_remote_revalidate(l->z->server, link->sid, session, timeout_ms));
	zab_link_touch(l->z, link);
}

static void
take_more(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	bool serves = link->stage == LEARNER_SERVING && leader_serves(l);
	char name[24];

	switch (p->type) {
	case QPACKET_ACK:
		if (link->stage < LEARNER_ASKED)
			break;
		take_ack(l, link, p->zxid);
		return;
	case QPACKET_PING:
		if (link->stage != LEARNER_SERVING)
			break;
		take_ping(l, link, p);
		return;
	case QPACKET_REQUEST:
		if (!serves)
			break;
		take_request(l, link, p);
		return;
	case QPACKET_REVALIDATE:
		if (!serves)
			break;
		take_revalidate(l, link, p);
		return;
	default:
		break;
	}
	zab_link_end(l->z, link, "%s from server %lld came out of turn",
	    qpacket_name(p->type, name), (long long)link->sid);
}

static void
take_packet(struct leader *l, struct peer_link *link, const struct qpacket *p)
{
	switch (link->stage) {
	case LEARNER_NEW:
		take_info(l, link, p);
		return;
	case LEARNER_EPOCH:
		take_ack_epoch(l, link, p);
		return;
	default:
		take_more(l, link, p);
	}
}

void
leader_read(struct leader *l, struct peer_link *link)
{
	while (link->end == PEER_LINK_OPEN && l->phase != LEADER_AWAY && !l->z->failed) {
		size_t data_max = link->stage == LEARNER_NEW ? ZAB_HELLO_BYTES_MAX
							     : l->z->settings.packet_bytes_max;
		struct qpacket p;
		size_t used;

		if (l->phase == LEADER_RELAYS && learner_is_choked(l->upstream)) {
			MARK("relay: an observer has to wait");
			link->paused = true;
			zab_link_touch(l->z, link);
			return;
		}
		switch (qpacket_decode(&p, link->in.data, link->in.len, data_max, &used)) {
		case QPACKET_SHORT:
			return;
		case QPACKET_BAD:
			zab_link_end(l->z, link, "a packet with an impossible length");
			return;
		case QPACKET_WHOLE:
			take_packet(l, link, &p);
			buf_consume(&link->in, used);
		}
	}
}
