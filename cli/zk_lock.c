/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zk lock and zk elect: run a command while an ephemeral sequential node of ours is the first of
 * its siblings, as the lock recipes of ZooKeeper have it; kazoo's Lock and Election stand in the
 * same queue.
 *
 * The command is gone before another can have the lock. While it runs our node is written again and
 * again, and only a write that was committed counts: a server that is cut off from the others
 * goes on answering pings and reads. A session ends a whole time-out after its last sign of life at
 * the earliest, and that sign may be half a time-out newer for the leader than for us: when the
 * last confirmed write was sent T/3 ago, the command is told to end, and at T/2 it is killed.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/zk_child.h"
#include "cli/zk_run.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"

#define RANDOM_BYTES 16
#define NAME_MARK "__lock__" /* behind it the number, for us and for kazoo */
#define NUMBER_DIGITS 10
#define IDENTITY_BYTES_MAX 512
#define AGAIN_SECONDS 1 /* between two sessions of a candidate whose ensemble is away */

struct lock {
	struct zk_run *run;
	const char *const *command;
	char top[ZK_RUN_PATH_MAX]; /* the node of the queue */
	char prefix[2 * RANDOM_BYTES + sizeof NAME_MARK];
	char path[ZK_RUN_PATH_MAX];   /* of our node; "" while there is none */
	char before[ZK_RUN_PATH_MAX]; /* of the node that has to go first; "": we are the first */
	char identity[IDENTITY_BYTES_MAX];
	int64_t czxid; /* of our node: grows with each holder */
	bool moved;    /* the node before ours has changed, or the watch is lost */
	bool late;     /* --wait is over */
	struct timer wait, renew, bound;
	/* while the command runs */
	struct zk_child child;
	uint64_t confirmed_ms; /* when the last committed write of our node was sent */
	bool renewing, lost, told;
};

/* Own texts for own node: prefix is random, so that a create whose answer was lost is found. */
static bool
lock_prepare(struct lock *lock, const char *name, const char *below)
{
	const char *slash = name[0] == '/' ? "" : "/", *parent = name[0] == '/' ? "" : below;
	uint8_t bytes[RANDOM_BYTES];
	char host[256] = "";
	int len = snprintf(lock->top, sizeof lock->top, "%s%s%s", parent, slash, name);

	if (len < 0 || (size_t)len > sizeof lock->top - 200 || zk_path_fault(lock->top) != NULL ||
	    strcmp(lock->top, "/") == 0) {
		fprintf(stderr, "zk: '%s' is no name of a lock\n", name);
		return false;
	}
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
		perror("zk: random numbers");
		return false;
	}
	str_hex(lock->prefix, bytes, sizeof bytes);
	memcpy(lock->prefix + 2 * RANDOM_BYTES, NAME_MARK, sizeof NAME_MARK);
	(void)gethostname(host, sizeof host - 1);
	snprintf(lock->identity, sizeof lock->identity, "%s:%ld", host, (long)getpid());
	return true;
}

/* The number at the end of a contender's name, -1 if it is none. */
static int64_t
name_number(const char *name)
{
	size_t len = strlen(name);
	int64_t number;

	if (len <= NUMBER_DIGITS || !str_to_i64(name + len - NUMBER_DIGITS, 0, INT64_MAX, &number))
		return -1;
	return number;
}

/* The path of a node in the queue. ZK_OK, or ZK_TOOLARGE. */
static int
lock_child_path(char to[ZK_RUN_PATH_MAX], const struct lock *lock, const char *name)
{
	bool ok = str_copy(to, ZK_RUN_PATH_MAX, lock->top) && zk_path_push(to, name) != SIZE_MAX;

	return ok ? ZK_OK : ZK_TOOLARGE;
}

