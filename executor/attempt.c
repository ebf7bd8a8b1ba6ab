/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "executor/input.h"
#include "executor/runner.h"
#include "executor/spec.h"
#include "executor/status.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/codec/taskkey.h"
#include "libcommon/io/link.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/proc.h"

#define QUEUE_BYTES_MAX (1 << 20)
#define HANDSHAKE_MS 10000

struct attempt {
	struct runner runner;
	Corral__ExecutorBoot *boot;
	struct spawn_user user;
	struct dialer *dialer;
	struct tls *tls;
	struct link *link; /* NULL while it is down */
	struct input input;
	struct proc_id self;
};

/* ---- To the agent. ---- */

static void
send_message(struct attempt *a, const Corral__ExecutorToAgent *m)
{
	/* An update is sent again when the link is up again. */
	if (a->link != NULL && !link_send_message(a->link, &m->base))
		log_warn(
		    "the link to the agent is full: a message is held back until it is up again");
}

static void
send_hello(struct attempt *a)
{
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__Term highest;

	hello.key = a->boot->key;
	hello.pid = a->self.pid;
	hello.start_time = a->self.start_time;
	hello.state = life_task_state(&a->runner.life);
	if (life_highest_term(&a->runner.life, &highest))
		hello.highest_term = &highest;
	hello.has_stopping = hello.stopping = a->runner.life.stopping;
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_HELLO;
	m.hello = &hello;
	send_message(a, &m);
}

static void
on_send(void *arg, const struct life_update *u, unsigned number)
{
	struct attempt *a = arg;
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	struct status_message s;

	status_message_fill(&s, a->boot->key, u, number + 1);
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_UPDATE;
	m.update = &s.update;
	send_message(a, &m);
}

static void
on_input_taken(void *arg, uint64_t bytes)
{
	struct attempt *a = arg;
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__StreamAck ack = CORRAL__STREAM_ACK__INIT;

	ack.bytes = bytes;
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_INPUT_ACK;
	m.input_ack = &ack;
	send_message(a, &m);
}

/* ---- From the core. ---- */

static void
on_save(void *arg, const struct life_update *u)
{
	struct attempt *a = arg;

	/* Without the file the agent still hears of it, as long as both live: go on. */
	if (!status_write(a->boot->run_directory, a->boot->key, u, 2))
		log_error_errno("%s: writing the final status", a->boot->run_directory);
}

static void
on_leave(void *arg)
{
	struct attempt *a = arg;

	loop_stop(a->runner.loop, EX_OK);
}

/* The task runs: of root's rights only that to end it is still needed. */
static void
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	data[0].effective = data[0].permitted = 1u << CAP_KILL;
	if (syscall(SYS_capset, &header, data) != 0)
		log_warn_errno("giving up capabilities");
}

static void
on_started(void *arg)
{
	struct attempt *a = arg;

	if (geteuid() == 0)
		drop_capabilities();

	/* The task has its own copies now. */
	input_started(&a->input);
	close(a->runner.task.stdout_fd);
	close(a->runner.task.stderr_fd);
	malloc_trim(0);
}

static void
on_stuck(void *arg)
{
	struct attempt *a = arg;
	Corral__ExecutorToAgent m = CORRAL__EXECUTOR_TO_AGENT__INIT;
	Corral__ExecutorStuck stuck = CORRAL__EXECUTOR_STUCK__INIT;

	log_error("what is left of the task was killed and does not die: uninterruptible sleep? "
		  "see corral-recovery(7)");
	m.body_case = CORRAL__EXECUTOR_TO_AGENT__BODY_STUCK;
	m.stuck = &stuck;
	send_message(a, &m);
}

static const struct runner_ops attempt_ops = {on_save, on_send, on_leave, on_started, on_stuck};

/* ---- From the agent. ---- */

