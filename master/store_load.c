/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new leader reads the ensemble: what, and in which order, load.h says; here are the requests. A
 * job that cannot be read is left alone, said so, and its name stays refused by the ensemble.
 */
#include <inttypes.h>
#include <stdio.h>

#include "libcommon/codec/taskspec.h"
#include "libcommon/sys/log.h"
#include "master/core/load.h"
#include "master/definition.h"
#include "master/master.h"
#include "master/store.h"

static void go_on(struct master *m);

void
load_cancel(struct master *m)
{
	load_free(m->load);
	m->load = NULL;
}

static void
give_up(struct master *m, const char *what)
{
	log_error("cannot read the ensemble: %s", what);
	load_cancel(m);
	elect_drop(&m->elect, "the store could not be read");
}

static void
acl_read(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (m->load != NULL)
		(void)store_acl_is_right(m, r, load_path(m->load), false);
}

static void
node_read(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (m->load == NULL)
		return;
	if (r->rc == ZK_OK || r->rc == ZK_NONODE)
		load_node(
		    m->load, r->rc == ZK_OK, r->stat.czxid, r->data, r->data == NULL ? 0 : r->size);
	else
		load_fail(m->load, zk_rc_text(r->rc));
	go_on(m);
}

static void
listed(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (m->load == NULL)
		return;
	if (r->rc == ZK_OK)
		load_listed(m->load, r->children, r->child_count);
	else
		load_fail(m->load, zk_rc_text(r->rc));
	go_on(m);
}

/* Read a node and, before that, who may do so. One at a time: the answers come in order. */
static void
get(struct master *m, const char *path)
{
	void *call = store_call(m, acl_read, NULL);

	if (!store_asked(m, call,
		call == NULL ? ZK_NOMEMORY : zk_get_acl(m->zk, path, store_done(), call), "read"))
		return;
	call = store_call(m, node_read, NULL);
	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_get(m->zk, path, NULL, store_done(), call), "read");
}

static void
list(struct master *m, const char *path)
{
	void *call = store_call(m, listed, NULL);

	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_children(m->zk, path, NULL, store_done(), call),
	    "list");
}

static void
go_on(struct master *m)
{
	switch (load_next(m->load)) {
	case LOAD_NODE:
		get(m, load_path(m->load));
		break;
	case LOAD_CHILDREN:
		list(m, load_path(m->load));
		break;
	case LOAD_DONE:
		load_cancel(m);
		master_loaded(m);
		break;
	case LOAD_FAILED:
		give_up(m, load_error(m->load));
		break;
	}
}

static void *
parse(const char *name, const char *text, size_t text_size, uint32_t *count,
    struct job_policy *policy, char *error, size_t size)
{
	struct faults faults;
	struct definition *d;

	faults_init(&faults);
	d = definition_parse(name, name, text, text_size, &faults);
	if (d != NULL)
		*count = definition_policy(d, policy);
	else
		snprintf(error, size, "this master cannot read it: %s", faults_text(&faults));
	faults_fini(&faults);
	return d;
}

static void
left_alone(void *arg, const char *path, const char *why)
{
	(void)arg;
	log_error("%s: %s", path, why);
}

void
load_start(struct master *m)
{
	struct cluster_settings settings = {
	    .lease_ms = m->conf.master.lease_ms,
	    .drift_permille = m->conf.master.clock_drift_permille,
	    .unreachable_after_ms = m->conf.master.unreachable_after_ms,
	    .wall_offset_ms = clock_wall_ms() - (int64_t)clock_boot_ms(),
	    .executor = {.memory_bytes = TASKSPEC_EXECUTOR_MEMORY_BYTES},
	    .agents_max = m->conf.master.agents_max,
	};
	struct cluster_ops ops = {definition_allows, definition_free};
	static const struct load_ops load_ops = {parse, left_alone};

	log_info("elected: term (%" PRIu64 ", 0x%" PRIx64 "), reading the store", m->elect.term.era,
	    (uint64_t)m->elect.term.czxid);
	m->load = load_new(&m->cluster, &load_ops, m);
	m->cluster_made =
	    cluster_init(&m->cluster, &settings, &ops, &m->hash, m->elect.term, clock_boot_ms());
	if (m->load == NULL || !m->cluster_made) {
		m->cluster_made = true;
		give_up(m, "out of memory");
		return;
	}
	go_on(m);
}
