/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and events: what goes out on a connection. */
#include <endian.h>
#include <string.h>

#include "zkserver/core/server_priv.h"

void
server_mark_dirty(struct server *s, struct server_conn *c)
{
	list_remove(&c->told);
	if (list_empty(&c->dirty))
		list_append(&s->dirty, &c->dirty);
}

void
server_end_conn(struct server *s, struct server_conn *c, enum server_end how)
{
	if (how > c->end)
		c->end = how;
	server_mark_dirty(s, c);
}

void
server_refuse_conn(struct server *s, struct server_conn *c, enum server_end how, const char *why)
{
	if (c->why == NULL)
		c->why = why;
	server_end_conn(s, c, how);
}

static size_t
header_begin(struct server_conn *c)
{
	size_t at = c->out->len;

	if (buf_reserve(c->out, REPLY_HEADER_BYTES) != NULL)
		buf_commit(c->out, REPLY_HEADER_BYTES);
	return at;
}

size_t
reply_begin(struct server *s, struct server_conn *c)
{
	watch_settle(&s->watches, &c->watcher);
	return header_begin(c);
}

static void
put_be32(uint8_t *p, uint32_t v)
{
	uint32_t be = htobe32(v);

	memcpy(p, &be, sizeof be);
}

static void
put_be64(uint8_t *p, uint64_t v)
{
	uint64_t be = htobe64(v);

	memcpy(p, &be, sizeof be);
}

/* Count what was sent; a buffer that failed means that the peer reads too slowly. */
static void
sent(struct server *s, struct server_conn *c, bool event)
{
	if (c->out->failed) {
		server_refuse_conn(s, c, SERVER_CLOSE_NOW, "it does not read what it is sent");
		return;
	}
	c->sent++;
	s->stats.sent++;
	if (!event)
		server_mark_dirty(s, c);
	else if (list_empty(&c->dirty) && list_empty(&c->told))
		list_append(&s->told, &c->told);
}

void
reply_end(
    struct server *s, struct server_conn *c, size_t at, int32_t xid, int64_t zxid, int32_t error)
{
	uint8_t *p;
	size_t size;

	if (!c->out->failed) {
		if (error != ZK_OK)
			buf_truncate(c->out, at + REPLY_HEADER_BYTES);
		size = c->out->len - at - 4;
		p = c->out->data + at;
		put_be32(p, (uint32_t)size);
		put_be32(p + 4, (uint32_t)xid);
		put_be64(p + 8, (uint64_t)zxid);
		put_be32(p + 16, (uint32_t)error);
		if (xid == ZK_XID_EVENT)
			zk_metrics_count(&s->metrics, ZK_COUNTER_WATCH_BYTES, size);
		else
			zk_metrics_response(&s->metrics, size);
		/* Apache's server leaves pings out of the sum. */
		if (xid != ZK_XID_EVENT && xid != ZK_XID_PING)
			zk_metrics_count(&s->metrics, ZK_COUNTER_RESPONSE_BYTES, size);
	}
	sent(s, c, xid == ZK_XID_EVENT);
}

void
reply_send(struct server *s, struct server_conn *c, int32_t xid, int64_t zxid, int32_t error,
    const struct buf *record)
{
	size_t at = reply_begin(s, c);

	if (record != NULL)
		buf_append(c->out, record->data, record->len);
	reply_end(s, c, at, xid, zxid, error);
}

void
event_send(struct server *s, struct server_conn *c, int64_t zxid, enum watch_event event,
    struct jute_bytes path)
{
	size_t at = header_begin(c);

	jute_put_i32(c->out, (int32_t)event);
	jute_put_i32(c->out, ZK_STATE_CONNECTED);
	jute_put_bytes(c->out, path);
	reply_end(s, c, at, ZK_XID_EVENT, zxid, ZK_OK);
}
