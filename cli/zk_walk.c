/* SPDX-License-Identifier: Apache-2.0 */
/* Going through a tree of nodes, for zk(1). */
#include <stdlib.h>
#include <string.h>

#include "cli/zk_run.h"
#include "libcommon/base/str.h"

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_copy(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct zk_names *names = arg;

	(void)run;
	names->items = calloc(result->child_count + 1, sizeof *names->items);
	for (size_t i = 0; names->items != NULL && i < result->child_count; i++) {
		names->items[i] = strdup(result->children[i]);
		if (names->items[i] == NULL) {
			zk_names_free(names);
			return;
		}
		names->count++;
	}
	if (names->items != NULL)
		qsort(names->items, names->count, sizeof *names->items, name_compare);
}

int
zk_run_children(struct zk_run *run, const char *path, struct zk_names *names)
{
	const struct zk_op op = {.type = ZK_OP_GET_CHILDREN2, .path = path};
	int rc;

	*names = (struct zk_names){NULL, 0};
	rc = zk_run_request(run, &op, names_copy, names);
	if (rc == ZK_OK && names->items == NULL)
		rc = ZK_NOMEMORY;
	return rc;
}

void
zk_names_free(struct zk_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct zk_names){NULL, 0};
}

size_t
zk_path_push(char path[ZK_RUN_PATH_MAX], const char *name)
{
	size_t len = strlen(path), from = path[1] == '\0' ? 0 : len, size = strlen(name) + 1;

	if (from + 1 + size > ZK_RUN_PATH_MAX)
		return SIZE_MAX;
	path[from] = '/';
	memcpy(path + from + 1, name, size);
	return len;
}

/* A node that we may not read is said and passed over, where the walk may do so. */
static int
walk_tolerate(struct zk_walk *walk, int rc)
{
	if (rc != ZK_NOAUTH || !walk->tolerant)
		return rc;
	(void)zk_run_fail(walk->run, walk->path, rc);
	walk->denied = walk->leaf = true;
	return ZK_OK;
}

static int
walk_below(struct zk_walk *walk, unsigned depth)
{
	struct zk_names names;
	int rc = zk_run_children(walk->run, walk->path, &names);

	if (rc == ZK_NONODE && depth > 0)
		rc = ZK_OK;
	if (depth > 0)
		rc = walk_tolerate(walk, rc);
	for (size_t i = 0; i < names.count && rc == ZK_OK; i++) {
		size_t len = zk_path_push(walk->path, names.items[i]);

		walk->leaf = false;
		if (len == SIZE_MAX || depth >= ZK_RUN_DEPTH_MAX)
			rc = ZK_TOOLARGE;
		else
			rc = walk_tolerate(walk, walk->visit(walk));
		if (rc == ZK_OK && walk->deep && !walk->leaf)
			rc = walk_below(walk, depth + 1);
		if (rc == ZK_OK)
			walk->path[len] = '\0'; /* otherwise it says where it went wrong */
	}
	zk_names_free(&names);
	return rc;
}

int
zk_walk(struct zk_walk *walk, const char *path)
{
	if (!str_copy(walk->path, sizeof walk->path, path))
		return ZK_TOOLARGE;
	return walk_below(walk, 0);
}

int
zk_run_parents(struct zk_run *run, const char *path)
{
	struct zk_op op = {.type = ZK_OP_CREATE2, .data = "", .size = 0};
	char parent[ZK_RUN_PATH_MAX];
	int rc = ZK_OK;

	if (zk_path_fault(path) != NULL)
		return ZK_BADARGUMENTS;
	if (!str_copy(parent, sizeof parent, path))
		return ZK_TOOLARGE;
	op.path = parent;
	for (char *slash = parent; rc == ZK_OK && (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		rc = zk_run_request(run, &op, NULL, NULL);
		if (rc == ZK_NODEEXISTS)
			rc = ZK_OK;
		*slash = '/';
	}
	return rc;
}
