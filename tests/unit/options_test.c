/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/unit.h"

struct given {
	bool follow;
	const char *name;
	struct option_texts env;
	uint32_t count;
	uint64_t cpu_milli, memory_bytes, timeout_ms;
};

#define AT(member) offsetof(struct given, member)
static const struct option_row rows[] = {
    {"follow", 'f', OPTION_FLAG, AT(follow), NULL, "go on"},
    {"name", 'n', OPTION_TEXT, AT(name), "NAME", "its name"},
    {"env", 'e', OPTION_TEXTS, AT(env), "NAME=VALUE", "a variable"},
    {"count", 'c', OPTION_U32, AT(count), "N", "how many"},
    {"cpus", 0, OPTION_CPU, AT(cpu_milli), "N", "cpus"},
    {"mem", 0, OPTION_SIZE, AT(memory_bytes), "SIZE", "memory"},
    {"timeout", 0, OPTION_TIME, AT(timeout_ms), "TIME", "how long"},
};
static const struct option_verb list = {
    "corral", "list", "[JOB]", "List.", rows, 7, 0, 1, false, NULL};
static const struct option_verb command = {
    "corral", "run", "-- COMMAND...", "Run.", rows, 7, 1, UINT_MAX, true, NULL};

static struct given given;
static int first;

/* Parse words ended by NULL; what is said on stderr and stdout goes nowhere. */
static enum options_result
parse(const struct option_verb *verb, char **argv)
{
	int argc = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert(dup2(null, STDERR_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0);
	close(null);
	while (argv[argc] != NULL)
		argc++;
	given = (struct given){0};
	return options_parse(verb, argc, argv, &given, &first);
}
#define PARSE(verb, ...) parse(verb, (char *[]){W("verb"), __VA_ARGS__, NULL})
#define W(text) ((char *)(text))

START_TEST(values_of_every_kind_reach_their_members)
{
	ck_assert_int_eq(
	    PARSE(&list, W("-f"), W("--name=x"), W("-e"), W("A=1"), W("--env"), W("B=2"), W("-c3"),
		W("--cpus"), W("0.5"), W("--mem=64M"), W("--timeout"), W("1h 30s")),
	    OPTIONS_GO);
	ck_assert(given.follow);
	ck_assert_str_eq(given.name, "x");
	ck_assert_uint_eq(given.env.count, 2);
	ck_assert_str_eq(given.env.items[1], "B=2");
	ck_assert_uint_eq(given.count, 3);
	ck_assert_uint_eq(given.cpu_milli, 500);
	ck_assert_uint_eq(given.memory_bytes, 64 << 20);
	ck_assert_uint_eq(given.timeout_ms, 3630000);
}
END_TEST

START_TEST(options_may_follow_operands)
{
	char *words[] = {W("verb"), W("hello"), W("-f"), NULL};

	ck_assert_int_eq(parse(&list, words), OPTIONS_GO);
	ck_assert(given.follow);
	ck_assert_str_eq(words[first], "hello");
}
END_TEST

START_TEST(a_commands_own_options_are_left_alone)
{
	char *words[] = {W("verb"), W("--count"), W("2"), W("ls"), W("-f"), W("--name"), NULL};

	ck_assert_int_eq(parse(&command, words), OPTIONS_GO);
	ck_assert(!given.follow);
	ck_assert_int_eq(first, 3);
	ck_assert_str_eq(words[first], "ls");
}
END_TEST

START_TEST(a_double_dash_ends_the_options)
{
	char *words[] = {W("verb"), W("--"), W("-f"), NULL};

	ck_assert_int_eq(parse(&command, words), OPTIONS_GO);
	ck_assert(!given.follow);
	ck_assert_str_eq(words[first], "-f");
}
END_TEST

START_TEST(values_that_are_not_of_their_kind_are_refused)
{
	ck_assert_int_eq(PARSE(&list, W("--count"), W("-1")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--count"), W("4294967296")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--mem=lots")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--cpus=")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--timeout=soon")), OPTIONS_WRONG);
}
END_TEST

START_TEST(unknown_options_missing_arguments_and_wrong_numbers_of_operands_are_refused)
{
	ck_assert_int_eq(PARSE(&list, W("--colour")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("-x")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--name")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("--follow=yes")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&list, W("a"), W("b")), OPTIONS_WRONG);
	ck_assert_int_eq(PARSE(&command, W("-f")), OPTIONS_WRONG);
}
END_TEST

START_TEST(more_repetitions_than_there_is_room_for_are_refused)
{
	char *words[2 * (OPTIONS_TEXTS_MAX + 1) + 2] = {W("verb")};

	for (int i = 0; i <= OPTIONS_TEXTS_MAX; i++) {
		words[2 * i + 1] = (char *)"-e";
		words[2 * i + 2] = (char *)"A=1";
	}
	ck_assert_int_eq(parse(&list, words), OPTIONS_WRONG);
	ck_assert_uint_eq(given.env.count, OPTIONS_TEXTS_MAX);
}
END_TEST

START_TEST(help_is_no_failure)
{
	ck_assert_int_eq(PARSE(&list, W("--help")), OPTIONS_HELP);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("options");
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, values_of_every_kind_reach_their_members);
	tcase_add_test(tc, options_may_follow_operands);
	tcase_add_test(tc, a_commands_own_options_are_left_alone);
	tcase_add_test(tc, a_double_dash_ends_the_options);
	tcase_add_test(tc, values_that_are_not_of_their_kind_are_refused);
	tcase_add_test(
	    tc, unknown_options_missing_arguments_and_wrong_numbers_of_operands_are_refused);
	tcase_add_test(tc, more_repetitions_than_there_is_room_for_are_refused);
	tcase_add_test(tc, help_is_no_failure);
	suite_add_tcase(s, tc);
	return s;
}
