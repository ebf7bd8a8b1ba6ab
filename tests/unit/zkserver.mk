# SPDX-License-Identifier: Apache-2.0
zkserver_units = tests/unit/tree_test tests/unit/zkserver_test tests/unit/zkcore_test
check_PROGRAMS += $(zkserver_units)
TESTS += $(zkserver_units)
ZKCORE_LIBS = $(UNIT_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS)

tests_unit_tree_test_SOURCES = tests/unit/tree_test.c
tests_unit_tree_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tree_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_test_SOURCES = tests/unit/zkserver_test.c
tests_unit_zkserver_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkcore_test_SOURCES = tests/unit/zkcore_test.c
tests_unit_zkcore_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkcore_test_LDADD = $(ZKCORE_LIBS)

zkdisk_units = tests/unit/txnlog_test tests/unit/recover_test tests/unit/log_writer_test tests/unit/store_test
check_PROGRAMS += $(zkdisk_units)
TESTS += $(zkdisk_units)
SIMDISK_SOURCES = tests/lib/simdisk.c tests/lib/simdisk.h

tests_unit_txnlog_test_SOURCES = tests/unit/txnlog_test.c $(SIMDISK_SOURCES)
tests_unit_txnlog_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_txnlog_test_LDADD = $(ZKCORE_LIBS)

tests_unit_recover_test_SOURCES = tests/unit/recover_test.c $(SIMDISK_SOURCES)
tests_unit_recover_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_recover_test_LDADD = $(ZKCORE_LIBS)

tests_unit_log_writer_test_SOURCES = tests/unit/log_writer_test.c
tests_unit_log_writer_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_log_writer_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a $(IO_LIBS) $(ZLIB_LIBS)

tests_unit_store_test_SOURCES = tests/unit/store_test.c $(SIMDISK_SOURCES)
tests_unit_store_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_store_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a
