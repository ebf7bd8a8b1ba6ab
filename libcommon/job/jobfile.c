/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/job/jobfile.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/job/jobfile_parse.h"
#include "libcommon/job/words.h"
#include "libcommon/sys/ini.h"

#define SUFFIX ".job"
#define MARK "#CORRAL" /* of a script's comments that are keys */
#define BLANKS " \t"
#define NAMES_MAX 64

const char jobfile_example[] =
    "# A job file for corral: systemd's words, explained in corral-job(5).\n"
    "[Unit]\n"
    "Description=Count to ten, three times\n"
    "\n"
    "[Job]\n"
    "# batch: each task ends; service: each task is started again when it ends.\n"
    "Type=batch\n"
    "Count=3\n"
    "\n"
    "[Task]\n"
    "# %i is the task's index: 0, 1, 2. The working directory is a sandbox of its own.\n"
    "ExecStart=/bin/sh -c 'for n in 1 2 3 4 5 6 7 8 9 10; do echo \"task %i: $n\"; sleep 1; done'\n"
    "Restart=on-failure\n"
    "\n"
    "[Resources]\n"
    "CPU=0.5\n"
    "Memory=64M\n";

bool
jobfile_name_from_path(const char *path, char to[JOB_NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t size = strlen(name);

	to[0] = '\0';
	if (size > sizeof SUFFIX - 1 && strcmp(name + size - (sizeof SUFFIX - 1), SUFFIX) == 0)
		size -= sizeof SUFFIX - 1;
	if (size > JOB_NAME_MAX)
		return false;
	memcpy(to, name, size);
	to[size] = '\0';
	if (job_name_ok(to))
		return true;
	to[0] = '\0';
	return false;
}

static const struct jobfile_key *
find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < jobfile_key_count; i++) {
		if ((section == NULL || strcmp(jobfile_keys[i].section, section) == 0) &&
		    strcmp(jobfile_keys[i].name, name) == 0)
			return &jobfile_keys[i];
	}
	return NULL;
}

/* The names to choose the nearest from: of the keys of a section, or (NULL) of the sections. */
static size_t
names_of(const char *section, const char *names[NAMES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < jobfile_key_count && count < NAMES_MAX; i++) {
		if (section == NULL)
			names[count++] = jobfile_keys[i].section;
		else if (strcmp(jobfile_keys[i].section, section) == 0)
			names[count++] = jobfile_keys[i].name;
	}
	return count;
}

static void
say_unknown_section(struct jobfile_reading *r, const char *section)
{
	const char *names[NAMES_MAX];
	const char *why = jobfile_refusal(section, NULL), *near;

	if (*section == '\0')
		faults_add(r->faults, r->file, r->line,
		    "a key before the first [SECTION] (" JOBFILE_MANUAL ")");
	else if (why != NULL)
		faults_add(r->faults, r->file, r->line, "[%s]: refused: %s (" JOBFILE_MANUAL ")",
		    section, why);
	else if ((near = faults_nearest(section, names, names_of(NULL, names))) != NULL)
		faults_add(r->faults, r->file, r->line,
		    "[%s]: unknown section, did you mean [%s] ? (" JOBFILE_MANUAL ")", section,
		    near);
	else
		faults_add(r->faults, r->file, r->line,
		    "[%s]: unknown section (" JOBFILE_MANUAL ")", section);
}

/* A key that is not ours: say why, where it belongs, or which one is meant. */
static void
say_unknown_key(struct jobfile_reading *r, const char *section, const char *name, const char *value)
{
	const char *names[NAMES_MAX];
	size_t count = names_of(section, names);
	const struct jobfile_key *elsewhere = find_key(NULL, name);
	const char *why = jobfile_refusal(section, name), *near;

	if (count == 0)
		say_unknown_section(r, section);
	else if (elsewhere != NULL)
		faults_add(r->faults, r->file, r->line,
		    "[%s] %s=%.80s: this key belongs in [%s] (" JOBFILE_MANUAL ")", section, name,
		    value, elsewhere->section);
	else if (why != NULL)
		faults_add(r->faults, r->file, r->line,
		    "[%s] %s=%.80s: refused: %s (" JOBFILE_MANUAL ")", section, name, value, why);
	else if ((near = faults_nearest(name, names, count)) != NULL)
		faults_add(r->faults, r->file, r->line,
		    "[%s] %s=%.80s: unknown key, did you mean %s= ? (" JOBFILE_MANUAL ")", section,
		    name, value, near);
	else
		faults_add(r->faults, r->file, r->line,
		    "[%s] %s=%.80s: unknown key (" JOBFILE_MANUAL ")", section, name, value);
}

static void
take_entry(struct jobfile_reading *r, const char *section, const char *name, const char *value,
    unsigned line)
{
	const struct jobfile_key *key = find_key(section, name);
	const char *wrong;

	r->line = line;
	if (key == NULL)
		say_unknown_key(r, section, name, value);
	else if ((wrong = key->set(r, key, value)) != NULL)
		faults_add(r->faults, r->file, line, "[%s] %s=%.80s: %s (" JOBFILE_MANUAL ")",
		    section, name, value, wrong);
}

