/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new leader reads: the registry, then job after job its text, its state, its results and
 * where its singletons run. A
 * job that cannot be read is left alone, said so, and its name stays refused by the ensemble.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "master/definition.h"
#include "master/master.h"
#include "master/store.h"

enum { LOAD_PIECES_MAX = 4096 };

struct loaded_job {
	char name[CLUSTER_NAME_MAX + 1];
	int64_t czxid;
	struct buf text, state;
	struct buf *results; /* by piece, piece_count of them */
	uint32_t piece_count;
	struct loaded_single *singles;
	uint32_t single_count;
};

/* Where an index of singletons runs, or did. */
struct loaded_single {
	uint32_t index;
	struct buf text;
};

struct loader {
	struct loaded_job *jobs;
	size_t job_count, at;
	uint32_t piece;	  /* of the registry, or of the results of the job at hand */
	uint32_t *pieces; /* of results that the job at hand has */
	size_t pieces_count;
	char path[160];	 /* of the node that is being read */
	uint32_t single; /* of the job at hand, that is read next */
	char (*tokens)[TOKEN_ID_SIZE];
	size_t token_count, token_at;
};

static void registry_next(struct master *m);
static void reserved_next(struct master *m);
static void job_next(struct master *m);
static void token_next(struct master *m);
static void results_next(struct master *m);
static void singles_next(struct master *m);

static void
job_fini(struct loaded_job *j)
{
	buf_fini(&j->text);
	buf_fini(&j->state);
	for (uint32_t i = 0; i < j->piece_count; i++)
		buf_fini(&j->results[i]);
	free(j->results);
	for (uint32_t i = 0; i < j->single_count; i++)
		buf_fini(&j->singles[i].text);
	free(j->singles);
}

void
load_cancel(struct master *m)
{
	struct loader *l = m->loader;

	if (l == NULL)
		return;
	for (size_t i = 0; i < l->job_count; i++)
		job_fini(&l->jobs[i]);
	free(l->jobs);
	free(l->pieces);
	free(l->tokens);
	free(l);
	m->loader = NULL;
}

static void
fail(struct master *m, const char *what, const char *why)
{
	log_error("cannot read %s from the ensemble: %s", what, why);
	load_cancel(m);
	elect_drop(&m->elect, "the store could not be read");
}

static void
acl_read(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (m->loader != NULL)
		(void)store_acl_is_right(m, r, m->loader->path, false);
}

/* Read a node and, before that, who may do so. One at a time: the answers come in order. */
static void
get(struct master *m, const char *path, store_then *then)
{
	void *call = store_call(m, acl_read, NULL);

	snprintf(m->loader->path, sizeof m->loader->path, "%s", path);
	if (!store_asked(m, call,
		call == NULL ? ZK_NOMEMORY : zk_get_acl(m->zk, path, store_done(), call), "read"))
		return;
	call = store_call(m, then, NULL);
	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_get(m->zk, path, NULL, store_done(), call), "read");
}

static void
children(struct master *m, const char *path, store_then *then)
{
	void *call = store_call(m, then, NULL);

	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_children(m->zk, path, NULL, store_done(), call),
	    "list");
}

/* Copy an answer's data; false with everything given up if it is an error. */
static bool
take(struct master *m, const struct zk_result *r, const char *what, struct buf *to)
{
	if (r->rc != ZK_OK) {
		fail(m, what, zk_rc_text(r->rc));
		return false;
	}
	buf_init(to, ZK_FRAME_BYTES_MAX + 1);
	if (r->data != NULL)
		buf_append(to, r->data, r->size);
	buf_append(to, "", 1);
	if (to->failed) {
		fail(m, what, "out of memory");
		return false;
	}
	buf_truncate(to, to->len - 1); /* a NUL follows all the same */
	return true;
}

/* --- at the end: all of it into the core --- */

static int
by_czxid(const void *a, const void *b)
{
	const struct loaded_job *x = a, *y = b;

	return x->czxid < y->czxid ? -1 : x->czxid > y->czxid;
}

static void
give_results(struct master *m, struct job *j, struct loaded_job *l)
{
	char error[256];

	for (uint32_t i = 0; i < l->piece_count; i++)
		if (l->results[i].data != NULL &&
		    !cluster_load_results(&m->cluster, j, i, (const char *)l->results[i].data,
			l->results[i].len, error, sizeof error))
			log_error("/corral/jobs/%s/results-%u: %s; its indexes from there on are "
				  "run again",
			    l->name, i, error);
}

