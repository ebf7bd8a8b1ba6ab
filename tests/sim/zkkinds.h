/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers, TTL nodes and quotas in the simulation: what clients ask for, and what must hold of
 * the statistics that the server keeps.
 */
#ifndef CORRAL_TESTS_SIM_ZKKINDS_H
#define CORRAL_TESTS_SIM_ZKKINDS_H

#include "tests/sim/zkclient.h"

/* An operation that makes a node of these kinds. */
int32_t zkkinds_op(struct zkclient *c);

/* Now and then make a request one about quotas. */
void zkkinds_choose(struct zkclient *c, struct zkclient_request *q);

/* The flags of a create, and the time of one with a TTL; the body of a multi about a quota. */
int32_t zkkinds_flags(struct zkclient *c, const struct zkclient_request *q);
void zkkinds_put_ttl(struct zkclient *c);
void zkkinds_put_quota(struct zkclient *c, const struct zkclient_request *q);

/* May a write on this path have been refused for a quota, by what was there up to zxid? */
bool zkkinds_may_exceed(const struct zknode *n, const char *path, int64_t zxid);

/* Each quota's statistics are what a count of the model gives. */
void zkkinds_check_quotas(struct zknode *n);

#endif
