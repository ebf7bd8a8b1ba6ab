/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms, printed as Prometheus' text format 0.0.4. A metric is a struct
 * of the caller's that is registered once and then changed as a plain field; nothing is allocated
 * and nothing is looked up. One thread per registry.
 */
#ifndef CORRAL_BASE_METRICS_H
#define CORRAL_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"

#define METRICS_BUCKETS_MAX 24

struct metrics {
	struct list all; /* struct metric, those of one name together */
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*
 * `value` counts units of 10^-decimals: with decimals 3 it holds milliseconds and prints as
 * seconds, so that names can end in _seconds and the code stays in integers.
 */
struct metric {
	struct list link;
	const char *name;   /* [a-zA-Z_:][a-zA-Z0-9_:]* */
	const char *help;   /* one line */
	const char *labels; /* "state=\"running\"" as it is printed, or NULL */
	enum metric_kind kind;
	unsigned decimals;
	int64_t value;
};

struct metric_histogram {
	struct metric m;
	const uint64_t
	    *bounds; /* upper bounds, ascending, in the units of decimals; +Inf is implied */
	size_t bound_count;
	uint64_t counts[METRICS_BUCKETS_MAX + 1]; /* per bucket, not cumulative */
	uint64_t sum;
};

void metrics_init(struct metrics *r);

/*
 * Register a metric at 0. Texts and bounds are kept by reference. Several metrics of one name (they
 * differ in labels) must agree in kind and help.
 */
void metrics_counter(
    struct metrics *r, struct metric *m, const char *name, const char *help, const char *labels);
void metrics_gauge(
    struct metrics *r, struct metric *m, const char *name, const char *help, const char *labels);
void metrics_histogram(struct metrics *r, struct metric_histogram *h, const char *name,
    const char *help, const char *labels, unsigned decimals, const uint64_t *bounds,
    size_t bound_count);

/* Count one observation. */
void metric_observe(struct metric_histogram *h, uint64_t value);

/* Append all of it to out. */
void metrics_print(const struct metrics *r, struct buf *out);

#endif
