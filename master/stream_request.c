/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that become streams: `corral run` and `corral logs`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/pbjson.h"
#include "master/definition.h"
#include "master/stream_client.h"

/* Make the job; NULL: the request was answered. */
static struct job *
run_job(struct master *m, struct http_request *r, Corral__Api__RunRequest *run)
{
	struct job_policy policy;
	struct definition *d;
	struct buf text;
	struct job *j = NULL;
	char who[TLS_NAME_MAX + 16], error[256], name[CLUSTER_NAME_MAX + 1];
	uint32_t count;
	enum submit_result result;

	if (!job_name_ok(run->name) || !str_copy(name, sizeof name, run->name)) {
		api_error(m, r, 400, "'%s' is no name of a job", run->name);
		corral__api__run_request__free_unpacked(run, NULL);
		return NULL;
	}
	buf_init(&text, JOBFILE_TEXT_MAX);
	d = definition_of_run(run, &text, error, sizeof error);
	if (d == NULL) {
		api_error(m, r, 400, "%s", error);
		buf_fini(&text);
		return NULL;
	}
	count = definition_policy(d, &policy);
	if (!api_may_submit(m, r, definition_user(d), policy.role)) {
		definition_free(d);
		buf_fini(&text);
		return NULL;
	}
	result = cluster_submit(&m->cluster, clock_boot_ms(), name, count, &policy, d,
	    (const char *)text.data, text.len, api_who(r, who, sizeof who), clock_wall_ms(), &j);
	buf_fini(&text);
	if (result == SUBMIT_OK)
		return j;
	api_error(m, r, result == SUBMIT_NO_MEMORY ? 503 : 409,
	    result == SUBMIT_IN_USE   ? "job %s runs already or is being stopped"
	    : result == SUBMIT_UNREAD ? "the store has a job %s that this master cannot read"
	    : result == SUBMIT_KEPT   ? "the store has a job %s that cannot be removed"
				      : "the master has no room for %s",
	    name);
	return NULL;
}

void
stream_run(struct master *m, struct http_request *r)
{
	size_t size;
	const uint8_t *body = http_request_body(r, &size);
	char error[256];
	Corral__Api__RunRequest *run;
	struct client *c;
	struct job *j;
	uint64_t timeout_ms;
	bool input;

	if (!http_request_wants_upgrade(r)) {
		api_error(m, r, 400, "run needs an upgrade to " HTTP_UPGRADE_PROTOCOL);
		return;
	}
	run = (Corral__Api__RunRequest *)pbjson_decode(&corral__api__run_request__descriptor,
	    (const char *)body, size, PBJSON_IGNORE_UNKNOWN, error, sizeof error);
	if (run == NULL) {
		api_error(m, r, 400, "the request's body: %s", error);
		return;
	}
	timeout_ms = run->timeout_ms;
	input = run->input;
	if ((j = run_job(m, r, run)) == NULL)
		return;
	c = client_new(m, r, j);
	if (c == NULL) {
		cluster_stop(&m->cluster, clock_boot_ms(), j, "no memory for its client");
		return;
	}
	c->run = c->follow = true;
	c->job = j;
	c->input = input;
	c->tail_lines = -1;
	j->client = c;
	if (timeout_ms > 0 && timeout_ms < UINT32_MAX)
		timer_set(&c->timer, clock_boot_ms() + timeout_ms);
}

