/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zk bench: how many requests a second the ensemble answers to this machine, and how long each
 * takes. Every session keeps so many requests outstanding, or all together send so many a second;
 * each phase has one kind of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/list.h"
#include "libcommon/base/sketch.h"

#define SESSIONS_MAX 10000
#define OUTSTANDING_MAX 10000
#define RATE_MAX 10000000
#define TOP_BYTES_MAX 32
#define PATH_BYTES_MAX (TOP_BYTES_MAX + 40)
#define MIXED_GETS 9 /* of ten requests */
#define BENCH_TOP "/zk-bench"

enum phase { PHASE_CREATE, PHASE_SET, PHASE_GET, PHASE_MIXED, PHASE_DELETE, PHASE_COUNT };

static const char *const phase_names[] = {"create", "set", "get", "mixed", "delete"};

struct bench_session {
	struct bench *bench;
	struct zk *zk;
	unsigned number;
	uint64_t made; /* nodes that the create phase made: 0 to made - 1 */
	uint64_t at;   /* requests of this phase so far */
	unsigned flying;
};

struct bench {
	struct zk_run *run;
	struct bench_session *sessions;
	size_t count;
	enum phase phase;
	char *data;
	struct timer end, pace;
	uint64_t paced; /* requests of this phase that were sent at their time */
	bool over;
	int rc; /* the first that was not ZK_OK */
	uint64_t began_us;
	struct sketch latency_us;
	char top[TOP_BYTES_MAX];
};

/* One request on its way; with a rate: since when it should have been. */
struct shot {
	struct bench_session *session;
	uint64_t since_us;
};

static void bench_fill(struct bench_session *s);

static void
bench_path(char to[PATH_BYTES_MAX], const struct bench_session *s, uint64_t number)
{
	snprintf(to, PATH_BYTES_MAX, "%s/%u-%" PRIu64, s->bench->top, s->number, number);
}

static void
bench_answered(void *arg, const struct zk_result *result)
{
	struct shot *shot = arg;
	struct bench_session *s = shot->session;
	struct bench *bench = s->bench;

	s->flying--;
	if (result->rc == ZK_OK)
		sketch_add(&bench->latency_us, clock_boot_us() - shot->since_us);
	else if (bench->rc == ZK_OK)
		bench->rc = result->rc;
	free(shot);
	bench_fill(s);
}

static int
bench_send(struct bench_session *s, struct shot *shot)
{
	const struct bench *bench = s->bench;
	const uint32_t size = (uint32_t)bench->run->options->bytes;
	enum phase phase = bench->phase;
	char path[PATH_BYTES_MAX];

	bench_path(path, s, bench->phase == PHASE_CREATE ? s->at : s->at % s->made);
	if (phase == PHASE_MIXED)
		phase = s->at % (MIXED_GETS + 1) < MIXED_GETS ? PHASE_GET : PHASE_SET;
	switch (phase) {
	case PHASE_CREATE:
		return zk_create(
		    s->zk, path, bench->data, size, NULL, 0, ZK_PERSISTENT, bench_answered, shot);
	case PHASE_SET:
		return zk_set(s->zk, path, bench->data, size, ZK_ANY_VERSION, bench_answered, shot);
	case PHASE_GET:
		return zk_get(s->zk, path, NULL, bench_answered, shot);
	default:
		return zk_delete(s->zk, path, ZK_ANY_VERSION, bench_answered, shot);
	}
}

static bool
bench_has_more(const struct bench_session *s)
{
	const struct bench *bench = s->bench;

	if (bench->rc != ZK_OK || s->flying >= bench->run->options->outstanding)
		return false;
	if (bench->phase == PHASE_DELETE)
		return s->at < s->made;
	return !bench->over && (bench->phase == PHASE_CREATE || s->made > 0);
}

static bool
bench_shoot(struct bench_session *s, uint64_t since_us)
{
	struct shot *shot = malloc(sizeof *shot);
	int rc = ZK_NOMEMORY;

	if (shot != NULL) {
		*shot = (struct shot){s, since_us};
		rc = bench_send(s, shot);
	}
	if (rc != ZK_OK) {
		free(shot);
		s->bench->rc = rc;
		return false;
	}
	s->at++;
	s->flying++;
	return true;
}

