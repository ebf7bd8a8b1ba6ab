/* SPDX-License-Identifier: Apache-2.0 */
/* A master's way to the ensemble, as master/store.c and store_load.c have it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "master/core/load.h"
#include "tests/sim/cl_check.h"
#include "tests/sim/cl_master.h"

#define CHILDREN_MAX 512

/* ---- The session. ---- */

static const struct {
	const char *path, *data;
} paths[] = {
    {"/corral", ""},
    {"/corral/era", "1"},
    {CL_ELECTION, ""},
    {"/corral/registry", ""},
    {"/corral/jobs", ""},
    {"/corral/tokens", ""},
    {"/corral/quota", ""},
    {"/corral/roles", ""},
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

/* A server lists children as its table has them. */
static void
shuffle(struct rng *r, const char **names, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		size_t k = rng_below(r, i + 1);
		const char *name = names[i];

		names[i] = names[k];
		names[k] = name;
	}
}

static void
listed(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	const char *names[CHILDREN_MAX], *at = (const char *)r->data;
	struct cl_master *m = owner;
	size_t count = 0;

	(void)arg;
	for (; count < r->count && count < CHILDREN_MAX; at += strlen(at) + 1)
		names[count++] = at;
	shuffle(&m->c->rng_set, names, count);
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

/* After a lost answer, and a list that did not show the first one. */
static void
note_second(const struct cl_master *m)
{
	char path[CL_PATH_BYTES];
	unsigned count = 0, all;
	const char *name;
	struct buf names;
	uint64_t at;
	const struct cl_tree *t = cl_ens_tree(m->c, &at);

	buf_init(&names, 1 << 20);
	all = cl_tree_children(t, CL_ELECTION, at, &names);
	name = (const char *)names.data;
	for (unsigned i = 0; i < all; i++, name += strlen(name) + 1) {
		snprintf(path, sizeof path, CL_ELECTION "/%.100s", name);
		count += cl_tree_get(t, path, at)->owner == m->elect.session_id;
	}
	buf_fini(&names);
	if (count > 1)
		MARK("elect: a second node of one session");
}

static void
created(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;

	(void)arg;
	note_second(m);
	elect_created(&m->elect, result_of(r->rc));
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
	(void)arg;
	(void)elect_era(&m->elect, now(m), r->rc == CL_OK ? r->data : NULL, r->size);
	cl_master_turn(m);
}

static void
on_answer_lost(void *arg, uint64_t token)
{
	struct cl_master *m = arg;

	if (!m->c->calm)
		cl_reset_between(m->c, m->proc.machine->number, cl_server_machine((unsigned)token));
}

/* The connection breaks over a request, and the servers that can be asked then are behind. */
static void
lose_answer(struct cl_master *m)
{
	struct cl *c = m->c;
	int server = cl_ens_server_of(c, cl_zk_session(m->zk));

	if (!c->conf.stale || c->calm || server < 0 || rng_below(&c->rng_set, 2) == 0)
		return;
	for (unsigned i = 0; i < c->conf.servers; i++)
		if (i != (unsigned)server)
			cl_ens_fall_behind(c, i, 200 + rng_below(&c->rng_set, 3000));
	world_at(&c->world, 1 + rng_below(&c->rng_set, 5 * c->conf.delay_ms), on_answer_lost, m,
	    (uint64_t)server);
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
		write_op(m, CL_OP_CREATE, true, CL_ELECTION "/" CL_CANDIDATE, info, created, 0);
		lose_answer(m);
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

static enum commit_answer
answer_of(int rc)
{
	return rc == CL_OK				? COMMIT_ANSWER_OK
	       : rc == CL_LOSS				? COMMIT_ANSWER_UNKNOWN
	       : rc == CL_NODEEXISTS || rc == CL_NONODE ? COMMIT_ANSWER_NODES
							: COMMIT_ANSWER_NO;
}

static void
answered(void *owner, const struct cl_zk_result *r, uintptr_t again)
{
	static const int64_t none[COMMIT_OPS_MAX];
	struct cl_master *m = owner;
	size_t made = 0;

	if (!m->leading)
		return;
	switch (
	    cluster_commit_answered(&m->cluster, answer_of(r->rc), again, r->failed_at, &made)) {
	case COMMIT_STORED:
		stored(m, none);
		break;
	case COMMIT_LEARN: /* the incarnation of the job that it made */
		cl_zk_get(m->zk, m->cluster.commit.ops[made].path, czxid_read, made);
		break;
	case COMMIT_AGAIN:
		cl_master_write(m, &m->cluster.commit, true);
		break;
	case COMMIT_SHORTEN: /* (nobody makes nodes below a job's) */
	case COMMIT_GIVE_UP:
		elect_drop(&m->elect, "the ensemble refused a write of the leader");
		break;
	}
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

static void load_on(struct cl_master *m);

void
cl_master_load_cancel(struct cl_master *m)
{
	load_free(m->load);
	m->load = NULL;
}

static void
load_refused(struct cl_master *m, int rc)
{
	cl_trace(m->c, "%s: cannot read %s: %d", m->proc.machine->name, load_path(m->load), rc);
	cl_master_load_cancel(m);
	elect_drop(&m->elect, "the store could not be read");
	cl_master_turn(m);
}

static void
node_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_master *m = owner;

	(void)arg;
	if (m->load == NULL)
		return;
	if (r->rc != CL_OK && r->rc != CL_NONODE) {
		load_refused(m, r->rc);
		return;
	}
	load_node(m->load, r->rc == CL_OK, r->czxid, r->data, r->size);
	load_on(m);
}

static void
children_read(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	const char *names[CHILDREN_MAX], *at = (const char *)r->data;
	struct cl_master *m = owner;
	size_t count = 0;

	(void)arg;
	if (m->load == NULL)
		return;
	if (r->rc != CL_OK) {
		load_refused(m, r->rc);
		return;
	}
	for (; count < r->count && count < CHILDREN_MAX; at += strlen(at) + 1)
		names[count++] = at;
	load_listed(m->load, names, count);
	load_on(m);
}

static struct cl_master *loader; /* that a job is parsed for */

static void
load_on(struct cl_master *m)
{
	loader = m;
	switch (load_next(m->load)) {
	case LOAD_NODE:
		cl_zk_get(m->zk, load_path(m->load), node_read, 0);
		return;
	case LOAD_CHILDREN:
		cl_zk_children(m->zk, load_path(m->load), false, children_read, 0);
		return;
	case LOAD_DONE:
		cl_master_load_cancel(m);
		cl_master_loaded(m);
		break;
	case LOAD_FAILED:
		world_violation(
		    &m->c->world, "L5: the next master cannot load %s", load_error(m->load));
		return;
	}
	cl_master_turn(m);
}

static void *
parse(const char *name, const char *text, size_t text_size, uint32_t *count,
    struct job_policy *policy, char *error, size_t size)
{
	struct cl_def *d = cl_alloc(sizeof *d);

	(void)name;
	(void)text_size;
	if (!cl_def_decode(d, text) || d->release > loader->release) {
		snprintf(error, size, "its text is none");
		free(d);
		return NULL;
	}
	*count = d->count;
	*policy = d->policy;
	return d;
}

static void
left_alone(void *arg, const char *path, const char *why)
{
	struct cl_master *m = arg;

	cl_trace(m->c, "%s: %s: %s", m->proc.machine->name, path, why);
	if (!cl_check_is_unread(m, path))
		world_violation(
		    &m->c->world, "L5: %s is stored so that it cannot be loaded: %s", path, why);
}

void
cl_master_load(struct cl_master *m)
{
	static const struct cluster_ops ops = {NULL, free};
	static const struct load_ops load_ops = {parse, left_alone};
	static const struct hash_key hash = {5, 6};
	struct cluster_settings settings = {
	    .lease_ms = m->lease_ms,
	    .drift_permille = CL_DRIFT_PPM / 1000,
	    .unreachable_after_ms = m->c->conf.unreachable_ms,
	    .wall_offset_ms = cl_wall_ms(m->proc.machine) - (int64_t)now(m),
	    .executor = {.memory_bytes = UINT64_C(2) << 20},
	};

	m->load = load_new(&m->cluster, &load_ops, m);
	m->cluster_made = cluster_init(&m->cluster, &settings, &ops, &hash, m->elect.term, now(m));
	if (m->load == NULL || !m->cluster_made)
		exit(71);
	load_on(m);
}
