/* SPDX-License-Identifier: Apache-2.0 */
#include "master/definition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/pbjson.h"
#include "libcommon/codec/taskspec.h"

static const char *
run_fault(const Corral__Api__RunRequest *run)
{
	const Corral__TaskSpec *s = run->spec;

	if (run->count == 0 || run->count > RUN_COUNT_MAX)
		return "count: " RUN_COUNT_FAULT;
	if (s->resources == NULL ||
	    (s->resources->cpu_milli == 0 && s->resources->memory_bytes == 0))
		return "the request needs resources: cpus and memory";
	if (s->resources->cpu_milli > UINT64_C(1) << 40 ||
	    s->resources->memory_bytes > UINT64_C(1) << 56 ||
	    s->resources->disk_bytes > UINT64_C(1) << 60)
		return "no machine has such resources";
	if (s->singleton)
		return "a singleton is a job file's: corral run makes none";
	if (run->role != NULL && !role_name_ok(run->role))
		return "that is no name of a role: expected one such as eng or eng/web, or *";
	if (run->priority > 100)
		return "the priority must be from 0 to 100";
	return taskspec_fault(s);
}

static struct definition *
parse_run(const char *file, const char *text, size_t size, struct faults *faults)
{
	struct definition *d = calloc(1, sizeof *d);
	char error[200] = "out of memory";
	const char *why = error;

	if (d != NULL)
		d->run =
		    (Corral__Api__RunRequest *)pbjson_decode(&corral__api__run_request__descriptor,
			text, size, PBJSON_IGNORE_UNKNOWN, error, sizeof error);
	if (d != NULL && d->run != NULL && (why = run_fault(d->run)) == NULL)
		return d;
	faults_add(faults, file, 0, "%s", why);
	definition_free(d);
	return NULL;
}

/* What its specifiers and variables become may be more than any task can be given. */
static bool
tasks_can_be(const struct jobfile *f, const char *file, struct faults *faults)
{
	static const char node[] =
	    "a-name-of-a-node-as-long-as-such-a-name-can-be-which-is-this-lo";
	struct jobfile_launch launch = {f->count - 1, UINT32_MAX, node, INT64_MAX};
	Corral__TaskSpec *spec = jobfile_task_spec(f, &launch);
	const char *why = spec == NULL ? "out of memory" : taskspec_fault(spec);

	if (why != NULL)
		faults_add(faults, file, 0, "its tasks cannot be run: %s", why);
	if (spec != NULL)
		corral__task_spec__free_unpacked(spec, NULL);
	return why == NULL;
}

struct definition *
definition_parse(
    const char *name, const char *file, const char *text, size_t size, struct faults *faults)
{
	struct definition *d;

	if (size > 0 && text[0] == '{')
		return parse_run(file, text, size, faults);
	d = calloc(1, sizeof *d);
	if (d == NULL) {
		faults_add(faults, file, 0, "out of memory");
		return NULL;
	}
	d->file = jobfile_parse(name, file, text, size, faults);
	if (d->file == NULL || !tasks_can_be(d->file, file, faults)) {
		definition_free(d);
		return NULL;
	}
	return d;
}

struct definition *
definition_of_run(Corral__Api__RunRequest *run, struct buf *out, char *error, size_t size)
{
	struct definition *d = calloc(1, sizeof *d);
	const char *why = run_fault(run);

	if (why == NULL && (d == NULL || !pbjson_encode(&run->base, 0, out)))
		why = "the request is too large or memory is short";
	if (why != NULL) {
		snprintf(error, size, "%s", why);
		free(d);
		corral__api__run_request__free_unpacked(run, NULL);
		return NULL;
	}
	d->run = run;
	return d;
}

void
definition_free(void *definition)
{
	struct definition *d = definition;

	if (d == NULL)
		return;
	jobfile_free(d->file);
	if (d->run != NULL)
		corral__api__run_request__free_unpacked(d->run, NULL);
	free(d);
}

static uint32_t
run_policy(const Corral__Api__RunRequest *run, struct job_policy *policy)
{
	const Corral__Resources *r = run->spec->resources;

	*policy = (struct job_policy){.need = {r->cpu_milli, r->memory_bytes, r->disk_bytes},
	    .once = true,
	    .role = run->role,
	    .priority = run->priority};
	return run->count;
}

