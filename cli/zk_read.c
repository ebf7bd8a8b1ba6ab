/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of zk(1) that read: ls, get, stat, watch. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <jansson.h>

#include "cli/table.h"
#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/str.h"

static const struct table_column ls_columns[] = {
    {"VERSION", true, false},
    {"BYTES", true, false},
    {"CHILDREN", true, false},
    {"OWNER", true, false},
    {"MODIFIED", false, false},
    {"NAME", false, false},
};

/* What ls gathers before it prints. */
struct ls {
	struct zk_run *run;
	struct table table;
	json_t *items; /* with --json */
	size_t skip;   /* bytes of a path that are not shown */
	struct zk_stat stat;
	char path[ZK_RUN_PATH_MAX]; /* of the node at hand */
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
ls_show(struct ls *ls)
{
	const struct zk_op op = {.type = ZK_OP_EXISTS, .path = ls->path};
	const struct zk_options *options = ls->run->options;
	const char *name = ls->path + ls->skip;
	int rc = ZK_OK;

	if (options->long_form)
		rc = zk_run_request(ls->run, &op, keep_stat, &ls->stat);
	if (rc != ZK_OK)
		return rc == ZK_NONODE ? ZK_OK : rc;
	if (options->json)
		json_array_append_new(ls->items,
		    options->long_form ? zk_json_node(name, &ls->stat) : json_string(name));
	else if (options->long_form)
		ls_row(ls, name, &ls->stat);
	else
		puts(name);
	return ZK_OK;
}

/* The children of a node, and with -R theirs, each before its own children. */
static int
ls_walk(struct ls *ls, unsigned depth)
{
	struct zk_names names;
	int rc = zk_run_children(ls->run, ls->path, &names);

	if (rc == ZK_NONODE && depth > 0)
		rc = ZK_OK;
	for (size_t i = 0; i < names.count && rc == ZK_OK; i++) {
		size_t len = zk_path_push(ls->path, names.items[i]);

		rc = len != SIZE_MAX && depth < ZK_RUN_DEPTH_MAX ? ls_show(ls) : ZK_TOOLARGE;
		if (rc == ZK_OK && ls->run->options->recursive)
			rc = ls_walk(ls, depth + 1);
		if (rc == ZK_OK)
			ls->path[len] = '\0'; /* otherwise it says where it went wrong */
	}
	zk_names_free(&names);
	return rc;
}

static int
ls_print(struct ls *ls)
{
	static const struct table_view view = {NULL, false, false};

	if (ls->run->options->json)
		return zk_json_print(json_incref(ls->items));
	if (ls->run->options->long_form && !table_print(&ls->table, &view, "NAME", "zk", stdout))
		return EX_SOFTWARE;
	return 0;
}

int
zk_verb_ls(struct zk_run *run, int argc, char **argv)
{
	const char *path = argc > 0 ? argv[0] : "/";
	struct ls ls = {.run = run};
	int status, rc;

	if (!str_copy(ls.path, sizeof ls.path, path))
		return zk_run_fail(run, path, ZK_TOOLARGE);
	ls.items = json_array();
	table_init(&ls.table, ls_columns, sizeof ls_columns / sizeof ls_columns[0]);
	if (!run->options->recursive)
		ls.skip = path[0] == '/' && path[1] == '\0' ? 1 : strlen(path) + 1;
	rc = ls_walk(&ls, 0);
	status = rc == ZK_OK ? ls_print(&ls) : zk_run_fail(run, ls.path, rc);
	table_fini(&ls.table);
	json_decref(ls.items);
	return status;
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

struct get {
	const char *path;
	int status;
};

static void
get_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct get *get = arg;

	if (run->options->json) {
		get->status = zk_json_print(zk_json_data(get->path, result));
		return;
	}
	if (fwrite(result->data, 1, result->size, stdout) != result->size || fflush(stdout) != 0) {
		fprintf(stderr, "zk: standard output: %s\n", strerror(errno));
		get->status = EX_IOERR;
	}
	if (run->options->stat)
		stat_print(stderr, &result->stat);
}

int
zk_verb_get(struct zk_run *run, int argc, char **argv)
{
	struct get get = {argv[0], 0};
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = argv[0]};
	int rc = zk_run_request(run, &op, get_print, &get);

