/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/watch.h"

#include <stdlib.h>
#include <string.h>

/* All watches at one path. */
struct watch_path {
	struct hmap_node link;
	struct list watches; /* struct watch.of_path */
	int32_t len;
	uint8_t path[];
};

struct watch {
	struct list of_path, of_watcher;
	struct watcher *who;
	struct watch_path *at;
	enum watch_kind kind;
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
	w->who->count--;
	w->who->bytes -= watch_bytes(w->at);
	list_remove(&w->of_path);
	list_remove(&w->of_watcher);
	free(w);
}

static void
path_free(struct watch_table *t, enum watch_kind kind, struct watch_path *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->watches)
		watch_free(t, CONTAINER_OF(it, struct watch, of_path));
	hmap_remove(&t->paths[kind], &p->link);
	free(p);
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
path_find(const struct watch_table *t, enum watch_kind kind, struct jute_bytes path, uint64_t hash)
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
path_add(struct watch_table *t, enum watch_kind kind, struct jute_bytes path, uint64_t hash)
{
	struct watch_path *p = malloc(sizeof *p + (size_t)path.len);

	if (p == NULL)
		return NULL;
	list_init(&p->watches);
	p->len = path.len;
	memcpy(p->path, path.data, (size_t)path.len);
	if (!hmap_insert(&t->paths[kind], &p->link, hash)) {
		free(p);
		return NULL;
	}
	return p;
}

/* The watch of this watcher at p; the shorter of the two lists is searched. */
static bool
path_has(const struct watch_path *p, const struct watcher *who)
{
	struct list *a = p->watches.next, *b = who->watches.next;

	for (; a != &p->watches && b != &who->watches; a = a->next, b = b->next) {
		if (CONTAINER_OF(a, struct watch, of_path)->who == who ||
		    CONTAINER_OF(b, struct watch, of_watcher)->at == p)
			return true;
	}
	return false;
}

bool
watch_add(struct watch_table *t, enum watch_kind kind, struct jute_bytes path, struct watcher *who)
{
	uint64_t hash;
	struct watch_path *p;
	struct watch *w;

	if (path.len < 0)
		return true; /* nothing ever happens at no path */
	hash = hash_bytes(&t->hash_key, path.data, (size_t)path.len);
	p = path_find(t, kind, path, hash);
	if (p != NULL && path_has(p, who))
		return true;
	if (who->bytes >= WATCHER_BYTES_MAX)
		return false;
	if (p == NULL && (p = path_add(t, kind, path, hash)) == NULL)
		return false;
	if ((w = malloc(sizeof *w)) == NULL) {
		if (list_empty(&p->watches))
			path_free(t, kind, p);
		return false;
	}
	*w = (struct watch){.who = who, .at = p, .kind = kind};
	list_append(&p->watches, &w->of_path);
	list_append(&who->watches, &w->of_watcher);
	who->count++;
	who->bytes += watch_bytes(p);
	t->count[kind]++;
	return true;
}

void
watch_trigger_begin(struct watch_table *t)
{
	t->triggers++;
}

void
watch_trigger(struct watch_table *t, enum watch_kind kind, enum watch_event event,
    struct jute_bytes path, watch_tell *tell, void *arg)
{
	struct list *it, *nx;
	struct watch_path *p;

	if (t->count[kind] == 0 ||
	    (p = path_find(t, kind, path, hash_bytes(&t->hash_key, path.data, (size_t)path.len))) ==
		NULL)
		return;
	LIST_EACH(it, nx, &p->watches) {
		struct watch *w = CONTAINER_OF(it, struct watch, of_path);
		struct watcher *who = w->who;

		watch_free(t, w);
		if (who->told == t->triggers)
			continue;
		who->told = t->triggers;
		tell(arg, who, event, path);
	}
	path_free(t, kind, p);
}

void
watch_remove_all(struct watch_table *t, struct watcher *who)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &who->watches) {
		struct watch *w = CONTAINER_OF(it, struct watch, of_watcher);
		struct watch_path *p = w->at;
		enum watch_kind kind = w->kind;

		watch_free(t, w);
		if (list_empty(&p->watches))
			path_free(t, kind, p);
	}
}
