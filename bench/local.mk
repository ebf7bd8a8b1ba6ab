# SPDX-License-Identifier: Apache-2.0
EXTRA_PROGRAMS += bench/place_bench
bench_place_bench_SOURCES = bench/place_bench.c
bench_place_bench_LDADD = libmastercore.a libbase.a
