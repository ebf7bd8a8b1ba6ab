/* SPDX-License-Identifier: Apache-2.0 */
/* Why a task waits, or how it ended: for each node the first thing that it lacks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "master/master.h"
#include "master/why_reasons.h"

#define SET(v, field, value) ((v)->has_##field = 1, (v)->field = (value))

enum { WHY_NODES_MAX = 200 };

struct why {
	Corral__Api__WhyNode nodes[WHY_NODES_MAX], *pointers[WHY_NODES_MAX];
	char texts[WHY_NODES_MAX][128];
	uint32_t shown;
	struct why_sum sum;
	struct why_reasons reasons;
	char held[160], next[200];
};

static void
print_lack(enum why_kind kind, const struct resources *need, const struct resources *free_now,
    const struct resources *total, char text[128])
{
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX], d[AMOUNT_TEXT_MAX];

	if (kind == WHY_CPU)
		snprintf(text, 128, "needs %s, %s of %s free", amount_print_cpu(a, need->cpu_milli),
		    amount_print_cpu(b, free_now->cpu_milli),
		    amount_print_cpu(d, total->cpu_milli));
	else if (kind == WHY_MEMORY)
		snprintf(text, 128, "needs %s, %s of %s free",
		    amount_print_size(a, need->memory_bytes),
		    amount_print_size(b, free_now->memory_bytes),
		    amount_print_size(d, total->memory_bytes));
	else
		snprintf(text, 128, "needs %s, %s of %s free",
		    amount_print_size(a, need->disk_bytes),
		    amount_print_size(b, free_now->disk_bytes),
		    amount_print_size(d, total->disk_bytes));
}

static void
why_not(const struct master *m, const struct job *j, const struct agent *a, struct why *w)
{
	static const char *const names[WHY_KINDS] = {
	    "", "state", "state", "singleton", "constraint", "held", "cpu", "memory", "disk"};
	Corral__Api__WhyNode *n = &w->nodes[w->shown];
	enum why_kind kind = cluster_why_node(&m->cluster, j, a);
	struct resources free_now;
	char *text = w->texts[w->shown];

	if (a->gone || kind == WHY_FITS)
		return;
	corral__api__why_node__init(n);
	n->node = (char *)a->name;
	n->text = text;
	n->resource = (char *)names[kind];
	if (kind == WHY_STATE || kind == WHY_DRAINED) {
		snprintf(text, 128, "is %s%s", view_node_state(a),
		    a->closed ? ", and takes no tasks until it is undrained" : "");
	} else if (kind == WHY_SINGLETON) {
		snprintf(text, 128, "takes no singletons: %s", cluster_lacks_for_singletons(a));
	} else if (kind == WHY_CONSTRAINT) {
		snprintf(text, 128, "a Constraint= of the job does not allow it");
	} else if (kind == WHY_HELD) {
		snprintf(text, 128, "is held for job %s", a->held_for->name);
	} else {
		free_now = books_free(&m->cluster.books, a->node);
		print_lack(
		    kind, &j->need, &free_now, &m->cluster.books.accounts[a->node].total, text);
	}
	w->pointers[w->shown] = n;
	w->shown++;
}

/* The first of those that may run tasks which this leader has never heard of. */
static const char *
unheard_node(const struct cluster *c)
{
	for (uint32_t i = 0; i < c->agent_count; i++)
		if (c->by_number[i]->unheard)
			return c->by_number[i]->name;
	return "a node";
}

/* When OnDisconnect= lets the next attempt go. */
static void
print_replaced(struct why *w, const char *node, uint64_t at_ms, Corral__Api__Why *v)
{
	uint64_t now_ms = clock_boot_ms();

	if (at_ms == UINT64_MAX)
		snprintf(w->next, sizeof w->next,
		    "when %s is back, or was forgotten (OnDisconnect=wait): corral nodes --forget "
		    "%s",
		    node, node);
	else
		snprintf(w->next, sizeof w->next,
		    "when %s is back, or its time is over (OnDisconnect=replace): in %" PRIu64
		    " s.",
		    node, at_ms > now_ms ? (at_ms - now_ms + 999) / 1000 : 0);
	v->next = w->next;
}

static void
explain_unknown(struct master *m, const struct job *j, Corral__Api__Why *v, struct why *w)
{
	uint64_t until_ms = cluster_unheard_until_ms(&m->cluster, j);
	const char *node = unheard_node(&m->cluster);

	v->summary = (char *)"it may run on a node that has not come back since the election";
	v->next = (char *)"when all nodes of the registry are back or given up.";
	if (m->cluster.awaited > 0 || until_ms == 0)
		return;
	snprintf(w->held, sizeof w->held,
	    "it may run on %s, which was not heard since the election and is unreachable", node);
	v->summary = w->held;
	print_replaced(w, node, until_ms, v);
}

