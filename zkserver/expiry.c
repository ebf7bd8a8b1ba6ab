/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/expiry.h"

#include <stdlib.h>

#define CONN_SET_MS 10000

static int
by_time(const void *a, const void *b)
{
	const struct expiry_item *x = a, *y = b;

	return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

static bool
allocate(struct expiry *e, size_t most)
{
	*e = (struct expiry){calloc(most > 0 ? most : 1, sizeof *e->items), 0};
	return e->items != NULL;
}

bool
expiry_of_sessions(struct expiry *e, const struct server *s)
{
	const struct session *session;
	struct list *at = NULL;

	if (!allocate(e, session_count(&s->db->sessions)))
		return false;
	while (s->db->sessions.started && (session = session_next(&s->db->sessions, &at)) != NULL)
		e->items[e->count++] = (struct expiry_item){session->expires_ms, session};
	qsort(e->items, e->count, sizeof *e->items, by_time);
	return true;
}

bool
expiry_of_conns(struct expiry *e, const struct server *s)
{
	struct list *it, *nx;

	if (!allocate(e, s->conn_count))
		return false;
	LIST_EACH(it, nx, &s->conns) {
		const struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);
		uint64_t seen_ms = c->touched_ms > c->since_ms ? c->touched_ms : c->since_ms;
		uint64_t limit_ms =
		    c->session != NULL ? (uint64_t)c->timeout_ms : (uint64_t)CONN_SET_MS;

		e->items[e->count++] =
		    (struct expiry_item){((seen_ms + limit_ms) / CONN_SET_MS + 1) * CONN_SET_MS, c};
	}
	qsort(e->items, e->count, sizeof *e->items, by_time);
	return true;
}

void
expiry_fini(struct expiry *e)
{
	free(e->items);
}

size_t
expiry_set_size(const struct expiry *e, size_t i)
{
	size_t n = 1;

	while (i + n < e->count && e->items[i + n].at_ms == e->items[i].at_ms)
		n++;
	return n;
}

size_t
expiry_set_count(const struct expiry *e)
{
	size_t sets = 0;

	for (size_t i = 0; i < e->count; i += expiry_set_size(e, i))
		sets++;
	return sets;
}
