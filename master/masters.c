/* SPDX-License-Identifier: Apache-2.0 */
/* Which masters there are, for the leader's status: the election's nodes, read as they change. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "master/master.h"
#include "master/store.h"

/* An answer's argument says which reading it is of, and which candidate. */
static_assert(MASTERS_MAX <= 256, "the candidate's number is the low byte");

static void
take_info(struct master *m, const struct zk_result *r, void *arg)
{
	uint64_t reading = (uintptr_t)arg >> 8;
	struct candidate *c = &m->masters.items[(uintptr_t)arg & 0xff];

	if (reading != m->masters.reading)
		return;
	if (r->rc == ZK_CONNECTIONLOSS)
		masters_read(m);
	else if (r->rc == ZK_OK && r->data != NULL) /* else its node went, and the watch says so */
		c->known = master_info_decode(&c->info, (const char *)r->data, r->size);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct candidate *)a)->node, ((const struct candidate *)b)->node);
}

static void
read_each(struct master *m)
{
	char path[sizeof STORE_ELECTION + ELECT_NODE_MAX];
	void *call;

	for (size_t i = 0; i < m->masters.count; i++) {
		snprintf(path, sizeof path, STORE_ELECTION "/%s", m->masters.items[i].node);
		call = store_call(
		    m, take_info, (void *)(uintptr_t)(m->masters.reading << 8 | (uint64_t)i));
		if (!store_asked(m, call,
			call == NULL ? ZK_NOMEMORY : zk_get(m->zk, path, NULL, store_done(), call),
			"read who the masters are"))
			return;
	}
}

static void
take_list(struct master *m, const struct zk_result *r, void *arg)
{
	struct masters *all = &m->masters;

	if ((uintptr_t)arg != all->reading)
		return;
	if (r->rc == ZK_CONNECTIONLOSS)
		masters_read(m);
	if (r->rc != ZK_OK)
		return;
	all->count = 0;
	for (size_t i = 0; i < r->child_count && all->count < MASTERS_MAX; i++) {
		struct candidate *c = &all->items[all->count];

		*c = (struct candidate){0};
		if (str_starts(r->children[i], ELECT_PREFIX) &&
		    str_copy(c->node, sizeof c->node, r->children[i]))
			all->count++;
	}
	qsort(all->items, all->count, sizeof all->items[0], by_name);
	read_each(m);
}

static void
changed(void *arg, enum zk_event event, const char *path)
{
	struct master *m = arg;

	(void)path;
	if (event != ZK_EVENT_LOST && m->leading)
		masters_read(m);
}

void
masters_read(struct master *m)
{
	struct zk_watch watch = {changed, m};
	void *call;

	m->masters.reading++;
	call = store_call(m, take_list, (void *)(uintptr_t)m->masters.reading);
	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY
			 : zk_children(m->zk, STORE_ELECTION, &watch, store_done(), call),
	    "list the masters");
}
