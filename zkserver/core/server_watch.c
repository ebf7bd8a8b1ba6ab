/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: set, asked for, taken off; and their events. */
#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/server_priv.h"

#define TEXT_BYTES_MIN 4

static void
tell(void *arg, struct watcher *who, struct watch_change *change, struct jute_bytes path)
{
	struct server *s = arg;
	struct server_conn *c = CONTAINER_OF(who, struct server_conn, watcher);

	if (c->end != SERVER_OPEN) {
		MARK("watch: who has been told of its session's end is told nothing more");
		return;
	}
	/* Who may not read the node is not told; the watch is used up all the same. */
	if (!acl_allows(&s->db->tree.acls, change->acl, ACL_READ, &c->ids) &&
	    !ZAB_PLANTED(PLANT_EVENTS_FOR_ALL)) {
		MARK("watch: who may not read the node is not told");
		return;
	}
	event_send(s, c, change->zxid, change->event, path);
	change->told++;
}

/* How many a change was told to, if it was to anybody. */
static void
count_told(struct server *s, const struct watch_change *change)
{
	static const enum zk_summary summaries[] = {
	    [WATCH_NODE_CREATED] = ZK_SUMMARY_NODE_CREATED_WATCH_COUNT,
	    [WATCH_NODE_DELETED] = ZK_SUMMARY_NODE_DELETED_WATCH_COUNT,
	    [WATCH_DATA_CHANGED] = ZK_SUMMARY_NODE_CHANGED_WATCH_COUNT,
	    [WATCH_CHILDREN_CHANGED] = ZK_SUMMARY_NODE_CHILDREN_WATCH_COUNT,
	};

	if (change->told > 0)
		zk_metrics_observe(&s->metrics, summaries[change->event], change->told);
}

static void
told_all(void *arg, const struct watch_change *change)
{
	struct server *s = arg;

	count_told(s, change);
	acl_unref(&s->db->tree.acls, change->acl);
}

void
watches_init(struct server *s)
{
	watch_table_init(
	    &s->watches, &s->db->tree.hash_key, &(struct watch_listener){tell, told_all, s});
}

void
watches_changed(void *arg, enum watch_event event, struct jute_bytes path, uint32_t acl)
{
	static const unsigned kinds[] = {
	    [WATCH_NODE_CREATED] = 1 << WATCH_DATA,
	    [WATCH_NODE_DELETED] = 1 << WATCH_DATA | 1 << WATCH_CHILD,
	    [WATCH_DATA_CHANGED] = 1 << WATCH_DATA,
	    [WATCH_CHILDREN_CHANGED] = 1 << WATCH_CHILD,
	};
	struct server *s = arg;
	struct watch_change change = {
	    event, ZAB_PLANTED(PLANT_EVENTS_EARLY) ? s->db->last_zxid : s->applying_zxid, acl, 0};

	if (s->audit != NULL && event == WATCH_NODE_DELETED &&
	    s->applying_type == ZK_OP_CLOSE_SESSION)
		audit_ephemeral(s->audit, s->applying_session, path);
	if (watch_trigger(&s->watches, kinds[event], &change, path))
		acl_ref(&s->db->tree.acls, acl); /* until told_all() */
	else
		count_told(s, &change);
}

/* What setWatches makes of one path: an event for what was missed, or a watch. */
enum rewatch {
	REWATCH_DATA,
	REWATCH_EXIST,
	REWATCH_CHILD,
	REWATCH_PERSISTENT,
	REWATCH_RECURSIVE,
	REWATCH_LISTS,
};

#define REWATCH_LISTS_OF_OLD REWATCH_PERSISTENT /* setWatches ends before those */

static int
watch_set(struct reading *q, enum watch_kind kind, enum watch_mode mode, struct jute_bytes path)
{
	return watch_add(&q->s->watches, kind, mode, path, &q->c->watcher) ? ZK_OK : ZK_SYSTEMERROR;
}

static int
watch_set_both(struct reading *q, enum watch_mode mode, struct jute_bytes path)
{
	int error = watch_set(q, WATCH_CHILD, mode, path);

	return error != ZK_OK ? error : watch_set(q, WATCH_DATA, mode, path);
}

