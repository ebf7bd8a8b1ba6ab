/* SPDX-License-Identifier: Apache-2.0 */
/* One row per key of a job file that this version implements, and how each value is read. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/role.h"
#include "libcommon/base/str.h"
#include "libcommon/job/jobfile_parse.h"
#include "libcommon/job/words.h"

#define MEMORY_MIN (UINT64_C(1) << 20)
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* The member of the job that a row names. */
static void *
member(struct jobfile_reading *r, const struct jobfile_key *key)
{
	return (char *)r->job + key->offset;
}

static const char *
set_text(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	char **to = member(r, key);
	char *copy = NULL;

	if (*value != '\0' && (copy = strdup(value)) == NULL)
		return "out of memory";
	free(*to);
	*to = copy;
	return NULL;
}

static const char *
set_type(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	enum jobfile_type *to = member(r, key);

	if (strcmp(value, "batch") == 0)
		*to = JOBFILE_BATCH;
	else if (strcmp(value, "service") == 0)
		*to = JOBFILE_SERVICE;
	else
		return "expected batch or service";
	return NULL;
}

static const char *
set_count(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t count;

	if (!str_to_u64(value, 1, JOBFILE_COUNT_MAX, &count))
		return "expected a number from 1 to 1000000";
	*(uint32_t *)member(r, key) = (uint32_t)count;
	r->count_line = r->line;
	return NULL;
}

static const char *
set_priority(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t priority;

	if (!str_to_u64(value, 0, 100, &priority))
		return "expected a number from 0 to 100";
	*(uint32_t *)member(r, key) = (uint32_t)priority;
	return NULL;
}

static const char *
set_role(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	if (*value != '\0' && !role_name_ok(value))
		return "expected the name of a role, as eng or eng/web";
	return set_text(r, key, value);
}

static const char *
set_retries(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t retries;

	if (!str_to_u64(value, 0, UINT32_MAX - 1, &retries))
		return "expected a number, 0 for no retry";
	*(uint32_t *)member(r, key) = (uint32_t)retries;
	r->retries_given = true;
	return NULL;
}

/* systemd's words for yes and no. False: it is none of them. */
static bool
parse_yes(const char *value, bool *yes)
{
	static const char *const words[] = {"yes", "no", "true", "false", "on", "off", "1", "0"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(value, words[i]) == 0) {
			*yes = i % 2 == 0;
			return true;
		}
	return false;
}

static const char *
parse_time(const char *value, uint64_t *ms)
{
	if (!amount_parse_time(value, ms))
		return "expected a time, as 30s, 5min, 1h 30s";
	if (*ms != AMOUNT_TIME_FOREVER && *ms > JOBFILE_TIME_MAX_MS)
		return "more than a hundred years; write infinity";
	return NULL;
}

/* "infinity" is the longest time that there is. */
static const char *
set_time(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t ms;
	const char *wrong = parse_time(value, &ms);

	if (wrong == NULL)
		*(uint64_t *)member(r, key) = ms == AMOUNT_TIME_FOREVER ? JOBFILE_TIME_MAX_MS : ms;
	return wrong;
}

static const char *
set_timeout_stop(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t ms;

	r->timeout_stop_line = r->line;
	r->stop_forever = amount_parse_time(value, &ms) && ms >= JOBFILE_TIME_MAX_MS;
	return set_time(r, key, value);
}

/* "infinity" is no limit, which is 0. */
static const char *
set_limit(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t ms;
	const char *wrong = parse_time(value, &ms);

	if (wrong == NULL && ms == 0)
		return "must be above 0; write infinity for no limit";
	if (wrong == NULL)
		*(uint64_t *)member(r, key) = ms == AMOUNT_TIME_FOREVER ? 0 : ms;
	return wrong;
}

