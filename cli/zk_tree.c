/* SPDX-License-Identifier: Apache-2.0 */
/* zk export and import: a tree of nodes as a script of creates, with paths below its top. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "cli/zk_script.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/list.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/zk_owner.h"

#define OUT_BYTES_MAX (5 * (size_t)ZK_RUN_REQUEST_BYTES_MAX) /* a node, all bytes escaped */

struct export
{
	struct zk_walk walk;
	size_t skip; /* bytes of a path that the tree's top has */
	size_t ephemerals;
	size_t masked; /* nodes whose access control is shown without its hashes */
	struct buf line, data;
	bool null;
	int64_t owner;
	bool failed; /* standard output took no more */
};

static void
keep_data(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct export *export = arg;

	(void)run;
	buf_append(
	    &export->data, result->data != NULL ? result->data : (const void *)"", result->size);
	export->null = result->data == NULL;
	export->owner = result->stat.ephemeral_owner;
}

/* Who may not change an access control gets "x" for the hashes in it. */
static bool
acl_is_masked(const struct zk_result *result)
{
	for (size_t i = 0; i < result->acl_count; i++) {
		const struct zk_acl *acl = &result->acls[i];
		const char *mark = strrchr(acl->id, ':');

		if (strcmp(acl->scheme, "digest") == 0 && mark != NULL && strcmp(mark, ":x") == 0)
			return true;
	}
	return false;
}

/* The access control, unless it is the usual one. */
static void
add_acls(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct export *export = arg;
	const struct zk_acl *acl = result->acls;
	struct buf word;
	char perms[6];

	(void)run;
	if (result->acl_count == 1 && acl->perms == ZK_PERM_ALL &&
	    strcmp(acl->scheme, "world") == 0)
		return;
	if (acl_is_masked(result))
		export->masked++;
	buf_init(&word, ZK_FRAME_BYTES_MAX);
	for (size_t i = 0; i < result->acl_count; i++, acl++) {
		zk_perms_text(perms, acl->perms);
		buf_clear(&word);
		buf_printf(&word, "%s:%s:%s", acl->scheme, acl->id, perms);
		buf_append(&export->line, " -a ", 4);
		zk_script_quote(&export->line, word.data, word.len);
	}
	buf_fini(&word);
}

static void
add_kind(struct export *export)
{
	char ttl[AMOUNT_TEXT_MAX];

	if (export->owner == ZK_OWNER_CONTAINER)
		buf_append(&export->line, " -c", 3);
	else if (zk_owner_is_ttl(export->owner))
		buf_printf(&export->line, " -t \"%s\"",
		    amount_format_time(ttl, (uint64_t)zk_owner_ttl_ms(export->owner)));
	if (export->null)
		buf_append(&export->line, " -n", 3);
}

static int
export_line(struct export *export)
{
	const char *path = export->walk.path + export->skip;
	const struct zk_op op = {.type = ZK_OP_GET_ACL, .path = export->walk.path};
	struct buf *line = &export->line;
	int rc;

	buf_clear(line);
	buf_append(line, "create", 6);
	add_kind(export);
	rc = zk_run_request(export->walk.run, &op, add_acls, export);
	if (rc != ZK_OK)
		return rc == ZK_NONODE ? ZK_OK : rc;
	buf_append(line, " ", 1);
	path = *path != '\0' ? path : "/";
	zk_script_quote(line, path, strlen(path));
	if (!export->null) {
		buf_append(line, " ", 1);
		zk_script_quote(line, export->data.data, export->data.len);
	}
	buf_append(line, "\n", 1);
	if (line->failed || export->data.failed)
		return ZK_TOOLARGE;
	export->failed = fwrite(line->data, 1, line->len, stdout) != line->len;
	return export->failed ? ZK_SYSTEMERROR : ZK_OK;
}

static bool
path_is_reserved(const char *path)
{
	return strcmp(path, "/zookeeper") == 0 || str_starts(path, "/zookeeper/");
}

static int
export_node(struct zk_walk *walk)
{
	struct export *export = CONTAINER_OF(walk, struct export, walk);
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = walk->path};
	int rc;

	if (path_is_reserved(walk->path))
		return ZK_OK;
	buf_clear(&export->data);
	rc = zk_run_request(walk->run, &op, keep_data, export);
	if (rc != ZK_OK)
		return rc == ZK_NONODE && walk->path[export->skip] != '\0' ? ZK_OK : rc;
	if (zk_owner_is_session(export->owner)) {
		export->ephemerals++;
		return ZK_OK;
	}
	return export_line(export);
}

/* Say on standard error what the text lacks. An exit status. */
static int
export_gaps(const struct export *export, const char *top)
{
	if (export->ephemerals > 0)
		fprintf(stderr,
		    "zk: %s: %zu ephemeral nodes, which end with their sessions, were "
		    "left out\n",
		    top, export->ephemerals);
	if (export->masked == 0)
		return 0;
	fprintf(stderr,
	    "zk: %s: %zu nodes have digest:USER:x for hashes that only who may change their "
	    "access control can read: import needs the hashes\n",
	    top, export->masked);
	return EX_NOPERM;
}

