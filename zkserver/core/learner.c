/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/learner_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/leader.h"
#include "zkserver/core/qpacket.h"

void
learner_init(struct learner *l, struct zab *z)
{
	*l = (struct learner){.z = z,
	    .turned_away_by = -1,
	    .dial_at_ms = UINT64_MAX,
	    .next.version = -1,
	    .master = -1,
	    .appointed = -1};
	/* Observers, and our own clients, are held up before there are too many. */
	buf_init(&l->syncs, SIZE_MAX / 4);
	buf_init(&l->revalidations, SIZE_MAX / 4);
}

static uint64_t
ticks(const struct learner *l, uint32_t count)
{
	return (uint64_t)l->z->settings.tick_ms * count;
}

void
learner_start(struct learner *l, int64_t leader, bool observer)
{
	bool again = l->turned_away_by == leader;

	learner_forget_questions(l);
	*l = (struct learner){.z = l->z,
	    .syncs = l->syncs,
	    .revalidations = l->revalidations,
	    .master = -1,
	    .master_turn = l->master_turn + (l->master >= 0),
	    .turned_away = again ? l->turned_away : 0,
	    .wants_snapshot = l->wants_snapshot,
	    .fuzzy = l->fuzzy,
	    .turned_away_by = -1,
	    .phase = LEARNER_DIALLING,
	    .next.version = -1,
	    .appointed = -1,
	    .observer = observer,
	    .leader = leader,
	    .started_ms = l->z->now_ms};
	learner_dial_first(l);
}

void
learner_stop(struct learner *l)
{
	if (l->spooling)
		snapstream_end(&l->snapstream);
	l->spooling = false;
	learner_reopen(l);
	learner_forget_questions(l);
	if (l->phase == LEARNER_GREETING || l->phase == LEARNER_CHOOSING) {
		l->turned_away_by = l->leader;
		l->turned_away++;
	}
	if (l->link != NULL) {
		struct peer_link *link = l->link;

		l->link = NULL;
		zab_link_end(l->z, link, "%s", ""); /* nobody is to blame */
	}
	l->phase = LEARNER_AWAY;
	l->dial_at_ms = UINT64_MAX;
}

void
learner_leave(struct learner *l, const char *fmt, ...)
{
	char why[PEER_WHY_BYTES];
	va_list ap;

	if (l->phase == LEARNER_AWAY)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (l->master >= 0 && l->master != l->leader)
		zab_say(l->z, "leaving server %lld, which follows server %lld, as its observer: %s",
		    (long long)l->master, (long long)l->leader, why);
	else
		zab_say(l->z, "leaving server %lld as its %s: %s", (long long)l->leader,
		    l->observer ? "observer" : "follower", why);
	if (l->link != NULL)
		zab_link_end(l->z, l->link, "%s", why);
	learner_stop(l);
}

bool
learner_lives(const struct learner *l)
{
	return l->phase != LEARNER_AWAY;
}

void
learner_dialled(struct learner *l, struct peer_link *link)
{
	struct zab *z = l->z;
	struct learner_info info = {.sid = z->settings.sid,
	    .protocol = QPACKET_PROTOCOL,
	    .config_version = z->members->version};

	l->link = link;
	l->phase = LEARNER_GREETING;
	learner_info_put(link->out, l->observer ? QPACKET_OBSERVERINFO : QPACKET_FOLLOWERINFO,
	    z->epochs.accepted, &info);
	zab_link_touch(z, link);
}

void
learner_dial_failed(struct learner *l)
{
	if (l->phase == LEARNER_DIALLING && !learner_dial_again(l))
		learner_leave(l, "cannot connect to its quorum port");
}

void
learner_lost(struct learner *l)
{
	struct peer_link *link = l->link;

	if (ZAB_PLANTED(PLANT_HALF_COUNTS) && link->in.len > 0)
		history_reset(&l->z->history, ++l->z->db->last_zxid);
	l->link = NULL;
	learner_leave(l, "%s", link->why);
}

/* ---- discovery ---- */

