/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that print a table: jobs, ps, nodes. */
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "libcommon/job/jobfile.h"
#include "proto/api.pb-c.h"

static const struct table_column job_columns[] = {{.name = "JOB"}, {.name = "TYPE"},
    {.name = "STATE"}, {.name = "COUNT", .right = true}, {.name = "WAITING", .right = true},
    {.name = "RUNNING", .right = true}, {.name = "FINISHED", .right = true},
    {.name = "FAILED", .right = true}, {.name = "LOST", .right = true},
    {.name = "RETRIES", .right = true}, {.name = "AGE", .right = true},
    {.name = "ID", .hidden = true}, {.name = "BY", .hidden = true},
    {.name = "DESCRIPTION", .hidden = true}, {.name = "ROLE", .hidden = true},
    {.name = "PRIORITY", .right = true, .hidden = true}};
static const struct table_column task_columns[] = {{.name = "JOB"}, {.name = "TASK", .right = true},
    {.name = "STATE"}, {.name = "NODE"}, {.name = "CPU", .right = true},
    {.name = "MEM", .right = true}, {.name = "AGE", .right = true}, {.name = "EXIT"},
    {.name = "ID", .hidden = true}, {.name = "ATTEMPT", .right = true, .hidden = true},
    {.name = "RETRIES", .right = true, .hidden = true},
    {.name = "DISK", .right = true, .hidden = true}, {.name = "REASON", .hidden = true},
    {.name = "MESSAGE", .hidden = true}};
static const struct table_column node_columns[] = {{.name = "NODE"}, {.name = "STATE"},
    {.name = "CPU", .right = true}, {.name = "MEM", .right = true}, {.name = "DISK", .right = true},
    {.name = "TASKS", .right = true}, {.name = "SEEN", .right = true},
    {.name = "ID", .hidden = true}, {.name = "ADDRESS", .hidden = true},
    {.name = "VERSION", .hidden = true}, {.name = "LOAD", .hidden = true},
    {.name = "MISSING", .hidden = true}, {.name = "ATTRIBUTES", .hidden = true},
    {.name = "DRAIN", .hidden = true}};

/* How long ago a wall time was; "" if it is unknown. */
static const char *
print_since(char to[AMOUNT_TEXT_MAX], int64_t wall_ms)
{
	int64_t age = clock_wall_ms() - wall_ms;

	if (wall_ms <= 0)
		return "";
	return amount_print_age(to, age > 0 ? (uint64_t)age : 0);
}

/* ---- jobs ---- */

static void
add_job(struct table *t, const void *row)
{
	const Corral__Api__Job *j = row;
	char age[AMOUNT_TEXT_MAX];

	table_add(t, "%s", j->name);
	table_add(t, "%s", j->type != NULL ? j->type : "");
	table_add(t, "%s", j->state != NULL ? j->state : "");
	table_add(t, "%u", j->count);
	table_add(t, "%u", j->waiting);
	table_add(t, "%u", j->running);
	table_add(t, "%u", j->finished);
	table_add(t, "%u", j->failed);
	table_add(t, "%u", j->lost);
	table_add(t, "%u", j->retries);
	table_add(t, "%s", print_since(age, j->submitted_wall_ms));
	table_add(t, "%s", j->name);
	table_add(t, "%s", j->submitted_by != NULL ? j->submitted_by : "");
	table_add(t, "%s", j->description != NULL ? j->description : "");
	table_add(t, "%s", j->role != NULL ? j->role : "");
	table_add(t, "%u", j->priority);
}

static const struct corral_list jobs = {.target = "jobs",
    .member = "jobs",
    .reply = &corral__api__job_list__descriptor,
    CORRAL_COLUMNS(job_columns),
    .id = "id",
    .add = add_job};

int
verb_jobs(struct corral *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return corral_print_list(c, &jobs, "");
}

/* ---- ps ---- */

static void
add_exit(struct table *t, const Corral__Api__Task *k)
{
	const char *name = k->signal > 0 ? sigabbrev_np(k->signal) : NULL;

	if (name != NULL)
		table_add(t, "SIG%s", name);
	else if (k->signal > 0)
		table_add(t, "signal %d", k->signal);
	else if (k->has_exit_code)
		table_add(t, "%d", k->exit_code);
	else
		table_add(t, "%s", "");
}

static void
add_task(struct table *t, const void *row)
{
	const Corral__Api__Task *k = row;
	static const Corral__Resources none = CORRAL__RESOURCES__INIT;
	const Corral__Resources *r = k->resources != NULL ? k->resources : &none;
	char text[AMOUNT_TEXT_MAX];

	table_add(t, "%s", k->job);
	table_add(t, "%u", k->index);
	table_add(t, "%s", k->state);
	table_add(t, "%s", k->node != NULL ? k->node : "");
	table_add(t, "%s", amount_print_cpu(text, r->cpu_milli));
	table_add(t, "%s", amount_format_size(text, r->memory_bytes));
	table_add(t, "%s", print_since(text, k->since_wall_ms));
	add_exit(t, k);
	table_add(t, "%s.%u", k->job, k->index);
	table_add(t, "%u", k->attempt);
	table_add(t, "%u", k->retries);
	table_add(t, "%s", amount_format_size(text, r->disk_bytes));
	table_add(t, "%s", k->reason != NULL ? k->reason : "");
	table_add(t, "%s", k->message != NULL ? k->message : "");
}

