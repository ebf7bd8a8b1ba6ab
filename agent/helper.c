/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/codec/taskkey.h"
#include "libcommon/sys/cgroup.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/proc.h"
#include "libcommon/sys/spawn.h"
#include "libcommon/sys/tasklimits.h"

#define RUN_AS_UID_MIN 1000
#define PIDS_MAX 32768
#define CMDLINE_BYTES 8192
#define ERROR_BYTES 256

struct helper {
	struct helper_conf conf;
	bool root;
	struct cgroup_host host;
	bool pid_namespace;
	char base[CGROUP_BASE_NAME_BYTES]; /* the cgroup that all of this agent's attempts are below
					    */
	char missing[160];
};

/* ---- What this machine and our rights can give. ---- */

static bool
can_make_pid_namespace(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static void
add_missing(struct helper *h, const char *what)
{
	size_t len = strlen(h->missing);

	if (*what != '\0')
		snprintf(
		    h->missing + len, sizeof h->missing - len, "%s%s", len > 0 ? ", " : "", what);
}

struct helper *
helper_new(const struct helper_conf *conf)
{
	struct helper *h = calloc(1, sizeof *h);
	char cgroups[128];

	if (h == NULL) {
		log_error("no memory");
		return NULL;
	}
	h->conf = *conf;
	h->root = geteuid() == 0;
	cgroup_host_probe(&h->host, "/proc/self/mounts");
	cgroup_host_missing(&h->host, cgroups, sizeof cgroups);
	h->pid_namespace = h->root && can_make_pid_namespace();
	cgroup_base_name(conf->state_dir, h->base);
	add_missing(h, cgroups);
	add_missing(h, h->root ? "" : "other accounts");
	add_missing(h, h->pid_namespace ? "" : "PID namespaces");
	if (sandbox_prepare(conf->state_dir, conf->agent_gid))
		return h;
	free(h);
	return NULL;
}

void
helper_free(struct helper *h)
{
	free(h);
}

const char *
helper_missing_text(const struct helper *h)
{
	return h->missing;
}

size_t
helper_missing(const struct helper *h, const char *names[4])
{
	size_t count = 0;

	if (!h->host.can_track || !h->host.can_limit_cpu || !h->host.can_limit_memory)
		names[count++] = "cgroup";
	if (!h->root)
		names[count++] = "user";
	if (!h->pid_namespace)
		names[count++] = "pid-namespace";
	return count;
}

void
helper_reap(struct helper *h)
{
	(void)h;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void
group_name(const struct helper *h, const char *name, const char *part, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s/%s%s%s", h->base, name, *part != '\0' ? "/" : "", part);
}

/* ---- Launching. ---- */

struct launch {
	const Corral__HelperLaunch *request;
	char name[TASKKEY_NAME_BYTES];
	char group[PATH_MAX]; /* of the task; "" without cgroups */
	bool has_user;
	struct spawn_user user;
	char *error; /* ERROR_BYTES */
};

static bool __attribute__((format(printf, 2, 3))) refuse(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, ERROR_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

static bool
path_is(const char *given, const char *state_dir, const char *part, const char *name)
{
	char want[PATH_MAX];
	int n = snprintf(want, sizeof want, "%s/%s/%s", state_dir, part, name);

	return n > 0 && (size_t)n < sizeof want && strcmp(given, want) == 0;
}

/* May tasks run as this account? Named ones in run_as; without it those of people, uid 1000 and up.
 */
static bool
run_as_allows(const struct conf_list *run_as, const char *name, uid_t uid)
{
	for (size_t i = 0; run_as != NULL && i < run_as->count; i++) {
		if (strcmp(run_as->items[i], name) == 0)
			return true;
	}
	return (run_as == NULL || run_as->count == 0) && uid >= RUN_AS_UID_MIN;
}

static bool
check_user(struct helper *h, struct launch *l)
{
	const char *name = l->request->spec->user;

	if (name == NULL || *name == '\0') {
		/* The agent's own account. */
		l->has_user = h->root && h->conf.agent_uid != 0;
		l->user = (struct spawn_user){.uid = h->conf.agent_uid,
		    .gid = h->conf.agent_gid,
		    .groups = {h->conf.agent_gid},
		    .group_count = 1};
		return true;
	}
	if (!spawn_user_find(name, &l->user))
		return refuse(l->error, "account %s: %s", name,
		    errno == 0 ? "there is none of that name on this node" : strerror(errno));
	if (!h->root && l->user.uid != geteuid())
		return refuse(l->error,
		    "account %s: this agent does not run as root and can take no other account",
		    name);
	if (h->root && l->user.uid != h->conf.agent_uid &&
	    !run_as_allows(h->conf.run_as, name, l->user.uid))
		return refuse(
		    l->error, "account %s: not allowed by [agent] run_as of this node", name);
	l->has_user = h->root && l->user.uid != 0;
	return true;
}

static bool
make_groups(struct helper *h, struct launch *l)
{
	struct cgroup_limits limits;
	char place[PATH_MAX], exec_group[PATH_MAX];

	l->group[0] = '\0';
	if (!h->host.can_track)
		return true;
	tasklimits_of(l->request->spec, &limits);
	limits.pid_count = PIDS_MAX;
	group_name(h, l->name, "exec", exec_group);
	group_name(h, l->name, "task", l->group);
	if (cgroup_make(&h->host, exec_group, NULL, place) &&
	    cgroup_make(&h->host, l->group, &limits, place))
		return true;
	return refuse(l->error, "cgroup %.150s: %s", place, strerror(errno));
}

/* A file in memory that the executor reads: -1 with errno. */
static int
boot_file(struct helper *h, struct launch *l)
{
	Corral__ExecutorBoot boot = CORRAL__EXECUTOR_BOOT__INIT;
	Corral__Account account = CORRAL__ACCOUNT__INIT;
	uint32_t groups[SPAWN_GROUPS_MAX];
	uint8_t *bytes;
	size_t size;
	int fd;

	boot.key = l->request->key;
	boot.spec = l->request->spec;
	boot.psk = l->request->psk;
	boot.agent_address = l->request->agent_address;
	boot.sandbox = l->request->sandbox;
	boot.run_directory = l->request->run_directory;
	boot.cgroup = l->group;
	boot.has_pid_namespace = true;
	boot.pid_namespace = h->pid_namespace;
	boot.has_reader_gid = h->root;
	boot.reader_gid = h->conf.agent_gid;
	if (l->has_user) {
		account.uid = l->user.uid;
		account.gid = l->user.gid;
		account.n_groups = l->user.group_count;
		account.groups = groups;
		for (size_t i = 0; i < l->user.group_count; i++)
			groups[i] = l->user.groups[i];
		boot.account = &account;
	}
	size = corral__executor_boot__get_packed_size(&boot);
	if ((bytes = malloc(size)) == NULL)
		return -1;
	corral__executor_boot__pack(&boot, bytes);
	fd = memfd_create("corral-attempt", MFD_CLOEXEC);
	if (fd >= 0 && (!fsutil_write_all(fd, bytes, size) || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	explicit_bzero(bytes, size);
	free(bytes);
	return fd;
}

/* Start the executor: in its own session and cgroup, with nothing of ours but stderr. */
static pid_t
start_executor(struct helper *h, struct launch *l, int boot_fd)
{
	const char *const argv[] = {"corral-executor", "attempt", l->name, NULL};
	const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	int fds[CGROUP_HIERARCHIES_MAX], count = 0;
	char group[PATH_MAX];
	const char *step = "exec";
	struct spawn s;
	pid_t pid;

	spawn_init(&s, h->conf.executor, argv, env);
	s.stderr_fd = STDERR_FILENO;
	s.keep_fds[0] = boot_fd;
	s.keep_count = 1;
	s.new_session = true;
	group_name(h, l->name, "exec", group);
	if (h->host.can_track && (count = cgroup_open_procs(&h->host, group, fds)) < 0) {
		refuse(l->error, "cgroup %s: %s", group, strerror(errno));
		return -1;
	}
	s.cgroup_fds = fds;
	s.cgroup_count = (size_t)count;
	if (h->host.can_track)
		s.cgroup_directory_fd = cgroup_open_birthplace(&h->host, group);
	if ((pid = spawn_run(&s, &step)) < 0)
		refuse(l->error, "%s: %s: %s", h->conf.executor, step, strerror(errno));
	while (count > 0)
		close(fds[--count]);
	if (s.cgroup_directory_fd >= 0)
		close(s.cgroup_directory_fd);
	return pid;
}

/*
 * On v1, moving a process between groups first waits for an RCU grace period, 10 to 30 ms, unless
 * another did so just before. A child of ours does, while the executor loads and reports in, so
 * that the task that it then starts need not wait for as long. (cgroup2 needs none of it: see
 * spawn.h.)
 */
static void
warm_up_migration(const struct helper *h)
{
	char path[PATH_MAX + 16];
	int fd;

	if (h->host.v2_limits || !h->host.can_track || h->host.memory[0] == '\0' || fork() != 0)
		return;
	snprintf(path, sizeof path, "%s/cgroup.procs", h->host.memory);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0 || write(fd, "0", 1) != 1)
		_exit(1); /* then there is no gain, and no harm */
	_exit(0);
}

static void
remove_groups(struct helper *h, const char *name)
{
	char group[PATH_MAX];

	if (!h->host.can_track)
		return;
	group_name(h, name, "", group);
	if (!cgroup_remove(&h->host, group) && errno != EBUSY)
		log_warn_errno("removing cgroup %s", group);
	cgroup_remove_if_empty(&h->host, h->base);
}

static bool
launch(struct helper *h, struct launch *l, Corral__HelperReply *reply)
{
	const char *state_dir = h->conf.state_dir, *what;
	struct sandbox_owner owner;
	struct proc_id id;
	int boot_fd;
	pid_t pid;

	if (!path_is(l->request->sandbox, state_dir, "sandbox", l->name) ||
	    !path_is(l->request->run_directory, state_dir, "run", l->name))
		return refuse(
		    l->error, "the request names another directory than the attempt's own");
	if (!check_user(h, l))
		return false;
	owner = (struct sandbox_owner){l->has_user ? l->user.uid : geteuid(), 0};
	if (!sandbox_make(state_dir, l->name, &owner, h->conf.agent_gid, &what))
		return refuse(l->error, "%s of %s below %.100s: %s", what, l->name, state_dir,
		    strerror(errno));
	if (!make_groups(h, l))
		return false;
	if ((boot_fd = boot_file(h, l)) < 0)
		return refuse(l->error, "handing the task to its executor: %s", strerror(errno));
	pid = start_executor(h, l, boot_fd);
	close(boot_fd);
	if (pid < 0)
		return false;
	warm_up_migration(h);
	if (!proc_identify(pid, &id))
		return refuse(l->error, "the executor's entry in /proc: %s", strerror(errno));
	reply->has_pid = reply->has_start_time = true;
	reply->pid = id.pid;
	reply->start_time = id.start_time;
	return true;
}

/* ---- Killing, probing, removing. ---- */

struct executor_walk {
	const char *name;
	struct proc_id found;
};

/* `corral-executor attempt NAME`. */
static bool
visit_executor(void *arg, pid_t pid, const struct proc_stat *st)
{
	static const char verb[] = "attempt";
	struct executor_walk *w = arg;
	char path[64], line[CMDLINE_BYTES];
	ssize_t n;
	char *at;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	if (st->state == 'Z' || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return true;
	n = read(fd, line, sizeof line - 1);
	close(fd);
	if (n <= 0)
		return true;
	line[n] = '\0';
	at = line + strlen(line) + 1;
	if (at + sizeof verb >= line + n || strcmp(at, verb) != 0 ||
	    strcmp(at + sizeof verb, w->name) != 0)
		return true;
	w->found = (struct proc_id){pid, st->start_time};
	return false;
}

/* The executor of the attempt, as told or as found by its name; false: none is there. */
static bool
find_executor(const char *name, int64_t pid, uint64_t start_time, struct proc_id *id)
{
	struct executor_walk w = {.name = name};

	*id = (struct proc_id){(pid_t)pid, start_time};
	if (pid > 0)
		return true;
	proc_each(visit_executor, &w);
	*id = w.found;
	return w.found.pid > 0;
}

/* One round; *alive: something was met. */
static bool
kill_attempt(
    struct helper *h, const char *name, int64_t pid, uint64_t start_time, bool *alive, char *error)
{
	char group[PATH_MAX];
	struct proc_id id;
	int rc;

	if (!h->host.can_track)
		*alive = find_executor(name, pid, start_time, &id) && proc_kill_session(&id) > 0;
	else {
		/* By name alone: the agent cannot have us kill by number what is not its own. */
		group_name(h, name, "", group);
		if ((rc = cgroup_kill(&h->host, group)) < 0)
			return refuse(error, "cgroup %s: %s", group, strerror(errno));
		*alive = rc == 0;
	}
	helper_reap(h);
	return true;
}

static bool
probe_attempt(struct helper *h, const char *name, int64_t pid, uint64_t start_time)
{
	char group[PATH_MAX];
	struct proc_id id;

	helper_reap(h);
	if (pid <= 0 && h->host.can_track) {
		group_name(h, name, "exec", group);
		return cgroup_populated(&h->host, group) != 0;
	}
	return find_executor(name, pid, start_time, &id) && proc_is_alive(&id);
}

static bool
remove_attempt(struct helper *h, const char *name, const char *sandbox, char *error)
{
	char group[PATH_MAX];

	helper_reap(h);
	if (h->host.can_track) {
		group_name(h, name, "", group);
		if (!cgroup_remove(&h->host, group))
			return refuse(error, "cgroup %s: %s", group, strerror(errno));
		cgroup_remove_if_empty(&h->host, h->base);
	}
	if (sandbox == NULL)
		return true;
	if (!path_is(sandbox, h->conf.state_dir, "sandbox", name))
		return refuse(error, "the request names another directory than the attempt's own");
	return sandbox_remove(h->conf.state_dir, name) ||
	       refuse(error, "sandbox of %s: %s", name, strerror(errno));
}

/* ---- Requests. ---- */

static void
name_of(const Corral__TaskKey *key, char to[TASKKEY_NAME_BYTES])
{
	struct taskkey k = taskkey_of(key);

	taskkey_name(&k, to);
}

static void
handle_launch(
    struct helper *h, const Corral__HelperLaunch *request, Corral__HelperReply *reply, char *error)
{
	struct launch l = {.request = request, .error = error};

	name_of(request->key, l.name);
	if (!launch(h, &l, reply))
		remove_groups(h, l.name);
}

static void
handle(struct helper *h, const Corral__HelperRequest *r, Corral__HelperReply *reply, char *error)
{
	char name[TASKKEY_NAME_BYTES];
	bool alive = false;

	switch (r->body_case) {
	case CORRAL__HELPER_REQUEST__BODY_LAUNCH:
		handle_launch(h, r->launch, reply, error);
		break;
	case CORRAL__HELPER_REQUEST__BODY_KILL:
		name_of(r->kill->key, name);
		kill_attempt(h, name, r->kill->pid, r->kill->start_time, &alive, error);
		reply->has_alive = true;
		reply->alive = alive;
		break;
	case CORRAL__HELPER_REQUEST__BODY_PROBE:
		name_of(r->probe->key, name);
		reply->has_alive = true;
		reply->alive = probe_attempt(h, name, r->probe->pid, r->probe->start_time);
		break;
	case CORRAL__HELPER_REQUEST__BODY_REMOVE:
		name_of(r->remove->key, name);
		remove_attempt(h, name, r->remove->sandbox, error);
		break;
	default:
		refuse(error, "not a request of this protocol");
		break;
	}
}

void
helper_handle(struct helper *h, const Corral__HelperRequest *request, struct buf *out)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;
	char error[ERROR_BYTES] = "";
	uint8_t *to;
	size_t size;

	reply.id = request->id;
	handle(h, request, &reply, error);
	if (error[0] != '\0')
		reply.error = error;
	size = corral__helper_reply__get_packed_size(&reply);
	if ((to = buf_reserve(out, size)) == NULL)
		return;
	corral__helper_reply__pack(&reply, to);
	buf_commit(out, size);
}