/* Find our node and the one before it among the children. */
static int
lock_look(struct lock *lock)
{
	const char *own_name = NULL, *before_name = NULL;
	int64_t before = -1;
	struct zk_names names;
	int rc = zk_run_children(lock->run, lock->top, &names);

	lock->path[0] = lock->before[0] = '\0';
	for (size_t i = 0; i < names.count; i++) {
		if (str_starts(names.items[i], lock->prefix))
			own_name = names.items[i];
	}
	for (size_t i = 0; i < names.count && own_name != NULL; i++) {
		int64_t number = name_number(names.items[i]);

		if (number > before && number < name_number(own_name)) {
			before = number;
			before_name = names.items[i];
		}
	}
	if (rc == ZK_OK && own_name != NULL)
		rc = lock_child_path(lock->path, lock, own_name);
	if (rc == ZK_OK && before_name != NULL)
		rc = lock_child_path(lock->before, lock, before_name);
	zk_names_free(&names);
	return rc;
}

static void
keep_czxid(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct lock *lock = arg;

	(void)run;
	lock->czxid = result->stat.czxid;
}

/* Stand in the queue. A create whose answer was lost may have been carried out: look first. */
static int
lock_join(struct lock *lock)
{
	struct zk_op op = {.type = ZK_OP_CREATE2,
	    .data = lock->identity,
	    .size = strlen(lock->identity),
	    .flags = ZK_EPHEMERAL_SEQUENTIAL};
	char path[ZK_RUN_PATH_MAX];
	int rc;

	if (lock_child_path(path, lock, lock->prefix) != ZK_OK)
		return ZK_TOOLARGE;
	op.path = path;
	do {
		rc = zk_run_request(lock->run, &op, keep_czxid, lock);
		if (rc == ZK_OK || rc == ZK_CONNECTIONLOSS) {
			int seen = lock_look(lock);

			rc = seen == ZK_OK && lock->path[0] == '\0' ? ZK_CONNECTIONLOSS : seen;
		}
	} while (rc == ZK_CONNECTIONLOSS && lock->run->signo == 0);
	return rc;
}

static void
lock_moved(void *arg, enum zk_event event, const char *path)
{
	struct lock *lock = arg;

	(void)event;
	(void)path;
	lock->moved = true;
}

static void
lock_watched(void *arg, const struct zk_result *result)
{
	struct lock *lock = arg;

	if (!result->watching || result->rc != ZK_OK)
		lock->moved = true;
}

static void
lock_is_late(void *arg)
{
	struct lock *lock = arg;

	lock->late = true;
}

static bool
lock_may_look(void *arg)
{
	const struct lock *lock = arg;

	return lock->moved || lock->late;
}

/* Wait until no node is before ours. */
static int
lock_queue(struct lock *lock)
{
	const struct zk_watch watch = {lock_moved, lock};
	struct zk_run *run = lock->run;
	int rc = ZK_OK;

	while (rc == ZK_OK && lock->before[0] != '\0' && !lock->late && run->signo == 0) {
		lock->moved = false;
		rc = zk_exists(run->zk, lock->before, &watch, lock_watched, lock);
		if (rc == ZK_OK)
			zk_run_until(run, lock_may_look, lock);
		if (zk_state(run->zk) == ZK_EXPIRED)
			return ZK_SESSIONEXPIRED;
		if (rc == ZK_OK && lock->moved)
			rc = lock_look(lock);
		if (rc == ZK_CONNECTIONLOSS)
			rc = ZK_OK; /* look again */
		else if (rc == ZK_OK && lock->path[0] == '\0')
			rc = ZK_NONODE;
	}
	return rc;
}

