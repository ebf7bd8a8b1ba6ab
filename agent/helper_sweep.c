/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent whose checkpoint was lost does not know what it runs. It names what it knows; all else
 * of its own is ended here, and of no other agent's: what is in a cgroup below this agent's, what
 * was noted in its run directories, and each executor that has its state directory among its words.
 * One request is one round, which keeps nothing: the agent asks again until a round has met
 * nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core.h"
#include "agent/helper_internal.h"
#include "agent/launched.h"
#include "libcommon/codec/taskkey.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/proc.h"

#define ROUND_MS 5000	     /* then the rest is the next round's */
#define STRANGERS_MAX 131072 /* of a round */
#define STUCK_ROUNDS 12	     /* after so many the first ones were killed 10 s ago */

typedef char attempt_name[TASKKEY_NAME_BYTES];

struct sweep {
	struct helper *h;
	attempt_name *kept, *groups; /* kept: sorted */
	size_t kept_count, group_count, group_room;
	struct proc_id *ids; /* of executors */
	size_t id_count, id_room;
	bool failed; /* no memory, or too many */
};

/* ---- What is whose. ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
note_kept(struct sweep *s, const Corral__HelperSweep *r)
{
	if ((s->kept = calloc(r->n_keep + 1, sizeof *s->kept)) == NULL)
		return false;
	for (size_t i = 0; i < r->n_keep; i++) {
		struct taskkey key = taskkey_of(r->keep[i]);

		taskkey_name(&key, s->kept[i]);
	}
	s->kept_count = r->n_keep;
	qsort(s->kept, s->kept_count, sizeof *s->kept, by_name);
	return true;
}

/* An attempt's name, and none that the agent has named. */
static bool
is_stranger(const struct sweep *s, const char *name)
{
	size_t len = strlen(name);
	attempt_name key = {0};

	if (len == 0 || len >= sizeof key || strspn(name, "0123456789abcdef-") != len)
		return false;
	memcpy(key, name, len);
	return bsearch(key, s->kept, s->kept_count, sizeof *s->kept, by_name) == NULL;
}

/* Room for one more of what *list holds; false: s->failed. */
static bool
grow(struct sweep *s, void *list, size_t size, size_t count, size_t *room)
{
	size_t more = *room == 0 ? 64 : 2 * *room;
	void **at = list, *grown;

	if (count < *room)
		return true;
	if (count >= STRANGERS_MAX || (grown = realloc(*at, more * size)) == NULL) {
		s->failed = true;
		return false;
	}
	*at = grown;
	*room = more;
	return true;
}

static bool
visit_group(void *arg, const char *name)
{
	struct sweep *s = arg;

	if (!is_stranger(s, name))
		return true;
	if (!grow(s, &s->groups, sizeof *s->groups, s->group_count, &s->group_room))
		return false;
	memset(s->groups[s->group_count], 0, sizeof *s->groups);
	memcpy(s->groups[s->group_count++], name, strlen(name));
	return true;
}

static bool
visit_launched(void *arg, const char *name, const struct proc_id *id)
{
	struct sweep *s = arg;

	if (!is_stranger(s, name))
		return true;
	if (!grow(s, &s->ids, sizeof *s->ids, s->id_count, &s->id_room))
		return false;
	s->ids[s->id_count++] = *id;
	return true;
}

/* ---- Ending it. ---- */

static void
say(const struct helper *h, const char *what)
{
	if (h->sweeps == 0)
		log_warn("%s: the agent's checkpoint does not have it: it is ended", what);
	else if (h->sweeps == STUCK_ROUNDS)
		log_error("%s: the agent's checkpoint does not have it; it was killed and does not "
			  "die: the agent does not register before that: see corral-recovery(7)",
		    what);
}

/* All that are left in cgroups; those that are empty are removed. One that cannot be ended keeps no
 * other alive. */
static bool
end_groups(struct sweep *s, bool *alive, char *error)
{
	uint64_t until_ms = clock_boot_ms() + ROUND_MS;
	struct helper *h = s->h;
	char group[PATH_MAX];
	bool ok = true;
	int rc;

	for (size_t i = 0; i < s->group_count; i++) {
		helper_group_name(h, s->groups[i], "", group);
		if ((rc = cgroup_kill(&h->host, group)) < 0) {
			ok = helper_refuse(error, "cgroup %s: %s", group, strerror(errno));
		} else if (rc == 0) {
			say(h, s->groups[i]);
			*alive = true;
		} else if (!cgroup_remove(&h->host, group)) {
			if (errno == EBUSY)
				*alive = true;
			else
				log_warn_errno("removing cgroup %s", group);
		}
		if (clock_boot_ms() >= until_ms) {
			*alive = true;
			return ok;
		}
	}
	cgroup_remove_if_empty(&h->host, h->base);
	return ok;
}

static bool
end_processes(struct sweep *s, bool *alive, char *error)
{
	int met = proc_kill_sessions(s->ids, s->id_count);

	if (met < 0)
		return helper_refuse(error, "executors and their processes: %s", strerror(errno));
	if (met > 0) {
		if (s->group_count == 0)
			say(s->h, "an executor without a cgroup");
		*alive = true;
	}
	return true;
}

static bool
visit_ended(void *arg, const char *name, const struct proc_id *id)
{
	struct sweep *s = arg;

	(void)id;
	if (is_stranger(s, name) && !launched_forget(s->h->conf.state_dir, name))
		log_warn_errno("forgetting the executor of %s", name);
	return true;
}

/* Whatever fails, all that was found is ended. */
static bool
round_of(struct sweep *s, const Corral__HelperSweep *r, bool *alive, char *error)
{
	struct helper *h = s->h;
	bool ok;

	if (!note_kept(s, r))
		return helper_refuse(error, "no memory for the attempts that are to be kept");
	if (h->host.can_track && !cgroup_each(&h->host, h->base, visit_group, s))
		return helper_refuse(error, "cgroup %s: %s", h->base, strerror(errno));
	ok = end_groups(s, alive, error);
	/* After those in cgroups, which are known by their names. */
	if (!launched_each(h->conf.state_dir, visit_launched, s))
		ok = helper_refuse(
		    error, "the executors below %.150s: %s", h->conf.state_dir, strerror(errno));
	ok = end_processes(s, alive, error) && ok;
	if (s->failed)
		ok = helper_refuse(error,
		    "no memory, or more than %d attempts that the agent does not know",
		    STRANGERS_MAX);
	if (!ok || *alive)
		return ok;
	return launched_each(h->conf.state_dir, visit_ended, s) ||
	       helper_refuse(
		   error, "the executors below %.150s: %s", h->conf.state_dir, strerror(errno));
}

bool
helper_sweep(struct helper *h, const Corral__HelperSweep *request, bool *alive, char *error)
{
	struct sweep s = {.h = h};
	bool ok;

	*alive = false;
	if (request->n_keep > AGENT_ATTEMPTS_MAX)
		return helper_refuse(error, "the request names %zu attempts, at most %d can be",
		    request->n_keep, AGENT_ATTEMPTS_MAX);
	helper_reap(h);
	ok = round_of(&s, request, alive, error);
	helper_reap(h);
	h->sweeps = ok && !*alive ? 0 : h->sweeps + 1;
	free(s.kept);
	free(s.groups);
	free(s.ids);
	return ok;
}
