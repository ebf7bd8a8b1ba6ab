# SPDX-License-Identifier: Apache-2.0
# The agent's core links without libevent and OpenSSL; its shell is the program, helper included.
noinst_LIBRARIES += libagentcore.a
libagentcore_a_SOURCES = \
	agent/core/attempt.c agent/core/attempt.h \
	agent/core/checkpoint.c agent/core/checkpoint.h \
	agent/core/core.c agent/core/core.h \
	agent/core/core_internal.h \
	agent/core/core_lease.c \
	agent/core/core_master.c \
	agent/core/core_sweep.c \
	agent/core/core_task.c \
	agent/core/run_as.c agent/core/run_as.h

bin_PROGRAMS += corral-agent
corral_agent_SOURCES = \
	agent/agent.c agent/agent.h \
	agent/executor_link.c agent/executor_link.h \
	agent/helper.c agent/helper.h agent/helper_internal.h \
	agent/helper_claim.c \
	agent/helper_client.c agent/helper_client.h \
	agent/helper_launch.c \
	agent/helper_server.c agent/helper_server.h \
	agent/helper_sweep.c \
	agent/launched.c agent/launched.h \
	agent/identity.c agent/identity.h \
	agent/leader.c agent/leader.h \
	agent/logs.c agent/logs.h \
	agent/main.c \
	agent/master_link.c agent/master_link.h \
	agent/measure.c agent/measure.h \
	agent/privilege.c agent/privilege.h \
	agent/sandbox.c agent/sandbox.h \
	agent/status_file.c agent/status_file.h \
	agent/told.c agent/told.h
corral_agent_LDADD = libagentcore.a libzk.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) $(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)