static void
read_unit(struct jobfile_reading *r, const char *text, size_t size)
{
	struct ini ini;

	ini_parse_text(&ini, INI_SYSTEMD, r->file, text, size, r->faults);
	for (size_t i = 0; i < ini.count; i++)
		take_entry(r, ini.entries[i].section, ini.entries[i].name, ini.entries[i].value,
		    ini.entries[i].line);
	ini_fini(&ini);
}

/* "Resources.CPU" of a script's comment. */
static void
take_dotted(struct jobfile_reading *r, const struct ini_entry *e)
{
	char section[INI_NAME_BYTES_MAX + 1];
	const char *dot = strchr(e->name, '.');

	if (dot == NULL || dot == e->name) {
		faults_add(r->faults, r->file, e->line,
		    MARK " %s=: expected SECTION.KEY=VALUE (" JOBFILE_MANUAL ")", e->name);
		return;
	}
	memcpy(section, e->name, (size_t)(dot - e->name));
	section[dot - e->name] = '\0';
	take_entry(r, section, dot + 1, e->value, e->line);
}

/* How the script's interpreter takes a program as an argument; NULL if we know no way. */
static const char *
program_option(const char *interpreter)
{
	static const char *const with_c[] = {"sh", "bash", "dash", "ksh", "mksh", "zsh", "ash"};
	static const char *const with_e[] = {"perl", "ruby", "node"};
	const char *slash = strrchr(interpreter, '/');
	const char *name = slash != NULL ? slash + 1 : interpreter;

	for (size_t i = 0; i < sizeof with_c / sizeof *with_c; i++) {
		if (strcmp(name, with_c[i]) == 0)
			return "-c";
	}
	for (size_t i = 0; i < sizeof with_e / sizeof *with_e; i++) {
		if (strcmp(name, with_e[i]) == 0)
			return "-e";
	}
	return str_starts(name, "python") ? "-c" : NULL;
}

/* Make the command that hands the script to its interpreter: the node needs no file for it. */
static void
read_shebang(struct jobfile_reading *r, const char *text, size_t size)
{
	struct jobfile_command *start = &r->job->start;
	const char *end = memchr(text, '\n', size), *option, *wrong;
	char line[256];
	size_t line_size = (size_t)((end != NULL ? end : text + size) - text) - 2;
	bool has_env;

	start->literal = true;
	start->line = 1;
	if (size > JOBFILE_SCRIPT_MAX || line_size >= sizeof line ||
	    memchr(text, '\0', size) != NULL) {
		faults_add(r->faults, r->file, 1, "a script must be text of at most %u bytes",
		    JOBFILE_SCRIPT_MAX);
		return;
	}
	memcpy(line, text + 2, line_size);
	line[line_size] = '\0';
	if ((wrong = words_split(&start->argv, line, false)) != NULL || start->argv.count == 0) {
		faults_add(r->faults, r->file, 1, "%.80s: %s", line,
		    wrong != NULL ? wrong : "expected #!INTERPRETER");
		return;
	}
	has_env = start->argv.count > 1 && strcmp(start->argv.items[0], "/usr/bin/env") == 0;
	if ((option = program_option(start->argv.items[has_env])) == NULL)
		faults_add(r->faults, r->file, 1,
		    "#!%.80s: scripts of a shell, Python, Perl, Ruby and node are taken; "
		    "for others write a job file (" JOBFILE_MANUAL ")",
		    line);
	else if (!words_add(&start->argv, option, 2) || !words_add(&start->argv, text, size) ||
		 !words_add(&start->argv, r->job->name, strlen(r->job->name)))
		faults_add(r->faults, r->file, 1, "out of memory");
}

/* Keys stand in comments up to the first line that is none; every other line counts as empty. */
static void
read_script(struct jobfile_reading *r, const char *text, size_t size)
{
	const char *end = text + size, *p = text;
	struct buf keys;
	struct ini ini;

	r->script = true;
	read_shebang(r, text, size);
	buf_init(&keys, size + 1);
	while (p < end && (*p == '#' || *p == '\n')) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t line_size = (size_t)((newline != NULL ? newline : end) - p);
		size_t mark = sizeof MARK - 1;

		if (line_size > mark && memcmp(p, MARK, mark) == 0 &&
		    strchr(BLANKS, p[mark]) != NULL)
			buf_append(&keys, p + mark, line_size - mark);
		buf_append(&keys, "\n", 1);
		p = newline != NULL ? newline + 1 : end;
	}
	if (keys.failed) {
		faults_add(r->faults, r->file, 0, "out of memory");
	} else {
		ini_parse_text(
		    &ini, INI_SYSTEMD, r->file, (const char *)keys.data, keys.len, r->faults);
		for (size_t i = 0; i < ini.count; i++)
			take_dotted(r, &ini.entries[i]);
		ini_fini(&ini);
	}
	buf_fini(&keys);
}