/* In a term that is not lower than any before, or the agent's own word? */
static bool
is_obeyed(struct life *life, const Corral__Term *term)
{
	Corral__Term highest;

	if (life_term(life, term))
		return true;
	(void)life_highest_term(life, &highest);
	log_warn("a command in term (%" PRIu64 ", 0x%" PRIx64 ") is not obeyed: (%" PRIu64
		 ", 0x%" PRIx64 ") was seen before",
	    term->era, (uint64_t)term->czxid, highest.era, (uint64_t)highest.czxid);
	return false;
}

static void
take_message(struct attempt *a, const Corral__AgentToExecutor *m)
{
	struct life *life = &a->runner.life;
	uint64_t now_ms = clock_boot_ms(); /* and not the turn's: a lease may have ended in it */

	if (!is_obeyed(life, m->term))
		return;
	switch (m->body_case) {
	case CORRAL__AGENT_TO_EXECUTOR__BODY_START:
		life_word(life, now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_STOP:
		life_stop(life, m->stop->has_now && m->stop->now, now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_SIGNAL:
		if (m->signal->signal > 0 && m->signal->signal < NSIG)
			life_signal(life, m->signal->signal);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK:
		life_acked(life, m->update_ack->uuid.data, m->update_ack->uuid.len);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_INPUT:
		input_take(&a->input, m->input->data.data, m->input->data.len,
		    m->input->has_eof && m->input->eof);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END:
		life_lease(life, m->lease_end->end_boot_ms, now_ms);
		break;
	default: /* of a newer agent */
		break;
	}
	runner_drain(&a->runner);
}

static void
link_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, size, bytes);

	(void)l;
	if (m == NULL) {
		log_warn("the agent sent a message that cannot be read: it is passed over");
		return;
	}
	take_message(arg, m);
	corral__agent_to_executor__free_unpacked(m, NULL);
}

static void
link_up(void *arg, struct link *l)
{
	struct attempt *a = arg;

	a->link = l;
	send_hello(a);
	life_link(&a->runner.life, true, loop_now_ms(a->runner.loop));
	runner_drain(&a->runner);
}

static void
link_down(void *arg, struct link *l, const char *why)
{
	struct attempt *a = arg;

	(void)l;
	if (a->link != NULL)
		log_info("the link to the agent is down: %s", why);
	a->link = NULL;
	life_link(&a->runner.life, false, loop_now_ms(a->runner.loop));
	runner_drain(&a->runner);
}

static const struct link_ops agent_link_ops = {
    .up = link_up, .frame = link_frame, .down = link_down};

/* ---- Preparing. ---- */

/* A regular file of one name: of another's file under a second name we would change the owner. */
static bool
is_plain_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	errno = EPERM;
	return S_ISREG(st.st_mode) && st.st_nlink == 1;
}

/*
 * Make a file of the sandbox for the task's output: readable to the agent, owned by the task. The
 * sandbox is the task's account's: what is there already may be a trap.
 */