static void
give_singles(struct master *m, struct job *j, struct loaded_job *l)
{
	char error[256];

	for (uint32_t i = 0; i < l->single_count; i++) {
		const struct loaded_single *s = &l->singles[i];

		if (!cluster_load_single(&m->cluster, j, s->index, (const char *)s->text.data,
			s->text.len, error, sizeof error))
			log_error("/corral/jobs/%s/singleton-%u: %s; it is not run again: see "
				  "corral-recovery(7)",
			    l->name, s->index, error);
	}
}

static void
give_job(struct master *m, struct loaded_job *l)
{
	struct faults faults;
	struct job_policy policy;
	struct definition *d;
	struct job *j = NULL;
	char error[256];
	uint32_t count;

	faults_init(&faults);
	d = definition_parse(l->name, l->name, (const char *)l->text.data, l->text.len, &faults);
	if (d == NULL) {
		log_error(
		    "/corral/jobs/%s is not a job that this master can read, and is left alone: %s",
		    l->name, faults_text(&faults));
	} else {
		count = definition_policy(d, &policy);
		j = cluster_load_job(&m->cluster, l->name, l->czxid, count, &policy, d,
		    (const char *)l->text.data, l->text.len, (const char *)l->state.data,
		    l->state.len, error, sizeof error);
		if (j == NULL)
			log_error("/corral/jobs/%s: %s; it is left alone", l->name, error);
	}
	if (j != NULL) {
		give_results(m, j, l);
		give_singles(m, j, l);
	}
	faults_fini(&faults);
}

static void
finish(struct master *m)
{
	struct loader *l = m->loader;

	if (l->job_count > 0)
		qsort(l->jobs, l->job_count, sizeof *l->jobs, by_czxid);
	for (size_t i = 0; i < l->job_count; i++)
		give_job(m, &l->jobs[i]);
	load_cancel(m);
	master_loaded(m);
}

/* --- singletons of the job at hand --- */

static void
single_read(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;
	struct loaded_job *j = &l->jobs[l->at];

	(void)arg;
	if (!take(m, r, "where a singleton runs", &j->singles[l->single].text))
		return;
	l->single++;
	singles_next(m);
}

static void
singles_next(struct master *m)
{
	struct loader *l = m->loader;
	struct loaded_job *j = &l->jobs[l->at];
	char path[160];

	if (l->single == j->single_count) {
		l->at++;
		job_next(m);
		return;
	}
	snprintf(path, sizeof path, "/corral/jobs/%s/singleton-%" PRIu32, j->name,
	    j->singles[l->single].index);
	get(m, path, single_read);
}

static bool
note_single(struct loaded_job *j, const char *name)
{
	struct loaded_single *singles;
	uint64_t index;

	if (!str_starts(name, "singleton-") ||
	    !str_to_u64(name + strlen("singleton-"), 0, CLUSTER_SINGLETONS_MAX - 1, &index))
		return true;
	singles = realloc(j->singles, (j->single_count + 1) * sizeof *singles);
	if (singles == NULL)
		return false;
	j->singles = singles;
	singles[j->single_count] = (struct loaded_single){.index = (uint32_t)index};
	buf_init(&singles[j->single_count++].text, ZK_FRAME_BYTES_MAX + 1);
	return true;
}

/* --- results of the job at hand --- */

static void
results_read(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;
	struct loaded_job *j = &l->jobs[l->at];

	(void)arg;
	if (!take(m, r, "a job's results", &j->results[l->pieces[l->piece]]))
		return;
	l->piece++;
	results_next(m);
}

static void
results_next(struct master *m)
{
	struct loader *l = m->loader;
	char path[160];

	if (l->piece == l->pieces_count) {
		l->single = 0;
		singles_next(m);
		return;
	}
	snprintf(path, sizeof path, "/corral/jobs/%s/results-%" PRIu32, l->jobs[l->at].name,
	    l->pieces[l->piece]);
	get(m, path, results_read);
}

