/* SPDX-License-Identifier: Apache-2.0 */
/* What the oracle remembers: the transactions that were made, and which of them are committed. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ens_check.h"

const struct hash_key ens_check_key = {1, 2};

void *
ens_book_grow(void *array, size_t *cap, size_t count, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap > 0 ? 2 * *cap : 1024;
	if ((array = realloc(array, *cap * size)) == NULL)
		exit(71);
	return array;
}

void
ens_check_init(struct ens_check *c, const struct members *members)
{
	memset(c, 0, sizeof *c);
	c->in_force = *members;
}

void
ens_check_fini(struct ens_check *c)
{
	for (size_t i = 0; i < c->made_count; i++)
		free(c->made[i].bytes);
	free(c->made);
	free(c->committed);
	free(c->ended);
}

uint64_t
ens_digest(const struct db *db)
{
	uint64_t sum = 0;
	struct list *at = NULL;
	struct session *s;

	while ((s = session_next(&db->sessions, &at)) != NULL)
		sum += hash_u64((uint64_t)s->id); /* the timeout is the last connection's */
	return hash_u64(db->tree.digest) + sum + 1;
}

int64_t
ens_check_last(const struct ens_check *c)
{
	return c->committed_count > 0 ? c->committed[c->committed_count - 1] : 0;
}

/* The place of a zxid among those made: its own, or where it would be. */
static size_t
place(const struct ens_check *c, int64_t zxid)
{
	size_t low = 0, high = c->made_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->made[middle].zxid < zxid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ens_txn *
ens_book_find(struct ens_check *c, int64_t zxid)
{
	size_t at = place(c, zxid);

	return at < c->made_count && c->made[at].zxid == zxid ? &c->made[at] : NULL;
}

struct ens_txn *
ens_book_insert(struct ens_check *c, int64_t zxid)
{
	size_t at = place(c, zxid);

	c->made = ens_book_grow(c->made, &c->made_cap, c->made_count, sizeof *c->made);
	memmove(c->made + at + 1, c->made + at, (c->made_count - at) * sizeof *c->made);
	c->made_count++;
	c->made[at] = (struct ens_txn){.zxid = zxid};
	return &c->made[at];
}

size_t
ens_committed_below(const struct ens_check *c, int64_t zxid)
{
	size_t low = 0, high = c->committed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->committed[middle] < zxid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
ens_is_committed(const struct ens_check *c, int64_t zxid)
{
	size_t at = ens_committed_below(c, zxid);

	return at < c->committed_count && c->committed[at] == zxid;
}

int64_t
ens_book_place(struct ens_check *c, int64_t zxid)
{
	const struct ens_txn *t;

	while (zxid != 0 && (uint32_t)zxid == 0 && (t = ens_book_find(c, zxid)) != NULL)
		zxid = t->prev;
	return zxid;
}