static int
rewatch(struct reading *q, enum rewatch list, struct jute_bytes path, int64_t seen_zxid)
{
	const struct tree_node *n = tree_find(&q->s->db->tree, path);
	enum watch_kind kind = list == REWATCH_CHILD ? WATCH_CHILD : WATCH_DATA;
	enum watch_event event;

	if (list == REWATCH_EXIST
		? n == NULL
		: n != NULL && (list == REWATCH_DATA ? n->mzxid : n->pzxid) <= seen_zxid)
		return watch_set(q, kind, WATCH_ONCE, path);
	if (list == REWATCH_EXIST)
		event = WATCH_NODE_CREATED;
	else if (n == NULL)
		event = WATCH_NODE_DELETED;
	else
		event = list == REWATCH_DATA ? WATCH_DATA_CHANGED : WATCH_CHILDREN_CHANGED;
	if (ZAB_PLANTED(PLANT_MISSED_UNTOLD))
		return watch_set(q, kind, WATCH_ONCE, path);
	/* Somebody who may not read it learns nothing, not even that it is there. */
	if (n == NULL || acl_allows(&q->s->db->tree.acls, n->acl, ACL_READ, &q->c->ids))
		event_send(q->s, q->c, -1, event, path);
	else
		MARK("watch set again: who may not read the node is not told");
	return ZK_OK;
}

/*
 * Checked whole before anything is done, but for a list that is null: as in Apache's servers the
 * lists before it are done, and then it is an error. What a persistent watch has missed is not
 * told.
 */
int
read_set_watches(struct reading *q, bool persistent)
{
	int count_of_lists = persistent ? REWATCH_LISTS : REWATCH_LISTS_OF_OLD;
	int64_t seen_zxid = jute_get_i64(&q->r);
	struct jute_reader lists = q->r;
	int error = ZK_OK;

	for (int l = 0; l < count_of_lists; l++) {
		for (int32_t count = jute_get_count(&q->r, TEXT_BYTES_MIN); count > 0; count--)
			jute_get_bytes(&q->r);
	}
	if (q->r.bad)
		return ZK_MARSHALLINGERROR;
	for (int l = 0; l < count_of_lists; l++) {
		int32_t count = jute_get_count(&lists, TEXT_BYTES_MIN);

		if (count < 0)
			return ZK_MARSHALLINGERROR;
		for (; count > 0 && error == ZK_OK; count--) {
			struct jute_bytes path = jute_get_bytes(&lists);

			error =
			    l < REWATCH_PERSISTENT
				? rewatch(q, (enum rewatch)l, path, seen_zxid)
				: watch_set_both(q,
				      l == REWATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT,
				      path);
		}
	}
	return error;
}

/* Whether there is a node or who may read it is not asked: an event asks. */
int
read_add_watch(struct reading *q)
{
	struct jute_bytes path = jute_get_bytes(&q->r);
	int32_t mode = jute_get_i32(&q->r);
	int error;

	if (q->r.bad || (mode != ZK_ADD_WATCH_PERSISTENT && mode != ZK_ADD_WATCH_RECURSIVE))
		return ZK_MARSHALLINGERROR;
	error = watch_set_both(
	    q, mode == ZK_ADD_WATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT, path);
	jute_put_i32(q->c->out, ZK_OK); /* the record is one of an error */
	return error;
}

/* Ask `each` in the tables that a request names, whatever the mode: 3.9 has numbers for some. */
static int
each_watch(struct reading *q,
    bool (*each)(struct watch_table *, enum watch_kind, struct jute_bytes, struct watcher *))
{
	struct jute_bytes path = jute_get_bytes(&q->r);
	int32_t type = jute_get_i32(&q->r);
	bool found = false;

	if (q->r.bad || type < ZK_WATCHER_CHILDREN || type > ZK_WATCHER_ANY)
		return ZK_MARSHALLINGERROR;
	if (type != ZK_WATCHER_DATA)
		found |= each(&q->s->watches, WATCH_CHILD, path, &q->c->watcher);
	if (type != ZK_WATCHER_CHILDREN)
		found |= each(&q->s->watches, WATCH_DATA, path, &q->c->watcher);
	return found ? ZK_OK : ZK_NOWATCHER;
}

int
read_check_watches(struct reading *q)
{
	struct jute_reader ahead = q->r;

	if (jute_get_bytes(&ahead).len < 0)
		return ZK_MARSHALLINGERROR;
	return each_watch(q, watch_has);
}

int
read_remove_watches(struct reading *q)
{
	return each_watch(q, watch_remove);
}
