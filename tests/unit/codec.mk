# SPDX-License-Identifier: Apache-2.0
codec_units = tests/unit/jute_test
check_PROGRAMS += $(codec_units)
TESTS += $(codec_units)

tests_unit_jute_test_SOURCES = tests/unit/jute_test.c
tests_unit_jute_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_jute_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a
