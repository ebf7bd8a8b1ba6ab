/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new leader reads below /corral, whatever the nodes' texts are: lines "= PATH", each with
 * the text of that node below it; without such a line the path's node is not there. If all is read,
 * what this leader stores is read by the next one, and says the same.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/core/load.h"
#include "tests/fuzz/fuzz.h"

#define MIB (UINT64_C(1) << 20)

enum { NODES_MAX = 64, TURNS_MAX = 40 };

struct node {
	char path[160];
	char *text;
	size_t size;
	int64_t czxid;
};

struct world {
	struct node nodes[NODES_MAX];
	size_t count;
	int64_t zxid;
	unsigned left; /* nodes that were left alone */
	bool full;
};

static struct node *
find(struct world *w, const char *path)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->nodes[i].path, path) == 0)
			return &w->nodes[i];
	return NULL;
}

static void
put(struct world *w, const char *path, const void *text, size_t size, int64_t czxid)
{
	struct node *n = find(w, path);

	if (n == NULL && w->count == NODES_MAX) {
		w->full = true;
		return;
	}
	if (n == NULL) {
		n = &w->nodes[w->count++];
		*n = (struct node){.czxid = czxid};
		snprintf(n->path, sizeof n->path, "%s", path);
	}
	free(n->text);
	n->text = malloc(size > 0 ? size : 1);
	assert(n->text != NULL);
	if (size > 0)
		memcpy(n->text, text, size);
	n->size = size;
}

static void
drop(struct world *w, const char *path)
{
	struct node *n = find(w, path);

	if (n == NULL)
		return;
	free(n->text);
	*n = w->nodes[--w->count];
}

/* --- the texts --- */

/* The end of the line that begins at `at`. */
static size_t
line_end(const char *text, size_t at, size_t size)
{
	const char *end = memchr(text + at, '\n', size - at);

	return end == NULL ? size : (size_t)(end - text);
}

static bool
is_path(const char *text, size_t at, size_t end)
{
	return end - at > 3 && text[at] == '=' && text[at + 1] == ' ' && text[at + 2] == '/';
}

static void
read_nodes(struct world *w, const char *text, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t end = line_end(text, at, size), from = end < size ? end + 1 : size,
		       to = from;
		char path[160];

		if (!is_path(text, at, end)) {
			at = from;
			continue;
		}
		snprintf(path, sizeof path, "%.*s", (int)(end - at - 2), text + at + 2);
		while (to < size && !is_path(text, to, line_end(text, to, size)))
			to = line_end(text, to, size) + 1;
		to = to > size ? size : to;
		put(w, path, text + from, to - from, ++w->zxid);
		at = to;
	}
}

/* --- a leader --- */

/* A job's text: its count, then words that make its policy. */
static void *
parse(const char *name, const char *text, size_t text_size, uint32_t *count,
    struct job_policy *policy, char *error, size_t size)
{
	char *copy = strndup(text, text_size);
	unsigned long wanted = copy == NULL ? 0 : strtoul(copy, NULL, 10);

	(void)name;
	if (wanted == 0 || wanted > 20000) {
		snprintf(error, size, "no count");
		free(copy);
		return NULL;
	}
	*count = (uint32_t)wanted;
	*policy = (struct job_policy){.need = {100, 4 * MIB, 0},
	    .service = strstr(copy, "service") != NULL,
	    .restart = strstr(copy, "restart") != NULL ? JOB_RESTART_ALWAYS : JOB_RESTART_NO,
	    .restart_ms = 100,
	    .retries_max = 2,
	    .once = strstr(copy, "once") != NULL,
	    .singleton = strstr(copy, "singleton") != NULL && wanted <= CLUSTER_SINGLETONS_MAX,
	    .stop_ms = 1000,
	    .role = strstr(copy, "batch") != NULL ? "batch" : NULL};
	return copy;
}

static bool
allows(const void *definition, const struct agent *a)
{
	(void)definition;
	(void)a;
	return true;
}

static void
left_alone(void *arg, const char *path, const char *why)
{
	struct world *w = arg;

	assert(path[0] == '/' && why[0] != '\0');
	w->left++;
}

static void
list_children(struct world *w, struct load *l)
{
	static const char *names[NODES_MAX];
	size_t length = strlen(load_path(l)), count = 0;

	for (size_t i = 0; i < w->count; i++) {
		const char *path = w->nodes[i].path;

		if (strncmp(path, load_path(l), length) == 0 && path[length] == '/' &&
		    strchr(path + length + 1, '/') == NULL)
			names[count++] = path + length + 1;
	}
	load_listed(l, names, count);
}

static enum load_step
load(struct world *w, struct cluster *c)
{
	static const struct load_ops ops = {parse, left_alone};
	struct load *l = load_new(c, &ops, w);
	enum load_step step;

	assert(l != NULL);
	w->left = 0;
	while ((step = load_next(l)) == LOAD_NODE || step == LOAD_CHILDREN) {
		const struct node *n = find(w, load_path(l));

		if (step == LOAD_CHILDREN)
			list_children(w, l);
		else
			load_node(l, n != NULL, n != NULL ? n->czxid : 0,
			    n != NULL ? n->text : NULL, n != NULL ? n->size : 0);
	}
	assert(step == LOAD_DONE || load_error(l)[0] == '/');
	load_free(l);
	return step;
}

static void
begin(struct cluster *c, struct world *w)
{
	static const struct hash_key key = {1, 2};
	static const struct cluster_settings settings = {.lease_ms = 15000,
	    .drift_permille = 10,
	    .unreachable_after_ms = 30000,
	    .wall_offset_ms = 1000000000,
	    .executor = {0, 2 * MIB, 0}};
	static const struct cluster_ops ops = {allows, free};
	struct term term = {UINT64_MAX, ++w->zxid};

	assert(cluster_init(c, &settings, &ops, &key, term, 1000));
}

static void
apply(struct world *w, const struct commit *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct store_op *op = &m->ops[i];

		if (op->kind == STORE_DELETE)
			drop(w, op->path);
		else
			put(w, op->path, m->data.data + op->offset, op->size, w->zxid);
	}
}

/* Time goes by until nothing more is stored: nodes are given up, jobs end. */
static void
rule(struct world *w, struct cluster *c)
{
	int64_t czxids[COMMIT_OPS_MAX] = {0};
	uint64_t now_ms = 1000;

	cluster_start(c, now_ms);
	for (int i = 0; i < TURNS_MAX && !w->full; i++) {
		const struct commit *m;

		now_ms += 20000;
		cluster_turn(c, now_ms);
		assert(cluster_check(c));
		while ((m = cluster_commit_begin(c)) != NULL) {
			w->zxid++;
			apply(w, m);
			cluster_committed(c, now_ms, czxids);
			now_ms += 1000;
			cluster_turn(c, now_ms);
		}
		cluster_out_clear(c);
	}
	assert(!c->failed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct cluster c;
	static struct world w;
	unsigned left;

	w.count = 0;
	w.zxid = 100;
	w.full = false;
	read_nodes(&w, (const char *)bytes, size);
	begin(&c, &w);
	if (load(&w, &c) == LOAD_DONE) {
		left = w.left;
		rule(&w, &c);
		cluster_fini(&c);
		begin(&c, &w);
		/* Of what was left alone some may have been written anew. */
		assert(w.full || (load(&w, &c) == LOAD_DONE && w.left <= left));
	}
	cluster_fini(&c);
	/* Now, not when they are overwritten: libFuzzer takes what is kept for a leak, and looks.
	 */
	for (size_t i = 0; i < w.count; i++)
		free(w.nodes[i].text);
	return 0;
}
