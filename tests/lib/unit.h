/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every unit test program shares: its main. A program defines unit_suite(), its tests are
 * named as sentences, and each runs in a process of its own.
 */
#ifndef CORRAL_TESTS_UNIT_H
#define CORRAL_TESTS_UNIT_H

#include <check.h>

Suite *unit_suite(void);

/* A temporary directory for one test, removed with all it holds when the test's process ends. */
const char *unit_tmpdir(void);

#endif
