# SPDX-License-Identifier: Apache-2.0
# The tests of what Apache's servers got wrong, once more with those bugs planted: each must fail then. The objects are
# the tests' own; only the files that have plants are compiled again. Sanitizers would add nothing.
EXTRA_DIST += tests/unit/recipes.sh tests/unit/recipes
if !SANITIZE
check_LIBRARIES += libplanted.a
libplanted_a_SOURCES = tests/lib/plants.c \
	zkserver/core/adopt.c \
	zkserver/core/db.c \
	zkserver/core/election.c \
	zkserver/core/election_links.c \
	zkserver/core/epochs.c \
	zkserver/core/leader.c \
	zkserver/core/leader_learners.c \
	zkserver/core/leader_sync.c \
	zkserver/core/learner.c \
	zkserver/core/learner_sync.c \
	zkserver/core/notification.c \
	zkserver/core/peer.c \
	zkserver/core/prep_node.c \
	zkserver/core/purge.c \
	zkserver/core/recover.c \
	zkserver/core/server.c \
	zkserver/core/server_answer.c \
	zkserver/core/server_leader.c \
	zkserver/core/server_local.c \
	zkserver/core/server_role.c \
	zkserver/core/server_watch.c \
	zkserver/core/session.c \
	zkserver/core/snapshot.c \
	zkserver/core/snapshot_load.c \
	zkserver/core/snapstream.c \
	zkserver/core/tree.c \
	zkserver/core/txnlog.c \
	zkserver/core/txnlog_reader.c \
	zkserver/core/watch.c \
	zkserver/core/zab_members.c
libplanted_a_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS

# All of it goes before libzkcore.a, in which its files are without the plants.
WITH_PLANTS = $(AM_LDFLAGS) -Wl,--whole-archive,libplanted.a,--no-whole-archive

TESTS += tests/unit/recipes.sh

check_PROGRAMS += tests/unit/planted_zk_session \
	tests/unit/planted_lease \
	tests/unit/planted_singles \
	tests/unit/planted_zab_recipes \
	tests/unit/planted_zab_links \
	tests/unit/planted_ensemble_recipes \
	tests/unit/planted_peer \
	tests/unit/planted_reconfig \
	tests/unit/planted_recover \
	tests/unit/planted_recover_acl \
	tests/unit/planted_recover_gap \
	tests/unit/planted_txnlog \
	tests/unit/planted_epochs \
	tests/unit/planted_election \
	tests/unit/planted_election_links \
	tests/unit/planted_election_port \
	tests/unit/planted_notification \
	tests/unit/planted_zkserver_local \
	tests/unit/planted_zkserver_moves \
	tests/unit/planted_zkserver_clock \
	tests/unit/planted_zkserver_watch \
	tests/unit/planted_zkserver_write \
	tests/unit/planted_zkserver_quota \
	tests/unit/planted_zkserver_roles

# The client's.
tests_unit_planted_zk_session_SOURCES = tests/lib/plants.c libcommon/zk/session.c
tests_unit_planted_zk_session_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS
tests_unit_planted_zk_session_LDADD = $(tests_unit_zk_session_test_OBJECTS) $(tests_unit_zk_session_test_LDADD)
EXTRA_tests_unit_planted_zk_session_DEPENDENCIES = $(tests_unit_zk_session_test_OBJECTS)

# The manager's: each with the files that have its plants.
tests_unit_planted_lease_SOURCES = tests/lib/plants.c agent/core/core_lease.c agent/core/core_master.c executor/core/life.c
tests_unit_planted_lease_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS
tests_unit_planted_lease_LDADD = $(tests_unit_lease_test_OBJECTS) $(tests_unit_lease_test_LDADD)
EXTRA_tests_unit_planted_lease_DEPENDENCIES = $(tests_unit_lease_test_OBJECTS)

tests_unit_planted_singles_SOURCES = tests/lib/plants.c master/core/singles.c
tests_unit_planted_singles_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS
tests_unit_planted_singles_LDADD = $(tests_unit_singles_test_OBJECTS) $(tests_unit_singles_test_LDADD)
EXTRA_tests_unit_planted_singles_DEPENDENCIES = $(tests_unit_singles_test_OBJECTS)

