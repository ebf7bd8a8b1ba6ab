# SPDX-License-Identifier: Apache-2.0
EXTRA_PROGRAMS += bench/place_bench
bench_place_bench_SOURCES = bench/place_bench.c
bench_place_bench_LDADD = libmastercore.a libbase.a

EXTRA_PROGRAMS += bench/write_bench
bench_write_bench_SOURCES = bench/write_bench.c
bench_write_bench_LDADD = libzkcore.a libcodec.a libbase.a $(ZLIB_LIBS) $(DEFLATE_LIBS)

# What is measured, in a short form; each table is a target that `bench` depends on.
bench: bench-place bench-write bench-zk bench-ensemble
bench-place: bench/place_bench
	@bench/place_bench 20000
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
.PHONY: bench bench-place bench-write bench-zk bench-ensemble
