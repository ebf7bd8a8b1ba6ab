/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_change.h"

#include <stdlib.h>
#include <string.h>

#include "cli/zk_run.h"
#include "libcommon/base/amount.h"

void
zk_change_fini(struct zk_change *change)
{
	free(change->acls);
	free(change->acl_texts);
	free(change->data);
	free(change->line);
	*change = (struct zk_change){.acls = NULL};
}

/* "zk: " or, in a script, "zk: standard input:3: ". */
static void
say_place(const char *place)
{
	fprintf(stderr, "zk: %s%s", place != NULL ? place : "", place != NULL ? ": " : "");
}

/* All texts into one allocation, from which the entries are cut. */
static bool
acls_allocate(struct zk_change *change, const char *const *texts, size_t count)
{
	size_t size = 1;

	for (size_t i = 0; i < count; i++)
		size += strlen(texts[i]) + 1;
	change->acls = calloc(count + 1, sizeof *change->acls);
	change->acl_texts = malloc(size);
	return change->acls != NULL && change->acl_texts != NULL;
}

bool
zk_change_acls(struct zk_change *change, const char *const *texts, size_t count, const char *place)
{
	char *at;

	if (count > ZK_ACLS_MAX || !acls_allocate(change, texts, count)) {
		say_place(place);
		fprintf(stderr, "%zu access control entries: at most %d are possible\n", count,
		    ZK_ACLS_MAX);
		return false;
	}
	at = change->acl_texts;
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(texts[i]) + 1;

		memcpy(at, texts[i], size);
		if (!zk_acl_parse(at, &change->acls[i])) {
			say_place(place);
			fprintf(stderr,
			    "'%s' is no access control entry: write SCHEME:ID:PERMS, PERMS being "
			    "letters of cdrwa (create, delete, read, write, admin)\n",
			    texts[i]);
			return false;
		}
		at += size;
	}
	change->op.acls = count > 0 ? change->acls : NULL;
	change->op.acl_count = count;
	return true;
}

/* The type and the flags that say what kind of node it is. False: no kind is all of that. */
static bool
create_mode(struct zk_op *op, const struct zk_options *options)
{
	bool has_ttl = options->ttl_ms != AMOUNT_TIME_FOREVER;

	if (options->container) {
		op->type = ZK_OP_CREATE_CONTAINER;
		op->flags = ZK_CONTAINER;
		return !options->ephemeral && !options->sequential && !has_ttl;
	}
	if (has_ttl) {
		op->type = ZK_OP_CREATE_TTL;
		op->flags = options->sequential ? ZK_SEQUENTIAL_TTL : ZK_PERSISTENT_TTL;
		op->ttl_ms = options->ttl_ms < INT64_MAX ? (int64_t)options->ttl_ms : INT64_MAX;
		return !options->ephemeral;
	}
	op->type = ZK_OP_CREATE2;
	op->flags =
	    (options->ephemeral ? ZK_EPHEMERAL : 0) | (options->sequential ? ZK_SEQUENTIAL : 0);
	return true;
}

bool
zk_change_create(struct zk_change *change, const struct zk_options *options, const char *place)
{
	if (options->ttl_ms == 0) {
		say_place(place);
		fprintf(stderr, "--ttl: a node cannot live for no time\n");
		return false;
	}
	if (!create_mode(&change->op, options)) {
		say_place(place);
		fprintf(stderr, "a node cannot be %s at once\n",
		    options->container ? "a container and ephemeral, sequential or with --ttl"
				       : "ephemeral and with --ttl");
		return false;
	}
	return zk_change_acls(change, options->acls.items, options->acls.count, place);
}
