# SPDX-License-Identifier: Apache-2.0
libzk_a_SOURCES = \
	libcommon/zk/proto.h \
	libcommon/zk/zk.h \
	libcommon/zk/zk_err.h
