/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are too large to be made between two turns of the loop: a forked child, which has
 * everything as it was at that moment, writes the text into a pipe as fast as it is fetched.
 * Clients are served meanwhile; what it costs them is the fork.
 */
#ifndef CORRAL_ZKSERVER_ADMIN_JOB_H
#define CORRAL_ZKSERVER_ADMIN_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"
#include "zkserver/report.h"

#define ADMIN_JOBS_MAX 2   /* children at a time */
#define ADMIN_JOB_MAX_S 60 /* then a child is ended, and its answer with it */

struct admin_job;

struct admin_jobs {
	struct loop *loop;
	unsigned running;
	struct list all;
};

struct admin_job_ops {
	void (*bytes)(void *arg, const uint8_t *bytes, size_t size);
	/* The end, and the job is gone. Not whole: it took too long, or memory was short. */
	void (*done)(void *arg, bool whole);
};

void admin_jobs_init(struct admin_jobs *jobs, struct loop *loop);
/* Ends all children; nobody is told. */
void admin_jobs_fini(struct admin_jobs *jobs);

/*
 * make(make_arg, r) runs in the child, and must write to *r alone. NULL with errno: EAGAIN if as
 * many run as may, else what refused.
 */
struct admin_job *admin_job_start(struct admin_jobs *jobs,
    void (*make)(void *arg, struct report *r), void *make_arg, const struct admin_job_ops *ops,
    void *arg);

/* held: hand on nothing until it is called with false; the child waits on its full pipe. */
void admin_job_hold(struct admin_job *job, bool held);

/* The asker is gone: nothing is called any more. */
void admin_job_cancel(struct admin_job *job);

#endif
