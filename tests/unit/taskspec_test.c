/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/taskspec.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

static char word[] = "true", empty[] = "", variable[] = "A=", nameless[] = "=b", plain[] = "A";
static char *command[] = {word}, *nothing[] = {empty};

/* One that nothing is wrong with. */
static Corral__TaskSpec
good(void)
{
	Corral__TaskSpec s = CORRAL__TASK_SPEC__INIT;

	s.argv = command;
	s.n_argv = 1;
	return s;
}

static void
expect(const Corral__TaskSpec *spec, const char *fault)
{
	const char *said = taskspec_fault(spec);

	ck_assert_msg(said != NULL && strstr(said, fault) != NULL, "%s", said);
}

START_TEST(a_command_is_all_that_a_task_needs)
{
	Corral__TaskSpec s = good();
	char *environment[] = {variable};

	ck_assert_ptr_null(taskspec_fault(&s));
	s.environment = environment;
	s.n_environment = 1;
	ck_assert_ptr_null(taskspec_fault(&s));
	s.argv = nothing;
	expect(&s, "no command");
	s.n_argv = 0;
	expect(&s, "no command");
}
END_TEST

START_TEST(a_step_without_a_command_is_refused)
{
	Corral__ExecStep step = CORRAL__EXEC_STEP__INIT, *steps[] = {&step};
	Corral__TaskSpec s = good();

	s.exec_start_pre = steps;
	s.n_exec_start_pre = 1;
	expect(&s, "a step");
	step.argv = command;
	step.n_argv = 1;
	ck_assert_ptr_null(taskspec_fault(&s));
}
END_TEST

START_TEST(an_environment_is_names_and_values)
{
	char *environment[] = {variable, _i == 0 ? plain : _i == 1 ? nameless : empty};
	Corral__TaskSpec s = good();

	s.environment = environment;
	s.n_environment = 2;
	expect(&s, "NAME=VALUE");
}
END_TEST

START_TEST(the_signal_to_stop_is_one)
{
	static const int32_t bad[] = {0, -1, -15, 65, INT32_MAX, INT32_MIN};
	Corral__TaskSpec s = good();

	s.has_kill_signal = true;
	s.kill_signal = bad[_i];
	expect(&s, "signal");
	s.kill_signal = 64;
	ck_assert_ptr_null(taskspec_fault(&s));
}
END_TEST

/* Larger ones would fit a frame, and neither a checkpoint's record nor an executor's descriptor. */
START_TEST(two_mebibytes_of_arguments_are_too_many)
{
	Corral__TaskSpec s = good();
	char *many = malloc((2 << 20) + 1), *argv[] = {word, many};

	memset(many, 'x', 2 << 20);
	many[2 << 20] = '\0';
	s.argv = argv;
	s.n_argv = 2;
	expect(&s, "larger than");
	many[TASKSPEC_BYTES_MAX - 100] = '\0';
	ck_assert_ptr_null(taskspec_fault(&s));
	free(many);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("taskspec");
	TCase *t = tcase_create("taskspec");

	tcase_add_test(t, a_command_is_all_that_a_task_needs);
	tcase_add_test(t, a_step_without_a_command_is_refused);
	tcase_add_loop_test(t, an_environment_is_names_and_values, 0, 3);
	tcase_add_loop_test(t, the_signal_to_stop_is_one, 0, 6);
	tcase_add_test(t, two_mebibytes_of_arguments_are_too_many);
	suite_add_tcase(s, t);
	return s;
}