	(void)argc;
	return rc == ZK_OK ? get.status : zk_run_fail(run, argv[0], rc);
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

/* The state of a watch on a node: its data and existence, and its children while it exists. */
struct watch_job {
	struct zk_run *run;
	const char *path;
	struct zk_watch watch;
	bool over, said;
	int status;
	bool children; /* a watch on the children is set or asked for */
};

static void watch_node(struct watch_job *job);

static void
watch_fail(struct watch_job *job, int rc)
{
	/* The watches are set again when there is a connection again: the request that sets one
	 * too. */
	if (rc == ZK_CONNECTIONLOSS && zk_state(job->run->zk) != ZK_EXPIRED) {
		watch_node(job);
		return;
	}
	job->status = zk_run_fail(job->run, job->path, rc);
	job->over = true;
}

static void
watch_children_set(void *arg, const struct zk_result *result)
{
	struct watch_job *job = arg;

	job->children = result->watching;
	if (result->rc != ZK_OK && result->rc != ZK_NONODE)
		watch_fail(job, result->rc);
}

static void
watch_node_set(void *arg, const struct zk_result *result)
{
	struct watch_job *job = arg;
	int rc = result->rc;

	if (rc == ZK_OK && !job->children) {
		job->children = true;
		rc = zk_children(job->run->zk, job->path, &job->watch, watch_children_set, job);
	}
	if (rc != ZK_OK && rc != ZK_NONODE) {
		watch_fail(job, rc);
		return;
	}
	if (!job->said)
		fprintf(stderr, "zk: watching %s%s\n", job->path,
		    rc == ZK_NONODE ? ", which does not exist" : "");
	job->said = true;
}

static void
watch_node(struct watch_job *job)
{
	int rc = zk_exists(job->run->zk, job->path, &job->watch, watch_node_set, job);

	if (rc != ZK_OK) {
		job->status = zk_run_fail(job->run, job->path, rc);
		job->over = true;
	}
}

static const char *
event_name(enum zk_event event)
{
	switch (event) {
	case ZK_EVENT_CREATED:
		return "created";
	case ZK_EVENT_DELETED:
		return "deleted";
	case ZK_EVENT_CHANGED:
		return "changed";
	case ZK_EVENT_CHILDREN:
		return "children";
	default:
		return "lost";
	}
}

static void
watch_fired(void *arg, enum zk_event event, const char *path)
{
	struct watch_job *job = arg;

	if (job->over)
		return;
	if (event == ZK_EVENT_LOST) {
		job->status = zk_run_fail(job->run, path, ZK_SESSIONEXPIRED);
		job->over = true;
		return;
	}
	if (job->run->options->json)
		job->status = zk_json_print(
		    json_pack("{s:s, s:s}", "event", event_name(event), "path", path));
	else
		printf("%-8s %s\n", event_name(event), path);
	if (fflush(stdout) != 0)
		job->status = EX_IOERR;
	if (job->run->options->once || job->status != 0) {
		job->over = true;
		return;
	}
	if (event == ZK_EVENT_CHILDREN || event == ZK_EVENT_DELETED)
		job->children = false;
	watch_node(job);
}

static bool
watch_over(void *arg)
{
	const struct watch_job *job = arg;

	return job->over;
}

int
zk_verb_watch(struct zk_run *run, int argc, char **argv)
{
	struct watch_job job = {.run = run, .path = argv[0], .watch = {watch_fired, &job}};

	(void)argc;
	watch_node(&job);
	zk_run_until(run, watch_over, &job);
	job.over = true;
	if (run->signo != 0)
		return 128 + run->signo;
	return job.status;
}
