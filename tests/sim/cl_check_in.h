/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks remember; for their own files only. */
#ifndef CORRAL_TESTS_SIM_CL_CHECK_IN_H
#define CORRAL_TESTS_SIM_CL_CHECK_IN_H

#include "tests/sim/cl_check.h"

enum { UPDATES_MAX = 24, MARKS_MAX = 64, JOBS_MAX = 128, SESSIONS_MAX = 4096 };

struct seen_update {
	uint32_t sequence;
	uint8_t uuid[ATTEMPT_UUID_BYTES];
	Corral__TaskState state;
};

/* An attempt, from the first that was seen of it. */
struct seen_attempt {
	struct hmap_node node;
	char name[TASKKEY_NAME_BYTES];
	struct taskkey key;
	int host;		 /* it was launched there; -1: not known */
	uint64_t launch_sent_ms; /* true time */
	unsigned starts;
	bool kill_first, kill_before; /* a kill came to the agent before any launch */
	bool kill_seen;
	bool launch_asked, word_given;
	bool given_up;
	bool rotten; /* what its agent knew of it may be lost */
	/* Its agent's report that had it, alive, and who leads when it came. */
	uint64_t report;
	int reported_by;
	struct term reported_to;
	bool over;  /* a terminal update has left the agent */
	bool ended; /* the program has: with wait_status */
	int wait_status;
	uint32_t acked; /* updates up to this one are */
	uint32_t made;	/* ... and were sent */
	struct seen_update updates[UPDATES_MAX];
	unsigned update_count;
};

struct seen_index {
	char word; /* of results: o(pen), f(inished), F(ailed), s(topped); 0: nothing is stored */
	uint32_t attempts;
};

struct seen_job {
	char name[CLUSTER_NAME_MAX + 1];
	int64_t incarnation;
	struct cl_def def;
	bool removed, ended;
	struct seen_index *indexes;
};

/* What of a job is lost when a copy is restored. */
struct saved_job {
	bool removed, ended;
	struct seen_index *indexes;
};

struct seen_agent {
	struct term highest, pending; /* obeyed, and durable; obeyed */
	bool marked;
	bool asked;	/* by an operator: limits are the master's own */
	bool forgotten; /* once: its id may become another one, if it had none itself */
	uint64_t marks_ms[MARKS_MAX]; /* true times of commits that marked it, a ring */
	bool asked_marks[MARKS_MAX];
	unsigned mark_count;
	uint64_t report;      /* the newest one's number; what an older one had counts no more */
	uint64_t reported_ms; /* true time of it; 0: it was refused */
	struct term reported_to;
	char id[CLUSTER_ID_MAX + 1];
};

struct cl_check {
	struct cl *c;
	struct hmap attempts;
	struct seen_job jobs[JOBS_MAX];
	size_t job_count;
	struct saved_job saved[JOBS_MAX];
	size_t saved_count;
	bool saved_marks[CL_AGENTS_MAX];
	uint64_t restored_ms; /* true time; 0: never */
	struct seen_agent agents[CL_AGENTS_MAX];
	struct term led, written;
	uint64_t last_led_ms;
	struct {
		int64_t session;
		struct term term;
	} terms[SESSIONS_MAX];
	size_t term_count;
	uint64_t walks;
	struct cl_totals totals;
};

int term_order(struct term a, struct term b);
struct seen_attempt *seen(struct cl_check *k, const struct taskkey *key);
struct seen_job *seen_job(struct cl_check *k, int64_t incarnation);
void cl_check_copy_free(struct cl_check *k);
#define VIOLATED(c, ...) world_violation(&(c)->world, __VA_ARGS__)

#endif
