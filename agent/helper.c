/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launched.h"
#include "agent/sandbox.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/taskkey.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/ownproc.h"
#include "libcommon/sys/proc.h"

#define BLIND_LINE_MS 60000

/* ---- What this machine and our rights can give. ---- */

/* By making one, as an executor does for its task. */
static bool
can_make_pid_namespace(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
	const char *what;
	int status;

	if (pid == 0)
		_exit(ownproc_mount(&what) ? 0 : errno);
	if (pid < 0) {
		log_warn_errno("PID namespaces");
		return false;
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return false;
	if (WEXITSTATUS(status) == 0)
		return true;
	log_warn("PID namespaces: a /proc of its own for a task: %s%s",
	    strerror(WEXITSTATUS(status)),
	    WEXITSTATUS(status) == EINVAL ? ": /proc must be a mount point here" : "");
	return false;
}

/* Open the namespaces of that process that are not ours. False: said on stderr. */
static bool
open_namespaces(struct helper *h)
{
	static const char *const kinds[SPAWN_NAMESPACES_MAX] = {"net", "mnt"};
	struct stat own, other;
	char path[64];
	int fd;

	for (size_t i = 0; i < SPAWN_NAMESPACES_MAX; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		if (stat(path, &own) != 0) {
			log_error_errno("%s", path);
			return false;
		}
		snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)h->conf.namespaces_of, kinds[i]);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(fd, &other) != 0) {
			log_error_errno("%s", path);
			if (fd >= 0)
				close(fd);
			return false;
		}
		if (other.st_ino == own.st_ino && other.st_dev == own.st_dev)
			close(fd);
		else
			h->namespace_fds[h->namespace_count++] = fd;
	}
	return true;
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
	h->lock_fd = h->groups_lock_fd = -1;
	h->root = geteuid() == 0;
	if (!cgroup_host_probe(&h->host, "/proc/self/mounts")) {
		log_error_errno("/proc/self/mounts");
		helper_free(h);
		return NULL;
	}
	cgroup_host_missing(&h->host, cgroups, sizeof cgroups);
	h->pid_namespace = h->root && can_make_pid_namespace();
	cgroup_base_name(conf->state_dir, h->base);
	add_missing(h, cgroups);
	add_missing(h, h->root ? "" : "other accounts");
	add_missing(h, h->pid_namespace ? "" : "PID namespaces");
	if (sandbox_prepare(conf->state_dir, conf->agent_gid) &&
	    (conf->namespaces_of == 0 || open_namespaces(h)))
		return h;
	helper_free(h);
	return NULL;
}

void
helper_free(struct helper *h)
{
	while (h != NULL && h->namespace_count > 0)
		close(h->namespace_fds[--h->namespace_count]);
	if (h != NULL && h->lock_fd >= 0)
		close(h->lock_fd);
	if (h != NULL && h->groups_lock_fd >= 0)
		close(h->groups_lock_fd);
	free(h);
}

static void
add_name(struct isolation *to, const char *name)
{
	str_copy(to->names[to->count++], ISOLATION_NAME_BYTES, name);
}

void
helper_isolation(const struct helper *h, struct isolation *to)
{
	*to = (struct isolation){.count = 0};
	str_copy(to->text, sizeof to->text, h->missing);
	if (!h->host.can_track || !h->host.can_limit_cpu || !h->host.can_limit_memory)
		add_name(to, "cgroup");
	if (!h->root)
		add_name(to, "user");
	if (!h->pid_namespace)
		add_name(to, "pid-namespace");
}