static const struct corral_list tasks = {.target = "tasks",
    .member = "tasks",
    .reply = &corral__api__task_list__descriptor,
    CORRAL_COLUMNS(task_columns),
    .id = "id",
    .add = add_task};

int
verb_ps(struct corral *c, int argc, char **argv)
{
	char query[JOB_NAME_MAX + 8] = "";

	if (argc > 0 && !job_name_ok(argv[0])) {
		corral_say("'%s' is no name of a job", argv[0]);
		return EX_USAGE;
	}
	if (argc > 0)
		snprintf(query, sizeof query, "?job=%s", argv[0]);
	return corral_print_list(c, &tasks, query);
}

/* ---- nodes ---- */

/* "0.1/23.4 GiB": the first amount in the second one's unit. */
static void
add_share(struct table *t, uint64_t used, uint64_t whole)
{
	char text[AMOUNT_TEXT_MAX];
	const char *unit;
	double scale;

	amount_print_size(text, whole);
	unit = strchr(text, ' ');
	scale = whole != 0 ? strtod(text, NULL) / (double)whole : 0;
	table_add(t, "%.1f/%s", (double)used * scale, unit != NULL ? text : "0 B");
}

/* "from in 2h, stops in 3h, until in 5h" */
static void
add_moment(struct buf *text, const char *what, bool has, int64_t wall_ms)
{
	int64_t left_ms = wall_ms - clock_wall_ms();
	char time[AMOUNT_TEXT_MAX];

	if (has && left_ms > 0)
		buf_printf(text, "%s%s in %s", text->len > 0 ? ", " : "", what,
		    amount_print_age(time, (uint64_t)left_ms));
}

static void
add_drain(struct table *t, const Corral__Api__Node *n, struct buf *text)
{
	buf_clear(text);
	add_moment(text, "begins", n->has_drain_from_wall_ms, n->drain_from_wall_ms);
	add_moment(text, "stops tasks", n->has_drain_stop_wall_ms, n->drain_stop_wall_ms);
	add_moment(text, "ends", n->has_drain_until_wall_ms, n->drain_until_wall_ms);
	if (text->len == 0 && n->has_drain_from_wall_ms)
		buf_printf(text, "until it is undrained");
	table_add(t, "%s", buf_text(text));
}

static void
add_node_details(struct table *t, const Corral__Api__Node *n)
{
	struct buf text;

	table_add(t, "%s", n->id != NULL ? n->id : "");
	table_add(t, "%s", n->address != NULL ? n->address : "");
	table_add(t, "%s", n->version != NULL ? n->version : "");
	table_add(t, "%.2f", n->usage != NULL ? n->usage->load_1m_milli / 1000.0 : 0.0);
	buf_init(&text, 4096);
	for (size_t i = 0; i < n->n_missing_isolation; i++)
		buf_printf(&text, "%s%s", i > 0 ? "," : "", n->missing_isolation[i]);
	table_add(t, "%s", buf_text(&text));
	buf_clear(&text);
	for (size_t i = 0; i < n->n_attributes; i++)
		buf_printf(&text, "%s%s=%s", i > 0 ? "," : "", n->attributes[i]->name,
		    n->attributes[i]->value);
	table_add(t, "%s", buf_text(&text));
	add_drain(t, n, &text);
	buf_fini(&text);
}

static void
add_node(struct table *t, const void *row)
{
	const Corral__Api__Node *n = row;
	static const Corral__Resources none = CORRAL__RESOURCES__INIT;
	const Corral__Resources *whole = n->capacity != NULL ? n->capacity : &none;
	const Corral__Resources *used = n->used != NULL ? n->used : &none;
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX];

	table_add(t, "%s", n->name);
	table_add(t, "%s", n->state != NULL ? n->state : "");
	table_add(t, "%s/%s", amount_print_cpu(a, used->cpu_milli),
	    amount_print_cpu(b, whole->cpu_milli));
	add_share(t, used->memory_bytes, whole->memory_bytes);
	add_share(t, used->disk_bytes, whole->disk_bytes);
	table_add(t, "%u", n->tasks);
	table_add(t, "%s", amount_print_age(a, n->seen_ms_ago > 0 ? (uint64_t)n->seen_ms_ago : 0));
	add_node_details(t, n);
}

static const struct corral_list nodes = {.target = "nodes",
    .member = "nodes",
    .reply = &corral__api__node_list__descriptor,
    CORRAL_COLUMNS(node_columns),
    .id = "node",
    .add = add_node};

int
verb_nodes(struct corral *c, int argc, char **argv)
{
	const struct corral_options *o = &c->options;

	(void)argc;
	(void)argv;
	if (o->forget != NULL && o->mark_unreachable != NULL) {
		corral_say("--forget or --mark-unreachable, one at a time");
		return EX_USAGE;
	}
	if (o->powered_off && o->forget == NULL) {
		corral_say("--i-have-powered-it-off goes with --forget NODE");
		return EX_USAGE;
	}
	if (o->forget != NULL)
		return node_forget(c);
	return o->mark_unreachable != NULL ? node_mark_unreachable(c)
					   : corral_print_list(c, &nodes, "");
}
