/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/job_name.h"
#include "libcommon/base/str.h"

enum { LOAD_PIECES_MAX = 4096, LOAD_TEXT_MAX = 1 << 20 };

/* In the order in which they are read; from JOB on, once for each job. */
enum part {
	QUOTA,
	WEIGHTS,
	REGISTRY,
	RESERVED,
	TOKENS,
	TOKEN,
	JOBS,
	JOB,
	JOB_STATE,
	JOB_PARTS,
	RESULTS,
	SINGLES,
	ALL,
	FAILED
};

/* A piece of a job's results, or where an index of its singletons runs. */
struct numbered {
	uint32_t number;
	struct buf text;
};

struct numbered_list {
	struct numbered *items;
	uint32_t count;
};

struct loaded_job {
	char name[CLUSTER_NAME_MAX + 1];
	int64_t czxid;
	struct buf text, state;
	struct numbered_list results, singles;
	bool kept; /* has a child that is no master's */
};

struct load {
	struct cluster *c;
	const struct load_ops *ops;
	void *arg;
	enum part part;
	uint32_t at; /* of registry, reservations, tokens, results or singletons: what is next */
	char (*tokens)[TOKEN_ID_SIZE];
	uint32_t token_count;
	struct loaded_job *jobs;
	size_t job_count, job;
	char path[LOAD_PATH_MAX];
	char error[512];
};

struct load *
load_new(struct cluster *c, const struct load_ops *ops, void *arg)
{
	struct load *l = calloc(1, sizeof *l);

	if (l != NULL) {
		l->c = c;
		l->ops = ops;
		l->arg = arg;
	}
	return l;
}

static void
numbered_fini(struct numbered_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		buf_fini(&list->items[i].text);
	free(list->items);
}

void
load_free(struct load *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->job_count; i++) {
		buf_fini(&l->jobs[i].text);
		buf_fini(&l->jobs[i].state);
		numbered_fini(&l->jobs[i].results);
		numbered_fini(&l->jobs[i].singles);
	}
	free(l->jobs);
	free(l->tokens);
	free(l);
}

const char *
load_path(const struct load *l)
{
	return l->path;
}

const char *
load_error(const struct load *l)
{
	return l->error;
}

void
load_fail(struct load *l, const char *why)
{
	snprintf(l->error, sizeof l->error, "%s: %s", l->path, why);
	l->part = FAILED;
}

static void
enter(struct load *l, enum part part)
{
	l->part = part;
	l->at = 0;
}

/* --- at the end: the jobs into the cluster --- */

static void
left_alone(struct load *l, const char *why, const char *so)
{
	char text[400];

	snprintf(text, sizeof text, "%s; %s", why, so);
	l->ops->left_alone(l->arg, l->path, text);
}

static void
give_parts(struct load *l, struct job *j, const struct loaded_job *from)
{
	char error[256];

	for (uint32_t i = 0; i < from->results.count; i++) {
		const struct numbered *n = &from->results.items[i];

		snprintf(l->path, sizeof l->path, "/corral/jobs/%s/results-%" PRIu32, from->name,
		    n->number);
		if (!cluster_load_results(l->c, j, n->number, (const char *)n->text.data,
			n->text.len, error, sizeof error))
			left_alone(l, error, "its indexes from there on are run again");
	}
	for (uint32_t i = 0; i < from->singles.count; i++) {
		const struct numbered *n = &from->singles.items[i];

		snprintf(l->path, sizeof l->path, "/corral/jobs/%s/singleton-%" PRIu32, from->name,
		    n->number);
		if (!cluster_load_single(l->c, j, n->number, (const char *)n->text.data,
			n->text.len, error, sizeof error))
			left_alone(l, error, "it is not run again: see corral-recovery(7)");
	}
}

static void
give_job(struct load *l, const struct loaded_job *from)
{
	struct job_policy policy;
	char error[256] = "";
	struct job *j = NULL;
	uint32_t count = 0;
	void *definition;

	snprintf(l->path, sizeof l->path, "/corral/jobs/%s", from->name);
	definition = l->ops->parse(from->name, (const char *)from->text.data, from->text.len,
	    &count, &policy, error, sizeof error);
	if (definition != NULL)
		j = cluster_load_job(l->c, from->name, from->czxid, count, &policy, definition,
		    (const char *)from->text.data, from->text.len, (const char *)from->state.data,
		    from->state.len, error, sizeof error);
	if (j != NULL) {
		j->kept = from->kept;
		give_parts(l, j, from);
		return;
	}
	left_alone(l, error, "it is left alone");
	cluster_load_unread(l->c, from->name);
}

