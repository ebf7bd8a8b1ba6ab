/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache ZooKeeper's AdminServer (http://HOST:8080/commands/NAME, JSON) and its Prometheus exporter
 * (http://HOST:7000/metrics), plain HTTP both. They are a help: a port that is taken is said in the
 * log, and the server goes on without.
 */
#ifndef CORRAL_ZKSERVER_ADMIN_HTTP_H
#define CORRAL_ZKSERVER_ADMIN_HTTP_H

#include <stdint.h>

#include "libcommon/io/loop.h"
#include "zkserver/admin.h"
#include "zkserver/admin_job.h"

struct admin_http;

/* Listen as the configuration says. NULL: no memory. What is passed must outlive it. */
struct admin_http *admin_http_open(
    struct loop *loop, struct admin *admin, struct admin_jobs *jobs, const struct zoo_conf *conf);
void admin_http_close(struct admin_http *h);

/* The ports that were bound; ZOO_PORT_NONE if there is none. */
int32_t admin_http_port(const struct admin_http *h);
int32_t admin_http_metrics_port(const struct admin_http *h);

#endif
