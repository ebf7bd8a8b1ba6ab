/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/watch.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"

/* All watches at one path. */
struct watch_path {
	struct hmap_node link;
	struct watch_waiting *waiting;	  /* in no table any more; NULL: in one */
	struct list watches[WATCH_MODES]; /* struct watch.of_path */
	uint32_t once_count;
	int32_t len;
	uint8_t path[];
};

/* A trigger whose watches for one time are left for later. */
struct watch_waiting {
	struct list link;
	struct watch_change change;
	uint64_t number;
	struct watch_path *paths[WATCH_KINDS]; /* NULL: nobody waits there (any more) */
};

struct watch {
	struct list of_path, of_watcher;
	struct watcher *who;
	struct watch_path *at;
	uint8_t kind, mode; /* of enum watch_kind, enum watch_mode */
};

void
watch_table_init(
    struct watch_table *t, const struct hash_key *key, const struct watch_listener *listener)
{
	*t = (struct watch_table){
	    .hash_key = *key, .at_once_max = WATCH_AT_ONCE_MAX, .listener = *listener};
	list_init(&t->waiting);
	for (int k = 0; k < WATCH_KINDS; k++)
		hmap_init(&t->paths[k]);
}

/* What a watch counts for; a path is counted for each that watches it. */
static size_t
watch_bytes(const struct watch_path *p)
{
	return sizeof(struct watch) + sizeof *p + (size_t)p->len;
}

static void
watch_free(struct watch_table *t, struct watch *w)
{
	t->count[w->kind]--;
	t->recursive_count[w->kind] -= w->mode == WATCH_RECURSIVE;
	w->at->once_count -= w->mode == WATCH_ONCE;
	w->who->count--;
	w->who->bytes -= watch_bytes(w->at);
	list_remove(&w->of_path);
	list_remove(&w->of_watcher);
	free(w);
}

/* Nobody waits there any more. */
static void
path_free_unused(struct watch_table *t, enum watch_kind kind, struct watch_path *p)
{
	for (int m = 0; m < WATCH_MODES; m++) {
		if (!list_empty(&p->watches[m]))
			return;
	}
	if (p->waiting != NULL)
		p->waiting->paths[kind] = NULL;
	else
		hmap_remove(&t->paths[kind], &p->link);
	free(p);
}

static void
path_free(struct watch_table *t, enum watch_kind kind, struct watch_path *p)
{
	struct list *it, *nx;

	for (int m = 0; m < WATCH_MODES; m++) {
		LIST_EACH(it, nx, &p->watches[m])
			watch_free(t, CONTAINER_OF(it, struct watch, of_path));
	}
	path_free_unused(t, kind, p);
}

void
watch_table_fini(struct watch_table *t)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &t->waiting) {
		struct watch_waiting *g = CONTAINER_OF(it, struct watch_waiting, link);

		for (int k = 0; k < WATCH_KINDS; k++) {
			if (g->paths[k] != NULL)
				path_free(t, (enum watch_kind)k, g->paths[k]);
		}
		free(g);
	}
	for (int k = 0; k < WATCH_KINDS; k++) {
		HMAP_EACH(it, nx, &t->paths[k])
			path_free(t, (enum watch_kind)k, HMAP_ENTRY(it, struct watch_path, link));
		hmap_fini(&t->paths[k]);
	}
}

void
watcher_init(struct watcher *w)
{
	*w = (struct watcher){0};
	list_init(&w->watches);
}

static struct watch_path *
path_find_hashed(
    const struct watch_table *t, enum watch_kind kind, struct jute_bytes path, uint64_t hash)
{
	struct hmap_node *h;

	for (h = hmap_first(&t->paths[kind], hash); h != NULL; h = hmap_next(h)) {
		struct watch_path *p = CONTAINER_OF(h, struct watch_path, link);

		if (p->len == path.len && memcmp(p->path, path.data, (size_t)path.len) == 0)
			return p;
	}
	return NULL;
}

static struct watch_path *
path_find(const struct watch_table *t, enum watch_kind kind, struct jute_bytes path)
{
	if (t->count[kind] == 0 || path.len < 0)
		return NULL;
	return path_find_hashed(
	    t, kind, path, hash_bytes(&t->hash_key, path.data, (size_t)path.len));
}