static bool
note_piece(struct loader *l, struct loaded_job *j, const char *name)
{
	uint64_t piece;
	struct buf *results;

	if (!str_starts(name, "results-") ||
	    !str_to_u64(name + strlen("results-"), 0, LOAD_PIECES_MAX - 1, &piece))
		return true;
	if (piece >= j->piece_count) {
		results = realloc(j->results, (piece + 1) * sizeof *results);
		if (results == NULL)
			return false;
		memset(results + j->piece_count, 0, (piece + 1 - j->piece_count) * sizeof *results);
		j->results = results;
		j->piece_count = (uint32_t)piece + 1;
	}
	l->pieces[l->pieces_count++] = (uint32_t)piece;
	return true;
}

static void
job_listed(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;

	(void)arg;
	if (r->rc != ZK_OK) {
		fail(m, "a job's results", zk_rc_text(r->rc));
		return;
	}
	free(l->pieces);
	l->pieces = malloc((r->child_count + 1) * sizeof *l->pieces);
	l->pieces_count = l->piece = 0;
	for (size_t i = 0; l->pieces != NULL && i < r->child_count; i++)
		if (!note_piece(l, &l->jobs[l->at], r->children[i]) ||
		    !note_single(&l->jobs[l->at], r->children[i])) {
			free(l->pieces);
			l->pieces = NULL;
		}
	if (l->pieces == NULL)
		fail(m, "a job's results", "out of memory");
	else
		results_next(m);
}

/* --- jobs --- */

static void
job_state_read(struct master *m, const struct zk_result *r, void *arg)
{
	struct loaded_job *j = m->loader == NULL ? NULL : &m->loader->jobs[m->loader->at];
	char path[160];

	(void)arg;
	if (j == NULL || !take(m, r, "a job's state", &j->state))
		return;
	snprintf(path, sizeof path, "/corral/jobs/%s", j->name);
	children(m, path, job_listed);
}

static void
job_read(struct master *m, const struct zk_result *r, void *arg)
{
	struct loaded_job *j = &m->loader->jobs[m->loader->at];
	char path[160];

	(void)arg;
	j->czxid = r->stat.czxid;
	if (!take(m, r, "a job", &j->text))
		return;
	snprintf(path, sizeof path, "/corral/jobs/%s/state", j->name);
	get(m, path, job_state_read);
}

static void
job_next(struct master *m)
{
	struct loader *l = m->loader;
	char path[160];

	if (l->at == l->job_count) {
		finish(m);
		return;
	}
	snprintf(path, sizeof path, "/corral/jobs/%s", l->jobs[l->at].name);
	get(m, path, job_read);
}

static void
jobs_listed(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;

	(void)arg;
	if (r->rc != ZK_OK) {
		fail(m, "the jobs", zk_rc_text(r->rc));
		return;
	}
	l->jobs = calloc(r->child_count + 1, sizeof *l->jobs);
	if (l->jobs == NULL) {
		fail(m, "the jobs", "out of memory");
		return;
	}
	for (size_t i = 0; i < r->child_count; i++) {
		if (!jobfile_name_ok(r->children[i]))
			log_error("/corral/jobs/%s has no name of a job, and is left alone",
			    r->children[i]);
		else if (str_copy(
			     l->jobs[l->job_count].name, sizeof l->jobs[0].name, r->children[i]))
			l->job_count++;
	}
	job_next(m);
}

/* --- join tokens --- */

static void
token_read(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;
	const char *id = l->tokens[l->token_at];

	(void)arg;
	if (r->rc != ZK_OK) {
		fail(m, "a token", zk_rc_text(r->rc));
		return;
	}
	if (!tokens_load(
		&m->cluster.tokens, id, r->data == NULL ? "" : (const char *)r->data, r->size))
		log_error("/corral/tokens/%s is no token that can be read: nobody can use it", id);
	l->token_at++;
	token_next(m);
}

static void
token_next(struct master *m)
{
	struct loader *l = m->loader;
	char path[64];

	if (l->token_at == l->token_count) {
		children(m, "/corral/jobs", jobs_listed);
		return;
	}
	snprintf(path, sizeof path, "/corral/tokens/%s", l->tokens[l->token_at]);
	get(m, path, token_read);
}

