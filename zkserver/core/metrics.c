/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/metrics.h"

#define NAME(symbol, name) name,

const char *const ZK_COUNTER_NAMES[ZK_COUNTER_COUNT] = {ZK_COUNTERS(NAME)};
const char *const ZK_SUMMARY_NAMES[ZK_SUMMARY_COUNT] = {ZK_SUMMARIES(NAME) ZK_PERCENTILES(NAME)};

void
zk_metrics_reset(struct zk_metrics *m)
{
	*m = (struct zk_metrics){.response_last = -1};
	zk_metrics_reset_responses(m);
}

void
zk_metrics_reset_responses(struct zk_metrics *m)
{
	m->response_last = m->response_min = m->response_max = -1;
}

void
zk_metrics_response(struct zk_metrics *m, uint64_t bytes)
{
	int32_t n = (int32_t)bytes;

	m->response_last = n;
	if (n < m->response_min || m->response_min < 0)
		m->response_min = n;
	if (n > m->response_max)
		m->response_max = n;
}