static int
open_output(const struct attempt *a, int sandbox_fd, const char *name)
{
	const Corral__ExecutorBoot *boot = a->boot;
	int fd = openat(sandbox_fd, name,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	gid_t gid = boot->has_reader_gid ? boot->reader_gid : (gid_t)-1;

	if (fd < 0 || !is_plain_file(fd) ||
	    (geteuid() == 0 && boot->account != NULL && fchown(fd, boot->account->uid, gid) != 0)) {
		log_error_errno("%s/%s", boot->sandbox, name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool
take_account(struct attempt *a)
{
	const Corral__Account *account = a->boot->account;

	if (account == NULL)
		return true;
	if (account->n_groups > SPAWN_GROUPS_MAX) {
		log_error("account %u: %zu groups, at most %d are supported", account->uid,
		    account->n_groups, SPAWN_GROUPS_MAX);
		return false;
	}
	a->user.uid = account->uid;
	a->user.gid = account->gid;
	a->user.group_count = account->n_groups;
	for (size_t i = 0; i < account->n_groups; i++)
		a->user.groups[i] = account->groups[i];
	a->runner.task.user = &a->user;
	return true;
}

static bool
prepare_task(struct attempt *a)
{
	const Corral__ExecutorBoot *boot = a->boot;
	const char *directory = boot->spec->working_directory;
	struct task *t = &a->runner.task;
	int sandbox_fd = open(boot->sandbox, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	task_init(t);
	if (sandbox_fd < 0) {
		log_error_errno("%s", boot->sandbox);
		return false;
	}
	t->directory_fd = sandbox_fd;
	t->directory = directory != NULL && *directory != '\0' ? directory : NULL;
	t->cgroup = boot->cgroup;
	t->pid_namespace = boot->has_pid_namespace && boot->pid_namespace;
	if (boot->cgroup != NULL && *boot->cgroup != '\0' &&
	    !cgroup_host_probe(&t->host, "/proc/self/mounts")) {
		log_error_errno("/proc/self/mounts");
		return false;
	}
	return take_account(a) && (t->stdout_fd = open_output(a, sandbox_fd, "stdout")) >= 0 &&
	       (t->stderr_fd = open_output(a, sandbox_fd, "stderr")) >= 0;
}

static bool
prepare_link(struct attempt *a, struct loop *loop)
{
	static const struct link_limits limits = {
	    FRAME_EXECUTOR_AGENT_BYTES_MAX, QUEUE_BYTES_MAX, HANDSHAKE_MS, 0};
	const char *address = a->boot->agent_address;
	char name[TASKKEY_NAME_BYTES];
	struct taskkey key = taskkey_of(a->boot->key);

	if (a->boot->psk.len != TLS_PSK_BYTES) {
		log_error("the key of the link has %zu bytes instead of %d", a->boot->psk.len,
		    TLS_PSK_BYTES);
		return false;
	}
	taskkey_name(&key, name);
	if ((a->tls = tls_new_psk_client(name, a->boot->psk.data)) == NULL) {
		log_error("TLS with a pre-shared key: no memory, or OpenSSL refuses it");
		return false;
	}
	explicit_bzero(a->boot->psk.data, a->boot->psk.len);
	a->dialer = dialer_new(loop, &address, 1, a->tls, &limits, &agent_link_ops, a);
	if (a->dialer == NULL)
		log_error("%s: no memory", address);
	return a->dialer != NULL;
}

static bool
prepare(struct attempt *a, struct loop *loop)
{
	if (loop == NULL || !proc_identify(getpid(), &a->self) ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
		log_error_errno("starting");
		return false;
	}
	if (!prepare_task(a))
		return false;
	if (!runner_init(&a->runner, loop, a->boot->key, a->boot->spec, a->boot->sandbox,
		a->boot->recovery_timeout_ms, &attempt_ops, a)) {
		log_error_errno("starting");
		return false;
	}
	(void)life_term(&a->runner.life, a->boot->key->term);
	if (a->boot->has_lease_end_boot_ms)
		life_lease(&a->runner.life, a->boot->lease_end_boot_ms, clock_boot_ms());
	if (a->boot->spec->has_interactive && a->boot->spec->interactive &&
	    (a->runner.stdin_fd = input_open(&a->input, loop, on_input_taken, a)) < 0) {
		log_error_errno("the task's standard input");
		return false;
	}
	return prepare_link(a, loop);
}

int
attempt_run(void)
{
	struct attempt a = {.boot = spec_read_boot(ATTEMPT_BOOT_FD)};
	struct loop *loop = NULL;
	int status = EX_OSERR;

	if (a.boot == NULL)
		return EX_USAGE;
	input_init(&a.input);
	if (prepare(&a, loop = loop_new()))
		status = loop_run(loop, NULL, NULL);
	if (a.dialer != NULL)
		dialer_free(a.dialer);
	tls_unref(a.tls);
	input_close(&a.input);
	loop_free(loop);
	corral__executor_boot__free_unpacked(a.boot, NULL);
	return status;
}
