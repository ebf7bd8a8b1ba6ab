/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/quota.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/zk_err.h"
#include "zkserver/core/tree_priv.h"

#define STATS_TEXT_BYTES 160 /* four numbers with their names */
#define NUMBER_BYTES 24
#define PATH_SHOWN_BYTES 100

static const char ROOT[] = "/zookeeper/quota", LIMITS[] = "zookeeper_limits",
		  STATS[] = "zookeeper_stats";

/* A quota's two nodes; stats is NULL where a client removed it. */
struct place {
	struct jute_bytes path; /* that it is for */
	struct tree_node *limits, *stats;
};

static struct jute_bytes
bytes_of(const char *text)
{
	return (struct jute_bytes){(const uint8_t *)text, (int32_t)strlen(text)};
}

static bool
is_text(struct jute_bytes bytes, const char *text)
{
	size_t len = strlen(text);

	return (size_t)bytes.len == len && memcmp(bytes.data, text, len) == 0;
}

/*
 * The number in a value that may have another '=' behind it; -1 if it is empty or none. Statistics
 * that a client set too low go below zero.
 */
static int64_t
parse_number(const char *value, size_t len)
{
	const char *end = memchr(value, '=', len);
	char text[NUMBER_BYTES];
	bool negative;
	uint64_t n;

	if (end != NULL)
		len = (size_t)(end - value);
	negative = len > 0 && value[0] == '-';
	value += negative;
	len -= negative;
	if (len == 0 || len >= sizeof text)
		return -1;
	memcpy(text, value, len);
	text[len] = '\0';
	if (!str_to_u64(text, 0, INT64_MAX, &n))
		return -1;
	return negative ? -(int64_t)n : (int64_t)n;
}

static void
parse_pair(const char *pair, size_t len, struct quota *q)
{
	const char *equals = memchr(pair, '=', len);
	struct jute_bytes key;
	int64_t n;

	if (equals == NULL)
		return;
	key = (struct jute_bytes){(const uint8_t *)pair, (int32_t)(equals - pair)};
	n = parse_number(equals + 1, len - (size_t)key.len - 1);
	if (is_text(key, "count"))
		q->count = n;
	else if (is_text(key, "bytes"))
		q->bytes = n;
	else if (is_text(key, "countHardLimit"))
		q->count_hard = n;
	else if (is_text(key, "byteHardLimit"))
		q->bytes_hard = n;
}

struct quota
quota_parse(struct jute_bytes text)
{
	struct quota q = {-1, -1, -1, -1};
	int32_t start = 0;

	for (int32_t at = 0; at <= text.len; at++) {
		if (at < text.len && text.data[at] != ',' && text.data[at] != ';')
			continue;
		parse_pair((const char *)text.data + start, (size_t)(at - start), &q);
		start = at + 1;
	}
	return q;
}

static struct tree_node *
child(const struct tree *t, const struct tree_node *n, struct jute_bytes name)
{
	return n != NULL ? tree_kids_find(t, n, name) : NULL;
}

/* The deepest quota above the path, or its own. Quotas of the root count nothing, as Apache's. */
static bool
find(const struct tree *t, struct jute_bytes path, struct place *place)
{
	const struct tree_node *n;
	struct jute_bytes name;
	int32_t at = 0;

	place->limits = NULL;
	if (t->limits_count == 0)
		return false;
	n = tree_find(t, bytes_of(ROOT));
	while (n != NULL && tree_path_next_name(path, &at, &name)) {
		struct tree_node *limits;

		n = child(t, n, name);
		if ((limits = child(t, n, bytes_of(LIMITS))) == NULL)
			continue;
		place->path = (struct jute_bytes){path.data, at};
		place->limits = limits;
		place->stats = child(t, n, bytes_of(STATS));
	}
	return place->limits != NULL;
}

/* It wraps, as in Java: a client may have set anything. */
static int64_t
sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Where the limit is passed: say so. True: it is a hard one. */
static bool
passed(const struct place *p, int64_t now, int64_t soft, int64_t hard, const char *what,
    struct quota_notice *notice)
{
	int64_t limit = hard > -1 ? hard : soft;
	int shown = p->path.len < PATH_SHOWN_BYTES ? p->path.len : PATH_SHOWN_BYTES;

	if (limit < 0 || now <= limit)
		return false;
	notice->count++;
	snprintf(notice->text, sizeof notice->text, "%.*s: %s %lld, %s limit %lld", shown,
	    (const char *)p->path.data, what, (long long)now, hard > -1 ? "hard" : "soft",
	    (long long)limit);
	return hard > -1;
}

