# SPDX-License-Identifier: Apache-2.0
master_units = tests/unit/place_test
check_PROGRAMS += $(master_units)
TESTS += $(master_units)

tests_unit_place_test_SOURCES = tests/unit/place_test.c
tests_unit_place_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_place_test_LDADD = $(UNIT_LIBS) libmastercore.a libbase.a