static void
set_defaults(struct jobfile *job, const char *name)
{
	str_copy(job->name, sizeof job->name, name);
	job->type = JOBFILE_BATCH;
	job->count = 1;
	job->priority = 50;
	job->restart_ms = 1000;
	job->kill_signal = SIGTERM;
	job->timeout_stop_ms = 10000;
	job->cpu_milli = JOBFILE_CPU_DEFAULT_MILLI;
	job->memory_bytes = JOBFILE_MEMORY_DEFAULT;
}

/* A singleton's stop must end, its places fit the store, and its lease is what it waits for. */
static void
check_singleton(struct jobfile_reading *r)
{
	if (!r->job->singleton)
		return;
	if (r->stop_forever)
		faults_add(r->faults, r->file, r->timeout_stop_line,
		    "[Task] TimeoutStopSec=: not infinity with Singleton=yes (line %u): the next "
		    "attempt waits for the end of this one's stop (" JOBFILE_MANUAL ")",
		    r->singleton_line);
	if (r->job->count > JOBFILE_SINGLETONS_MAX)
		faults_add(r->faults, r->file, r->count_line,
		    "[Job] Count=%u: at most %u with Singleton=yes (line %u) (" JOBFILE_MANUAL ")",
		    r->job->count, JOBFILE_SINGLETONS_MAX, r->singleton_line);
	if (r->job->disconnect_ms > 0)
		faults_add(r->faults, r->file, r->disconnect_line,
		    "[Placement] OnDisconnect=: only replace with Singleton=yes (line %u), whose "
		    "next attempt waits for the end of its node's lease (" JOBFILE_MANUAL ")",
		    r->singleton_line);
}

/* What only the whole file shows. */
static void
finish(struct jobfile_reading *r)
{
	struct jobfile *job = r->job;

	if (job->start.argv.count == 0 && r->faults->count == 0)
		faults_add(r->faults, r->file, 0,
		    "[Task] ExecStart= is missing: nothing to run (" JOBFILE_MANUAL ")");
	if (!r->restart_given)
		job->restart =
		    job->type == JOBFILE_SERVICE ? JOBFILE_RESTART_ALWAYS : JOBFILE_RESTART_NO;
	if (!r->retries_given)
		job->retries_max = job->type == JOBFILE_SERVICE ? JOBFILE_RETRIES_UNLIMITED : 5;
	if (job->memory_max_bytes != 0 && job->memory_max_bytes < job->memory_bytes)
		faults_add(r->faults, r->file, r->memory_max_line,
		    "[Resources] MemoryMax= is below Memory= (" JOBFILE_MANUAL ")");
	if (job->type == JOBFILE_BATCH && job->restart == JOBFILE_RESTART_ALWAYS)
		faults_add(r->faults, r->file, 0,
		    "[Task] Restart=always: a batch would never end; use Type=service or "
		    "Restart=on-failure (" JOBFILE_MANUAL ")");
	check_singleton(r);
	jobfile_check_command(r, &job->start, "ExecStart");
	for (size_t i = 0; i < job->pre_count; i++)
		jobfile_check_command(r, &job->pre[i], "ExecStartPre");
}

struct jobfile *
jobfile_parse(
    const char *name, const char *file, const char *text, size_t size, struct faults *faults)
{
	struct jobfile_reading r = {.file = file, .faults = faults};
	size_t before = faults->count;

	if (!job_name_ok(name)) {
		faults_add(faults, file, 0,
		    "\"%.80s\" is no name for a job: at most %d of a-z, 0-9 and -, not beginning "
		    "with -",
		    name, JOB_NAME_MAX);
		return NULL;
	}
	if (size > JOBFILE_TEXT_MAX) {
		faults_add(faults, file, 0, "larger than %u bytes", JOBFILE_TEXT_MAX);
		return NULL;
	}
	if ((r.job = calloc(1, sizeof *r.job)) == NULL) {
		faults_add(faults, file, 0, "out of memory");
		return NULL;
	}
	set_defaults(r.job, name);
	if (size >= 2 && memcmp(text, "#!", 2) == 0)
		read_script(&r, text, size);
	else
		read_unit(&r, text, size);
	finish(&r);
	if (faults->count == before)
		return r.job;
	jobfile_free(r.job);
	return NULL;
}

void
jobfile_free(struct jobfile *job)
{
	if (job == NULL)
		return;
	for (size_t i = 0; i < job->pre_count; i++)
		words_clear(&job->pre[i].argv);
	for (size_t i = 0; i < job->constraint_count; i++) {
		free(job->constraints[i].attribute);
		free(job->constraints[i].value);
	}
	free(job->pre);
	free(job->constraints);
	words_clear(&job->start.argv);
	words_clear(&job->environment);
	free(job->description);
	free(job->documentation);
	free(job->working_directory);
	free(job->user);
	free(job->role);
	free(job);
}
