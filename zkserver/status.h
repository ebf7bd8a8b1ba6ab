/* SPDX-License-Identifier: Apache-2.0 */
/* `zkserver status`: one server's own words, or a row for each member of a configuration. */
#ifndef CORRAL_ZKSERVER_STATUS_H
#define CORRAL_ZKSERVER_STATUS_H

#include <stdbool.h>

#include "zkserver/conf.h"

/* The exit status: 0 if it serves. */
int status_of_server(const char *address, bool json);

/* All members are asked at the same time. The exit status: 0 if a quorum serves. */
int status_of_ensemble(const struct zoo_conf *conf, bool json);

#endif
