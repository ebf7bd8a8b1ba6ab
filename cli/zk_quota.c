/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zk quota: how many nodes and bytes a tree may have, as Apache's setquota, listquota and delquota
 * keep it. For the tree at PATH the limits are the data of /zookeeper/quota/PATH/zookeeper_limits,
 * and the server keeps the use in zookeeper_stats beside it. Source: Quotas and StatsTrack of
 * Apache ZooKeeper 3.8.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/list.h"
#include "libcommon/base/str.h"

#define QUOTA_TOP "/zookeeper/quota"
#define LIMITS "/zookeeper_limits"
#define STATS "/zookeeper_stats"
#define TEXT_BYTES_MAX 256

/* Four numbers as their text has them; -1: none. */
struct quota {
	int64_t count, bytes, count_hard, bytes_hard;
};

static const struct quota no_quota = {-1, -1, -1, -1};

struct quota_key {
	const char *name;
	size_t offset;
};

static const struct quota_key keys[] = {
    {"count", offsetof(struct quota, count)},
    {"bytes", offsetof(struct quota, bytes)},
    {"countHardLimit", offsetof(struct quota, count_hard)},
    {"byteHardLimit", offsetof(struct quota, bytes_hard)},
};

static void
quota_put(struct quota *quota, char *part)
{
	char *value = strchr(part, '=');

	if (value == NULL)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		int64_t *to = (int64_t *)(void *)((char *)quota + keys[i].offset);

		if (strcmp(part, keys[i].name) == 0 && !str_to_i64(value, INT64_MIN, INT64_MAX, to))
			*to = -1;
	}
}

struct quota_read {
	struct quota quota;
	int32_t version;
};

static void
quota_parse(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct quota_read *to = arg;
	char text[TEXT_BYTES_MAX], *at = text, *part;
	size_t size = result->size < sizeof text - 1 ? result->size : sizeof text - 1;

	(void)run;
	memcpy(text, result->data != NULL ? result->data : (const void *)"", size);
	text[size] = '\0';
	to->version = result->stat.version;
	to->quota = no_quota;
	while ((part = strsep(&at, ",;")) != NULL) {
		size_t len = strlen(part);

		if (len > 0 && part[len - 1] == '=') /* before the hard limits */
			part[len - 1] = '\0';
		quota_put(&to->quota, part);
	}
}

static void
quota_text(char to[TEXT_BYTES_MAX], const struct quota *q)
{
	const char *before = "=;";
	int len =
	    snprintf(to, TEXT_BYTES_MAX, "count=%" PRId64 ",bytes=%" PRId64, q->count, q->bytes);

	if (q->bytes_hard >= 0) {
		len += snprintf(to + len, TEXT_BYTES_MAX - (size_t)len, "%sbyteHardLimit=%" PRId64,
		    before, q->bytes_hard);
		before = ";";
	}
	if (q->count_hard >= 0)
		snprintf(to + len, TEXT_BYTES_MAX - (size_t)len, "%scountHardLimit=%" PRId64,
		    before, q->count_hard);
}

/* QUOTA_TOP, the path, and which of the two nodes. */
static bool
quota_path(char to[ZK_RUN_PATH_MAX], const char *path, const char *which)
{
	int len = snprintf(
	    to, ZK_RUN_PATH_MAX, QUOTA_TOP "%s%s", strcmp(path, "/") == 0 ? "" : path, which);

	return len > 0 && len < ZK_RUN_PATH_MAX;
}

static int
quota_get(struct zk_run *run, const char *path, const char *which, struct quota_read *to)
{
	char node[ZK_RUN_PATH_MAX];
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = node};

	to->quota = no_quota;
	if (!quota_path(node, path, which))
		return ZK_TOOLARGE;
	return zk_run_request(run, &op, quota_parse, to);
}

static void
number_print(int64_t number)
{
	if (number < 0)
		printf(" %12s", "-");
	else
		printf(" %12" PRId64, number);
}