static int
by_czxid(const void *a, const void *b)
{
	const struct loaded_job *x = a, *y = b;

	return x->czxid < y->czxid ? -1 : x->czxid > y->czxid;
}

static void
give_jobs(struct load *l)
{
	if (l->job_count > 0)
		qsort(l->jobs, l->job_count, sizeof *l->jobs, by_czxid);
	for (size_t i = 0; i < l->job_count; i++)
		give_job(l, &l->jobs[i]);
}

/* --- what is next --- */

static bool
part_is_over(const struct load *l)
{
	switch (l->part) {
	case RESERVED:
		return l->at > l->c->agent_count / RESERVED_PIECE;
	case TOKEN:
		return l->at == l->token_count;
	case JOB:
		return l->job == l->job_count;
	case RESULTS:
		return l->at == l->jobs[l->job].results.count;
	case SINGLES:
		return l->at == l->jobs[l->job].singles.count;
	default:
		return false;
	}
}

static void
part_end(struct load *l)
{
	if (l->part == JOB) {
		give_jobs(l);
		enter(l, ALL);
	} else if (l->part == SINGLES) {
		l->job++;
		enter(l, JOB);
	} else {
		enter(l, l->part + 1);
	}
}

static void
put_path(struct load *l)
{
	static const char *const fixed[] = {[QUOTA] = "/corral/quota",
	    [WEIGHTS] = "/corral/roles",
	    [TOKENS] = "/corral/tokens",
	    [JOBS] = "/corral/jobs"};
	const char *job = l->part >= JOB ? l->jobs[l->job].name : "";
	char *path = l->path;

	switch (l->part) {
	case REGISTRY:
		snprintf(path, sizeof l->path, "/corral/registry/agents-%" PRIu32, l->at);
		break;
	case RESERVED:
		snprintf(path, sizeof l->path, "/corral/roles/reserved-%" PRIu32, l->at);
		break;
	case TOKEN:
		snprintf(path, sizeof l->path, "/corral/tokens/%s", l->tokens[l->at]);
		break;
	case JOB:
	case JOB_PARTS:
		snprintf(path, sizeof l->path, "/corral/jobs/%s", job);
		break;
	case JOB_STATE:
		snprintf(path, sizeof l->path, "/corral/jobs/%s/state", job);
		break;
	case RESULTS:
		snprintf(path, sizeof l->path, "/corral/jobs/%s/results-%" PRIu32, job,
		    l->jobs[l->job].results.items[l->at].number);
		break;
	case SINGLES:
		snprintf(path, sizeof l->path, "/corral/jobs/%s/singleton-%" PRIu32, job,
		    l->jobs[l->job].singles.items[l->at].number);
		break;
	default:
		snprintf(path, sizeof l->path, "%s", fixed[l->part]);
		break;
	}
}

enum load_step
load_next(struct load *l)
{
	while (part_is_over(l))
		part_end(l);
	if (l->part == FAILED)
		return LOAD_FAILED;
	if (l->part == ALL)
		return LOAD_DONE;
	put_path(l);
	return l->part == TOKENS || l->part == JOBS || l->part == JOB_PARTS ? LOAD_CHILDREN
									    : LOAD_NODE;
}

/* --- what was there --- */

/* Keep it, with a NUL behind. */
static bool
keep(struct load *l, struct buf *to, const void *data, size_t size)
{
	buf_init(to, LOAD_TEXT_MAX + 1);
	if (size > 0)
		buf_append(to, data, size);
	buf_append(to, "", 1);
	if (to->failed) {
		load_fail(l, "out of memory");
		return false;
	}
	buf_truncate(to, to->len - 1);
	return true;
}

static void
take_job(struct load *l, int64_t czxid, const void *data, size_t size)
{
	struct loaded_job *j = &l->jobs[l->job];
	enum part next = l->part + 1;
	bool kept = false;

	if (l->part == JOB) {
		j->czxid = czxid;
		kept = keep(l, &j->text, data, size);
	} else if (l->part == JOB_STATE) {
		kept = keep(l, &j->state, data, size);
	} else if (l->part == RESULTS) {
		if (keep(l, &j->results.items[l->at].text, data, size))
			l->at++;
	} else if (keep(l, &j->singles.items[l->at].text, data, size)) {
		l->at++;
	}
	if (kept)
		enter(l, next);
}

static void
take_token(struct load *l, const char *text, size_t size)
{
	if (!tokens_load(&l->c->tokens, l->tokens[l->at], text, size))
		l->ops->left_alone(
		    l->arg, l->path, "is no token that can be read: nobody can use it");
	l->at++;
}

