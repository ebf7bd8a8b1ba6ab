/* SPDX-License-Identifier: Apache-2.0 */
/* A job file: refused with a reason, or a job whose tasks can be described. */
#include <assert.h>

#include "libcommon/job/jobfile.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct jobfile_launch launch = {.index = 1, .attempt = 2, .node = "n1"};
	struct faults faults;
	struct jobfile *job;
	Corral__TaskSpec *spec;

	faults_init(&faults);
	job = jobfile_parse("fuzz", "fuzz.job", (const char *)bytes, size, &faults);
	assert((job == NULL) == (faults.count > 0));
	if (job != NULL && (spec = jobfile_task_spec(job, &launch)) != NULL) {
		assert(spec->n_argv > 0);
		corral__task_spec__free_unpacked(spec, NULL);
	}
	jobfile_free(job);
	faults_fini(&faults);
	return 0;
}
