/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process the helper launched for an attempt: run/NAME/executor says so, a file that nobody
 * but the helper's account can write. What a request says is never believed.
 */
#ifndef CORRAL_AGENT_LAUNCHED_H
#define CORRAL_AGENT_LAUNCHED_H

#include <stdbool.h>

#include "libcommon/sys/proc.h"

/* Remember that it is this process. False with errno. */
bool launched_note(const char *state_dir, const char *name, const struct proc_id *id);

/* It needs no more to be remembered. False with errno. */
bool launched_forget(const char *state_dir, const char *name);

/*
 * The process that was remembered in this boot; it may be over. If none was, because a helper ended
 * between the launch and the note: a process of our account and PID namespace that runs as
 * `corral-executor attempt NAME STATE_DIR`. 1: *to is that; 0: there is none; -1 with errno: that
 * cannot be seen.
 */
int launched_find(const char *state_dir, const char *name, struct proc_id *to);

/*
 * Call visit with all of them, of any name, until it returns false: those that were remembered, and
 * those that run; one may come twice. False with errno: not all of them can be seen.
 */
typedef bool launched_visit(void *arg, const char *name, const struct proc_id *id);
bool launched_each(const char *state_dir, launched_visit *visit, void *arg);

#endif
