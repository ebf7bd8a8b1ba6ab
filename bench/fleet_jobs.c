/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet's jobs, and what the master's API says of them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fleet.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/pbjson.h"
#include "libcommon/io/http.h"

enum {
	BODY_BYTES_MAX = 1 << 20,
	REPLY_BYTES_MAX = 32 << 20,
	CONNECT_MS = 10000,
	REPLY_MS = 60000,
	AGAIN_MS = 200,
};

/* One question, asked until a leader has answered it. */
struct question {
	struct fleet *f;
	struct fleet_job *job; /* NULL: of the cluster */
	bool post;
	char target[128];
	struct buf body;
	struct timer again;
	void (*answered)(struct question *q, const struct http_response *r);
	void (*said)(struct fleet *f, uint32_t running);
};

static void ask(void *arg);

static void
question_free(struct question *q)
{
	q->f->calls--;
	timer_cancel(&q->again);
	buf_fini(&q->body);
	free(q);
}

static void
ask_later(struct question *q)
{
	q->f->api++;
	timer_set(&q->again, clock_boot_ms() + AGAIN_MS);
}

static void
on_done(void *arg, const struct http_response *r)
{
	struct question *q = arg;

	if (r->status == 503 || r->status == 307) {
		ask_later(q);
		return;
	}
	q->answered(q, r);
	question_free(q);
}

static void
on_failed(void *arg, const char *why)
{
	(void)why; /* a master that is gone: the next one is asked */
	ask_later(arg);
}

static void
ask(void *arg)
{
	static const struct http_call_ops ops = {.done = on_done, .failed = on_failed};
	struct question *q = arg;
	const struct conf_list *masters = &q->f->conf.client.master;
	struct http_call_spec spec = {
	    .address = masters->items[q->f->api % masters->count],
	    .method = q->post ? "POST" : "GET",
	    .target = q->target,
	    .body = q->body.data,
	    .body_size = q->body.len,
	    .reply_bytes_max = REPLY_BYTES_MAX,
	    .connect_ms = CONNECT_MS,
	    .reply_ms = REPLY_MS,
	};

	if (http_call(q->f->loop, q->f->client_tls, &spec, &ops, q) == NULL)
		fleet_die("no memory for a call");
}