static struct watch_path *
path_add(struct watch_table *t, enum watch_kind kind, struct jute_bytes path, uint64_t hash)
{
	struct watch_path *p = malloc(sizeof *p + (size_t)path.len);

	if (p == NULL)
		return NULL;
	p->waiting = NULL;
	p->once_count = 0;
	for (int m = 0; m < WATCH_MODES; m++)
		list_init(&p->watches[m]);
	p->len = path.len;
	memcpy(p->path, path.data, (size_t)path.len);
	if (!hmap_insert(&t->paths[kind], &p->link, hash)) {
		free(p);
		return NULL;
	}
	return p;
}

/* The watch of this watcher in one list of p's; the shorter of that and its own is searched. */
static struct watch *
list_find(const struct list *at, const struct watch_path *p, const struct watcher *who)
{
	struct list *a = at->next, *b = who->watches.next;

	for (; a != at && b != &who->watches; a = a->next, b = b->next) {
		struct watch *theirs = CONTAINER_OF(a, struct watch, of_path);
		struct watch *own = CONTAINER_OF(b, struct watch, of_watcher);

		if (theirs->who == who)
			return theirs;
		if (own->at == p)
			return own;
	}
	return NULL;
}

static struct watch *
watch_find(const struct watch_path *p, const struct watcher *who)
{
	struct watch *w = NULL;

	for (int m = 0; m < WATCH_MODES && w == NULL; m++)
		w = list_find(&p->watches[m], p, who);
	return w;
}

static void
set_mode(struct watch_table *t, struct watch *w, enum watch_mode mode)
{
	t->recursive_count[w->kind] += mode == WATCH_RECURSIVE;
	t->recursive_count[w->kind] -= w->mode == WATCH_RECURSIVE;
	w->at->once_count += mode == WATCH_ONCE;
	w->at->once_count -= w->mode == WATCH_ONCE;
	w->mode = (uint8_t)mode;
	list_remove(&w->of_path);
	list_append(&w->at->watches[mode], &w->of_path);
}

bool
watch_add(struct watch_table *t, enum watch_kind kind, enum watch_mode mode, struct jute_bytes path,
    struct watcher *who)
{
	uint64_t hash;
	struct watch_path *p;
	struct watch *w;

	if (path.len < 0)
		return true; /* nothing ever happens at no path */
	if (ZAB_PLANTED(PLANT_PERSISTENT_ENDS) && mode == WATCH_PERSISTENT)
		mode = WATCH_ONCE;
	hash = hash_bytes(&t->hash_key, path.data, (size_t)path.len);
	p = path_find_hashed(t, kind, path, hash);
	if (p != NULL && (w = watch_find(p, who)) != NULL) {
		if (w->mode != mode)
			set_mode(t, w, mode);
		return true;
	}
	if (who->bytes >= WATCHER_BYTES_MAX)
		return false;
	if (p == NULL && (p = path_add(t, kind, path, hash)) == NULL)
		return false;
	if ((w = malloc(sizeof *w)) == NULL) {
		path_free_unused(t, kind, p);
		return false;
	}
	*w = (struct watch){.who = who, .at = p, .kind = (uint8_t)kind, .mode = WATCH_MODES};
	list_init(&w->of_path);
	set_mode(t, w, mode);
	list_append(&who->watches, &w->of_watcher);
	who->count++;
	who->bytes += watch_bytes(p);
	t->count[kind]++;
	return true;
}

bool
watch_has(struct watch_table *t, enum watch_kind kind, struct jute_bytes path, struct watcher *who)
{
	const struct watch_path *p = path_find(t, kind, path);

	return p != NULL && watch_find(p, who) != NULL;
}

bool
watch_remove(
    struct watch_table *t, enum watch_kind kind, struct jute_bytes path, struct watcher *who)
{
	struct watch_path *p = path_find(t, kind, path);
	struct watch *w = p != NULL ? watch_find(p, who) : NULL;

	if (w == NULL)
		return false;
	watch_free(t, w);
	path_free_unused(t, kind, p);
	return true;
}

/* A change on its way to those who watch for it. */
struct trigger {
	struct watch_table *t;
	uint64_t number;
	struct watch_change *change;
	struct jute_bytes path;
};

static void
tell_once(const struct trigger *g, struct watcher *who)
{
	if (who->told == g->number)
		return;
	who->told = g->number;
	g->t->listener.tell(g->t->listener.arg, who, g->change, g->path);
}

