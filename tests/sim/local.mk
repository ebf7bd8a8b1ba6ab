# SPDX-License-Identifier: Apache-2.0

# A server and its disk, seed after seed.
check_PROGRAMS += tests/sim/zksim
TESTS += tests/sim/zksim.sh
EXTRA_DIST += tests/sim/seeds.sh tests/sim/zksim.sh
tests_sim_zksim_SOURCES = \
	tests/sim/model.c tests/sim/model.h \
	tests/sim/seeds.c tests/sim/seeds.h \
	tests/sim/world.c tests/sim/world.h \
	tests/sim/zkcheck.c tests/sim/zkcheck.h \
	tests/sim/zkclient.c tests/sim/zkclient.h \
	tests/sim/zkkinds.c tests/sim/zkkinds.h \
	tests/sim/zknode.c tests/sim/zknode.h \
	tests/sim/zksim.c \
	tests/sim/zkstream.c tests/sim/zkstream.h \
	tests/lib/simdisk.c tests/lib/simdisk.h
tests_sim_zksim_LDADD = libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

# An ensemble, seed after seed. The cores of Zab are compiled anew, with bugs that can be switched on
# and rare branches counted.
check_PROGRAMS += tests/sim/zabsim
TESTS += tests/sim/zabsim.sh
EXTRA_DIST += tests/sim/zabsim.sh
tests_sim_zabsim_SOURCES = \
	tests/sim/ens.h tests/sim/ens_answer.c tests/sim/ens_book.c tests/sim/ens_check.c tests/sim/ens_check.h \
	tests/sim/ens_client.c tests/sim/ens_client.h tests/sim/ens_session.c tests/sim/ens_watch.c tests/sim/ens_work.c \
	tests/sim/model.c tests/sim/model.h \
	tests/sim/ens_damage.c tests/sim/ens_disk.c tests/sim/ens_effect.c tests/sim/ens_fuzzy.c \
	tests/sim/ens_net.c tests/sim/ens_node.c tests/sim/ens_life.c tests/sim/ens_life.h tests/sim/ens_reconf.c \
	tests/sim/ens_turn.c tests/sim/ens_zab.c \
	tests/sim/seeds.c tests/sim/seeds.h \
	tests/sim/marks.c tests/sim/marks.h tests/sim/world.c tests/sim/world.h tests/sim/zabsim.c \
	tests/lib/peer_feed.h tests/lib/simdisk.c tests/lib/simdisk.h \
	zkserver/core/adopt.c zkserver/core/db.c zkserver/core/election.c zkserver/core/epochs.c \
	zkserver/core/leader.c zkserver/core/leader_learners.c zkserver/core/leader_relay.c zkserver/core/leader_sync.c \
	zkserver/core/learner.c zkserver/core/learner_dial.c zkserver/core/learner_sync.c zkserver/core/peer.c \
	zkserver/core/prep_node.c zkserver/core/purge.c zkserver/core/recover.c \
	zkserver/core/server.c zkserver/core/server_answer.c zkserver/core/server_connect.c \
	zkserver/core/server_leader.c zkserver/core/server_learner.c zkserver/core/server_local.c \
	zkserver/core/server_watch.c zkserver/core/session.c zkserver/core/snapshot.c \
	zkserver/core/snapshot_load.c zkserver/core/watch.c \
	zkserver/core/txnlog.c zkserver/core/txnlog_reader.c zkserver/core/zab_members.c
tests_sim_zabsim_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS -DCORE_MARKS
tests_sim_zabsim_LDADD = libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

# A cluster, seed after seed. The cores are compiled anew, with bugs that can be switched on and rare
# branches counted; the agent's apart, since it has names that the master's has, too.
check_LIBRARIES += tests/sim/libclagent.a
tests_sim_libclagent_a_SOURCES = $(libagentcore_a_SOURCES)
tests_sim_libclagent_a_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS -DCORE_MARKS \
	-DCL_AGENT_ALONE -include $(srcdir)/tests/sim/cl_agent_core.h
# Its files, for lives of many seeds and for scenes.
cl_sources = \
	tests/sim/cl.c tests/sim/cl.h tests/sim/cl_agent.c tests/sim/cl_agent_core.h \
	tests/sim/cl_agent_link.c tests/sim/cl_check.c tests/sim/cl_check.h tests/sim/cl_check_in.h \
	tests/sim/cl_check_task.c tests/sim/cl_clients.c tests/sim/cl_ens.c tests/sim/cl_ens.h \
	tests/sim/cl_check_copy.c tests/sim/cl_ens_book.c tests/sim/cl_ens_copy.c tests/sim/cl_exec.c tests/sim/cl_fair.c tests/sim/cl_helper.c tests/sim/cl_host.h \
	tests/sim/cl_master.c tests/sim/cl_master.h tests/sim/cl_master_link.c \
	tests/sim/cl_master_store.c tests/sim/cl_net.c tests/sim/cl_tree.c tests/sim/cl_zk.c \
	tests/sim/cl_zk.h tests/sim/world.c tests/sim/world.h tests/lib/simdisk.c tests/lib/simdisk.h \
	tests/lib/fair_oracle.c tests/lib/fair_oracle.h \
	$(libmastercore_a_SOURCES) $(libexecutorcore_a_SOURCES)
CL_LIBS = tests/sim/libclagent.a libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)
check_PROGRAMS += tests/sim/clsim tests/sim/clscene
TESTS += tests/sim/clsim.sh tests/sim/clscene
EXTRA_DIST += tests/sim/clsim.sh
tests_sim_clsim_SOURCES = $(cl_sources) tests/sim/cl_fault.c tests/sim/cl_life.c tests/sim/cl_life.h \
	tests/sim/cl_operate.c tests/sim/marks.c tests/sim/marks.h tests/sim/clsim.c tests/sim/seeds.c tests/sim/seeds.h
tests_sim_clsim_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS -DCORE_MARKS
tests_sim_clsim_LDADD = $(CL_LIBS)
tests_sim_clscene_SOURCES = $(cl_sources) tests/sim/clscene.c
tests_sim_clscene_CPPFLAGS = $(tests_sim_clsim_CPPFLAGS)
tests_sim_clscene_LDADD = $(CL_LIBS)