int
zk_verb_export(struct zk_run *run, int argc, char **argv)
{
	struct export export = {.walk = {.run = run, .visit = export_node, .deep = true}};
	const char *top = argc > 0 ? argv[0] : "/";
	int rc = ZK_TOOLARGE, status = 0;

	export.skip = strcmp(top, "/") == 0 ? 0 : strlen(top);
	buf_init(&export.line, OUT_BYTES_MAX);
	buf_init(&export.data, ZK_RUN_REQUEST_BYTES_MAX);
	puts(ZK_SCRIPT_BEGIN);
	if (str_copy(export.walk.path, sizeof export.walk.path, top))
		rc = export_node(&export.walk);
	if (rc == ZK_OK)
		rc = zk_walk(&export.walk, top);
	if (export.failed) {
		fprintf(stderr, "zk: standard output: %s\n", strerror(errno));
		status = EX_IOERR;
	} else if (rc != ZK_OK) {
		status = zk_run_fail(run, export.walk.path, rc);
	} else {
		status = export_gaps(&export, top);
		puts(ZK_SCRIPT_END_MARK);
	}
	buf_fini(&export.line);
	buf_fini(&export.data);
	return status;
}

struct import {
	struct zk_run *run;
	struct zk_script script;
	const char *top;
	char path[ZK_RUN_PATH_MAX];
};

/* The node exists: its data and access control become those of the line. */
static int
import_replace(const struct import *import, const struct zk_op *create)
{
	struct zk_op op = *create;
	int rc;

	if (!import->run->options->replace)
		return ZK_NODEEXISTS;
	op.type = ZK_OP_SET_DATA;
	op.version = ZK_ANY_VERSION;
	rc = zk_run_request(import->run, &op, NULL, NULL);
	op.type = ZK_OP_SET_ACL;
	return rc == ZK_OK ? zk_run_request(import->run, &op, NULL, NULL) : rc;
}

/* The path below the top that the line's path means. False: too long. */
static bool
import_path(struct import *import, const char *path)
{
	bool at_root = strcmp(import->top, "/") == 0;
	int len = snprintf(import->path, sizeof import->path, "%s%s", at_root ? "" : import->top,
	    strcmp(path, "/") != 0 || at_root ? path : "");

	return len > 0 && (size_t)len < sizeof import->path;
}

/* An exit status; the fault is said. */
static int
import_node(struct import *import, struct zk_op *op)
{
	int rc = ZK_TOOLARGE;

	if (op->type == ZK_OP_DELETE || op->type == ZK_OP_SET_DATA || op->type == ZK_OP_CHECK) {
		fprintf(stderr, "zk: %s:%u: an import creates nodes, and does nothing else\n",
		    import->script.name, import->script.line);
		return EX_DATAERR;
	}
	if (import_path(import, op->path)) {
		op->path = import->path;
		if (path_is_reserved(import->path))
			rc = ZK_BADARGUMENTS;
		else if (strcmp(import->path, "/") == 0)
			rc = import->run->options->replace ? import_replace(import, op) : ZK_OK;
		else
			rc = zk_run_request(import->run, op, NULL, NULL);
		if (rc == ZK_NODEEXISTS)
			rc = import_replace(import, op);
	}
	if (rc == ZK_OK)
		return 0;
	fprintf(stderr, "zk: %s:%u: %s: %s%s\n", import->script.name, import->script.line, op->path,
	    zk_rc_text(rc), rc == ZK_NODEEXISTS ? " (--replace overwrites it)" : "");
	return import->run->signo != 0 ? 128 + import->run->signo : zk_run_status(rc);
}

int
zk_verb_import(struct zk_run *run, int argc, char **argv)
{
	struct import import = {.run = run,
	    .script = {.from = stdin, .name = "standard input"},
	    .top = argc > 0 ? argv[0] : "/"};
	enum zk_script_result result;
	int status = 0;

	if (zk_path_fault(import.top) != NULL)
		return zk_run_fail(run, import.top, ZK_BADARGUMENTS);
	if (run->options->parents)
		status = zk_run_fail(run, import.top, zk_run_parents(run, import.top));
	while (status == 0) {
		struct zk_change change;

		result = zk_script_next(&import.script, &change);
		if (result == ZK_SCRIPT_CHANGE)
			status = import_node(&import, &change.op);
		else
			status = result == ZK_SCRIPT_WRONG ? EX_DATAERR : 0;
		zk_change_fini(&change);
		if (result != ZK_SCRIPT_CHANGE)
			break;
	}
	if (status == 0 && import.script.begun && !import.script.ended) {
		fprintf(stderr,
		    "zk: %s:%u: the export ends here without its last line: it was cut short\n",
		    import.script.name, import.script.line);
		status = EX_DATAERR;
	}
	return status;
}
