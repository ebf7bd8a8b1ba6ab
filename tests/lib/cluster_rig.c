/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/cluster_rig.h"

#include <stdlib.h>

struct fake *f;

void
rig_setup(void)
{
	f = calloc(1, sizeof *f);
	ck_assert_ptr_nonnull(f);
	fake_init(f);
	fake_elect(f);
}

void
rig_teardown(void)
{
	ck_assert(!f->leading || cluster_check(&f->cluster));
	fake_fini(f);
	free(f);
}

void
agents_ready(int count, uint64_t cpu_milli)
{
	for (int i = 0; i < count; i++)
		fake_connect(f, fake_add_agent(f, cpu_milli, 4096));
	work();
}

struct fake_agent *
ready_agent(uint64_t cpu_milli)
{
	struct fake_agent *a = fake_add_agent(f, cpu_milli, 4096);

	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	return a;
}

struct agent *
node(const char *name)
{
	struct agent *a = cluster_agent(&f->cluster, name);

	ck_assert_ptr_nonnull(a);
	return a;
}

void
work(void)
{
	size_t unread;

	do {
		unread = 0;
		fake_settle(f);
		for (size_t i = 0; i < f->agent_count; i++) {
			unread += f->agents[i].inbox_count;
			fake_read_all(f, &f->agents[i]);
		}
	} while (unread > 0);
}

void
scan(uint64_t later_ms)
{
	f->now_ms += later_ms;
	for (size_t i = 0; i < f->agent_count; i++)
		fake_heartbeat(f, &f->agents[i]);
	fake_settle(f);
}

void
pass(uint64_t ms)
{
	for (uint64_t end_ms = f->now_ms + ms; f->now_ms < end_ms;) {
		scan(end_ms - f->now_ms < SCAN_MS ? end_ms - f->now_ms : SCAN_MS);
		work();
	}
}

struct job *
submit(const char *name, const char *role, uint32_t priority, uint32_t count, uint64_t cpu_milli)
{
	struct job_policy p = {
	    .role = role, .priority = priority, .need = {cpu_milli, 62 * MIB, 0}};
	struct job *j = fake_submit(f, name, count, &p);

	ck_assert_ptr_nonnull(j);
	work();
	return j;
}
