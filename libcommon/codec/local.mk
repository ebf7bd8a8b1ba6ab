# SPDX-License-Identifier: Apache-2.0
libcodec_a_SOURCES = \
	libcommon/codec/jute.c libcommon/codec/jute.h \
	libcommon/codec/record.c libcommon/codec/record.h \
	libcommon/codec/taskkey.c libcommon/codec/taskkey.h
