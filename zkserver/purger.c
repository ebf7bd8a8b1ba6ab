/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/purger.h"

#include "libcommon/sys/log.h"

static void
work(void *arg, struct fault *f)
{
	struct purger *p = arg;

	purge(p->chore.stores[0], p->chore.stores[1], p->retain, f);
}

static void
done(void *arg, const char *fault, int status)
{
	(void)arg;
	if (fault[0] != '\0')
		log_error("autopurge: %s", fault);
	else if (status != 0)
		log_error("autopurge: its child ended with status 0x%x", (unsigned)status);
}

void
purger_init(struct purger *p, struct loop *loop, struct store *snapshots, struct store *logs,
    unsigned hours, unsigned retain)
{
	*p = (struct purger){
	    .chore = {.name = "autopurge",
		.loop = loop,
		.stores = {snapshots, logs},
		.work = work,
		.done = done,
		.arg = p},
	    .clock = {.hours = hours},
	    .retain = retain,
	};
}

void
purger_fini(struct purger *p)
{
	chore_stop(&p->chore);
}

void
purger_tick(struct purger *p, uint64_t now_ms)
{
	if (!chore_busy(&p->chore) && purge_clock_due(&p->clock, now_ms))
		chore_start(&p->chore);
}