/* As zk_run_fail(), where the nodes of a quota are what was asked for. */
static int
quota_fail(const struct zk_run *run, const char *path, int rc)
{
	if (rc != ZK_NONODE)
		return zk_run_fail(run, path, rc);
	fprintf(stderr, "zk: %s: no quota is set\n", path);
	return 1;
}

static int
quota_show(struct zk_run *run, const char *path)
{
	struct quota_read limits, used;
	int rc = quota_get(run, path, LIMITS, &limits);

	if (rc == ZK_OK)
		rc = quota_get(run, path, STATS, &used);
	if (rc != ZK_OK)
		return quota_fail(run, path, rc);
	if (run->options->json)
		return zk_json_print(
		    json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "path", path, "count",
			(json_int_t)limits.quota.count, "bytes", (json_int_t)limits.quota.bytes,
			"count_hard", (json_int_t)limits.quota.count_hard, "bytes_hard",
			(json_int_t)limits.quota.bytes_hard, "count_used",
			(json_int_t)used.quota.count, "bytes_used", (json_int_t)used.quota.bytes));
	printf("       %12s %12s %12s\nNODES ", "USED", "SOFT", "HARD");
	number_print(used.quota.count);
	number_print(limits.quota.count);
	number_print(limits.quota.count_hard);
	printf("\nBYTES ");
	number_print(used.quota.bytes);
	number_print(limits.quota.bytes);
	number_print(limits.quota.bytes_hard);
	putchar('\n');
	return 0;
}

/* A quota below another would never be looked at: Apache's setquota refuses it, and so do we. */
static int
quota_above(struct zk_run *run, const char *path)
{
	char above[ZK_RUN_PATH_MAX], *slash;
	struct quota_read read;

	if (!str_copy(above, sizeof above, path))
		return EX_USAGE;
	while ((slash = strrchr(above, '/')) != NULL && slash != above) {
		*slash = '\0';
		if (quota_get(run, above, LIMITS, &read) == ZK_OK) {
			fprintf(stderr, "zk: %s: %s above it has a quota already\n", path, above);
			return 1;
		}
	}
	return 0;
}

struct quota_below {
	struct zk_walk walk;
	size_t skip;
	bool found;
};

static int
quota_is_below(struct zk_walk *walk)
{
	struct quota_below *below = CONTAINER_OF(walk, struct quota_below, walk);
	const char *rest = walk->path + below->skip, *last = strrchr(rest, '/');

	below->found = last != rest && strcmp(last, LIMITS) == 0;
	return below->found ? ZK_NODEEXISTS : ZK_OK;
}

static int
quota_below(struct zk_run *run, const char *path)
{
	struct quota_below below = {.walk = {.run = run, .visit = quota_is_below, .deep = true}};
	char top[ZK_RUN_PATH_MAX];
	int rc = quota_path(top, path, "") ? ZK_OK : ZK_TOOLARGE;

	below.skip = strlen(top);
	if (rc == ZK_OK)
		rc = zk_walk(&below.walk, top);
	if (!below.found)
		return rc == ZK_NONODE ? 0 : zk_run_fail(run, path, rc);
	*strrchr(below.walk.path, '/') = '\0';
	fprintf(stderr, "zk: %s: %s below it has a quota already\n", path,
	    below.walk.path + strlen(QUOTA_TOP));
	return 1;
}

static void
quota_merge(struct quota *quota, const struct zk_options *options)
{
	if (options->count_soft != UINT32_MAX)
		quota->count = (int64_t)options->count_soft;
	if (options->count_hard != UINT32_MAX)
		quota->count_hard = (int64_t)options->count_hard;
	if (options->bytes_soft != UINT64_MAX)
		quota->bytes = (int64_t)options->bytes_soft;
	if (options->bytes_hard != UINT64_MAX)
		quota->bytes_hard = (int64_t)options->bytes_hard;
}