static void
take_leader_info(struct learner *l, const struct qpacket *p)
{
	struct zab *z = l->z;
	int64_t epoch = p->zxid >> 32;
	int32_t current = z->epochs.current;
	int64_t zxid = zab_last_zxid(z);
	struct fault f = {0};

	if (p->type != QPACKET_LEADERINFO || !qpacket_leader_info_check(p)) {
		learner_leave(
		    l, "it did not answer with LEADERINFO of a protocol that is known here");
		return;
	}
	if (epoch < z->epochs.current) {
		learner_leave(l,
		    "it wants to lead epoch %lld, and epoch %d was entered here: it is a leader of "
		    "the past, or the data directory here is another ensemble's",
		    (long long)epoch, (int)z->epochs.current);
		return;
	}
	if (epoch < z->epochs.accepted || epoch - z->epochs.accepted > ZAB_EPOCH_JUMP_MAX) {
		learner_leave(l, "it wants to lead epoch %lld, epoch %d was accepted here",
		    (long long)epoch, (int)z->epochs.accepted);
		return;
	}
	/* An epoch that was entered here has one leader: a quorum has promised it to that one. */
	if (epoch == z->epochs.current && l->master == l->leader && z->epoch_leader >= 0 &&
	    z->epoch_leader != l->leader) {
		learner_leave(l, "it wants to lead epoch %lld, which server %lld has led",
		    (long long)epoch, (long long)z->epoch_leader);
		return;
	}
	l->epoch = (int32_t)epoch;
	if (l->epoch == z->epochs.accepted)
		current = -1;
	else if (epochs_accept(z->snapshots, &z->epochs, l->epoch, &f) != 0) {
		zab_fatal(z, "%s", f.text);
		return;
	}
	if (l->wants_snapshot) {
		/* To nothing that is sent step by step can this zxid be the start; and it counts
		 * for no quorum. */
		current = -1;
		zxid = (epoch + 1) << 32;
	}
	qpacket_put_ack_epoch(l->link->out, zxid, current);
	l->phase = LEARNER_CHOOSING;
}

/* False: it could not be written. */
static bool
enter_epoch(struct learner *l)
{
	struct zab *z = l->z;
	struct fault f = {0};

	if (z->epochs.current < l->epoch) {
		if (epochs_enter(z->snapshots, &z->epochs, l->epoch, &f) != 0) {
			zab_fatal(z, "%s", f.text);
			return false;
		}
		z->epoch_leader = -1;
	}
	if (l->master == l->leader) /* else a follower has said it, whose leader may be another */
		z->epoch_leader = l->leader;
	return true;
}

/* What was last proposed comes with NEWLEADER, and is in force with UPTODATE. */
static bool
take_members(struct learner *l, struct jute_bytes text)
{
	struct zab *z = l->z;
	struct fault f = {0};

	if (!z->settings.reconfig || text.len <= 0)
		return true;
	if (members_parse(&l->next, text.data, (size_t)text.len, &f) == 0 &&
	    zab_see(z, &l->next, &f))
		return true;
	learner_leave(l, "the configuration that it leads cannot be taken: %s", f.text);
	return false;
}

/* False: this server's part in it, or the leader's, is another one. */
static bool
adopt_members(struct learner *l)
{
	struct zab *z = l->z;
	bool stays;

	if (l->next.version <= z->members->version || l->phase == LEARNER_AWAY)
		return true;
	stays = members_same(z->members, &l->next) || zab_stays(z->members, &l->next, l->leader);
	if (!zab_adopt(z, &l->next) && stays)
		return true;
	learner_leave(l, "the configuration that it leads is another one");
	return false;
}

static void
take_new_leader(struct learner *l, const struct qpacket *p)
{
	if (l->phase != LEARNER_FOLLOWING_UP || p->zxid != (int64_t)l->epoch << 32) {
		learner_leave(l, "NEWLEADER with zxid 0x%llx out of turn, in epoch %d",
		    (unsigned long long)p->zxid, (int)l->epoch);
		return;
	}
	if (!take_members(l, p->data))
		return;
	if (l->fuzzy)
		l->z->db->digest_from_zxid = server_last_zxid(l->z->server);
	l->fuzzy = false;
	l->settled_zxid = server_last_zxid(l->z->server);
	if (ZAB_PLANTED(PLANT_EARLY_AGREEMENT))
		l->settled_zxid = 0;
	l->phase = LEARNER_SETTLING;
	if (ZAB_PLANTED(PLANT_EPOCH_FIRST))
		enter_epoch(l);
}

