/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked children, which have the server's memory as it was: they write what would stop the loop. A
 * child has no threads; it may use the heap, and no library that keeps locks or descriptors.
 */
#ifndef CORRAL_ZKSERVER_CHILD_H
#define CORRAL_ZKSERVER_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/* fork(), for child_begin() to know whose child it is in. */
pid_t child_fork(void);

/*
 * The first thing in a child: it ends with the server, also if that was killed before the child
 * ever ran; signals have their usual effect, and all descriptors but the standard ones and keep[]
 * (reordered) are closed: the server's connections must end when the server ends them.
 */
void child_begin(int *keep, size_t count);

#endif