/* The limits first and the use behind it, in one: the server counts when it sees the second. */
static int
quota_create(struct zk_run *run, const char *path, const struct quota *quota)
{
	char limits[ZK_RUN_PATH_MAX], stats[ZK_RUN_PATH_MAX], text[TEXT_BYTES_MAX],
	    none[TEXT_BYTES_MAX];
	struct zk_op both[] = {
	    {.type = ZK_OP_CREATE2, .path = limits, .data = text},
	    {.type = ZK_OP_CREATE2, .path = stats, .data = none},
	};
	int rc = ZK_TOOLARGE;

	quota_text(text, quota);
	quota_text(none, &no_quota);
	both[0].size = strlen(text);
	both[1].size = strlen(none);
	if (quota_path(limits, path, LIMITS) && quota_path(stats, path, STATS))
		rc = zk_run_parents(run, limits);
	return rc == ZK_OK ? zk_run_multi(run, both, 2, NULL, NULL) : rc;
}

static int
quota_change(struct zk_run *run, const char *path, struct quota_read *read)
{
	char limits[ZK_RUN_PATH_MAX], text[TEXT_BYTES_MAX];
	struct zk_op op = {.type = ZK_OP_SET_DATA, .path = limits, .version = read->version};

	quota_merge(&read->quota, run->options);
	quota_text(text, &read->quota);
	op.data = text;
	op.size = strlen(text);
	return quota_path(limits, path, LIMITS) ? zk_run_request(run, &op, NULL, NULL)
						: ZK_TOOLARGE;
}

static int
quota_set(struct zk_run *run, const char *path)
{
	const struct zk_op exists = {.type = ZK_OP_EXISTS, .path = path};
	struct quota_read read = {.quota = no_quota};
	int rc = zk_run_request(run, &exists, NULL, NULL), status;

	if (rc != ZK_OK)
		return zk_run_fail(run, path, rc);
	rc = quota_get(run, path, LIMITS, &read);
	if (rc == ZK_OK)
		return zk_run_fail(run, path, quota_change(run, path, &read));
	if (rc != ZK_NONODE)
		return zk_run_fail(run, path, rc);
	status = quota_above(run, path);
	if (status == 0)
		status = quota_below(run, path);
	quota_merge(&read.quota, run->options);
	return status != 0 ? status : zk_run_fail(run, path, quota_create(run, path, &read.quota));
}

/* Both nodes, and those above them that are empty then, but for the top. */
static int
quota_remove(struct zk_run *run, const char *path)
{
	char limits[ZK_RUN_PATH_MAX], stats[ZK_RUN_PATH_MAX];
	const struct zk_op ops[] = {
	    {.type = ZK_OP_DELETE, .path = limits, .version = ZK_ANY_VERSION},
	    {.type = ZK_OP_DELETE, .path = stats, .version = ZK_ANY_VERSION},
	};
	struct zk_op parent = ops[0];
	int rc = ZK_TOOLARGE;
	char *slash;

	if (quota_path(limits, path, LIMITS) && quota_path(stats, path, STATS))
		rc = zk_run_multi(run, ops, 2, NULL, NULL);
	if (rc != ZK_OK)
		return quota_fail(run, path, rc);
	while ((slash = strrchr(limits, '/')) != NULL &&
	       (size_t)(slash - limits) > strlen(QUOTA_TOP)) {
		*slash = '\0';
		rc = zk_run_request(run, &parent, NULL, NULL);
		if (rc != ZK_OK)
			return rc == ZK_NOTEMPTY || rc == ZK_NONODE ? 0
								    : zk_run_fail(run, limits, rc);
	}
	return 0;
}

int
zk_verb_quota(struct zk_run *run, int argc, char **argv)
{
	const struct zk_options *o = run->options;
	bool sets = o->count_soft != UINT32_MAX || o->count_hard != UINT32_MAX ||
		    o->bytes_soft != UINT64_MAX || o->bytes_hard != UINT64_MAX;

	(void)argc;
	if (zk_path_fault(argv[0]) != NULL)
		return zk_run_fail(run, argv[0], ZK_BADARGUMENTS);
	if (sets && o->remove) {
		fprintf(stderr, "zk: --remove and a limit do not go together\n");
		return EX_USAGE;
	}
	if (o->remove)
		return quota_remove(run, argv[0]);
	return sets ? quota_set(run, argv[0]) : quota_show(run, argv[0]);
}
