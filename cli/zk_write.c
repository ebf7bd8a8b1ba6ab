/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of zk(1) that write, and acl and sync: create, set, rm, acl, sync. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/zk_change.h"
#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* Data from the command line, or with "-" from standard input. An exit status. */
static int
data_read(const char *text, struct buf *b)
{
	uint8_t chunk[16384];
	ssize_t n;

	if (strcmp(text, "-") != 0) {
		buf_append(b, text, strlen(text));
	} else {
		while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
			buf_append(b, chunk, (size_t)n);
		if (n < 0) {
			fprintf(stderr, "zk: standard input: %s\n", strerror(errno));
			return EX_IOERR;
		}
	}
	if (!b->failed)
		return 0;
	fprintf(stderr, "zk: the data is larger than the %u bytes that a request can have\n",
	    ZK_RUN_REQUEST_BYTES_MAX);
	return EX_DATAERR;
}

/* The data of the second operand, if there is one, to op; it lies in b. An exit status. */
static int
data_of_op(struct zk_run *run, int argc, char **argv, struct buf *b, struct zk_op *op)
{
	int status;

	if (run->options->null && argc > 1) {
		fprintf(stderr, "zk: %s: --null and data do not go together\n", argv[0]);
		return EX_USAGE;
	}
	status = argc > 1 ? data_read(argv[1], b) : 0;
	op->data = run->options->null ? NULL : b->len > 0 ? b->data : (const void *)"";
	op->size = b->len;
	return status;
}

static void
created_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	int *status = arg;

	if (run->options->json)
		*status = zk_json_print(zk_json_node(result->path, &result->stat));
	else
		puts(result->path);
	fflush(stdout);
}

struct hold {
	struct zk_run *run;
	bool counting; /* there is no server */
};

/* Without a server for as long as the session may be without us, it is lost. */
static bool
is_lost(void *arg)
{
	struct hold *h = arg;
	struct zk_run *run = h->run;
	bool here = zk_state(run->zk) == ZK_CONNECTED;

	if (here && h->counting)
		timer_cancel(&run->limit);
	else if (!here && !h->counting)
		run->out_of_time =
		    !timer_set(&run->limit, clock_boot_ms() + zk_session_timeout_ms(run->zk));
	h->counting = !here;
	return run->out_of_time;
}

/* An ephemeral node lives as long as we do: stay until told to go. */
static int
create_hold(struct zk_run *run, const char *path)
{
	struct hold hold = {.run = run};

	zk_run_until(run, is_lost, &hold);
	timer_cancel(&run->limit);
	if (run->signo != 0)
		return 0;
	if (!run->out_of_time)
		return zk_run_fail(run, path, ZK_SESSIONEXPIRED);
	fprintf(stderr,
	    "zk: %s: no server answered for the session's time-out of %u ms: the node is gone, or "
	    "goes when a server is back (%s)\n",
	    path, (unsigned)zk_session_timeout_ms(run->zk), zk_why(run->zk));
	return EX_TEMPFAIL;
}

static int
create_node(struct zk_run *run, const struct zk_op *op)
{
	int rc = ZK_OK, status = 0;

	if (run->options->parents)
		rc = zk_run_parents(run, op->path);
	if (rc == ZK_OK)
		rc = zk_run_request(run, op, created_print, &status);
	if (rc != ZK_OK)
		return zk_run_fail(run, op->path, rc);
	return status == 0 && run->options->ephemeral ? create_hold(run, op->path) : status;
}

int
zk_verb_create(struct zk_run *run, int argc, char **argv)
{
	struct zk_change change = {.op = {.path = argv[0]}};
	int status = EX_USAGE;
	struct buf data;

	buf_init(&data, ZK_RUN_REQUEST_BYTES_MAX);
	if (zk_change_create(&change, run->options, NULL))
		status = data_of_op(run, argc, argv, &data, &change.op);
	if (status == 0)
		status = create_node(run, &change.op);
	buf_fini(&data);
	zk_change_fini(&change);
	return status;
}

static void
stat_print_json(struct zk_run *run, const struct zk_result *result, void *arg)
{
	const char *path = arg;

	if (run->options->json)
		(void)zk_json_print(zk_json_node(path, &result->stat));
}

int
zk_verb_set(struct zk_run *run, int argc, char **argv)
{
	struct zk_op op = {
	    .type = ZK_OP_SET_DATA, .path = argv[0], .version = (int32_t)run->options->version};
	struct buf data;
	int status;

	buf_init(&data, ZK_RUN_REQUEST_BYTES_MAX);
	if (argc == 1 && !run->options->null) {
		fprintf(stderr, "zk: %s: the data is missing\n", argv[0]);
		return EX_USAGE;
	}
	status = data_of_op(run, argc, argv, &data, &op);
	if (status == 0)
		status =
		    zk_run_fail(run, argv[0], zk_run_request(run, &op, stat_print_json, argv[0]));
	buf_fini(&data);
	return status;
}

/* How many children without children are removed with one request, so that they wait once. */
#define RM_TOGETHER 128
#define RM_TOGETHER_BYTES_MAX ((size_t)256 << 10)

