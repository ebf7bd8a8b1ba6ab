/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/snapshot_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/sys/log.h"
#include "libcommon/sys/store_posix.h"
#include "zkserver/child.h"
#include "zkserver/core/purge.h"
#include "zkserver/core/snapshot.h"

struct snapshot_writer {
	struct snapshot_writer_config config;
	pid_t child; /* 0: none */
	int pipe_fd; /* the child's message comes here; its end says that the child is done */
	struct fd_watch *watch;
	struct fault fault; /* of the child, as far as it came */
	size_t fault_len;
	uint64_t zxid, started_ms;
};

/* ---- in the child ---- */

static _Noreturn void
run_child(const struct snapshot_writer *w, const struct db *db, int pipe_fd)
{
	const struct snapshot_writer_config *c = &w->config;
	int keep[] = {store_posix_dir_fd(c->snapshots), store_posix_dir_fd(c->logs), pipe_fd};
	struct fault fault = {0};

	child_begin(keep, sizeof(keep) / sizeof(keep[0]));
	if (snapshot_write_as(c->snapshots, db, c->kind, &fault) == 0 && c->purge_retain > 0)
		purge(c->snapshots, c->logs, c->purge_retain, &fault);
	if (fault.text[0] != '\0' && write(pipe_fd, fault.text, strlen(fault.text)) < 0)
		_exit(2);
	_exit(fault.text[0] != '\0');
}

/* ---- in the loop ---- */

static void
reap(struct snapshot_writer *w)
{
	int status = 0;

	while (waitpid(w->child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (w->fault_len > 0)
		log_error("snapshot: %s; the log is kept from the last one on", w->fault.text);
	else if (status != 0)
		log_error("snapshot.%llx: its writer ended with status 0x%x; the log is kept from "
			  "the last one on",
		    (unsigned long long)w->zxid, (unsigned)status);
	else {
		log_debug("snapshot.%llx is complete", (unsigned long long)w->zxid);
		if (w->config.written != NULL)
			w->config.written(w->config.arg, clock_boot_ms() - w->started_ms);
	}
	fd_watch_free(w->watch);
	close(w->pipe_fd);
	w->watch = NULL;
	w->child = 0;
}

static void
on_pipe(void *arg, int what)
{
	struct snapshot_writer *w = arg;
	size_t room = sizeof(w->fault.text) - 1 - w->fault_len;
	ssize_t n = read(w->pipe_fd, w->fault.text + w->fault_len, room);

	(void)what;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		w->fault_len += (size_t)n;
	else
		reap(w);
}

bool
snapshot_writer_start(struct snapshot_writer *w, const struct db *db)
{
	int fds[2];

	if (w->child != 0)
		return false;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		log_error_errno("snapshot: cannot make a pipe to its writer");
		return false;
	}
	w->watch = fd_watch_new(w->config.loop, fds[0], FD_READ, on_pipe, w);
	w->child = w->watch == NULL ? -1 : fork();
	if (w->child == 0)
		run_child(w, db, fds[1]);
	close(fds[1]);
	if (w->child < 0) {
		log_error_errno("snapshot: cannot start its writer");
		if (w->watch != NULL)
			fd_watch_free(w->watch);
		w->watch = NULL;
		close(fds[0]);
		w->child = 0;
		return false;
	}
	w->pipe_fd = fds[0];
	w->zxid = (uint64_t)db->last_zxid;
	w->started_ms = clock_boot_ms();
	w->fault = (struct fault){0};
	w->fault_len = 0;
	return true;
}

bool
snapshot_writer_busy(const struct snapshot_writer *w)
{
	return w->child != 0;
}

struct snapshot_writer *
snapshot_writer_new(const struct snapshot_writer_config *config)
{
	struct snapshot_writer *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->config = *config;
	return w;
}

void
snapshot_writer_free(struct snapshot_writer *w)
{
	if (w == NULL)
		return;
	if (w->child != 0) {
		kill(w->child, SIGKILL);
		while (waitpid(w->child, NULL, 0) < 0 && errno == EINTR)
			continue;
		fd_watch_free(w->watch);
		close(w->pipe_fd);
	}
	free(w);
}
