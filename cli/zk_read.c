/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of zk(1) that read: ls, ephemerals, get, stat, count, whoami. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <jansson.h>

#include "cli/table.h"
#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/list.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/zk_owner.h"

static const struct table_column ls_columns[] = {
    {"VERSION", true, false},
    {"BYTES", true, false},
    {"CHILDREN", true, false},
    {"OWNER", true, false},
    {"MODIFIED", false, false},
    {"NAME", false, false},
};

/* What ls and ephemerals gather before they print. */
struct ls {
	struct zk_walk walk;
	struct table table;
	json_t *items; /* with --json */
	size_t skip;   /* bytes of a path that are not shown */
	bool owned;    /* only nodes that end with a session */
	struct zk_stat stat;
};

static void
time_text(char *to, size_t size, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL || strftime(to, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(to, size, "%" PRId64 " ms", ms);
}

static void
keep_stat(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct zk_stat *stat = arg;

	(void)run;
	*stat = result->stat;
}

static void
ls_row(struct ls *ls, const char *name, const struct zk_stat *st)
{
	char modified[64], owner[32] = "";

	time_text(modified, sizeof modified, st->mtime_ms);
	if (st->ephemeral_owner != 0)
		snprintf(owner, sizeof owner, "0x%" PRIx64, (uint64_t)st->ephemeral_owner);
	table_add(&ls->table, "%" PRId32, st->version);
	table_add(&ls->table, "%" PRId32, st->data_bytes);
	table_add(&ls->table, "%" PRId32, st->child_count);
	table_add(&ls->table, "%s", owner);
	table_add(&ls->table, "%s", modified);
	table_add(&ls->table, "%s", name);
}

/* One node of the listing; one that vanished meanwhile is left out. */
static int
ls_show(struct zk_walk *walk)
{
	struct ls *ls = CONTAINER_OF(walk, struct ls, walk);
	const struct zk_op op = {.type = ZK_OP_EXISTS, .path = walk->path};
	const struct zk_options *options = walk->run->options;
	const char *name = walk->path + ls->skip;
	int rc = ZK_OK;

	if (options->long_form || ls->owned)
		rc = zk_run_request(walk->run, &op, keep_stat, &ls->stat);
	if (rc != ZK_OK)
		return rc == ZK_NONODE ? ZK_OK : rc;
	walk->leaf = ls->owned && zk_owner_is_session(ls->stat.ephemeral_owner);
	if (ls->owned && !walk->leaf)
		return ZK_OK;
	if (options->json)
		json_array_append_new(ls->items,
		    options->long_form ? zk_json_node(name, &ls->stat) : json_string(name));
	else if (options->long_form)
		ls_row(ls, name, &ls->stat);
	else
		puts(name);
	return ZK_OK;
}

static int
ls_print(struct ls *ls, const struct zk_options *options)
{
	static const struct table_view view = {NULL, false, false};

	if (options->json)
		return zk_json_print(json_incref(ls->items));
	if (options->long_form && !table_print(&ls->table, &view, "NAME", "zk", stdout))
		return EX_SOFTWARE;
	return 0;
}

static int
ls_nodes(struct zk_run *run, const char *path, bool deep, bool owned)
{
	struct ls ls = {
	    .walk = {.run = run, .visit = ls_show, .deep = deep, .tolerant = true}, .owned = owned};
	int status, rc;

	ls.items = json_array();
	table_init(&ls.table, ls_columns, sizeof ls_columns / sizeof ls_columns[0]);
	if (!deep)
		ls.skip = path[0] == '/' && path[1] == '\0' ? 1 : strlen(path) + 1;
	rc = zk_walk(&ls.walk, path);
	status = rc == ZK_OK ? ls_print(&ls, run->options) : zk_run_fail(run, ls.walk.path, rc);
	if (status == 0 && ls.walk.denied)
		status = EX_NOPERM;
	table_fini(&ls.table);
	json_decref(ls.items);
	return status;
}

int
zk_verb_ls(struct zk_run *run, int argc, char **argv)
{
	return ls_nodes(run, argc > 0 ? argv[0] : "/", run->options->recursive, false);
}

/*
 * Of all sessions. The request of this name answers for the session that asks alone, and ours has
 * made none.
 */
int
zk_verb_ephemerals(struct zk_run *run, int argc, char **argv)
{
	return ls_nodes(run, argc > 0 ? argv[0] : "/", true, true);
}

static void
stat_print(FILE *to, const struct zk_stat *st)
{
	char created[64], modified[64];

	time_text(created, sizeof created, st->ctime_ms);
	time_text(modified, sizeof modified, st->mtime_ms);
	fprintf(to,
	    "created      %s, zxid 0x%" PRIx64 "\n"
	    "modified     %s, zxid 0x%" PRIx64 "\n"
	    "children     %" PRId32 ", changed by zxid 0x%" PRIx64 "\n"
	    "version      %" PRId32 " (of children %" PRId32 ", of access control %" PRId32 ")\n"
	    "bytes        %" PRId32 "\n",
	    created, (uint64_t)st->czxid, modified, (uint64_t)st->mzxid, st->child_count,
	    (uint64_t)st->pzxid, st->version, st->cversion, st->aversion, st->data_bytes);
	if (st->ephemeral_owner != 0)
		fprintf(to, "ephemeral of session 0x%" PRIx64 "\n", (uint64_t)st->ephemeral_owner);
}

/* Of one node, or of it and all below it. */
struct get {
	struct zk_walk walk;
	json_t *items; /* with --json */
	int status;
};

static void
get_write(struct get *get, const void *data, size_t size)
{
	if (fwrite(data, 1, size, stdout) != size && get->status == 0) {
		fprintf(stderr, "zk: standard output: %s\n", strerror(errno));
		get->status = EX_IOERR;
	}
}

static void
get_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct get *get = arg;
	bool many = run->options->recursive;

	if (run->options->json) {
		json_array_append_new(get->items, zk_json_data(get->walk.path, result));
		return;
	}
	if (many)
		printf("==> %s <==\n", get->walk.path);
	get_write(get, result->data, result->size);
	if (many)
		putchar('\n');
	if (run->options->stat)
		stat_print(stderr, &result->stat);
}

