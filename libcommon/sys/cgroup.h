/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: one interface over v2, v1 and both at once (hybrid). A group is named by a path
 * below the roots, such as "corral/1f3a/2f-0-1-1-51/task". Two things are done with it:
 *
 * - tracking: which processes are in it, kill them all, however they fork. On a cgroup2 mount that
 *   has cgroup.kill, else on v1's freezer.
 * - limits: cpu, memory, number of processes. On v2 where its root has the controllers, else on
 * v1's hierarchies of the same names.
 *
 * A group may be made in the hierarchies for its limits only; its tracking part always exists.
 * (Linux: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/.)
 */
#ifndef CORRAL_SYS_CGROUP_H
#define CORRAL_SYS_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* At most: tracking, cpu, memory, pids, cpuacct. */
#define CGROUP_HIERARCHIES_MAX 5

#define CGROUP_BASE_NAME_BYTES 32

struct cgroup_host {
	char unified[PATH_MAX]; /* mount point of cgroup2; "" if there is none */
	char cpu[PATH_MAX], cpuacct[PATH_MAX], memory[PATH_MAX], pids[PATH_MAX],
	    freezer[PATH_MAX]; /* v1 */
	bool can_track, can_limit_cpu, can_limit_memory, can_limit_pids;
	bool v2_limits; /* the limits are v2's */
	bool v2_track;	/* so is tracking */
};

struct cgroup_limits {
	uint64_t cpu_milli; /* ceiling in thousandths of a cpu; 0: none */
	uint64_t
	    cpu_share_milli; /* weight under contention, in thousandths of a cpu; 0: the default */
	uint64_t memory_bytes; /* 0: none */
	uint64_t pid_count;    /* 0: none */
};

struct cgroup_usage {
	uint64_t cpu_us;
	uint64_t memory_bytes;
	uint64_t oom_kills; /* since the group was made */
};

/*
 * Look which hierarchies this machine has mounted and we may write to. proc_mounts: normally
 * "/proc/self/mounts". can_track false: there are none for us, and nothing below works. False with
 * errno: the list cannot be read; one that does not exist has none.
 */
bool cgroup_host_probe(struct cgroup_host *h, const char *proc_mounts);

/* The isolation that is missing, as a text for people: "memory limit, cpu limit"; "" if none is. */
void cgroup_host_missing(const struct cgroup_host *h, char *to, size_t size);

/*
 * Make the group, and its parents, with limits (NULL: none). A limit that the host cannot set is
 * left out. Making one that exists sets the limits. False with errno; *place (may be NULL) then
 * names the file.
 */
bool cgroup_make(const struct cgroup_host *h, const char *group, const struct cgroup_limits *limits,
    char place[PATH_MAX]);

/*
 * Open the group's directory in which a child can be born (spawn.h); -1 where tracking is v1's (or
 * with errno).
 */
int cgroup_open_birthplace(const struct cgroup_host *h, const char *group);

/*
 * Open the cgroup.procs files that a process writes "0" to in order to enter the group, in each
 * hierarchy where the group exists and that is no birthplace. Returns how many were filled, -1 with
 * errno. Close-on-exec.
 */
int cgroup_open_procs(
    const struct cgroup_host *h, const char *group, int fds[CGROUP_HIERARCHIES_MAX]);

/*
 * SIGKILL every process of the group and the groups below it, forking ones too: one round, bounded.
 * 1: none was left; 0: some were met (look again soon: death takes a moment); -1 with errno.
 * A group that does not exist is empty.
 */
int cgroup_kill(const struct cgroup_host *h, const char *group);

/* 1: a process is in the group or below, 0: none, -1 with errno. */
int cgroup_populated(const struct cgroup_host *h, const char *group);

/*
 * Call visit with the name of each group right below this one, until it returns false. A group that
 * does not exist has none. False with errno.
 */
bool cgroup_each(const struct cgroup_host *h, const char *group,
    bool (*visit)(void *arg, const char *name), void *arg);

/* False with errno if the group is gone. What the host does not count is 0. */
bool cgroup_usage(const struct cgroup_host *h, const char *group, struct cgroup_usage *to);

/* Remove the group and those below, in all hierarchies; none while it is populated: false with
 * errno EBUSY. */
bool cgroup_remove(const struct cgroup_host *h, const char *group);

/* Remove the group alone, in each hierarchy where nothing is in it and below it. */
void cgroup_remove_if_empty(const struct cgroup_host *h, const char *group);

/*
 * Open a file that is one for all who see this root, whatever their mounts, and that just those who
 * may make groups there can open for writing: for locks on its bytes. *place names it. -1 with
 * errno.
 */
int cgroup_open_shared(const struct cgroup_host *h, char place[PATH_MAX]);

/* The group above all attempts of the agent with this state directory: "corral-1f3a09bc". */
void cgroup_base_name(const char *state_dir, char to[CGROUP_BASE_NAME_BYTES]);

#endif
