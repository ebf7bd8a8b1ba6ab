/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/spawn.h"
#include "proto/api.pb-c.h"

/* From the start until the nodes are there, and from SIGTERM to SIGKILL. */
#define START_MS 20000
#define STOP_MS 5000
/* Between two looks at whether all nodes have registered. */
#define LOOK_MS 5
#define ENV_MAX 512

enum phase {
	PHASE_ZKSERVER,
	PHASE_MASTERS,
	PHASE_LEADER,
	PHASE_AGENTS,
	PHASE_NODES,
	PHASE_READY,
	PHASE_STOPPING
};

struct run {
	struct dev dev;
	struct corral *corral;
	struct api *api;
	enum phase phase;
	enum dev_kind stopping_kind;
	uint64_t started_us;
	struct timer limit; /* of the phase */
	struct timer look;
	char **command; /* NULL: until Ctrl-C */
	pid_t command_pid;
	int status; /* to exit with */
};

static void stop(struct run *r, int status);

static struct run *
run_of(struct dev *dev)
{
	return CONTAINER_OF(dev, struct run, dev);
}

/* ---- screens ---- */

static void
print_daemon(const struct dev_daemon *d)
{
	static const char *const kinds[] = {"zkserver", "master", "agent"};
	char node[DEV_NAME_MAX + 8], memory[AMOUNT_TEXT_MAX];

	snprintf(node, sizeof node, "%s%s", d->kind == DEV_AGENT ? "node " : "",
	    d->kind == DEV_ZKSERVER ? "" : d->name);
	printf("  %-9s ready  %-15s  %-12s  pid %-6ld  %8s  %3.0f ms%s%s\n", kinds[d->kind],
	    d->address, node, (long)d->pid, amount_print_size(memory, dev_daemon_memory(d)),
	    (double)d->ready_us / 1000.0, d->status[0] != '\0' ? "  " : "", d->status);
	fflush(stdout);
}

static void
print_ready(const struct run *r)
{
	const struct dev *dev = &r->dev;
	const char *master = NULL;

	for (size_t i = 0; i < dev->daemon_count && master == NULL; i++)
		if (dev->daemons[i].kind == DEV_MASTER)
			master = dev->daemons[i].address;
	printf("Ready in %.2f s. Logs: %s/*.log. Metrics: https://%s/metrics\n",
	    (double)(clock_boot_us() - r->started_us) / 1e6, dev->state, master);
	if (dev->client_dir[0] == '\0')
		printf("Another cluster is this user's default; for this one: export "
		       "CORRAL_CONFIG_DIR=%s\n",
		    dev->state);
	if (r->command == NULL)
		printf("\nTry this in another terminal:\n"
		       "  corral run -- uname -a          run a command, see its output\n"
		       "  corral init > hello.job         write an example job file\n"
		       "  corral submit hello.job         start it\n"
		       "Ctrl-C stops everything.\n");
	fflush(stdout);
}

/* The end of a daemon's log, for a cluster that does not come up. */
static void
show_log(const struct dev_daemon *d)
{
	char path[PATH_MAX], text[2048];
	FILE *f;
	size_t n;

	dev_layout_path(&d->dev[0], path, "%s.log", d->name);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fseek(f, -(long)(sizeof text - 1), SEEK_END) != 0)
		rewind(f);
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	fprintf(stderr, "---- the end of %s ----\n%.*s", path, (int)n, text);
}

/* ---- the command, if one was given ---- */

static bool
start_command(struct run *r)
{
	char config[PATH_MAX + 32], state[PATH_MAX + 32], path[2 * PATH_MAX];
	const char *env[ENV_MAX], *old = getenv("PATH"), *step = "";
	size_t count = 0;
	struct spawn s;
	int error;

	snprintf(config, sizeof config, "CORRAL_CONFIG_DIR=%s", r->dev.state);
	snprintf(state, sizeof state, "CORRAL_DEV_STATE=%s", r->dev.state);
	snprintf(
	    path, sizeof path, "PATH=%s:%s", r->dev.programs, old != NULL ? old : "/usr/bin:/bin");
	for (char **e = environ; *e != NULL && count < ENV_MAX - 4; e++)
		if (!str_starts(*e, "CORRAL_") && !str_starts(*e, "PATH="))
			env[count++] = *e;
	env[count++] = config;
	env[count++] = state;
	env[count++] = path;
	env[count] = NULL;
	spawn_init(&s, r->command[0], (const char *const *)r->command, env);
	s.stdin_fd = STDIN_FILENO;
	s.stdout_fd = STDOUT_FILENO;
	s.stderr_fd = STDERR_FILENO;
	r->command_pid = spawn_run(&s, &step);
	if (r->command_pid > 0)
		return true;
	error = errno;
	corral_say("%s: %s: %s", r->command[0], step, strerror(error));
	r->command_pid = 0;
	stop(r, spawn_exit_status(error));
	return false;
}

