/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client must be told, and nothing else: of each change that one of its watches is about, if
 * it may read the node then, in the order in which it happened, before any reply that shows it.
 */
#include <string.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens_check.h"

/* The tables in which a change is looked for. */
static const unsigned tables[] = {
    [WATCH_NODE_CREATED] = 1 << WATCH_DATA,
    [WATCH_NODE_DELETED] = 1 << WATCH_DATA | 1 << WATCH_CHILD,
    [WATCH_DATA_CHANGED] = 1 << WATCH_DATA,
    [WATCH_CHILDREN_CHANGED] = 1 << WATCH_CHILD,
};

void
ens_watch_connected(struct ens_client *c)
{
	c->event_at = model_events_after(&c->e->model, c->seen_zxid);
	c->looked_zxid = 0;
	c->missed_count = 0;
	c->event_zxid = 0;
}

void
ens_watch_forget(struct ens_client *c)
{
	c->watch_count = 0;
}

/* Those on their way, too, may need some: each at most two. */
bool
ens_watch_has_room(const struct ens_client *c)
{
	return c->watch_count + (size_t)2 * ENS_REQUESTS_MAX / 2 <= ENS_WATCHES_MAX - 2 &&
	       c->request_count < ENS_REQUESTS_MAX / 2 - 1;
}

static struct ens_watch *
find(struct ens_client *c, enum watch_kind kind, const char *path)
{
	for (size_t i = 0; i < c->watch_count; i++)
		if (c->watches[i].kind == kind && strcmp(c->watches[i].path, path) == 0)
			return &c->watches[i];
	return NULL;
}

void
ens_watch_add(
    struct ens_client *c, enum watch_kind kind, enum watch_mode mode, bool exist, const char *path)
{
	struct ens_watch *w = find(c, kind, path);

	if (w == NULL && c->watch_count == ENS_WATCHES_MAX) {
		ENS_VIOLATION(c, "client %u has too many watches for the simulation", c->number);
		return;
	}
	if (w == NULL)
		w = &c->watches[c->watch_count++];
	*w = (struct ens_watch){
	    .kind = kind, .mode = mode, .exist = exist, .hash = model_hash(path)};
	memcpy(w->path, path, strlen(path) + 1);
}

static bool
is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (len == 1 || path[len] == '/' || path[len] == '\0');
}

static bool
covers(const struct ens_watch *w, const struct model_event *e)
{
	if ((tables[e->type] >> w->kind & 1) == 0)
		return false;
	if (w->mode == WATCH_RECURSIVE)
		return e->type != WATCH_CHILDREN_CHANGED && is_below(e->path, w->path);
	return w->hash == e->hash && strcmp(w->path, e->path) == 0;
}

/* A change has happened: is there a watch? What was for one time is used up, told or not. */
static bool
fire(struct ens_client *c, const struct model_event *e)
{
	bool any = false;

	for (size_t i = 0; i < c->watch_count;) {
		struct ens_watch *w = &c->watches[i];

		if (!covers(w, e)) {
			i++;
			continue;
		}
		any = true;
		if (w->mode == WATCH_ONCE)
			*w = c->watches[--c->watch_count];
		else
			i++;
	}
	return any;
}

/* The next change up to zxid that it must be told of: taken; NULL: there is none. */
static const struct model_event *
next(struct ens_client *c, int64_t zxid)
{
	const struct model *m = &c->e->model;

	while (c->event_at < m->event_count && m->events[c->event_at].zxid <= zxid) {
		const struct model_event *e = &m->events[c->event_at++];

		if (fire(c, e) && ens_work_may(c->e, e->acl, c->users, ACL_READ))
			return e;
	}
	return NULL;
}

static void
check_all_told(struct ens_client *c, int64_t zxid, const char *name)
{
	const struct model_event *e = next(c, zxid);

	if (e != NULL)
		ENS_VIOLATION(c,
		    "%s: client %u is at 0x%llx, was not told of event %d at %s, 0x%llx", name,
		    c->number, (unsigned long long)zxid, e->type, e->path,
		    (unsigned long long)e->zxid);
}

void
ens_watch_reply(struct ens_client *c, int64_t zxid)
{
	if (zxid < c->event_zxid)
		ENS_VIOLATION(c, "W2: client %u is answered at 0x%llx behind an event of 0x%llx",
		    c->number, (unsigned long long)zxid, (unsigned long long)c->event_zxid);
	if (!c->read_only)
		check_all_told(c, zxid, "W1");
}

/* ---- events ---- */

static bool
sets_watches(const struct ens_client *c)
{
	return c->request_count > 0 && c->requests[0].op == ZK_OP_SET_WATCHES2;
}

static void
note_missed(struct ens_client *c, int32_t type, struct jute_bytes path)
{
	struct ens_missed *m = &c->missed[c->missed_count];

	if (c->missed_count == ENS_WATCHES_MAX || path.len >= ENS_PATH_BYTES) {
		ENS_VIOLATION(c, "W5: client %u is told of more than it has watches", c->number);
		return;
	}
	c->missed_count++;
	m->type = type;
	memcpy(m->path, path.data, (size_t)path.len);
	m->path[path.len] = '\0';
}

