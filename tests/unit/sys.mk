# SPDX-License-Identifier: Apache-2.0
conf_units = tests/unit/ini_test tests/unit/conf_test
check_PROGRAMS += $(conf_units)
TESTS += $(conf_units)

tests_unit_ini_test_SOURCES = tests/unit/ini_test.c
tests_unit_ini_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ini_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a $(INIH_LIBS)

tests_unit_conf_test_SOURCES = tests/unit/conf_test.c
tests_unit_conf_test_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_CONF='"$(abs_top_srcdir)/etc/corral.conf"'
tests_unit_conf_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_conf_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a $(INIH_LIBS)
job_units = tests/unit/jobfile_test
check_PROGRAMS += $(job_units)
TESTS += $(job_units)

tests_unit_jobfile_test_SOURCES = tests/unit/jobfile_test.c
tests_unit_jobfile_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_jobfile_test_LDADD = $(UNIT_LIBS) libjob.a libproto.a libsys.a libbase.a $(PROTOBUF_C_LIBS) $(INIH_LIBS)
fsutil_units = tests/unit/fsutil_test tests/unit/notify_test
check_PROGRAMS += $(fsutil_units)
TESTS += $(fsutil_units)

tests_unit_fsutil_test_SOURCES = tests/unit/fsutil_test.c
tests_unit_fsutil_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_fsutil_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

tests_unit_notify_test_SOURCES = tests/unit/notify_test.c
tests_unit_notify_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_notify_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a
log_units = tests/unit/log_test
check_PROGRAMS += $(log_units)
TESTS += $(log_units)

tests_unit_log_test_SOURCES = tests/unit/log_test.c
tests_unit_log_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_log_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a