/* ---- phases ---- */

static bool
all_ready(const struct dev *dev, enum dev_kind kind)
{
	for (size_t i = 0; i < dev->daemon_count; i++)
		if (dev->daemons[i].kind == kind && !dev->daemons[i].ready)
			return false;
	return true;
}

static void
start_kind(struct run *r, enum dev_kind kind)
{
	for (size_t i = 0; i < r->dev.daemon_count; i++) {
		struct dev_daemon *d = &r->dev.daemons[i];

		if (d->kind == kind && !dev_daemon_start(d)) {
			stop(r, EX_OSERR);
			return;
		}
	}
}

static void
print_kind(struct run *r, enum dev_kind kind)
{
	for (size_t i = 0; i < r->dev.daemon_count; i++)
		if (r->dev.daemons[i].kind == kind)
			print_daemon(&r->dev.daemons[i]);
}

static void
become_ready(struct run *r)
{
	r->phase = PHASE_READY;
	timer_cancel(&r->limit);
	dev_publish(&r->dev);
	print_ready(r);
	if (r->command != NULL)
		start_command(r);
}

static void look(void *arg);
static void advance(struct run *r);

static void
advance_by(struct run *r, const Corral__Api__ClusterStatus *status)
{
	if (r->phase == PHASE_LEADER && status->leader != NULL) {
		r->phase = PHASE_AGENTS;
		start_kind(r, DEV_AGENT);
	} else if (r->phase == PHASE_NODES && status->nodes_ready >= r->dev.agents) {
		print_kind(r, DEV_MASTER);
		print_kind(r, DEV_AGENT);
		become_ready(r);
	}
}

/* A cluster is ready when its leader has all nodes on its books, not when the processes run. */
static void
looked(void *arg, struct api_result *result)
{
	struct run *r = arg;
	enum phase before = r->phase;

	if (result->message != NULL) {
		advance_by(r, (const Corral__Api__ClusterStatus *)result->message);
		protobuf_c_message_free_unpacked(result->message, NULL);
	}
	if (r->phase == before && r->phase != PHASE_STOPPING)
		timer_set(&r->look, clock_boot_ms() + LOOK_MS);
	else
		advance(r);
}

static void
look(void *arg)
{
	struct run *r = arg;
	const struct api_request request = {.method = "GET",
	    .target = "status",
	    .reply = &corral__api__cluster_status__descriptor,
	    .timeout_ms = START_MS};

	if (!api_start(r->api, &request, looked, r))
		stop(r, EX_OSERR);
}

/* Something became ready: what waited for it may start. */
static void
advance(struct run *r)
{
	if (r->phase == PHASE_ZKSERVER && all_ready(&r->dev, DEV_ZKSERVER)) {
		print_kind(r, DEV_ZKSERVER);
		r->phase = PHASE_MASTERS;
		start_kind(r, DEV_MASTER);
	}
	if (r->phase == PHASE_MASTERS && all_ready(&r->dev, DEV_MASTER)) {
		r->phase = PHASE_LEADER;
		look(r);
	}
	if (r->phase == PHASE_AGENTS && all_ready(&r->dev, DEV_AGENT)) {
		r->phase = PHASE_NODES;
		look(r);
	}
}

static void
daemon_changed(struct dev *dev, struct dev_daemon *d, const char *what)
{
	struct run *r = run_of(dev);

	if (r->phase == PHASE_STOPPING)
		return;
	if (r->phase == PHASE_READY) {
		printf("  %s %s%s%s\n", d->name, what, d->ready && d->status[0] != '\0' ? ": " : "",
		    d->ready ? d->status : "");
		fflush(stdout);
		return;
	}
	if (d->pid == 0) {
		corral_say("%s did not start", d->name);
		show_log(d);
		stop(r, EX_SOFTWARE);
		return;
	}
	advance(r);
}

