# SPDX-License-Identifier: Apache-2.0
zkserver_units = tests/unit/tree_test tests/unit/zkcore_test tests/unit/zkserver_auth_test \
	tests/unit/zkserver_bounds_test tests/unit/zkserver_multi_test tests/unit/zkserver_quota_test \
	tests/unit/zkserver_read_test \
	tests/unit/zkserver_reap_test tests/unit/zkserver_session_test tests/unit/zkserver_watch_test \
	tests/unit/zkserver_write_test tests/unit/watch_test
check_PROGRAMS += $(zkserver_units)
TESTS += $(zkserver_units)
ZKCORE_LIBS = $(UNIT_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

tests_unit_tree_test_SOURCES = tests/unit/tree_test.c
tests_unit_tree_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tree_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkcore_test_SOURCES = tests/unit/zkcore_test.c
tests_unit_zkcore_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkcore_test_LDADD = $(ZKCORE_LIBS)

tests_unit_watch_test_SOURCES = tests/unit/watch_test.c
tests_unit_watch_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_watch_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/zkserver_limits_test tests/unit/memory_test tests/unit/peers_test
tests_unit_peers_test_SOURCES = tests/unit/peers_test.c
tests_unit_peers_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_peers_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a
tests_unit_memory_test_SOURCES = tests/unit/memory_test.c
tests_unit_memory_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_memory_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a

# The core driven by frames, a program a subject.
ZKRIG_SOURCES = tests/lib/zkserver_rig.c tests/lib/zkserver_rig.h
ZKENSEMBLE_SOURCES = tests/lib/ensemble_rig.c tests/lib/ensemble_rig.h $(ZKRIG_SOURCES)

zkserver_units += tests/unit/zkserver_roles_test tests/unit/zkserver_moves_test \
	tests/unit/zkserver_mixed_test tests/unit/admin_roles_test tests/unit/zkserver_local_test
tests_unit_zkserver_local_test_SOURCES = tests/unit/zkserver_local_test.c $(ZKENSEMBLE_SOURCES)
tests_unit_zkserver_local_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_local_test_LDADD = $(ZKCORE_LIBS)
tests_unit_admin_roles_test_SOURCES = tests/unit/admin_roles_test.c $(ZKENSEMBLE_SOURCES)
tests_unit_admin_roles_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_admin_roles_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a $(IO_LIBS) $(OPENSSL_LIBS) \
	$(ZLIB_LIBS) $(DEFLATE_LIBS) $(INIH_LIBS)
tests_unit_zkserver_mixed_test_SOURCES = tests/unit/zkserver_mixed_test.c $(ZKENSEMBLE_SOURCES)
tests_unit_zkserver_mixed_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_mixed_test_LDADD = $(ZKCORE_LIBS)
tests_unit_zkserver_moves_test_SOURCES = tests/unit/zkserver_moves_test.c $(ZKENSEMBLE_SOURCES)
tests_unit_zkserver_moves_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_moves_test_LDADD = $(ZKCORE_LIBS)
tests_unit_zkserver_roles_test_SOURCES = tests/unit/zkserver_roles_test.c $(ZKENSEMBLE_SOURCES)
tests_unit_zkserver_roles_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_roles_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_auth_test_SOURCES = tests/unit/zkserver_auth_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_auth_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_auth_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_bounds_test_SOURCES = tests/unit/zkserver_bounds_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_bounds_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_bounds_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/zkserver_clock_test
tests_unit_zkserver_clock_test_SOURCES = tests/unit/zkserver_clock_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_clock_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_clock_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_limits_test_SOURCES = tests/unit/zkserver_limits_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_limits_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_limits_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_multi_test_SOURCES = tests/unit/zkserver_multi_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_multi_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_multi_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_read_test_SOURCES = tests/unit/zkserver_read_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_read_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_read_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_quota_test_SOURCES = tests/unit/zkserver_quota_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_quota_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_quota_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_reap_test_SOURCES = tests/unit/zkserver_reap_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_reap_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_reap_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_session_test_SOURCES = tests/unit/zkserver_session_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_session_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_session_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_watch_test_SOURCES = tests/unit/zkserver_watch_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_watch_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_watch_test_LDADD = $(ZKCORE_LIBS)

tests_unit_zkserver_write_test_SOURCES = tests/unit/zkserver_write_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_write_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_write_test_LDADD = $(ZKCORE_LIBS)

zkdisk_units = tests/unit/crash_kinds_test tests/unit/txnlog_test tests/unit/recover_test tests/unit/recover_acl_test \
	tests/unit/recover_gap_test \
	tests/unit/log_writer_test tests/unit/store_test
check_PROGRAMS += $(zkdisk_units)
TESTS += $(zkdisk_units)
SIMDISK_SOURCES = tests/lib/simdisk.c tests/lib/simdisk.h

tests_unit_crash_kinds_test_SOURCES = tests/unit/crash_kinds_test.c $(SIMDISK_SOURCES)
tests_unit_crash_kinds_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_crash_kinds_test_LDADD = $(ZKCORE_LIBS)

tests_unit_txnlog_test_SOURCES = tests/unit/txnlog_test.c $(SIMDISK_SOURCES)
tests_unit_txnlog_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_txnlog_test_LDADD = $(ZKCORE_LIBS)

RECOVER_RIG_SOURCES = tests/lib/recover_rig.c tests/lib/recover_rig.h $(SIMDISK_SOURCES)

tests_unit_recover_test_SOURCES = tests/unit/recover_test.c $(RECOVER_RIG_SOURCES)
tests_unit_recover_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_recover_test_LDADD = $(ZKCORE_LIBS)

tests_unit_recover_gap_test_SOURCES = tests/unit/recover_gap_test.c $(RECOVER_RIG_SOURCES)
tests_unit_recover_gap_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_recover_gap_test_LDADD = $(ZKCORE_LIBS)

tests_unit_recover_acl_test_SOURCES = tests/unit/recover_acl_test.c $(SIMDISK_SOURCES)
tests_unit_recover_acl_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_recover_acl_test_LDADD = $(ZKCORE_LIBS)

tests_unit_log_writer_test_SOURCES = tests/unit/log_writer_test.c
tests_unit_log_writer_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_log_writer_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a $(IO_LIBS) $(ZLIB_LIBS) $(DEFLATE_LIBS) \
	$(URING_LIBS)

tests_unit_store_test_SOURCES = tests/unit/store_test.c $(SIMDISK_SOURCES)
tests_unit_store_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_store_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

zooconf_units = tests/unit/auth_test tests/unit/sasl_test tests/unit/zoo_conf_test tests/unit/zoo_ensemble_test \
	tests/unit/ensemble_files_test
check_PROGRAMS += $(zooconf_units)
TESTS += $(zooconf_units)

ZOORIG_SOURCES = tests/lib/zoo_rig.c tests/lib/zoo_rig.h
tests_unit_zoo_conf_test_SOURCES = tests/unit/zoo_conf_test.c $(ZOORIG_SOURCES)
tests_unit_zoo_conf_test_CPPFLAGS = $(AM_CPPFLAGS) -DMANUAL='"$(abs_top_srcdir)/man/zkserver.8"'
tests_unit_zoo_conf_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zoo_conf_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a $(INIH_LIBS)

tests_unit_ensemble_files_test_SOURCES = tests/unit/ensemble_files_test.c $(ZOORIG_SOURCES)
tests_unit_ensemble_files_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ensemble_files_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a $(INIH_LIBS)

tests_unit_zoo_ensemble_test_SOURCES = tests/unit/zoo_ensemble_test.c $(ZOORIG_SOURCES)
tests_unit_zoo_ensemble_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zoo_ensemble_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a $(INIH_LIBS)

tests_unit_sasl_test_SOURCES = tests/unit/sasl_test.c
tests_unit_sasl_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sasl_test_LDADD = $(ZKCORE_LIBS) $(OPENSSL_LIBS)

tests_unit_auth_test_SOURCES = tests/unit/auth_test.c
tests_unit_auth_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_auth_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a libsys.a libcodec.a libbase.a $(INIH_LIBS) $(OPENSSL_LIBS)

zkadmin_units = tests/unit/report_test tests/unit/zkserver_audit_test
check_PROGRAMS += $(zkadmin_units)
TESTS += $(zkadmin_units)

tests_unit_report_test_SOURCES = tests/unit/report_test.c
tests_unit_report_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_report_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a $(IO_LIBS) $(ZLIB_LIBS) $(DEFLATE_LIBS)

tests_unit_zkserver_audit_test_SOURCES = tests/unit/zkserver_audit_test.c $(ZKRIG_SOURCES)
tests_unit_zkserver_audit_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zkserver_audit_test_LDADD = $(ZKCORE_LIBS)

ensemble_units = tests/unit/election_links_test tests/unit/election_model_test tests/unit/election_port_test tests/unit/election_test tests/unit/epochs_test tests/unit/members_test tests/unit/notification_test tests/unit/reconf_test
check_PROGRAMS += $(ensemble_units)
TESTS += $(ensemble_units)

tests_unit_epochs_test_SOURCES = tests/unit/epochs_test.c $(SIMDISK_SOURCES)
tests_unit_epochs_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_epochs_test_LDADD = $(ZKCORE_LIBS)

tests_unit_members_test_SOURCES = tests/unit/members_test.c
tests_unit_members_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_members_test_LDADD = $(ZKCORE_LIBS)

tests_unit_reconf_test_SOURCES = tests/unit/reconf_test.c
tests_unit_reconf_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_reconf_test_LDADD = $(ZKCORE_LIBS)

tests_unit_notification_test_SOURCES = tests/unit/notification_test.c
tests_unit_notification_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_notification_test_LDADD = $(ZKCORE_LIBS)

tests_unit_election_test_SOURCES = tests/unit/election_test.c
tests_unit_election_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_election_test_LDADD = $(ZKCORE_LIBS)

tests_unit_election_links_test_SOURCES = tests/unit/election_links_test.c
tests_unit_election_links_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_election_links_test_LDADD = $(ZKCORE_LIBS)

tests_unit_election_port_test_SOURCES = tests/unit/election_port_test.c tests/lib/net.c tests/lib/net.h
tests_unit_election_port_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_election_port_test_LDADD = $(UNIT_LIBS) libzkserver.a libzkcore.a $(IO_LIBS)

# Members of an ensemble with their peers, several in one process.
zkserver_units += tests/unit/peer_test tests/unit/observer_master_test
PEER_RIG_SOURCES = tests/lib/peer_rig.c tests/lib/peer_rig_check.c tests/lib/peer_rig_client.c tests/lib/peer_rig_disk.c \
	tests/lib/peer_feed.h tests/lib/peer_rig.h tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_peer_test_SOURCES = tests/unit/peer_test.c $(PEER_RIG_SOURCES)
tests_unit_peer_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_peer_test_LDADD = $(ZKCORE_LIBS)
tests_unit_observer_master_test_SOURCES = tests/unit/observer_master_test.c $(PEER_RIG_SOURCES)
tests_unit_observer_master_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_observer_master_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/reconfig_test
tests_unit_reconfig_test_SOURCES = tests/unit/reconfig_test.c $(PEER_RIG_SOURCES)
tests_unit_reconfig_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_reconfig_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/zab_recipes_test
tests_unit_zab_recipes_test_SOURCES = tests/unit/zab_recipes_test.c $(PEER_RIG_SOURCES)
tests_unit_zab_recipes_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zab_recipes_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/ensemble_recipes_test
tests_unit_ensemble_recipes_test_SOURCES = tests/unit/ensemble_recipes_test.c $(PEER_RIG_SOURCES)
tests_unit_ensemble_recipes_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ensemble_recipes_test_LDADD = $(ZKCORE_LIBS)

tests_unit_election_model_test_SOURCES = tests/unit/election_model_test.c
tests_unit_election_model_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_election_model_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/qpacket_test
tests_unit_qpacket_test_SOURCES = tests/unit/qpacket_test.c tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_qpacket_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_qpacket_test_LDADD = $(ZKCORE_LIBS)

zkserver_units += tests/unit/zab_links_test tests/unit/zab_hostile_test
tests_unit_zab_links_test_SOURCES = tests/unit/zab_links_test.c tests/lib/peer_wire.c tests/lib/peer_wire.h \
	$(PEER_RIG_SOURCES)
tests_unit_zab_links_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zab_links_test_LDADD = $(ZKCORE_LIBS)
tests_unit_zab_hostile_test_SOURCES = tests/unit/zab_hostile_test.c tests/lib/peer_wire.c tests/lib/peer_wire.h \
	$(PEER_RIG_SOURCES)
tests_unit_zab_hostile_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_zab_hostile_test_LDADD = $(ZKCORE_LIBS)
