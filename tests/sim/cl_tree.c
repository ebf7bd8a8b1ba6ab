/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes of the ensemble's model, each with what it was before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "tests/sim/cl_zk.h"

#define PAST_MAX 64 /* versions of one node that are kept: a server lags by far less */

static uint64_t
hash_path(const char *path)
{
	static const struct hash_key key = {1, 2};

	return hash_bytes(&key, path, strlen(path));
}

void
cl_tree_init(struct cl_tree *t)
{
	hmap_init(&t->nodes);
}

void
cl_tree_fini(struct cl_tree *t)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->nodes) {
		struct cl_node *n = HMAP_ENTRY(it, struct cl_node, by_path);

		hmap_remove(&t->nodes, &n->by_path);
		for (size_t i = 0; i < n->count; i++)
			free(n->versions[i].data);
		free(n->versions);
		free(n);
	}
	hmap_fini(&t->nodes);
}

static struct cl_node *
find(const struct cl_tree *t, const char *path)
{
	struct hmap_node *h = hmap_first(&t->nodes, hash_path(path));

	for (; h != NULL; h = hmap_next(h)) {
		struct cl_node *n = CONTAINER_OF(h, struct cl_node, by_path);

		if (strcmp(n->path, path) == 0)
			return n;
	}
	return NULL;
}

static struct cl_node *
find_or_make(struct cl_tree *t, const char *path)
{
	struct cl_node *n = find(t, path);

	if (n != NULL)
		return n;
	n = cl_alloc(sizeof *n);
	snprintf(n->path, sizeof n->path, "%s", path);
	if (!hmap_insert(&t->nodes, &n->by_path, hash_path(path)))
		exit(71);
	return n;
}

static struct cl_version *
latest(struct cl_node *n)
{
	return n != NULL && n->count > 0 ? &n->versions[n->count - 1] : NULL;
}

/* A version for commit `at`, like the one before. */
static struct cl_version *
version_for(struct cl_node *n, uint64_t at)
{
	struct cl_version *last = latest(n);

	if (last != NULL && last->at == at) {
		free(last->data);
		last->data = NULL;
		return last;
	}
	if (n->count == PAST_MAX) {
		free(n->versions[0].data);
		memmove(n->versions, n->versions + 1, --n->count * sizeof *n->versions);
	}
	if (n->count == n->cap) {
		n->cap = n->cap == 0 ? 2 : 2 * n->cap;
		if ((n->versions = realloc(n->versions, n->cap * sizeof *n->versions)) == NULL)
			exit(71);
	}
	last = latest(n);
	n->versions[n->count] = last != NULL ? *last : (struct cl_version){0};
	n->versions[n->count].at = at;
	n->versions[n->count].data = NULL;
	return &n->versions[n->count++];
}

static void
undo(struct cl_tree *t, uint64_t at)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->nodes) {
		struct cl_node *n = HMAP_ENTRY(it, struct cl_node, by_path);

		if (n->count > 0 && n->versions[n->count - 1].at == at)
			free(n->versions[--n->count].data);
	}
}

static bool
exists(const struct cl_tree *t, const char *path)
{
	const struct cl_version *v = latest(find(t, path));

	return v != NULL && v->exists;
}

static void
fill(struct cl_version *v, const struct cl_op *op)
{
	v->size = op->size;
	v->data = malloc(op->size + 1);
	if (v->data == NULL)
		exit(71);
	memcpy(v->data, op->data, op->size);
	v->data[op->size] = '\0';
}

static bool
is_candidate(const char *path)
{
	return strncmp(path, CL_ELECTION "/", sizeof CL_ELECTION) == 0;
}

static int
create(struct cl_tree *t, uint64_t at, int64_t zxid, int64_t session, const struct cl_op *op,
    struct cl_outcome *o)
{
	char parent[CL_PATH_BYTES];
	struct cl_version *v;
	char *slash;

	snprintf(parent, sizeof parent, "%s", op->path);
	slash = strrchr(parent, '/');
	*slash = '\0';
	if (parent[0] != '\0' && !exists(t, parent))
		return CL_NONODE;
	if (op->ephemeral)
		snprintf(o->path, sizeof o->path, "%s%010u", op->path,
		    find_or_make(t, parent)->sequence++);
	else
		snprintf(o->path, sizeof o->path, "%s", op->path);
	if (exists(t, o->path))
		return CL_NODEEXISTS;
	v = version_for(find_or_make(t, o->path), at);
	v->exists = true;
	v->czxid = o->czxid = zxid;
	v->owner = op->ephemeral ? session : 0;
	fill(v, op);
	o->election = o->election || is_candidate(o->path);
	return CL_OK;
}