static struct question *question_new(struct fleet *f, struct fleet_job *j,
    void (*answered)(struct question *q, const struct http_response *r), const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static struct question *
question_new(struct fleet *f, struct fleet_job *j,
    void (*answered)(struct question *q, const struct http_response *r), const char *fmt, ...)
{
	struct question *q = calloc(1, sizeof *q);
	va_list ap;

	if (q == NULL)
		fleet_die("no memory for a question");
	q->f = f;
	q->job = j;
	q->answered = answered;
	va_start(ap, fmt);
	vsnprintf(q->target, sizeof q->target, fmt, ap);
	va_end(ap);
	buf_init(&q->body, BODY_BYTES_MAX);
	timer_init(&q->again, f->loop, ask, q);
	f->calls++;
	return q;
}

static ProtobufCMessage *
read_answer(
    const struct question *q, const struct http_response *r, const ProtobufCMessageDescriptor *type)
{
	char error[256] = "";
	ProtobufCMessage *m = r->status != 200 ? NULL
					       : pbjson_decode(type, r->body, r->size,
						     PBJSON_IGNORE_UNKNOWN, error, sizeof error);

	if (m == NULL)
		fleet_die("%s: %d %s%.*s", q->target, r->status, error, (int)r->size, r->body);
	return m;
}

/* --- submission --- */

bool
fleet_jobs_make(struct fleet *f)
{
	uint64_t full = (f->o.tasks + f->o.job_tasks - 1) / f->o.job_tasks;
	uint64_t held = (f->o.hold + f->o.job_tasks - 1) / f->o.job_tasks;

	f->job_count = (uint32_t)(full + held);
	f->jobs = calloc(f->job_count + 1, sizeof *f->jobs);
	if (f->jobs == NULL)
		return false;
	for (uint32_t i = 0; i < f->job_count; i++) {
		struct fleet_job *j = &f->jobs[i];
		uint64_t left = i < full ? f->o.tasks - i * f->o.job_tasks
					 : f->o.hold - (i - full) * f->o.job_tasks;

		snprintf(j->name, sizeof j->name, "fleet-%u", i);
		j->number = i;
		j->holds = i >= full;
		j->count = (uint32_t)(left < f->o.job_tasks ? left : f->o.job_tasks);
		j->launches = calloc(j->count, 1);
		j->codes = calloc(j->count, 1);
		if (j->launches == NULL || j->codes == NULL)
			return false;
	}
	return true;
}

struct fleet_job *
fleet_job_named(struct fleet *f, const char *name)
{
	uint64_t number;

	if (!str_starts(name, "fleet-") ||
	    !str_to_u64(name + strlen("fleet-"), 0, f->job_count - 1, &number))
		return NULL;
	return &f->jobs[number];
}

static void
submitted(struct question *q, const struct http_response *r)
{
	/* In use: an earlier master took it, and the answer was lost. */
	if (r->status != 201 && r->status != 409)
		fleet_die("job %s: %d %.*s", q->job->name, r->status, (int)r->size, r->body);
	q->job->accepted = true;
	samples_add(&q->f->accepted, clock_boot_us() - q->job->posted_us);
}

void
fleet_job_submit(struct fleet *f, struct fleet_job *j)
{
	Corral__Api__JobSubmit submit = CORRAL__API__JOB_SUBMIT__INIT;
	struct question *q = question_new(f, j, submitted, "/corral/v1/jobs");
	char text[256];

	snprintf(text, sizeof text,
	    "[Job]\nType=batch\nCount=%u\n[Task]\nExecStart=/bin/true\n[Resources]\nCPU=1\n"
	    "Memory=256M\n",
	    j->count);
	submit.name = j->name;
	submit.text = text;
	if (!pbjson_encode(&submit.base, 0, &q->body))
		fleet_die("no memory for a job");
	q->post = true;
	j->posted_us = clock_boot_us();
	ask(q);
}

/* --- what became of it --- */

static void
compare_job(struct question *q, const struct http_response *r)
{
	struct fleet_job *j = q->job;
	Corral__Api__Job *said =
	    (Corral__Api__Job *)read_answer(q, r, &corral__api__job__descriptor);

	j->asking = false;
	if (strcmp(said->state, "running") != 0) {
		if (said->count != j->count || said->failed != j->failed ||
		    said->finished != j->count - j->failed || said->waiting != 0 ||
		    said->running != 0 || said->lost != 0 || said->retries != 0)
			fleet_die("job %s: %u failed here, and the master says: %s, %u of %u "
				  "finished, %u failed, %u lost, %u retries",
			    j->name, j->failed, said->state, said->finished, said->count,
			    said->failed, said->lost, said->retries);
		j->checked = true;
	}
	corral__api__job__free_unpacked(said, NULL);
}

void
fleet_job_check(struct fleet *f, struct fleet_job *j)
{
	j->asking = true;
	ask(question_new(f, j, compare_job, "/corral/v1/jobs/%s", j->name));
}

static void
compare_tasks(struct question *q, const struct http_response *r)
{
	struct fleet_job *j = q->job;
	Corral__Api__TaskList *said =
	    (Corral__Api__TaskList *)read_answer(q, r, &corral__api__task_list__descriptor);

	if (said->n_tasks != j->count)
		fleet_die("job %s: the master knows of %zu tasks", j->name, said->n_tasks);
	for (uint32_t i = 0; i < j->count; i++) {
		const Corral__Api__Task *t = said->tasks[i];
		const char *state = j->codes[i] == 0 ? "finished" : "failed";

		if (t->index != i || t->attempt != 1 || j->launches[i] != 1 ||
		    strcmp(t->state, state) != 0 ||
		    (j->codes[i] != 0 && t->exit_code != j->codes[i]))
			fleet_die("%s.%u ended with %u, and the master says: %s, %d, attempt %u",
			    j->name, i, j->codes[i], t->state, t->exit_code, t->attempt);
	}
	corral__api__task_list__free_unpacked(said, NULL);
}

void
fleet_job_verify(struct fleet *f, struct fleet_job *j)
{
	ask(question_new(
	    f, j, compare_tasks, "/corral/v1/tasks?job=%s&limit=%u", j->name, j->count));
}

static void
tell_running(struct question *q, const struct http_response *r)
{
	Corral__Api__ClusterStatus *said = (Corral__Api__ClusterStatus *)read_answer(
	    q, r, &corral__api__cluster_status__descriptor);

	q->said(q->f, said->tasks_running);
	corral__api__cluster_status__free_unpacked(said, NULL);
}

void
fleet_ask_running(struct fleet *f, void (*said)(struct fleet *f, uint32_t running))
{
	struct question *q = question_new(f, NULL, tell_running, "/corral/v1/status");

	q->said = said;
	ask(q);
}
