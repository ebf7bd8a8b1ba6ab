/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One asynchronous write at a time through io_uring, with its completion told by an eventfd. Linux
 * AIO would do as well, but for the end of the process: the kernel tears an AIO context down before
 * it closes the sockets, and waits for an RCU grace period (30 ms and more) meanwhile, so that the
 * other members would hear of a killed leader that much later.
 */
#ifndef CORRAL_ZKSERVER_LOG_URING_H
#define CORRAL_ZKSERVER_LOG_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct log_uring {
	struct io_uring ring;
	bool flying;
};

/* 0, or a negative errno: the kernel does not give it (kernel.io_uring_disabled, a seccomp filter,
 * a limit). */
int log_uring_init(struct log_uring *u, int event_fd);
void log_uring_fini(struct log_uring *u);

/* Start to write (at most INT32_MAX bytes, which must stay until it is done). 0, or a negative
 * errno: nothing was started, and the ring is good for log_uring_fini() only. */
int log_uring_start(struct log_uring *u, int fd, const void *bytes, size_t size, uint64_t offset);

/* True when the write is done (waits for it if `wait`): *result is its size or a negative errno. */
bool log_uring_done(struct log_uring *u, bool wait, ssize_t *result);

#endif