/* What is wrong with this event, of which the model knows nothing at this place? */
static void
complain(struct ens_client *c, int64_t zxid, int32_t type, struct jute_bytes path,
    const struct model_event *due)
{
	const struct model *m = &c->e->model;
	const char *name = "W3", *what = "has no watch for";

	for (size_t i = model_events_after(m, zxid - 1);
	     i < m->event_count && m->events[i].zxid == zxid; i++) {
		const struct model_event *e = &m->events[i];

		if (e->type != type || (size_t)path.len != strlen(e->path) ||
		    memcmp(path.data, e->path, (size_t)path.len) != 0)
			continue;
		if (!ens_work_may(c->e, e->acl, c->users, ACL_READ))
			name = "W7", what = "may not read";
		else if (due != NULL)
			name = "W2", what = "was to be told of another one before";
		goto said;
	}
	name = "W9";
	what = "is told of at a transaction that has not made it";
said:
	ENS_VIOLATION(c,
	    "%s: client %u, event %d at %.*s, 0x%llx: which it %s (due: %d at %s, 0x%llx)", name,
	    c->number, type, path.len, (const char *)path.data, (unsigned long long)zxid, what,
	    due != NULL ? due->type : 0, due != NULL ? due->path : "-",
	    (unsigned long long)(due != NULL ? due->zxid : 0));
}

void
ens_watch_event(struct ens_client *c, int64_t zxid, struct jute_reader r)
{
	const struct model_event *due;
	int32_t type = jute_get_i32(&r);
	struct jute_bytes path;

	jute_get_i32(&r);
	path = jute_get_bytes(&r);
	c->events++;
	if (r.bad || type < WATCH_NODE_CREATED || type > WATCH_CHILDREN_CHANGED || path.len <= 0) {
		ENS_VIOLATION(c, "W4: client %u is told of what is no event", c->number);
		return;
	}
	if (c->session == 0) {
		ENS_VIOLATION(c,
		    "W8: client %u is told of event %d at %.*s behind its session's end", c->number,
		    type, path.len, (const char *)path.data);
		return;
	}
	if (sets_watches(c) && zxid == -1) {
		note_missed(c, type, path);
		return;
	}
	if (c->read_only) {
		ENS_VIOLATION(c, "C11: client %u is told of a change by a server without a leader",
		    c->number);
		return;
	}
	due = next(c, zxid);
	if (due == NULL || due->zxid != zxid || due->type != type ||
	    (size_t)path.len != strlen(due->path) ||
	    memcmp(path.data, due->path, (size_t)path.len) != 0)
		complain(c, zxid, type, path, due);
	c->event_zxid = zxid;
}

/* ---- set again ---- */

enum again { LIST_DATA, LIST_EXIST, LIST_CHILD, LIST_PERSISTENT, LIST_RECURSIVE, LISTS };

static enum again
list_of(const struct ens_watch *w)
{
	if (w->mode == WATCH_RECURSIVE)
		return LIST_RECURSIVE;
	if (w->mode == WATCH_PERSISTENT)
		return LIST_PERSISTENT;
	if (w->kind == WATCH_CHILD)
		return LIST_CHILD;
	return w->exist ? LIST_EXIST : LIST_DATA;
}

/* Persistent ones stand in both tables, or the other one has been replaced: they come back whole.
 */
static bool
is_listed(struct ens_client *c, const struct ens_watch *w, enum again list)
{
	const struct ens_watch *other = find(c, WATCH_DATA, w->path);

	if (list_of(w) != list)
		return false;
	return list < LIST_PERSISTENT || w->kind == WATCH_DATA || other == NULL ||
	       list_of(other) != list;
}

void
ens_watch_put(struct ens_client *c)
{
	c->relative_zxid = c->seen_zxid;
	jute_put_i64(&c->wire, c->relative_zxid);
	for (enum again list = LIST_DATA; list < LISTS; list++) {
		size_t at = c->wire.len;
		int32_t count = 0;

		jute_put_i32(&c->wire, 0);
		for (size_t i = 0; i < c->watch_count; i++)
			if (is_listed(c, &c->watches[i], list)) {
				jute_put_text(&c->wire, c->watches[i].path);
				count++;
			}
		jute_set_i32(&c->wire, at, count);
	}
}

/* What must be told of a watch that is set again, by what the node is at zxid; 0: nothing. */
static int32_t
missed_type(const struct ens_client *c, enum again list, const char *path, int64_t zxid)
{
	const struct model_state *s = model_at(&c->e->model, path, zxid);
	bool exists = s != NULL && s->exists;

	if (list == LIST_EXIST)
		return exists ? WATCH_NODE_CREATED : 0;
	if (!exists)
		return WATCH_NODE_DELETED;
	if (list == LIST_DATA)
		return s->mzxid > c->relative_zxid ? WATCH_DATA_CHANGED : 0;
	return s->pzxid > c->relative_zxid ? WATCH_CHILDREN_CHANGED : 0;
}

