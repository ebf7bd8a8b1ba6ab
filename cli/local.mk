# SPDX-License-Identifier: Apache-2.0
# The command lines: what both share, then corral and zk.

noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = cli/client_conf.c cli/client_conf.h cli/options.c cli/options.h cli/table.c cli/table.h

bin_PROGRAMS += corral zk
corral_SOURCES = cli/api.c cli/api.h cli/corral.c cli/corral.h cli/dev.c cli/dev.h cli/dev_daemon.c \
	cli/dev_layout.c cli/dev_publish.c cli/dev_sweep.c cli/list.c cli/stream.c cli/stream.h cli/verb_job.c cli/verb_join.c cli/verb_nodes.c \
	cli/verb_lists.c cli/verb_roles.c cli/verb_status.c cli/verb_stream.c cli/verb_tls.c cli/verb_token.c cli/watch.c cli/watch.h
corral_LDADD = libcli.a libjob.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) $(PROTOBUF_C_LIBS)

zk_SOURCES = cli/zk.c cli/zk_bench.c cli/zk_change.c cli/zk_change.h cli/zk_child.c cli/zk_child.h cli/zk_config.c cli/zk_json.c cli/zk_json.h cli/zk_lock.c cli/zk_multi.c cli/zk_options.h cli/zk_quota.c \
	cli/zk_read.c cli/zk_run.c cli/zk_run.h cli/zk_script.c cli/zk_script.h cli/zk_text.c cli/zk_tree.c \
	cli/zk_walk.c cli/zk_watch.c cli/zk_write.c
zk_LDADD = libcli.a libzk.a libio.a libsys.a libcodec.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS)