/* The watch is used up. */
static void
tell_last(const struct trigger *g, struct watch *w)
{
	struct watcher *who = w->who;

	watch_free(g->t, w);
	tell_once(g, who);
}

static struct trigger
trigger_of(struct watch_table *t, struct watch_waiting *g, const struct watch_path *p)
{
	return (struct trigger){t, g->number, &g->change, {p->path, p->len}};
}

static void
waiting_free(struct watch_table *t, struct watch_waiting *g)
{
	t->listener.over(t->listener.arg, &g->change);
	list_remove(&g->link);
	t->waiting_count--;
	free(g);
}

/* One of those that wait for this change; NULL: there is none, and it is gone. */
static struct watcher *
tell_waiting(struct watch_table *t, struct watch_waiting *g)
{
	for (int k = 0; k < WATCH_KINDS; k++) {
		struct watch_path *p = g->paths[k];
		struct watcher *who;
		struct trigger now;
		struct watch *w;

		if (p == NULL)
			continue;
		w = CONTAINER_OF(list_first(&p->watches[WATCH_ONCE]), struct watch, of_path);
		who = w->who;
		now = trigger_of(t, g, p);
		tell_last(&now, w);
		path_free_unused(t, (enum watch_kind)k, p);
		return who;
	}
	waiting_free(t, g);
	return NULL;
}

struct watcher *
watch_tell_next(struct watch_table *t)
{
	struct watcher *who = NULL;
	struct list *first;

	while (who == NULL && (first = list_first(&t->waiting)) != NULL)
		who = tell_waiting(t, CONTAINER_OF(first, struct watch_waiting, link));
	return who;
}

static void
settle_one(struct watch_table *t, struct watch_waiting *g, struct watcher *who)
{
	for (int k = 0; k < WATCH_KINDS; k++) {
		struct watch_path *p = g->paths[k];
		struct watch *w = p != NULL ? list_find(&p->watches[WATCH_ONCE], p, who) : NULL;
		struct trigger now;

		if (w == NULL)
			continue;
		now = trigger_of(t, g, p);
		tell_last(&now, w);
		path_free_unused(t, (enum watch_kind)k, p);
	}
}

void
watch_settle(struct watch_table *t, struct watcher *who)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &t->waiting) {
		struct watch_waiting *g = CONTAINER_OF(it, struct watch_waiting, link);

		if (g->number > who->settled && !ZAB_PLANTED(PLANT_REPLY_FIRST))
			settle_one(t, g, who);
	}
	who->settled = t->triggers;
}

/* Events come in the order of their changes. */
static void
tell_now(const struct trigger *g, struct watcher *who)
{
	watch_settle(g->t, who);
	tell_once(g, who);
}

static void
tell_staying(const struct trigger *g, const struct watch_path *p, enum watch_mode mode)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->watches[mode])
		tell_now(g, CONTAINER_OF(it, struct watch, of_path)->who);
}

static bool
has_staying(const struct watch_path *p)
{
	return !list_empty(&p->watches[WATCH_PERSISTENT]) ||
	       !list_empty(&p->watches[WATCH_RECURSIVE]);
}

/* The watches that stay get a path of their own; false: no memory, nothing has changed. */
static bool
part(struct watch_table *t, enum watch_kind kind, struct watch_path *p)
{
	const struct jute_bytes path = {p->path, p->len};
	struct watch_path *stays = has_staying(p) ? path_add(t, kind, path, p->link.hash) : NULL;
	struct list *l;

	if (stays == NULL && has_staying(p))
		return false;
	hmap_remove(&t->paths[kind], &p->link);
	for (int m = WATCH_PERSISTENT; m < WATCH_MODES; m++) {
		while ((l = list_first(&p->watches[m])) != NULL) {
			list_remove(l);
			list_append(&stays->watches[m], l);
			CONTAINER_OF(l, struct watch, of_path)->at = stays;
		}
	}
	return true;
}

/* Leave p's watches for one time for later; false: no memory. */
static bool
put_off(const struct trigger *g, struct watch_waiting **later, enum watch_kind kind,
    struct watch_path *p)
{
	struct watch_table *t = g->t;
	bool first = *later == NULL;

