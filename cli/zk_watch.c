/* SPDX-License-Identifier: Apache-2.0 */
/* zk watch: one line, or one run of a command, for each change of a node. */
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_child.h"
#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/str.h"

/* The state of a watch on a node: its data and existence, and its children while it exists. */
struct watch_job {
	struct zk_run *run;
	const char *path;
	struct zk_watch watch;
	bool over, said;
	int status;
	bool children;	       /* a watch on the children is set or asked for */
	struct zk_child child; /* of --exec */
	enum zk_event last;    /* the newest event, and its node */
	char last_path[ZK_RUN_PATH_MAX];
	bool again; /* it came while the command ran */
	bool away;  /* there is no connection: what changes below a recursive watch is not told */
};

static void watch_set(struct watch_job *job);

static void
watch_fail(struct watch_job *job, int rc)
{
	/* The watches are set again when there is a connection again: the request that sets one
	 * too. */
	if (rc == ZK_CONNECTIONLOSS && zk_state(job->run->zk) != ZK_EXPIRED) {
		watch_set(job);
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
watch_tree_set(void *arg, const struct zk_result *result)
{
	struct watch_job *job = arg;

	if (result->rc != ZK_OK)
		watch_fail(job, result->rc);
	else
		fprintf(stderr, "zk: watching %s and all below it\n", job->path);
}

/* Set the watches, or set the one-shot ones again. */
static void
watch_set(struct watch_job *job)
{
	int rc = job->run->options->recursive
		     ? zk_add_watch(job->run->zk, job->path, true, &job->watch, watch_tree_set, job)
		     : zk_exists(job->run->zk, job->path, &job->watch, watch_node_set, job);

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

/* The command sees the newest event; those that come while it runs are one more run. */
static void
watch_exec(struct watch_job *job)
{
	char event[32], node[ZK_RUN_PATH_MAX + 16];
	const char *const argv[] = {"/bin/sh", "-c", job->run->options->exec, NULL};
	const char *const variables[] = {event, node, NULL};

	job->again = job->child.pid > 0;
	if (job->again)
		return;
	snprintf(event, sizeof event, "ZK_EVENT=%s", event_name(job->last));
	snprintf(node, sizeof node, "ZK_NODE=%s", job->last_path);
	if (zk_child_start(&job->child, false, argv, variables) != 0)
		job->status = EX_OSERR;
}

static void
watch_child_changed(void *arg, int signo)
{
	struct watch_job *job = arg;

	(void)signo;
	zk_child_check(&job->child);
	if (job->child.pid > 0)
		return;
	if (job->child.status != 0)
		fprintf(stderr, "zk: %s: the command ended with status %d\n", job->path,
		    job->child.status);
	if (job->again && !job->over)
		watch_exec(job);
}

static void
watch_say(struct watch_job *job, enum zk_event event, const char *path)
{
	if (job->run->options->exec != NULL) {
		job->last = event;
		(void)str_copy(job->last_path, sizeof job->last_path, path);
		watch_exec(job);
	} else if (job->run->options->json) {
		job->status = zk_json_print(
		    json_pack("{s:s, s:s}", "event", event_name(event), "path", path));
	} else {
		printf("%-8s %s\n", event_name(event), path);
	}
	if (fflush(stdout) != 0)
		job->status = EX_IOERR;
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
	watch_say(job, event, path);
	if (job->run->options->once || job->status != 0) {
		job->over = true;
		return;
	}
	if (job->run->options->recursive)
		return; /* it stays */
	if (event == ZK_EVENT_CHILDREN || event == ZK_EVENT_DELETED)
		job->children = false;
	watch_set(job);
}

/* Asked in each turn: a recursive watch says nothing of what changed while it was away. */
static bool
watch_over(void *arg)
{
	struct watch_job *job = arg;
	bool away = zk_state(job->run->zk) != ZK_CONNECTED;

	if (job->away && !away && job->run->options->recursive)
		fprintf(stderr,
		    "zk: %s: the connection was lost: what changed meanwhile is not known\n",
		    job->path);
	job->away = away;
	return job->over;
}

int
zk_verb_watch(struct zk_run *run, int argc, char **argv)
{
	struct watch_job job = {.run = run, .path = argv[0], .watch = {watch_fired, &job}};
	int status;

	(void)argc;
	if (run->options->exec != NULL &&
	    !loop_on_signal(run->loop, SIGCHLD, watch_child_changed, &job)) {
		perror("zk: event loop");
		return EX_OSERR;
	}
	watch_set(&job);
	zk_run_until(run, watch_over, &job);
	job.over = true;
	if (run->signo != 0)
		zk_child_kill(&job.child, run->signo);
	zk_child_wait(&job.child);
	status = run->signo != 0 ? 128 + run->signo : job.status;
	zk_run_close(run); /* its lost watches call for the last time */
	return status != 0 ? status : job.child.status;
}
