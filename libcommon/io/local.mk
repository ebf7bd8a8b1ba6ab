# SPDX-License-Identifier: Apache-2.0
libio_a_SOURCES = \
	libcommon/io/address.c libcommon/io/address.h \
	libcommon/io/cert.c libcommon/io/cert.h \
	libcommon/io/connector.c libcommon/io/connector.h \
	libcommon/io/dialer.c \
	libcommon/io/http.h \
	libcommon/io/http_call.c libcommon/io/http_reply.c libcommon/io/http_server.c libcommon/io/http_server.h \
	libcommon/io/link.c libcommon/io/link.h libcommon/io/link_internal.h \
	libcommon/io/link_message.c \
	libcommon/io/listener.c \
	libcommon/io/loop.c libcommon/io/loop.h \
	libcommon/io/stream.c libcommon/io/stream.h \
	libcommon/io/timers.c libcommon/io/timers.h \
	libcommon/io/tls.c libcommon/io/tls.h \
	libcommon/io/tls_peer.c libcommon/io/tls_ssl.h \
	libcommon/io/tls_error.c libcommon/io/tls_stores.c libcommon/io/tls_stores.h