/* JOB, JOB.INDEX or JOB.INDEX.ATTEMPT; false: the request was answered. */
static bool
parse_task(struct master *m, struct http_request *r, const char *what, struct job **job,
    uint32_t *first, uint32_t *end)
{
	char text[128], *rest = text, *name, *index, *attempt;
	uint64_t i = 0, n = 0;

	*job = NULL;
	if (str_copy(text, sizeof text, what)) {
		name = strsep(&rest, ".");
		index = strsep(&rest, ".");
		attempt = strsep(&rest, ".");
		*job = cluster_job(&m->cluster, name);
		if (*job != NULL &&
		    (rest != NULL ||
			(index != NULL && !str_to_u64(index, 0, (*job)->count - 1, &i)) ||
			(attempt != NULL && !str_to_u64(attempt, 1, UINT32_MAX, &n))))
			*job = NULL;
		*first = (uint32_t)i;
		*end = *job == NULL ? 0 : index == NULL ? (*job)->count : (uint32_t)i + 1;
	}
	if (*job == NULL) {
		api_error(m, r, 404, "there is no job or task '%s'", what);
		return false;
	}
	if (n != 0 && n != (*job)->cells[i].attempts) {
		api_error(m, r, 404,
		    "only the output of the last attempt is kept in reach, which is %" PRIu32,
		    (*job)->cells[i].attempts);
		return false;
	}
	return true;
}

/* The body of a POST: where the client is. False: the request was answered. */
static bool
parse_resume(struct master *m, struct http_request *r, struct position **positions, size_t *count)
{
	size_t size;
	const uint8_t *body = http_request_body(r, &size);
	char error[256] = "out of memory";
	Corral__Api__Resume *resume = (Corral__Api__Resume *)pbjson_decode(
	    &corral__api__resume__descriptor, size == 0 ? "{}" : (const char *)body,
	    size == 0 ? 2 : size, PBJSON_IGNORE_UNKNOWN, error, sizeof error);
	struct position *all = resume == NULL ? NULL : calloc(resume->n_positions + 1, sizeof *all);
	bool ok = all != NULL;

	for (size_t i = 0; ok && i < resume->n_positions; i++) {
		const Corral__Api__Position *p = resume->positions[i];

		all[i] = (struct position){
		    .index = p->index,
		    .attempt = p->attempt,
		    .offset = {p->stdout_offset, p->stderr_offset},
		    .known = {p->has_stdout_offset, p->has_stderr_offset},
		};
		ok = i == 0 || all[i - 1].index < p->index;
		if (!ok)
			snprintf(error, sizeof error, "the positions are not in ascending order");
	}
	*positions = all;
	*count = ok ? resume->n_positions : 0;
	if (!ok) {
		free(all);
		api_error(m, r, 400, "the request's body: %s", error);
	}
	if (resume != NULL)
		corral__api__resume__free_unpacked(resume, NULL);
	return ok;
}

void
stream_logs(struct master *m, struct http_request *r, const char *what)
{
	const char *follow = http_request_query(r, "follow"), *tail = http_request_query(r, "tail");
	bool follows = follow != NULL && strcmp(follow, "0") != 0 && strcmp(follow, "no") != 0;
	int64_t lines = -1;
	uint32_t first, end, *read_attempts;
	struct position *positions;
	size_t position_count;
	struct client *c;
	struct job *j;

	if (!http_request_wants_upgrade(r)) {
		api_error(m, r, 400, "logs needs an upgrade to " HTTP_UPGRADE_PROTOCOL);
		return;
	}
	if (tail != NULL && !str_to_i64(tail, -1, INT32_MAX, &lines)) {
		api_error(m, r, 400, "tail=%s: a number of lines", tail);
		return;
	}
	if (!parse_task(m, r, what, &j, &first, &end) ||
	    !parse_resume(m, r, &positions, &position_count))
		return;
	read_attempts = calloc(end - first, sizeof *read_attempts);
	c = read_attempts == NULL ? NULL : client_new(m, r, j);
	if (c == NULL) {
		if (read_attempts == NULL)
			api_error(m, r, 503, "out of memory");
		free(read_attempts);
		free(positions);
		return;
	}
	c->read_attempts = read_attempts;
	c->positions = positions;
	c->position_count = position_count;
	c->follow = follows;
	c->tail_lines = lines;
	c->first_index = c->next_index = first;
	c->end_index = end;
	client_settle(c);
}
