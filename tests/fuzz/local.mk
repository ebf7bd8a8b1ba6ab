# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: NAME_fuzz.c defines LLVMFuzzerTestOneInput(), its corpus lies in tests/data/fuzz/NAME.
# `make check` replays the corpus; under `CC=clang configure --enable-fuzzing --enable-sanitize` the
# targets are libFuzzer's, and `make fuzz FUZZ_SECONDS=60` runs each.
# To add one: three lines as below.

fuzz_programs =
mend = tests/fuzz/mend.c tests/fuzz/mend.h
checks = tests/fuzz/checks.c
checks_ldflags = -Wl,--wrap=_mark_point -Wl,--wrap=_ck_assert_failed
mutate = tests/fuzz/script_mutate.c tests/fuzz/script_mutate.h

fuzz_programs += tests/fuzz/admin_fuzz
tests_fuzz_admin_fuzz_SOURCES = tests/fuzz/admin_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_admin_fuzz_LDADD = $(FUZZ_LIBS) libzkserver.a libzkcore.a libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) \
	$(OPENSSL_LIBS) $(INIH_LIBS) $(ZLIB_LIBS) $(DEFLATE_LIBS)

# The shell's calls to the system are client_world.c's.
fuzz_programs += tests/fuzz/client_fuzz
tests_fuzz_client_fuzz_SOURCES = tests/fuzz/client_fuzz.c tests/fuzz/client_script.c tests/fuzz/client_script.h \
	tests/fuzz/client_world.c tests/fuzz/client_world.h tests/fuzz/fuzz.h
tests_fuzz_client_fuzz_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=accept4 -Wl,--wrap=close -Wl,--wrap=event_add \
	-Wl,--wrap=event_del -Wl,--wrap=shutdown -Wl,--wrap=recv -Wl,--wrap=send -Wl,--wrap=clock_boot_ms \
	-Wl,--wrap=clock_wall_ms -Wl,--wrap=fsutil_random
tests_fuzz_client_fuzz_LDADD = $(FUZZ_LIBS) libzkserver.a libzkcore.a libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) \
	$(OPENSSL_LIBS) $(INIH_LIBS) $(ZLIB_LIBS) $(DEFLATE_LIBS)
# The rig of the unit tests; what its checks call is the target's.
if HAVE_CHECK
fuzz_programs += tests/fuzz/ensemble_fuzz
tests_fuzz_ensemble_fuzz_SOURCES = tests/fuzz/ensemble_fuzz.c tests/fuzz/client_script.c tests/fuzz/client_script.h \
	tests/fuzz/fuzz.h $(checks) $(ZKENSEMBLE_SOURCES)
tests_fuzz_ensemble_fuzz_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_ensemble_fuzz_LDFLAGS = $(AM_LDFLAGS) $(checks_ldflags)
tests_fuzz_ensemble_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)
endif

if FUZZING
tests_fuzz_client_fuzz_SOURCES += tests/fuzz/client_mutate.c $(mutate)
if HAVE_CHECK
tests_fuzz_ensemble_fuzz_SOURCES += tests/fuzz/client_mutate.c $(mutate)
endif
else
EXTRA_DIST += tests/fuzz/client_mutate.c $(mutate)
endif

fuzz_programs += tests/fuzz/http_head_fuzz
tests_fuzz_http_head_fuzz_SOURCES = tests/fuzz/http_head_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_http_head_fuzz_LDADD = $(FUZZ_LIBS) libcodec.a libbase.a

fuzz_programs += tests/fuzz/link_fuzz
tests_fuzz_link_fuzz_SOURCES = tests/fuzz/link_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_link_fuzz_LDADD = $(FUZZ_LIBS) libio.a libsys.a libcodec.a libbase.a $(EVENT_LIBS) $(OPENSSL_LIBS)

fuzz_programs += tests/fuzz/ini_fuzz
tests_fuzz_ini_fuzz_SOURCES = tests/fuzz/ini_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_ini_fuzz_CPPFLAGS = $(AM_CPPFLAGS) -DGRAMMAR=INI_SYSTEMD
tests_fuzz_ini_fuzz_LDADD = $(FUZZ_LIBS) libsys.a libbase.a $(INIH_LIBS)

fuzz_programs += tests/fuzz/jobfile_fuzz
tests_fuzz_jobfile_fuzz_SOURCES = tests/fuzz/jobfile_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_jobfile_fuzz_LDADD = $(FUZZ_LIBS) libjob.a libproto.a libsys.a libbase.a $(PROTOBUF_C_LIBS) $(INIH_LIBS)

fuzz_programs += tests/fuzz/members_fuzz
tests_fuzz_members_fuzz_SOURCES = tests/fuzz/members_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_members_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a

