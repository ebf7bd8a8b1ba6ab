/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a learner asks its leader: for its own clients, and for those of the observers that it
 * takes. The leader does not say whose the answer to a sync or to a revalidation is; they come in
 * the order in which they were asked for.
 */
#include <string.h>

#include "zkserver/core/leader.h"
#include "zkserver/core/learner.h"
#include "zkserver/core/qpacket.h"

/* Of each kind: our own clients may have as many on top, so the leader takes them all. */
#define QUESTIONS_SOFT_BYTES (SERVER_QUESTIONS_MAX * sizeof(struct learner_question))

void
learner_send_request(struct learner *l, int64_t session, int32_t cxid, int32_t type,
    const uint8_t *body, size_t size, const struct acl_ids *who)
{
	if (l->link == NULL)
		return;
	qpacket_put_request(l->link->out, session, cxid, type, body, size, who);
	zab_link_touch(l->z, l->link);
}

static void
note(struct learner *l, struct buf *questions, const struct learner_question *q)
{
	buf_append(questions, q, sizeof *q);
	if (questions->failed)
		zab_fatal(l->z, "no memory for what the leader is asked");
}

static void
ask_revalidate(struct learner *l, const struct learner_question *q)
{
	if (l->link == NULL)
		return;
	note(l, &l->revalidations, q);
	qpacket_put_revalidate(l->link->out, q->session, q->timeout_ms);
	zab_link_touch(l->z, l->link);
}

void
learner_send_revalidate(struct learner *l, int64_t session, int32_t timeout_ms)
{
	const struct learner_question q = {NULL, true, session, timeout_ms};

	ask_revalidate(l, &q);
}

void
learner_pass_revalidate(
    struct learner *l, struct peer_link *link, int64_t session, int32_t timeout_ms)
{
	const struct learner_question q = {link, false, session, timeout_ms};

	ask_revalidate(l, &q);
}

void
learner_send_sync(struct learner *l)
{
	static const struct acl_ids nobody;
	const struct learner_question q = {.ours = true};

	note(l, &l->syncs, &q);
	learner_send_request(l, 0, 0, ZK_OP_SYNC, (const uint8_t *)"\0\0\0\1/", 5, &nobody);
}

void
learner_pass_sync(struct learner *l, struct peer_link *link, int64_t session, int32_t cxid,
    struct jute_reader body, const struct acl_ids *who)
{
	const struct learner_question q = {.link = link};

	note(l, &l->syncs, &q);
	learner_send_request(l, session, cxid, ZK_OP_SYNC, body.pos, jute_left(&body), who);
}

bool
learner_is_choked(const struct learner *l)
{
	return l->link == NULL || l->link->out->len > l->z->settings.out_soft_bytes ||
	       l->syncs.len >= QUESTIONS_SOFT_BYTES || l->revalidations.len >= QUESTIONS_SOFT_BYTES;
}

/* ---- answers ---- */

void
learner_synced(struct learner *l)
{
	struct learner_question q;

	if (l->syncs.len == 0)
		return; /* of nobody's */
	memcpy(&q, l->syncs.data, sizeof q);
	buf_consume(&l->syncs, sizeof q);
	if (q.ours)
		server_sync_done(l->z->server);
	else if (q.link != NULL && l->relay != NULL)
		leader_relay_synced(l->relay, q.link);
}

/* The oldest question about that session, taken off; false: there is none. */
static bool
take_question(struct buf *questions, int64_t session, struct learner_question *q)
{
	for (size_t at = 0; at < questions->len; at += sizeof *q) {
		memcpy(q, questions->data + at, sizeof *q);
		if (q->session != session)
			continue;
		memmove(questions->data + sizeof *q, questions->data, at);
		buf_consume(questions, sizeof *q);
		return true;
	}
	return false;
}

void
learner_revalidated(struct learner *l, int64_t session, bool valid)
{
	struct learner_question q;

	if (!take_question(&l->revalidations, session, &q))
		return;
	if (q.ours)
		server_revalidated(l->z->server, session, valid);
	else if (q.link != NULL && l->relay != NULL)
		leader_relay_revalidated(l->relay, &q, valid);
}

static void
forget_in(struct buf *questions, const struct peer_link *link)
{
	struct learner_question q;

	for (size_t at = 0; at < questions->len; at += sizeof q) {
		memcpy(&q, questions->data + at, sizeof q);
		if (q.link != link)
			continue;
		q.link = NULL;
		memcpy(questions->data + at, &q, sizeof q);
	}
}

void
learner_forget_link(struct learner *l, const struct peer_link *link)
{
	forget_in(&l->syncs, link);
	forget_in(&l->revalidations, link);
}

void
learner_forget_questions(struct learner *l)
{
	buf_fini(&l->syncs);
	buf_fini(&l->revalidations);
}
