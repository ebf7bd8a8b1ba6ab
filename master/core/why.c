/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/why.h"

#include "master/core/inside.h"

enum why_kind
cluster_why_node(const struct cluster *c, const struct job *j, const struct agent *a)
{
	struct resources usable;

	if (a->state != AGENT_READY)
		return WHY_STATE;
	if (a->closed)
		return WHY_DRAINED;
	if (j->policy.singleton && cluster_lacks_for_singletons(a) != NULL)
		return WHY_SINGLETON;
	if (j->policy.constrained && !c->ops.allows(j->definition, a))
		return WHY_CONSTRAINT;
	if (a->held_for != NULL && a->held_for != j)
		return WHY_HELD;
	usable = reserve_usable(c, a, j->role);
	for (int d = 0; d < RESOURCE_COUNT; d++)
		if (resources_get(&j->need, d) > resources_get(&usable, d))
			return (enum why_kind)(WHY_CPU + d);
	return WHY_FITS;
}

static void
raise(struct resources *most, const struct resources *a, int d)
{
	if (resources_get(a, d) > resources_get(most, d))
		resources_set(most, d, resources_get(a, d));
}

static void
count_node(const struct cluster *c, const struct job *j, const struct agent *a, struct why_sum *sum)
{
	enum why_kind kind = cluster_why_node(c, j, a);
	struct resources free_now;

	sum->looked_at++;
	sum->nodes[kind]++;
	if (kind == WHY_SINGLETON && sum->lacks == NULL)
		sum->lacks = cluster_lacks_for_singletons(a);
	if (kind == WHY_HELD)
		sum->held_for = a->held_for->name;
	if (a->node == PLACE_NONE)
		return;
	for (int d = 0; d < RESOURCE_COUNT; d++)
		raise(&sum->most_total, &c->books.accounts[a->node].total, d);
	free_now = reserve_usable(c, a, j->role);
	if (kind >= WHY_CPU)
		raise(&sum->most_free, &free_now, (int)kind - WHY_CPU);
}

void
cluster_why(struct cluster *c, const struct job *j, struct why_sum *sum)
{
	struct share *s = &c->books.share;
	struct resources available = books_available(&c->books), consumed;
	int d;

	*sum = (struct why_sum){0};
	share_begin(s, &available);
	share_room(s, j->role, &j->need, 1, &sum->barred);
	d = (int)sum->barred.resource;
	if (sum->barred.bar == SHARE_BAR_LIMIT) {
		consumed = share_consumed(sum->barred.at);
		sum->bound = resources_get(&sum->barred.at->limit, d);
		sum->taken = resources_get(&consumed, d);
		sum->unsettled = sum->barred.at->unsettled[d] > 0;
	} else if (sum->barred.bar == SHARE_BAR_GUARANTEE) {
		sum->bound = resources_get(&available, d);
		sum->taken =
		    resources_get(&s->required, d) - resources_get(&sum->barred.at->unmet, d);
	}
	for (uint32_t i = 0; i < c->agent_count; i++)
		if (!c->by_number[i]->gone)
			count_node(c, j, c->by_number[i], sum);
}