/* What was made is removed as fast as it goes. */
static bool
bench_has_rate(const struct bench *bench)
{
	return bench->run->options->rate > 0 && bench->phase != PHASE_DELETE;
}

static void
bench_fill(struct bench_session *s)
{
	while (!bench_has_rate(s->bench) && bench_has_more(s) && bench_shoot(s, clock_boot_us()))
		;
}

/*
 * Every millisecond those that have become due, the sessions in turn. One that finds its session's
 * requests all on their way waits, and the time until then counts.
 */
static void
bench_pace(void *arg)
{
	struct bench *bench = arg;

	for (;;) {
		struct bench_session *s = &bench->sessions[bench->paced % bench->count];
		uint64_t due_ms = bench->paced * 1000 / bench->run->options->rate + 1;
		uint64_t due_us = bench->began_us + due_ms * 1000;

		if (due_ms > bench->run->options->lasting_ms || due_us > clock_boot_us() ||
		    !bench_has_more(s) || !bench_shoot(s, due_us))
			break;
		bench->paced++;
	}
	if (!bench->over && bench->rc == ZK_OK)
		(void)timer_set(&bench->pace, clock_boot_ms() + 1);
}

static void
bench_end(void *arg)
{
	struct bench *bench = arg;

	bench->over = true;
}

static bool
bench_idle(void *arg)
{
	const struct bench *bench = arg;

	for (size_t i = 0; i < bench->count; i++) {
		if (bench->sessions[i].flying > 0)
			return false;
	}
	return bench->over || bench->rc != ZK_OK || bench->phase == PHASE_DELETE;
}

static bool
bench_connected(void *arg)
{
	const struct bench *bench = arg;

	for (size_t i = 0; i < bench->count; i++) {
		if (zk_state(bench->sessions[i].zk) != ZK_CONNECTED)
			return bench->over;
	}
	return true;
}

static int
bench_print(const struct bench *bench, json_t *items)
{
	const struct sketch *l = &bench->latency_us;
	double seconds = (double)(clock_boot_us() - bench->began_us) / 1e6;
	double rate = (double)l->count / seconds;
	const char *name = phase_names[bench->phase];

	if (bench->run->options->json)
		return json_array_append_new(
		    items, json_pack("{s:s, s:I, s:f, s:I, s:I, s:I}", "request", name, "count",
			       (json_int_t)l->count, "per_second", rate, "p50_us",
			       (json_int_t)sketch_quantile(l, 0.5), "p99_us",
			       (json_int_t)sketch_quantile(l, 0.99), "max_us", (json_int_t)l->max));
	printf("%-8s %10" PRIu64 " %12.0f %10.2f %10.2f %10.2f\n", name, l->count, rate,
	    (double)sketch_quantile(l, 0.5) / 1e3, (double)sketch_quantile(l, 0.99) / 1e3,
	    (double)l->max / 1e3);
	return fflush(stdout);
}

static int
bench_phase(struct bench *bench, enum phase phase)
{
	bench->phase = phase;
	bench->over = false;
	bench->latency_us = (struct sketch){.count = 0};
	bench->began_us = clock_boot_us();
	(void)timer_set(&bench->end, clock_boot_ms() + bench->run->options->lasting_ms);
	bench->paced = 0;
	for (size_t i = 0; i < bench->count; i++) {
		bench->sessions[i].at = 0;
		bench_fill(&bench->sessions[i]);
	}
	if (bench_has_rate(bench))
		bench_pace(bench);
	zk_run_until(bench->run, bench_idle, bench);
	timer_cancel(&bench->end);
	timer_cancel(&bench->pace);
	for (size_t i = 0; i < bench->count && phase == PHASE_CREATE; i++)
		bench->sessions[i].made = bench->sessions[i].at;
	return bench->run->signo != 0 ? ZK_CLOSING : bench->rc;
}