/* To be the first. An exit status; ZK_SESSIONEXPIRED in *rc: again, with a new session. */
static int
lock_acquire(struct lock *lock, int *rc)
{
	char below[ZK_RUN_PATH_MAX];

	*rc = lock_child_path(below, lock, lock->prefix);
	if (*rc == ZK_OK)
		*rc = zk_run_parents(lock->run, below);
	if (*rc == ZK_OK)
		*rc = lock_join(lock);
	if (*rc == ZK_OK)
		*rc = lock_queue(lock);
	if (lock->run->signo != 0)
		return 128 + lock->run->signo;
	if (*rc == ZK_OK && lock->before[0] != '\0') {
		fprintf(stderr, "zk: %s: somebody else holds it: %s\n", lock->top, lock->before);
		return ZK_OWN_FAILURE;
	}
	if (*rc == ZK_OK || *rc == ZK_SESSIONEXPIRED)
		return 0;
	(void)zk_run_fail(lock->run, lock->top, *rc);
	return ZK_OWN_FAILURE;
}

static void
lock_bound_set(struct lock *lock)
{
	uint64_t timeout_ms = zk_session_timeout_ms(lock->run->zk);

	(void)timer_set(
	    &lock->bound, lock->confirmed_ms + (lock->told ? timeout_ms / 2 : timeout_ms / 3));
}

/* The lock is not ours any more, or may soon not be. */
static void
lock_stop(struct lock *lock, int signo, const char *why)
{
	if (!lock->lost)
		fprintf(stderr, "zk: %s: %s: the command is stopped\n", lock->top, why);
	lock->lost = true;
	zk_child_kill(&lock->child, signo);
}

static void
lock_out_of_time(void *arg)
{
	struct lock *lock = arg;

	lock_stop(lock, lock->told ? SIGKILL : SIGTERM, "the ensemble does not confirm it");
	lock->told = true;
	lock_bound_set(lock);
}

static void
lock_renew_later(struct lock *lock)
{
	uint64_t timeout_ms = zk_session_timeout_ms(lock->run->zk);

	(void)timer_set(&lock->renew, clock_boot_ms() + timeout_ms / 10);
}

static void
lock_renewed(void *arg, const struct zk_result *result)
{
	struct lock *lock = arg;

	lock->renewing = false;
	if (result->rc == ZK_OK) {
		lock->confirmed_ms = result->sent_ms;
		if (!lock->told)
			lock_bound_set(lock);
	} else if (result->rc == ZK_NONODE) {
		lock_stop(lock, SIGTERM, "its node was removed");
	}
	if (!lock->lost && zk_state(lock->run->zk) != ZK_EXPIRED)
		lock_renew_later(lock);
}

static void
lock_renew(void *arg)
{
	struct lock *lock = arg;

	if (lock->renewing)
		return;
	lock->renewing = zk_set(lock->run->zk, lock->path, lock->identity, strlen(lock->identity),
			     ZK_ANY_VERSION, lock_renewed, lock) == ZK_OK;
	if (!lock->renewing)
		lock_renew_later(lock);
}

/* A write of our node before the command starts, since which its time is counted. */
static void
confirm_first(struct zk_run *run, const struct zk_result *result, void *arg)
{
	struct lock *lock = arg;

	(void)run;
	lock->confirmed_ms = result->sent_ms;
}

static int
lock_start(struct lock *lock)
{
	const struct zk_op op = {.type = ZK_OP_SET_DATA,
	    .path = lock->path,
	    .data = lock->identity,
	    .size = strlen(lock->identity),
	    .version = ZK_ANY_VERSION};
	char node[ZK_RUN_PATH_MAX + 16], fence[64];
	const char *const variables[] = {node, fence, NULL};
	int rc;

	do
		rc = zk_run_request(lock->run, &op, confirm_first, lock);
	while (rc == ZK_CONNECTIONLOSS && lock->run->signo == 0);
	if (rc != ZK_OK) {
		(void)zk_run_fail(lock->run, lock->path, rc);
		return ZK_OWN_FAILURE;
	}
	snprintf(node, sizeof node, "ZK_LOCK_NODE=%s", lock->path);
	snprintf(fence, sizeof fence, "ZK_LOCK_FENCE=%" PRId64, lock->czxid);
	lock->lost = lock->told = lock->renewing = false;
	lock_bound_set(lock);
	lock_renew_later(lock);
	return zk_child_start(&lock->child, true, lock->command, variables);
}

