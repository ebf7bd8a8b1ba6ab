/* SPDX-License-Identifier: Apache-2.0 */
/* Which account the agent's network process becomes, and how. */
#ifndef CORRAL_AGENT_PRIVILEGE_H
#define CORRAL_AGENT_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

struct privilege {
	uid_t uid;
	gid_t gid;
	bool change; /* we are root and are to become another */
};

/*
 * The account `user`. As an ordinary user: our own. As root: that account; without the account of
 * the default name, root with a warning; any other name that is missing is refused. False: said on
 * stderr.
 */
bool privilege_find(const char *user, struct privilege *p);

/* Give up root for good, and check that it is gone. False: said on stderr. */
bool privilege_drop(const struct privilege *p);

#endif
