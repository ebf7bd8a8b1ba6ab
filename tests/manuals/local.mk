# SPDX-License-Identifier: Apache-2.0
# Manual pages and programs say the same.
check_PROGRAMS += tests/manuals/keys
tests_manuals_keys_SOURCES = tests/manuals/keys.c
tests_manuals_keys_LDADD = libzkserver.a libjob.a libsys.a libproto.a libbase.a $(INIH_LIBS) $(PROTOBUF_C_LIBS)
if !SANITIZE
TESTS += tests/manuals/agree
endif
EXTRA_DIST += tests/manuals/agree tests/manuals/mdoc.py
