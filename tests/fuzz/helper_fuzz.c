/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the agent's helper, from an agent that may have been taken over. What it would do to
 * the machine is here; whatever is asked, it touches only what is the attempt's own, and starts
 * nothing as root or as the agent, nor for a user as anybody else.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/helper_internal.h"
#include "agent/launched.h"
#include "agent/sandbox.h"
#include "libcommon/codec/message.h"
#include "libcommon/codec/taskkey.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"

enum { AGENT_UID = 990, AGENT_GID = 991, USER_UID = 1000 };

enum kind { REQUEST, LAUNCH, KINDS };

const ProtobufCMessageDescriptor *const frame_types[KINDS] = {
    &corral__helper_request__descriptor, &corral__helper_launch__descriptor};
const size_t frame_type_count = KINDS;
const size_t frame_peers = 8; /* bits: root, cgroups, namespaces */
const char *const frame_texts[] = {"", "/state", "/state/sandbox/../..", "/etc", "127.0.0.1:5061",
    "127.0.0.1:5061", "10.0.0.1:22", "alice", "build", "root", "agent", "nobody", "0", "user:alice",
    "user:root", "user:agent", "user:", "operator:o", "true", "A=b", "LD_PRELOAD=/x", "../x",
    "\x01\xff", NULL};

static char run_as_build[] = "build", run_as_alice[] = "alice";
static char *run_as[] = {run_as_build, run_as_alice};
static const struct conf_list allowed = {run_as, 2};
static char account[64]; /* whose numbers were asked for last */
static Corral__ExecutorBoot *boot;
static const Corral__HelperSweep *swept; /* the request, if it is one */

static bool is_kept(const char *name);

static void
is_own_name(const char *name)
{
	assert(name[0] != '\0' && name[strspn(name, "0123456789abcdef-")] == '\0');
}

static void
is_own_group(const char *group)
{
	assert(strncmp(group, "corral-base", strlen("corral-base")) == 0);
	assert(strstr(group, "..") == NULL && strlen(group) < PATH_MAX);
}

/* --- the machine --- */

bool __wrap_cgroup_make(const struct cgroup_host *h, const char *group,
    const struct cgroup_limits *limits, char place[PATH_MAX]);
bool __wrap_cgroup_remove(const struct cgroup_host *h, const char *group);
void __wrap_cgroup_remove_if_empty(const struct cgroup_host *h, const char *group);
int __wrap_cgroup_kill(const struct cgroup_host *h, const char *group);
int __wrap_cgroup_populated(const struct cgroup_host *h, const char *group);
int __wrap_cgroup_open_procs(
    const struct cgroup_host *h, const char *group, int fds[CGROUP_HIERARCHIES_MAX]);
int __wrap_cgroup_open_birthplace(const struct cgroup_host *h, const char *group);
bool __wrap_sandbox_make(const char *state_dir, const char *name, const struct sandbox_owner *task,
    gid_t reader_gid, const char **what);
bool __wrap_sandbox_remove(const char *state_dir, const char *name);
bool __wrap_launched_note(const char *state_dir, const char *name, const struct proc_id *id);
int __wrap_launched_find(const char *state_dir, const char *name, struct proc_id *to);
bool __wrap_launched_forget(const char *state_dir, const char *name);
bool __wrap_launched_each(const char *state_dir, launched_visit *visit, void *arg);
bool __wrap_cgroup_each(const struct cgroup_host *h, const char *group,
    bool (*visit)(void *arg, const char *name), void *arg);
int __wrap_proc_kill_sessions(struct proc_id *ids, size_t count);
bool __wrap_proc_identify(pid_t pid, struct proc_id *to);
bool __wrap_spawn_user_find(const char *name, struct spawn_user *to);
pid_t __wrap_spawn_run(const struct spawn *s, const char **step);
bool __wrap_fsutil_write_all(int fd, const void *bytes, size_t size);
int __wrap_memfd_create(const char *name, unsigned flags);
pid_t __wrap_fork(void);
int __wrap_kill(pid_t pid, int signo);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);

bool
__wrap_cgroup_make(const struct cgroup_host *h, const char *group,
    const struct cgroup_limits *limits, char place[PATH_MAX])
{
	(void)h;
	(void)limits;
	is_own_group(group);
	place[0] = '\0';
	return true;
}

bool
__wrap_cgroup_remove(const struct cgroup_host *h, const char *group)
{
	(void)h;
	is_own_group(group);
	return true;
}