	if (first && (*later = calloc(1, sizeof **later)) == NULL)
		return false;
	if (!part(t, kind, p)) {
		if (first) {
			free(*later);
			*later = NULL;
		}
		return false;
	}
	MARK("watch: many are left for later");
	p->waiting = *later;
	(*later)->paths[kind] = p;
	return true;
}

static void
tell_at(const struct trigger *g, struct watch_waiting **later, enum watch_kind kind,
    struct watch_path *p)
{
	struct list *it, *nx;

	if (g->change->event != WATCH_CHILDREN_CHANGED)
		tell_staying(g, p, WATCH_RECURSIVE);
	tell_staying(g, p, WATCH_PERSISTENT);
	if (p->once_count > g->t->at_once_max && put_off(g, later, kind, p))
		return;
	LIST_EACH(it, nx, &p->watches[WATCH_ONCE]) {
		struct watch *w = CONTAINER_OF(it, struct watch, of_path);

		watch_settle(g->t, w->who);
		tell_last(g, w);
	}
	path_free_unused(g->t, kind, p);
}

/* From the root down: each byte of the path is hashed once, however deep it is. */
static void
tell_above(const struct trigger *g, enum watch_kind kind)
{
	const uint8_t *path = g->path.data;
	struct hash_prefixes hashes;

	if (g->t->recursive_count[kind] == 0)
		return;
	hash_prefixes_init(&hashes, &g->t->hash_key, path);
	for (int32_t len = 1; len < g->path.len; len++) {
		bool root = len == 1 && path[0] == '/';
		const struct watch_path *p;

		if (path[len] != '/' && !root)
			continue;
		p = path_find_hashed(g->t, kind, (struct jute_bytes){path, len},
		    hash_prefixes_next(&hashes, (size_t)len));
		if (p != NULL)
			tell_staying(g, p, WATCH_RECURSIVE);
	}
}

bool
watch_trigger(
    struct watch_table *t, unsigned kinds, struct watch_change *change, struct jute_bytes path)
{
	const struct trigger g = {t, t->triggers + 1, change, path};
	struct watch_waiting *later = NULL;

	while (t->waiting_count >= WATCH_WAITING_MAX)
		tell_waiting(t, CONTAINER_OF(t->waiting.next, struct watch_waiting, link));
	for (int k = 0; k < WATCH_KINDS; k++) {
		enum watch_kind kind = (enum watch_kind)k;
		struct watch_path *p = kinds & 1u << k ? path_find(t, kind, path) : NULL;

		if (p != NULL)
			tell_at(&g, &later, kind, p);
		if (kinds & 1u << k && change->event != WATCH_CHILDREN_CHANGED)
			tell_above(&g, kind);
	}
	t->triggers++;
	if (later == NULL)
		return false;
	later->number = g.number;
	later->change = *change;
	list_append(&t->waiting, &later->link);
	t->waiting_count++;
	return true;
}

void
watch_remove_all(struct watch_table *t, struct watcher *who)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &who->watches) {
		struct watch *w = CONTAINER_OF(it, struct watch, of_watcher);
		struct watch_path *p = w->at;
		enum watch_kind kind = (enum watch_kind)w->kind;

		watch_free(t, w);
		path_free_unused(t, kind, p);
	}
}

void
watch_each_path(const struct watch_table *t, enum watch_kind kind,
    void (*each)(void *arg, const struct watch_path *p, struct jute_bytes path), void *arg)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->paths[kind]) {
		const struct watch_path *p = HMAP_ENTRY(it, struct watch_path, link);

		each(arg, p, (struct jute_bytes){p->path, p->len});
	}
}

void
watch_each_watcher(
    const struct watch_path *p, void (*each)(void *arg, const struct watcher *who), void *arg)
{
	struct list *it, *nx;

	for (int m = WATCH_ONCE; m < WATCH_RECURSIVE; m++) {
		LIST_EACH(it, nx, &p->watches[m])
			each(arg, CONTAINER_OF(it, struct watch, of_path)->who);
	}
}

void
watch_each_of(const struct watcher *who, enum watch_kind kind,
    void (*each)(void *arg, struct jute_bytes path), void *arg)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &who->watches) {
		const struct watch *w = CONTAINER_OF(it, struct watch, of_watcher);

		if (w->kind == kind)
			each(arg, (struct jute_bytes){w->at->path, w->at->len});
	}
}
