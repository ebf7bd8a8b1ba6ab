/* SPDX-License-Identifier: Apache-2.0 */
#include "master/why_reasons.h"

#include <stdarg.h>
#include <stdio.h>

#include "libcommon/base/amount.h"

static const char *const resource_names[] = {"cpu", "memory", "disk"};

static const char *
print(char to[AMOUNT_TEXT_MAX], int resource, uint64_t amount)
{
	return resource == RESOURCE_CPU ? amount_print_cpu(to, amount)
					: amount_print_size(to, amount);
}

/* One more reason: the text; what would change it is r->changes[r->count - 1] then. */
static void add(struct why_reasons *r, const char *what, uint32_t nodes, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
add(struct why_reasons *r, const char *what, uint32_t nodes, const char *fmt, ...)
{
	Corral__Api__WhyReason *item = &r->items[r->count];
	va_list ap;

	corral__api__why_reason__init(item);
	item->what = (char *)what;
	item->has_nodes = 1;
	item->nodes = nodes;
	item->text = r->texts[r->count];
	item->change = r->changes[r->count];
	va_start(ap, fmt);
	vsnprintf(r->texts[r->count], sizeof r->texts[0], fmt, ap);
	va_end(ap);
	r->pointers[r->count++] = item;
}

static char *
change(struct why_reasons *r)
{
	return r->changes[r->count - 1];
}

static void
add_barred(const struct why_sum *sum, const struct job *j, struct why_reasons *r)
{
	int d = (int)sum->barred.resource;
	const char *role = sum->barred.at->name, *name = resource_names[d];
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX], n[AMOUNT_TEXT_MAX];

	print(a, d, sum->taken);
	print(b, d, sum->bound);
	print(n, d, resources_get(&j->need, d));
	if (sum->barred.bar == SHARE_BAR_LIMIT) {
		add(r, "limit", 0, "role %s is at its limit of %s: has %s of %s, needs %s more%s",
		    role, name, a, b, n,
		    sum->unsettled ? "; what may run since the election counts, too" : "");
		snprintf(change(r), sizeof r->changes[0],
		    "when tasks of role %s end, or its limit is raised: corral quota set %s", role,
		    role);
	} else {
		add(r, "guarantee", 0,
		    "%s is kept for the guarantees of other roles: %s free, %s kept, needs %s",
		    name, b, a, n);
		snprintf(change(r), sizeof r->changes[0],
		    "when tasks end, nodes join, or a guarantee is lowered: corral quota");
	}
}

static void
add_lack(const struct why_sum *sum, const struct job *j, int d, struct why_reasons *r)
{
	uint64_t need = resources_get(&j->need, d);
	char a[AMOUNT_TEXT_MAX], n[AMOUNT_TEXT_MAX];

	print(a, d, resources_get(&sum->most_free, d));
	print(n, d, need);
	add(r, resource_names[d], sum->nodes[WHY_CPU + d],
	    "not enough %s (largest free %s, needs %s)", resource_names[d], a, n);
	print(a, d, resources_get(&sum->most_total, d));
	if (need > resources_get(&sum->most_total, d))
		snprintf(change(r), sizeof r->changes[0],
		    "no node has that much, the largest has %s: a larger node, or a job that needs "
		    "less",
		    a);
	else
		snprintf(change(r), sizeof r->changes[0], "when tasks there end, or a node joins");
}

static void
add_nodes(const struct why_sum *sum, enum why_kind kind, struct why_reasons *r)
{
	static const struct {
		const char *what, *text, *change;
	} rows[] = {
	    [WHY_STATE] = {"state", "not ready", "when they are back: corral nodes"},
	    [WHY_DRAINED] = {"drained", "drained", "when they are undrained: corral undrain"},
	    [WHY_SINGLETON] = {"singleton", "takes no singletons",
		"a node whose agent is root and has cgroups"},
	    [WHY_CONSTRAINT] = {"constraint", "a Constraint= of the job does not allow them",
		"a node that satisfies it, or another Constraint="},
	};

	if (kind == WHY_HELD) {
		add(r, "held", sum->nodes[kind], "held for job %s, which goes first",
		    sum->held_for);
		snprintf(change(r), sizeof r->changes[0], "when that is placed, or gives up");
		return;
	}
	add(r, rows[kind].what, sum->nodes[kind], "%s%s%s", rows[kind].text,
	    kind == WHY_SINGLETON ? ": " : "", kind == WHY_SINGLETON ? sum->lacks : "");
	snprintf(change(r), sizeof r->changes[0], "%s", rows[kind].change);
}

void
why_reasons(const struct why_sum *sum, const struct job *j, struct why_reasons *r)
{
	r->count = 0;
	if (sum->barred.bar != SHARE_BAR_NOT)
		add_barred(sum, j, r);
	for (enum why_kind kind = WHY_STATE; kind < WHY_KINDS; kind++) {
		if (sum->nodes[kind] == 0)
			continue;
		if (kind >= WHY_CPU)
			add_lack(sum, j, (int)kind - WHY_CPU, r);
		else
			add_nodes(sum, kind, r);
	}
}
