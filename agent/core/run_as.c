/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/run_as.h"

#include <string.h>

#define PEOPLE_UID_MIN 1000
#define USER_PREFIX "user:"

static bool
is_named(const struct run_as *rules, const char *account)
{
	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->accounts[i], account) == 0)
			return true;
	return false;
}

static bool
is_user(const char *submitter)
{
	return strncmp(submitter, USER_PREFIX, strlen(USER_PREFIX)) == 0;
}

const char *
run_as_account(
    const struct run_as *rules, const char *submitter, const char *asked, const char **why)
{
	if (asked != NULL && *asked != '\0')
		return asked;
	if (is_user(submitter))
		*why = "a user's tasks run as the account of its own name only";
	else if (rules->default_user == NULL)
		*why = "the task names no account (User=), and [agent] default_user of this node "
		       "is empty";
	else
		return rules->default_user;
	return NULL;
}

const char *
run_as_refusal(const struct run_as *rules, const char *submitter, const char *account, uint32_t uid)
{
	bool user = is_user(submitter);

	if (user && strcmp(submitter + strlen(USER_PREFIX), account) != 0)
		return "a user's tasks run as the account of its own name only";
	if (is_named(rules, account))
		return NULL;
	if (!user && rules->default_user != NULL && strcmp(account, rules->default_user) == 0)
		return NULL;
	if (!user && rules->count > 0)
		return "not allowed by [agent] run_as of this node";
	if (uid < PEOPLE_UID_MIN)
		return "below uid 1000, and not named by [agent] run_as of this node";
	if (uid == rules->agent_uid)
		return "the agent's own, and not named by [agent] run_as of this node";
	return NULL;
}
