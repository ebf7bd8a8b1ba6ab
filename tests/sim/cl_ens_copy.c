/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of what the ensemble's model has, and an ensemble that begins anew from it: what was
 * written since is gone, transactions' numbers are smaller than those that were seen, and sessions
 * of then, with their nodes, are there until they expire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_ens.h"

struct saved_node {
	char path[CL_PATH_BYTES];
	struct cl_version version; /* with data of its own */
	uint32_t sequence;
};

struct cl_copy {
	struct saved_node *nodes;
	size_t count;
	bool *alive; /* sessions */
	size_t session_count;
	uint64_t epoch; /* of the last transaction */
	int64_t zxid;
};

void
cl_ens_copy_free(struct cl *c)
{
	struct cl_copy *k = c->ens->copy;

	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++)
		free(k->nodes[i].version.data);
	free(k->nodes);
	free(k->alive);
	free(k);
	c->ens->copy = NULL;
}

static void
save(struct cl_copy *k, const struct cl_node *n)
{
	const struct cl_version *v = n->count == 0 ? NULL : &n->versions[n->count - 1];
	struct saved_node *s;

	if (v == NULL || !v->exists)
		return;
	s = &k->nodes[k->count++];
	memcpy(s->path, n->path, sizeof s->path);
	s->version = *v;
	s->version.data = cl_alloc(v->size + 1);
	memcpy(s->version.data, v->data, v->size);
	s->sequence = n->sequence;
}

void
cl_ens_copy(struct cl *c)
{
	struct cl_ens *e = c->ens;
	struct cl_copy *k = cl_alloc(sizeof *k);
	struct list *it, *nx;

	cl_ens_copy_free(c);
	e->copy = k;
	k->nodes = cl_alloc(e->tree.nodes.count * sizeof *k->nodes);
	HMAP_EACH(it, nx, &e->tree.nodes)
		save(k, HMAP_ENTRY(it, struct cl_node, by_path));
	k->session_count = e->session_count;
	k->alive = cl_alloc(e->session_count + 1);
	for (size_t i = 0; i < e->session_count; i++)
		k->alive[i] = e->sessions[i].alive;
	k->epoch = e->zxid_epoch;
	k->zxid = e->commit_count == 0 ? 0 : e->commits[e->commit_count].zxid;
	cl_check_copy(c);
}

bool
cl_ens_has_copy(const struct cl *c)
{
	return c->ens->copy != NULL;
}

static void
restore_tree(struct cl_ens *e)
{
	uint64_t at = e->commit_count;
	struct list *it, *nx;

	HMAP_EACH(it, nx, &e->tree.nodes)
		cl_tree_set(&e->tree, HMAP_ENTRY(it, struct cl_node, by_path)->path, at, NULL, 0);
	for (size_t i = 0; i < e->copy->count; i++) {
		const struct saved_node *s = &e->copy->nodes[i];

		cl_tree_set(&e->tree, s->path, at, &s->version, s->sequence);
	}
}

/* Every server has the copy, and nothing else. */
void
cl_ens_restore(struct cl *c)
{
	struct cl_ens *e = c->ens;

	for (unsigned i = 0; i < e->count; i++)
		cl_ens_crash(c, i, 100 + rng_below(&e->rng, 1000));
	for (struct list *it = e->reigns.next; it != &e->reigns; it = it->next)
		CONTAINER_OF(it, struct cl_reign, link)->closed = true;
	e->zxid_epoch = e->copy->epoch;
	e->zxid_from += 1 << 20; /* no number comes again */
	cl_commit_restored(e, e->copy->zxid);
	restore_tree(e);
	for (size_t i = 0; i < e->session_count; i++)
		e->sessions[i].alive = i < e->copy->session_count && e->copy->alive[i];
	for (unsigned i = 0; i < e->count; i++) {
		struct cl_server *s = &e->servers[i];

		s->reign = s->log_reign = NULL;
		s->logged = 0;
		s->applied = e->commit_count;
	}
	cl_check_restored(c);
}