/* The prefixes of a command; NULL and *value behind them, or what is wrong. */
static const char *
take_prefixes(struct jobfile_command *command, const char **value)
{
	for (;; ++*value) {
		switch (**value) {
		case '-':
			command->ignore_failure = true;
			break;
		case ':':
			command->no_variables = true;
			break;
		case '@':
			return "the prefix @ is not available in this version";
		case '+':
		case '!':
			return "the prefixes + and ! are refused: a task has the rights of its "
			       "user";
		default:
			return NULL;
		}
	}
}

static const char *
read_command(struct jobfile_reading *r, struct jobfile_command *command, const char *value)
{
	const char *wrong = take_prefixes(command, &value);

	command->line = r->line;
	if (wrong == NULL)
		wrong = words_split(&command->argv, value, true);
	if (wrong == NULL && (command->argv.count == 0 || command->argv.items[0][0] == '\0'))
		wrong = "expected a command";
	if (wrong != NULL)
		words_clear(&command->argv);
	return wrong;
}

static const char *
set_start(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	struct jobfile_command *start = member(r, key), command = {0};
	const char *wrong;

	if (r->script)
		return "the script itself is the command";
	if (*value == '\0') {
		words_clear(&start->argv);
		return NULL;
	}
	if (start->argv.count > 0)
		return "a second command; exactly one ExecStart= is run (ExecStartPre= for those "
		       "before it)";
	if ((wrong = read_command(r, &command, value)) != NULL)
		return wrong;
	if (command.ignore_failure) {
		words_clear(&command.argv);
		return "the prefix - would hide that a task failed; use sh -c '... || true'";
	}
	*start = command;
	return NULL;
}

static const char *
add_pre(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	struct jobfile *job = r->job;
	struct jobfile_command command = {0}, *pre;
	const char *wrong;

	(void)key;
	if (*value == '\0') {
		for (size_t i = 0; i < job->pre_count; i++)
			words_clear(&job->pre[i].argv);
		job->pre_count = 0;
		return NULL;
	}
	if (job->pre_count == JOBFILE_PRE_MAX)
		return "too many ExecStartPre=";
	if ((wrong = read_command(r, &command, value)) != NULL)
		return wrong;
	if ((pre = reallocarray(job->pre, job->pre_count + 1, sizeof *pre)) == NULL) {
		words_clear(&command.argv);
		return "out of memory";
	}
	job->pre = pre;
	pre[job->pre_count++] = command;
	return NULL;
}

static const char *
set_directory(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	if (*value != '\0' && *value != '/')
		return "expected an absolute path; empty for the sandbox";
	jobfile_check_specifiers(r, value, key->name, r->line);
	return set_text(r, key, value);
}

static const char *
set_user(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	size_t size = strlen(value);

	if (size > 31 || value[0] == '-' || strspn(value, NAME_BYTES ".-") != size)
		return "expected the name of an account";
	return set_text(r, key, value);
}

/* NAME=value: a name for an environment variable that the author may set. */
static const char *
check_assignment(const char *word, size_t *name_size)
{
	*name_size = strspn(word, NAME_BYTES);
	if (*name_size == 0 || word[*name_size] != '=' || (word[0] >= '0' && word[0] <= '9'))
		return "expected NAME=value, quoted as a whole if it has blanks";
	if (strncmp(word, "CORRAL_", 7) == 0)
		return "names that begin with CORRAL_ are set by corral";
	return NULL;
}

/* Replace the variable of this name, or add it. */
static const char *
put_variable(struct jobfile_words *environment, const char *word, size_t name_size)
{
	for (size_t i = 0; i < environment->count; i++) {
		char *copy;

		if (strncmp(environment->items[i], word, name_size + 1) != 0)
			continue;
		if ((copy = strdup(word)) == NULL)
			return "out of memory";
		free(environment->items[i]);
		environment->items[i] = copy;
		return NULL;
	}
	if (words_add(environment, word, strlen(word)))
		return NULL;
	return environment->count == JOBFILE_WORDS_MAX ? "too many variables" : "out of memory";
}

