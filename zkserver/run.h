/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: data directory, log, snapshots, client ports and the core, tied together by the loop.
 */
#ifndef CORRAL_ZKSERVER_RUN_H
#define CORRAL_ZKSERVER_RUN_H

#include "zkserver/conf.h"

/*
 * Run in the foreground until SIGTERM or SIGINT; returns the exit status. conf is borrowed, and
 * changed by SIGHUP.
 */
int zkserver_run(struct zoo_conf *conf);

/*
 * Can all that the configuration names be loaded: certificates, keys, users? False: the reason is
 * in error[size].
 */
bool zkserver_check(const struct zoo_conf *conf, char *error, size_t size);

#endif