/*
 * Everything that came before NEWLEADER is durable. Only now the epoch is entered, and only then
 * the leader is told: whoever names an epoch in a vote has the history of its leader.
 */
static void
settle(struct learner *l)
{
	if (!learner_finish_loading(l) || !enter_epoch(l))
		return;
	qpacket_put(l->link->out, QPACKET_ACK, (int64_t)l->epoch << 32, NULL, 0);
	l->acked = l->committed;
	l->phase = LEARNER_AGREED;
	zab_link_touch(l->z, l->link);
}

static void
take_up_to_date(struct learner *l)
{
	if (l->phase != LEARNER_AGREED) {
		learner_leave(l, "UPTODATE came out of turn");
		return;
	}
	if (!adopt_members(l))
		return;
	zab_show_members(l->z);
	server_follow(l->z->server, l->observer);
	qpacket_put(l->link->out, QPACKET_ACK, (int64_t)l->epoch << 32, NULL, 0);
	l->phase = LEARNER_SERVES;
	learner_dial_done(l);
	if (l->master != l->leader)
		zab_say(l->z, "server %lld follows server %lld, and takes this one",
		    (long long)l->master, (long long)l->leader);
	zab_say(l->z, "%s server %lld in epoch %d, from zxid 0x%llx on",
	    l->observer ? "observing" : "following", (long long)l->leader, (int)l->epoch,
	    (unsigned long long)zab_last_zxid(l->z));
}

/* ---- proposals ---- */

static void
refuse_proposal(struct learner *l, int64_t zxid, const uint8_t *txn, int32_t len)
{
	struct jute_bytes path;

	if (len > 0 && server_finds_hidden_ttl(l->z->server, txn, (size_t)len, &path))
		learner_leave(l,
		    "its proposal with zxid 0x%llx makes %.*s, a TTL node, which would be lost "
		    "here without extendedTypesEnabled=true: put that into zoo.cfg",
		    (unsigned long long)zxid, path.len > 0 ? (int)path.len : 0,
		    (const char *)path.data);
	else
		learner_leave(l,
		    "its proposal with zxid 0x%llx is no transaction, or does not follow 0x%llx",
		    (unsigned long long)zxid, (unsigned long long)server_last_zxid(l->z->server));
}

static bool
propose(struct learner *l, int64_t zxid, const uint8_t *txn, int32_t len)
{
	struct fault f = {0};

	if (len > 0 && !zab_see_record(l->z, txn, (size_t)len, &f)) {
		learner_leave(l, "the configuration that it proposes cannot be taken: %s", f.text);
		return false;
	}
	if (len < 0 || zxid >> 32 > l->epoch ||
	    !server_propose(l->z->server, zxid, txn, (size_t)len)) {
		refuse_proposal(l, zxid, txn, len);
		return false;
	}
	return true;
}

/* The server hears of commits at the end of what has come, and before it hears of anything else. */
static void
deliver(struct learner *l)
{
	if (l->delivered == l->committed)
		return;
	l->delivered = l->committed;
	if (!ZAB_PLANTED(PLANT_APPLIES_LATE) || l->phase == LEARNER_SERVES)
		server_committed(l->z->server, l->committed);
}

static void
commit(struct learner *l, int64_t zxid)
{
	int64_t next = server_pending_next(l->z->server, l->committed, &l->cursor);

	if (next != zxid) {
		learner_leave(l, "it commits zxid 0x%llx where 0x%llx is the oldest that waits",
		    (unsigned long long)zxid, (unsigned long long)next);
		return;
	}
	l->committed = zxid;
}

/*
 * The reconfig is committed: what it makes of the ensemble is in force. Who leads from here on the
 * leader has chosen.
 */