/* The sessions, all of them connected. */
static int
bench_open(struct bench *bench)
{
	const struct zk_options *options = bench->run->options;
	struct zk_op op = {.type = ZK_OP_CREATE2, .path = bench->top, .data = "", .size = 0};
	int rc = zk_run_request(bench->run, &op, NULL, NULL);

	if (rc != ZK_OK)
		return rc;
	bench->data = calloc(1, options->bytes + 1);
	bench->sessions = calloc(options->sessions, sizeof *bench->sessions);
	if (bench->data == NULL || bench->sessions == NULL)
		return ZK_NOMEMORY;
	memset(bench->data, 'x', options->bytes);
	for (; bench->count < options->sessions; bench->count++) {
		struct bench_session *s = &bench->sessions[bench->count];

		*s = (struct bench_session){.bench = bench, .number = (unsigned)bench->count};
		s->zk = zk_run_session(bench->run);
		if (s->zk == NULL)
			return ZK_NOMEMORY;
	}
	(void)timer_set(&bench->end, clock_boot_ms() + options->timeout_ms);
	zk_run_until(bench->run, bench_connected, bench);
	return bench->over ? ZK_OPERATIONTIMEOUT : ZK_OK;
}

static void
bench_close(struct bench *bench)
{
	timer_cancel(&bench->end);
	timer_cancel(&bench->pace);
	for (size_t i = 0; i < bench->count; i++)
		zk_free(bench->sessions[i].zk);
	free(bench->sessions);
	free(bench->data);
}

static bool
bench_options_are_good(const struct zk_options *o)
{
	if (o->sessions >= 1 && o->sessions <= SESSIONS_MAX && o->outstanding >= 1 &&
	    o->outstanding <= OUTSTANDING_MAX && o->bytes <= ZK_FRAME_BYTES_MAX / 2 &&
	    o->lasting_ms < UINT32_MAX && o->rate <= RATE_MAX)
		return true;
	fprintf(stderr,
	    "zk: bench: 1 to %d sessions, 1 to %d outstanding, at most %d bytes, at most %d a "
	    "second\n",
	    SESSIONS_MAX, OUTSTANDING_MAX, ZK_FRAME_BYTES_MAX / 2, RATE_MAX);
	return false;
}

/* All phases, and what is left of the nodes after an end that came early. */
static int
bench_run(struct bench *bench, json_t *items)
{
	int rc = bench_open(bench);

	if (rc == ZK_OK && !bench->run->options->json)
		printf("%-8s %10s %12s %10s %10s %10s\n", "REQUEST", "COUNT", "PER SECOND",
		    "P50 ms", "P99 ms", "MAX ms");
	for (int phase = 0; phase < PHASE_COUNT && rc == ZK_OK; phase++) {
		rc = bench_phase(bench, (enum phase)phase);
		if (rc == ZK_OK && bench_print(bench, items) != 0)
			rc = ZK_SYSTEMERROR;
	}
	return rc;
}

int
zk_verb_bench(struct zk_run *run, int argc, char **argv)
{
	struct bench bench = {.run = run};
	struct zk_op top = {.type = ZK_OP_DELETE, .path = bench.top, .version = ZK_ANY_VERSION};
	json_t *items = json_array();
	int status = EX_USAGE, rc;

	(void)argc;
	(void)argv;
	timer_init(&bench.end, run->loop, bench_end, &bench);
	timer_init(&bench.pace, run->loop, bench_pace, &bench);
	snprintf(
	    bench.top, sizeof bench.top, BENCH_TOP "-%" PRIx64, (uint64_t)zk_session_id(run->zk));
	if (bench_options_are_good(run->options)) {
		rc = bench_run(&bench, items);
		status = rc == ZK_OK && run->options->json ? zk_json_print(json_incref(items))
							   : zk_run_fail(run, bench.top, rc);
		run->signo = 0; /* clean up in any case */
		if (zk_run_request(run, &top, NULL, NULL) == ZK_NOTEMPTY)
			fprintf(stderr, "zk: 'zk rm -r %s' removes the nodes that are left\n",
			    bench.top);
	}
	json_decref(items);
	bench_close(&bench);
	return status;
}
