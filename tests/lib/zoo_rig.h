/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of zoo.cfg share: a file, read, and what was said of it. */
#ifndef CORRAL_TESTS_ZOO_RIG_H
#define CORRAL_TESTS_ZOO_RIG_H

#include "zkserver/conf.h"

/* As read last. */
extern struct zoo_conf zoo_rig_conf;

/* FILE in the test's own directory, zoo.cfg's, holds this from now on; this is what it holds. */
void zoo_file(const char *name, const char *text);
void zoo_holds(const char *name, const char *text);
bool zoo_there(const char *name);

/*
 * Read "dataDir=/d\nclientPort=1\n" and this as zoo.cfg: it is taken and nothing is said; it is
 * taken, and the log says `what`; it is refused, with `why` among the faults.
 */
void zoo_taken(const char *text);
void zoo_said(const char *text, const char *what);
void zoo_refused(const char *text, const char *why);

/* Read zoo.cfg as it stands; it is taken. */
void zoo_again(void);

#endif