static int
apply_one(struct cl_tree *t, uint64_t at, int64_t zxid, int64_t session, const struct cl_op *op,
    struct cl_outcome *o)
{
	struct cl_version *v;

	if (op->kind == CL_OP_CREATE)
		return create(t, at, zxid, session, op, o);
	if (!exists(t, op->path))
		return CL_NONODE;
	if (op->kind == CL_OP_CHECK)
		return CL_OK;
	v = version_for(find(t, op->path), at);
	if (op->kind == CL_OP_SET) {
		fill(v, op);
		o->czxid = v->czxid;
		return CL_OK;
	}
	v->exists = false;
	v->size = 0;
	o->election = o->election || is_candidate(op->path);
	return CL_OK;
}

void
cl_tree_apply(struct cl_tree *t, uint64_t at, int64_t zxid, int64_t session, const uint8_t *ops,
    size_t size, struct cl_outcome *o)
{
	const uint8_t *end = ops + size;
	struct cl_op op;

	memset(o, 0, sizeof *o);
	for (size_t i = 0; cl_ops_get(&ops, end, &op); i++) {
		o->rc = apply_one(t, at, zxid, session, &op, o);
		if (o->rc == CL_OK)
			continue;
		o->failed_at = i;
		o->election = false;
		undo(t, at);
		return;
	}
}

bool
cl_tree_end_session(struct cl_tree *t, uint64_t at, int64_t session)
{
	struct list *it, *nx;
	bool some = false;

	HMAP_EACH(it, nx, &t->nodes) {
		struct cl_node *n = HMAP_ENTRY(it, struct cl_node, by_path);
		struct cl_version *v = latest(n);

		if (v == NULL || !v->exists || v->owner != session)
			continue;
		v = version_for(n, at);
		v->exists = false;
		v->size = 0;
		some = true;
	}
	return some;
}

void
cl_tree_set(
    struct cl_tree *t, const char *path, uint64_t at, const struct cl_version *v, uint32_t sequence)
{
	struct cl_node *n = find_or_make(t, path);
	struct cl_version *to = version_for(n, at);
	struct cl_op op = {.data = ""};

	to->exists = v != NULL;
	to->czxid = v == NULL ? 0 : v->czxid;
	to->owner = v == NULL ? 0 : v->owner;
	n->sequence = sequence;
	if (v != NULL) {
		op.data = v->data;
		op.size = v->size;
	}
	fill(to, &op);
}

const struct cl_version *
cl_tree_get(const struct cl_tree *t, const char *path, uint64_t at)
{
	const struct cl_node *n = find(t, path);

	for (size_t i = n == NULL ? 0 : n->count; i > 0; i--)
		if (n->versions[i - 1].at <= at)
			return n->versions[i - 1].exists ? &n->versions[i - 1] : NULL;
	return NULL;
}

unsigned
cl_tree_children(const struct cl_tree *t, const char *path, uint64_t at, struct buf *names)
{
	size_t len = strlen(path);
	struct list *it, *nx;
	unsigned count = 0;

	HMAP_EACH(it, nx, &t->nodes) {
		const struct cl_node *n = HMAP_ENTRY(it, struct cl_node, by_path);

		if (strncmp(n->path, path, len) != 0 || n->path[len] != '/' ||
		    strchr(n->path + len + 1, '/') != NULL || cl_tree_get(t, n->path, at) == NULL)
			continue;
		buf_append(names, n->path + len + 1, strlen(n->path + len + 1) + 1);
		count++;
	}
	return count;
}

/* ---- Operations as bytes. ---- */

struct op_head {
	uint8_t kind, ephemeral;
	uint16_t path_size; /* with its NUL */
	uint32_t size;
};

void
cl_ops_put(struct buf *b, const struct cl_op *op)
{
	struct op_head h = {
	    (uint8_t)op->kind, op->ephemeral, (uint16_t)(strlen(op->path) + 1), (uint32_t)op->size};

	buf_append(b, &h, sizeof h);
	buf_append(b, op->path, h.path_size);
	if (op->size > 0)
		buf_append(b, op->data, op->size);
}

bool
cl_ops_get(const uint8_t **at, const uint8_t *end, struct cl_op *op)
{
	struct op_head h;

	if ((size_t)(end - *at) < sizeof h)
		return false;
	memcpy(&h, *at, sizeof h);
	*at += sizeof h;
	op->kind = (enum cl_op_kind)h.kind;
	op->ephemeral = h.ephemeral;
	op->path = (const char *)*at;
	*at += h.path_size;
	op->data = *at;
	op->size = h.size;
	*at += h.size;
	return true;
}
