/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/unit_status.h"

#include <inttypes.h>

#include "libcommon/sys/notify.h"

#define SAY_MS 10000

void
unit_status_init(struct unit_status *u)
{
	*u = (struct unit_status){.watchdog_ms = notify_watchdog_ms()};
}

void
unit_status_tick(struct unit_status *u, const struct server *s)
{
	if (u->watchdog_ms > 0 && s->now_ms - u->alive_ms >= u->watchdog_ms) {
		u->alive_ms = s->now_ms;
		notify_watchdog();
	}
	if (s->now_ms - u->said_ms >= SAY_MS) {
		u->said_ms = s->now_ms;
		notify_status("alone: zxid 0x%" PRIx64 ", %" PRIu64
			      " nodes, %zu sessions, %zu connections",
		    (uint64_t)s->db->last_zxid, s->db->tree.node_count,
		    session_count(&s->db->sessions), s->conn_count);
	}
}