void
helper_reap(struct helper *h)
{
	(void)h;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

bool
helper_refuse(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, HELPER_ERROR_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

bool
helper_path_is(const char *given, const char *state_dir, const char *part, const char *name)
{
	char want[PATH_MAX];
	int n = snprintf(want, sizeof want, "%s/%s/%s", state_dir, part, name);

	return n > 0 && (size_t)n < sizeof want && strcmp(given, want) == 0;
}

void
helper_group_name(const struct helper *h, const char *name, const char *part, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s/%s%s%s", h->base, name, *part != '\0' ? "/" : "", part);
}

/* ---- Killing, probing, removing. ---- */

/*
 * Always false, with the errno that there is in the error. The agent takes the attempt for one that
 * runs and asks again, of many it may be: one line a minute says so.
 */
static bool
cannot_look(struct helper *h, const char *what, char *error)
{
	uint64_t now_ms = clock_boot_ms();

	helper_refuse(error, "%s: %s", what, strerror(errno));
	if (now_ms < h->blind_until_ms)
		return false;
	h->blind_until_ms = now_ms + BLIND_LINE_MS;
	log_error("%s: what runs there cannot be seen or ended: it counts as running, and is "
		  "looked for again",
	    error);
	return false;
}

/*
 * One round; *alive: something was met. By the attempt's name alone: the agent cannot have us kill
 * by number what is not its own.
 */
static bool
kill_attempt(struct helper *h, const char *name, bool *alive, char *error)
{
	char group[PATH_MAX];
	struct proc_id id;
	int rc;

	if (!h->host.can_track) {
		if ((rc = launched_find(h->conf.state_dir, name, &id)) > 0)
			rc = proc_kill_session(&id);
		*alive = rc > 0;
	} else {
		helper_group_name(h, name, "", group);
		rc = cgroup_kill(&h->host, group);
		*alive = rc == 0;
	}
	if (rc < 0)
		return cannot_look(h, name, error);
	helper_reap(h);
	return true;
}

static bool
probe_attempt(struct helper *h, const char *name, bool *alive, char *error)
{
	char group[PATH_MAX];
	struct proc_id id;
	int rc;

	helper_reap(h);
	if (!h->host.can_track) {
		if ((rc = launched_find(h->conf.state_dir, name, &id)) > 0)
			rc = proc_is_alive(&id);
	} else {
		helper_group_name(h, name, "exec", group);
		rc = cgroup_populated(&h->host, group);
	}
	*alive = rc > 0;
	return rc >= 0 || cannot_look(h, name, error);
}

static bool
remove_attempt(struct helper *h, const char *name, const char *sandbox, char *error)
{
	char group[PATH_MAX];

	helper_reap(h);
	if (h->host.can_track) {
		helper_group_name(h, name, "", group);
		if (!cgroup_remove(&h->host, group))
			return helper_refuse(error, "cgroup %s: %s", group, strerror(errno));
		cgroup_remove_if_empty(&h->host, h->base);
	}
	/* Else its number, when it has become another's, would be taken for that of a process of
	 * ours. */
	if (!launched_forget(h->conf.state_dir, name))
		return helper_refuse(
		    error, "forgetting the executor of %s: %s", name, strerror(errno));
	if (sandbox == NULL)
		return true;
	if (!helper_path_is(sandbox, h->conf.state_dir, "sandbox", name))
		return helper_refuse(
		    error, "the request names another directory than the attempt's own");
	return sandbox_remove(h->conf.state_dir, name) ||
	       helper_refuse(error, "sandbox of %s: %s", name, strerror(errno));
}

/* ---- Requests. ---- */

/* What the reply to a hello points to. */
struct greeting {
	struct isolation isolation;
	char *names[ISOLATION_NAMES_MAX];
};

static void
name_of(const Corral__TaskKey *key, char to[TASKKEY_NAME_BYTES])
{
	struct taskkey k = taskkey_of(key);

	taskkey_name(&k, to);
}

static void
greet(struct helper *h, const Corral__HelperHello *hello, Corral__HelperReply *reply,
    struct greeting *g, char *error)
{
	if (strcmp(hello->state_dir, h->conf.state_dir) != 0) {
		helper_refuse(error, "the agent works in %.90s, this helper in %.90s",
		    hello->state_dir, h->conf.state_dir);
		return;
	}
	helper_isolation(h, &g->isolation);
	for (size_t i = 0; i < g->isolation.count; i++)
		g->names[i] = g->isolation.names[i];
	reply->n_missing_isolation = g->isolation.count;
	reply->missing_isolation = g->names;
	reply->missing_text = g->isolation.text;
}

static void
handle(struct helper *h, const Corral__HelperRequest *r, Corral__HelperReply *reply,
    struct greeting *g, char *error)
{
	char name[TASKKEY_NAME_BYTES];
	bool alive = false;

	switch (r->body_case) {
	case CORRAL__HELPER_REQUEST__BODY_LAUNCH:
		name_of(r->launch->key, name);
		helper_launch(h, name, r->launch, reply, error);
		break;
	case CORRAL__HELPER_REQUEST__BODY_KILL:
		name_of(r->kill->key, name);
		kill_attempt(h, name, &alive, error);
		reply->has_alive = true;
		reply->alive = alive;
		break;
	case CORRAL__HELPER_REQUEST__BODY_PROBE:
		name_of(r->probe->key, name);
		probe_attempt(h, name, &alive, error);
		reply->has_alive = true;
		reply->alive = alive;
		break;
	case CORRAL__HELPER_REQUEST__BODY_REMOVE:
		name_of(r->remove->key, name);
		remove_attempt(h, name, r->remove->sandbox, error);
		break;
	case CORRAL__HELPER_REQUEST__BODY_SWEEP:
		helper_sweep(h, r->sweep, &alive, error);
		reply->has_alive = true;
		reply->alive = alive;
		break;
	case CORRAL__HELPER_REQUEST__BODY_HELLO:
		greet(h, r->hello, reply, g, error);
		break;
	default:
		helper_refuse(error, "not a request of this protocol");
		break;
	}
}

void
helper_handle(struct helper *h, const Corral__HelperRequest *request, struct buf *out)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;
	char error[HELPER_ERROR_BYTES] = "";
	struct greeting greeting;
	uint8_t *to;
	size_t size;

	reply.id = request->id;
	handle(h, request, &reply, &greeting, error);
	if (error[0] != '\0')
		reply.error = error;
	size = corral__helper_reply__get_packed_size(&reply);
	if ((to = buf_reserve(out, size)) == NULL)
		return;
	corral__helper_reply__pack(&reply, to);
	buf_commit(out, size);
}
