/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/log_uring.h"

#include <assert.h>
#include <errno.h>

int
log_uring_init(struct log_uring *u, int event_fd)
{
	int err;

	*u = (struct log_uring){0};
	if ((err = io_uring_queue_init(1, &u->ring, 0)) != 0)
		return err;
	if ((err = io_uring_register_eventfd(&u->ring, event_fd)) != 0)
		io_uring_queue_exit(&u->ring);
	return err;
}

void
log_uring_fini(struct log_uring *u)
{
	assert(!u->flying);
	io_uring_queue_exit(&u->ring);
}

int
log_uring_start(struct log_uring *u, int fd, const void *bytes, size_t size, uint64_t offset)
{
	struct io_uring_sqe *sqe;
	int submitted;

	assert(!u->flying && size <= INT32_MAX);
	sqe = io_uring_get_sqe(&u->ring);
	assert(sqe != NULL); /* one write at a time, and the queue has room for one */
	io_uring_prep_write(sqe, fd, bytes, (unsigned)size, offset);
	do
		submitted = io_uring_submit(&u->ring);
	while (submitted == -EINTR);
	if (submitted != 1)
		return submitted < 0 ? submitted : -EIO;
	u->flying = true;
	return 0;
}

bool
log_uring_done(struct log_uring *u, bool wait, ssize_t *result)
{
	struct io_uring_cqe *cqe;
	int err;

	if (!u->flying)
		return false;
	do
		err = wait ? io_uring_wait_cqe(&u->ring, &cqe) : io_uring_peek_cqe(&u->ring, &cqe);
	while (err == -EINTR);
	if (err == -EAGAIN)
		return false;
	u->flying = false;
	*result = err != 0 ? err : cqe->res;
	if (err == 0)
		io_uring_cqe_seen(&u->ring, cqe);
	return true;
}