uint32_t
definition_policy(const struct definition *d, struct job_policy *policy)
{
	const struct jobfile *f = d->file;

	if (f == NULL)
		return run_policy(d->run, policy);
	*policy = (struct job_policy){
	    .service = f->type == JOBFILE_SERVICE,
	    .restart = f->restart == JOBFILE_RESTART_ALWAYS	  ? JOB_RESTART_ALWAYS
		       : f->restart == JOBFILE_RESTART_ON_FAILURE ? JOB_RESTART_ON_FAILURE
								  : JOB_RESTART_NO,
	    .restart_ms = f->restart_ms,
	    .retries_max = f->retries_max,
	    .need = {f->cpu_milli, f->memory_bytes, f->disk_bytes},
	    .constrained = f->constraint_count > 0,
	    .role = f->role,
	    .priority = f->priority,
	    .singleton = f->singleton,
	    .stop_ms = f->timeout_stop_ms,
	    .disconnect_ms = f->disconnect_ms,
	};
	return f->count;
}

const char *
definition_user(const struct definition *d)
{
	const char *user = d->file != NULL ? d->file->user : d->run->spec->user;

	return user == NULL || user[0] == '\0' ? NULL : user;
}

bool
definition_allows(const void *definition, const struct agent *a)
{
	const struct definition *d = definition;

	return d->file == NULL || a->report == NULL ||
	       jobfile_allows_node(
		   d->file, a->name, a->report->attributes, a->report->n_attributes);
}

/* A copy that owns all it holds, by way of the wire. */
static Corral__TaskSpec *
copy_spec(const Corral__TaskSpec *spec)
{
	size_t size = corral__task_spec__get_packed_size(spec);
	uint8_t *bytes = malloc(size + 1);
	Corral__TaskSpec *copy = NULL;

	if (bytes == NULL)
		return NULL;
	if (corral__task_spec__pack(spec, bytes) == size)
		copy = corral__task_spec__unpack(NULL, size, bytes);
	free(bytes);
	return copy;
}

static bool
add_variable(Corral__TaskSpec *spec, const char *name, const char *value)
{
	char text[256];
	char **environment =
	    realloc(spec->environment, (spec->n_environment + 1) * sizeof *environment);

	if (environment == NULL)
		return false;
	spec->environment = environment;
	snprintf(text, sizeof text, "%s=%s", name, value);
	if ((environment[spec->n_environment] = strdup(text)) == NULL)
		return false;
	spec->n_environment++;
	return true;
}

static bool
add_number(Corral__TaskSpec *spec, const char *name, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof text, "%" PRIu32, value);
	return add_variable(spec, name, text);
}

static Corral__TaskSpec *
run_spec(const Corral__Api__RunRequest *run, const struct task_key *key, const char *node)
{
	Corral__TaskSpec *spec = copy_spec(run->spec);

	if (spec == NULL)
		return NULL;
	spec->has_interactive = true;
	spec->interactive = run->input;
	if (add_variable(spec, "CORRAL_JOB", key->job) &&
	    add_number(spec, "CORRAL_INDEX", key->index) &&
	    add_number(spec, "CORRAL_ATTEMPT", key->attempt) &&
	    add_number(spec, "CORRAL_COUNT", run->count) && add_variable(spec, "CORRAL_NODE", node))
		return spec;
	corral__task_spec__free_unpacked(spec, NULL);
	return NULL;
}

Corral__TaskSpec *
definition_spec(
    const struct definition *d, const struct job *j, const struct task_key *key, const char *node)
{
	struct jobfile_launch launch = {key->index, key->attempt, node, cluster_fence(key)};
	Corral__TaskSpec *spec =
	    d->file != NULL ? jobfile_task_spec(d->file, &launch) : run_spec(d->run, key, node);

	if (spec == NULL)
		return NULL;
	free(spec->submitted_by);
	spec->submitted_by = strdup(j->by);
	/* A user's task runs as the account of its own name, whatever the node's default is. */
	if (str_starts(j->by, "user:") && definition_user(d) == NULL) {
		free(spec->user);
		spec->user = strdup(j->by + strlen("user:"));
	}
	if (spec->submitted_by == NULL ||
	    (str_starts(j->by, "user:") && definition_user(d) == NULL && spec->user == NULL)) {
		corral__task_spec__free_unpacked(spec, NULL);
		return NULL;
	}
	return spec;
}
