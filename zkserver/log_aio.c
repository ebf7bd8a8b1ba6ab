/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/log_aio.h"

#include <assert.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int
log_aio_init(struct log_aio *a, int event_fd)
{
	*a = (struct log_aio){.event_fd = event_fd};
	return syscall(SYS_io_setup, 1, &a->context) == 0 ? 0 : -errno;
}

void
log_aio_fini(struct log_aio *a)
{
	assert(!a->flying);
	syscall(SYS_io_destroy, a->context);
}

int
log_aio_start(struct log_aio *a, int fd, const void *bytes, size_t size, uint64_t offset)
{
	struct iocb *one = &a->iocb;

	assert(!a->flying);
	a->iocb = (struct iocb){
	    .aio_lio_opcode = IOCB_CMD_PWRITE,
	    .aio_fildes = (uint32_t)fd,
	    .aio_buf = (uint64_t)(uintptr_t)bytes,
	    .aio_nbytes = size,
	    .aio_offset = (int64_t)offset,
	    .aio_flags = IOCB_FLAG_RESFD,
	    .aio_resfd = (uint32_t)a->event_fd,
	};
	if (syscall(SYS_io_submit, a->context, 1L, &one) != 1)
		return -errno;
	a->flying = true;
	return 0;
}

bool
log_aio_done(struct log_aio *a, bool wait, ssize_t *result)
{
	struct io_event event;
	long got;

	if (!a->flying)
		return false;
	do
		got = syscall(SYS_io_getevents, a->context, wait ? 1L : 0L, 1L, &event, NULL);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return false;
	a->flying = false;
	*result = got < 0 ? -errno : (ssize_t)event.res;
	return true;
}
