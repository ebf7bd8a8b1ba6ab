/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/watches.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/jute.h"

#define WATCH_KINDS 5
#define WATCH_KINDS_ONCE WATCH_PERSISTENT

void
watches_init(struct watches *w, const struct hash_key *key)
{
	*w = (struct watches){.key = *key};
	hmap_init(&w->map);
}

void
watches_fini(struct watches *w)
{
	struct list *it, *next;

	HMAP_EACH(it, next, &w->map)
		watch_free(HMAP_ENTRY(it, struct watch, node));
	hmap_fini(&w->map);
}

struct watch *
watch_new(const struct zk_watch *call, const char *path)
{
	size_t size = strlen(path) + 1;
	struct watch *watch = calloc(1, sizeof *watch + size);

	if (watch == NULL)
		return NULL;
	list_init(&watch->link);
	watch->call = *call;
	memcpy(watch->path, path, size);
	return watch;
}

void
watch_free(struct watch *watch)
{
	free(watch);
}

static uint64_t
watches_hash(const struct watches *w, const char *path)
{
	return hash_bytes(&w->key, path, strlen(path));
}

static struct watch *
watch_of(struct hmap_node *n)
{
	return n != NULL ? CONTAINER_OF(n, struct watch, node) : NULL;
}

static bool
watch_same_call(const struct watch *a, const struct watch *b)
{
	return a->call.fire == b->call.fire && a->call.arg == b->call.arg;
}

bool
watches_add(struct watches *w, struct watch *watch, enum watch_kind kind)
{
	uint64_t hash = watches_hash(w, watch->path);
	struct watch *old = watch_of(hmap_first(&w->map, hash));

	watch->kind = kind;
	for (; old != NULL; old = watch_of(hmap_next(&old->node))) {
		if (old->kind == kind && watch_same_call(old, watch) &&
		    strcmp(old->path, watch->path) == 0) {
			watch_free(watch);
			return true;
		}
	}
	if (!hmap_insert(&w->map, &watch->node, hash)) {
		watch_free(watch);
		return false;
	}
	w->persistent_count += kind >= WATCH_PERSISTENT;
	w->recursive_count += kind == WATCH_RECURSIVE;
	return true;
}

static void
watch_take(struct watches *w, struct watch *watch)
{
	hmap_remove(&w->map, &watch->node);
	w->persistent_count -= watch->kind >= WATCH_PERSISTENT;
	w->recursive_count -= watch->kind == WATCH_RECURSIVE;
}

static bool
watch_concerned(const struct watch *watch, enum zk_event event)
{
	switch (event) {
	case ZK_EVENT_CREATED:
	case ZK_EVENT_CHANGED:
		return watch->kind != WATCH_CHILD;
	case ZK_EVENT_CHILDREN:
		return watch->kind == WATCH_CHILD || watch->kind == WATCH_PERSISTENT;
	default:
		return true;
	}
}

static void
watch_move(struct watches *w, struct watch *watch, enum zk_event event, struct list *fired)
{
	watch_take(w, watch);
	watch->event = event;
	list_append(fired, &watch->link);
}

/* It stays; the copy says what changed. */
static bool
watch_copy(const struct watch *watch, enum zk_event event, const char *path, struct list *fired)
{
	struct watch *copy = watch_new(&watch->call, path);

	if (copy == NULL)
		return false;
	copy->event = event;
	list_append(fired, &copy->link);
	return true;
}

/* A caller that watched a node's data and its children hears of its deletion once. */
static bool
watch_fired_already(const struct watch *watch, struct list *fired)
{
	struct list *it, *next;

	LIST_EACH(it, next, fired) {
		if (watch_same_call(CONTAINER_OF(it, struct watch, link), watch))
			return true;
	}
	return false;
}

