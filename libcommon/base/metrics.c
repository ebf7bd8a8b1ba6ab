/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789"
#define DECIMALS_MAX 18

void
metrics_init(struct metrics *r)
{
	list_init(&r->all);
}

static struct metric *
metric_of(struct list *link)
{
	return CONTAINER_OF(link, struct metric, link);
}

/* Behind the last one of its name, so that a family prints as one block. */
static void
add_metric(struct metrics *r, struct metric *m, enum metric_kind kind, const char *name,
    const char *help, const char *labels)
{
	struct list *it, *nx, *after = NULL;

	assert(name[0] != '\0' && (name[0] < '0' || name[0] > '9') &&
	       strspn(name, NAME_BYTES) == strlen(name));
	assert(strpbrk(help, "\n\\") == NULL);
	*m = (struct metric){.name = name, .help = help, .labels = labels, .kind = kind};
	LIST_EACH(it, nx, &r->all) {
		if (strcmp(metric_of(it)->name, name) != 0)
			continue;
		assert(metric_of(it)->kind == kind && strcmp(metric_of(it)->help, help) == 0);
		after = it;
	}
	list_insert_before(after != NULL ? after->next : &r->all, &m->link);
}

void
metrics_counter(
    struct metrics *r, struct metric *m, const char *name, const char *help, const char *labels)
{
	add_metric(r, m, METRIC_COUNTER, name, help, labels);
}

void
metrics_gauge(
    struct metrics *r, struct metric *m, const char *name, const char *help, const char *labels)
{
	add_metric(r, m, METRIC_GAUGE, name, help, labels);
}

void
metrics_histogram(struct metrics *r, struct metric_histogram *h, const char *name, const char *help,
    const char *labels, unsigned decimals, const uint64_t *bounds, size_t bound_count)
{
	assert(bound_count <= METRICS_BUCKETS_MAX && decimals <= DECIMALS_MAX);
	for (size_t i = 1; i < bound_count; i++)
		assert(bounds[i - 1] < bounds[i]);
	*h = (struct metric_histogram){.bounds = bounds, .bound_count = bound_count};
	add_metric(r, &h->m, METRIC_HISTOGRAM, name, help, labels);
	h->m.decimals = decimals;
}

void
metric_observe(struct metric_histogram *h, uint64_t value)
{
	size_t i = 0;

	while (i < h->bound_count && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->sum += value;
}

/* value * 10^-decimals, without zeros at the end. */
static void
print_number(uint64_t value, unsigned decimals, struct buf *out)
{
	uint64_t scale = 1, fraction;

	for (unsigned i = 0; i < decimals; i++)
		scale *= 10;
	buf_printf(out, "%" PRIu64, value / scale);
	for (fraction = value % scale; decimals > 0 && fraction % 10 == 0; decimals--)
		fraction /= 10;
	if (decimals > 0)
		buf_printf(out, ".%0*" PRIu64, (int)decimals, fraction);
}

static void
print_signed(int64_t value, unsigned decimals, struct buf *out)
{
	if (value < 0)
		buf_append(out, "-", 1);
	print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, decimals, out);
}

/* "name_suffix{labels} " */
static void
print_name(const struct metric *m, const char *suffix, struct buf *out)
{
	buf_printf(out, "%s%s", m->name, suffix);
	if (m->labels != NULL)
		buf_printf(out, "{%s}", m->labels);
	buf_append(out, " ", 1);
}

static void
print_histogram(const struct metric_histogram *h, struct buf *out)
{
	const char *labels = h->m.labels != NULL ? h->m.labels : "";
	const char *comma = *labels != '\0' ? "," : "";
	uint64_t below = 0;

	for (size_t i = 0; i <= h->bound_count; i++) {
		below += h->counts[i];
		buf_printf(out, "%s_bucket{%s%sle=\"", h->m.name, labels, comma);
		if (i < h->bound_count)
			print_number(h->bounds[i], h->m.decimals, out);
		else
			buf_printf(out, "+Inf");
		buf_printf(out, "\"} %" PRIu64 "\n", below);
	}
	print_name(&h->m, "_sum", out);
	print_number(h->sum, h->m.decimals, out);
	buf_append(out, "\n", 1);
	print_name(&h->m, "_count", out);
	buf_printf(out, "%" PRIu64 "\n", below);
}

void
metrics_print(const struct metrics *r, struct buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	const char *family = "";

	for (struct list *it = r->all.next; it != &r->all; it = it->next) {
		const struct metric *m = metric_of(it);

		if (strcmp(family, m->name) != 0) {
			family = m->name;
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			    kinds[m->kind]);
		}
		if (m->kind == METRIC_HISTOGRAM) {
			print_histogram(CONTAINER_OF(m, struct metric_histogram, m), out);
			continue;
		}
		print_name(m, "", out);
		print_signed(m->value, m->decimals, out);
		buf_append(out, "\n", 1);
	}
}