tests_unit_planted_zab_recipes_SOURCES =
tests_unit_planted_zab_recipes_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zab_recipes_LDADD = $(tests_unit_zab_recipes_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zab_recipes_DEPENDENCIES = libplanted.a $(tests_unit_zab_recipes_test_OBJECTS)

tests_unit_planted_zab_links_SOURCES =
tests_unit_planted_zab_links_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zab_links_LDADD = $(tests_unit_zab_links_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zab_links_DEPENDENCIES = libplanted.a $(tests_unit_zab_links_test_OBJECTS)

tests_unit_planted_ensemble_recipes_SOURCES =
tests_unit_planted_ensemble_recipes_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_ensemble_recipes_LDADD = $(tests_unit_ensemble_recipes_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_ensemble_recipes_DEPENDENCIES = libplanted.a $(tests_unit_ensemble_recipes_test_OBJECTS)

tests_unit_planted_peer_SOURCES =
tests_unit_planted_peer_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_peer_LDADD = $(tests_unit_peer_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_peer_DEPENDENCIES = libplanted.a $(tests_unit_peer_test_OBJECTS)

tests_unit_planted_reconfig_SOURCES =
tests_unit_planted_reconfig_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_reconfig_LDADD = $(tests_unit_reconfig_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_reconfig_DEPENDENCIES = libplanted.a $(tests_unit_reconfig_test_OBJECTS)

tests_unit_planted_recover_SOURCES =
tests_unit_planted_recover_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_recover_LDADD = $(tests_unit_recover_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_recover_DEPENDENCIES = libplanted.a $(tests_unit_recover_test_OBJECTS)

tests_unit_planted_recover_acl_SOURCES =
tests_unit_planted_recover_acl_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_recover_acl_LDADD = $(tests_unit_recover_acl_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_recover_acl_DEPENDENCIES = libplanted.a $(tests_unit_recover_acl_test_OBJECTS)

tests_unit_planted_recover_gap_SOURCES =
tests_unit_planted_recover_gap_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_recover_gap_LDADD = $(tests_unit_recover_gap_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_recover_gap_DEPENDENCIES = libplanted.a $(tests_unit_recover_gap_test_OBJECTS)

tests_unit_planted_txnlog_SOURCES =
tests_unit_planted_txnlog_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_txnlog_LDADD = $(tests_unit_txnlog_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_txnlog_DEPENDENCIES = libplanted.a $(tests_unit_txnlog_test_OBJECTS)

tests_unit_planted_epochs_SOURCES =
tests_unit_planted_epochs_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_epochs_LDADD = $(tests_unit_epochs_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_epochs_DEPENDENCIES = libplanted.a $(tests_unit_epochs_test_OBJECTS)

tests_unit_planted_election_SOURCES =
tests_unit_planted_election_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_election_LDADD = $(tests_unit_election_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_election_DEPENDENCIES = libplanted.a $(tests_unit_election_test_OBJECTS)

tests_unit_planted_election_links_SOURCES =
tests_unit_planted_election_links_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_election_links_LDADD = $(tests_unit_election_links_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_election_links_DEPENDENCIES = libplanted.a $(tests_unit_election_links_test_OBJECTS)

# Of the shell.
tests_unit_planted_election_port_SOURCES = tests/lib/plants.c zkserver/peer_listener.c
tests_unit_planted_election_port_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS
tests_unit_planted_election_port_LDADD = $(tests_unit_election_port_test_OBJECTS) $(tests_unit_election_port_test_LDADD)
EXTRA_tests_unit_planted_election_port_DEPENDENCIES = $(tests_unit_election_port_test_OBJECTS)

tests_unit_planted_notification_SOURCES =
tests_unit_planted_notification_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_notification_LDADD = $(tests_unit_notification_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_notification_DEPENDENCIES = libplanted.a $(tests_unit_notification_test_OBJECTS)

tests_unit_planted_zkserver_local_SOURCES =
tests_unit_planted_zkserver_local_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_local_LDADD = $(tests_unit_zkserver_local_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_local_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_local_test_OBJECTS)

tests_unit_planted_zkserver_moves_SOURCES =
tests_unit_planted_zkserver_moves_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_moves_LDADD = $(tests_unit_zkserver_moves_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_moves_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_moves_test_OBJECTS)

tests_unit_planted_zkserver_clock_SOURCES =
tests_unit_planted_zkserver_clock_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_clock_LDADD = $(tests_unit_zkserver_clock_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_clock_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_clock_test_OBJECTS)

tests_unit_planted_zkserver_watch_SOURCES =
tests_unit_planted_zkserver_watch_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_watch_LDADD = $(tests_unit_zkserver_watch_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_watch_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_watch_test_OBJECTS)

tests_unit_planted_zkserver_write_SOURCES =
tests_unit_planted_zkserver_write_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_write_LDADD = $(tests_unit_zkserver_write_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_write_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_write_test_OBJECTS)

tests_unit_planted_zkserver_quota_SOURCES =
tests_unit_planted_zkserver_quota_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_quota_LDADD = $(tests_unit_zkserver_quota_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_quota_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_quota_test_OBJECTS)

tests_unit_planted_zkserver_roles_SOURCES =
tests_unit_planted_zkserver_roles_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zkserver_roles_LDADD = $(tests_unit_zkserver_roles_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zkserver_roles_DEPENDENCIES = libplanted.a $(tests_unit_zkserver_roles_test_OBJECTS)
endif
