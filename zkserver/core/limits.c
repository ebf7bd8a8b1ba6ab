/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/limits.h"

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"

static int
refuse(struct limits_refused *refused, enum limit which)
{
	refused->count[which]++;
	return which == LIMIT_PATH ? ZK_BADARGUMENTS : ZK_QUOTAEXCEEDED;
}

static bool
is_create(int32_t type)
{
	return type == ZK_OP_CREATE || type == ZK_OP_CREATE2 || type == ZK_OP_CREATE_CONTAINER ||
	       type == ZK_OP_CREATE_TTL;
}

static bool
is_ephemeral(const struct limits_write *w)
{
	return (w->type == ZK_OP_CREATE || w->type == ZK_OP_CREATE2) &&
	       (w->flags == ZK_EPHEMERAL || w->flags == ZK_EPHEMERAL_SEQUENTIAL);
}

static bool
is_too_long(struct jute_bytes path)
{
	int depth = 0;

	if (path.len > LIMITS_PATH_BYTES_MAX)
		return true;
	for (int32_t i = 0; i < path.len; i++)
		depth += path.data[i] == '/';
	return depth > LIMITS_DEPTH_MAX;
}

static bool
has_its_share(const struct limits *l, const struct tree *t, int64_t session)
{
	const struct tree_owner *owner = tree_owner_find(t, session);

	return owner != NULL && owner->count >= l->ephemerals;
}

int
limits_check(const struct limits *l, struct limits_refused *refused, const struct tree *t,
    const struct limits_write *w)
{
	bool create = is_create(w->type);

	if (!create && w->type != ZK_OP_SET_DATA)
		return ZK_OK;
	if (create && is_too_long(w->path))
		return refuse(refused, LIMIT_PATH);
	if (l->memory_bytes > 0 &&
	    t->data_bytes + t->node_count * LIMITS_NODE_BYTES >= l->memory_bytes)
		return refuse(refused, LIMIT_MEMORY);
	if (create && l->nodes > 0 && t->node_count >= l->nodes)
		return refuse(refused, LIMIT_NODES);
	if (l->ephemerals > 0 && is_ephemeral(w) && has_its_share(l, t, w->session))
		return refuse(refused, LIMIT_EPHEMERALS);
	return ZK_OK;
}
