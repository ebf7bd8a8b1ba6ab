/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of an attempt below the agent's state directory: sandbox/NAME, the task's own,
 * and run/NAME, its executor's. Everything goes through descriptors, and no symbolic link is
 * followed: what lies there is the work of strangers.
 */
#ifndef CORRAL_AGENT_SANDBOX_H
#define CORRAL_AGENT_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

struct sandbox_owner {
	uid_t uid;
	gid_t gid;
};

/* Make the state directory's parts. They belong to us; the agent's group may look. False: said on
 * stderr. */
bool sandbox_prepare(const char *state_dir, gid_t reader_gid);

/*
 * Make both directories. The sandbox belongs to task's uid, the run directory to us; both are
 * readable to reader's gid. False with errno; *what names the one.
 */
bool sandbox_make(const char *state_dir, const char *name, const struct sandbox_owner *task,
    gid_t reader_gid, const char **what);

/* Remove both. False with errno. */
bool sandbox_remove(const char *state_dir, const char *name);

/* Write a file of ours, mode 0600, right in run/NAME; one that is there is replaced. False with
 * errno. */
bool sandbox_write_file(const char *state_dir, const char *part, const char *name, const char *file,
    const void *bytes, size_t size);

/* Remove a file right in run/NAME; one that is not there is no matter. False with errno. */
bool sandbox_remove_file(
    const char *state_dir, const char *part, const char *name, const char *file);

/* Call visit with each NAME below sandbox/ ("sandbox") or run/ ("run") until it returns false.
 * False with errno. */
bool sandbox_each(
    const char *state_dir, const char *part, bool (*visit)(void *arg, const char *name), void *arg);

/* Open a regular file right in sandbox/NAME ("sandbox") or run/NAME ("run") for reading; -1 with
 * errno. */
int sandbox_open_file(const char *state_dir, const char *part, const char *name, const char *file);

#endif
