/* SPDX-License-Identifier: Apache-2.0 */
/* A master's way to the ensemble, as master/store.c and store_load.c have it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "tests/sim/cl_check.h"
#include "tests/sim/cl_master.h"

#define JOBS_LOADED_MAX 256
#define SINGLES_LOADED_MAX 4

/* ---- The session. ---- */

static const struct {
	const char *path, *data;
} paths[] = {
    {"/corral", ""},
    {"/corral/era", "1"},
    {CL_ELECTION, ""},
    {"/corral/registry", ""},
    {"/corral/jobs", ""},
};

#define PATH_COUNT (sizeof paths / sizeof *paths)

static void make_paths(struct cl_master *m, size_t from);

static void
write_op(struct cl_master *m, enum cl_op_kind kind, bool ephemeral, const char *path,
    const char *data, cl_zk_then *then, uintptr_t arg)
{
	struct cl_op op = {kind, ephemeral, path, data, strlen(data)};
	struct buf b;

	buf_init(&b, 1 << 16);
	cl_ops_put(&b, &op);
	cl_zk_write(m->zk, &b, then, arg);
	buf_fini(&b);
}

static void
path_made(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;

	if (r->rc == CL_LOSS)
		make_paths(m, arg);
	else if (arg + 1 < PATH_COUNT)
		make_paths(m, arg + 1);
	else
		elect_session(&m->elect, cl_zk_session(m->zk), m->c->conf.session_ms);
	cl_master_turn(m);
}

static void
make_paths(struct cl_master *m, size_t from)
{
	write_op(m, CL_OP_CREATE, false, paths[from].path, paths[from].data, path_made, from);
}

static void
on_state(void *owner, enum cl_zk_state state)
{
	struct cl_master *m = owner;

	if (state == CL_ZK_EXPIRED)
		elect_expired(&m->elect);
	else if (state == CL_ZK_CONNECTED &&
		 (m->elect.state == ELECT_IDLE || m->elect.state == ELECT_DROPPED))
		make_paths(m, 0);
	cl_master_turn(m);
}

static void
on_changed(void *owner)
{
	struct cl_master *m = owner;

	elect_changed(&m->elect);
	cl_master_turn(m);
}

static void
on_pinged(void *owner, uint64_t sent_ms)
{
	struct cl_master *m = owner;

	if (m->c->plant == CL_PLANT_PINGS_PROVE && m->elect.state == ELECT_LEADING &&
	    sent_ms > m->elect.renewed_ms)
		m->elect.renewed_ms = sent_ms;
}

void
cl_master_session_open(struct cl_master *m)
{
	static const struct cl_zk_ops ops = {on_state, on_changed, on_pinged};

	m->zk_at_ms = 0;
	m->zk = cl_zk_new(&m->proc, &ops, m);
}

/* ---- The election. ---- */

static enum elect_result
result_of(int rc)
{
	return rc == CL_OK ? ELECT_OK : rc == CL_LOSS ? ELECT_AGAIN : ELECT_GONE;
}

static uint64_t
now(const struct cl_master *m)
{
	return cl_now(m->proc.machine);
}

static void
listed(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	const char *names[ELECT_CANDIDATES_MAX], *at = (const char *)r->data;
	struct cl_master *m = owner;
	size_t count = 0;

	(void)arg;
	for (; count < r->count && count < ELECT_CANDIDATES_MAX; at += strlen(at) + 1)
		names[count++] = at;
	elect_listed(&m->elect, now(m), result_of(r->rc), names, count);
	cl_master_turn(m);
}

static void
candidate_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;

	(void)arg;
	elect_read(&m->elect, now(m), result_of(r->rc), r->owner);
	cl_master_turn(m);
}

static void
created(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	char path[CL_PATH_BYTES] = "/";

	(void)arg;
	if (r->rc != CL_OK && r->rc != CL_LOSS) {
		elect_drop(&m->elect, "the ensemble refuses the election node");
	} else {
		if (r->rc == CL_OK)
			snprintf(path, sizeof path, "%.*s", (int)r->size, (const char *)r->data);
		elect_created(&m->elect, result_of(r->rc), strrchr(path, '/') + 1);
	}
	cl_master_turn(m);
}

