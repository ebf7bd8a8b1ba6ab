# SPDX-License-Identifier: Apache-2.0
libio_a_SOURCES = \
	libcommon/io/cert.h \
	libcommon/io/http.h \
	libcommon/io/link.h \
	libcommon/io/loop.h \
	libcommon/io/tls.h