static void
activate(struct learner *l, int64_t zxid, struct jute_bytes data)
{
	struct jute_reader r = jute_reader(data.data, data.len > 0 ? (size_t)data.len : 0);
	int64_t leader = jute_get_i64(&r);
	struct zab *z = l->z;

	commit(l, zxid);
	if (l->relay != NULL && !r.bad)
		leader_relay_reconfig(l->relay, zxid, leader);
	deliver(l);
	if (l->phase == LEARNER_AWAY || z->seen == NULL || z->seen->version != zxid)
		return;
	if (r.bad || !sid_is_valid(leader)) {
		learner_leave(l, "it activates a configuration without saying who leads");
		return;
	}
	if (!zab_adopt(z, z->seen) && leader == l->leader)
		return;
	learner_leave(l, "by the new configuration it is server %lld that leads, and this one %s",
	    (long long)leader, z->observer ? "observes" : "takes part");
	l->appointed = leader;
}

static void
inform(struct learner *l, const struct qpacket *p)
{
	bool activates = p->type == QPACKET_INFORM_AND_ACTIVATE;
	int32_t skip = activates && p->data.len >= 8 ? 8 : 0; /* who leads */
	const uint8_t *txn = skip > 0 ? p->data.data + skip : p->data.data;

	if (!l->observer)
		learner_leave(l, "INFORM came, which is for observers");
	else if (!propose(l, p->zxid, txn, p->data.len - skip))
		return;
	else if (activates)
		activate(l, p->zxid, p->data);
	else
		commit(l, p->zxid);
}

/* Not before UPTODATE, as Apache's: the leader counts answers, and hears the ACK of NEWLEADER
 * first. */
static void
answer_ping(struct learner *l, const struct qpacket *p)
{
	struct buf touched;

	if (l->phase != LEARNER_SERVES)
		return;
	buf_init(&touched, l->z->settings.packet_bytes_max);
	server_take_touched(l->z->server, &touched);
	/* Empty, not null: Apache's leader reads it in any case. */
	qpacket_put(l->link->out, QPACKET_PING, p->zxid,
	    touched.len > 0 ? touched.data : (const uint8_t *)"", touched.len);
	buf_fini(&touched);
}

static void
take_revalidated(struct learner *l, const struct qpacket *p)
{
	int64_t session;
	bool valid;

	if (!qpacket_revalidated_decode(p, &session, &valid))
		learner_leave(l, "a REVALIDATE that is none");
	else
		learner_revalidated(l, session, valid);
}

/* From the choice of DIFF, TRUNC or SNAP on. */
static void
follow(struct learner *l, const struct qpacket *p)
{
	char name[24];

	if (p->type != QPACKET_PROPOSAL && p->type != QPACKET_COMMIT && p->type != QPACKET_INFORM)
		deliver(l);
	switch (p->type) {
	case QPACKET_PROPOSAL:
		propose(l, p->zxid, p->data.data, p->data.len);
		return;
	case QPACKET_COMMIT:
		if (ZAB_PLANTED(PLANT_LOSES_COMMIT) &&
		    (l->phase == LEARNER_SETTLING || l->phase == LEARNER_AGREED))
			return;
		commit(l, p->zxid);
		return;
	case QPACKET_COMMIT_AND_ACTIVATE:
		activate(l, p->zxid, p->data);
		return;
	case QPACKET_INFORM:
	case QPACKET_INFORM_AND_ACTIVATE:
		inform(l, p);
		return;
	case QPACKET_PING:
		answer_ping(l, p);
		return;
	case QPACKET_NEWLEADER:
		take_new_leader(l, p);
		return;
	case QPACKET_UPTODATE:
		take_up_to_date(l);
		return;
	case QPACKET_SYNC:
	case QPACKET_REVALIDATE:
		if (l->phase != LEARNER_SERVES)
			break;
		if (p->type == QPACKET_SYNC)
			learner_synced(l);
		else
			take_revalidated(l, p);
		return;
	default:
		break;
	}
	learner_leave(l, "%s came out of turn", qpacket_name(p->type, name));
}

static void
take_packet(struct learner *l, const struct qpacket *p)
{
	if (l->phase == LEARNER_GREETING)
		take_leader_info(l, p);
	else if (l->phase == LEARNER_CHOOSING)
		learner_choose(l, p);
	else
		follow(l, p);
}

