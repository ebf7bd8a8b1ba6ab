/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/job/jobfile.h"
#include "proto/api.pb-c.h"

/* Between two looks at the job. */
#define LOOK_MS 250
/* So long there may be no leader: a failover takes a session's time-out and an election. */
#define LEADERLESS_MS 60000
/* More tasks than fit on a screen are counted, not shown. */
#define SHOWN_MAX 20

struct watch {
	struct corral *corral;
	const char *name;
	bool live, color;
	unsigned lines; /* of the live view on the screen */
	uint64_t started_ms;
	uint64_t leaderless_since_ms; /* 0: there is a leader */
	char **states;		      /* as last printed, by index: "running n1" */
	size_t state_count;
	char summary[256];
	struct timer timer;
};

static bool
terminal_is_live(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

/* ---- printing ---- */

static const char *
color_of(const struct watch *w, const char *state)
{
	if (!w->color)
		return "";
	if (strcmp(state, "failed") == 0 || strcmp(state, "lost") == 0)
		return "\033[31m";
	if (strcmp(state, "finished") == 0)
		return "\033[32m";
	return strcmp(state, "running") == 0 ? "\033[36m" : "";
}

static void
print_task(struct watch *w, const Corral__Api__Task *k)
{
	const char *note = k->message != NULL ? k->message : "", *color = color_of(w, k->state);

	fprintf(stderr, "  %s.%u  %s  %s%s%s%s%s\n", w->name, k->index,
	    k->node != NULL ? k->node : "-", color, k->state, color[0] != '\0' ? "\033[0m" : "",
	    note[0] != '\0' ? "  " : "", note);
}

static void
print_summary(struct watch *w, const Corral__Api__Job *j)
{
	const struct {
		const char *word;
		uint32_t count;
	} parts[] = {{"running", j->running}, {"waiting", j->waiting}, {"finished", j->finished},
	    {"failed", j->failed}, {"lost", j->lost}, {"retried", j->retries}};
	uint64_t seconds = (clock_boot_ms() - w->started_ms) / 1000;
	const char *comma = "";
	struct buf text;

	buf_init(&text, sizeof w->summary - 1);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (parts[i].count == 0)
			continue;
		buf_printf(&text, "%s%u %s", comma, parts[i].count, parts[i].word);
		comma = ", ";
	}
	buf_append(&text, "", 1);
	if (!text.failed && (w->live || strcmp(w->summary, (char *)text.data) != 0)) {
		memcpy(w->summary, text.data, text.len);
		fprintf(stderr, "%s: %-50s %02u:%02u\n", w->name, w->summary,
		    (unsigned)(seconds / 60), (unsigned)(seconds % 60));
	}
	buf_fini(&text);
}

/* Put the cursor where the view began, and clear from there on. */
static void
rewind_view(struct watch *w)
{
	if (w->live && w->lines > 0)
		fprintf(stderr, "\033[%uA\033[J", w->lines);
	w->lines = 0;
}

/* ---- what changed ---- */

static bool
grow_states(struct watch *w, size_t count)
{
	char **more;

	if (count <= w->state_count)
		return true;
	more = realloc(w->states, count * sizeof *more);
	if (more == NULL)
		return false;
	memset(more + w->state_count, 0, (count - w->state_count) * sizeof *more);
	w->states = more;
	w->state_count = count;
	return true;
}

/* The task is not as it was when it was printed last. */
static bool
task_changed(struct watch *w, const Corral__Api__Task *k)
{
	char text[160];

	snprintf(
	    text, sizeof text, "%u %s %s", k->attempt, k->state, k->node != NULL ? k->node : "");
	if (!grow_states(w, (size_t)k->index + 1))
		return false;
	if (w->states[k->index] != NULL && strcmp(w->states[k->index], text) == 0)
		return false;
	free(w->states[k->index]);
	w->states[k->index] = strdup(text);
	return true;
}

static void
show(struct watch *w, const Corral__Api__Job *job, const Corral__Api__TaskList *list)
{
	bool all = list->n_tasks <= SHOWN_MAX;

	rewind_view(w);
	for (size_t i = 0; i < list->n_tasks; i++) {
		bool changed = task_changed(w, list->tasks[i]);

		if (list->tasks[i]->index < JOBFILE_COUNT_MAX && (w->live ? all : changed)) {
			print_task(w, list->tasks[i]);
			w->lines++;
		}
	}
	print_summary(w, job);
	w->lines++;
	fflush(stderr);
}

/* ---- looking ---- */

