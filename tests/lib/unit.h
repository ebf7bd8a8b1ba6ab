/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every unit test program shares: its main. A program defines unit_suite(), its tests are
 * named as sentences, and each runs in a process of its own.
 */
#ifndef CORRAL_TESTS_UNIT_H
#define CORRAL_TESTS_UNIT_H

#include <check.h>
#include <stdbool.h>

Suite *unit_suite(void);

/* UNIT_TEST in the environment names the one test that is run. */
bool unit_wanted(const char *test);
#undef tcase_add_test
#define tcase_add_test(tc, test)                                                                   \
	do {                                                                                       \
		if (unit_wanted(#test))                                                            \
			tcase_add_test_raise_signal(tc, test, 0);                                  \
	} while (0)
#undef tcase_add_loop_test
#define tcase_add_loop_test(tc, test, from, to)                                                    \
	do {                                                                                       \
		if (unit_wanted(#test))                                                            \
			tcase_add_loop_test_raise_signal(tc, test, 0, from, to);                   \
	} while (0)

/* A temporary directory for one test, removed with all it holds when the test's process ends. */
const char *unit_tmpdir(void);

/* From now on so many can be opened, and then EMFILE; UNIT_ALL_DESCRIPTORS: as many as ever. */
#define UNIT_ALL_DESCRIPTORS 65536
void unit_leave_descriptors(unsigned count);

#endif
