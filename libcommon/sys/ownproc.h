/* SPDX-License-Identifier: Apache-2.0 */
/* A /proc that shows the PID namespace of its reader, in a mount namespace of its own. */
#ifndef CORRAL_SYS_OWNPROC_H
#define CORRAL_SYS_OWNPROC_H

#include <stdbool.h>

/*
 * To be called right after clone(CLONE_NEWPID | CLONE_NEWNS): keep mounts from here on to this
 * namespace, and mount a new /proc over the old one. In a plain chroot, whose / is no mount point,
 * that holds for /proc alone: what root mounts later is seen outside. False with errno; *what names
 * the step.
 */
bool ownproc_mount(const char **what);

#endif
