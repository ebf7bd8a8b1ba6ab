/* SPDX-License-Identifier: Apache-2.0 */
/* zk multi: the changes of a script, all of them or none. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "cli/zk_script.h"

#define CHANGES_MAX 100000

struct multi {
	struct zk_script script;
	struct zk_change *changes;
	unsigned *lines; /* where each of them stood */
	struct zk_op *ops;
	size_t count, cap;
	int status;
};

static bool
multi_grow(struct multi *multi)
{
	size_t cap = multi->cap > 0 ? 2 * multi->cap : 16;
	void *changes, *lines, *ops;

	if (multi->count < multi->cap)
		return true;
	if ((changes = reallocarray(multi->changes, cap, sizeof *multi->changes)) != NULL)
		multi->changes = changes;
	if ((lines = reallocarray(multi->lines, cap, sizeof *multi->lines)) != NULL)
		multi->lines = lines;
	if ((ops = reallocarray(multi->ops, cap, sizeof *multi->ops)) != NULL)
		multi->ops = ops;
	if (changes == NULL || lines == NULL || ops == NULL) {
		fprintf(stderr, "zk: out of memory\n");
		return false;
	}
	multi->cap = cap;
	return true;
}

/* The whole script, before anything is sent. An exit status. */
static int
multi_read(struct multi *multi)
{
	for (;;) {
		struct zk_change change;
		enum zk_script_result result = zk_script_next(&multi->script, &change);

		if (result == ZK_SCRIPT_CHANGE && multi->count < CHANGES_MAX && multi_grow(multi)) {
			multi->changes[multi->count] = change;
			multi->lines[multi->count] = multi->script.line;
			multi->ops[multi->count++] = change.op;
			continue;
		}
		zk_change_fini(&change);
		if (result == ZK_SCRIPT_CHANGE && multi->count == CHANGES_MAX)
			fprintf(stderr, "zk: %s: more than %d changes\n", multi->script.name,
			    CHANGES_MAX);
		return result == ZK_SCRIPT_END ? 0 : EX_DATAERR;
	}
}

static const char *
op_name(enum zk_opcode type)
{
	switch (type) {
	case ZK_OP_DELETE:
		return "rm";
	case ZK_OP_SET_DATA:
		return "set";
	case ZK_OP_CHECK:
		return "check";
	default:
		return "create";
	}
}

/* Of the parts before the one that failed it is said that they are good: nothing was done. */
static void
multi_blame(struct multi *multi, const struct zk_result *result)
{
	for (size_t i = 0; i < result->op_count && i < multi->count; i++) {
		int rc = result->ops[i].rc;

		if (rc == ZK_OK || rc == ZK_RUNTIMEINCONSISTENCY)
			continue;
		fprintf(stderr, "zk: %s:%u: %s: %s; nothing was changed\n", multi->script.name,
		    multi->lines[i], multi->ops[i].path, zk_rc_text(rc));
		multi->status = zk_run_status(rc);
		return;
	}
}

static void
multi_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct multi *multi = arg;
	json_t *items = json_array();

	if (result->rc != ZK_OK)
		multi_blame(multi, result);
	for (size_t i = 0; result->rc == ZK_OK && i < multi->count; i++) {
		const char *name = op_name(multi->ops[i].type), *path = multi->ops[i].path;

		if (i < result->op_count && result->ops[i].path != NULL)
			path = result->ops[i].path;
		if (run->options->json)
			json_array_append_new(
			    items, json_pack("{s:s, s:s}", "change", name, "path", path));
		else
			printf("%-6s %s\n", name, path);
	}
	if (run->options->json && result->rc == ZK_OK)
		multi->status = zk_json_print(json_incref(items));
	json_decref(items);
}

int
zk_verb_multi(struct zk_run *run, int argc, char **argv)
{
	struct multi multi = {.script = {.from = stdin, .name = "standard input"}};
	int rc = ZK_OK;

	(void)argc;
	(void)argv;
	multi.status = multi_read(&multi);
	if (multi.status == 0 && multi.count > 0)
		rc = zk_run_multi(run, multi.ops, multi.count, multi_print, &multi);
	if (rc != ZK_OK && multi.status == 0)
		multi.status = zk_run_fail(run, multi.script.name, rc);
	for (size_t i = 0; i < multi.count; i++)
		zk_change_fini(&multi.changes[i]);
	free(multi.changes);
	free(multi.lines);
	free(multi.ops);
	return multi.status;
}
