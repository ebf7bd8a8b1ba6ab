/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/peer_wire.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/peer_feed.h"
#include "tests/lib/unit.h"
#include "zkserver/core/txn.h"

static void
begin(struct wire *w, unsigned node)
{
	*w = (struct wire){.open = true};
	buf_init(&w->out, 1 << 24);
	rig_set_time(&rig_nodes[node]);
}

void
wire_accept(struct wire *w, unsigned node)
{
	begin(w, node);
	peer_link_accepted(&rig_nodes[node].peer, &w->link, &w->out);
}

void
wire_accept_observer(struct wire *w, unsigned node)
{
	begin(w, node);
	peer_observer_accepted(&rig_nodes[node].peer, &w->link, &w->out);
}

void
wire_follow(struct wire *w, unsigned node, int64_t leader, bool observer)
{
	struct rig_node *n = &rig_nodes[node];

	begin(w, node);
	n->peer.phase = observer ? PEER_OBSERVES : PEER_FOLLOWS;
	n->peer.voted = true;		     /* there was no election */
	n->peer.learner.turned_away_by = -1; /* no pause */
	learner_start(&n->peer.learner, leader, observer);
	n->dialling = false;
	peer_link_dialled(&n->peer, &w->link, &w->out, leader);
	rig_run(0);
	wire_expect(w, observer ? QPACKET_OBSERVERINFO : QPACKET_FOLLOWERINFO,
	    (int64_t)n->peer.zab.epochs.accepted << 32);
	buf_clear(&w->out);
}

void
wire_close(struct wire *w, unsigned node)
{
	if (w->open)
		peer_link_closed(&rig_nodes[node].peer, &w->link);
	w->open = false;
	buf_fini(&w->out);
}

void
wire_say(struct wire *w, unsigned node, const struct buf *b)
{
	rig_set_time(&rig_nodes[node]);
	(void)peer_feed(&rig_nodes[node].peer, &w->link, b->data, b->len);
	rig_run(0);
}

void
wire_say_packet(
    struct wire *w, unsigned node, int32_t type, int64_t zxid, const void *data, size_t size)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	qpacket_put(&b, type, zxid, data, size);
	wire_say(w, node, &b);
	buf_fini(&b);
}

void
wire_say_info(struct wire *w, unsigned node, int32_t type, int64_t sid, int32_t accepted_epoch)
{
	const struct learner_info info = {.sid = sid, .protocol = QPACKET_PROTOCOL};
	struct buf b;

	buf_init(&b, 4096);
	learner_info_put(&b, type, accepted_epoch, &info);
	wire_say(w, node, &b);
	buf_fini(&b);
}

void
wire_say_leaderinfo(struct wire *w, unsigned node, int64_t zxid)
{
	static const uint8_t protocol[4] = {0, 1, 0, 0};

	wire_say_packet(w, node, QPACKET_LEADERINFO, zxid, protocol, sizeof protocol);
}

void
wire_propose_create(
    struct wire *w, unsigned node, int64_t zxid, int64_t header_zxid, uint64_t digest)
{
	const struct txn_header header = {.zxid = header_zxid, .type = ZK_OP_CREATE};
	char path[32];
	struct txn_body body = {
	    .type = ZK_OP_CREATE, .data = {NULL, -1}, .acl = {NULL, -1}, .version = 1};
	struct buf b;

	body.path.len = snprintf(path, sizeof path, "/%d", (int)zxid);
	body.path.data = (const uint8_t *)path;
	buf_init(&b, 4096);
	txn_put_header(&b, &header);
	txn_put_body(&b, &body);
	if (digest != 0)
		txn_put_digest(&b, digest);
	wire_say_packet(w, node, QPACKET_PROPOSAL, zxid, b.data, b.len);
	buf_fini(&b);
}

void
wire_put_node(struct buf *b, const char *path, int64_t acl)
{
	jute_put_text(b, path);
	jute_put_i32(b, -1);
	jute_put_i64(b, acl);
	for (int i = 0; i < 15; i++)
		jute_put_i32(b, 0);
}

void
wire_expect(struct wire *w, int32_t type, int64_t zxid)
{
	struct qpacket p;
	char name[24];
	size_t used;

	ck_assert_msg(qpacket_decode(&p, w->out.data, w->out.len, 1 << 20, &used) == QPACKET_WHOLE,
	    "nothing where %s was due; %s", qpacket_name(type, name), w->link.why);
	ck_assert_msg(p.type == type, "%s came, %d was due", qpacket_name(p.type, name), type);
	ck_assert_int_eq(p.zxid, zxid);
	buf_consume(&w->out, used);
}

bool
wire_ended(const struct wire *w, const char *why)
{
	return w->link.end != PEER_LINK_OPEN && strstr(w->link.why, why) != NULL;
}
