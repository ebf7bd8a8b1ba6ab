/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/job/jobfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "tests/lib/unit.h"

static struct faults faults;
static struct jobfile *job;
static Corral__TaskSpec *spec;

static void
release(void)
{
	if (spec != NULL)
		corral__task_spec__free_unpacked(spec, NULL);
	spec = NULL;
	jobfile_free(job);
	job = NULL;
	faults_fini(&faults);
	faults_init(&faults);
}

static const struct jobfile *
parse(const char *text)
{
	release();
	job = jobfile_parse("hello", "hello.job", text, strlen(text), &faults);
	ck_assert((job == NULL) == (faults.count > 0));
	return job;
}

/* The text must be a job. */
static void
good(const char *text)
{
	ck_assert_msg(parse(text) != NULL, "%s", faults_text(&faults));
}

/* The text must be refused with exactly this. */
static void
bad(const char *text, const char *why)
{
	ck_assert_msg(parse(text) == NULL, "%s was taken", text);
	ck_assert_str_eq(faults_text(&faults), why);
}

/* [Task] with one more line must be refused, in line 3, with this reason. */
static void
bad_task(const char *line, const char *why)
{
	char text[512], expected[1024];

	snprintf(text, sizeof text, "[Task]\nExecStart=true\n%s\n", line);
	snprintf(
	    expected, sizeof expected, "hello.job:3: [Task] %s: %s (corral-job(5))", line, why);
	bad(text, expected);
}

