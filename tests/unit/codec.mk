# SPDX-License-Identifier: Apache-2.0
codec_units = tests/unit/base64_test tests/unit/pbjson_test tests/unit/jute_test tests/unit/snappy_test \
	tests/unit/http_basic_test tests/unit/message_test tests/unit/taskspec_test
check_PROGRAMS += $(codec_units)
TESTS += $(codec_units)

tests_unit_jute_test_SOURCES = tests/unit/jute_test.c
tests_unit_jute_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_jute_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a

tests_unit_base64_test_SOURCES = tests/unit/base64_test.c
tests_unit_base64_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_base64_test_LDADD = $(UNIT_LIBS) libcodec.a

tests_unit_pbjson_test_SOURCES = tests/unit/pbjson_test.c
tests_unit_pbjson_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pbjson_test_LDADD = $(UNIT_LIBS) libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)

tests_unit_snappy_test_SOURCES = tests/unit/snappy_test.c
tests_unit_snappy_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_snappy_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a

tests_unit_taskspec_test_SOURCES = tests/unit/taskspec_test.c
tests_unit_taskspec_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_taskspec_test_LDADD = $(UNIT_LIBS) libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS)

tests_unit_message_test_SOURCES = tests/unit/message_test.c
tests_unit_message_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_message_test_LDADD = $(UNIT_LIBS) libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS)

tests_unit_http_basic_test_SOURCES = tests/unit/http_basic_test.c
tests_unit_http_basic_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_http_basic_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a