static void
explain_waiting(struct master *m, const struct job *j, const struct cell *cell, Corral__Api__Why *v,
    struct why *w)
{
	if (cell->state == CELL_UNKNOWN) {
		explain_unknown(m, j, v, w);
		return;
	}
	if (cell->state == CELL_DELAYED) {
		v->summary = (char *)"its last attempt failed, and it pauses before the next";
		v->next = (char *)"when RestartSec= is over.";
		return;
	}
	for (uint32_t i = 0; i < m->cluster.agent_count && w->shown < WHY_NODES_MAX; i++)
		why_not(m, j, m->cluster.by_number[i], w);
	cluster_why(&m->cluster, j, &w->sum);
	why_reasons(&w->sum, j, &w->reasons);
	v->nodes = w->pointers;
	v->n_nodes = w->shown;
	v->reasons = w->reasons.pointers;
	v->n_reasons = w->reasons.count;
	SET(v, nodes_total, w->sum.looked_at);
	SET(v, nodes_fit, w->sum.nodes[WHY_FITS]);
	v->summary = (char *)(w->sum.barred.bar == SHARE_BAR_LIMIT ? "its role is at its limit"
			      : w->sum.barred.bar == SHARE_BAR_GUARANTEE
				  ? "what is free is kept for guarantees"
			      : w->sum.nodes[WHY_FITS] > 0 ? "it is about to be placed"
							   : "no node fits");
	v->next = (char *)(w->sum.barred.bar == SHARE_BAR_LIMIT
			       ? "when a task of its role ends, or the limit is raised."
			       : "when a task ends or a node joins.");
}

/*
 * A singleton whose node is not heard: the next attempt waits for the end of this one. True: it is
 * one, and that was said.
 */
static bool
explain_lease(
    const struct master *m, const struct job *j, uint32_t index, Corral__Api__Why *v, struct why *w)
{
	const struct attempt *t =
	    j->policy.singleton ? cluster_live_attempt(&m->cluster, j, index) : NULL;
	uint64_t now_ms = clock_boot_ms(), at_ms;

	if (t == NULL || (t->agent->state == AGENT_READY && !t->stuck))
		return false;
	at_ms = cluster_give_up_at_ms(&m->cluster, t);
	snprintf(w->held, sizeof w->held, "its attempt %" PRIu32 " may still run on %s, which %s",
	    t->attempt, t->agent->name, t->stuck ? "cannot end it" : "is not heard");
	v->summary = w->held;
	if (at_ms == UINT64_MAX)
		snprintf(w->next, sizeof w->next,
		    "when %s has ended it, was started anew, or was powered off and forgotten: "
		    "corral-recovery(7).",
		    t->agent->name);
	else
		snprintf(w->next, sizeof w->next,
		    "when %s is heard, or its lease is over for sure: in %" PRIu64 " s.",
		    t->agent->name, at_ms > now_ms ? (at_ms - now_ms + 999) / 1000 : 0);
	v->next = w->next;
	return true;
}

/* Likewise one whose node is unreachable, which its job waits for. */
static bool
explain_kept(
    const struct master *m, const struct job *j, uint32_t index, Corral__Api__Why *v, struct why *w)
{
	const struct attempt *t = cluster_live_attempt(&m->cluster, j, index);
	uint64_t at_ms = t == NULL ? 0 : cluster_replaced_at_ms(t);

	if (at_ms == 0)
		return false;
	snprintf(w->held, sizeof w->held,
	    "its attempt %" PRIu32 " may still run on %s, which is unreachable", t->attempt,
	    t->agent->name);
	v->summary = w->held;
	print_replaced(w, t->agent->name, at_ms, v);
	return true;
}

/* How an ended task ended, and where: "exit status 5 on n1". */
static void
explain_end(const Corral__Api__Task *t, char *text, size_t size)
{
	const char *on = t->node != NULL ? " on " : "", *node = t->node != NULL ? t->node : "";

	if (t->has_exit_code && strcmp(t->reason, "exit") == 0)
		snprintf(text, size, "exit status %d%s%s", (int)t->exit_code, on, node);
	else if (t->has_signal)
		snprintf(text, size, "killed by signal %d (%s)%s%s", (int)t->signal,
		    strsignal((int)t->signal), on, node);
	else
		snprintf(text, size, "%s%s%s", t->reason != NULL ? t->reason : "ended", on, node);
}

void
view_why(struct master *m, struct http_request *r, const char *task)
{
	Corral__Api__Why v = CORRAL__API__WHY__INIT;
	Corral__Api__Task shown;
	Corral__Resources resources;
	char name[CLUSTER_NAME_MAX + 1] = "", ended[CLUSTER_NAME_MAX + 128];
	size_t size = strcspn(task, ".");
	uint64_t index = 0;
	struct job *j;
	struct why *w;

	if (size <= CLUSTER_NAME_MAX)
		memcpy(name, task, size);
	j = cluster_job(&m->cluster, name);
	if (j == NULL ||
	    (task[size] == '.' && !str_to_u64(task + size + 1, 0, j->count - 1, &index))) {
		api_error(m, r, 404, "there is no task '%s'", task);
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		api_error(m, r, 503, "out of memory");
		return;
	}
	view_task(m, j, (uint32_t)index, &shown, &resources);
	v.task = (char *)task;
	v.state = shown.state;
	if (explain_lease(m, j, (uint32_t)index, &v, w) ||
	    explain_kept(m, j, (uint32_t)index, &v, w)) {
		SET(&v, waiting_ms, (int64_t)(clock_boot_ms() - j->since_ms));
	} else if (strcmp(shown.state, "waiting") == 0 || strcmp(shown.state, "recovering") == 0) {
		SET(&v, waiting_ms, (int64_t)(clock_boot_ms() - j->since_ms));
		explain_waiting(m, j, &j->cells[index], &v, w);
	} else if (shown.reason != NULL) {
		explain_end(&shown, ended, sizeof ended);
		v.summary = ended;
	} else {
		v.summary = shown.node;
	}
	api_reply(m, r, 200, &v.base);
	free(w);
}
