/* SPDX-License-Identifier: Apache-2.0 */
/* Which account the agent's network process becomes, and how. */
#ifndef CORRAL_AGENT_PRIVILEGE_H
#define CORRAL_AGENT_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

struct privilege {
	uid_t uid;
	gid_t gid;
	bool root;   /* we are root now */
	bool change; /* and are to become another */
	bool own;    /* we are not root, and have been started as this account */
};

/*
 * The account `user`. As an ordinary user: our own, whichever that is. As root: that account;
 * without the account of the default name, root with a warning; any other name that is missing is
 * refused. False: said on stderr.
 */
bool privilege_find(const char *user, struct privilege *p);

/* Give up root for good, and check that it is gone; gain nothing from then on. False: said on
 * stderr. */
bool privilege_drop(const struct privilege *p);

/* Gain nothing from here on, and show nothing to others of this account. False: said on stderr. */
bool privilege_seal(void);

#endif