static void
renewed(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;

	(void)arg;
	elect_renewed(&m->elect, now(m), result_of(r->rc), r->czxid);
	cl_master_turn(m);
}

static void
era_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	char text[24] = "";
	uint64_t era = 0;
	bool ok = r->rc == CL_OK && r->size < sizeof text;

	(void)arg;
	if (ok)
		memcpy(text, r->data, r->size);
	ok = ok && str_to_u64(text, 1, INT64_MAX, &era);
	elect_era(&m->elect, now(m), ok ? ELECT_OK : ELECT_GONE, era);
	cl_master_turn(m);
}

void
cl_master_elect_act(struct cl_master *m, const struct elect_out *o)
{
	char path[CL_PATH_BYTES], info[16];

	snprintf(path, sizeof path, CL_ELECTION "/%s", o->name);
	snprintf(info, sizeof info, "%u", m->number);
	switch (o->act) {
	case ELECT_LIST:
		cl_zk_children(m->zk, CL_ELECTION, true, listed, 0);
		break;
	case ELECT_READ:
		cl_zk_get(m->zk, path, candidate_read, 0);
		break;
	case ELECT_CREATE:
		write_op(m, CL_OP_CREATE, true, CL_ELECTION "/" ELECT_PREFIX, info, created, 0);
		break;
	case ELECT_RENEW:
		write_op(m, CL_OP_SET, false, path, info, renewed, 0);
		break;
	default:
		cl_zk_get(m->zk, "/corral/era", era_read, 0);
		break;
	}
}

/* ---- Batches. ---- */

static void
stored(struct cl_master *m, const int64_t *czxids)
{
	cluster_committed(&m->cluster, now(m), czxids);
	cl_check_master(m);
}

static void
czxid_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	int64_t czxids[COMMIT_OPS_MAX] = {0};

	if (!m->leading)
		return;
	if (r->rc != CL_OK) {
		elect_drop(&m->elect, "a batch's fate could not be learnt");
	} else {
		czxids[arg] = r->czxid;
		stored(m, czxids);
	}
	cl_master_turn(m);
}

/* The batch is stored; if it made a job, its incarnation is still to be learnt. */
static void
batch_done(struct cl_master *m)
{
	static const int64_t none[COMMIT_OPS_MAX];

	for (size_t i = 0; i < m->cluster.commit.count; i++)
		if (m->cluster.commit.ops[i].job != NULL) {
			cl_zk_get(m->zk, m->cluster.commit.ops[i].path, czxid_read, i);
			return;
		}
	stored(m, none);
}

static void
answered(void *owner, const struct cl_zk_result *r, uintptr_t again)
{
	struct cl_master *m = owner;

	if (!m->leading)
		return;
	if (r->rc == CL_OK)
		batch_done(m);
	else if (r->rc == CL_LOSS)
		cl_master_write(m, &m->cluster.commit, true);
	else if (again && r->failed_at > 0)
		batch_done(m);
	else
		elect_drop(&m->elect, "the ensemble refused a write of the leader");
	cl_master_turn(m);
}

void
cl_master_write(struct cl_master *m, const struct commit *batch, bool again)
{
	static const enum cl_op_kind kinds[] = {
	    [STORE_CREATE] = CL_OP_CREATE, [STORE_SET] = CL_OP_SET, [STORE_DELETE] = CL_OP_DELETE};
	char fence[CL_PATH_BYTES];
	struct cl_op op = {CL_OP_CHECK, false, fence, NULL, 0};
	struct buf b;

	if (m->zk == NULL || cl_output(&m->proc) == CL_DEAD)
		return;
	snprintf(fence, sizeof fence, CL_ELECTION "/%s", m->elect.own);
	buf_init(&b, CL_MASTER_OPS_BYTES);
	cl_ops_put(&b, &op);
	for (size_t i = 0; i < batch->count; i++) {
		op = (struct cl_op){kinds[batch->ops[i].kind], false, batch->ops[i].path,
		    batch->data.data + batch->ops[i].offset, batch->ops[i].size};
		cl_ops_put(&b, &op);
	}
	cl_zk_write(m->zk, &b, answered, again);
	buf_fini(&b);
}

