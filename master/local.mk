# SPDX-License-Identifier: Apache-2.0
# The master's core links without libevent and OpenSSL; its shell is the program.
noinst_LIBRARIES += libmastercore.a
libmastercore_a_SOURCES = \
	master/core/agents.c \
	master/core/attempts.c \
	master/core/books.c master/core/books.h \
	master/core/cluster.c master/core/cluster.h \
	master/core/commit.c \
	master/core/elect.c master/core/elect.h \
	master/core/inside.h \
	master/core/jobs.c \
	master/core/launch.c \
	master/core/place.c master/core/place.h \
	master/core/records.c \
	master/core/resources.h
