/* SPDX-License-Identifier: Apache-2.0 */
/* zk watch: one line, or one run of a command, for each change of a node. */
#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"

/* The state of a watch on a node: its data and existence, and its children while it exists. */
struct watch_job {
	struct zk_run *run;
	const char *path;
	struct zk_watch watch;
	bool over, said;
	int status;
	bool children; /* a watch on the children is set or asked for */
};

static void watch_node(struct watch_job *job);

static void
watch_fail(struct watch_job *job, int rc)
{
	/* The watches are set again when there is a connection again: the request that sets one
	 * too. */
	if (rc == ZK_CONNECTIONLOSS && zk_state(job->run->zk) != ZK_EXPIRED) {
		watch_node(job);
		return;
	}
	job->status = zk_run_fail(job->run, job->path, rc);
	job->over = true;
}

static void
watch_children_set(void *arg, const struct zk_result *result)
{
	struct watch_job *job = arg;

	job->children = result->watching;
	if (result->rc != ZK_OK && result->rc != ZK_NONODE)
		watch_fail(job, result->rc);
}

static void
watch_node_set(void *arg, const struct zk_result *result)
{
	struct watch_job *job = arg;
	int rc = result->rc;

	if (rc == ZK_OK && !job->children) {
		job->children = true;
		rc = zk_children(job->run->zk, job->path, &job->watch, watch_children_set, job);
	}
	if (rc != ZK_OK && rc != ZK_NONODE) {
		watch_fail(job, rc);
		return;
	}
	if (!job->said)
		fprintf(stderr, "zk: watching %s%s\n", job->path,
		    rc == ZK_NONODE ? ", which does not exist" : "");
	job->said = true;
}

static void
watch_node(struct watch_job *job)
{
	int rc = zk_exists(job->run->zk, job->path, &job->watch, watch_node_set, job);

	if (rc != ZK_OK) {
		job->status = zk_run_fail(job->run, job->path, rc);
		job->over = true;
	}
}

static const char *
event_name(enum zk_event event)
{
	switch (event) {
	case ZK_EVENT_CREATED:
		return "created";
	case ZK_EVENT_DELETED:
		return "deleted";
	case ZK_EVENT_CHANGED:
		return "changed";
	case ZK_EVENT_CHILDREN:
		return "children";
	default:
		return "lost";
	}
}

static void
watch_fired(void *arg, enum zk_event event, const char *path)
{
	struct watch_job *job = arg;

	if (job->over)
		return;
	if (event == ZK_EVENT_LOST) {
		job->status = zk_run_fail(job->run, path, ZK_SESSIONEXPIRED);
		job->over = true;
		return;
	}
	if (job->run->options->json)
		job->status = zk_json_print(
		    json_pack("{s:s, s:s}", "event", event_name(event), "path", path));
	else
		printf("%-8s %s\n", event_name(event), path);
	if (fflush(stdout) != 0)
		job->status = EX_IOERR;
	if (job->run->options->once || job->status != 0) {
		job->over = true;
		return;
	}
	if (event == ZK_EVENT_CHILDREN || event == ZK_EVENT_DELETED)
		job->children = false;
	watch_node(job);
}

static bool
watch_over(void *arg)
{
	const struct watch_job *job = arg;

	return job->over;
}

int
zk_verb_watch(struct zk_run *run, int argc, char **argv)
{
	struct watch_job job = {.run = run, .path = argv[0], .watch = {watch_fired, &job}};

	(void)argc;
	watch_node(&job);
	zk_run_until(run, watch_over, &job);
	job.over = true;
	if (run->signo != 0)
		return 128 + run->signo;
	return job.status;
}