fuzz_programs += tests/fuzz/notification_fuzz
tests_fuzz_notification_fuzz_SOURCES = tests/fuzz/notification_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_notification_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a

fuzz_programs += tests/fuzz/pbjson_fuzz
tests_fuzz_pbjson_fuzz_SOURCES = tests/fuzz/pbjson_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_pbjson_fuzz_LDADD = $(FUZZ_LIBS) libcodec.a libproto.a libbase.a $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)

fuzz_programs += tests/fuzz/properties_fuzz
tests_fuzz_properties_fuzz_SOURCES = tests/fuzz/ini_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_properties_fuzz_CPPFLAGS = $(AM_CPPFLAGS) -DGRAMMAR=INI_PROPERTIES
tests_fuzz_properties_fuzz_LDADD = $(FUZZ_LIBS) libsys.a libbase.a $(INIH_LIBS)

fuzz_programs += tests/fuzz/recover_fuzz
tests_fuzz_recover_fuzz_SOURCES = tests/fuzz/recover_fuzz.c tests/fuzz/fuzz.h $(mend) tests/lib/simdisk.c \
	tests/lib/simdisk.h
tests_fuzz_recover_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

fuzz_programs += tests/fuzz/sasl_fuzz
tests_fuzz_sasl_fuzz_SOURCES = tests/fuzz/sasl_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_sasl_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS)

fuzz_programs += tests/fuzz/snapshot_fuzz
tests_fuzz_snapshot_fuzz_SOURCES = tests/fuzz/snapshot_fuzz.c tests/fuzz/fuzz.h $(mend) tests/lib/onefile.c tests/lib/onefile.h
tests_fuzz_snapshot_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

fuzz_programs += tests/fuzz/txnlog_fuzz
tests_fuzz_txnlog_fuzz_SOURCES = tests/fuzz/txnlog_fuzz.c tests/fuzz/fuzz.h $(mend) tests/lib/onefile.c tests/lib/onefile.h
tests_fuzz_txnlog_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

fuzz_programs += tests/fuzz/zab_fuzz
tests_fuzz_zab_fuzz_SOURCES = tests/fuzz/zab_fuzz.c tests/fuzz/fuzz.h tests/lib/peer_feed.h tests/lib/simdisk.c tests/lib/simdisk.h
tests_fuzz_zab_fuzz_LDADD = $(FUZZ_LIBS) libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

fuzz_programs += tests/fuzz/zooconf_fuzz
tests_fuzz_zooconf_fuzz_SOURCES = tests/fuzz/zooconf_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_zooconf_fuzz_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=str_distance
tests_fuzz_zooconf_fuzz_LDADD = $(FUZZ_LIBS) libzkserver.a libzkcore.a libsys.a libbase.a $(INIH_LIBS)

# Messages of proto/ to the cores that take them. Their mutator knows the schema.
frames = tests/fuzz/frames.h tests/fuzz/client_script.c tests/fuzz/client_script.h tests/fuzz/fuzz.h
if FUZZING
frames += tests/fuzz/frames_mutate.c $(mutate)
else
EXTRA_DIST += tests/fuzz/frames_mutate.c
endif

fuzz_programs += tests/fuzz/executor_frames_fuzz
tests_fuzz_executor_frames_fuzz_SOURCES = tests/fuzz/executor_frames_fuzz.c $(frames)
tests_fuzz_executor_frames_fuzz_LDADD = $(FUZZ_LIBS) libexecutorcore.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS)

fuzz_programs += tests/fuzz/master_frames_fuzz
tests_fuzz_master_frames_fuzz_SOURCES = tests/fuzz/master_frames_fuzz.c $(frames) tests/lib/fake_cluster.c \
	tests/lib/fake_cluster.h
tests_fuzz_master_frames_fuzz_LDADD = $(FUZZ_LIBS) libmastercore.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS)

fuzz_programs += tests/fuzz/load_fuzz
tests_fuzz_load_fuzz_SOURCES = tests/fuzz/load_fuzz.c tests/fuzz/fuzz.h
tests_fuzz_load_fuzz_LDADD = $(FUZZ_LIBS) libmastercore.a libproto.a libbase.a $(PROTOBUF_C_LIBS)

fuzz_programs += tests/fuzz/definition_fuzz
tests_fuzz_definition_fuzz_SOURCES = tests/fuzz/definition_fuzz.c tests/fuzz/fuzz.h master/definition.c \
	master/definition.h master/info.c master/info.h
tests_fuzz_definition_fuzz_LDADD = $(FUZZ_LIBS) libmastercore.a libjob.a libsys.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS) $(INIH_LIBS) $(JANSSON_LIBS)

