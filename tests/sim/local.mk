# SPDX-License-Identifier: Apache-2.0

# The master's core in a world of fakes, seed after seed.
check_PROGRAMS += tests/sim/clustersim
TESTS += tests/sim/clustersim
tests_sim_clustersim_SOURCES = tests/sim/clustersim.c tests/lib/fake_cluster.c tests/lib/fake_cluster.h
tests_sim_clustersim_LDADD = libmastercore.a libproto.a libbase.a $(PROTOBUF_C_LIBS)
