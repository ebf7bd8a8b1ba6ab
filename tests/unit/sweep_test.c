/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's end of what its agent does not know, over a machine that is made up here. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/helper_internal.h"
#include "agent/launched.h"
#include "libcommon/base/str.h"
#include "tests/lib/unit.h"

#define GROUPS 3

static const char *const groups[GROUPS] = {"1-0-1-1-1", "2-0-1-1-1", "3-0-1-1-1"};
static const struct proc_id executors[GROUPS] = {{11, 1}, {12, 1}, {13, 1}};
static bool alive[GROUPS], executor_alive[GROUPS], noted[GROUPS];
static int broken; /* its group cannot be killed; -1: none */
static struct helper helper;
static char error[HELPER_ERROR_BYTES];

static size_t
group_number(const char *group)
{
	const char *name = strrchr(group, '/');
	size_t i = 0;

	name = name == NULL ? group : name + 1;
	while (i < GROUPS && strcmp(groups[i], name) != 0)
		i++;
	ck_assert_uint_lt(i, GROUPS);
	return i;
}

/* --- the machine --- */

bool
cgroup_each(const struct cgroup_host *h, const char *group,
    bool (*visit)(void *arg, const char *name), void *arg)
{
	(void)h;
	(void)group;
	for (size_t i = 0; i < GROUPS; i++)
		if (!visit(arg, groups[i]))
			break;
	return true;
}

int
cgroup_kill(const struct cgroup_host *h, const char *group)
{
	size_t i = group_number(group);

	(void)h;
	if ((int)i == broken) {
		errno = EIO;
		return -1;
	}
	if (!alive[i])
		return 1;
	alive[i] = false;
	return 0;
}

bool
cgroup_remove(const struct cgroup_host *h, const char *group)
{
	(void)h;
	(void)group;
	return true;
}

void
cgroup_remove_if_empty(const struct cgroup_host *h, const char *group)
{
	(void)h;
	(void)group;
}

bool
launched_each(const char *state_dir, launched_visit *visit, void *arg)
{
	(void)state_dir;
	for (size_t i = 0; i < GROUPS; i++)
		if (noted[i] && !visit(arg, groups[i], &executors[i]))
			break;
	return true;
}

bool
launched_forget(const char *state_dir, const char *name)
{
	(void)state_dir;
	noted[group_number(name)] = false;
	return true;
}

int
proc_kill_sessions(struct proc_id *ids, size_t count)
{
	int met = 0;

	for (size_t i = 0; i < count; i++) {
		met += executor_alive[ids[i].pid - 11];
		executor_alive[ids[i].pid - 11] = false;
	}
	return met;
}

/* --- helper.c --- */

bool
helper_refuse(char *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to, HELPER_ERROR_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

void
helper_reap(struct helper *h)
{
	(void)h;
}

void
helper_group_name(const struct helper *h, const char *name, const char *part, char to[PATH_MAX])
{
	(void)part;
	snprintf(to, PATH_MAX, "%s/%s", h->base, name);
}

/* --- tests --- */

static void
setup(void)
{
	helper.host.can_track = true;
	str_copy(helper.base, sizeof helper.base, "base");
	helper.conf.state_dir = "/state";
	for (size_t i = 0; i < GROUPS; i++)
		alive[i] = executor_alive[i] = noted[i] = true;
	broken = -1;
}

/* No attempt is to be kept. */
static bool
sweep(bool *met)
{
	Corral__HelperSweep s = CORRAL__HELPER_SWEEP__INIT;

	error[0] = '\0';
	return helper_sweep(&helper, &s, met, error);
}

START_TEST(a_round_that_meets_nothing_follows_those_that_end_all)
{
	bool met;

	ck_assert(sweep(&met));
	ck_assert(met);
	ck_assert(!alive[0] && !alive[1] && !alive[2]);
	ck_assert(noted[0]); /* until nothing of it was met */
	ck_assert(sweep(&met));
	ck_assert(!met);
	ck_assert(!noted[0] && !noted[1] && !noted[2]);
}
END_TEST

START_TEST(what_cannot_be_ended_keeps_nothing_else_alive)
{
	bool met;

	broken = _i;
	for (int round = 0; round < 3; round++) {
		ck_assert(!sweep(&met));
		ck_assert_ptr_nonnull(strstr(error, groups[_i]));
	}
	for (int i = 0; i < GROUPS; i++) {
		ck_assert_int_eq(alive[i], i == _i);
		ck_assert(!executor_alive[i]);
		ck_assert(noted[i]);
	}
	broken = -1;
	ck_assert(sweep(&met));
	ck_assert(met && !alive[_i]);
	ck_assert(sweep(&met));
	ck_assert(!met);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sweep");
	TCase *t = tcase_create("sweep");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_round_that_meets_nothing_follows_those_that_end_all);
	tcase_add_loop_test(t, what_cannot_be_ended_keeps_nothing_else_alive, 0, GROUPS);
	suite_add_tcase(s, t);
	return s;
}