/* All of these children or none. False: none, for whatever reason. */
static bool
rm_together(struct zk_run *run, const char *parent, char *const *names, size_t count)
{
	struct zk_op ops[RM_TOGETHER];
	size_t size = 0, used = 0;
	char *paths;
	bool done;

	for (size_t i = 0; i < count; i++)
		size += strlen(parent) + strlen(names[i]) + 2;
	if (size > RM_TOGETHER_BYTES_MAX || (paths = malloc(size)) == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		ops[i] = (struct zk_op){
		    .type = ZK_OP_DELETE, .path = paths + used, .version = ZK_ANY_VERSION};
		used += (size_t)snprintf(paths + used, size - used, "%s/%s", parent, names[i]) + 1;
	}
	done = zk_run_multi(run, ops, count, NULL, NULL) == ZK_OK;
	free(paths);
	return done;
}

static int rm_walk(struct zk_run *run, char *path, unsigned depth);

static int
rm_children(struct zk_run *run, char *path, unsigned depth)
{
	struct zk_names names;
	int rc = zk_run_children(run, path, &names);

	for (size_t i = 0; i < names.count && rc == ZK_OK; i++) {
		size_t left = names.count - i, some = left < RM_TOGETHER ? left : RM_TOGETHER, len;

		if (i % RM_TOGETHER == 0 && rm_together(run, path, names.items + i, some)) {
			i += some - 1;
			continue;
		}
		len = zk_path_push(path, names.items[i]);

		rc = len != SIZE_MAX && depth < ZK_RUN_DEPTH_MAX ? rm_walk(run, path, depth + 1)
								 : ZK_TOOLARGE;
		if (rc == ZK_OK)
			path[len] = '\0';
	}
	zk_names_free(&names);
	return rc;
}

/* The node at path and, before it, all below it. One that vanishes meanwhile is what was wanted. */
static int
rm_walk(struct zk_run *run, char *path, unsigned depth)
{
	struct zk_op op = {.type = ZK_OP_DELETE, .path = path, .version = ZK_ANY_VERSION};
	int rc;

	/* Again and again, while others make children below it: what we removed does not come back.
	 */
	while ((rc = zk_run_request(run, &op, NULL, NULL)) == ZK_NOTEMPTY) {
		rc = rm_children(run, path, depth);
		if (rc != ZK_OK)
			break;
	}
	return rc == ZK_NONODE && depth > 0 ? ZK_OK : rc;
}

static bool
rm_is_reserved(const char *path)
{
	return strcmp(path, "/") == 0 || strcmp(path, "/zookeeper") == 0 ||
	       str_starts(path, "/zookeeper/");
}

int
zk_verb_rm(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {
	    .type = ZK_OP_DELETE, .path = argv[0], .version = (int32_t)run->options->version};
	char path[ZK_RUN_PATH_MAX];
	int rc = ZK_TOOLARGE;

	(void)argc;
	if (!run->options->recursive)
		return zk_run_fail(run, argv[0], zk_run_request(run, &op, NULL, NULL));
	if (run->options->version != UINT32_MAX || rm_is_reserved(argv[0])) {
		fprintf(stderr, "zk: %s: %s\n", argv[0],
		    run->options->version != UINT32_MAX
			? "-r and -v do not go together"
			: "this tree is the server's own and cannot be removed");
		return EX_USAGE;
	}
	if (str_copy(path, sizeof path, argv[0]))
		rc = rm_walk(run, path, 0);
	return zk_run_fail(run, path, rc);
}

static void
acl_print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	json_t *items = json_array();
	int *status = arg;
	char perms[6];

	for (size_t i = 0; i < result->acl_count; i++) {
		const struct zk_acl *acl = &result->acls[i];

		zk_perms_text(perms, acl->perms);
		if (run->options->json)
			json_array_append_new(
			    items, json_pack("{s:s, s:s, s:s}", "scheme", acl->scheme, "id",
				       acl->id, "perms", perms));
		else
			printf("%s:%s:%s\n", acl->scheme, acl->id, perms);
	}
	if (run->options->json)
		*status = zk_json_print(json_incref(items));
	json_decref(items);
}

int
zk_verb_acl(struct zk_run *run, int argc, char **argv)
{
	struct zk_change change = {.op = {.type = argc > 1 ? ZK_OP_SET_ACL : ZK_OP_GET_ACL,
				       .path = argv[0],
				       .version = (int32_t)run->options->version}};
	int status = EX_USAGE, rc;

	if (zk_change_acls(&change, (const char *const *)(argv + 1), (size_t)argc - 1, NULL)) {
		status = 0;
		rc = zk_run_request(run, &change.op, argc > 1 ? NULL : acl_print, &status);
		if (rc != ZK_OK)
			status = zk_run_fail(run, argv[0], rc);
	}
	zk_change_fini(&change);
	return status;
}

int
zk_verb_sync(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_SYNC, .path = argc > 0 ? argv[0] : "/"};

	return zk_run_fail(run, op.path, zk_run_request(run, &op, NULL, NULL));
}
