/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of a shell: one per process, no threads. Wraps libevent, so that nobody above
 * includes event2/. Times are milliseconds on CLOCK_BOOTTIME (a suspended machine counts the time
 * that it slept); the loop's own timerfd on that clock wakes it.
 */
#ifndef CORRAL_IO_LOOP_H
#define CORRAL_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/list.h"

struct event_base;
struct loop;

/* NULL with errno set when the kernel or memory refuses. SIGPIPE is ignored from then on. */
struct loop *loop_new(void);

/*
 * What uses the loop must have been closed before; what links and the like left to be released at
 * the end of the turn is released here. Calls of loop_defer() that are still to come are dropped.
 */
void loop_free(struct loop *l);

/*
 * Turn until loop_stop() was called; returns the status that it was given. A turn: what is ready
 * and due, then what was deferred, then after_turn() (may be NULL).
 */
int loop_run(struct loop *l, void (*after_turn)(void *arg), void *arg);
void loop_stop(struct loop *l, int status);

/* The time of the current turn (read once per turn), and the time now. */
uint64_t loop_now_ms(const struct loop *l);
uint64_t clock_boot_ms(void);
uint64_t clock_boot_us(void);
int64_t clock_wall_ms(void);

/* For libcommon/io and zkserver's client port only. */
struct event_base *loop_event_base(struct loop *l);

/* A timer, embedded in its owner. Its callback may set it again or release its owner. */
struct timer {
	struct loop *loop;
	void (*fire)(void *arg);
	void *arg;
	uint64_t at_ms;
	size_t slot;	/* place in the loop's heap, from 1; 0 while not set */
	uint64_t order; /* of settings: among equal times the first set fires first */
};

void timer_init(struct timer *t, struct loop *l, void (*fire)(void *arg), void *arg);
/* Fire once at the time at_ms (absolute), in the past means in the next turn. False: no memory. */
bool timer_set(struct timer *t, uint64_t at_ms);
void timer_cancel(struct timer *t);

/* Run fn(arg) at the end of this turn, in order of calls. False: no memory. */
bool loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

/* The same embedded in its owner: never fails, may be taken back; set while set has no effect. */
struct deferral {
	struct list link;
	void (*run)(void *arg);
	void *arg;
};

void deferral_init(struct deferral *d, void (*run)(void *arg), void *arg);
void deferral_set(struct loop *l, struct deferral *d);
void deferral_cancel(struct deferral *d);

/* Run it when the loop is freed, if it was not cancelled: what ends by itself must not leak. */
void deferral_set_at_free(struct loop *l, struct deferral *d);

enum { FD_READ = 1, FD_WRITE = 2 };

/*
 * A watched descriptor (pidfd, pipe ...), level-triggered; it stays the caller's. NULL: the kernel
 * refuses, with errno EPERM for what is always ready (a file, a directory), or there is no memory.
 */
struct fd_watch;
struct fd_watch *fd_watch_new(
    struct loop *l, int fd, int what, void (*ready)(void *arg, int what), void *arg);
void fd_watch_free(struct fd_watch *w);

/* Call fn for a signal from now on, in the loop, not in the handler. One per signal. */
bool loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);

#endif