void
__wrap_cgroup_remove_if_empty(const struct cgroup_host *h, const char *group)
{
	(void)h;
	is_own_group(group);
}

int
__wrap_cgroup_kill(const struct cgroup_host *h, const char *group)
{
	(void)h;
	is_own_group(group);
	assert(!is_kept(strrchr(group, '/') + 1));
	return 1;
}

int
__wrap_cgroup_populated(const struct cgroup_host *h, const char *group)
{
	(void)h;
	is_own_group(group);
	return 0;
}

int
__wrap_cgroup_open_procs(
    const struct cgroup_host *h, const char *group, int fds[CGROUP_HIERARCHIES_MAX])
{
	(void)h;
	(void)fds;
	is_own_group(group);
	return 0;
}

int
__wrap_cgroup_open_birthplace(const struct cgroup_host *h, const char *group)
{
	(void)h;
	is_own_group(group);
	return -1;
}

bool
__wrap_sandbox_make(const char *state_dir, const char *name, const struct sandbox_owner *task,
    gid_t reader_gid, const char **what)
{
	(void)task;
	(void)what;
	assert(strcmp(state_dir, "/state") == 0 && reader_gid == AGENT_GID);
	is_own_name(name);
	return true;
}

bool
__wrap_sandbox_remove(const char *state_dir, const char *name)
{
	assert(strcmp(state_dir, "/state") == 0);
	is_own_name(name);
	return true;
}

bool
__wrap_launched_note(const char *state_dir, const char *name, const struct proc_id *id)
{
	(void)id;
	assert(strcmp(state_dir, "/state") == 0);
	is_own_name(name);
	return true;
}

int
__wrap_launched_find(const char *state_dir, const char *name, struct proc_id *to)
{
	(void)to;
	assert(strcmp(state_dir, "/state") == 0);
	is_own_name(name);
	return 0;
}

bool
__wrap_launched_forget(const char *state_dir, const char *name)
{
	assert(strcmp(state_dir, "/state") == 0);
	is_own_name(name);
	return true;
}

/* --- what a sweep may meet: some of it is named as to be kept --- */

static const char *const present[] = {"0-0-0-0-0", "1-1-1-1-1", "7fffffffffffffff-4294967295-1-1-7",
    "..", "not an attempt", "",
    "0123456789abcdef-0123456789-0123456789-01234567890123456789-0123456789abcdef-0"};
enum { PRESENT = sizeof present / sizeof *present };

static bool
is_kept(const char *name)
{
	struct taskkey key;
	char own[TASKKEY_NAME_BYTES];

	for (size_t i = 0; swept != NULL && i < swept->n_keep; i++) {
		key = taskkey_of(swept->keep[i]);
		taskkey_name(&key, own);
		if (strcmp(own, name) == 0)
			return true;
	}
	return false;
}

bool
__wrap_cgroup_each(const struct cgroup_host *h, const char *group,
    bool (*visit)(void *arg, const char *name), void *arg)
{
	(void)h;
	is_own_group(group);
	for (size_t i = 0; i < PRESENT && visit(arg, present[i]); i++)
		;
	return true;
}

bool
__wrap_launched_each(const char *state_dir, launched_visit *visit, void *arg)
{
	struct proc_id id = {.start_time = 1};

	assert(strcmp(state_dir, "/state") == 0);
	for (size_t i = 0; i < PRESENT; i++) {
		id.pid = (pid_t)(100 + i);
		if (!visit(arg, present[i], &id))
			break;
	}
	return true;
}

int
__wrap_proc_kill_sessions(struct proc_id *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t of = (size_t)ids[i].pid - 100;

		assert(of < PRESENT && !is_kept(present[of]));
		is_own_name(present[of]);
	}
	return 0;
}

bool
__wrap_proc_identify(pid_t pid, struct proc_id *to)
{
	*to = (struct proc_id){.pid = pid, .start_time = 1};
	return true;
}

bool
__wrap_spawn_user_find(const char *name, struct spawn_user *to)
{
	snprintf(account, sizeof account, "%s", name);
	*to = (struct spawn_user){.uid = USER_UID, .gid = USER_UID};
	if (strcmp(name, "root") == 0 || strcmp(name, "0") == 0)
		to->uid = to->gid = 0;
	if (strcmp(name, "agent") == 0)
		to->uid = AGENT_UID;
	return true;
}

/* What the executor is handed, which spawn_run() looks at. */
bool
__wrap_fsutil_write_all(int fd, const void *bytes, size_t size)
{
	(void)fd;
	boot = corral__executor_boot__unpack(NULL, size, bytes);
	assert(boot != NULL);
	return true;
}