/* ---- stopping: the command, then agents, masters, the ensemble ---- */

static bool
any_running(const struct dev *dev, enum dev_kind kind)
{
	for (size_t i = 0; i < dev->daemon_count; i++)
		if (dev->daemons[i].kind == kind && dev->daemons[i].pid != 0)
			return true;
	return false;
}

static void
signal_kind(struct run *r, enum dev_kind kind, int signo)
{
	for (size_t i = 0; i < r->dev.daemon_count; i++)
		if (r->dev.daemons[i].kind == kind)
			dev_daemon_stop(&r->dev.daemons[i], signo);
}

/* Go down to the next kind once those above it are gone. */
static void
continue_stop(struct run *r)
{
	if (r->phase != PHASE_STOPPING || r->command_pid != 0)
		return;
	while (!any_running(&r->dev, r->stopping_kind)) {
		if (r->stopping_kind == DEV_ZKSERVER) {
			loop_stop(r->dev.loop, r->status);
			return;
		}
		r->stopping_kind--;
		signal_kind(r, r->stopping_kind, SIGTERM);
	}
}

static void
stop(struct run *r, int status)
{
	if (r->phase == PHASE_STOPPING)
		return;
	r->phase = PHASE_STOPPING;
	r->status = status;
	dev_unpublish(&r->dev);
	timer_cancel(&r->look);
	timer_set(&r->limit, clock_boot_ms() + STOP_MS);
	if (r->command_pid != 0)
		kill(r->command_pid, SIGTERM);
	/* None is to be started again from here on. */
	for (size_t i = 0; i < r->dev.daemon_count; i++)
		r->dev.daemons[i].stopping = true;
	r->stopping_kind = DEV_AGENT;
	signal_kind(r, DEV_AGENT, SIGTERM);
	continue_stop(r);
}

static void
kill_all(struct run *r)
{
	if (r->command_pid != 0)
		kill(r->command_pid, SIGKILL);
	for (int kind = DEV_AGENT; kind >= DEV_ZKSERVER; kind--)
		signal_kind(r, (enum dev_kind)kind, SIGKILL);
}

static void
limit_reached(void *arg)
{
	struct run *r = arg;

	if (r->phase == PHASE_STOPPING) {
		kill_all(r);
		return;
	}
	for (size_t i = 0; i < r->dev.daemon_count; i++) {
		const struct dev_daemon *d = &r->dev.daemons[i];

		if (d->pid != 0 && (!d->ready || r->phase == PHASE_NODES)) {
			corral_say("%s is not ready after %d s", d->name, START_MS / 1000);
			show_log(d);
		}
	}
	stop(r, EX_SOFTWARE);
}

/* ---- signals ---- */

static void
interrupted(void *arg, int signo)
{
	struct run *r = arg;

	if (r->phase == PHASE_STOPPING) {
		kill_all(r);
		return;
	}
	/* Ctrl-C during a command is the command's: it ends, and then we do. */
	if (signo == SIGINT && r->command_pid != 0)
		return;
	if (r->command == NULL)
		printf("Stopping.\n");
	stop(r, r->command != NULL ? 128 + signo : 0);
}

static void
child_ended(void *arg, int signo)
{
	struct run *r = arg;
	int status;
	pid_t pid;

	(void)signo;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == r->command_pid) {
			r->command_pid = 0;
			stop(r, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
		} else {
			dev_daemon_ended(&r->dev, pid, status);
		}
	}
	continue_stop(r);
}

static bool
handle_signals(struct run *r)
{
	return loop_on_signal(r->dev.loop, SIGINT, interrupted, r) &&
	       loop_on_signal(r->dev.loop, SIGTERM, interrupted, r) &&
	       loop_on_signal(r->dev.loop, SIGHUP, interrupted, r) &&
	       loop_on_signal(r->dev.loop, SIGCHLD, child_ended, r);
}

/* ---- the verb ---- */