int
quota_check(const struct tree *t, struct jute_bytes path, int64_t bytes, int64_t count,
    struct quota_notice *notice)
{
	struct quota limits, stats;
	struct place p;

	if (!find(t, path, &p) || p.stats == NULL)
		return ZK_OK;
	limits = quota_parse(tree_node_data(p.limits));
	stats = quota_parse(tree_node_data(p.stats));
	if (count != 0 &&
	    passed(&p, sum(stats.count, count), limits.count, limits.count_hard, "nodes", notice))
		return ZK_QUOTAEXCEEDED;
	if (bytes != 0 &&
	    passed(&p, sum(stats.bytes, bytes), limits.bytes, limits.bytes_hard, "bytes", notice))
		return ZK_QUOTAEXCEEDED;
	return ZK_OK;
}

/* As Apache's servers do: limits have no place here, but stay if a client put them there. */
static void
print_stats(const struct quota *q, char text[STATS_TEXT_BYTES])
{
	bool limits = q->bytes_hard != -1 || q->count_hard != -1;
	int at = snprintf(text, STATS_TEXT_BYTES, "count=%lld,bytes=%lld%s", (long long)q->count,
	    (long long)q->bytes, limits ? "=" : "");

	if (q->bytes_hard != -1)
		at += snprintf(text + at, STATS_TEXT_BYTES - (size_t)at, ";byteHardLimit=%lld",
		    (long long)q->bytes_hard);
	if (q->count_hard != -1)
		snprintf(text + at, STATS_TEXT_BYTES - (size_t)at, ";countHardLimit=%lld",
		    (long long)q->count_hard);
}

/* In place: no version, no time, no zxid shows that the server did it. */
static bool
write_stats(struct tree *t, struct tree_node *stats, const struct quota *q)
{
	char text[STATS_TEXT_BYTES];

	print_stats(q, text);
	return tree_node_replace_data(t, stats, bytes_of(text)) != NULL;
}

bool
quota_add(struct tree *t, struct jute_bytes path, int64_t bytes, int64_t count)
{
	struct quota stats;
	struct place p;

	if (!find(t, path, &p) || p.stats == NULL)
		return true;
	stats = quota_parse(tree_node_data(p.stats));
	stats.count = sum(stats.count, count);
	stats.bytes = sum(stats.bytes, bytes);
	return write_stats(t, p.stats, &stats);
}

/* The path that the quota whose node this is (below ROOT) is for, or NULL. */
static const struct tree_node *
counted_node(const struct tree *t, const struct tree_node *of, struct buf *path)
{
	size_t len = sizeof ROOT - 1;

	buf_clear(path);
	tree_node_path(t, of, path);
	if (path->failed || path->len < len || memcmp(path->data, ROOT, len) != 0)
		return NULL;
	return tree_find(t, (struct jute_bytes){path->data + len, (int32_t)(path->len - len)});
}

/* Count what lies at and below the node that the quota (by its node below ROOT) is for. */
static bool
count_all(struct tree *t, const struct tree_node *of)
{
	struct tree_node *stats = child(t, of, bytes_of(STATS));
	const struct tree_node *top;
	struct quota counted = {0, 0, -1, -1};
	struct buf path;
	bool ok;

	if (stats == NULL)
		return true;
	buf_init(&path, TREE_PATH_BYTES_MAX);
	top = counted_node(t, of, &path);
	for (const struct tree_node *n = top; n != NULL; n = tree_next_below(t, top, n)) {
		counted.count++;
		counted.bytes += n->data_len;
	}
	ok = !path.failed;
	buf_fini(&path);
	return ok && write_stats(t, stats, &counted);
}

bool
quota_is_limits(const struct tree_node *n)
{
	return n->undigested && is_text(tree_node_name(n), LIMITS);
}

bool
quota_created(struct tree *t, const struct tree_node *n)
{
	if (!n->undigested || !is_text(tree_node_name(n), STATS))
		return true;
	return count_all(t, tree_by_id(t, n->parent));
}

bool
quota_recount(struct tree *t)
{
	const struct tree_node *top = tree_find(t, bytes_of(ROOT));

	if (t->limits_count == 0)
		return true;
	for (const struct tree_node *n = top; n != NULL; n = tree_next_below(t, top, n)) {
		if (quota_is_limits(n) && !count_all(t, tree_by_id(t, n->parent)))
			return false;
	}
	return true;
}
