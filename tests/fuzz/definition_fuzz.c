/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a job's node: what the master makes of it is a policy within its bounds and a task
 * that can be launched, or a fault is named. And that of a master's election node.
 */
#include <assert.h>
#include <string.h>

#include "master/definition.h"
#include "master/info.h"
#include "tests/fuzz/fuzz.h"

static void
try_job(const char *text, size_t size)
{
	struct faults faults;
	struct definition *d;
	struct job_policy policy;
	struct task_key key = {.job = "job", .incarnation = 101, .attempt = 1, .term = {1, 100}};
	struct job job = {.by = "user:alice"};
	Corral__TaskSpec *spec;

	faults_init(&faults);
	d = definition_parse("job", "job.job", text, size, &faults);
	assert((d == NULL) == (faults.count > 0));
	faults_fini(&faults);
	if (d == NULL)
		return;
	assert(definition_policy(d, &policy) > 0);
	assert(policy.priority <= 100);
	assert(policy.need.cpu_milli <= UINT64_C(1) << 40);
	assert(policy.need.memory_bytes <= UINT64_C(1) << 56);
	spec = definition_spec(d, &job, &key, "n0");
	assert(spec != NULL && spec->n_argv > 0);
	assert(strcmp(spec->submitted_by, "user:alice") == 0);
	corral__task_spec__free_unpacked(spec, NULL);
	definition_free(d);
}

static void
try_info(const char *text, size_t size)
{
	struct master_info info;

	assert(master_info_decode(&info, text, size) || info.api_address[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	try_job((const char *)bytes, size);
	try_info((const char *)bytes, size);
	return 0;
}