static bool
find_programs(struct dev *dev)
{
	ssize_t n = readlink("/proc/self/exe", dev->programs, sizeof dev->programs - 1);
	char *slash;

	if (n <= 0) {
		corral_say("/proc/self/exe: %s", strerror(errno));
		return false;
	}
	dev->programs[n] = '\0';
	slash = strrchr(dev->programs, '/');
	*slash = '\0';
	return true;
}

/* Held for life: what nobody holds is a leftover (dev_sweep_leftovers()). */
static bool
lock_state_directory(struct dev *dev)
{
	dev->state_lock = open(dev->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dev->state_lock >= 0 && flock(dev->state_lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	corral_say("%s: %s", dev->state,
	    dev->state_lock >= 0 && errno == EWOULDBLOCK ? "another corral dev runs on it"
							 : strerror(errno));
	return false;
}

static bool
make_state_directory(struct dev *dev, const char *asked)
{
	const char *tmp = getenv("TMPDIR");
	bool done;

	if (asked != NULL) {
		dev->keep_state = true;
		done = fsutil_mkdirs(asked, 0711) && realpath(asked, dev->state) != NULL;
	} else {
		snprintf(dev->state, sizeof dev->state, "%.1000s/" DEV_STATE_PREFIX "XXXXXX",
		    tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
		/* Daemons with accounts of their own must come through to what is theirs. */
		done = mkdtemp(dev->state) != NULL && chmod(dev->state, 0711) == 0;
	}
	if (done && strlen(dev->state) > 80) {
		errno = ENAMETOOLONG;
		done = false;
	}
	if (!done)
		corral_say("cannot make the state directory %s: %s",
		    asked != NULL ? asked : dev->state, strerror(errno));
	return done && lock_state_directory(dev);
}

/* The cluster's own client, as its operator, for look(). */
static bool
open_client(struct run *r)
{
	struct corral *c = r->corral;
	char path[PATH_MAX], why[API_ERROR_MAX];
	struct client_options options = {.config = path};
	struct faults faults;

	dev_layout_path(&r->dev, path, "corral.conf");
	faults_init(&faults);
	unsetenv("CORRAL_MASTER");
	if (!client_conf_load(&c->conf, &options, &faults))
		corral_say("%s", faults_text(&faults));
	else if ((r->api = api_open(r->dev.loop, &c->conf, why, sizeof why)) == NULL)
		corral_say("%s", why);
	faults_fini(&faults);
	return r->api != NULL;
}

static bool
prepare(struct run *r)
{
	struct dev *dev = &r->dev;

	if (!dev_layout_plan(dev, &r->corral->options.dev) || !dev_layout_write(dev) ||
	    !handle_signals(r) || !open_client(r))
		return false;
	for (size_t i = 0; i < dev->daemon_count; i++)
		if (!dev_daemon_init(&dev->daemons[i]))
			return false;
	return true;
}

static int
run_cluster(struct run *r)
{
	printf("corral " PACKAGE_VERSION ": throw-away cluster on this machine, state in %s%s\n",
	    r->dev.state, r->dev.keep_state ? " (kept)" : " (removed on exit)");
	fflush(stdout);
	timer_set(&r->limit, clock_boot_ms() + START_MS);
	start_kind(r, DEV_ZKSERVER);
	return loop_run(r->dev.loop, NULL, NULL);
}

int
verb_dev(struct corral *c, int argc, char **argv)
{
	static struct run run;
	struct run *r = &run;
	int status = EX_CANTCREAT;

	r->corral = c;
	r->command = argc > 0 ? argv : NULL;
	r->dev.changed = daemon_changed;
	r->dev.client_lock = -1;
	r->started_us = clock_boot_us();
	r->dev.loop = loop_new();
	if (r->dev.loop == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
		corral_say("cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	timer_init(&r->limit, r->dev.loop, limit_reached, r);
	timer_init(&r->look, r->dev.loop, look, r);
	if (!find_programs(&r->dev) || !make_state_directory(&r->dev, c->options.dev.state))
		return status;
	dev_sweep_leftovers(&r->dev);
	if (prepare(r))
		status = run_cluster(r);
	for (size_t i = 0; i < r->dev.daemon_count; i++)
		dev_daemon_fini(&r->dev.daemons[i]);
	api_close(r->api);
	if (!dev_sweep(&r->dev) && status == 0)
		status = EX_OSERR;
	dev_layout_release(&r->dev);
	return status;
}