static bool
lock_over(void *arg)
{
	struct lock *lock = arg;

	zk_child_check(&lock->child);
	return lock->child.pid == 0;
}

static void
lock_child_changed(void *arg, int signo)
{
	(void)signo;
	(void)lock_over(arg);
}

/* Run the command while the lock is ours, and pass signals on to it. An exit status. */
static int
lock_hold(struct lock *lock)
{
	struct zk_run *run = lock->run;
	int status = lock_start(lock);

	if (status != 0)
		return status;
	while (!lock_over(lock) && zk_state(run->zk) != ZK_EXPIRED) {
		zk_run_until(run, lock_over, lock);
		if (run->signo != 0)
			zk_child_kill(&lock->child, run->signo);
		run->signo = 0;
	}
	if (lock->child.pid > 0)
		lock_stop(lock, SIGKILL, "the session has expired");
	zk_child_wait(&lock->child);
	timer_cancel(&lock->renew);
	timer_cancel(&lock->bound);
	return lock->lost ? ZK_OWN_FAILURE : lock->child.status;
}

/* What has to be made again with each session. */
static bool
lock_attach(struct lock *lock)
{
	struct zk_run *run = lock->run;

	timer_init(&lock->wait, run->loop, lock_is_late, lock);
	timer_init(&lock->renew, run->loop, lock_renew, lock);
	timer_init(&lock->bound, run->loop, lock_out_of_time, lock);
	if (!loop_on_signal(run->loop, SIGCHLD, lock_child_changed, lock)) {
		perror("zk: event loop");
		return false;
	}
	return true;
}

/* A new session, as long as it takes. */
static int
lock_reconnect(struct lock *lock)
{
	const struct zk_options *options = lock->run->options;
	int status;

	for (;;) {
		zk_run_close(lock->run);
		status = zk_run_open(lock->run, options);
		if (status != EX_UNAVAILABLE)
			return status;
		sleep(AGAIN_SECONDS);
	}
}

/* again: a candidate whose time ended without its command's doing stands for election again. */
static int
lock_run(struct lock *lock, bool again)
{
	uint64_t wait_ms = lock->run->options->wait_ms;
	int status, rc;

	for (;;) {
		if (!lock_attach(lock))
			return ZK_OWN_FAILURE;
		if (wait_ms != AMOUNT_TIME_FOREVER)
			(void)timer_set(&lock->wait, clock_boot_ms() + wait_ms);
		status = lock_acquire(lock, &rc);
		timer_cancel(&lock->wait);
		if (status != 0)
			return status;
		if (rc == ZK_OK) {
			status = lock_hold(lock);
			if (!lock->lost || !again)
				return status;
		}
		lock->lost = false;
		status = lock_reconnect(lock);
		if (status != 0)
			return status < 128 ? ZK_OWN_FAILURE : status;
	}
}

static int
lock_verb(struct zk_run *run, int argc, char **argv, const char *below, bool again)
{
	struct lock *lock = calloc(1, sizeof *lock);
	int status = ZK_OWN_FAILURE;

	if (lock == NULL || (argc == 2 && strcmp(argv[1], "--") == 0)) {
		fprintf(
		    stderr, lock == NULL ? "zk: out of memory\n" : "zk: a command is missing\n");
		free(lock);
		return ZK_OWN_FAILURE;
	}
	lock->run = run;
	lock->command = (const char *const *)argv + (strcmp(argv[1], "--") == 0 ? 2 : 1);
	if (lock_prepare(lock, argv[0], below))
		status = lock_run(lock, again);
	zk_run_close(run); /* nobody is told any more what the watches see */
	free(lock);
	return status;
}

int
zk_verb_lock(struct zk_run *run, int argc, char **argv)
{
	return lock_verb(run, argc, argv, "/locks", false);
}

int
zk_verb_elect(struct zk_run *run, int argc, char **argv)
{
	return lock_verb(run, argc, argv, "/elections", true);
}
