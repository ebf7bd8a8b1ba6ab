/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that does one job at a time, handed over and back by eventfds: for calls that may block.
 */
#ifndef CORRAL_ZKSERVER_LOG_WORKER_H
#define CORRAL_ZKSERVER_LOG_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct log_worker {
	pthread_t thread;
	int wake_fd, done_fd;
	void (*run)(void *arg);
	void *arg;
	atomic_bool done, quit;
	bool busy;
};

/*
 * Start the thread; run(arg) is one job. done_fd (the caller's) is written when a job is done. 0,
 * or a negative errno. All signals are blocked in the thread.
 */
int log_worker_init(struct log_worker *w, void (*run)(void *arg), void *arg, int done_fd);

/* Lets a job that is under way finish. */
void log_worker_fini(struct log_worker *w);

/* Hand the job over: none may be under way. What run() reads must be in place. */
void log_worker_start(struct log_worker *w);

/* True once for each job that is done: what run() wrote may be read. */
bool log_worker_done(struct log_worker *w);

#endif
