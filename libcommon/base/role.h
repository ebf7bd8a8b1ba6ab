/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of roles, by which jobs share a cluster: "*" for those that name none, else parts of A-Z,
 * a-z, 0-9, '_', '.' and '-' with slashes between them; "eng/web" is a child of "eng". As in Mesos,
 * a part does not begin with '-' and is not "." or "..".
 */
#ifndef CORRAL_BASE_ROLE_H
#define CORRAL_BASE_ROLE_H

#include <stdbool.h>

#define ROLE_NAME_MAX 63 /* bytes */
#define ROLE_DEPTH_MAX 8 /* parts */
#define ROLE_DEFAULT "*"

bool role_name_ok(const char *name);

#endif