/* The command's words for index 2, attempt 3, on node n1. */
static void
words_are(const char *command, const char *const *words)
{
	struct jobfile_launch launch = {.index = 2, .attempt = 3, .node = "n1"};
	char text[512];
	size_t count = 0;

	snprintf(text, sizeof text,
	    "[Job]\nCount=8\n[Task]\nEnvironment=A=one 'B=two  words' P=100%%%%\nExecStart=%s\n",
	    command);
	good(text);
	spec = jobfile_task_spec(job, &launch);
	ck_assert_ptr_nonnull(spec);
	while (words[count] != NULL) {
		ck_assert_uint_lt(count, spec->n_argv);
		ck_assert_str_eq(spec->argv[count], words[count]);
		count++;
	}
	ck_assert_uint_eq(spec->n_argv, count);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(the_least_job_has_defaults)
{
	good("[Task]\nExecStart=true\n");
	ck_assert_str_eq(job->name, "hello");
	ck_assert_int_eq(job->type, JOBFILE_BATCH);
	ck_assert_uint_eq(job->count, 1);
	ck_assert_int_eq(job->restart, JOBFILE_RESTART_NO);
	ck_assert_uint_eq(job->cpu_milli, JOBFILE_CPU_DEFAULT_MILLI);
	ck_assert_uint_eq(job->memory_bytes, JOBFILE_MEMORY_DEFAULT);
	ck_assert_int_eq(job->kill_signal, 15);
	good("[Job]\nType=service\n[Task]\nExecStart=true\n");
	ck_assert_int_eq(job->restart, JOBFILE_RESTART_ALWAYS);
	ck_assert_uint_eq(job->retries_max, JOBFILE_RETRIES_UNLIMITED);
}
END_TEST

START_TEST(every_key_is_read)
{
	good("[Unit]\nDescription=Nightly thumbnails\nDocumentation=man:thumbs(1)\n"
	     "[Job]\nType=batch\nCount=8\nRuntimeMaxSec=1h\nPriority=70\nRole=eng/web\n"
	     "[Task]\nExecStartPre=-/usr/bin/test -d /srv/in\nExecStart=/usr/bin/thumbs --shard "
	     "%i\nWorkingDirectory=/srv/%j\n"
	     "User=thumbs\nEnvironment=LANG=C.UTF-8\nEnvironment=OMP=1 "
	     "X=2\nRestart=on-failure\nRestartSec=5s\n"
	     "StartLimitBurst=3\nKillSignal=SIGINT\nTimeoutStopSec=30s\n"
	     "[Resources]\nCPU=0.5\nMemory=256M\nMemoryMax=512M\nDisk=1G\n"
	     "[Placement]\nConstraint=attr.arch == x86_64\nConstraint=node != n17\n");
	ck_assert_str_eq(job->description, "Nightly thumbnails");
	ck_assert_uint_eq(job->count, 8);
	ck_assert_uint_eq(job->runtime_max_ms, 3600000);
	ck_assert_uint_eq(job->priority, 70);
	ck_assert_str_eq(job->role, "eng/web");
	ck_assert_uint_eq(job->pre_count, 1);
	ck_assert(job->pre[0].ignore_failure);
	ck_assert_str_eq(job->pre[0].argv.items[0], "/usr/bin/test");
	ck_assert_str_eq(job->user, "thumbs");
	ck_assert_uint_eq(job->environment.count, 3);
	ck_assert_int_eq(job->restart, JOBFILE_RESTART_ON_FAILURE);
	ck_assert_uint_eq(job->restart_ms, 5000);
	ck_assert_uint_eq(job->retries_max, 3);
	ck_assert_int_eq(job->kill_signal, 2);
	ck_assert_uint_eq(job->timeout_stop_ms, 30000);
	ck_assert_uint_eq(job->cpu_milli, 500);
	ck_assert_uint_eq(job->memory_max_bytes, UINT64_C(512) << 20);
	ck_assert_uint_eq(job->disk_bytes, UINT64_C(1) << 30);
	ck_assert_uint_eq(job->constraint_count, 2);
}
END_TEST

START_TEST(an_unknown_key_names_the_nearest_one)
{
	bad("[Unit]\nDescription=x\n[Job]\nCount=3\n[Task]\nExecStart=true\n\n"
	    "[Resources]\nMemry=64M\n",
	    "hello.job:9: [Resources] Memry=64M: unknown key, did you mean Memory= ? "
	    "(corral-job(5))");
	bad("[Task]\nExecStart=true\nXyzzy=1\n",
	    "hello.job:3: [Task] Xyzzy=1: unknown key (corral-job(5))");
	bad("[Taks]\nExecStart=true\n",
	    "hello.job:2: [Taks]: unknown section, did you mean [Task] ? (corral-job(5))");
	bad("ExecStart=true\n", "hello.job:1: a key before the first [SECTION] (corral-job(5))");
	bad("[Task]\nExecStart=true\nMemory=64M\n",
	    "hello.job:3: [Task] Memory=64M: this key belongs in [Resources] (corral-job(5))");
}
END_TEST

START_TEST(keys_of_systemd_that_are_not_here_are_refused_by_name_with_a_reason)
{
	bad_task("PrivateTmp=yes", "refused: not available in this version");
	bad_task("LimitNOFILE=5", "refused: not available in this version");
	bad_task("RuntimeDirectory=x", "refused: not available in this version");
	bad("[Task]\nExecStart=true\n[Job]\nTimeLimit=5s\n",
	    "hello.job:4: [Job] TimeLimit=5s: refused: systemd's word is RuntimeMaxSec= "
	    "(corral-job(5))");
	bad("[Task]\nExecStart=true\n[Install]\nWantedBy=multi-user.target\n",
	    "hello.job:4: [Install]: refused: jobs are submitted, not enabled (corral-job(5))");
	bad("[Task]\nExecStart=true\n[Sandbox]\nPrivateTmp=yes\n",
	    "hello.job:4: [Sandbox]: refused: not available in this version (corral-job(5))");
}
END_TEST

START_TEST(what_a_cut_means_is_replace_perhaps_later_or_wait)
{
#define CUT(value) "[Task]\nExecStart=true\n[Placement]\nOnDisconnect=" value "\n"
	good("[Task]\nExecStart=true\n");
	ck_assert_uint_eq(job->disconnect_ms, 0);
	good(CUT("replace"));
	ck_assert_uint_eq(job->disconnect_ms, 0);
	good(CUT("replace  5min 30s"));
	ck_assert_uint_eq(job->disconnect_ms, 330000);
	good(CUT("wait"));
	ck_assert_uint_eq(job->disconnect_ms, JOBFILE_WAIT_MS);
	good(CUT("replace infinity"));
	ck_assert_uint_eq(job->disconnect_ms, JOBFILE_WAIT_MS);
	bad(CUT("replaced"),
	    "hello.job:4: [Placement] OnDisconnect=replaced: expected wait, replace, or "
	    "replace and a time, as replace 5min (corral-job(5))");
	bad(CUT("replace soon"),
	    "hello.job:4: [Placement] OnDisconnect=replace soon: expected a time, as "
	    "30s, 5min, 1h 30s (corral-job(5))");
	bad(CUT("wait 5min"),
	    "hello.job:4: [Placement] OnDisconnect=wait 5min: expected wait, replace, "
	    "or replace and a time, as replace 5min (corral-job(5))");
	bad(CUT("wait") "Singleton=yes\n",
	    "hello.job:4: [Placement] OnDisconnect=: only replace with Singleton=yes (line 5), "
	    "whose next attempt waits for the end of its node's lease (corral-job(5))");
#undef CUT
}
END_TEST

START_TEST(a_singleton_is_one_whose_stop_ends_and_leaves_nothing)
{
	static const char all[] = "[Job]\nCount=2\n[Task]\nExecStart=run ${CORRAL_FENCE}\n"
				  "KillMode=control-group\nSendSIGKILL=yes\nTimeoutStopSec=3\n"
				  "[Placement]\nSingleton=yes\n";
	struct jobfile_launch launch = {
	    .index = 1, .attempt = 3, .node = "n1", .fence = UINT64_C(0x100000041)};

	good(all);
	ck_assert(job->singleton);
	spec = jobfile_task_spec(job, &launch);
	ck_assert_ptr_nonnull(spec);
	ck_assert(spec->singleton);
	ck_assert_str_eq(spec->argv[1], "4294967361");
	ck_assert_str_eq(spec->environment[spec->n_environment - 1], "CORRAL_FENCE=4294967361");
	corral__task_spec__free_unpacked(spec, NULL);
	spec = NULL;
	good("[Task]\nExecStart=true\nTimeoutStopSec=infinity\n[Placement]\nSingleton=no\n");
	ck_assert(!job->singleton);

	bad("[Placement]\nSingleton=yes\n[Task]\nExecStart=true\nTimeoutStopSec=infinity\n",
	    "hello.job:5: [Task] TimeoutStopSec=: not infinity with Singleton=yes (line 2): the "
	    "next attempt waits for the end of this one's stop (corral-job(5))");
	bad("[Task]\nExecStart=true\nSendSIGKILL=no\n[Placement]\nSingleton=yes\n",
	    "hello.job:3: [Task] SendSIGKILL=no: refused: it is yes: SIGKILL follows after "
	    "TimeoutStopSec=, for a singleton above all (corral-job(5))");
	bad("[Task]\nExecStart=true\nKillMode=process\n[Placement]\nSingleton=yes\n",
	    "hello.job:3: [Task] KillMode=process: refused: it is control-group: all of a task is "
	    "stopped, a singleton above all (corral-job(5))");
	bad("[Job]\nCount=1001\n[Task]\nExecStart=true\n[Placement]\nSingleton=yes\n",
	    "hello.job:2: [Job] Count=1001: at most 1000 with Singleton=yes (line 6) "
	    "(corral-job(5))");
	bad("[Task]\nExecStart=true\n[Placement]\nSingleton=maybe\n",
	    "hello.job:4: [Placement] Singleton=maybe: expected yes or no (corral-job(5))");
	bad("[Task]\nExecStart=run ${CORRAL_FENCE}\n",
	    "hello.job:2: [Task] ExecStart=: no Environment= sets ${CORRAL_FENCE}; write "
	    "$${CORRAL_FENCE} to leave it to a shell (corral-job(5))");
}
END_TEST

START_TEST(bad_values_say_what_is_expected_and_all_of_them_are_said)
{
	bad("[Job]\nType=cron\nCount=0\nRuntimeMaxSec=soon\n[Task]\nExecStart=true\n"
	    "User=-x\nRestart=maybe\nKillSignal=SIGNOPE\n"
	    "[Resources]\nCPU=0\nMemory=lots\nMemory=-1\nMemory=4K\nDisk=50%\n"
	    "[Placement]\nConstraint=rack == r1\n",
	    "hello.job:2: [Job] Type=cron: expected batch or service (corral-job(5))\n"
	    "hello.job:3: [Job] Count=0: expected a number from 1 to 1000000 (corral-job(5))\n"
	    "hello.job:4: [Job] RuntimeMaxSec=soon: expected a time, as 30s, 5min, 1h 30s "
	    "(corral-job(5))\n"
	    "hello.job:7: [Task] User=-x: expected the name of an account (corral-job(5))\n"
	    "hello.job:8: [Task] Restart=maybe: expected no, on-failure or always (corral-job(5))\n"
	    "hello.job:9: [Task] KillSignal=SIGNOPE: expected the name of a signal, as SIGTERM "
	    "(corral-job(5))\n"
	    "hello.job:11: [Resources] CPU=0: expected cpus above 0, as 2, 0.5, 0.125 "
	    "(corral-job(5))\n"
	    "hello.job:12: [Resources] Memory=lots: expected a size, as 256M, 1.5G "
	    "(corral-job(5))\n"
	    "hello.job:13: [Resources] Memory=-1: expected a size, as 256M, 1.5G (corral-job(5))\n"
	    "hello.job:14: [Resources] Memory=4K: less than 1M, with which nothing runs "
	    "(corral-job(5))\n"
	    "hello.job:15: [Resources] Disk=50%: expected a size, as 512M, 1.5G (corral-job(5))\n"
	    "hello.job:17: [Placement] Constraint=rack == r1: expected attr.NAME == VALUE, "
	    "attr.NAME != VALUE, or the same with "
	    "node (corral-job(5))");
}
END_TEST

START_TEST(exactly_one_command_is_run)
{
	bad("[Job]\nCount=1\n",
	    "hello.job: [Task] ExecStart= is missing: nothing to run (corral-job(5))");
	bad("", "hello.job: [Task] ExecStart= is missing: nothing to run (corral-job(5))");
	bad_task("ExecStart=false",
	    "a second command; exactly one ExecStart= is run (ExecStartPre= for those before it)");
	good("[Task]\nExecStart=false\nExecStart=\nExecStart=true\n");
	ck_assert_str_eq(job->start.argv.items[0], "true");
	bad("[Task]\nExecStart=-true\n",
	    "hello.job:2: [Task] ExecStart=-true: the prefix - would hide that a task failed; use "
	    "sh -c '... || true' (corral-job(5))");
	bad("[Job]\nType=batch\n[Task]\nExecStart=true\nRestart=always\n",
	    "hello.job: [Task] Restart=always: a batch would never end; use Type=service or "
	    "Restart=on-failure (corral-job(5))");
	bad("[Task]\nExecStart=true\n[Resources]\nMemory=2M\nMemoryMax=1M\n",
	    "hello.job:5: [Resources] MemoryMax= is below Memory= (corral-job(5))");
}
END_TEST

START_TEST(quoting_follows_systemd)
{
	words_are("/bin/sh -c 'sleep 1 ; echo x'", WORDS("/bin/sh", "-c", "sleep 1 ; echo x"));
	words_are("echo \"a b\" c\\sd 'e\\tf' \"\" x'y z'w",
	    WORDS("echo", "a b", "c d", "e\tf", "", "xy zw"));
	words_are("find . -exec ls {} \\;", WORDS("find", ".", "-exec", "ls", "{}", ";"));
	words_are("echo \\x41\\102\\u00e4 a\\.b", WORDS("echo", "AB\xc3\xa4", "a\\.b"));
	words_are("echo one\\\n   two", WORDS("echo", "one", "two"));
	bad_task("ExecStartPre=echo 'x", "a ' without its end");
	bad_task("ExecStartPre=echo x ; echo y",
	    "several commands in one line; use sh -c '...', or \\; for a ';' of its own");
	bad_task("ExecStartPre=echo \\x00", "an escape for NUL, which no argument can hold");
	bad_task("ExecStartPre=+id",
	    "the prefixes + and ! are refused: a task has the rights of its user");
}
END_TEST

START_TEST(specifiers_and_variables_are_replaced)
{
	words_are("echo %i %n %j %H %% %%i", WORDS("echo", "2", "hello", "hello", "n1", "%", "%i"));
	words_are(
	    "echo ${CORRAL_INDEX}/${CORRAL_COUNT} ${CORRAL_ATTEMPT} ${CORRAL_JOB}@${CORRAL_NODE} "
	    "${P}",
	    WORDS("echo", "2/8", "3", "hello@n1", "100%"));
	words_are("echo $B ${B} x$B $$HOME ${B",
	    WORDS("echo", "two", "words", "two  words", "x$B", "$HOME", "${B"));
	words_are(":echo ${NOBODY} $NOBODY", WORDS("echo", "${NOBODY}", "$NOBODY"));
	bad("[Task]\nExecStart=echo ${NOBODY}\n",
	    "hello.job:2: [Task] ExecStart=: no Environment= sets ${NOBODY}; write $${NOBODY} to "
	    "leave it to a shell (corral-job(5))");
	bad("[Task]\nExecStart=date +%d\n",
	    "hello.job:2: [Task] ExecStart=: %d is no specifier; there are %i %n %j %H, and %% "
	    "for a percent sign (corral-job(5))");
}
END_TEST

START_TEST(the_environment_adds_resets_and_replaces)
{
	struct jobfile_launch launch = {.index = 0, .attempt = 1, .node = "n1"};
	static const char *const expected[] = {"B=2", "C=task 0", "CORRAL_JOB=hello",
	    "CORRAL_INDEX=0", "CORRAL_COUNT=1", "CORRAL_ATTEMPT=1", "CORRAL_NODE=n1"};

	good("[Task]\nExecStart=true\nEnvironment=GONE=1\nEnvironment=\n"
	     "Environment=B=1 \"C=task %i\"\nEnvironment=B=2\n");
	spec = jobfile_task_spec(job, &launch);
	ck_assert_ptr_nonnull(spec);
	ck_assert_uint_eq(spec->n_environment, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < spec->n_environment; i++)
		ck_assert_str_eq(spec->environment[i], expected[i]);
	bad_task("Environment=X", "expected NAME=value, quoted as a whole if it has blanks");
	bad_task("Environment=1X=2", "expected NAME=value, quoted as a whole if it has blanks");
	bad_task("Environment=CORRAL_X=2", "names that begin with CORRAL_ are set by corral");
}
END_TEST

START_TEST(a_spec_carries_limits_steps_and_places)
{
	struct jobfile_launch launch = {.index = 4, .attempt = 1, .node = "n1"};

	good("[Job]\nCount=5\nRuntimeMaxSec=90\n[Task]\nExecStartPre=-mkdir "
	     "%i\nExecStart=true\nUser=u\nWorkingDirectory=/d/%i\n"
	     "TimeoutStopSec=infinity\n[Resources]\nCPU=2\nMemory=1G\nMemoryMax=2G\nDisk=3G\n");
	spec = jobfile_task_spec(job, &launch);
	ck_assert_ptr_nonnull(spec);
	ck_assert_str_eq(spec->exec_start_pre[0]->argv[1], "4");
	ck_assert(spec->exec_start_pre[0]->ignore_failure);
	ck_assert_str_eq(spec->working_directory, "/d/4");
	ck_assert_str_eq(spec->user, "u");
	ck_assert_uint_eq(spec->resources->cpu_milli, 2000);
	ck_assert_uint_eq(spec->resources->disk_bytes, UINT64_C(3) << 30);
	ck_assert_uint_eq(spec->memory_max_bytes, UINT64_C(2) << 30);
	ck_assert_uint_eq(spec->runtime_max_ms, 90000);
	ck_assert_uint_eq(spec->timeout_stop_ms, JOBFILE_TIME_MAX_MS);
}
END_TEST

START_TEST(a_script_carries_its_keys_as_comments)
{
	struct jobfile_launch launch = {.index = 0, .attempt = 1, .node = "n1"};
	const char *text =
	    "#!/usr/bin/env bash\n# a note\n#CORRAL Resources.CPU=0.5\n\n#CORRAL\tJob.Count = 4\n"
	    "echo \"$HOME %i\"\n#CORRAL Job.Count=9\n";

	good(text);
	ck_assert_uint_eq(job->cpu_milli, 500);
	ck_assert_uint_eq(job->count, 4);
	spec = jobfile_task_spec(job, &launch);
	ck_assert_ptr_nonnull(spec);
	ck_assert_uint_eq(spec->n_argv, 5);
	ck_assert_str_eq(spec->argv[0], "/usr/bin/env");
	ck_assert_str_eq(spec->argv[2], "-c");
	ck_assert_str_eq(spec->argv[3], text);
	ck_assert_str_eq(spec->argv[4], "hello");
	bad("#!/bin/sh\n#CORRAL Resources.Memry=64M\n",
	    "hello.job:2: [Resources] Memry=64M: unknown key, did you mean Memory= ? "
	    "(corral-job(5))");
	bad("#!/bin/sh\n#CORRAL Memory=64M\n",
	    "hello.job:2: #CORRAL Memory=: expected SECTION.KEY=VALUE (corral-job(5))");
	bad("#!/bin/sh\n#CORRAL Task.ExecStart=true\n",
	    "hello.job:2: [Task] ExecStart=true: the script itself is the command (corral-job(5))");
	bad("#!/usr/bin/awk -f\n",
	    "hello.job:1: #!/usr/bin/awk -f: scripts of a shell, Python, Perl, Ruby and node are "
	    "taken; "
	    "for others write a job file (corral-job(5))");
}
END_TEST

START_TEST(names_of_jobs_are_strict)
{
	char name[JOB_NAME_MAX + 1], longest[JOB_NAME_MAX + 2];

	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ck_assert(!job_name_ok(longest));
	ck_assert(job_name_ok(longest + 1));
	ck_assert(job_name_ok("0-x"));
	ck_assert(!job_name_ok("") && !job_name_ok("-x") && !job_name_ok("Hello") &&
		  !job_name_ok("a.b") && !job_name_ok("a_b"));
	ck_assert(jobfile_name_from_path("/srv/jobs/hello.job", name));
	ck_assert_str_eq(name, "hello");
	ck_assert(jobfile_name_from_path("hello", name));
	ck_assert(!jobfile_name_from_path("-", name));
	ck_assert(!jobfile_name_from_path("a/.job", name));
	ck_assert(!jobfile_name_from_path("x.sh", name));
	ck_assert_ptr_null(jobfile_parse("a.b", "f", "", 0, &faults));
	ck_assert_uint_eq(faults.count, 1);
}
END_TEST

START_TEST(constraints_choose_nodes)
{
	Corral__Attribute arch = CORRAL__ATTRIBUTE__INIT, *attributes[] = {&arch};
	char name[] = "arch", value[] = "x86_64";

	arch.name = name;
	arch.value = value;
	good("[Task]\nExecStart=true\n[Placement]\nConstraint=attr.arch == x86_64\nConstraint=node "
	     "!= n17\n");
	ck_assert(jobfile_allows_node(job, "n1", attributes, 1));
	ck_assert(!jobfile_allows_node(job, "n17", attributes, 1));
	ck_assert(!jobfile_allows_node(job, "n1", attributes, 0));
	good("[Task]\nExecStart=true\n[Placement]\nConstraint=attr.gpu != old\n");
	ck_assert(jobfile_allows_node(job, "n1", attributes, 1));
}
END_TEST

START_TEST(the_example_is_a_job)
{
	good(jobfile_example);
	ck_assert_uint_eq(job->count, 3);
}
END_TEST

START_TEST(too_much_text_is_refused)
{
	char *text = calloc(1, JOBFILE_TEXT_MAX + 1);

	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(jobfile_parse("a", "f", text, JOBFILE_TEXT_MAX + 1, &faults));
	ck_assert_ptr_null(jobfile_parse("a", "f", "#!/bin/sh\n\0", 11, &faults));
	free(text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("jobfile");
	TCase *t = tcase_create("jobfile");

	tcase_add_checked_fixture(t, release, release);
	tcase_add_test(t, the_least_job_has_defaults);
	tcase_add_test(t, every_key_is_read);
	tcase_add_test(t, an_unknown_key_names_the_nearest_one);
	tcase_add_test(t, what_a_cut_means_is_replace_perhaps_later_or_wait);
	tcase_add_test(t, a_singleton_is_one_whose_stop_ends_and_leaves_nothing);
	tcase_add_test(t, keys_of_systemd_that_are_not_here_are_refused_by_name_with_a_reason);
	tcase_add_test(t, bad_values_say_what_is_expected_and_all_of_them_are_said);
	tcase_add_test(t, exactly_one_command_is_run);
	tcase_add_test(t, quoting_follows_systemd);
	tcase_add_test(t, specifiers_and_variables_are_replaced);
	tcase_add_test(t, the_environment_adds_resets_and_replaces);
	tcase_add_test(t, a_spec_carries_limits_steps_and_places);
	tcase_add_test(t, a_script_carries_its_keys_as_comments);
	tcase_add_test(t, names_of_jobs_are_strict);
	tcase_add_test(t, constraints_choose_nodes);
	tcase_add_test(t, the_example_is_a_job);
	tcase_add_test(t, too_much_text_is_refused);
	suite_add_tcase(s, t);
	return s;
}
