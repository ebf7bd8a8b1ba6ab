/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

static const struct table_column columns[] = {{.name = "JOB"}, {.name = "STATE"},
    {.name = "CPU", .right = true}, {.name = "ID", .hidden = true}};
static struct table table;
static char *text;

static void
setup(void)
{
	table_init(&table, columns, 4);
	table_add(&table, "hello");
	table_add(&table, "running");
	table_add(&table, "%.1f", 10.0);
	table_add(&table, "hello.0");
	table_add(&table, "w");
	table_add(&table, "%s", "");
	table_add(&table, "1.0");
	table_add(&table, "w.0");
}

static void
teardown(void)
{
	table_fini(&table);
	free(text);
	text = NULL;
}

static bool
print(const struct table_view *view)
{
	size_t size;
	FILE *to = open_memstream(&text, &size);
	bool done = table_print(&table, view, "id", "corral", to);

	fclose(to);
	return done;
}

START_TEST(columns_are_as_wide_as_their_widest_cell_and_the_last_has_no_blanks_behind)
{
	ck_assert(print(&(struct table_view){0}));
	ck_assert_str_eq(text, "JOB    STATE     CPU\n"
			       "hello  running  10.0\n"
			       "w      -         1.0\n");
}
END_TEST

START_TEST(named_columns_come_in_the_order_given_and_hidden_ones_too)
{
	ck_assert(print(&(struct table_view){.columns = "id,job", .no_header = true}));
	ck_assert_str_eq(text, "hello.0  hello\nw.0      w\n");
}
END_TEST

START_TEST(an_unknown_column_prints_nothing)
{
	ck_assert(!print(&(struct table_view){.columns = "job,stat"}));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(quiet_prints_ids_only)
{
	ck_assert(print(&(struct table_view){.quiet = true}));
	ck_assert_str_eq(text, "hello.0\nw.0\n");
}
END_TEST

START_TEST(control_characters_cannot_forge_rows)
{
	table_add(&table, "a\nb\033[2J");
	for (int i = 0; i < 3; i++)
		table_add(&table, "x");
	ck_assert(print(&(struct table_view){.columns = "job", .no_header = true}));
	ck_assert_str_eq(text, "hello\nw\na?b?[2J\n");
}
END_TEST

START_TEST(width_is_counted_in_characters)
{
	table_add(&table, "gr\xc3\xbc\xc3\x9f");
	for (int i = 0; i < 3; i++)
		table_add(&table, "x");
	ck_assert(print(&(struct table_view){.columns = "job,cpu", .no_header = true}));
	ck_assert_str_eq(text, "hello  10.0\nw       1.0\ngr\xc3\xbc\xc3\x9f      x\n");
}
END_TEST

START_TEST(an_empty_table_is_its_header)
{
	struct table empty;

	table_init(&empty, columns, 4);
	table_fini(&table);
	table = empty;
	ck_assert(print(&(struct table_view){0}));
	ck_assert_str_eq(text, "JOB  STATE  CPU\n");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("table");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(
	    tc, columns_are_as_wide_as_their_widest_cell_and_the_last_has_no_blanks_behind);
	tcase_add_test(tc, named_columns_come_in_the_order_given_and_hidden_ones_too);
	tcase_add_test(tc, an_unknown_column_prints_nothing);
	tcase_add_test(tc, quiet_prints_ids_only);
	tcase_add_test(tc, control_characters_cannot_forge_rows);
	tcase_add_test(tc, width_is_counted_in_characters);
	tcase_add_test(tc, an_empty_table_is_its_header);
	suite_add_tcase(s, tc);
	return s;
}