/* The data of one node; one that vanished is left out. */
static int
get_node(struct zk_walk *walk)
{
	struct get *get = CONTAINER_OF(walk, struct get, walk);
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = walk->path};
	int rc = zk_run_request(walk->run, &op, get_print, get);

	return rc == ZK_NONODE ? ZK_OK : rc;
}

int
zk_verb_get(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = argv[0]};
	struct get get = {.walk = {.run = run, .visit = get_node, .deep = true, .tolerant = true}};
	int rc = ZK_TOOLARGE;

	(void)argc;
	get.items = json_array();
	if (str_copy(get.walk.path, sizeof get.walk.path, argv[0]))
		rc = zk_run_request(run, &op, get_print, &get);
	if (rc == ZK_OK && run->options->recursive)
		rc = zk_walk(&get.walk, argv[0]);
	if (rc != ZK_OK)
		get.status = zk_run_fail(run, get.walk.path, rc);
	else if (run->options->json)
		get.status = zk_json_print(json_incref(
		    run->options->recursive ? get.items : json_array_get(get.items, 0)));
	if (get.status == 0 && get.walk.denied)
		get.status = EX_NOPERM;
	json_decref(get.items);
	return get.status;
}

int
zk_verb_stat(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_EXISTS, .path = argv[0]};
	struct zk_stat stat;
	int rc = zk_run_request(run, &op, keep_stat, &stat);

	(void)argc;
	if (rc != ZK_OK)
		return zk_run_fail(run, argv[0], rc);
	if (run->options->json)
		return zk_json_print(zk_json_node(argv[0], &stat));
	stat_print(stdout, &stat);
	return 0;
}

int
zk_verb_count(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {
	    .type = ZK_OP_GET_ALL_CHILDREN_NUMBER, .path = argc > 0 ? argv[0] : "/"};
	struct zk_stat stat;
	int rc = zk_run_request(run, &op, keep_stat, &stat);

	if (rc != ZK_OK)
		return zk_run_fail(run, op.path, rc);
	printf("%" PRId32 "\n", stat.child_count);
	return 0;
}

static void
who_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	json_t *items = json_array();
	int *status = arg;

	for (size_t i = 0; i < result->acl_count; i++) {
		const struct zk_acl *who = &result->acls[i];

		if (run->options->json)
			json_array_append_new(
			    items, json_pack("{s:s, s:s}", "scheme", who->scheme, "id", who->id));
		else
			printf("%s:%s\n", who->scheme, who->id);
	}
	if (run->options->json)
		*status = zk_json_print(json_incref(items));
	json_decref(items);
}

int
zk_verb_whoami(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_WHO_AM_I};
	int status = 0, rc = zk_run_request(run, &op, who_print, &status);

	(void)argc;
	(void)argv;
	return rc == ZK_OK ? status : zk_run_fail(run, "whoami", rc);
}