/* ---- Loading. ---- */

struct cl_loader {
	struct loaded {
		char name[CLUSTER_NAME_MAX + 1];
		int64_t czxid;
		struct buf text, state, results;
		struct {
			uint32_t index;
			struct buf text;
		} singles[SINGLES_LOADED_MAX];
		uint32_t single_count, single;
	} jobs[JOBS_LOADED_MAX];
	size_t count, at;
};

static void job_next(struct cl_master *m);

void
cl_master_load_cancel(struct cl_master *m)
{
	struct cl_loader *l = m->loader;

	for (size_t i = 0; l != NULL && i < l->count; i++) {
		buf_fini(&l->jobs[i].text);
		buf_fini(&l->jobs[i].state);
		buf_fini(&l->jobs[i].results);
		for (uint32_t s = 0; s < l->jobs[i].single_count; s++)
			buf_fini(&l->jobs[i].singles[s].text);
	}
	free(l);
	m->loader = NULL;
}

static void
fail(struct cl_master *m, const char *what, int rc)
{
	cl_trace(m->c, "%s: cannot read %s: %d", m->proc.machine->name, what, rc);
	cl_master_load_cancel(m);
	elect_drop(&m->elect, "the store could not be read");
	cl_master_turn(m);
}

static int
by_czxid(const void *a, const void *b)
{
	const struct loaded *x = a, *y = b;

	return x->czxid < y->czxid ? -1 : x->czxid > y->czxid;
}

static void
give_job(struct cl_master *m, struct loaded *l)
{
	struct cl_def *d = cl_alloc(sizeof *d);
	char error[256] = "its text";
	struct job *j = NULL;

	if (cl_def_decode(d, buf_text(&l->text)))
		j = cluster_load_job(&m->cluster, l->name, l->czxid, d->count, &d->policy, d,
		    (const char *)l->text.data, l->text.len, (const char *)l->state.data,
		    l->state.len, error, sizeof error);
	else
		free(d);
	if (j == NULL || (l->results.len > 0 &&
			     !cluster_load_results(&m->cluster, j, 0, (const char *)l->results.data,
				 l->results.len, error, sizeof error)))
		world_violation(&m->c->world,
		    "L5: job %s is stored so that it cannot be loaded: %s", l->name, error);
	for (uint32_t i = 0; j != NULL && i < l->single_count; i++)
		if (!cluster_load_single(&m->cluster, j, l->singles[i].index,
			(const char *)l->singles[i].text.data, l->singles[i].text.len, error,
			sizeof error))
			world_violation(&m->c->world,
			    "L5: singleton %u of job %s is stored so that it cannot be loaded: %s",
			    l->singles[i].index, l->name, error);
}

static void
finish(struct cl_master *m)
{
	struct cl_loader *l = m->loader;

	qsort(l->jobs, l->count, sizeof l->jobs[0], by_czxid);
	for (size_t i = 0; i < l->count; i++)
		give_job(m, &l->jobs[i]);
	cl_master_load_cancel(m);
	cl_master_loaded(m);
	cl_master_turn(m);
}

static void singles_next(struct cl_master *m);

static void
single_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	struct loaded *j;

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK) {
		fail(m, "where a singleton runs", r->rc);
		return;
	}
	j = &l->jobs[l->at];
	buf_append(&j->singles[j->single++].text, r->data, r->size);
	singles_next(m);
}

static void
singles_next(struct cl_master *m)
{
	struct cl_loader *l = m->loader;
	struct loaded *j = &l->jobs[l->at];
	char path[CL_PATH_BYTES];

	if (j->single == j->single_count) {
		l->at++;
		job_next(m);
		return;
	}
	snprintf(path, sizeof path, "/corral/jobs/%s/singleton-%" PRIu32, j->name,
	    j->singles[j->single].index);
	cl_zk_get(m->zk, path, single_read, 0);
}

