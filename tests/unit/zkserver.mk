# SPDX-License-Identifier: Apache-2.0
zkserver_units = tests/unit/tree_test
check_PROGRAMS += $(zkserver_units)
TESTS += $(zkserver_units)
ZKCORE_LIBS = $(UNIT_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS)

tests_unit_tree_test_SOURCES = tests/unit/tree_test.c
tests_unit_tree_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tree_test_LDADD = $(ZKCORE_LIBS)
