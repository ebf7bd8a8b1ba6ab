# SPDX-License-Identifier: Apache-2.0
# The command lines: what both share, then corral and zk.

noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = cli/client_conf.c cli/client_conf.h cli/options.c cli/options.h cli/table.c cli/table.h

bin_PROGRAMS += zk
zk_SOURCES = cli/zk.c cli/zk_json.c cli/zk_json.h cli/zk_read.c cli/zk_run.c cli/zk_run.h cli/zk_text.c cli/zk_write.c
zk_LDADD = libcli.a libzk.a libio.a libsys.a libcodec.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS)