/*
 * Our disk is behind: the leader's bytes wait in the socket. What waits for a commit alone is no
 * reason, since that comes on the same link.
 */
static bool
is_behind(const struct learner *l, size_t limit)
{
	const struct server *s = l->z->server;

	return s->pending.len > limit && server_synced_zxid(s) < server_last_zxid(s);
}

/* Take what is whole of what has come. */
static void
read_packets(struct learner *l)
{
	while (l->link != NULL && l->link->in.len > 0 && !l->z->failed) {
		struct buf *in = &l->link->in;
		enum qpacket_got got;
		struct qpacket p;
		size_t used;

		if (l->phase == LEARNER_RECEIVING) {
			learner_receive(l);
			continue;
		}
		if (is_behind(l, LEARNER_PENDING_SOFT_BYTES)) {
			l->link->paused = true;
			return;
		}
		got = qpacket_decode(&p, in->data, in->len, l->z->settings.packet_bytes_max, &used);
		if (got == QPACKET_BAD)
			learner_leave(l, "a packet with an impossible length");
		if (got != QPACKET_WHOLE)
			return;
		take_packet(l, &p);
		if (l->link != NULL)
			buf_consume(in, used);
	}
}

void
learner_read(struct learner *l)
{
	read_packets(l);
	deliver(l);
}

/* ---- what follows ---- */

/* One ACK for each proposal of this epoch that is durable, in their order. */
static void
acknowledge(struct learner *l)
{
	int64_t first = (int64_t)l->epoch << 32, synced = server_synced_zxid(l->z->server);

	if (ZAB_PLANTED(PLANT_EARLY_ACK))
		synced = server_last_zxid(l->z->server);
	if (l->acked < first && synced > first)
		l->acked = first;
	if (l->acked >= synced)
		return;
	while (l->acked >= first && l->acked < synced)
		qpacket_put(l->link->out, QPACKET_ACK, ++l->acked, NULL, 0);
	zab_link_touch(l->z, l->link);
}

void
learner_turn(struct learner *l)
{
	struct peer_link *link = l->link;

	if (link == NULL)
		return;
	if (link->paused && !is_behind(l, LEARNER_PENDING_SOFT_BYTES / 2)) {
		link->paused = false;
		link->heard_ms = l->z->now_ms;
		zab_link_touch(l->z, link);
		learner_read(l);
	}
	if (l->phase == LEARNER_SETTLING && server_synced_zxid(l->z->server) >= l->settled_zxid)
		settle(l);
	if (l->phase >= LEARNER_AGREED && !l->observer)
		acknowledge(l);
	if (l->link != NULL && l->link->out->len > 0)
		zab_link_touch(l->z, l->link);
	if (l->link != NULL && l->link->out->failed)
		learner_leave(l, "it does not take what it is sent: too much waits");
}

static uint64_t
limit_at_ms(const struct learner *l)
{
	const struct zab_settings *s = &l->z->settings;

	if (l->link == NULL)
		return l->started_ms + ticks(l, s->init_limit);
	if (l->link->paused || l->phase == LEARNER_SETTLING ||
	    (ZAB_PLANTED(PLANT_SILENCE_IS_FINE) && l->phase == LEARNER_SERVES))
		return UINT64_MAX; /* it is us who are slow */
	return l->link->heard_ms +
	       ticks(l, l->phase == LEARNER_SERVES ? s->sync_limit : s->init_limit);
}

uint64_t
learner_deadline_ms(const struct learner *l)
{
	uint64_t at_ms = l->phase == LEARNER_AWAY ? UINT64_MAX : limit_at_ms(l);

	return l->dial_at_ms < at_ms ? l->dial_at_ms : at_ms;
}

void
learner_tick(struct learner *l)
{
	if (l->phase == LEARNER_AWAY)
		return;
	if (l->z->now_ms >= limit_at_ms(l))
		learner_leave(l, "it said nothing for %llu ms",
		    (unsigned long long)(l->z->now_ms -
					 (l->link != NULL ? l->link->heard_ms : l->started_ms)));
	else if (l->z->now_ms >= l->dial_at_ms)
		learner_dial(l);
}
