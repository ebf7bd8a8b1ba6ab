/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/zkkinds.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/quota.h"

#define TTL_MAX_MS 4000
#define QUOTA_PATH_BYTES 80

static struct jute_bytes
text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

/* "/zookeeper/quota/k1/NAME" for a path at or below /k1; without the last part if NAME is "". */
static void
quota_path(char to[QUOTA_PATH_BYTES], const char *path, const char *name)
{
	snprintf(to, QUOTA_PATH_BYTES, "/zookeeper/quota%.3s%s%s", path, name[0] != '\0' ? "/" : "",
	    name);
}

int32_t
zkkinds_op(struct zkclient *c)
{
	return rng_below(&c->rng, 2) == 0 ? ZK_OP_CREATE_CONTAINER : ZK_OP_CREATE_TTL;
}

static void
random_limits(struct zkclient *c, char *to, size_t size)
{
	int count = (int)rng_below(&c->rng, 12), bytes = (int)rng_below(&c->rng, 6000);

	snprintf(to, size, "count=-1,bytes=-1=;byteHardLimit=%d;countHardLimit=%d",
	    rng_below(&c->rng, 2) == 0 ? -1 : bytes, rng_below(&c->rng, 3) == 0 ? -1 : count);
}

void
zkkinds_choose(struct zkclient *c, struct zkclient_request *q)
{
	char path[QUOTA_PATH_BYTES];

	if (q->op == ZK_OP_MULTI && rng_below(&c->rng, 2) == 0)
		q->quota = rng_below(&c->rng, 3) == 0 ? ZKCLIENT_QUOTA_ENDS : ZKCLIENT_QUOTA_BEGINS;
	if (q->op != ZK_OP_SET_DATA || rng_below(&c->rng, 8) > 0)
		return;
	quota_path(path, q->path, "zookeeper_limits");
	snprintf(q->path, sizeof(q->path), "%s", path);
	random_limits(c, q->data, sizeof(q->data));
}

int32_t
zkkinds_flags(struct zkclient *c, const struct zkclient_request *q)
{
	if (q->op == ZK_OP_CREATE_CONTAINER)
		return ZK_CONTAINER;
	return rng_below(&c->rng, 2) == 0 ? ZK_PERSISTENT_TTL : ZK_SEQUENTIAL_TTL;
}

void
zkkinds_put_ttl(struct zkclient *c)
{
	jute_put_i64(&c->wire, 1 + (int64_t)rng_below(&c->rng, TTL_MAX_MS));
}

static void
put_part(struct zkclient *c, int32_t op, const char *path)
{
	jute_put_i32(&c->wire, op);
	jute_put_bool(&c->wire, false);
	jute_put_i32(&c->wire, -1);
	jute_put_bytes(&c->wire, text(path));
}

/* As Apache's tools do it, but as a whole: statistics that stand without limits are not kept. */
void
zkkinds_put_quota(struct zkclient *c, const struct zkclient_request *q)
{
	static const char *const names[] = {"", "zookeeper_limits", "zookeeper_stats"};
	char path[QUOTA_PATH_BYTES], limits[128];

	random_limits(c, limits, sizeof(limits));
	for (int i = 0; i < 3; i++) {
		bool begins = q->quota == ZKCLIENT_QUOTA_BEGINS;

		quota_path(path, q->path, names[begins ? i : 2 - i]);
		put_part(c, begins ? ZK_OP_CREATE : ZK_OP_DELETE, path);
		if (!begins) {
			jute_put_i32(&c->wire, -1);
			continue;
		}
		jute_put_bytes(&c->wire, text(i == 1 ? limits : ""));
		zkclient_put_acl(&c->wire);
		jute_put_i32(&c->wire, ZK_PERSISTENT);
	}
	jute_put_i32(&c->wire, -1);
	jute_put_bool(&c->wire, true);
	jute_put_i32(&c->wire, -1);
}

bool
zkkinds_may_exceed(const struct zknode *n, const char *path, int64_t zxid)
{
	char limits[QUOTA_PATH_BYTES];

	quota_path(limits, path, "zookeeper_limits");
	return n->settings.enforce_quota && model_at(&n->model, limits, zxid) != NULL;
}

static void
check_quota(struct zknode *n, const char *root)
{
	char path[QUOTA_PATH_BYTES];
	const struct tree_node *stats;
	struct quota kept;
	int64_t count, bytes;

	quota_path(path, root, "zookeeper_stats");
	if ((stats = tree_find(&n->db.tree, text(path))) == NULL)
		return;
	kept = quota_parse(tree_node_data(stats));
	model_count(&n->model, root, &count, &bytes);
	if (kept.count != count || kept.bytes != bytes)
		world_violation(n->world,
		    "quota of %s: %lld nodes and %lld bytes by its statistics, there are %lld and "
		    "%lld",
		    root, (long long)kept.count, (long long)kept.bytes, (long long)count,
		    (long long)bytes);
}

void
zkkinds_check_quotas(struct zknode *n)
{
	static const char *const roots[] = {"/k0", "/k1", "/k2"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		check_quota(n, roots[i]);
}
