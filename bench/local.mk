# SPDX-License-Identifier: Apache-2.0
EXTRA_PROGRAMS += bench/place_bench
bench_place_bench_SOURCES = bench/place_bench.c bench/bench.c bench/bench.h
bench_place_bench_LDADD = libmastercore.a libbase.a

EXTRA_PROGRAMS += bench/write_bench
bench_write_bench_SOURCES = bench/write_bench.c bench/bench.c bench/bench.h
bench_write_bench_LDADD = libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

check_PROGRAMS += bench/core_bench
bench_core_bench_SOURCES = bench/core_bench.c bench/bench.c bench/bench.h
bench_core_bench_LDADD = libmastercore.a libproto.a libbase.a $(PROTOBUF_C_LIBS)

# A master under the load of a fleet: agents that are played, in one process, with tasks that are timers.
check_PROGRAMS += bench/fleet
bench_fleet_SOURCES = \
	agent/leader.c \
	bench/fleet.c bench/fleet.h \
	bench/fleet_agent.c \
	bench/fleet_jobs.c \
	bench/fleet_task.c \
	bench/fleet_wheel.c
bench_fleet_LDADD = libzk.a libio.a libsys.a libcodec.a libproto.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) $(PROTOBUF_C_LIBS) $(DEFLATE_LIBS)

# What is measured, in a short form; each table is a target that `bench` depends on.
bench: bench-place bench-core bench-write bench-zk bench-ensemble bench-fleet bench-memory
bench-place: bench/place_bench
	@bench/place_bench 20000
bench-core: bench/core_bench
	@bench/core_bench
bench-write: bench/write_bench
	@bench/write_bench

# zkserver's own figures, beside those of Apache's server where Debian's package zookeeper is installed.
bench-zk: all
	@CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 '$(srcdir)/bench/zk_bench.py'
EXTRA_DIST += bench/zk_bench.py

# Three of each; with words of ensemble_bench.py: make bench-ensemble BENCH='--kills 100'.
bench-ensemble: all
	@CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 '$(srcdir)/bench/ensemble_bench.py' $(BENCH)
EXTRA_DIST += bench/ensemble_bench.py

# A real master; the aim is make bench-fleet BENCH='--agents 6000 --tasks 2000000 --rate 7000 --hold 60000'.
bench-fleet: all bench/fleet
	@CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 '$(srcdir)/bench/fleet_bench.py' $(BENCH)
# What an executor, an agent and a master keep in memory.
bench-memory: all bench/fleet
	@CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 '$(srcdir)/bench/memory_bench.py'
EXTRA_DIST += bench/fleet_bench.py bench/memory_bench.py
.PHONY: bench bench-place bench-core bench-write bench-zk bench-ensemble bench-fleet bench-memory