/*
 * The piece behind the last one of the registry; of reservations, there may be none. A job without
 * a state is none of a master's: it cannot be read, and is left alone.
 */
static void
take_nothing(struct load *l)
{
	if (l->part == REGISTRY)
		enter(l, RESERVED);
	else if (l->part == RESERVED)
		l->at++;
	else if (l->part == JOB_STATE)
		take_job(l, 0, "", 0);
	else
		load_fail(l, "it is not there");
}

void
load_node(struct load *l, bool found, int64_t czxid, const void *data, size_t size)
{
	const char *text = size == 0 ? "" : data;
	char error[256] = "";
	bool ok = true;

	if (!found) {
		take_nothing(l);
		return;
	}
	switch (l->part) {
	case QUOTA:
		ok = cluster_load_quota(l->c, text, size, error, sizeof error);
		break;
	case WEIGHTS:
		ok = cluster_load_weights(l->c, text, size, error, sizeof error);
		break;
	case REGISTRY:
		ok = cluster_load_agents(l->c, l->at++, text, size, error, sizeof error);
		break;
	case RESERVED:
		ok = cluster_load_reserved(l->c, l->at++, text, size, error, sizeof error);
		break;
	case TOKEN:
		take_token(l, text, size);
		break;
	default:
		take_job(l, czxid, data, size);
		break;
	}
	if (!ok)
		load_fail(l, error);
	else if (l->part <= WEIGHTS)
		enter(l, l->part + 1);
}

static bool
take_tokens(struct load *l, const char *const *names, size_t count)
{
	if ((l->tokens = calloc(count + 1, sizeof *l->tokens)) == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (str_copy(l->tokens[l->token_count], sizeof l->tokens[0], names[i]))
			l->token_count++;
	return true;
}

static bool
take_jobs(struct load *l, const char *const *names, size_t count)
{
	if ((l->jobs = calloc(count + 1, sizeof *l->jobs)) == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct loaded_job *j = &l->jobs[l->job_count];

		if (job_name_ok(names[i]) && str_copy(j->name, sizeof j->name, names[i])) {
			l->job_count++;
			continue;
		}
		snprintf(l->path, sizeof l->path, "/corral/jobs/%s", names[i]);
		l->ops->left_alone(l->arg, l->path, "that is no name of a job; it is left alone");
	}
	return true;
}

/* The list that the name of a part belongs into, and what number it has; NULL: it is no part. */
static struct numbered_list *
list_of(struct loaded_job *j, const char *name, uint32_t *number)
{
	static const struct {
		const char *prefix;
		uint32_t most;
	} kinds[] = {{"results-", LOAD_PIECES_MAX - 1}, {"singleton-", CLUSTER_SINGLETONS_MAX - 1}};

	for (size_t i = 0; i < 2; i++) {
		const char *digits = name + strlen(kinds[i].prefix);
		uint64_t n;

		/* (With a nought in front it is none that a master has made.) */
		if (!str_starts(name, kinds[i].prefix) || (digits[0] == '0' && digits[1] != '\0') ||
		    !str_to_u64(digits, 0, kinds[i].most, &n))
			continue;
		*number = (uint32_t)n;
		return i == 0 ? &j->results : &j->singles;
	}
	return NULL;
}

/* Said once for each job. */
static void
take_stranger(struct load *l, struct loaded_job *j, const char *name)
{
	char text[400];

	if (j->kept)
		return;
	j->kept = true;
	snprintf(text, sizeof text,
	    "its child %.120s was not made by a master, so that the job cannot be removed when it "
	    "has ended: remove that znode; the next leader knows that it is gone",
	    name);
	l->ops->left_alone(l->arg, l->path, text);
}

static bool
take_parts(struct load *l, const char *const *names, size_t count)
{
	struct loaded_job *j = &l->jobs[l->job];

	for (size_t i = 0; i < count; i++) {
		uint32_t number;
		struct numbered_list *list = list_of(j, names[i], &number);

		if (list == NULL) {
			if (strcmp(names[i], "state") != 0)
				take_stranger(l, j, names[i]);
			continue;
		}
		if (list->items == NULL &&
		    (list->items = calloc(count, sizeof *list->items)) == NULL)
			return false;
		list->items[list->count++].number = number;
	}
	return true;
}

void
load_listed(struct load *l, const char *const *names, size_t count)
{
	bool kept = l->part == TOKENS ? take_tokens(l, names, count)
		    : l->part == JOBS ? take_jobs(l, names, count)
				      : take_parts(l, names, count);

	if (kept)
		enter(l, l->part + 1);
	else
		load_fail(l, "out of memory");
}