static const char *
add_environment(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	struct jobfile_words words = {0}, *environment = member(r, key);
	const char *wrong;

	if (*value == '\0') {
		words_clear(environment);
		return NULL;
	}
	wrong = words_split(&words, value, false);
	for (size_t i = 0; wrong == NULL && i < words.count; i++) {
		size_t name_size;

		if ((wrong = check_assignment(words.items[i], &name_size)) != NULL)
			break;
		jobfile_check_specifiers(r, words.items[i] + name_size, key->name, r->line);
		wrong = put_variable(environment, words.items[i], name_size);
	}
	words_clear(&words);
	return wrong;
}

static const char *
set_restart(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	enum jobfile_restart *to = member(r, key);

	if (strcmp(value, "no") == 0)
		*to = JOBFILE_RESTART_NO;
	else if (strcmp(value, "on-failure") == 0)
		*to = JOBFILE_RESTART_ON_FAILURE;
	else if (strcmp(value, "always") == 0)
		*to = JOBFILE_RESTART_ALWAYS;
	else
		return "expected no, on-failure or always";
	r->restart_given = true;
	return NULL;
}

/* systemd's keys for what is always so here: what else they may say is refused. */
static const char *
set_kill_mode(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	(void)r;
	(void)key;
	return strcmp(value, "control-group") == 0
		   ? NULL
		   : "refused: it is control-group: all of a task is stopped, a singleton "
		     "above all";
}

static const char *
set_send_sigkill(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	bool yes;

	(void)r;
	(void)key;
	return parse_yes(value, &yes) && yes
		   ? NULL
		   : "refused: it is yes: SIGKILL follows after TimeoutStopSec=, for a "
		     "singleton above all";
}

static const char *
set_singleton(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	r->singleton_line = r->line;
	return parse_yes(value, member(r, key)) ? NULL : "expected yes or no";
}

/* "wait", or "replace" with or without a time. */
static const char *
set_disconnect(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	static const char replace[] = "replace";
	const char *delay = value + sizeof replace - 1, *wrong;
	uint64_t ms = 0;

	r->disconnect_line = r->line;
	if (strcmp(value, "wait") == 0) {
		ms = JOBFILE_WAIT_MS;
	} else if (!str_starts(value, replace) || (*delay != '\0' && *delay != ' ')) {
		return "expected wait, replace, or replace and a time, as replace 5min";
	} else if (*delay == ' ') {
		if ((wrong = parse_time(delay + strspn(delay, " "), &ms)) != NULL)
			return wrong;
		ms = ms == AMOUNT_TIME_FOREVER ? JOBFILE_WAIT_MS : ms;
	}
	*(uint64_t *)member(r, key) = ms;
	return NULL;
}

static const char *
set_signal(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	/* signal(7), by their numbers on Linux. */
	static const char *const names[] = {NULL, "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT",
	    "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
	    "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
	    "WINCH", "IO", "PWR", "SYS"};
	const char *name = str_starts(value, "SIG") ? value + 3 : value;
	uint64_t number;

	if (str_to_u64(value, 1, sizeof names / sizeof *names - 1, &number)) {
		*(int *)member(r, key) = (int)number;
		return NULL;
	}
	for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], name) == 0) {
			*(int *)member(r, key) = (int)i;
			return NULL;
		}
	}
	return "expected the name of a signal, as SIGTERM";
}

static const char *
set_cpu(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t milli;

	if (!amount_parse_cpu(value, &milli) || milli == 0)
		return "expected cpus above 0, as 2, 0.5, 0.125";
	*(uint64_t *)member(r, key) = milli;
	return NULL;
}

static const char *
set_disk(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	return amount_parse_size(value, member(r, key)) ? NULL : "expected a size, as 512M, 1.5G";
}