static void
check_missed(struct ens_client *c, size_t *told, int32_t type, const char *path, int64_t zxid)
{
	const struct ens_missed *m = *told < c->missed_count ? &c->missed[*told] : NULL;
	const struct model_state *s = model_at(&c->e->model, path, zxid);
	bool may = s == NULL || !s->exists || ens_work_may(c->e, s->acl, c->users, ACL_READ);

	if (m != NULL && m->type == type && strcmp(m->path, path) == 0) {
		if (!may)
			ENS_VIOLATION(c, "W7: client %u is told of event %d at %s, may not read it",
			    c->number, type, path);
		++*told;
	} else if (may)
		ENS_VIOLATION(c,
		    "W5: client %u sets its watches again at 0x%llx, is not told of "
		    "event %d at %s",
		    c->number, (unsigned long long)zxid, type, path);
}

/* The lists one after the other; what a persistent watch has missed is not told. */
static size_t
check_lists(struct ens_client *c, int64_t zxid)
{
	struct ens_watch was[ENS_WATCHES_MAX];
	size_t count = c->watch_count, told = 0;

	memcpy(was, c->watches, count * sizeof was[0]);
	c->watch_count = 0;
	for (enum again list = LIST_DATA; list < LISTS; list++)
		for (size_t i = 0; i < count; i++) {
			const struct ens_watch *w = &was[i];
			int32_t type;

			if (list_of(w) != list)
				continue;
			if (list >= LIST_PERSISTENT) {
				ens_watch_add(c, WATCH_CHILD, w->mode, false, w->path);
				ens_watch_add(c, WATCH_DATA, w->mode, false, w->path);
				continue;
			}
			type = missed_type(c, list, w->path, zxid);
			if (type != 0)
				check_missed(c, &told, type, w->path, zxid);
			else
				ens_watch_add(c, w->kind, w->mode, w->exist, w->path);
		}
	return told;
}

void
ens_watch_set_again(struct ens_client *c, int64_t zxid)
{
	size_t told;

	if (c->read_only && !ens_is_committed(&c->e->check, zxid)) {
		c->watch_count = 0; /* nobody knows which of them it has told of */
		return;
	}
	told = check_lists(c, zxid);
	c->event_at = model_events_after(&c->e->model, zxid);
	if (told != c->missed_count)
		ENS_VIOLATION(c, "W5: client %u is told of event %d at %s, which it has not missed",
		    c->number, c->missed[told].type, c->missed[told].path);
	c->missed_count = 0;
}

/* ---- asked for and taken off ---- */

static bool
take_off(struct ens_client *c, enum watch_kind kind, const char *path, bool remove)
{
	struct ens_watch *w = find(c, kind, path);

	if (w != NULL && remove)
		*w = c->watches[--c->watch_count];
	return w != NULL;
}

void
ens_watch_answer(struct ens_client *c, const struct ens_request *q, int32_t error)
{
	const char *path = q->parts[0].path;
	bool remove = q->op == ZK_OP_REMOVE_WATCHES, found = false;

	if (q->op == ZK_OP_ADD_WATCH) {
		enum watch_mode mode =
		    q->mode == ZK_ADD_WATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT;

		ens_watch_add(c, WATCH_CHILD, mode, false, path);
		ens_watch_add(c, WATCH_DATA, mode, false, path);
		if (error != ZK_OK)
			ENS_VIOLATION(c, "W6: client %u: a watch at %s fails with %d", c->number,
			    path, error);
		return;
	}
	if (q->mode != ZK_WATCHER_DATA)
		found |= take_off(c, WATCH_CHILD, path, remove);
	if (q->mode != ZK_WATCHER_CHILDREN)
		found |= take_off(c, WATCH_DATA, path, remove);
	if (!c->read_only && error != (found ? ZK_OK : ZK_NOWATCHER))
		ENS_VIOLATION(c, "W6: client %u: it has %s watch at %s, is answered %d", c->number,
		    found ? "a" : "no", path, error);
}

/* ---- what the server has ---- */

void
ens_watch_turn(struct ens_node *n)
{
	size_t watches = 0;

	if (n->fatal || n->e->world.violation[0] != '\0')
		return;
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &n->e->clients[i];

		if (c->node != n)
			continue;
		watches += c->core.watcher.count;
		if (!c->connected || c->core.end != SERVER_OPEN || c->read_only ||
		    sets_watches(c) || c->looked_zxid == n->db.last_zxid)
			continue;
		c->looked_zxid = n->db.last_zxid;
		check_all_told(c, n->db.last_zxid, "W4");
		if (c->watch_count != c->core.watcher.count)
			ENS_VIOLATION(c, "W6: client %u has %zu watches, server %lld keeps %zu",
			    c->number, c->watch_count, (long long)n->sid, c->core.watcher.count);
	}
	if (n->server.watches.count[WATCH_DATA] + n->server.watches.count[WATCH_CHILD] != watches)
		ENS_VIOLATION(n, "W8: server %lld keeps %zu watches, its connections have %zu",
		    (long long)n->sid,
		    n->server.watches.count[WATCH_DATA] + n->server.watches.count[WATCH_CHILD],
		    watches);
}
