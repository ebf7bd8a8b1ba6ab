/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/core/run_as.h"
#include "agent/launched.h"
#include "agent/sandbox.h"
#include "libcommon/io/address.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/proc.h"
#include "libcommon/sys/spawn.h"
#include "libcommon/sys/tasklimits.h"

#define PIDS_MAX 32768
#define LEASE_MARGIN_MS 1000

struct launch {
	const Corral__HelperLaunch *request;
	const char *name;
	char group[PATH_MAX]; /* of the task; "" without cgroups */
	bool has_user;
	struct spawn_user user;
	char *error; /* HELPER_ERROR_BYTES */
};

static bool
check_user(struct helper *h, struct launch *l)
{
	const Corral__TaskSpec *spec = l->request->spec;
	const char *submitter = spec->submitted_by != NULL ? spec->submitted_by : "", *name, *why;
	const struct run_as rules = {
	    .accounts = h->conf.run_as == NULL ? NULL : (const char *const *)h->conf.run_as->items,
	    .count = h->conf.run_as == NULL ? 0 : h->conf.run_as->count,
	    .default_user = h->conf.default_user,
	    .agent_uid = h->conf.agent_uid,
	};

	if (!h->root && (spec->user == NULL || *spec->user == '\0'))
		return true; /* there is only one */
	if ((name = run_as_account(&rules, submitter, spec->user, &why)) == NULL)
		return helper_refuse(l->error, "%.100s: %s", submitter, why);
	if (!spawn_user_find(name, &l->user))
		return helper_refuse(l->error, "account %s: %s", name,
		    errno == 0 ? "there is none of that name on this node" : strerror(errno));
	if (!h->root && l->user.uid != geteuid())
		return helper_refuse(l->error,
		    "account %s: this agent does not run as root and can take no other account",
		    name);
	if (h->root && (why = run_as_refusal(&rules, submitter, name, l->user.uid)) != NULL)
		return helper_refuse(l->error, "account %s: %s", name, why);
	l->has_user = h->root && l->user.uid != 0;
	return true;
}

/* A singleton is not started near the end of the node's lease. */
static bool
check_lease(struct launch *l)
{
	const Corral__HelperLaunch *r = l->request;

	if (!r->spec->singleton || clock_boot_ms() + LEASE_MARGIN_MS < r->lease_end_boot_ms)
		return true;
	return helper_refuse(l->error, "the node's lease has ended or is about to");
}

/*
 * New ones: what an earlier launch of this attempt left is never entered again. (Linux 6.14 and
 * later kill whatever is born into a group that was killed once.)
 */
static bool
make_groups(struct helper *h, struct launch *l)
{
	struct cgroup_limits limits;
	char place[PATH_MAX], exec_group[PATH_MAX];

	l->group[0] = '\0';
	if (!h->host.can_track)
		return true;
	helper_group_name(h, l->name, "", l->group);
	if (!cgroup_remove(&h->host, l->group))
		return helper_refuse(
		    l->error, "cgroup %.150s is there already: %s", l->group, strerror(errno));
	tasklimits_of(l->request->spec, &limits);
	limits.pid_count = PIDS_MAX;
	helper_group_name(h, l->name, "exec", exec_group);
	helper_group_name(h, l->name, "task", l->group);
	if (cgroup_make(&h->host, exec_group, NULL, place) &&
	    cgroup_make(&h->host, l->group, &limits, place))
		return true;
	return helper_refuse(l->error, "cgroup %.150s: %s", place, strerror(errno));
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
	boot.has_lease_end_boot_ms = l->request->has_lease_end_boot_ms;
	boot.lease_end_boot_ms = l->request->lease_end_boot_ms;
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
	const char *const argv[] = {"corral-executor", "attempt", l->name, h->conf.state_dir, NULL};
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
	s.namespace_fds = h->namespace_fds;
	s.namespace_count = h->namespace_count;
	helper_group_name(h, l->name, "exec", group);
	if (h->host.can_track && (count = cgroup_open_procs(&h->host, group, fds)) < 0) {
		helper_refuse(l->error, "cgroup %s: %s", group, strerror(errno));
		return -1;
	}
	s.cgroup_fds = fds;
	s.cgroup_count = (size_t)count;
	if (h->host.can_track)
		s.cgroup_directory_fd = cgroup_open_birthplace(&h->host, group);
	if ((pid = spawn_run(&s, &step)) < 0)
		helper_refuse(l->error, "%s: %s: %s", h->conf.executor, step, strerror(errno));
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
	helper_group_name(h, name, "", group);
	if (!cgroup_remove(&h->host, group) && errno != EBUSY)
		log_warn_errno("removing cgroup %s", group);
	cgroup_remove_if_empty(&h->host, h->base);
}

/* Executors are root's: the agent must not have them connect to where it cannot itself. */
static bool
reports_home(const struct helper *h, const char *address)
{
	char host[ADDRESS_HOST_SIZE], own[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];

	return address_split(address, host, port) &&
	       address_split(h->conf.executor_listen, own, port) && strcmp(host, own) == 0;
}

static bool
launch(struct helper *h, struct launch *l, Corral__HelperReply *reply)
{
	const char *state_dir = h->conf.state_dir, *what;
	struct sandbox_owner owner;
	struct proc_id id;
	int boot_fd;
	bool known;
	pid_t pid;

	if (!helper_path_is(l->request->sandbox, state_dir, "sandbox", l->name) ||
	    !helper_path_is(l->request->run_directory, state_dir, "run", l->name))
		return helper_refuse(
		    l->error, "the request names another directory than the attempt's own");
	if (!reports_home(h, l->request->agent_address))
		return helper_refuse(
		    l->error, "the request names another host than [agent] executor_listen");
	if (!check_user(h, l) || !check_lease(l))
		return false;
	owner = (struct sandbox_owner){l->has_user ? l->user.uid : geteuid(), 0};
	if (!sandbox_make(state_dir, l->name, &owner, h->conf.agent_gid, &what))
		return helper_refuse(l->error, "%s of %s below %.100s: %s", what, l->name,
		    state_dir, strerror(errno));
	if (!make_groups(h, l))
		return false;
	if ((boot_fd = boot_file(h, l)) < 0)
		return helper_refuse(
		    l->error, "handing the task to its executor: %s", strerror(errno));
	pid = start_executor(h, l, boot_fd);
	close(boot_fd);
	if (pid < 0)
		return false;
	warm_up_migration(h);
	known = proc_identify(pid, &id);
	/* Without cgroups it is all that we can kill the attempt by. */
	if (!h->host.can_track && (!known || !launched_note(state_dir, l->name, &id))) {
		kill(pid, SIGKILL);
		return helper_refuse(l->error, "noting the executor of %s below %.100s: %s",
		    l->name, state_dir, strerror(errno));
	}
	if (!known) { /* it runs, and says who it is when it reports in */
		log_warn_errno("the executor of %s: its entry in /proc", l->name);
		return true;
	}
	reply->has_pid = reply->has_start_time = true;
	reply->pid = id.pid;
	reply->start_time = id.start_time;
	return true;
}

bool
helper_launch(struct helper *h, const char *name, const Corral__HelperLaunch *request,
    Corral__HelperReply *reply, char *error)
{
	struct launch l = {.request = request, .name = name, .error = error};

	if (launch(h, &l, reply))
		return true;
	remove_groups(h, name);
	return false;
}
