/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R4: no role is given more than its limit, by what may run and what the store says, whatever else
 * is going on. And beside an oracle, where that can tell: after a master has placed what it could,
 * the same is placed once more by the definition of fair shares (fair_oracle.h), from what there
 * was before and from quotas as the store has them. Both must have placed as many tasks of each job
 * on each node.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "tests/lib/fair_oracle.h"
#include "tests/sim/cl_check_in.h"

#define MIB (UINT64_C(1) << 20)

struct pair {
	struct cl_master *m;
	struct fair fair;
	struct job *jobs[FAIR_JOBS_MAX]; /* NULL: a doomed attempt */
	uint32_t on[FAIR_JOBS_MAX][FAIR_NODES_MAX];
	bool launched[FAIR_ROLES_MAX]; /* by this turn, for it or below it */
};

static int
role_number(const struct share *s, const struct role *r)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->roles[i] == r)
			return (int)i;
	return -1;
}

/* What the oracle knows nothing of, and what is not stored yet, is left out. */
static bool
can_compare(const struct cluster *c)
{
	struct list *it, *nx;

	if (c->unplaced || !list_empty(&c->reserving) || !list_empty(&c->holding) || c->failed ||
	    c->quota_in_batch || (c->quota_piece & PIECE_DIRTY) != 0)
		return false;
	LIST_EACH(it, nx, (struct list *)&c->live) {
		const struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (j->singles != NULL)
			return false;
	}
	return true;
}

/* ---- Quotas, from their text in the store. ---- */

static uint64_t
in_units(uint64_t amount, int kind)
{
	return amount == QUOTA_NO_LIMIT ? FAIR_NO_LIMIT : kind == 0 ? amount : amount / MIB;
}

static void
take_amounts(const char *text, uint64_t none, uint64_t to[FAIR_KINDS])
{
	uint64_t amounts[3] = {none, none, none};

	if (strcmp(text, "-") != 0 &&
	    !amount_parse_resources(text, &amounts[0], &amounts[1], &amounts[2]))
		exit(70);
	for (int kind = 0; kind < FAIR_KINDS; kind++)
		to[kind] = in_units(amounts[kind], kind);
}

static struct fair_role *
role_named(struct fair *f, const char *name)
{
	for (int i = 0; i < f->role_count; i++)
		if (strcmp(f->roles[i].name, name) == 0)
			return &f->roles[i];
	return NULL;
}

static void
take_line(struct fair *f, const char *line)
{
	char name[ROLE_NAME_MAX + 1], first[128], second[128];
	struct fair_role *r;

	if (sscanf(line, "%63s guarantee %127s limit %127s", name, first, second) != 3 ||
	    (r = role_named(f, name)) == NULL)
		return;
	take_amounts(first, 0, r->guarantee);
	take_amounts(second, QUOTA_NO_LIMIT, r->limit);
}

static void
read_quotas(struct pair *p)
{
	uint64_t at;
	const struct cl_version *v =
	    cl_tree_get(cl_ens_tree(p->m->c, &at), "/corral/quota", UINT64_MAX);
	char *text, *save = NULL;

	if (v == NULL)
		return;
	text = cl_alloc(v->size + 1);
	memcpy(text, v->data, v->size);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		take_line(&p->fair, line);
	free(text);
}

static void
take_roles(struct pair *p)
{
	const struct share *s = &p->m->cluster.books.share;

	p->fair.role_count = (int)s->count;
	for (uint32_t i = 0; i < s->count; i++)
		p->fair.roles[i] = (struct fair_role){.name = s->roles[i]->name,
		    .parent = role_number(s, s->roles[i]->parent),
		    .weight = s->roles[i]->weight,
		    .limit = {FAIR_NO_LIMIT, FAIR_NO_LIMIT}};
	read_quotas(p);
}

/* ---- Nodes and jobs, as they were before the turn. ---- */

static void
take_nodes(struct pair *p)
{
	const struct cluster *c = &p->m->cluster;

	p->fair.node_count = (int)c->books.place.count;
	for (uint32_t i = 0; i < c->books.place.count; i++) {
		const struct agent *a = c->by_node[i];
		const struct resources *total = &c->books.accounts[i].total;

		p->fair.nodes[i][0] = in_units(total->cpu_milli, 0);
		p->fair.nodes[i][1] = in_units(total->memory_bytes, 1);
		p->fair.closed[i] = a->state != AGENT_READY || a->closed;
	}
}

static int
add_job(struct pair *p, struct job *job, const struct role *role, const struct resources *need)
{
	struct fair_job *j;

	if (p->fair.job_count == FAIR_JOBS_MAX)
		return -1;
	j = &p->fair.jobs[p->fair.job_count];
	*j = (struct fair_job){.role = role_number(&p->m->cluster.books.share, role),
	    .need = {in_units(need->cpu_milli, 0), in_units(need->memory_bytes, 1)}};
	p->jobs[p->fair.job_count] = job;
	return p->fair.job_count++;
}

static int
job_number(const struct pair *p, const struct job *job)
{
	for (int i = 0; i < p->fair.job_count; i++)
		if (p->jobs[i] == job)
			return i;
	return -1;
}

