# SPDX-License-Identifier: Apache-2.0
# The master's core links without libevent and OpenSSL; its shell is the program.
noinst_LIBRARIES += libmastercore.a
libmastercore_a_SOURCES = \
	master/core/access.c master/core/access.h \
	master/core/agents.c \
	master/core/attempts.c \
	master/core/books.c master/core/books.h \
	master/core/cluster.c master/core/cluster.h \
	master/core/commit.c \
	master/core/disconnect.c \
	master/core/doomed.c \
	master/core/drain.c \
	master/core/conn.c master/core/conn.h \
	master/core/elect.c master/core/elect.h \
	master/core/hold.c \
	master/core/inside.h \
	master/core/jobs.c \
	master/core/launch.c \
	master/core/load.c master/core/load.h \
	master/core/place.c master/core/place.h \
	master/core/records.c \
	master/core/resources.h \
	master/core/reserve.c \
	master/core/role_access.c master/core/role_access.h \
	master/core/roles.c \
	master/core/share.c master/core/share.h \
	master/core/singles.c \
	master/core/tokens.c master/core/tokens.h \
	master/core/why.c master/core/why.h

bin_PROGRAMS += corral-master
corral_master_SOURCES = \
	master/admin.c \
	master/agent_link.c \
	master/api_views.c \
	master/credentials.c master/credentials.h \
	master/definition.c master/definition.h \
	master/forward.c \
	master/http_api.c \
	master/identity.c \
	master/enrol.c \
	master/info.c master/info.h \
	master/main.c \
	master/master.h \
	master/masters.c \
	master/metrics.c master/metrics.h \
	master/relay.c \
	master/status.c \
	master/store.c master/store.h \
	master/store_access.c \
	master/store_load.c \
	master/roles_api.c \
	master/stream.c master/stream_client.h \
	master/stream_request.c \
	master/why_reasons.c master/why_reasons.h \
	master/why_view.c
corral_master_LDADD = libmastercore.a libzk.a libio.a libjob.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) $(PROTOBUF_C_LIBS)
