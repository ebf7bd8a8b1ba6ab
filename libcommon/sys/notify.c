/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/str.h"

#define MESSAGE_BYTES_MAX 1024

/* The last status, if the manager had no room for it: it goes with the next watchdog's word. */
static char unsent_status[MESSAGE_BYTES_MAX];

/* One datagram to NOTIFY_SOCKET: a path, or a name in the abstract namespace behind '@'. */
static bool
send_with(const char *message, int flags)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t size;
	ssize_t n;
	int fd, saved;

	if (name == NULL)
		return true;
	size = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof to.sun_path) {
		errno = EINVAL;
		return false;
	}
	memcpy(to.sun_path, name, size);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return false;
	n = sendto(fd, message, strlen(message), MSG_NOSIGNAL | flags, (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
	saved = errno;
	close(fd);
	errno = saved;
	return n >= 0;
}

static bool
send_message(const char *message)
{
	return send_with(message, 0);
}

/* What comes again, or may be missed: a manager that does not read must not hold the daemon up. */
static bool
send_at_once(const char *message)
{
	return send_with(message, MSG_DONTWAIT);
}

/* A status is one line: what would begin another assignment becomes a blank. */
static void
keep_one_line(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			*text = ' ';
	}
}

bool
notify_ready(const char *status)
{
	char message[MESSAGE_BYTES_MAX] = "READY=1";
	size_t used = strlen(message);

	if (status != NULL) {
		snprintf(message + used, sizeof message - used, "\nSTATUS=%s", status);
		keep_one_line(message + used + 1);
	}
	return send_message(message);
}

bool
notify_status(const char *fmt, ...)
{
	char message[MESSAGE_BYTES_MAX] = "STATUS=";
	size_t used = strlen(message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message + used, sizeof message - used, fmt, ap);
	va_end(ap);
	keep_one_line(message);
	if (send_at_once(message)) {
		unsent_status[0] = '\0';
		return true;
	}
	memcpy(unsent_status, message, sizeof unsent_status);
	return false;
}

bool
notify_reloading(void)
{
	char message[MESSAGE_BYTES_MAX];
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		return false;
	snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	return send_message(message);
}

bool
notify_stopping(void)
{
	return send_message("STOPPING=1");
}

bool
notify_watchdog(void)
{
	char message[MESSAGE_BYTES_MAX + 16];

	snprintf(message, sizeof message, "WATCHDOG=1%s%s", unsent_status[0] != '\0' ? "\n" : "",
	    unsent_status);
	if (!send_at_once(message))
		return false;
	unsent_status[0] = '\0';
	return true;
}

uint64_t
notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t value, owner;

	if (usec == NULL || !str_to_u64(usec, 1, UINT64_MAX, &value))
		return 0;
	if (pid != NULL && (!str_to_u64(pid, 1, INT32_MAX, &owner) || (pid_t)owner != getpid()))
		return 0;
	return value / 2000 > 0 ? value / 2000 : 1;
}
