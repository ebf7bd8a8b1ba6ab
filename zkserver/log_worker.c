/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/log_worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Add one to an eventfd; it cannot be full, as each write is read before the next. */
static void
ring(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

static void *
work(void *arg)
{
	struct log_worker *w = arg;
	uint64_t count;

	for (;;) {
		if (read(w->wake_fd, &count, sizeof(count)) < 0)
			continue;
		if (atomic_load(&w->quit))
			return NULL;
		w->run(w->arg);
		atomic_store(&w->done, true);
		ring(w->done_fd);
	}
}

int
log_worker_init(struct log_worker *w, void (*run)(void *arg), void *arg, int done_fd)
{
	sigset_t all, old;
	int err;

	*w = (struct log_worker){.run = run, .arg = arg, .done_fd = done_fd};
	if ((w->wake_fd = eventfd(0, EFD_CLOEXEC)) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		close(w->wake_fd);
	return -err;
}

void
log_worker_fini(struct log_worker *w)
{
	atomic_store(&w->quit, true);
	ring(w->wake_fd);
	pthread_join(w->thread, NULL);
	close(w->wake_fd);
}

void
log_worker_start(struct log_worker *w)
{
	assert(!w->busy);
	w->busy = true;
	ring(w->wake_fd);
}

bool
log_worker_done(struct log_worker *w)
{
	if (!w->busy || !atomic_exchange(&w->done, false))
		return false;
	w->busy = false;
	return true;
}
