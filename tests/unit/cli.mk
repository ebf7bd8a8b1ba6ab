# SPDX-License-Identifier: Apache-2.0
cli_units = tests/unit/table_test
check_PROGRAMS += $(cli_units)
TESTS += $(cli_units)

tests_unit_table_test_SOURCES = tests/unit/table_test.c
tests_unit_table_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_table_test_LDADD = $(UNIT_LIBS) libcli.a libbase.a
