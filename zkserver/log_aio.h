/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One asynchronous write at a time through Linux's AIO system calls (no library: three calls), with
 * its completion told by an eventfd. Truly asynchronous for O_DIRECT over written blocks only.
 */
#ifndef CORRAL_ZKSERVER_LOG_AIO_H
#define CORRAL_ZKSERVER_LOG_AIO_H

#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct log_aio {
	aio_context_t context;
	struct iocb iocb;
	int event_fd;
	bool flying;
};

/* 0, or a negative errno: the kernel does not give it (a seccomp filter, a limit). */
int log_aio_init(struct log_aio *a, int event_fd);
void log_aio_fini(struct log_aio *a);

/* Start to write; bytes must stay until it is done. 0, or a negative errno: nothing was started. */
int log_aio_start(struct log_aio *a, int fd, const void *bytes, size_t size, uint64_t offset);

/* True when the write is done (waits for it if `wait`): *result is its size or a negative errno. */
bool log_aio_done(struct log_aio *a, bool wait, ssize_t *result);

#endif
