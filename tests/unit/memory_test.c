/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is, with control groups made of plain files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"
#include "zkserver/memory.h"

static char dir[64];

static void
put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
make(const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void
drop(const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_int_eq(remove(path), 0);
}

static uint64_t
available(const char *cgroup)
{
	char path[256];

	put("cgroup", cgroup);
	snprintf(path, sizeof path, "%s/cgroup", dir);
	return memory_available_bytes(path, dir);
}

static void
setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/corral-memory-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	make("memory");
	make("memory/a");
	make("a");
	make("a/b");
}

static void
teardown(void)
{
	const char *const names[] = {"a/b", "a", "memory/a", "memory", "cgroup"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		drop(names[i]);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(without_limits_it_is_the_machines)
{
	uint64_t all = available("0::/nowhere/at/all\n");

	ck_assert_uint_ge(all, 1 << 20);
	ck_assert_uint_eq(available(""), all);
	ck_assert_uint_eq(available("no line of it\n"), all);
	put("a/memory.max", "max\n");
	ck_assert_uint_eq(available("0::/a\n"), all);
	put("a/memory.max", "9223372036854771712\n");
	ck_assert_uint_eq(available("0::/a\n"), all);
	drop("a/memory.max");
}
END_TEST

START_TEST(the_least_of_the_group_and_those_above_counts)
{
	put("a/memory.max", "8388608\n");
	put("a/b/memory.max", "16777216\n");
	ck_assert_uint_eq(available("0::/a/b\n"), 8388608);
	put("a/b/memory.max", "4194304\n");
	ck_assert_uint_eq(available("0::/a/b\n"), 4194304);
	ck_assert_uint_eq(available("0::/a\n"), 8388608);
	drop("a/memory.max");
	drop("a/b/memory.max");
}
END_TEST

START_TEST(the_first_kind_of_groups_has_a_hierarchy_for_memory)
{
	put("memory/a/memory.limit_in_bytes", "2097152\n");
	ck_assert_uint_eq(available("7:cpu:/a\n4:memory:/a\n0::/\n"), 2097152);
	ck_assert_uint_gt(available("7:cpu:/a\n4:memory:/\n"), 2097152);
	drop("memory/a/memory.limit_in_bytes");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *c = tcase_create("memory");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, without_limits_it_is_the_machines);
	tcase_add_test(c, the_least_of_the_group_and_those_above_counts);
	tcase_add_test(c, the_first_kind_of_groups_has_a_hierarchy_for_memory);
	suite_add_tcase(s, c);
	return s;
}
