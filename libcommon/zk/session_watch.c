/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does with watches: set, fired, taken off. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "libcommon/zk/session_internal.h"

void
zk_session_event(struct zk_session *s, struct jute_reader *r)
{
	int32_t type = jute_get_i32(r);
	struct list fired, *it, *next;
	struct jute_bytes path;
	char *text;

	(void)jute_get_i32(r); /* state */
	path = jute_get_bytes(r);
	if (r->bad || path.len < 0 || type < ZK_EVENT_CREATED || type > ZK_EVENT_CHILDREN) {
		s->drop = "it sent an event that cannot be read";
		return;
	}
	list_init(&fired);
	text = strndup((const char *)path.data, (size_t)path.len);
	/* After a reconnect the one-shot watches are set again, and their event comes again. */
	if (text == NULL || !watches_fire(&s->watches, (enum zk_event)type, text, &fired))
		s->drop = "out of memory";
	free(text);
	LIST_EACH(it, next, &fired) {
		list_remove(it);
		list_append(&s->fired, it);
	}
}

static enum watch_kind
kind_of(const struct zk_request *q, int rc)
{
	switch (q->type) {
	case ZK_OP_ADD_WATCH:
		return q->watch->kind;
	case ZK_OP_GET_CHILDREN2:
		return WATCH_CHILD;
	default:
		return rc == ZK_NONODE ? WATCH_EXIST : WATCH_DATA;
	}
}

/* Is the answer one that sets the watch? */
static bool
sets(const struct zk_request *q, int rc)
{
	return rc == ZK_OK || (rc == ZK_NONODE && q->type == ZK_OP_EXISTS);
}

/* The server has none there (any more), or nobody shall hear of it. */
static bool
takes_off(const struct zk_request *q, int rc)
{
	return rc == ZK_OK || rc == ZK_NOWATCHER || (q->local && rc == ZK_CONNECTIONLOSS);
}

bool
zk_session_watch_answered(struct zk_session *s, struct zk_request *q, int rc)
{
	struct watch *watch = q->watch;
	enum watch_kind kind;

	if (watch == NULL)
		return true;
	if (q->type == ZK_OP_REMOVE_WATCHES) {
		if (takes_off(q, rc))
			watches_remove(&s->watches, watch->path, &s->fired);
		return true;
	}
	if (!sets(q, rc))
		return true;
	kind = kind_of(q, rc);
	q->watch = NULL; /* the table takes it */
	s->watch_asked_count--;
	q->result.watching = watches_add(&s->watches, watch, kind);
	return q->result.watching;
}
