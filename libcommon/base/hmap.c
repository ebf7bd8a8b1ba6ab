/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/hmap.h"

#include <assert.h>
#include <stdlib.h>

#define HMAP_FIRST_BUCKETS 16

void
hmap_init(struct hmap *m)
{
	*m = (struct hmap){0};
	list_init(&m->order);
}

void
hmap_fini(struct hmap *m)
{
	free(m->buckets);
	hmap_init(m);
}

static bool
hmap_grow(struct hmap *m)
{
	size_t count = m->bucket_count > 0 ? m->bucket_count * 2 : HMAP_FIRST_BUCKETS;
	struct hmap_node **buckets = calloc(count, sizeof *buckets);
	struct list *it, *nx;

	if (buckets == NULL)
		return false;
	LIST_EACH(it, nx, &m->order) {
		struct hmap_node *n = CONTAINER_OF(it, struct hmap_node, order);
		struct hmap_node **at = &buckets[n->hash & (count - 1)];

		n->next = *at;
		*at = n;
	}
	free(m->buckets);
	m->buckets = buckets;
	m->bucket_count = count;
	return true;
}

bool
hmap_insert(struct hmap *m, struct hmap_node *n, uint64_t hash)
{
	struct hmap_node **at;

	/* A full table that cannot grow still works, only slower; an empty one does not. */
	if (m->count >= m->bucket_count && !hmap_grow(m) && m->bucket_count == 0)
		return false;
	n->hash = hash;
	at = &m->buckets[hash & (m->bucket_count - 1)];
	n->next = *at;
	*at = n;
	list_append(&m->order, &n->order);
	m->count++;
	return true;
}

void
hmap_remove(struct hmap *m, struct hmap_node *n)
{
	struct hmap_node **at;

	assert(m->count > 0);
	at = &m->buckets[n->hash & (m->bucket_count - 1)];
	while (*at != n) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = n->next;
	list_remove(&n->order);
	m->count--;
}

static struct hmap_node *
hmap_match(struct hmap_node *n, uint64_t hash)
{
	while (n != NULL && n->hash != hash)
		n = n->next;
	return n;
}

struct hmap_node *
hmap_first(const struct hmap *m, uint64_t hash)
{
	if (m->bucket_count == 0)
		return NULL;
	return hmap_match(m->buckets[hash & (m->bucket_count - 1)], hash);
}

struct hmap_node *
hmap_next(const struct hmap_node *n)
{
	return hmap_match(n->next, n->hash);
}
