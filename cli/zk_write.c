/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of zk(1) that write, and acl and sync: create, set, rm, acl, sync. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

#define ACLS_MAX 64

/* Data from the command line, or with "-" from standard input. An exit status. */
static int
data_read(const char *text, struct buf *b)
{
	uint8_t chunk[16384];
	ssize_t n;

	buf_init(b, ZK_FRAME_BYTES_MAX);
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
	fprintf(stderr, "zk: the data is larger than the %d bytes that a node can hold\n",
	    ZK_FRAME_BYTES_MAX);
	return EX_DATAERR;
}

/* The entries of --acl; as many as there are, or -1 with the fault said. */
static int
acls_read(const char *const *texts, size_t count, char **copies, struct zk_acl *acls)
{
	if (count > ACLS_MAX) {
		fprintf(stderr, "zk: more than %d access control entries\n", ACLS_MAX);
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		copies[i] = strdup(texts[i]);
		if (copies[i] == NULL || !zk_acl_parse(copies[i], &acls[i])) {
			fprintf(stderr,
			    "zk: '%s' is no access control entry: write SCHEME:ID:PERMS, PERMS "
			    "being "
			    "letters of cdrwa (create, delete, read, write, admin)\n",
			    texts[i]);
			return -1;
		}
	}
	return (int)count;
}

static void
texts_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count && i < ACLS_MAX; i++)
		free(texts[i]);
}

/* The parents of a path, from the top; those that exist stay as they are. */
static int
create_parents(struct zk_run *run, const char *path)
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

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

/* An ephemeral node lives as long as we do: stay until told to go. */
static int
create_hold(struct zk_run *run, const char *path)
{
	zk_run_until(run, never, NULL);
	return run->signo != 0 ? 0 : zk_run_fail(run, path, ZK_SESSIONEXPIRED);
}

static int
create_node(struct zk_run *run, const char *path, const struct buf *data, const struct zk_acl *acls,
    size_t acl_count)
{
	struct zk_op op = {.type = ZK_OP_CREATE2,
	    .path = path,
	    .data = data->len > 0 ? data->data : (const void *)"",
	    .size = data->len,
	    .acls = acl_count > 0 ? acls : NULL,
	    .acl_count = acl_count};
	const struct zk_options *options = run->options;
	int rc = ZK_OK, status = 0;

	if (options->ephemeral)
		op.flags |= ZK_EPHEMERAL;
	if (options->sequential)
		op.flags |= ZK_SEQUENTIAL;
	if (options->parents)
		rc = create_parents(run, path);
	if (rc == ZK_OK)
		rc = zk_run_request(run, &op, created_print, &status);
	if (rc != ZK_OK)
		return zk_run_fail(run, path, rc);
	return status == 0 && options->ephemeral ? create_hold(run, path) : status;
}

int
zk_verb_create(struct zk_run *run, int argc, char **argv)
{
	const struct option_texts *texts = &run->options->acls;
	struct zk_acl acls[ACLS_MAX];
	char *copies[ACLS_MAX] = {NULL};
	int count = acls_read(texts->items, texts->count, copies, acls), status = EX_USAGE;
	struct buf data;

	buf_init(&data, ZK_FRAME_BYTES_MAX);
	if (count >= 0)
		status = data_read(argc > 1 ? argv[1] : "", &data);
	if (status == 0)
		status = create_node(run, argv[0], &data, acls, (size_t)count);
	buf_fini(&data);
	texts_free(copies, texts->count);
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
	int status = data_read(argv[1], &data);

	(void)argc;
	op.data = data.len > 0 ? data.data : (const void *)"";
	op.size = data.len;
	if (status == 0)
		status =
		    zk_run_fail(run, argv[0], zk_run_request(run, &op, stat_print_json, argv[0]));
	buf_fini(&data);
	return status;
}

static int rm_walk(struct zk_run *run, char *path, unsigned depth);

static int
rm_children(struct zk_run *run, char *path, unsigned depth)
{
	struct zk_names names;
	int rc = zk_run_children(run, path, &names);

	for (size_t i = 0; i < names.count && rc == ZK_OK; i++) {
		size_t len = zk_path_push(path, names.items[i]);

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
	struct zk_acl acls[ACLS_MAX];
	char *copies[ACLS_MAX] = {NULL};
	size_t given = (size_t)argc - 1;
	struct zk_op op = {.type = given > 0 ? ZK_OP_SET_ACL : ZK_OP_GET_ACL,
	    .path = argv[0],
	    .acls = acls,
	    .version = (int32_t)run->options->version};
	int count = acls_read((const char *const *)(argv + 1), given, copies, acls),
	    status = EX_USAGE, rc;

	if (count >= 0) {
		op.acl_count = (size_t)count;
		status = 0;
		rc = zk_run_request(run, &op, given > 0 ? NULL : acl_print, &status);
		if (rc != ZK_OK)
			status = zk_run_fail(run, argv[0], rc);
	}
	texts_free(copies, given);
	return status;
}

int
zk_verb_sync(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_SYNC, .path = argc > 0 ? argv[0] : "/"};

	return zk_run_fail(run, op.path, zk_run_request(run, &op, NULL, NULL));
}
