# SPDX-License-Identifier: Apache-2.0
# The master's core links without libevent and OpenSSL; its shell is the program.
noinst_LIBRARIES += libmastercore.a
libmastercore_a_SOURCES = \
	master/core/resources.h \
	master/core/books.c master/core/books.h \
	master/core/place.c master/core/place.h
