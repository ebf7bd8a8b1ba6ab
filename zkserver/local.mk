# SPDX-License-Identifier: Apache-2.0
# The core (pure: see tests/tidy) and the program around it.
noinst_LIBRARIES += libzkcore.a
libzkcore_a_SOURCES = \
	zkserver/core/acl.c zkserver/core/acl.h \
	zkserver/core/audit.c zkserver/core/audit.h \
	zkserver/core/change.c zkserver/core/change.h \
	zkserver/core/db.c zkserver/core/db.h \
	zkserver/core/ipaddr.c zkserver/core/ipaddr.h \
	zkserver/core/jaas.c zkserver/core/jaas.h \
	zkserver/core/limits.c zkserver/core/limits.h \
	zkserver/core/members.c zkserver/core/members.h \
	zkserver/core/members_text.c \
	zkserver/core/metrics.c zkserver/core/metrics.h \
	zkserver/core/path.c zkserver/core/path.h \
	zkserver/core/prep.c zkserver/core/prep.h zkserver/core/prep_priv.h \
	zkserver/core/prep_multi.c \
	zkserver/core/prep_node.c \
	zkserver/core/prep_session.c \
	zkserver/core/quota.c zkserver/core/quota.h \
	zkserver/core/reconf.c zkserver/core/reconf.h \
	zkserver/core/reconf_text.c \
	zkserver/core/server.c zkserver/core/server.h zkserver/core/server_priv.h \
	zkserver/core/server_answer.c \
	zkserver/core/server_auth.c \
	zkserver/core/server_connect.c \
	zkserver/core/server_leader.c \
	zkserver/core/server_learner.c \
	zkserver/core/server_local.c \
	zkserver/core/server_read.c \
	zkserver/core/server_reap.c \
	zkserver/core/server_reply.c \
	zkserver/core/server_role.c \
	zkserver/core/server_watch.c \
	zkserver/core/sasl.c zkserver/core/sasl.h \
	zkserver/core/session.c zkserver/core/session.h \
	zkserver/core/throttle.c zkserver/core/throttle.h \
	zkserver/core/tree.c zkserver/core/tree.h zkserver/core/tree_priv.h \
	zkserver/core/tree_digest.c \
	zkserver/core/tree_find.c \
	zkserver/core/tree_index.c \
	zkserver/core/tree_kids.c \
	zkserver/core/tree_life.c \
	zkserver/core/tree_load.c \
	zkserver/core/tree_node.c \
	zkserver/core/tree_owner.c \
	zkserver/core/txn.c zkserver/core/txn.h \
	zkserver/core/watch.c zkserver/core/watch.h

# The ensemble: who leads.
libzkcore_a_SOURCES += \
	zkserver/core/election.c zkserver/core/election.h \
	zkserver/core/election_links.c zkserver/core/election_links.h \
	zkserver/core/notification.c zkserver/core/notification.h

# What is on disk.
libzkcore_a_SOURCES += \
	zkserver/core/datadir.c zkserver/core/datadir.h \
	zkserver/core/epochs.c zkserver/core/epochs.h \
	zkserver/core/pack.c zkserver/core/pack.h \
	zkserver/core/purge.c zkserver/core/purge.h \
	zkserver/core/recover.c zkserver/core/recover.h \
	zkserver/core/snapshot.c zkserver/core/snapshot.h \
	zkserver/core/snapshot_load.c \
	zkserver/core/txnlog.c zkserver/core/txnlog.h \
	zkserver/core/txnlog_reader.c zkserver/core/txnlog_reader.h

# A member of an ensemble.
libzkcore_a_SOURCES += \
	zkserver/core/adopt.c zkserver/core/adopt.h \
	zkserver/core/history.c zkserver/core/history.h \
	zkserver/core/leader.c zkserver/core/leader.h zkserver/core/leader_priv.h \
	zkserver/core/leader_learners.c zkserver/core/leader_reconf.c \
	zkserver/core/leader_relay.c \
	zkserver/core/leader_sync.c \
	zkserver/core/learner.c zkserver/core/learner.h \
	zkserver/core/learner_ask.c zkserver/core/learner_dial.c zkserver/core/learner_priv.h zkserver/core/learner_sync.c \
	zkserver/core/peer.c zkserver/core/peer.h \
	zkserver/core/qpacket.c zkserver/core/qpacket.h \
	zkserver/core/snapstream.c zkserver/core/snapstream.h \
	zkserver/core/zab.c zkserver/core/zab.h zkserver/core/zab_members.c

# The shell.
noinst_LIBRARIES += libzkserver.a
libzkserver_a_SOURCES = \
	zkserver/admin.c zkserver/admin.h \
	zkserver/admin_env.c zkserver/admin_env.h \
	zkserver/admin_http.c zkserver/admin_http.h \
	zkserver/admin_job.c zkserver/admin_job.h \
	zkserver/admin_json.c \
	zkserver/admin_member.c \
	zkserver/admin_text.c \
	zkserver/audit_log.c zkserver/audit_log.h \
	zkserver/auth.c zkserver/auth.h \
	zkserver/child.c zkserver/child.h \
	zkserver/chore.c zkserver/chore.h \
	zkserver/client_auth.c zkserver/client_auth.h \
	zkserver/bounds.c zkserver/bounds.h \
	zkserver/client_conn.c zkserver/client_conn.h \
	zkserver/client_handshake.c zkserver/client_handshake.h \
	zkserver/client_port.c zkserver/client_port.h \
	zkserver/client_tls.c zkserver/client_tls.h \
	zkserver/client_word.c \
	zkserver/conf.c zkserver/conf.h zkserver/conf_priv.h \
	zkserver/conf_ensemble.c \
	zkserver/election_port.c zkserver/election_port.h \
	zkserver/ensemble_files.c zkserver/ensemble_files.h \
	zkserver/expiry.c zkserver/expiry.h \
	zkserver/figures.c zkserver/figures.h \
	zkserver/memory.c zkserver/memory.h \
	zkserver/quorum_port.c zkserver/quorum_port.h \
	zkserver/report.c zkserver/report.h \
	zkserver/snapshot_feed.c zkserver/snapshot_feed.h \
	zkserver/daemon.h zkserver/reload.c \
	zkserver/ensemble.c zkserver/ensemble.h \
	zkserver/purger.c zkserver/purger.h \
	zkserver/member_cert.c zkserver/member_cert.h \
	zkserver/peer_listener.c zkserver/peer_listener.h \
	zkserver/peers.c zkserver/peers.h \
	zkserver/run.c zkserver/run.h \
	zkserver/sasl_users.c zkserver/sasl_users.h \
	zkserver/settings.c zkserver/settings.h \
	zkserver/standing.c zkserver/standing.h \
	zkserver/status.c zkserver/status.h \
	zkserver/unit_status.c zkserver/unit_status.h

libzkserver_a_SOURCES += \
	zkserver/inspect.c zkserver/inspect.h zkserver/inspect_priv.h \
	zkserver/inspect_json.c \
	zkserver/inspect_recover.c zkserver/inspect_verify.c \
	zkserver/log_uring.c zkserver/log_uring.h \
	zkserver/log_worker.c zkserver/log_worker.h \
	zkserver/log_writer.c zkserver/log_writer.h \
	zkserver/snapshot_writer.c zkserver/snapshot_writer.h

bin_PROGRAMS += zkserver/zkserver
zkserver_zkserver_SOURCES = zkserver/main.c
zkserver_zkserver_LDADD = libzkserver.a libzkcore.a libio.a libsys.a libcodec.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(ZLIB_LIBS) $(DEFLATE_LIBS) $(URING_LIBS) -lpthread