static const char *
set_memory(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	uint64_t bytes;

	if (!amount_parse_size(value, &bytes))
		return "expected a size, as 256M, 1.5G";
	if (bytes < MEMORY_MIN)
		return "less than 1M, with which nothing runs";
	*(uint64_t *)member(r, key) = bytes;
	return NULL;
}

static const char *
set_memory_max(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	r->memory_max_line = r->line;
	return set_memory(r, key, value);
}

/* "attr.arch == x86_64" or "node != n17". */
static const char *
add_constraint(struct jobfile_reading *r, const struct jobfile_key *key, const char *value)
{
	static const char expected[] =
	    "expected attr.NAME == VALUE, attr.NAME != VALUE, or the same with node";
	struct jobfile_words words = {0};
	struct jobfile_constraint *list = r->job->constraints;
	const char *wrong = words_split(&words, value, false);

	(void)key;
	if (wrong == NULL && r->job->constraint_count == JOBFILE_CONSTRAINTS_MAX)
		wrong = "too many constraints";
	if (wrong == NULL && (words.count != 3 || (strcmp(words.items[1], "==") != 0 &&
						      strcmp(words.items[1], "!=") != 0)))
		wrong = expected;
	if (wrong == NULL && strcmp(words.items[0], "node") != 0 &&
	    (!str_starts(words.items[0], "attr.") || words.items[0][5] == '\0'))
		wrong = expected;
	if (wrong == NULL &&
	    (list = reallocarray(list, r->job->constraint_count + 1, sizeof *list)) == NULL)
		wrong = "out of memory";
	if (wrong == NULL) {
		r->job->constraints = list;
		list[r->job->constraint_count++] =
		    (struct jobfile_constraint){.attribute = words.items[0],
			.equal = words.items[1][0] == '=',
			.value = words.items[2]};
		/* Two of the three words have a new owner. */
		free(words.items[1]);
		words.count = 0;
	}
	words_clear(&words);
	return wrong;
}

#define KEY(section, name, set, member)                                                            \
	{                                                                                          \
		section, name, set, offsetof(struct jobfile, member)                               \
	}

const struct jobfile_key jobfile_keys[] = {
    KEY("Unit", "Description", set_text, description),
    KEY("Unit", "Documentation", set_text, documentation),

    KEY("Job", "Type", set_type, type),
    KEY("Job", "Count", set_count, count),
    KEY("Job", "RuntimeMaxSec", set_limit, runtime_max_ms),
    KEY("Job", "Role", set_role, role),
    KEY("Job", "Priority", set_priority, priority),

    KEY("Task", "ExecStartPre", add_pre, pre),
    KEY("Task", "ExecStart", set_start, start),
    KEY("Task", "WorkingDirectory", set_directory, working_directory),
    KEY("Task", "User", set_user, user),
    KEY("Task", "Environment", add_environment, environment),
    KEY("Task", "Restart", set_restart, restart),
    KEY("Task", "RestartSec", set_time, restart_ms),
    KEY("Task", "StartLimitBurst", set_retries, retries_max),
    KEY("Task", "KillSignal", set_signal, kill_signal),
    KEY("Task", "TimeoutStopSec", set_timeout_stop, timeout_stop_ms),
    KEY("Task", "KillMode", set_kill_mode, timeout_stop_ms),
    KEY("Task", "SendSIGKILL", set_send_sigkill, timeout_stop_ms),

    KEY("Resources", "CPU", set_cpu, cpu_milli),
    KEY("Resources", "Memory", set_memory, memory_bytes),
    KEY("Resources", "MemoryMax", set_memory_max, memory_max_bytes),
    KEY("Resources", "Disk", set_disk, disk_bytes),

    KEY("Placement", "Constraint", add_constraint, constraints),
    KEY("Placement", "Singleton", set_singleton, singleton),
    KEY("Placement", "OnDisconnect", set_disconnect, disconnect_ms),
};

const size_t jobfile_key_count = sizeof jobfile_keys / sizeof *jobfile_keys;
