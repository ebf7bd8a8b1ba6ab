/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes as the kernel shows them. A pid alone names nothing, since numbers come round: a
 * process is known by (pid, start time, boot id), and is signalled only after that was compared.
 */
#ifndef CORRAL_SYS_PROC_H
#define CORRAL_SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_BOOT_ID_BYTES 37 /* a UUID as text, and its NUL */

struct proc_id {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot: field 22 of /proc/PID/stat */
};

/* What /proc/PID/stat says. */
struct proc_stat {
	char state; /* 'R', 'S', 'D', 'Z' ... */
	pid_t parent, group, session;
	uint64_t start_time;
	uint64_t cpu_ticks; /* user and system time, of its own */
};

/* False with errno: ENOENT or ESRCH when there is no such process. */
bool proc_stat(pid_t pid, struct proc_stat *to);

/* The real user of a running process, whether it is dumpable or not. False with errno. */
bool proc_uid(pid_t pid, uid_t *to);

/* The identity of a running process (a zombie counts: nobody else can have its number). */
bool proc_identify(pid_t pid, struct proc_id *to);

/*
 * 1: it exists and executes; 0: it is gone, or a zombie, or its number has gone to another; -1 with
 * errno: that cannot be seen, since there is no descriptor or memory left to look with, or /proc
 * hides a process of ours (hidepid= of proc(5)): whoever asks looks again later.
 */
int proc_is_alive(const struct proc_id *id);

/*
 * A pidfd for just this process, readable when it ends; -1 with errno ESRCH when it is gone or its
 * number has gone to another. Close-on-exec.
 */
int proc_open(const struct proc_id *id);

/* Signal just this process. False with errno: ESRCH when it is gone. */
bool proc_signal(const struct proc_id *id, int signo);

/* This boot's id (/proc/sys/kernel/random/boot_id) as text. False with errno. */
bool proc_boot_id(char to[PROC_BOOT_ID_BYTES]);

/*
 * Call visit for each process that /proc shows us, until it returns false. Processes that come or
 * go meanwhile may be missed or be gone already. False with errno if /proc cannot be read, or one
 * of them: the others were visited all the same.
 */
bool proc_each(bool (*visit)(void *arg, pid_t pid, const struct proc_stat *stat), void *arg);

/*
 * SIGKILL each process of the session that `leader` opened (or only count them); the
 * leader's identity guards against a session of the same number. Returns how many live ones it met,
 * -1 with errno if it could not see all: call again until it is 0. A process that opened a session
 * of its own is not found.
 */
int proc_kill_session(const struct proc_id *leader);
int proc_count_session(const struct proc_id *leader);

/*
 * The same for many, by one look at all processes: each of these is killed, too, if it leads no
 * session. The list is changed.
 */
int proc_kill_sessions(struct proc_id *ids, size_t count);

#endif