# What the helper would do to the machine is the target's.
fuzz_programs += tests/fuzz/helper_fuzz
tests_fuzz_helper_fuzz_SOURCES = tests/fuzz/helper_fuzz.c $(frames) agent/helper.c agent/helper.h \
	agent/helper_internal.h agent/helper_launch.c agent/helper_sweep.c agent/launched.c agent/launched.h agent/sandbox.c agent/sandbox.h
tests_fuzz_helper_fuzz_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=cgroup_make -Wl,--wrap=cgroup_remove \
	-Wl,--wrap=cgroup_remove_if_empty -Wl,--wrap=cgroup_kill -Wl,--wrap=cgroup_populated \
	-Wl,--wrap=cgroup_open_procs -Wl,--wrap=cgroup_open_birthplace -Wl,--wrap=sandbox_make \
	-Wl,--wrap=sandbox_remove -Wl,--wrap=launched_note -Wl,--wrap=launched_find -Wl,--wrap=proc_identify \
	-Wl,--wrap=spawn_user_find -Wl,--wrap=spawn_run -Wl,--wrap=fsutil_write_all -Wl,--wrap=memfd_create \
	-Wl,--wrap=fork -Wl,--wrap=kill -Wl,--wrap=waitpid -Wl,--wrap=launched_forget -Wl,--wrap=launched_each \
	-Wl,--wrap=cgroup_each -Wl,--wrap=proc_kill_sessions
tests_fuzz_helper_fuzz_LDADD = $(FUZZ_LIBS) libagentcore.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(PROTOBUF_C_LIBS)

# The bed of the unit tests; what its checks call is the target's.
if HAVE_CHECK
fuzz_programs += tests/fuzz/checkpoint_fuzz
tests_fuzz_checkpoint_fuzz_SOURCES = tests/fuzz/checkpoint_fuzz.c $(frames) $(checks) $(AGENT_BED_SOURCES)
tests_fuzz_checkpoint_fuzz_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_checkpoint_fuzz_LDFLAGS = $(AM_LDFLAGS) $(checks_ldflags)
tests_fuzz_checkpoint_fuzz_LDADD = $(FUZZ_LIBS) libagentcore.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)

fuzz_programs += tests/fuzz/agent_frames_fuzz
tests_fuzz_agent_frames_fuzz_SOURCES = tests/fuzz/agent_frames_fuzz.c $(frames) $(checks) $(AGENT_BED_SOURCES)
tests_fuzz_agent_frames_fuzz_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_agent_frames_fuzz_LDFLAGS = $(AM_LDFLAGS) $(checks_ldflags)
tests_fuzz_agent_frames_fuzz_LDADD = $(FUZZ_LIBS) libagentcore.a libcodec.a libproto.a libbase.a \
	$(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)
endif

check_PROGRAMS += $(fuzz_programs)
EXTRA_DIST += tests/data/fuzz

if FUZZING
FUZZ_LIBS = @FUZZ_LDFLAGS@
else
FUZZ_LIBS = libreplay.a
check_LIBRARIES += libreplay.a
libreplay_a_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h
TESTS += $(fuzz_programs)
endif

# FUZZ: names, all of them unless some are given. RUNS: executions of each; 0: as many as there are in FUZZ_SECONDS.
# What is found is kept in fuzz-findings, what reaches new code in fuzz-corpus. The sanitizer remembers less of what was
# freed, and by whom, than it would: what it remembers stays in the processor's cache, and holds what one execution frees
# many times over. A finding run by itself says all.
FUZZ = $(fuzz_programs:tests/fuzz/%_fuzz=%)
FUZZ_SECONDS = 60
RUNS = 0
FUZZ_FLAGS = -max_len=1024 -entropic=0 -reduce_inputs=0
FUZZ_ASAN_OPTIONS = quarantine_size_mb=1:thread_local_quarantine_size_kb=256:malloc_context_size=0:allocator_release_to_os_interval_ms=-1

fuzz: $(FUZZ:%=tests/fuzz/%_fuzz)
	@test -n '$(FUZZ_LDFLAGS)' || { echo "configure with CC=clang --enable-fuzzing first" >&2; exit 1; }
	@limit=-max_total_time=$(FUZZ_SECONDS); test $(RUNS) = 0 || limit=-runs=$(RUNS); \
	for name in $(FUZZ); do \
	  $(MKDIR_P) fuzz-corpus/$$name fuzz-findings; \
	  echo "fuzzing $$name, $$limit"; \
	  ASAN_OPTIONS=$${ASAN_OPTIONS-$(FUZZ_ASAN_OPTIONS)} ./tests/fuzz/$${name}_fuzz $$limit $(FUZZ_FLAGS) \
	    -print_final_stats=1 -artifact_prefix=fuzz-findings/$$name- \
	    fuzz-corpus/$$name $(srcdir)/tests/data/fuzz/$$name || exit 1; \
	done
.PHONY: fuzz
