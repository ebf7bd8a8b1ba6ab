/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/bounds.h"

#include <inttypes.h>

#include "libcommon/sys/log.h"
#include "zkserver/memory.h"

#define PAUSE_MS 60000
#define MIB ((uint64_t)1 << 20)
#define MEMORY_TENTHS 9 /* of what there is */

/* Beyond it writes are refused, so that what is there can still be read, removed and saved. */
static uint64_t
memory_limit(const struct zoo_conf *c)
{
	if (c->memory_max_mib != ZOO_MEMORY_AUTO)
		return (uint64_t)c->memory_max_mib << 20;
	return memory_available_bytes("/proc/self/cgroup", "/sys/fs/cgroup") / 10 * MEMORY_TENTHS;
}

struct limits
bounds_limits(const struct zoo_conf *c)
{
	uint32_t weight = c->connect_weighed ? c->connect_weight : 1;

	return (struct limits){
	    .memory_bytes = memory_limit(c),
	    .nodes = c->nodes_max,
	    .ephemerals = c->ephemerals_max,
	    .sessions = c->sessions_max,
	    .connects = {c->connect_tokens * weight, c->connect_fill_ms,
		c->connect_fill_count * weight},
	    .connect_cost = weight,
	    .reconnect_cost = c->connect_weighed ? c->reconnect_weight : 1,
	};
}

uint32_t
bounds_outstanding(const struct zoo_conf *c)
{
	return c->requests_max > 0 && c->requests_max < c->outstanding_max ? c->requests_max
									   : c->outstanding_max;
}

static void
say(const struct server *s, enum limit which, uint64_t times)
{
	const struct limits *l = &s->settings.limits;

	switch (which) {
	case LIMIT_MEMORY:
		log_warn("%" PRIu64 " writes were refused: the tree takes about %" PRIu64
			 " MiB; remove nodes, or raise maxMemoryInMb",
		    times, l->memory_bytes / MIB);
		return;
	case LIMIT_NODES:
		log_warn("%" PRIu64 " creates were refused: there are %" PRIu64
			 " nodes; remove some, or raise maxNodes",
		    times, s->db->tree.node_count);
		return;
	case LIMIT_EPHEMERALS:
		log_warn("%" PRIu64 " creates were refused: their session has %u ephemeral nodes "
			 "(maxEphemeralsPerSession)",
		    times, l->ephemerals);
		return;
	case LIMIT_SESSIONS:
		log_warn("%" PRIu64 " clients were turned away: there are %u sessions "
			 "(maxSessions)",
		    times, l->sessions);
		return;
	case LIMIT_CONNECTS:
		log_warn("%" PRIu64 " clients were turned away: they come too fast "
			 "(connection_throttle_tokens)",
		    times);
		return;
	case LIMIT_PATH:
		log_warn("%" PRIu64 " creates were refused: a path has at most %d bytes and %d "
			 "levels",
		    times, LIMITS_PATH_BYTES_MAX, LIMITS_DEPTH_MAX);
		return;
	case LIMIT_REPLY:
		log_warn("%" PRIu64 " reads failed: their replies are larger than %zu MiB", times,
		    SERVER_REPLY_BYTES_MAX >> 20);
		return;
	case LIMIT_COUNT:
		return;
	}
}

void
bounds_log(struct bounds_log *l, const struct server *s)
{
	for (int i = 0; i < LIMIT_COUNT; i++) {
		uint64_t times = s->refused.count[i] - l->said[i];

		if (times == 0 || (l->said[i] > 0 && s->now_ms < l->said_ms[i] + PAUSE_MS))
			continue;
		say(s, (enum limit)i, times);
		l->said[i] = s->refused.count[i];
		l->said_ms[i] = s->now_ms;
	}
}
