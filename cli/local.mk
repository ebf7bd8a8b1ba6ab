# SPDX-License-Identifier: Apache-2.0
# The command lines: what both share, then corral and zk.

noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = cli/client_conf.c cli/client_conf.h cli/options.c cli/options.h cli/table.c cli/table.h
