/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a job to what one attempt runs: specifiers (systemd.unit(5)), then variables as systemd
 * replaces them in a command (systemd.service(5)): ${NAME} anywhere in a word, $NAME as a whole
 * word that is then split at blanks, $$ for a dollar sign. Only variables that the job file itself
 * or corral sets are known here; a job file that names another is refused when it is read, and not
 * run with a hole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/job/jobfile_parse.h"
#include "libcommon/job/words.h"
#include "libcommon/sys/ini.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define EXPANDED_BYTES_MAX (4u * INI_LINE_BYTES_MAX)

#define FENCE "CORRAL_FENCE" /* of singletons only */

static const char *const own_variables[] = {
    "CORRAL_JOB", "CORRAL_INDEX", "CORRAL_COUNT", "CORRAL_ATTEMPT", "CORRAL_NODE"};

/* Bytes of the variable's name at p, 0 if there is none. */
static size_t
name_bytes(const char *p)
{
	return *p >= '0' && *p <= '9' ? 0 : strspn(p, NAME_BYTES);
}

/* The value of NAME among NAME=value texts. */
static const char *
find_variable(const struct jobfile_words *environment, const char *name, size_t size)
{
	for (size_t i = 0; i < environment->count; i++) {
		if (strncmp(environment->items[i], name, size) == 0 &&
		    environment->items[i][size] == '=')
			return environment->items[i] + size + 1;
	}
	return NULL;
}

void
jobfile_check_specifiers(
    struct jobfile_reading *r, const char *text, const char *key, unsigned line)
{
	while ((text = strchr(text, '%')) != NULL) {
		if (text[1] == '\0' || strchr("injH%", text[1]) == NULL) {
			faults_add(r->faults, r->file, line,
			    "[Task] %s=: %%%.1s is no specifier; there are %%i %%n %%j %%H, and "
			    "%%%% for a percent sign (" JOBFILE_MANUAL ")",
			    key, text + 1);
			return;
		}
		text += 2;
	}
}

/* A variable that nobody sets would silently be empty. */
static void
check_variable(
    struct jobfile_reading *r, const char *name, size_t size, const char *key, unsigned line)
{
	for (size_t i = 0; i < sizeof own_variables / sizeof *own_variables; i++) {
		if (strlen(own_variables[i]) == size && memcmp(own_variables[i], name, size) == 0)
			return;
	}
	if (r->job->singleton && strlen(FENCE) == size && memcmp(FENCE, name, size) == 0)
		return;
	if (find_variable(&r->job->environment, name, size) == NULL)
		faults_add(r->faults, r->file, line,
		    "[Task] %s=: no Environment= sets ${%.*s}; write $${%.*s} to leave it to a "
		    "shell (" JOBFILE_MANUAL ")",
		    key, (int)(size < 64 ? size : 64), name, (int)(size < 64 ? size : 64), name);
}

static void
check_variables(struct jobfile_reading *r, const char *word, const char *key, unsigned line)
{
	size_t whole = word[0] == '$' ? name_bytes(word + 1) : 0;

	if (whole > 0 && word[1 + whole] == '\0') {
		check_variable(r, word + 1, whole, key, line);
		return;
	}
	for (const char *p = word; (p = strchr(p, '$')) != NULL;) {
		size_t size = p[1] == '{' ? name_bytes(p + 2) : 0;

		if (size > 0 && p[2 + size] == '}')
			check_variable(r, p + 2, size, key, line);
		p += p[1] == '$' ? 2 : 1;
	}
}

void
jobfile_check_command(
    struct jobfile_reading *r, const struct jobfile_command *command, const char *key)
{
	if (command->literal)
		return;
	for (size_t i = 0; i < command->argv.count; i++) {
		jobfile_check_specifiers(r, command->argv.items[i], key, command->line);
		if (i > 0 && !command->no_variables)
			check_variables(r, command->argv.items[i], key, command->line);
	}
}

static void
expand_specifiers(struct buf *to, const char *text, const struct jobfile *job,
    const struct jobfile_launch *launch)
{
	for (; *text != '\0'; text++) {
		if (*text != '%') {
			buf_append(to, text, 1);
			continue;
		}
		switch (*++text) {
		case 'i':
			buf_printf(to, "%" PRIu32, launch->index);
			break;
		case 'n':
		case 'j':
			buf_printf(to, "%s", job->name);
			break;
		case 'H':
			buf_printf(to, "%s", launch->node);
			break;
		default: /* checked when the file was read */
			buf_append(to, "%", 1);
		}
	}
}