static void
wake(void *arg)
{
	struct watch *w = arg;

	loop_stop(w->corral->loop, 0);
}

static void
rest(struct watch *w)
{
	timer_set(&w->timer, clock_boot_ms() + LOOK_MS);
	loop_run(w->corral->loop, NULL, NULL);
}

/* No master leads just now: worth waiting for. */
static bool
may_wait(struct watch *w, int status)
{
	if (status != EX_TEMPFAIL && status != EX_UNAVAILABLE)
		return false;
	if (w->leaderless_since_ms == 0) {
		w->leaderless_since_ms = clock_boot_ms();
		fprintf(stderr, "%s: no master leads just now; waiting for one\n", w->name);
		w->lines = 0;
	}
	return clock_boot_ms() - w->leaderless_since_ms < LEADERLESS_MS;
}

struct answer {
	struct loop *loop;
	struct api_result result;
};

static void
take_answer(void *arg, struct api_result *result)
{
	struct answer *a = arg;

	a->result = *result;
	loop_stop(a->loop, 0);
}

/* GET without a word about failures, which are looked at here. */
static int
look(struct watch *w, const char *target, const ProtobufCMessageDescriptor *type,
    ProtobufCMessage **message)
{
	const struct api_request request = {.method = "GET", .target = target, .reply = type};
	struct answer answer = {.loop = w->corral->loop};

	*message = NULL;
	if (!api_start(w->corral->api, &request, take_answer, &answer))
		return EX_OSERR;
	loop_run(w->corral->loop, NULL, NULL);
	*message = answer.result.message;
	if (answer.result.status != 0 && !may_wait(w, answer.result.status)) {
		corral_say("%s", answer.result.error);
		return answer.result.status;
	}
	if (answer.result.status == 0)
		w->leaderless_since_ms = 0;
	return answer.result.status == 0 ? 0 : EX_TEMPFAIL;
}

/* Over, and how: -1 while it goes on. */
static int
job_outcome(const Corral__Api__Job *job)
{
	const char *state = job->state != NULL ? job->state : "";

	if (strcmp(state, "finished") == 0)
		return 0;
	return strcmp(state, "failed") == 0 || strcmp(state, "stopped") == 0 ? 1 : -1;
}

/* One look at the job and its tasks: the outcome, -1 to look again, or an exit status above 1. */
static int
turn(struct watch *w)
{
	ProtobufCMessage *job = NULL, *tasks = NULL;
	char target[JOB_NAME_MAX + 16];
	int status;

	snprintf(target, sizeof target, "jobs/%s", w->name);
	status = look(w, target, &corral__api__job__descriptor, &job);
	snprintf(target, sizeof target, "tasks?job=%s", w->name);
	if (status == 0)
		status = look(w, target, &corral__api__task_list__descriptor, &tasks);
	if (status == 0) {
		show(w, (const Corral__Api__Job *)job, (const Corral__Api__TaskList *)tasks);
		status = job_outcome((const Corral__Api__Job *)job);
	} else if (status == EX_TEMPFAIL && w->leaderless_since_ms != 0) {
		status = -1;
	}
	protobuf_c_message_free_unpacked(job, NULL);
	protobuf_c_message_free_unpacked(tasks, NULL);
	return status;
}

/* Made before the signal may come: a handler may do little. */
static char farewell[JOB_NAME_MAX + 80];

static void
interrupted(int signo)
{
	ssize_t n = write(STDERR_FILENO, farewell, strlen(farewell));

	(void)n;
	_exit(128 + signo);
}

int
watch_job(struct corral *c, const char *name)
{
	struct watch w = {.corral = c, .name = name, .started_ms = clock_boot_ms()};
	int status;

	w.live = terminal_is_live();
	w.color = w.live && getenv("NO_COLOR") == NULL;
	timer_init(&w.timer, c->loop, wake, &w);
	snprintf(farewell, sizeof farewell,
	    "\n(the job goes on; 'corral watch %s' comes back to this view)\n", name);
	signal(SIGINT, interrupted);
	while ((status = turn(&w)) == -1)
		rest(&w);
	for (size_t i = 0; i < w.state_count; i++)
		free(w.states[i]);
	free(w.states);
	return status;
}

int
verb_watch(struct corral *c, int argc, char **argv)
{
	int status;

	(void)argc;
	if (!job_name_ok(argv[0])) {
		corral_say("'%s' is no name of a job", argv[0]);
		return EX_USAGE;
	}
	status = corral_connect(c);
	return status == 0 ? watch_job(c, argv[0]) : status;
}
