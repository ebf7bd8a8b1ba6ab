/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/qpacket.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#define INFO_BYTES 20
#define INFO_BYTES_OLD 12
#define INFO_BYTES_SID 8
#define REQUEST_HEAD_BYTES 16
#define COUNT_BYTES 4

static int32_t
peek_i32(const uint8_t *p)
{
	struct jute_reader r = jute_reader(p, 4);

	return jute_get_i32(&r);
}

/* A string of an Id at bytes[*at]: 1 and *at behind it, 0 and *need if it is short, -1: none. */
static int
skip_string(const uint8_t *bytes, size_t size, size_t *at, size_t *need)
{
	int32_t len;

	*need = *at + COUNT_BYTES;
	if (size < *need)
		return 0;
	if ((len = peek_i32(bytes + *at)) < -1 || len > QPACKET_IDS_BYTES_MAX)
		return -1;
	*need += len > 0 ? (size_t)len : 0;
	if (size < *need)
		return 0;
	*at = *need;
	return 1;
}

/* The vector at bytes[*at]. As above. */
static int
skip_ids(struct qpacket *p, const uint8_t *bytes, size_t size, size_t *at, size_t *need)
{
	size_t from = *at + COUNT_BYTES;

	*need = from;
	if (size < *need)
		return 0;
	p->id_count = peek_i32(bytes + *at);
	if (p->id_count < -1 || p->id_count > QPACKET_IDS_BYTES_MAX / (2 * COUNT_BYTES))
		return -1;
	*at = from;
	for (int32_t i = 0; i < 2 * p->id_count; i++) {
		int got = skip_string(bytes, size, at, need);

		if (got != 1)
			return got;
		if (*at - from > QPACKET_IDS_BYTES_MAX)
			return -1;
	}
	p->ids = (struct jute_bytes){bytes + from, (int32_t)(*at - from)};
	return 1;
}

enum qpacket_got
qpacket_decode(
    struct qpacket *p, const uint8_t *bytes, size_t size, size_t data_bytes_max, size_t *used)
{
	struct jute_reader r = jute_reader(bytes, size);
	size_t at = QPACKET_HEAD_BYTES;
	int32_t len;
	int got;

	*p = (struct qpacket){.type = jute_get_i32(&r), .zxid = jute_get_i64(&r)};
	len = jute_get_i32(&r);
	*used = at;
	if (r.bad)
		return QPACKET_SHORT;
	if (len < -1 || (len > 0 && (size_t)len > data_bytes_max))
		return QPACKET_BAD;
	at += len > 0 ? (size_t)len : 0;
	*used = at;
	if (size < at)
		return QPACKET_SHORT;
	p->data = (struct jute_bytes){len >= 0 ? bytes + QPACKET_HEAD_BYTES : NULL, len};
	got = skip_ids(p, bytes, size, &at, used);
	if (got != 1)
		return got == 0 ? QPACKET_SHORT : QPACKET_BAD;
	*used = at;
	return QPACKET_WHOLE;
}

static void
put_head(struct buf *to, int32_t type, int64_t zxid, int32_t len)
{
	jute_put_i32(to, type);
	jute_put_i64(to, zxid);
	jute_put_i32(to, len);
}

/* In one piece: there are a few of these for each transaction. */
void
qpacket_put(struct buf *to, int32_t type, int64_t zxid, const void *data, size_t size)
{
	const struct {
		uint32_t type, zxid[2], len;
	} head = {htobe32((uint32_t)type),
	    {htobe32((uint32_t)((uint64_t)zxid >> 32)), htobe32((uint32_t)zxid)},
	    htobe32(data != NULL ? (uint32_t)size : UINT32_MAX)};
	const uint32_t no_ids = UINT32_MAX;
	size_t bytes = data != NULL ? size : 0;
	uint8_t *p = buf_reserve(to, sizeof head + bytes + sizeof no_ids);

	if (p == NULL)
		return;
	memcpy(p, &head, sizeof head);
	if (bytes > 0)
		memcpy(p + sizeof head, data, bytes);
	memcpy(p + sizeof head + bytes, &no_ids, sizeof no_ids);
	buf_commit(to, sizeof head + bytes + sizeof no_ids);
}

const char *
qpacket_name(int32_t type, char to[24])
{
	static const char *const names[] = {[QPACKET_REQUEST] = "REQUEST",
	    [QPACKET_PROPOSAL] = "PROPOSAL",
	    [QPACKET_ACK] = "ACK",
	    [QPACKET_COMMIT] = "COMMIT",
	    [QPACKET_PING] = "PING",
	    [QPACKET_REVALIDATE] = "REVALIDATE",
	    [QPACKET_SYNC] = "SYNC",
	    [QPACKET_INFORM] = "INFORM",
	    [QPACKET_COMMIT_AND_ACTIVATE] = "COMMITANDACTIVATE",
	    [QPACKET_NEWLEADER] = "NEWLEADER",
	    [QPACKET_FOLLOWERINFO] = "FOLLOWERINFO",
	    [QPACKET_UPTODATE] = "UPTODATE",
	    [QPACKET_DIFF] = "DIFF",
	    [QPACKET_TRUNC] = "TRUNC",
	    [QPACKET_SNAP] = "SNAP",
	    [QPACKET_OBSERVERINFO] = "OBSERVERINFO",
	    [QPACKET_LEADERINFO] = "LEADERINFO",
	    [QPACKET_ACKEPOCH] = "ACKEPOCH",
	    [QPACKET_INFORM_AND_ACTIVATE] = "INFORMANDACTIVATE"};

	if (type >= QPACKET_REQUEST && type <= QPACKET_INFORM_AND_ACTIVATE)
		snprintf(to, 24, "%s", names[type]);
	else
		snprintf(to, 24, "type %d", (int)type);
	return to;
}

