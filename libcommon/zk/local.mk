# SPDX-License-Identifier: Apache-2.0
libzk_a_SOURCES = \
	libcommon/zk/hosts.c libcommon/zk/hosts.h \
	libcommon/zk/proto.c libcommon/zk/proto.h \
	libcommon/zk/session.c libcommon/zk/session.h \
	libcommon/zk/session_internal.h libcommon/zk/session_request.c \
	libcommon/zk/session_watch.c \
	libcommon/zk/watches.c libcommon/zk/watches.h \
	libcommon/zk/zk.c libcommon/zk/zk.h
