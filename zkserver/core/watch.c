/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/watch.h"

#include <stdlib.h>
#include <string.h>

/* All watches at one path. Recursive ones apart: a change below looks at no others. */
struct watch_path {
	struct hmap_node link;
	struct list watches, recursive; /* struct watch.of_path */
	int32_t len;
	uint8_t path[];
};

struct watch {
	struct list of_path, of_watcher;
	struct watcher *who;
	struct watch_path *at;
	uint8_t kind, mode; /* of enum watch_kind, enum watch_mode */
};

void
watch_table_init(struct watch_table *t, const struct hash_key *key)
{
	*t = (struct watch_table){.hash_key = *key};
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
	if (!list_empty(&p->watches) || !list_empty(&p->recursive))
		return;
	hmap_remove(&t->paths[kind], &p->link);
	free(p);
}

static void
path_free(struct watch_table *t, enum watch_kind kind, struct watch_path *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->watches)
		watch_free(t, CONTAINER_OF(it, struct watch, of_path));
	LIST_EACH(it, nx, &p->recursive)
		watch_free(t, CONTAINER_OF(it, struct watch, of_path));
	path_free_unused(t, kind, p);
}

void
watch_table_fini(struct watch_table *t)
{
	struct list *it, *nx;

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
	list_init(&p->watches);
	list_init(&p->recursive);
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
	struct watch *w = list_find(&p->watches, p, who);

	return w != NULL ? w : list_find(&p->recursive, p, who);
}

static void
set_mode(struct watch_table *t, struct watch *w, enum watch_mode mode)
{
	bool recursive = mode == WATCH_RECURSIVE;

	t->recursive_count[w->kind] += recursive;
	t->recursive_count[w->kind] -= w->mode == WATCH_RECURSIVE;
	w->mode = (uint8_t)mode;
	list_remove(&w->of_path);
	list_append(recursive ? &w->at->recursive : &w->at->watches, &w->of_path);
}

bool
watch_add(struct watch_table *t, enum watch_kind kind, enum watch_mode mode,
    struct jute_bytes path, struct watcher *who)
{
	uint64_t hash;
	struct watch_path *p;
	struct watch *w;

	if (path.len < 0)
		return true; /* nothing ever happens at no path */
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
	*w = (struct watch){.who = who, .at = p, .kind = (uint8_t)kind, .mode = WATCH_ONCE};
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

void
watch_trigger_begin(struct watch_table *t)
{
	t->triggers++;
}

/* What a trigger says, and to whom. */
struct trigger {
	struct watch_table *t;
	enum watch_event event;
	struct jute_bytes path;
	watch_tell *tell;
	void *arg;
};

static void
tell_once(const struct trigger *g, struct watcher *who)
{
	if (who->told == g->t->triggers)
		return;
	who->told = g->t->triggers;
	g->tell(g->arg, who, g->event, g->path);
}

static void
tell_recursive(const struct trigger *g, struct watch_path *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->recursive)
		tell_once(g, CONTAINER_OF(it, struct watch, of_path)->who);
}

static void
tell_at(const struct trigger *g, enum watch_kind kind, struct watch_path *p)
{
	struct list *it, *nx;

	if (g->event != WATCH_CHILDREN_CHANGED)
		tell_recursive(g, p);
	LIST_EACH(it, nx, &p->watches) {
		struct watch *w = CONTAINER_OF(it, struct watch, of_path);
		struct watcher *who = w->who;

		if (w->mode == WATCH_ONCE)
			watch_free(g->t, w);
		tell_once(g, who);
	}
	path_free_unused(g->t, kind, p);
}

/* The path of the parent; false for the root. */
static bool
go_up(struct jute_bytes *path)
{
	int32_t len = path->len;

	if (len <= 1)
		return false;
	while (len > 0 && path->data[len - 1] != '/')
		len--;
	path->len = len > 1 ? len - 1 : len;
	return len > 0;
}

void
watch_trigger(struct watch_table *t, enum watch_kind kind, enum watch_event event,
    struct jute_bytes path, watch_tell *tell, void *arg)
{
	const struct trigger g = {t, event, path, tell, arg};
	struct watch_path *p = path_find(t, kind, path);

	if (p != NULL)
		tell_at(&g, kind, p);
	while (t->recursive_count[kind] > 0 && event != WATCH_CHILDREN_CHANGED && go_up(&path)) {
		if ((p = path_find(t, kind, path)) != NULL)
			tell_recursive(&g, p);
	}
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

	LIST_EACH(it, nx, &p->watches)
		each(arg, CONTAINER_OF(it, struct watch, of_path)->who);
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
