/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status_file.h"

#include <errno.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/codec/message.h"
#include "libcommon/codec/record.h"
#include "libcommon/sys/log.h"

#define FILE_BYTES_MAX 65536

Corral__StatusUpdate *
status_file_read(const char *state_dir, const struct taskkey *key)
{
	static uint8_t bytes[FILE_BYTES_MAX];
	Corral__StatusUpdate *u = NULL;
	char name[TASKKEY_NAME_BYTES];
	const uint8_t *contents;
	size_t offset = 0, size;
	struct taskkey found;
	ssize_t n;
	int fd;

	taskkey_name(key, name);
	if ((fd = sandbox_open_file(state_dir, "run", name, "status")) < 0) {
		if (errno != ENOENT)
			log_warn_errno("%s/run/%s/status", state_dir, name);
		return NULL;
	}
	n = read(fd, bytes, sizeof bytes);
	close(fd);
	if (n > 0 && record_get(bytes, (size_t)n, &offset, &contents, &size) == RECORD_OK)
		u = (Corral__StatusUpdate *)message_unpack(
		    &corral__status_update__descriptor, size, contents);
	if (u != NULL) {
		found = taskkey_of(u->key);
		if (taskkey_equal(&found, key))
			return u;
		corral__status_update__free_unpacked(u, NULL);
	}
	log_warn(
	    "%s/run/%s/status: not a whole status of this attempt: passed over", state_dir, name);
	return NULL;
}