/* Those at `at`, which is the path that changed or one above it. */
static bool
fire_at(
    struct watches *w, enum zk_event event, const char *path, const char *at, struct list *fired)
{
	struct watch *watch = watch_of(hmap_first(&w->map, watches_hash(w, at))), *next;
	bool above = at != path, ok = true;

	for (; watch != NULL && ok; watch = next) {
		bool told = watch_fired_already(watch, fired);

		next = watch_of(hmap_next(&watch->node));
		if (strcmp(watch->path, at) != 0 || !watch_concerned(watch, event) ||
		    (above && watch->kind != WATCH_RECURSIVE))
			continue;
		if (watch->kind >= WATCH_PERSISTENT) {
			ok = told || watch_copy(watch, event, path, fired);
		} else if (told) {
			watch_take(w, watch);
			watch_free(watch);
		} else {
			watch_move(w, watch, event, fired);
		}
	}
	return ok;
}

/* Cut the path to its parent's; false for the root. */
static bool
go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

bool
watches_fire(struct watches *w, enum zk_event event, const char *path, struct list *fired)
{
	bool ok = fire_at(w, event, path, path, fired);
	char *above;

	if (w->recursive_count == 0 || event == ZK_EVENT_CHILDREN || !ok)
		return ok;
	if ((above = strdup(path)) == NULL)
		return false;
	while (ok && go_up(above))
		ok = fire_at(w, event, path, above, fired);
	free(above);
	return ok;
}

void
watches_remove(struct watches *w, const char *path, struct list *fired)
{
	struct watch *watch = watch_of(hmap_first(&w->map, watches_hash(w, path))), *next;

	for (; watch != NULL; watch = next) {
		next = watch_of(hmap_next(&watch->node));
		if (strcmp(watch->path, path) == 0)
			watch_move(w, watch, ZK_EVENT_LOST, fired);
	}
}

void
watches_lose(struct watches *w, struct list *fired)
{
	struct list *it, *next;

	HMAP_EACH(it, next, &w->map)
		watch_move(w, HMAP_ENTRY(it, struct watch, node), ZK_EVENT_LOST, fired);
}

/* Another watch of the same path and kind stands before it in its chain: the server needs one. */
static bool
watch_told_already(const struct watches *w, const struct watch *watch)
{
	const struct watch *other = watch_of(hmap_first(&w->map, watch->node.hash));

	while (other != watch) {
		if (other->kind == watch->kind && strcmp(other->path, watch->path) == 0)
			return true;
		other = watch_of(hmap_next(&other->node));
	}
	return false;
}

/* Append the paths of one kind in [from, to) as a vector. */
static void
kind_encode(const struct watches *w, enum watch_kind kind, const struct list *from,
    const struct list *to, struct buf *b)
{
	size_t at = b->len;
	int32_t count = 0;

	jute_put_i32(b, 0);
	for (const struct list *it = from; it != to; it = it->next) {
		const struct watch *watch = HMAP_ENTRY(it, const struct watch, node);

		if (watch->kind == kind && !watch_told_already(w, watch)) {
			jute_put_text(b, watch->path);
			count++;
		}
	}
	if (!b->failed)
		jute_set_i32(b, at, count);
}

void
watches_encode(const struct watches *w, int64_t zxid, size_t path_bytes_max, const struct list **at,
    struct buf *b)
{
	int kinds = w->persistent_count > 0 ? WATCH_KINDS : WATCH_KINDS_ONCE;
	const struct list *from = *at != NULL ? *at : w->map.order.next, *to = from;
	size_t bytes = 0, next;

	for (; to != &w->map.order; to = to->next, bytes += next) {
		next = strlen(HMAP_ENTRY(to, const struct watch, node)->path);
		if (bytes > 0 && bytes + next > path_bytes_max)
			break;
	}
	jute_put_i64(b, zxid);
	for (int kind = 0; kind < kinds; kind++)
		kind_encode(w, (enum watch_kind)kind, from, to, b);
	*at = to != &w->map.order ? to : NULL;
}
