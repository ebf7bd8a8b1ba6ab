/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fair_oracle.h"

#include <string.h>

static bool
is_below(const struct fair *f, int role, int top)
{
	for (; role >= 0; role = f->roles[role].parent)
		if (role == top)
			return true;
	return false;
}

static uint32_t
tasks_of(const struct fair_job *j)
{
	uint32_t n = 0;

	for (int i = 0; i < FAIR_NODES_MAX; i++)
		n += j->on[i];
	return n;
}

/* Of a role's own jobs, or of all jobs below it. */
static uint64_t
used_by(const struct fair *f, int role, bool own, int kind)
{
	uint64_t sum = 0;

	for (int i = 0; i < f->job_count; i++)
		if (own ? f->jobs[i].role == role : is_below(f, f->jobs[i].role, role))
			sum += tasks_of(&f->jobs[i]) * f->jobs[i].need[kind];
	return sum;
}

uint64_t
fair_used(const struct fair *f, int role, int kind)
{
	return used_by(f, role, false, kind);
}

static uint32_t
tasks_by(const struct fair *f, int role, bool own)
{
	uint32_t sum = 0;

	for (int i = 0; i < f->job_count; i++)
		if (own ? f->jobs[i].role == role : is_below(f, f->jobs[i].role, role))
			sum += tasks_of(&f->jobs[i]);
	return sum;
}

static uint64_t
total(const struct fair *f, int kind)
{
	uint64_t sum = 0;

	for (int i = 0; i < f->node_count; i++)
		sum += f->nodes[i][kind];
	return sum;
}

static uint64_t
free_on(const struct fair *f, int node, int kind)
{
	uint64_t left = f->nodes[node][kind];

	for (int i = 0; i < f->job_count; i++)
		left -= f->jobs[i].on[node] * f->jobs[i].need[kind];
	return left;
}

fair_wide
fair_at_most_used(const struct fair *f, int role, int kind)
{
	fair_wide sum = fair_used(f, role, kind);

	for (int i = 0; i < f->role_count; i++)
		if (is_below(f, i, role))
			sum += f->roles[i].unsettled[kind];
	return sum;
}

static uint64_t
missing(const struct fair *f, int role, int kind)
{
	uint64_t used = fair_used(f, role, kind), guarantee = f->roles[role].guarantee[kind];

	return guarantee > used ? guarantee - used : 0;
}

struct fraction {
	uint64_t over, under;
};

static int
compare(struct fraction a, struct fraction b)
{
	uint64_t x = a.over * b.under, y = b.over * a.under;

	return x < y ? -1 : x > y;
}

static struct fraction
share(const struct fair *f, int role, bool own)
{
	struct fraction most = {0, 1};

	for (int kind = 0; kind < FAIR_KINDS; kind++) {
		struct fraction part = {used_by(f, role, own, kind),
		    total(f, kind) * (own ? f->own_weight : f->roles[role].weight)};

		if (compare(part, most) > 0)
			most = part;
	}
	return most;
}

static bool
is_short(const struct fair *f, int role, bool own)
{
	bool any = false;

	for (int kind = 0; kind < FAIR_KINDS; kind++) {
		if (f->roles[role].guarantee[kind] == 0)
			continue;
		if (missing(f, role, kind) == 0)
			return false;
		any = true;
	}
	return any && !own;
}

static struct fair_job *
next_job(struct fair *f, int role)
{
	struct fair_job *best = NULL;

	for (int i = 0; i < f->job_count; i++) {
		struct fair_job *j = &f->jobs[i];

		if (j->role == role && j->pending > 0 && !j->done &&
		    (best == NULL || j->priority > best->priority))
			best = j;
	}
	return best;
}

static bool
contends(struct fair *f, int role, bool own)
{
	for (int i = 0; i < f->role_count; i++)
		if ((own ? i == role : is_below(f, i, role)) && next_job(f, i) != NULL)
			return true;
	return false;
}

/* Does one sibling go before another? */
static bool
goes_before(const struct fair *f, int a, bool a_own, int b, bool b_own)
{
	int by_share = compare(share(f, a, a_own), share(f, b, b_own));

	if (is_short(f, a, a_own) != is_short(f, b, b_own))
		return is_short(f, a, a_own);
	if (by_share != 0)
		return by_share < 0;
	if (tasks_by(f, a, a_own) != tasks_by(f, b, b_own))
		return tasks_by(f, a, a_own) < tasks_by(f, b, b_own);
	if (a_own != b_own)
		return a_own;
	return strcmp(f->roles[a].name, f->roles[b].name) < 0;
}

/* Who is next among the children of `parent` and its own jobs: a role, -1 for nobody. */
static int
next_role(struct fair *f, int parent)
{
	bool best_own = parent >= 0 && contends(f, parent, true);
	int best = best_own ? parent : -1;

	for (int i = 0; i < f->role_count; i++)
		if (f->roles[i].parent == parent && contends(f, i, false) &&
		    (best < 0 || goes_before(f, i, false, best, best_own))) {
			best = i;
			best_own = false;
		}
	return best < 0 || best_own ? best : next_role(f, best);
}

static bool
may_have(const struct fair *f, int role, const uint64_t need[FAIR_KINDS])
{
	int top = role;

	while (f->roles[top].parent >= 0)
		top = f->roles[top].parent;
	for (int kind = 0; kind < FAIR_KINDS; kind++) {
		uint64_t required = 0, available = 0, spare;

		for (int i = 0; i < f->role_count; i++)
			if (f->roles[i].parent < 0)
				required += missing(f, i, kind);
		for (int i = 0; i < f->node_count; i++)
			available += f->closed[i] ? 0 : free_on(f, i, kind);
		spare = available > required ? available - required : 0;
		if (required > 0 && need[kind] > 0 && need[kind] > missing(f, top, kind) + spare)
			return false;
		for (int i = role; i >= 0; i = f->roles[i].parent)
			if (f->roles[i].limit[kind] != FAIR_NO_LIMIT &&
			    fair_at_most_used(f, i, kind) + need[kind] > f->roles[i].limit[kind])
				return false;
	}
	return true;
}

static bool
place(struct fair *f, struct fair_job *j)
{
	for (int i = 0; i < f->node_count; i++) {
		bool fits = !f->closed[i];

		for (int kind = 0; kind < FAIR_KINDS; kind++)
			fits = fits && j->need[kind] <= free_on(f, i, kind);
		if (!fits)
			continue;
		j->on[i]++;
		j->pending--;
		return true;
	}
	return false;
}

void
fair_turn(struct fair *f)
{
	struct fair_job *j;
	int role;

	for (int i = 0; i < f->job_count; i++)
		f->jobs[i].done = false;
	while ((role = next_role(f, -1)) >= 0) {
		j = next_job(f, role);
		if (!may_have(f, role, j->need) || !place(f, j))
			j->done = true;
	}
}