static bool
take_jobs(struct pair *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->m->cluster.live) {
		struct job *job = CONTAINER_OF(it, struct job, in_order);
		int n = add_job(p, job, job->role, &job->need);
		struct fair_job *j = &p->fair.jobs[n];

		if (n < 0)
			return false;
		j->priority = job->policy.priority;
		j->pending = job->state == JOB_RUNNING ? job->in_state[CELL_PENDING] : 0;
		for (int kind = 0; kind < FAIR_KINDS; kind++)
			p->fair.roles[j->role].unsettled[kind] +=
			    (fair_wide)job->in_state[CELL_UNKNOWN] * j->need[kind];
	}
	return true;
}

/* What runs there, or may: on[] as it is now. */
static bool
take_attempts(struct pair *p, const struct agent *a)
{
	struct list *it, *nx;

	if (a->node == PLACE_NONE)
		return true;
	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);
		int n = t->booked ? job_number(p, t->job) : 0;

		if (n < 0)
			return false;
		if (t->booked)
			p->on[n][a->node]++;
	}
	LIST_EACH(it, nx, (struct list *)&a->doomed) {
		const struct doomed *d = CONTAINER_OF(it, struct doomed, in_agent);
		int n = d->booked ? add_job(p, NULL, d->role, &d->need) : 0;

		if (n < 0)
			return false;
		if (d->booked)
			p->on[n][a->node]++;
	}
	return true;
}

/* (A singleton's place was decided on before, and has become stored.) */
static void
note_launched(struct pair *p)
{
	const struct cluster_out *out = &p->m->cluster.out;

	for (size_t i = 0; i < out->count; i++) {
		const struct out *o = &out->items[i];
		bool now = o->kind == OUT_LAUNCH && o->job->singles == NULL;
		int n = now ? job_number(p, o->job) : -1;

		for (int r = n < 0 ? -1 : p->fair.jobs[n].role; r >= 0; r = p->fair.roles[r].parent)
			p->launched[r] = true;
	}
}

/* What this turn has launched was waiting before it. */
static void
rewind_turn(struct pair *p)
{
	const struct cluster_out *out = &p->m->cluster.out;

	for (size_t i = 0; i < out->count; i++) {
		const struct out *o = &out->items[i];
		int n = o->kind == OUT_LAUNCH ? job_number(p, o->job) : -1;

		if (n < 0)
			continue;
		p->fair.jobs[n].pending++;
		p->fair.jobs[n].on[o->agent->node]--;
	}
}

static void
compare(const struct pair *p)
{
	for (int i = 0; i < p->fair.job_count; i++)
		for (int node = 0; node < p->fair.node_count; node++)
			if (p->fair.jobs[i].on[node] != p->on[i][node])
				VIOLATED(p->m->c,
				    "R4: master-%u has %u of %s on %s, and by what is fair there "
				    "are %u",
				    p->m->number, p->on[i][node],
				    p->jobs[i] == NULL ? "?" : p->jobs[i]->name,
				    p->m->cluster.by_node[node]->name, p->fair.jobs[i].on[node]);
}

static bool
is_over(fair_wide used, uint64_t limit)
{
	return limit != FAIR_NO_LIMIT && used > limit;
}

/* Roles of which something was launched in this turn are within their limits, old and new. */
static void
check_limits(const struct pair *p)
{
	const struct cluster *c = &p->m->cluster;

	/* (What is reserved is consumed, in use or not.) */
	for (int i = 0; i < p->fair.role_count && list_empty(&c->reserving); i++)
		for (int kind = 0; kind < FAIR_KINDS; kind++) {
			const struct fair_role *r = &p->fair.roles[i];
			fair_wide used = fair_at_most_used(&p->fair, i, kind);
			uint64_t set = in_units(resources_get(&c->books.share.roles[i]->quota.limit,
						    kind == 0 ? RESOURCE_CPU : RESOURCE_MEMORY),
			    kind);

			if (p->launched[i] && (is_over(used, r->limit[kind]) || is_over(used, set)))
				VIOLATED(p->m->c,
				    "R4: master-%u launches for role %s beyond its limit",
				    p->m->number, r->name);
		}
}

void
cl_check_fair(struct cl_master *m, bool held)
{
	static struct pair p; /* large */
	bool all;

	if (m->cluster.books.place.count > FAIR_NODES_MAX ||
	    m->cluster.books.share.count > FAIR_ROLES_MAX)
		return;
	memset(&p, 0, sizeof p);
	p.m = m;
	p.fair.own_weight = SHARE_WEIGHT_ONE;
	take_roles(&p);
	take_nodes(&p);
	all = take_jobs(&p);
	for (uint32_t i = 0; all && i < m->cluster.agent_count; i++)
		all = take_attempts(&p, m->cluster.by_number[i]);
	if (!all)
		return;
	for (int i = 0; i < p.fair.job_count; i++)
		memcpy(p.fair.jobs[i].on, p.on[i], sizeof p.on[i]);
	note_launched(&p);
	check_limits(&p);
	if (held || !can_compare(&m->cluster))
		return;
	rewind_turn(&p);
	m->c->check->totals.compared++;
	fair_turn(&p.fair);
	compare(&p);
}
