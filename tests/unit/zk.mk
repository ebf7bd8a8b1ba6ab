# SPDX-License-Identifier: Apache-2.0
# The session links without libevent and OpenSSL: that proves that it is pure.
zk_units = tests/unit/zk_hosts_test tests/unit/zk_proto_test tests/unit/zk_session_test tests/unit/zk_test
check_PROGRAMS += $(zk_units)
TESTS += $(zk_units)

tests_unit_zk_proto_test_SOURCES = tests/unit/zk_proto_test.c
tests_unit_zk_proto_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zk_proto_test_LDADD = $(UNIT_LIBS) libzk.a libcodec.a libbase.a

tests_unit_zk_session_test_SOURCES = tests/unit/zk_session_test.c
tests_unit_zk_session_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zk_session_test_LDADD = $(UNIT_LIBS) libzk.a libcodec.a libbase.a

tests_unit_zk_hosts_test_SOURCES = tests/unit/zk_hosts_test.c
tests_unit_zk_hosts_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zk_hosts_test_LDADD = $(UNIT_LIBS) libzk.a libbase.a

tests_unit_zk_test_SOURCES = tests/unit/zk_test.c
tests_unit_zk_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zk_test_LDADD = $(UNIT_LIBS) libzk.a $(IO_LIBS)
