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
	uint32_t agent_uid;	     /* the agent's own account, which operators may always use */
};

/*
 * May tasks of submitter ("ROLE:NAME" as the master has it; "" if it did not tell) run as this
 * account? NULL: yes; else why not, to be put behind the account's name. A user has its own account
 * alone, and that only if it is a person's or run_as names it: a certificate must not give away an
 * account of the system that happens to have its name.
 */
const char *run_as_refusal(
    const struct run_as *rules, const char *submitter, const char *account, uint32_t uid);

/* Is the submitter a user, so that tasks without an account are refused? */
bool run_as_is_user(const char *submitter);

#endif
