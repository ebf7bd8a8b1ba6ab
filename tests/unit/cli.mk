# SPDX-License-Identifier: Apache-2.0
cli_units = tests/unit/client_conf_test tests/unit/options_test tests/unit/table_test \
	tests/unit/zk_script_test
check_PROGRAMS += $(cli_units)
TESTS += $(cli_units)

tests_unit_client_conf_test_SOURCES = tests/unit/client_conf_test.c
tests_unit_client_conf_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_client_conf_test_LDADD = $(UNIT_LIBS) libcli.a libsys.a libbase.a $(INIH_LIBS)

tests_unit_options_test_SOURCES = tests/unit/options_test.c
tests_unit_options_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_options_test_LDADD = $(UNIT_LIBS) libcli.a libsys.a libbase.a

tests_unit_table_test_SOURCES = tests/unit/table_test.c
tests_unit_table_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_table_test_LDADD = $(UNIT_LIBS) libcli.a libbase.a

tests_unit_zk_script_test_SOURCES = tests/unit/zk_script_test.c cli/zk_change.c cli/zk_script.c cli/zk_text.c
tests_unit_zk_script_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zk_script_test_LDADD = $(UNIT_LIBS) libcli.a libzk.a libcodec.a libsys.a libbase.a $(INIH_LIBS)
