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

bool
run_as_is_user(const char *submitter)
{
	return strncmp(submitter, USER_PREFIX, strlen(USER_PREFIX)) == 0;
}

const char *
run_as_refusal(const struct run_as *rules, const char *submitter, const char *account, uint32_t uid)
{
	if (run_as_is_user(submitter)) {
		if (strcmp(submitter + strlen(USER_PREFIX), account) != 0)
			return "a user's tasks run as the account of its own name only";
		if (uid < PEOPLE_UID_MIN && !is_named(rules, account))
			return "below uid 1000, and not named by [agent] run_as of this node";
		return NULL;
	}
	if (uid == rules->agent_uid || is_named(rules, account))
		return NULL;
	if (rules->count == 0 && uid >= PEOPLE_UID_MIN)
		return NULL;
	return "not allowed by [agent] run_as of this node";
}
