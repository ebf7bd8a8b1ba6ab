/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files in which a member keeps its ensemble's configuration, beside zoo.cfg and named after
 * it: FILE.dynamic.next, proposed; FILE.dynamic.VERSION, in force, at which zoo.cfg points;
 * FILE.bak, zoo.cfg before that. Each is replaced as a whole and durably.
 */
#ifndef CORRAL_ZKSERVER_ENSEMBLE_FILES_H
#define CORRAL_ZKSERVER_ENSEMBLE_FILES_H

#include "zkserver/conf.h"

/*
 * Remember a proposed configuration. A server without a configuration file remembers nothing. On
 * false *why says what to do, and the proposal must not be acknowledged.
 */
bool ensemble_files_propose(struct zoo_conf *c, const struct members *m, char *why, size_t size);

/*
 * This configuration is in force: have zoo.cfg point at it. What a crash leaves in between is the
 * old one and the proposal, or the new one. The proposal goes, unless it is a newer one. On false
 * *c is as before and *why says what to do; a restart would begin with the former configuration.
 */
bool ensemble_files_commit(struct zoo_conf *c, const struct members *m, char *why, size_t size);

#endif
