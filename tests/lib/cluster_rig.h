/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A master's core that leads a fake cluster, for tests of what it decides. One cluster a test:
 * rig_setup() and rig_teardown() are the fixture, and the teardown checks the books once more.
 */
#ifndef CORRAL_TESTS_CLUSTER_RIG_H
#define CORRAL_TESTS_CLUSTER_RIG_H

#include "tests/lib/fake_cluster.h"
#include "tests/lib/unit.h"

#define MIB (UINT64_C(1) << 20)
/* Between two heartbeats of an agent while time passes. */
#define SCAN_MS 500

extern struct fake *f;

void rig_setup(void);
void rig_teardown(void);

/* Agents of 4 GiB that are registered, and one of them. */
void agents_ready(int count, uint64_t cpu_milli);
struct fake_agent *ready_agent(uint64_t cpu_milli);
/* What the core knows of the agent of this name; there is one. */
struct agent *node(const char *name);

/* All is stored, sent and read, until there is nothing more. */
void work(void);
/* So much later, agents that are connected are heard; they read nothing. */
void scan(uint64_t later_ms);
/* So much time passes, with a scan and work() at least every SCAN_MS. */
void pass(uint64_t ms);

/* A batch of that role, which runs as far as there is room. */
struct job *submit(
    const char *name, const char *role, uint32_t priority, uint32_t count, uint64_t cpu_milli);

#endif
