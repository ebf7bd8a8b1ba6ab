/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/unit_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/sys/notify.h"
#include "zkserver/standing.h"

#define SAY_MS 10000
#define ROLE_BYTES 128

void
unit_status_init(struct unit_status *u)
{
	*u = (struct unit_status){.watchdog_ms = notify_watchdog_ms()};
}

static void
print_role(const struct standing *st, char *to, size_t size)
{
	if (st == NULL)
		snprintf(to, size, "alone");
	else if (strcmp(st->role, "leader") == 0)
		snprintf(to, size, "leader of epoch %d with %u of %u followers and %u observers",
		    (int)st->epoch, st->synced_followers, st->voters > 0 ? st->voters - 1 : 0,
		    st->synced_observers);
	else if (st->master != st->leader)
		snprintf(to, size, "%s of server %" PRId64 " in epoch %d, at its follower %" PRId64,
		    st->role, st->leader, (int)st->epoch, st->master);
	else
		snprintf(to, size, "%s of server %" PRId64 " in epoch %d", st->role, st->leader,
		    (int)st->epoch);
}

static void
say(const struct server *s, const struct standing *st)
{
	char role[ROLE_BYTES];

	if (st != NULL && !st->serves) {
		notify_status("serving nobody: %s", st->why);
		return;
	}
	print_role(st, role, sizeof role);
	notify_status("%s: zxid 0x%" PRIx64 ", %" PRIu64 " nodes, %zu sessions, %zu connections",
	    role, (uint64_t)s->db->last_zxid, s->db->tree.node_count,
	    session_count(&s->db->sessions), s->conn_count);
}

void
unit_status_tick(struct unit_status *u, const struct server *s, const struct standing *standing)
{
	if (u->watchdog_ms > 0 && s->now_ms - u->alive_ms >= u->watchdog_ms) {
		u->alive_ms = s->now_ms;
		notify_watchdog();
	}
	if (s->now_ms - u->said_ms >= SAY_MS) {
		u->said_ms = s->now_ms;
		say(s, standing);
	}
}

void
unit_status_now(struct unit_status *u)
{
	u->said_ms = 0;
}
