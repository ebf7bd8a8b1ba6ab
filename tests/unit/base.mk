# SPDX-License-Identifier: Apache-2.0
base_units = tests/unit/metrics_test tests/unit/sketch_test tests/unit/amount_test tests/unit/utf8_test tests/unit/buf_test tests/unit/hash_test tests/unit/str_test
check_PROGRAMS += $(base_units)
TESTS += $(base_units)

tests_unit_buf_test_SOURCES = tests/unit/buf_test.c
tests_unit_buf_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_buf_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_hash_test_SOURCES = tests/unit/hash_test.c
tests_unit_hash_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_hash_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_str_test_SOURCES = tests/unit/str_test.c
tests_unit_str_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_str_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_amount_test_SOURCES = tests/unit/amount_test.c
tests_unit_amount_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_amount_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_utf8_test_SOURCES = tests/unit/utf8_test.c
tests_unit_utf8_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_utf8_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_metrics_test_SOURCES = tests/unit/metrics_test.c
tests_unit_metrics_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_metrics_test_LDADD = $(UNIT_LIBS) libbase.a

tests_unit_sketch_test_SOURCES = tests/unit/sketch_test.c
tests_unit_sketch_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sketch_test_LDADD = $(UNIT_LIBS) libbase.a
