/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked children, which have the server's memory as it was: they write what would stop the loop. A
 * child has no threads; it may use the heap, and no library that keeps locks or descriptors.
 */
#ifndef CORRAL_ZKSERVER_CHILD_H
#define CORRAL_ZKSERVER_CHILD_H

#include <stddef.h>

/*
 * The first thing in a child: it ends with the server, signals have their usual effect, and all
 * descriptors but the standard ones and keep[] (reordered) are closed: the server's connections
 * must end when the server ends them.
 */
void child_begin(int *keep, size_t count);

#endif