static void
tokens_listed(struct master *m, const struct zk_result *r, void *arg)
{
	struct loader *l = m->loader;

	(void)arg;
	if (r->rc != ZK_OK) {
		fail(m, "the tokens", zk_rc_text(r->rc));
		return;
	}
	l->tokens = calloc(r->child_count + 1, sizeof *l->tokens);
	if (l->tokens == NULL) {
		fail(m, "the tokens", "out of memory");
		return;
	}
	for (size_t i = 0; i < r->child_count; i++)
		if (str_copy(l->tokens[l->token_count], sizeof l->tokens[0], r->children[i]))
			l->token_count++;
	token_next(m);
}

/* --- quotas and weights, before all else: nothing is placed without them --- */

static void
weights_read(struct master *m, const struct zk_result *r, void *arg)
{
	char error[256] = "";

	(void)arg;
	if (r->rc != ZK_OK)
		fail(m, "/corral/roles", zk_rc_text(r->rc));
	else if (!cluster_load_weights(&m->cluster, r->data == NULL ? "" : (const char *)r->data,
		     r->size, error, sizeof error))
		fail(m, "/corral/roles", error);
	else
		registry_next(m);
}

static void
quota_read(struct master *m, const struct zk_result *r, void *arg)
{
	char error[256] = "";

	(void)arg;
	if (r->rc != ZK_OK)
		fail(m, "/corral/quota", zk_rc_text(r->rc));
	else if (!cluster_load_quota(&m->cluster, r->data == NULL ? "" : (const char *)r->data,
		     r->size, error, sizeof error))
		fail(m, "/corral/quota", error);
	else
		get(m, "/corral/roles", weights_read);
}

/* --- the registry --- */

static void
reserved_read(struct master *m, const struct zk_result *r, void *arg)
{
	char error[256] = "";

	(void)arg;
	if (r->rc != ZK_OK && r->rc != ZK_NONODE) {
		fail(m, "the reservations", zk_rc_text(r->rc));
		return;
	}
	if (r->rc == ZK_OK &&
	    !cluster_load_reserved(&m->cluster, m->loader->piece,
		r->data == NULL ? "" : (const char *)r->data, r->size, error, sizeof error)) {
		fail(m, "the reservations", error);
		return;
	}
	m->loader->piece++;
	reserved_next(m);
}

static void
reserved_next(struct master *m)
{
	char path[64];

	if (m->loader->piece > m->cluster.agent_count / RESERVED_PIECE) {
		children(m, "/corral/tokens", tokens_listed);
		return;
	}
	snprintf(path, sizeof path, "/corral/roles/reserved-%" PRIu32, m->loader->piece);
	get(m, path, reserved_read);
}

static void
registry_read(struct master *m, const struct zk_result *r, void *arg)
{
	char error[256];

	(void)arg;
	if (r->rc == ZK_NONODE) { /* the piece behind the last one */
		m->loader->piece = 0;
		reserved_next(m);
		return;
	}
	if (r->rc != ZK_OK) {
		fail(m, "the registry", zk_rc_text(r->rc));
		return;
	}
	if (!cluster_load_agents(&m->cluster, m->loader->piece,
		r->data == NULL ? "" : (const char *)r->data, r->size, error, sizeof error)) {
		fail(m, "the registry", error);
		return;
	}
	m->loader->piece++;
	registry_next(m);
}

static void
registry_next(struct master *m)
{
	char path[64];

	snprintf(path, sizeof path, "/corral/registry/agents-%" PRIu32, m->loader->piece);
	get(m, path, registry_read);
}

void
load_start(struct master *m)
{
	struct cluster_settings settings = {
	    .lease_ms = m->conf.master.lease_ms,
	    .drift_permille = m->conf.master.clock_drift_permille,
	    .unreachable_after_ms = m->conf.master.unreachable_after_ms,
	    .wall_offset_ms = clock_wall_ms() - (int64_t)clock_boot_ms(),
	    .executor = {.memory_bytes = UINT64_C(2) << 20},
	};
	struct cluster_ops ops = {definition_allows, definition_free};

	log_info("elected: term (%" PRIu64 ", 0x%" PRIx64 "), reading the store", m->elect.term.era,
	    (uint64_t)m->elect.term.czxid);
	m->loader = calloc(1, sizeof *m->loader);
	m->cluster_made =
	    cluster_init(&m->cluster, &settings, &ops, &m->hash, m->elect.term, clock_boot_ms());
	if (m->loader == NULL || !m->cluster_made) {
		m->cluster_made = true;
		fail(m, "the store", "out of memory");
		return;
	}
	get(m, "/corral/quota", quota_read);
}