/* Replace ${NAME} and $$. */
static void
expand_variables(struct buf *to, const char *text, const struct jobfile_words *environment)
{
	while (*text != '\0') {
		size_t size = text[0] == '$' && text[1] == '{' ? name_bytes(text + 2) : 0;
		const char *value;

		if (size > 0 && text[2 + size] == '}') {
			value = find_variable(environment, text + 2, size);
			buf_printf(to, "%s", value != NULL ? value : "");
			text += size + 3;
		} else if (text[0] == '$' && text[1] == '$') {
			buf_append(to, "$", 1);
			text += 2;
		} else
			buf_append(to, text++, 1);
	}
}

/* $NAME as a whole word: the value's words. False if it is no such word. */
static bool
is_variable_word(const char *word, const struct jobfile_words *environment, const char **value)
{
	size_t size = word[0] == '$' ? name_bytes(word + 1) : 0;

	if (size == 0 || word[1 + size] != '\0')
		return false;
	*value = find_variable(environment, word + 1, size);
	return true;
}

static bool
add_blank_separated(struct jobfile_words *words, const char *text)
{
	for (text += strspn(text, " \t\n\r"); *text != '\0'; text += strspn(text, " \t\n\r")) {
		size_t size = strcspn(text, " \t\n\r");

		if (!words_add(words, text, size))
			return false;
		text += size;
	}
	return true;
}

/* One word of a command into argv. */
static bool
add_expanded(struct jobfile_words *argv, const char *word, bool variables,
    const struct jobfile_words *environment, const struct jobfile *job,
    const struct jobfile_launch *launch)
{
	struct buf plain, full;
	const char *text, *value;
	bool ok;

	buf_init(&plain, EXPANDED_BYTES_MAX);
	buf_init(&full, EXPANDED_BYTES_MAX);
	expand_specifiers(&plain, word, job, launch);
	text = buf_text(&plain);
	if (text == NULL)
		ok = false;
	else if (!variables)
		ok = words_add(argv, text, plain.len);
	else if (is_variable_word(text, environment, &value))
		ok = value == NULL || add_blank_separated(argv, value);
	else {
		expand_variables(&full, text, environment);
		text = buf_text(&full);
		ok = text != NULL && words_add(argv, text, full.len);
	}
	buf_fini(&plain);
	buf_fini(&full);
	return ok;
}

static bool
expand_command(struct jobfile_words *argv, const struct jobfile_command *command,
    const struct jobfile_words *environment, const struct jobfile *job,
    const struct jobfile_launch *launch)
{
	for (size_t i = 0; i < command->argv.count; i++) {
		const char *word = command->argv.items[i];

		if (command->literal) {
			if (!words_add(argv, word, strlen(word)))
				return false;
		} else if (!add_expanded(argv, word, i > 0 && !command->no_variables, environment,
			       job, launch))
			return false;
	}
	return true;
}

/* The job's own variables, then corral's. */
static bool
make_environment(struct jobfile_words *environment, const struct jobfile *job,
    const struct jobfile_launch *launch)
{
	char text[JOB_NAME_MAX + 300];
	const char *own[] = {job->name, NULL, NULL, NULL, launch->node};
	uint32_t numbers[] = {0, launch->index, job->count, launch->attempt};

	for (size_t i = 0; i < job->environment.count; i++) {
		if (!add_expanded(environment, job->environment.items[i], false, NULL, job, launch))
			return false;
	}
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		int size =
		    own[i] != NULL
			? snprintf(text, sizeof text, "%s=%s", own_variables[i], own[i])
			: snprintf(text, sizeof text, "%s=%" PRIu32, own_variables[i], numbers[i]);

		if (size < 0 || (size_t)size >= sizeof text ||
		    !words_add(environment, text, (size_t)size))
			return false;
	}
	if (!job->singleton)
		return true;
	snprintf(text, sizeof text, FENCE "=%" PRIu64, launch->fence);
	return words_add(environment, text, strlen(text));
}

