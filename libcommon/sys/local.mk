# SPDX-License-Identifier: Apache-2.0
libsys_a_SOURCES = \
	libcommon/sys/log.c libcommon/sys/log.h
