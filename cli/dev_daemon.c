/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/dev.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/spawn.h"

/* As a unit's RestartSec=, and growing while it does not help. */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
/* Up for so long: the next death is a new trouble. */
#define SETTLED_US (10 * UINT64_C(1000000))
#define ENV_MAX 512
#define NOTICE_BYTES_MAX 4096

/* One line of a notification: "READY=1", "STATUS=leader". */
static void
take_line(struct dev_daemon *d, const char *line)
{
	if (str_starts(line, "STATUS=")) {
		str_copy(d->status, sizeof d->status, line + strlen("STATUS="));
	} else if (strcmp(line, "READY=1") == 0 && !d->ready && d->pid != 0) {
		d->ready = true;
		d->ready_us = clock_boot_us() - d->started_us;
	}
}

/* Notifications are datagrams of lines (sd_notify(3)); what came last counts. */
static void
notified(void *arg, int what)
{
	struct dev_daemon *d = arg;
	bool was_ready = d->ready, again = d->was_ready;
	char text[NOTICE_BYTES_MAX], *rest, *line;
	ssize_t n;

	(void)what;
	while ((n = recv(d->notify_fd, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		rest = text;
		while ((line = strsep(&rest, "\n")) != NULL)
			take_line(d, line);
	}
	if (d->ready && !was_ready) {
		d->was_ready = true;
		d->dev->changed(d->dev, d, again ? "ready again" : "ready");
	}
}

static void
retry_start(void *arg)
{
	struct dev_daemon *d = arg;

	if (dev_daemon_start(d))
		return;
	d->backoff_ms = BACKOFF_MAX_MS;
	timer_set(&d->retry, clock_boot_ms() + d->backoff_ms);
}

static bool
notify_address(const struct dev_daemon *d, struct sockaddr_un *to)
{
	char path[PATH_MAX];

	dev_layout_path(d->dev, path, "%s.notify", d->name);
	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	return str_copy(to->sun_path, sizeof to->sun_path, path);
}

bool
dev_daemon_init(struct dev_daemon *d)
{
	struct sockaddr_un a;

	timer_init(&d->retry, d->dev->loop, retry_start, d);
	d->notify_fd = -1;
	if (!notify_address(d, &a)) {
		fprintf(stderr, "corral: %s: too long for the socket below it\n", d->dev->state);
		return false;
	}
	unlink(a.sun_path);
	d->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A daemon that runs under an account of its own must be able to write to it. */
	if (d->notify_fd < 0 || bind(d->notify_fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    chmod(a.sun_path, 0622) != 0) {
		fprintf(stderr, "corral: %s: %s\n", a.sun_path, strerror(errno));
		return false;
	}
	d->notify_watch = fd_watch_new(d->dev->loop, d->notify_fd, FD_READ, notified, d);
	if (d->notify_watch == NULL)
		fprintf(stderr, "corral: no memory to watch %s\n", d->name);
	return d->notify_watch != NULL;
}

void
dev_daemon_fini(struct dev_daemon *d)
{
	timer_cancel(&d->retry);
	if (d->notify_watch != NULL)
		fd_watch_free(d->notify_watch);
	d->notify_watch = NULL;
	if (d->notify_fd >= 0)
		close(d->notify_fd);
	d->notify_fd = -1;
}

/* Our environment without what is meant for command lines or for us as a service, plus the socket.
 */
static void
make_environment(const char **env, const char *notify)
{
	static const char *const dropped[] = {
	    "CORRAL_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "JOURNAL_STREAM=", NULL};
	size_t count = 0;

	for (char **e = environ; *e != NULL && count < ENV_MAX - 2; e++) {
		bool drop = false;

		for (size_t i = 0; dropped[i] != NULL && !drop; i++)
			drop = str_starts(*e, dropped[i]);
		if (!drop)
			env[count++] = *e;
	}
	env[count++] = notify;
	env[count] = NULL;
}

static pid_t
spawn_daemon(struct dev_daemon *d, const char **step)
{
	char program[PATH_MAX], config[PATH_MAX], log[PATH_MAX], notify[PATH_MAX + 32],
	    socket[PATH_MAX];
	const char *argv[] = {program, "run", "--config", config, NULL}, *env[ENV_MAX];
	struct spawn s;
	pid_t pid;

	*step = "open its log";
	if (!dev_layout_program(d->dev, d->kind, program))
		return -1;
	dev_layout_path(d->dev, config, d->kind == DEV_ZKSERVER ? "%s.cfg" : "%s.conf", d->name);
	dev_layout_path(d->dev, log, "%s.log", d->name);
	dev_layout_path(d->dev, socket, "%s.notify", d->name);
	snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s", socket);
	make_environment(env, notify);
	spawn_init(&s, program, argv, env);
	s.stderr_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (s.stderr_fd < 0)
		return -1;
	s.stdout_fd = s.stderr_fd;
	/* Ctrl-C on the terminal is for us; and if we are killed, the cluster is not to stay. */
	s.new_session = true;
	s.death_signal = SIGTERM;
	pid = spawn_run(&s, step);
	close(s.stderr_fd);
	return pid;
}

bool
dev_daemon_start(struct dev_daemon *d)
{
	const char *step;

	d->ready = false;
	d->status[0] = '\0';
	d->started_us = clock_boot_us();
	d->pid = spawn_daemon(d, &step);
	if (d->pid < 0) {
		d->pid = 0;
		fprintf(
		    stderr, "corral: cannot start %s: %s: %s\n", d->name, step, strerror(errno));
		return false;
	}
	return dev_layout_write_daemons(d->dev);
}

void
dev_daemon_stop(struct dev_daemon *d, int signo)
{
	d->stopping = true;
	timer_cancel(&d->retry);
	/* Our own child, not reaped yet: its number is still its own. */
	if (d->pid != 0)
		kill(d->pid, signo);
}

static struct dev_daemon *
find_daemon(struct dev *dev, pid_t pid)
{
	for (size_t i = 0; i < dev->daemon_count; i++)
		if (dev->daemons[i].pid == pid)
			return &dev->daemons[i];
	return NULL;
}

static uint32_t
next_backoff(const struct dev_daemon *d)
{
	if (d->backoff_ms == 0 || clock_boot_us() - d->started_us > SETTLED_US)
		return BACKOFF_FIRST_MS;
	return d->backoff_ms >= BACKOFF_MAX_MS / 2 ? BACKOFF_MAX_MS : 2 * d->backoff_ms;
}

bool
dev_daemon_ended(struct dev *dev, pid_t pid, int wait_status)
{
	struct dev_daemon *d = find_daemon(dev, pid);
	char what[96], how[48];

	if (d == NULL)
		return false;
	d->pid = 0;
	d->ready = false;
	if (d->stopping)
		return true;
	if (WIFSIGNALED(wait_status))
		snprintf(how, sizeof how, "was killed by signal %d", WTERMSIG(wait_status));
	else
		snprintf(how, sizeof how, "exited with %d", WEXITSTATUS(wait_status));
	d->backoff_ms = next_backoff(d);
	snprintf(what, sizeof what, "%s; starting it again in %.1f s", how, d->backoff_ms / 1000.0);
	timer_set(&d->retry, clock_boot_ms() + d->backoff_ms);
	dev->changed(dev, d, what);
	return true;
}

uint64_t
dev_daemon_memory(const struct dev_daemon *d)
{
	char path[64], line[128];
	unsigned long long size, resident, shared;
	uint64_t bytes = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%ld/statm", (long)d->pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof line, f) != NULL &&
	    sscanf(line, "%llu %llu %llu", &size, &resident, &shared) == 3 && resident >= shared)
		bytes = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
	fclose(f);
	return bytes;
}
