# SPDX-License-Identifier: Apache-2.0
# The executor: no HTTP, no certificates, no JSON. Its core links without libevent and OpenSSL.
noinst_LIBRARIES += libexecutorcore.a
libexecutorcore_a_SOURCES = executor/core/life.c executor/core/life.h

corrallibexec_PROGRAMS += corral-executor
corral_executor_SOURCES = \
	executor/attempt.c executor/attempt.h \
	executor/foreground.c executor/foreground.h \
	executor/init.c executor/init.h \
	executor/input.c executor/input.h \
	executor/main.c \
	executor/runner.c executor/runner.h \
	executor/spec.c executor/spec.h \
	executor/status.c executor/status.h \
	executor/task.c executor/task.h \
	executor/taskenv.c executor/taskenv.h
corral_executor_LDADD = libexecutorcore.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)
