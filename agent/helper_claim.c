/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One helper for a state directory at a time. A forked helper outlives an agent that is killed,
 * until it has done what it was asked: a launch in its queue would start what the next agent had
 * found not to be there, a kill or a sweep would end what that agent launched under the same name.
 * The next helper waits for it.
 *
 * And one for the cgroup that is named after the state directory's path: an agent in a container
 * may have one of the same path, and if both see one cgroup root, each would sweep away what the
 * other launched.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/helper_internal.h"
#include "libcommon/sys/log.h"

#define LOCK_NAME "helper.lock"
#define LOOK_MS 50
/* Less than a service manager gives a start. Who is longer at work is waited for by the next. */
#define LOOKS_MAX (30000 / LOOK_MS)

/*
 * Of the open file, and so held until the last process that has it from us ends. Executors do not
 * have it: it is closed on exec.
 */
static bool
lock_byte(int fd, off_t at)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Whoever may read the file can have a lock of a reader on it; a helper has none. */
static bool
is_readers(int fd, off_t at)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_RDLCK;
}

/* False: said on stderr. */
static bool
wait_for_byte(int fd, off_t at, const char *path)
{
	for (int look = 0; !lock_byte(fd, at); look++) {
		if (errno != EAGAIN && errno != EACCES) {
			log_error_errno("%s: cannot be locked", path);
			return false;
		}
		if (is_readers(fd, at)) {
			log_warn("%s: locked by somebody who is no helper: not waited for", path);
			return true;
		}
		if (look == LOOKS_MAX) {
			log_error("%s: another helper is at work there", path);
			return false;
		}
		if (look == 0)
			log_info("%s: waiting for another helper to end", path);
		poll(NULL, 0, LOOK_MS);
	}
	return true;
}

/* The byte is numbered as the group is. */
static bool
claim_groups(struct helper *h)
{
	char place[PATH_MAX], path[PATH_MAX + 64];

	if (!h->host.can_track)
		return true;
	if ((h->groups_lock_fd = cgroup_open_shared(&h->host, place)) < 0) {
		bool refused = errno == EACCES || errno == EPERM;

		(refused ? log_warn_errno : log_error_errno)("%s: cannot be locked", place);
		return refused; /* it is another's, who lets us have groups there */
	}
	snprintf(path, sizeof path, "cgroup %s, a lock on %s", h->base, place);
	return wait_for_byte(
	    h->groups_lock_fd, (off_t)strtoul(strrchr(h->base, '-') + 1, NULL, 16), path);
}

bool
helper_claim(struct helper *h)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/" LOCK_NAME, h->conf.state_dir);

	if (n < 0 || (size_t)n >= sizeof path ||
	    (h->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0) {
		log_error_errno("%s", path);
		return false;
	}
	return wait_for_byte(h->lock_fd, 0, path) && claim_groups(h);
}