static void
job_listed(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	const char *at = (const char *)r->data;
	struct loaded *j;
	uint64_t index;

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK) {
		fail(m, "a job's children", r->rc);
		return;
	}
	j = &l->jobs[l->at];
	for (unsigned i = 0; i < r->count; i++, at += strlen(at) + 1)
		if (str_starts(at, "singleton-") && j->single_count < SINGLES_LOADED_MAX &&
		    str_to_u64(at + strlen("singleton-"), 0, CLUSTER_SINGLETONS_MAX - 1, &index)) {
			j->singles[j->single_count].index = (uint32_t)index;
			buf_init(&j->singles[j->single_count++].text, 1 << 16);
		}
	singles_next(m);
}

static void
results_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	char path[CL_PATH_BYTES];

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK && r->rc != CL_NONODE) {
		fail(m, "results", r->rc);
		return;
	}
	if (r->rc == CL_OK)
		buf_append(&l->jobs[l->at].results, r->data, r->size);
	snprintf(path, sizeof path, "/corral/jobs/%s", l->jobs[l->at].name);
	cl_zk_children(m->zk, path, false, job_listed, 0);
}

static void
state_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	char path[CL_PATH_BYTES];

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK) {
		fail(m, "a job's state", r->rc);
		return;
	}
	buf_append(&l->jobs[l->at].state, r->data, r->size);
	snprintf(path, sizeof path, "/corral/jobs/%s/results-0", l->jobs[l->at].name);
	cl_zk_get(m->zk, path, results_read, 0);
}

static void
job_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	char path[CL_PATH_BYTES];

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK) {
		fail(m, "a job", r->rc);
		return;
	}
	l->jobs[l->at].czxid = r->czxid;
	buf_append(&l->jobs[l->at].text, r->data, r->size);
	snprintf(path, sizeof path, "/corral/jobs/%s/state", l->jobs[l->at].name);
	cl_zk_get(m->zk, path, state_read, 0);
}

static void
job_next(struct cl_master *m)
{
	struct cl_loader *l = m->loader;
	char path[CL_PATH_BYTES];

	if (l->at == l->count) {
		finish(m);
		return;
	}
	snprintf(path, sizeof path, "/corral/jobs/%s", l->jobs[l->at].name);
	cl_zk_get(m->zk, path, job_read, 0);
}

static void
jobs_listed(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	struct cl_loader *l = m->loader;
	const char *at = (const char *)r->data;

	(void)arg;
	if (l == NULL)
		return;
	if (r->rc != CL_OK) {
		fail(m, "the jobs", r->rc);
		return;
	}
	for (unsigned i = 0; i < r->count && l->count < JOBS_LOADED_MAX; i++) {
		struct loaded *j = &l->jobs[l->count++];

		snprintf(j->name, sizeof j->name, "%s", at);
		buf_init(&j->text, 1 << 16);
		buf_init(&j->state, 1 << 16);
		buf_init(&j->results, 1 << 20);
		at += strlen(at) + 1;
	}
	job_next(m);
}

static void
registry_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;
	char error[256];

	(void)arg;
	if (m->loader == NULL)
		return;
	if (r->rc != CL_OK && r->rc != CL_NONODE) {
		fail(m, "the registry", r->rc);
		return;
	}
	if (r->rc == CL_OK && !cluster_load_agents(&m->cluster, 0, (const char *)r->data, r->size,
				  error, sizeof error))
		world_violation(&m->c->world,
		    "L5: the registry is stored so that it cannot be loaded: %s", error);
	cl_zk_children(m->zk, "/corral/jobs", false, jobs_listed, 0);
}

void
cl_master_load(struct cl_master *m)
{
	static const struct cluster_ops ops = {NULL, free};
	static const struct hash_key hash = {5, 6};
	struct cluster_settings settings = {
	    .lease_ms = m->c->conf.lease_ms,
	    .drift_permille = CL_DRIFT_PPM / 1000,
	    .unreachable_after_ms = m->c->conf.unreachable_ms,
	    .executor = {.memory_bytes = UINT64_C(2) << 20},
	};

	m->loader = cl_alloc(sizeof *m->loader);
	m->cluster_made = cluster_init(&m->cluster, &settings, &ops, &hash, m->elect.term, now(m));
	cl_zk_get(m->zk, "/corral/registry/agents-0", registry_read, 0);
}
