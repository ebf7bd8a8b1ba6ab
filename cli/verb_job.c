/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about one job: init, submit, stop, why. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/corral.h"
#include "cli/watch.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/job/jobfile.h"
#include "libcommon/sys/fsutil.h"
#include "proto/api.pb-c.h"

int
verb_init(struct corral *c, int argc, char **argv)
{
	(void)c;
	(void)argc;
	(void)argv;
	fputs(jobfile_example, stdout);
	return 0;
}

/* ---- submit ---- */

/* The text of FILE or of standard input; 0, or the exit status after having said why. */
static int
read_job_file(const char *file, struct buf *text)
{
	const char *path = strcmp(file, "-") == 0 ? "/dev/stdin" : file;

	if (fsutil_read(path, JOBFILE_TEXT_MAX, text))
		return 0;
	corral_say("%s: %s", file,
	    errno == EFBIG ? "larger than a job file may be (512K)" : strerror(errno));
	return errno == EFBIG ? EX_DATAERR : EX_NOINPUT;
}

static int
job_name(const struct corral *c, const char *file, char to[JOB_NAME_MAX + 1])
{
	const char *name = c->options.name;

	if (name != NULL && job_name_ok(name) && str_copy(to, JOB_NAME_MAX + 1, name))
		return 0;
	if (name != NULL)
		corral_say("--name %s: a job's name is a-z, 0-9 and '-', at most %d of them", name,
		    JOB_NAME_MAX);
	else if (strcmp(file, "-") == 0)
		corral_say("a job file on standard input has no name: give one with --name");
	else if (jobfile_name_from_path(file, to))
		return 0;
	else
		corral_say(
		    "%s: no job can have this name (a-z, 0-9, '-'): give one with --name", file);
	return EX_USAGE;
}

/* What is wrong with the file is said here, before any master is asked. */
static int
check_job_file(const char *name, const char *file, const struct buf *text)
{
	struct jobfile *job;
	struct faults faults;
	int status = 0;

	faults_init(&faults);
	job = jobfile_parse(name, file, (const char *)text->data, text->len, &faults);
	if (job == NULL) {
		const char *line = faults_text(&faults);

		while (*line != '\0') {
			size_t len = strcspn(line, "\n");

			corral_say("%.*s", (int)len, line);
			line += len + (line[len] == '\n');
		}
		status = EX_DATAERR;
	}
	jobfile_free(job);
	faults_fini(&faults);
	return status;
}

static int
send_job(struct corral *c, const char *name, const char *file, const char *text)
{
	Corral__Api__JobSubmit body = CORRAL__API__JOB_SUBMIT__INIT;
	ProtobufCMessage *message = NULL;
	int status;

	body.name = (char *)name;
	body.text = (char *)text;
	body.file = (char *)file;
	status = corral_post(c, "jobs", &body.base, &corral__api__job__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		const Corral__Api__Job *job = (const Corral__Api__Job *)message;

		fprintf(c->options.watch ? stderr : stdout, "%s: %u task%s accepted\n", name,
		    job->count, job->count == 1 ? "" : "s");
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_submit(struct corral *c, int argc, char **argv)
{
	char name[JOB_NAME_MAX + 1];
	struct buf text;
	int status;

	(void)argc;
	buf_init(&text, JOBFILE_TEXT_MAX + 1);
	status = job_name(c, argv[0], name);
	if (status == 0)
		status = read_job_file(argv[0], &text);
	if (status == 0)
		status = check_job_file(name, argv[0], &text);
	if (status == 0)
		status = corral_connect(c);
	if (status == 0)
		status = send_job(c, name, argv[0], buf_text(&text));
	buf_fini(&text);
	if (status == 0 && c->options.watch)
		status = watch_job(c, name);
	return status;
}

/* ---- stop ---- */

static int
stop_job(struct corral *c, const char *name)
{
	Corral__Api__JobStop body = CORRAL__API__JOB_STOP__INIT;
	ProtobufCMessage *message = NULL;
	char target[JOB_NAME_MAX + 16];
	int status;

	if (!job_name_ok(name)) {
		corral_say("'%s' is no name of a job", name);
		return EX_USAGE;
	}
	snprintf(target, sizeof target, "jobs/%s/stop", name);
	status = corral_post(c, target, &body.base, &corral__api__job__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		const Corral__Api__Job *job = (const Corral__Api__Job *)message;

		if (job->stopped == 0)
			printf("%s: %s, nothing was left to stop\n", name,
			    job->state != NULL ? job->state : "stopping");
		else
			printf("%s: %s, %u task%s stopped\n", name,
			    job->state != NULL ? job->state : "stopping", job->stopped,
			    job->stopped == 1 ? "" : "s");
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_stop(struct corral *c, int argc, char **argv)
{
	int status = corral_connect(c);

	for (int i = 0; i < argc && status == 0; i++)
		status = stop_job(c, argv[i]);
	return status;
}

/* ---- why ---- */

#define WHY_NODES_SHOWN 20

static void
print_reason(const Corral__Api__Why *w, const Corral__Api__WhyReason *r)
{
	if (r->nodes > 0)
		printf(
		    "%u of %u node%s: ", r->nodes, w->nodes_total, w->nodes_total == 1 ? "" : "s");
	printf("%s%s%s\n", r->text, r->change != NULL ? "; what would change it: " : "",
	    r->change != NULL ? r->change : "");
}

static void
print_why(const Corral__Api__Why *w)
{
	char age[AMOUNT_TEXT_MAX];

	if (w->next == NULL &&
	    (strcmp(w->state, "running") == 0 || strcmp(w->state, "launching") == 0)) {
		printf(
		    "%s is %s on %s\n", w->task, w->state, w->summary != NULL ? w->summary : "-");
		return;
	}
	printf("%s %s", w->task, strcmp(w->state, "waiting") == 0 ? "waits" : w->state);
	if (w->has_waiting_ms)
		printf(" (%s)",
		    amount_print_age(age, w->waiting_ms > 0 ? (uint64_t)w->waiting_ms : 0));
	printf("%s%s\n", w->summary != NULL ? ": " : "", w->summary != NULL ? w->summary : "");
	/* Of a large cluster the counts say more than the nodes; --json has them. */
	for (size_t i = 0; i < w->n_nodes && w->nodes_total <= WHY_NODES_SHOWN; i++)
		printf("  %-10s %-8s %s\n", w->nodes[i]->node, w->nodes[i]->resource,
		    w->nodes[i]->text);
	for (size_t i = 0; i < w->n_reasons; i++)
		print_reason(w, w->reasons[i]);
	if (w->has_nodes_total)
		printf("%u node%s looked at, %u fit.%s%s\n", w->nodes_total,
		    w->nodes_total == 1 ? "" : "s", w->nodes_fit,
		    w->next != NULL ? " Next try: " : "", w->next != NULL ? w->next : "");
	else if (w->next != NULL)
		printf("Next try: %s\n", w->next);
}

int
verb_why(struct corral *c, int argc, char **argv)
{
	ProtobufCMessage *message = NULL;
	char task[256];
	int status;

	(void)argc;
	if (!http_encode(task, sizeof task, argv[0])) {
		corral_say("'%s' is no name of a task", argv[0]);
		return EX_USAGE;
	}
	status = corral_connect(c);
	if (status == 0)
		status = corral_get(c, &corral__api__why__descriptor, &message, "why/%s", task);
	if (status == 0 && !corral_print_json(c, message, NULL))
		print_why((const Corral__Api__Why *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}
