/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every figure of the server, by ZooKeeper's names, in the three forms in which tools fetch them:
 * the word mntr, the admin server's /commands/monitor, and Prometheus' text.
 */
#ifndef CORRAL_ZKSERVER_FIGURES_H
#define CORRAL_ZKSERVER_FIGURES_H

#include "zkserver/admin.h"
#include "zkserver/report.h"

void figures_put_mntr(const struct admin *a, struct report *r);
/* The keys and values, into the object that is open. */
void figures_put_json(const struct admin *a, struct json *j);
void figures_put_prometheus(const struct admin *a, struct report *r);

#endif