int
__wrap_memfd_create(const char *name, unsigned flags)
{
	static int null = -1;

	(void)name;
	(void)flags;
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return dup(null);
}

static void
check_account(const struct spawn *s)
{
	const char *by = boot->spec->submitted_by != NULL ? boot->spec->submitted_by : "";

	assert(strcmp(s->path, "/usr/libexec/corral-executor") == 0);
	assert(strcmp(boot->agent_address, "10.0.0.1:22") != 0);
	assert(strncmp(boot->sandbox, "/state/sandbox/", 15) == 0 &&
	       strchr(boot->sandbox + 15, '/') == NULL);
	if (!boot->has_reader_gid) /* not root: there is one account */
		return;
	assert(boot->account != NULL && boot->account->uid == USER_UID);
	if (strncmp(by, "user:", 5) == 0)
		assert(strcmp(by + 5, account) == 0);
	else
		assert(strcmp(account, "build") == 0 || strcmp(account, "alice") == 0 ||
		       strcmp(account, "nobody") == 0);
}

pid_t
__wrap_spawn_run(const struct spawn *s, const char **step)
{
	(void)step;
	check_account(s);
	return 4242;
}

pid_t
__wrap_fork(void)
{
	return -1;
}

int
__wrap_kill(pid_t pid, int signo)
{
	(void)signo;
	assert(pid == 4242);
	return 0;
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	(void)pid;
	(void)status;
	(void)options;
	return -1;
}

/* --- requests --- */

static void
ask(struct helper *h, const Corral__HelperRequest *r)
{
	Corral__HelperReply *reply;
	struct buf out;

	buf_init(&out, HELPER_FRAME_BYTES_MAX);
	swept = r->body_case == CORRAL__HELPER_REQUEST__BODY_SWEEP ? r->sweep : NULL;
	helper_handle(h, r, &out);
	reply = corral__helper_reply__unpack(NULL, out.len, out.data);
	assert(reply != NULL && reply->id == r->id);
	corral__helper_reply__free_unpacked(reply, NULL);
	buf_fini(&out);
	if (boot != NULL)
		corral__executor_boot__free_unpacked(boot, NULL);
	boot = NULL;
}

/* As an honest agent names the directories, so that there is more to see than their refusal. */
static void
ask_launch(struct helper *h, const struct script_line *l)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	char name[TASKKEY_NAME_BYTES], sandbox[TASKKEY_NAME_BYTES + 16],
	    run[TASKKEY_NAME_BYTES + 16], *kept[2];
	struct taskkey key;

	r.launch = (Corral__HelperLaunch *)message_unpack(
	    &corral__helper_launch__descriptor, l->size, l->bytes);
	if (r.launch == NULL)
		return;
	key = taskkey_of(r.launch->key);
	taskkey_name(&key, name);
	snprintf(sandbox, sizeof sandbox, "/state/sandbox/%s", name);
	snprintf(run, sizeof run, "/state/run/%s", name);
	kept[0] = r.launch->sandbox;
	kept[1] = r.launch->run_directory;
	r.launch->sandbox = sandbox;
	r.launch->run_directory = run;
	r.id = 7;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_LAUNCH;
	ask(h, &r);
	r.launch->sandbox = kept[0];
	r.launch->run_directory = kept[1];
	corral__helper_launch__free_unpacked(r.launch, NULL);
}

static void
take(const struct script_line *l)
{
	struct helper h = {.conf = {.state_dir = "/state",
			       .executor = "/usr/libexec/corral-executor",
			       .executor_listen = "127.0.0.1:5061",
			       .run_as = &allowed,
			       .default_user = "nobody",
			       .agent_uid = AGENT_UID,
			       .agent_gid = AGENT_GID},
	    .root = l->peer & 1,
	    .host = {.can_track = l->peer & 2},
	    .pid_namespace = l->peer & 4,
	    .base = "corral-base"};
	Corral__HelperRequest *r;

	if (l->kind % KINDS == LAUNCH) {
		ask_launch(&h, l);
		return;
	}
	if ((r = (Corral__HelperRequest *)message_unpack(
		 &corral__helper_request__descriptor, l->size, l->bytes)) == NULL)
		return;
	ask(&h, r);
	corral__helper_request__free_unpacked(r, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script_line l;
	size_t at = 0;

	while (script_next(bytes, size, &at, &l))
		take(&l);
	return 0;
}
