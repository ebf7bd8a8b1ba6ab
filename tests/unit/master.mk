# SPDX-License-Identifier: Apache-2.0
master_units = tests/unit/access_test tests/unit/cluster_test tests/unit/commit_test tests/unit/conn_test \
	tests/unit/credentials_test tests/unit/disconnect_test tests/unit/drain_test \
	tests/unit/elect_test tests/unit/hostile_agent_test tests/unit/place_test tests/unit/reserve_test \
	tests/unit/role_access_test tests/unit/share_test tests/unit/sharing_test tests/unit/singles_test \
	tests/unit/tokens_test
check_PROGRAMS += $(master_units)
TESTS += $(master_units)
MASTER_CORE_LIBS = libmastercore.a libproto.a libbase.a $(PROTOBUF_C_LIBS)
CLUSTER_RIG_SOURCES = tests/lib/cluster_rig.c tests/lib/cluster_rig.h tests/lib/fake_cluster.c tests/lib/fake_cluster.h

tests_unit_place_test_SOURCES = tests/unit/place_test.c
tests_unit_place_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_place_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_cluster_test_SOURCES = tests/unit/cluster_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_cluster_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cluster_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_commit_test_SOURCES = tests/unit/commit_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_commit_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_commit_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_conn_test_SOURCES = tests/unit/conn_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_conn_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_conn_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_disconnect_test_SOURCES = tests/unit/disconnect_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_disconnect_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_disconnect_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_elect_test_SOURCES = tests/unit/elect_test.c
tests_unit_elect_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_elect_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_access_test_SOURCES = tests/unit/access_test.c
tests_unit_access_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_access_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_singles_test_SOURCES = tests/unit/singles_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_singles_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_singles_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_tokens_test_SOURCES = tests/unit/tokens_test.c
tests_unit_tokens_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tokens_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_share_test_SOURCES = tests/unit/share_test.c
tests_unit_share_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_share_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_sharing_test_SOURCES = tests/unit/sharing_test.c tests/lib/fair_oracle.c tests/lib/fair_oracle.h $(CLUSTER_RIG_SOURCES)
tests_unit_sharing_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sharing_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_drain_test_SOURCES = tests/unit/drain_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_drain_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_drain_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_reserve_test_SOURCES = tests/unit/reserve_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_reserve_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_reserve_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_hostile_agent_test_SOURCES = tests/unit/hostile_agent_test.c $(CLUSTER_RIG_SOURCES)
tests_unit_hostile_agent_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_hostile_agent_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_role_access_test_SOURCES = tests/unit/role_access_test.c
tests_unit_role_access_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_role_access_test_LDADD = $(UNIT_LIBS) $(MASTER_CORE_LIBS)

tests_unit_credentials_test_SOURCES = tests/unit/credentials_test.c master/credentials.c master/credentials.h
tests_unit_credentials_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_credentials_test_LDADD = $(UNIT_LIBS) libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) $(OPENSSL_LIBS)
