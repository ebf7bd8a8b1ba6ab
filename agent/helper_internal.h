/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper's parts share: helper.c takes requests, helper_launch.c starts executors,
 * helper_sweep.c ends those that no agent knows, helper_claim.c keeps others away. */
#ifndef CORRAL_AGENT_HELPER_INTERNAL_H
#define CORRAL_AGENT_HELPER_INTERNAL_H

#include <limits.h>

#include "agent/helper.h"
#include "libcommon/sys/cgroup.h"
#include "libcommon/sys/spawn.h"

#define HELPER_ERROR_BYTES 256

struct helper {
	struct helper_conf conf;
	bool root;
	struct cgroup_host host;
	bool pid_namespace;
	char base[CGROUP_BASE_NAME_BYTES];	 /* the cgroup that all of this agent's attempts are
						    below */
	int namespace_fds[SPAWN_NAMESPACES_MAX]; /* that executors start in: of conf.namespaces_of
						  */
	size_t namespace_count;
	int lock_fd;	    /* of the state directory's lock; -1: not claimed */
	int groups_lock_fd; /* of the lock of `base`; -1: not claimed, or there are no groups */
	char missing[ISOLATION_TEXT_BYTES];
	unsigned sweeps;	 /* that met something, one after the other */
	uint64_t blind_until_ms; /* before that it is not said again that we cannot look */
};

/* Write the reason into error[HELPER_ERROR_BYTES]. Always false, so that it can be returned. */
bool helper_refuse(char *error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* PART ("exec", "task", "": both) of the attempt's cgroup. */
void helper_group_name(
    const struct helper *h, const char *name, const char *part, char to[PATH_MAX]);

/* Is `given` the directory STATE_DIR/PART/NAME, to the letter? */
bool helper_path_is(const char *given, const char *state_dir, const char *part, const char *name);

/* helper_launch.c: start the executor of the attempt `name`; on failure nothing of it is left. */
bool helper_launch(struct helper *h, const char *name, const Corral__HelperLaunch *request,
    Corral__HelperReply *reply, char *error);

/* helper_sweep.c: one round; *alive: something was met. */
bool helper_sweep(struct helper *h, const Corral__HelperSweep *request, bool *alive, char *error);

#endif