static bool
make_steps(Corral__TaskSpec *spec, const struct jobfile *job,
    const struct jobfile_words *environment, const struct jobfile_launch *launch)
{
	if (job->pre_count == 0)
		return true;
	if ((spec->exec_start_pre = calloc(job->pre_count, sizeof *spec->exec_start_pre)) == NULL)
		return false;
	for (size_t i = 0; i < job->pre_count; i++) {
		Corral__ExecStep *step = malloc(sizeof *step);
		struct jobfile_words argv = {0};
		bool ok;

		if (step == NULL)
			return false;
		corral__exec_step__init(step);
		spec->exec_start_pre[spec->n_exec_start_pre++] = step;
		step->has_ignore_failure = step->ignore_failure = job->pre[i].ignore_failure;
		ok = expand_command(&argv, &job->pre[i], environment, job, launch);
		step->argv = argv.items;
		step->n_argv = argv.count;
		if (!ok)
			return false;
	}
	return true;
}

static bool
make_texts(Corral__TaskSpec *spec, const struct jobfile *job, const struct jobfile_launch *launch)
{
	struct jobfile_words directory = {0};
	bool ok;

	if (job->user != NULL && (spec->user = strdup(job->user)) == NULL)
		return false;
	if (job->working_directory == NULL)
		return true;
	ok = add_expanded(&directory, job->working_directory, false, NULL, job, launch);
	if (ok) {
		spec->working_directory = directory.items[0];
		directory.count = 0;
	}
	words_clear(&directory);
	return ok;
}

static bool
make_numbers(Corral__TaskSpec *spec, const struct jobfile *job)
{
	Corral__Resources *resources = malloc(sizeof *resources);

	if (resources == NULL)
		return false;
	corral__resources__init(resources);
	spec->resources = resources;
	resources->has_cpu_milli = resources->has_memory_bytes = resources->has_disk_bytes = 1;
	resources->cpu_milli = job->cpu_milli;
	resources->memory_bytes = job->memory_bytes;
	resources->disk_bytes = job->disk_bytes;
	spec->has_memory_max_bytes = job->memory_max_bytes != 0;
	spec->memory_max_bytes = job->memory_max_bytes;
	spec->has_kill_signal = spec->has_timeout_stop_ms = 1;
	spec->kill_signal = job->kill_signal;
	spec->timeout_stop_ms = job->timeout_stop_ms;
	spec->has_runtime_max_ms = job->runtime_max_ms != 0;
	spec->runtime_max_ms = job->runtime_max_ms;
	spec->has_singleton = spec->singleton = job->singleton;
	return true;
}

Corral__TaskSpec *
jobfile_task_spec(const struct jobfile *job, const struct jobfile_launch *launch)
{
	Corral__TaskSpec *spec = malloc(sizeof *spec);
	struct jobfile_words environment = {0}, argv = {0};
	bool ok;

	if (spec == NULL)
		return NULL;
	corral__task_spec__init(spec);
	ok = make_environment(&environment, job, launch) &&
	     expand_command(&argv, &job->start, &environment, job, launch) &&
	     make_steps(spec, job, &environment, launch) && make_texts(spec, job, launch) &&
	     make_numbers(spec, job);
	/* The lists become the message's, whole or not. */
	spec->environment = environment.items;
	spec->n_environment = environment.count;
	spec->argv = argv.items;
	spec->n_argv = argv.count;
	if (ok)
		return spec;
	corral__task_spec__free_unpacked(spec, NULL);
	return NULL;
}

bool
jobfile_allows_node(
    const struct jobfile *job, const char *node, Corral__Attribute *const *attributes, size_t count)
{
	for (size_t i = 0; i < job->constraint_count; i++) {
		const struct jobfile_constraint *c = &job->constraints[i];
		const char *value = strcmp(c->attribute, "node") == 0 ? node : NULL;

		for (size_t k = 0; value == NULL && k < count; k++) {
			if (str_starts(c->attribute, "attr.") &&
			    strcmp(attributes[k]->name, c->attribute + 5) == 0)
				value = attributes[k]->value;
		}
		if ((value != NULL && strcmp(value, c->value) == 0) != c->equal)
			return false;
	}
	return true;
}
