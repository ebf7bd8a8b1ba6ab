/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks know of the store, in a copy, as the ensemble's is. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check_in.h"

void
cl_check_copy_free(struct cl_check *k)
{
	for (size_t i = 0; i < k->saved_count; i++)
		free(k->saved[i].indexes);
	k->saved_count = 0;
}

void
cl_check_copy(struct cl *c)
{
	struct cl_check *k = c->check;

	cl_check_copy_free(k);
	for (; k->saved_count < k->job_count; k->saved_count++) {
		const struct seen_job *j = &k->jobs[k->saved_count];
		size_t size = j->def.count * sizeof *j->indexes;

		k->saved[k->saved_count] =
		    (struct saved_job){j->removed, j->ended, cl_alloc(size + 1)};
		memcpy(k->saved[k->saved_count].indexes, j->indexes, size);
	}
	for (unsigned i = 0; i < c->conf.agents; i++)
		k->saved_marks[i] = k->agents[i].marked;
}

/* Terms begin anew, too: a new era has to be above those that agents have seen. */
void
cl_check_restored(struct cl *c)
{
	struct cl_check *k = c->check;

	k->restored_ms = c->world.now_ms;
	memset(&k->led, 0, sizeof k->led);
	memset(&k->written, 0, sizeof k->written);
	for (size_t i = 0; i < k->job_count; i++) {
		struct seen_job *j = &k->jobs[i];
		const struct saved_job *s = &k->saved[i];

		if (i >= k->saved_count) {
			j->removed = true;
			continue;
		}
		j->removed = s->removed;
		j->ended = s->ended;
		memcpy(j->indexes, s->indexes, j->def.count * sizeof *j->indexes);
	}
	for (unsigned i = 0; i < c->conf.agents; i++) {
		k->agents[i].marked = k->saved_marks[i];
		k->agents[i].forgotten = true; /* its id may have been given after the copy */
	}
}
