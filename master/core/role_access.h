/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have tasks in which role: [master] role_access, a list of ROLE=NAME. A role that is not
 * in it is judged by the nearest one above that is, "*" being above all; without any it is open.
 */
#ifndef CORRAL_MASTER_ROLE_ACCESS_H
#define CORRAL_MASTER_ROLE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ROLE_ACCESS_NAMES_MAX = 200 };

/* The first rule that is none; NULL: all are. */
const char *role_access_fault(const char *const *rules, size_t count);

/*
 * May the user of this name have tasks in this role (NULL: the default)? If not, by[] is the role
 * whose rules say so, and names[] who may, cut to what fits.
 */
bool role_access_allows(const char *const *rules, size_t count, const char *role, const char *user,
    const char **by, char names[ROLE_ACCESS_NAMES_MAX]);

#endif
