# SPDX-License-Identifier: Apache-2.0
agent_units = tests/unit/proc_test tests/unit/spawn_test tests/unit/cgroup_test tests/unit/record_test \
	tests/unit/life_test tests/unit/agent_core_test tests/unit/run_as_test \
	tests/unit/lease_test tests/unit/task_test tests/unit/sweep_test tests/unit/launch_test \
	tests/unit/launched_test
check_PROGRAMS += $(agent_units)
TESTS += $(agent_units)

tests_unit_proc_test_SOURCES = tests/unit/proc_test.c
tests_unit_proc_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_proc_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

tests_unit_spawn_test_SOURCES = tests/unit/spawn_test.c
tests_unit_spawn_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_spawn_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

tests_unit_cgroup_test_SOURCES = tests/unit/cgroup_test.c
tests_unit_cgroup_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cgroup_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

tests_unit_task_test_SOURCES = tests/unit/task_test.c executor/task.c executor/init.c
tests_unit_task_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_task_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

# The test's own machine is in place of the libraries'.
tests_unit_sweep_test_SOURCES = tests/unit/sweep_test.c agent/helper_sweep.c
tests_unit_sweep_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sweep_test_LDADD = $(UNIT_LIBS) libagentcore.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(PROTOBUF_C_LIBS)

tests_unit_launch_test_SOURCES = tests/unit/launch_test.c agent/helper_launch.c
tests_unit_launch_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_launch_test_LDADD = $(UNIT_LIBS) libagentcore.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(PROTOBUF_C_LIBS)

tests_unit_launched_test_SOURCES = tests/unit/launched_test.c agent/launched.c agent/sandbox.c
tests_unit_launched_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_launched_test_LDADD = $(UNIT_LIBS) libsys.a libbase.a

tests_unit_record_test_SOURCES = tests/unit/record_test.c
tests_unit_record_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_record_test_LDADD = $(UNIT_LIBS) libcodec.a libbase.a $(DEFLATE_LIBS)

tests_unit_life_test_SOURCES = tests/unit/life_test.c
tests_unit_life_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_life_test_LDADD = $(UNIT_LIBS) libexecutorcore.a libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS)

AGENT_BED_SOURCES = tests/lib/agent_bed.c tests/lib/agent_bed.h tests/lib/simdisk.c tests/lib/simdisk.h

tests_unit_agent_core_test_SOURCES = tests/unit/agent_core_test.c tests/lib/agent_world.c tests/lib/agent_world.h \
	$(AGENT_BED_SOURCES)
tests_unit_agent_core_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_agent_core_test_LDADD = $(UNIT_LIBS) libagentcore.a libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS) \
	$(DEFLATE_LIBS)

tests_unit_run_as_test_SOURCES = tests/unit/run_as_test.c
tests_unit_run_as_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_run_as_test_LDADD = $(UNIT_LIBS) libagentcore.a

tests_unit_lease_test_SOURCES = tests/unit/lease_test.c tests/lib/lease_rig.c tests/lib/lease_rig.h $(AGENT_BED_SOURCES)
tests_unit_lease_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_lease_test_LDADD = $(UNIT_LIBS) libagentcore.a libexecutorcore.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)
