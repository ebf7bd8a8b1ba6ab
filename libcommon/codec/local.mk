# SPDX-License-Identifier: Apache-2.0
libcodec_a_SOURCES = \
	libcommon/codec/base64.c libcommon/codec/base64.h \
	libcommon/codec/frame_limits.h \
	libcommon/codec/http_body.c libcommon/codec/http_head.c libcommon/codec/http_head.h \
	libcommon/codec/jute.c libcommon/codec/jute.h \
	libcommon/codec/pbjson.h \
	libcommon/codec/pbjson_decode.c \
	libcommon/codec/pbjson_encode.c \
	libcommon/codec/pbjson_field.c libcommon/codec/pbjson_field.h \
	libcommon/codec/record.c libcommon/codec/record.h \
	libcommon/codec/snappy.c libcommon/codec/snappy.h \
	libcommon/codec/http_basic.c libcommon/codec/http_basic.h \
	libcommon/codec/message.c libcommon/codec/message.h \
	libcommon/codec/taskkey.c libcommon/codec/taskkey.h \
	libcommon/codec/taskspec.c libcommon/codec/taskspec.h \
	libcommon/codec/zk_err.c libcommon/codec/zk_err.h \
	libcommon/codec/zk_owner.h libcommon/codec/zk_wire.h
