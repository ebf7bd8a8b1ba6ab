# SPDX-License-Identifier: Apache-2.0
libsys_a_SOURCES = \
	libcommon/sys/log.c libcommon/sys/log.h \
	libcommon/sys/store_posix.c libcommon/sys/store_posix.h
