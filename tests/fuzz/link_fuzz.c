/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames off a socket: whatever arrives, each frame is whole and within the limit, and the link
 * ends.
 */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/io/link.h"
#include "tests/fuzz/fuzz.h"

#define FRAME_BYTES_MAX 4096
#define INPUT_BYTES_MAX 65536 /* what a socket's buffer takes without a reader */

static struct loop *loop;
static size_t received;

static void
up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

static void
frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	const uint8_t *expected = *(const uint8_t **)arg + received + 4;

	(void)l;
	assert(size <= FRAME_BYTES_MAX);
	assert(memcmp(bytes, expected, size) == 0);
	received += 4 + size;
}

static void
down(void *arg, struct link *l, const char *why)
{
	(void)arg;
	(void)l;
	assert(why != NULL);
	loop_stop(loop, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_ops ops = {.up = up, .frame = frame, .down = down};
	static const struct link_limits limits = {
	    .frame_bytes_max = FRAME_BYTES_MAX,
	    .queue_bytes_max = 1024,
	    .handshake_ms = 10000,
	};
	const uint8_t *expected = data;
	int fds[2];

	if (loop == NULL)
		loop = loop_new();
	if (loop == NULL || size > INPUT_BYTES_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	received = 0;
	if (write(fds[0], data, size) == (ssize_t)size &&
	    link_adopt(loop, fds[1], NULL, true, &limits, &ops, &expected) != NULL) {
		close(fds[0]);
		loop_run(loop, NULL, NULL);
		assert(received <= size);
	} else {
		close(fds[0]);
	}
	return 0;
}
