/* SPDX-License-Identifier: Apache-2.0 */
/* As which accounts of this node whose tasks may run. The helper asks, right before it launches. */
#ifndef CORRAL_AGENT_RUN_AS_H
#define CORRAL_AGENT_RUN_AS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_as {
	const char *const *accounts; /* [agent] run_as, by name */
	size_t count;		     /* 0: all accounts of people, from uid 1000 on */
	const char *default_user;    /* [agent] default_user, allowed as well; NULL: none */
	uint32_t agent_uid;	     /* its tasks could read the agent's key: only if named */
};

/*
 * May tasks of submitter ("ROLE:NAME" as the master has it; "" if it did not tell) run as this
 * account? NULL: yes; else why not, to be put behind the account's name. A user has its own account
 * alone, and that only if it is a person's or run_as names it: a certificate must not give away an
 * account of the system that happens to have its name.
 */
const char *run_as_refusal(
    const struct run_as *rules, const char *submitter, const char *account, uint32_t uid);

/*
 * The account of a task that asks for `asked` (NULL or "": it names none), which may still be
 * refused. NULL: no account at all, and *why says the reason. A master names a user's account
 * itself, so that a user never gets the default one.
 */
const char *run_as_account(
    const struct run_as *rules, const char *submitter, const char *asked, const char **why);

#endif
