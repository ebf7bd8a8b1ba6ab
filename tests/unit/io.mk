# SPDX-License-Identifier: Apache-2.0
io_units = tests/unit/address_test tests/unit/cert_test tests/unit/http_head_test tests/unit/http_test \
	tests/unit/link_test tests/unit/loop_test tests/unit/stream_test tests/unit/tls_peer_test \
	tests/unit/tls_test
check_PROGRAMS += $(io_units)
TESTS += $(io_units)
IO_LIBS = libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) $(OPENSSL_LIBS)

tests_unit_loop_test_SOURCES = tests/unit/loop_test.c
tests_unit_loop_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_loop_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_link_test_SOURCES = tests/unit/link_test.c tests/lib/net.c tests/lib/net.h
tests_unit_link_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_link_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_stream_test_SOURCES = tests/unit/stream_test.c tests/lib/net.c tests/lib/net.h
tests_unit_stream_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_stream_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_cert_test_SOURCES = tests/unit/cert_test.c
tests_unit_cert_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cert_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_tls_test_SOURCES = tests/unit/tls_test.c tests/lib/net.c tests/lib/net.h
tests_unit_tls_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tls_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_http_head_test_SOURCES = tests/unit/http_head_test.c
tests_unit_http_head_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_http_head_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a

tests_unit_http_test_SOURCES = tests/unit/http_test.c tests/lib/net.c tests/lib/net.h
tests_unit_http_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_http_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_address_test_SOURCES = tests/unit/address_test.c
tests_unit_address_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_address_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tests_unit_tls_peer_test_SOURCES = tests/unit/tls_peer_test.c
tests_unit_tls_peer_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tls_peer_test_LDADD = $(UNIT_LIBS) $(IO_LIBS)

tls_stores_units = tests/unit/tls_stores_test
check_PROGRAMS += $(tls_stores_units)
TESTS += $(tls_stores_units)

tests_unit_tls_stores_test_SOURCES = tests/unit/tls_stores_test.c
tests_unit_tls_stores_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tls_stores_test_LDADD = $(UNIT_LIBS) libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) $(OPENSSL_LIBS)