bool
learner_info_decode(struct learner_info *info, struct jute_bytes data)
{
	struct jute_reader r;

	*info = (struct learner_info){.anonymous = data.len <= 0, .sid = -1};
	if (data.len <= 0)
		return true;
	if (data.len < INFO_BYTES_SID)
		return false;
	r = jute_reader(data.data, (size_t)data.len);
	info->sid = jute_get_i64(&r);
	if (data.len >= INFO_BYTES_OLD)
		info->protocol = jute_get_i32(&r);
	if (data.len >= INFO_BYTES)
		info->config_version = jute_get_i64(&r);
	return true;
}

void
learner_info_put(
    struct buf *to, int32_t type, int32_t accepted_epoch, const struct learner_info *info)
{
	put_head(to, type, accepted_epoch * (INT64_C(1) << 32), INFO_BYTES);
	jute_put_i64(to, info->sid);
	jute_put_i32(to, info->protocol);
	jute_put_i64(to, info->config_version);
	jute_put_i32(to, -1);
}

void
qpacket_put_leader_info(struct buf *to, int32_t epoch)
{
	put_head(to, QPACKET_LEADERINFO, (int64_t)epoch << 32, 4);
	jute_put_i32(to, QPACKET_PROTOCOL);
	jute_put_i32(to, -1);
}

/* A reader of data that must have at least so many bytes. */
static bool
data_reader(const struct qpacket *p, int32_t bytes_min, struct jute_reader *r)
{
	if (p->data.len < bytes_min)
		return false;
	*r = jute_reader(p->data.data, (size_t)p->data.len);
	return true;
}

bool
qpacket_leader_info_check(const struct qpacket *p)
{
	struct jute_reader r;

	return data_reader(p, 4, &r) && jute_get_i32(&r) >= QPACKET_PROTOCOL;
}

void
qpacket_put_ack_epoch(struct buf *to, int64_t zxid, int32_t current)
{
	put_head(to, QPACKET_ACKEPOCH, zxid, 4);
	jute_put_i32(to, current);
	jute_put_i32(to, -1);
}

bool
qpacket_ack_epoch_decode(const struct qpacket *p, int32_t *current)
{
	struct jute_reader r;

	if (!data_reader(p, 4, &r))
		return false;
	*current = jute_get_i32(&r);
	return *current >= -1;
}

void
qpacket_put_request(struct buf *to, int64_t session, int32_t cxid, int32_t type,
    const uint8_t *body, size_t size, const struct acl_ids *who)
{
	put_head(to, QPACKET_REQUEST, -1, (int32_t)(REQUEST_HEAD_BYTES + size));
	jute_put_i64(to, session);
	jute_put_i32(to, cxid);
	jute_put_i32(to, type);
	if (size > 0)
		buf_append(to, body, size);
	jute_put_i32(to, who != NULL ? who->count : -1);
	if (who != NULL && who->count > 0)
		buf_append(to, who->ids.data, who->ids.len);
}

bool
qpacket_request_decode(const struct qpacket *p, struct qpacket_request *q)
{
	struct jute_reader r;

	if (!data_reader(p, REQUEST_HEAD_BYTES, &r))
		return false;
	q->session = jute_get_i64(&r);
	q->cxid = jute_get_i32(&r);
	q->type = jute_get_i32(&r);
	q->body = r;
	return true;
}

bool
qpacket_ids(const struct qpacket *p, struct acl_ids *who)
{
	struct jute_reader r = jute_reader(p->ids.data, p->ids.len > 0 ? (size_t)p->ids.len : 0);
	const uint8_t *from = r.pos;

	*who = (struct acl_ids){0};
	/* More than a connection of ours may have are an Apache server's; the first ones count. */
	while (who->count < p->id_count && who->count < ACL_IDS_MAX) {
		jute_get_bytes(&r);
		jute_get_bytes(&r);
		if (r.bad)
			return false;
		who->count++;
	}
	who->ids = (struct buf){.data = (uint8_t *)from, .len = (size_t)(r.pos - from)};
	return true;
}

void
qpacket_put_revalidate(struct buf *to, int64_t session, int32_t timeout_ms)
{
	put_head(to, QPACKET_REVALIDATE, -1, 12);
	jute_put_i64(to, session);
	jute_put_i32(to, timeout_ms);
	jute_put_i32(to, -1);
}

bool
qpacket_revalidate_decode(const struct qpacket *p, int64_t *session, int32_t *timeout_ms)
{
	struct jute_reader r;

	if (!data_reader(p, 12, &r))
		return false;
	*session = jute_get_i64(&r);
	*timeout_ms = jute_get_i32(&r);
	return true;
}

void
qpacket_put_revalidated(struct buf *to, int64_t session, bool valid)
{
	put_head(to, QPACKET_REVALIDATE, -1, 9);
	jute_put_i64(to, session);
	jute_put_bool(to, valid);
	jute_put_i32(to, -1);
}

bool
qpacket_revalidated_decode(const struct qpacket *p, int64_t *session, bool *valid)
{
	struct jute_reader r;

	if (!data_reader(p, 9, &r))
		return false;
	*session = jute_get_i64(&r);
	*valid = jute_get_bool(&r);
	return true;
}

bool
qpacket_touch_next(struct jute_reader *r, int64_t *session, int32_t *timeout_ms)
{
	if (jute_left(r) < 12)
		return false;
	*session = jute_get_i64(r);
	*timeout_ms = jute_get_i32(r);
	return true;
}
