/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that pass streams on: run, logs. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "cli/stream.h"
#include "libcommon/base/str.h"
#include "libcommon/job/jobfile.h"
#include "libcommon/sys/fsutil.h"
#include "proto/api.pb-c.h"

/* What env(1), timeout(1) and the like exit with when they themselves fail. */
#define EXIT_OURS 125

/* ---- logs ---- */

/* The job of JOB, JOB.INDEX or JOB.INDEX.ATTEMPT; false: it is none of these. */
static bool
split_task(const char *text, char job[JOB_NAME_MAX + 1], bool *one)
{
	size_t len = strcspn(text, ".");

	*one = text[len] == '.';
	if (len > JOB_NAME_MAX || strspn(text + len, ".0123456789") != strlen(text + len))
		return false;
	memcpy(job, text, len);
	job[len] = '\0';
	return job_name_ok(job);
}

int
verb_logs(struct corral *c, int argc, char **argv)
{
	char target[256], tail[32] = "", job[JOB_NAME_MAX + 1];
	const struct api_request request = {.method = "GET", .target = target};
	struct stream_config config = {.job = job, .resume = true, .broken = EX_UNAVAILABLE};
	bool one;
	int status;

	(void)argc;
	if (!split_task(argv[0], job, &one) || strlen(argv[0]) > 128) {
		corral_say("'%s' is neither JOB nor JOB.INDEX nor JOB.INDEX.ATTEMPT", argv[0]);
		return EX_USAGE;
	}
	config.prefix = !one;
	if (c->options.tail != UINT32_MAX)
		snprintf(tail, sizeof tail, "&tail=%u", c->options.tail);
	snprintf(target, sizeof target, "logs/%s?follow=%d%s", argv[0], c->options.follow, tail);
	status = corral_connect(c);
	return status == 0 ? stream_run(c, &request, &config) : status;
}

/* ---- run ---- */

static bool
run_name(const struct corral *c, char to[JOB_NAME_MAX + 1])
{
	uint32_t number;

	if (c->options.name != NULL) {
		if (job_name_ok(c->options.name) && str_copy(to, JOB_NAME_MAX + 1, c->options.name))
			return true;
		corral_say("--name %s: a job's name is a-z, 0-9 and '-', at most %d of them",
		    c->options.name, JOB_NAME_MAX);
		return false;
	}
	if (!fsutil_random(&number, sizeof number)) {
		corral_say("the kernel has no random bytes");
		return false;
	}
	snprintf(to, JOB_NAME_MAX + 1, "run-%08x", number);
	return true;
}

static bool
environment_ok(const struct option_texts *env)
{
	for (size_t i = 0; i < env->count; i++) {
		const char *equals = strchr(env->items[i], '=');

		if (equals == NULL || equals == env->items[i]) {
			corral_say("--env %s: expected NAME=VALUE", env->items[i]);
			return false;
		}
	}
	return true;
}

static void
fill_spec(
    struct corral *c, int argc, char **argv, Corral__TaskSpec *spec, Corral__Resources *amounts)
{
	struct corral_options *o = &c->options;

	amounts->has_cpu_milli = amounts->has_memory_bytes = amounts->has_disk_bytes = true;
	amounts->cpu_milli = o->cpu_milli;
	amounts->memory_bytes = o->memory_bytes;
	amounts->disk_bytes = o->disk_bytes;
	spec->resources = amounts;
	spec->n_argv = (size_t)argc;
	spec->argv = argv;
	spec->n_environment = o->env.count;
	spec->environment = (char **)o->env.items;
	spec->user = (char *)o->user;
	spec->working_directory = (char *)o->directory;
	spec->has_interactive = spec->interactive = true;
}

/* Our own failures are 125; the API's statuses are for verbs that run nothing of the user's. */
static int
send_run(struct corral *c, const char *name, int argc, char **argv)
{
	Corral__Api__RunRequest body = CORRAL__API__RUN_REQUEST__INIT;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources amounts = CORRAL__RESOURCES__INIT;
	const struct api_request request = {.method = "POST", .target = "run", .body = &body.base};
	const struct stream_config config = {.job = name,
	    .prefix = c->options.count > 1,
	    .input = true,
	    .signals = true,
	    .broken = EXIT_OURS,
	    .refused = EXIT_OURS};

	fill_spec(c, argc, argv, &spec, &amounts);
	body.name = (char *)name;
	body.spec = &spec;
	body.has_count = body.has_input = body.input = true;
	body.count = c->options.count;
	body.role = (char *)c->options.role;
	body.has_priority = true;
	body.priority = c->options.priority;
	body.has_timeout_ms = true;
	body.timeout_ms = c->options.timeout_ms;
	return stream_run(c, &request, &config);
}

int
verb_run(struct corral *c, int argc, char **argv)
{
	char name[JOB_NAME_MAX + 1];

	if (c->options.count == 0 || c->options.count > RUN_COUNT_MAX) {
		corral_say("--count=%u: " RUN_COUNT_FAULT, c->options.count);
		return EXIT_OURS;
	}
	if (!environment_ok(&c->options.env) || !run_name(c, name) || corral_connect(c) != 0)
		return EXIT_OURS;
	return send_run(c, name, argc, argv);
}
