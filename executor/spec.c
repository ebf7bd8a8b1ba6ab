/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/taskspec.h"
#include "libcommon/sys/log.h"

#define READ_BYTES 4096

/* All that the descriptor gives, up to the bound. */
static bool
read_all(int fd, const char *name, struct buf *b)
{
	uint8_t *to;
	ssize_t n;

	for (;;) {
		if ((to = buf_reserve(b, READ_BYTES)) == NULL) {
			log_error("%s: longer than %d bytes, or no memory", name, SPEC_BYTES_MAX);
			return false;
		}
		if ((n = read(fd, to, READ_BYTES)) == 0)
			return true;
		if (n > 0)
			buf_commit(b, (size_t)n);
		else if (errno != EINTR) {
			log_error_errno("%s", name);
			return false;
		}
	}
}

static bool
task_is_whole(const Corral__TaskSpec *spec, const char *name)
{
	const char *fault = taskspec_fault(spec);

	if (fault != NULL)
		log_error("%s: the task cannot be run: %s", name, fault);
	return fault == NULL;
}

Corral__TaskSpec *
spec_read(const char *path)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	Corral__TaskSpec *spec = NULL;
	struct buf b;

	if (fd < 0) {
		log_error_errno("%s", path);
		return NULL;
	}
	buf_init(&b, SPEC_BYTES_MAX);
	if (read_all(fd, path, &b) &&
	    (spec = corral__task_spec__unpack(NULL, b.len, b.data)) == NULL)
		log_error("%s: is not a corral.TaskSpec; make one with "
			  "protoc --encode=corral.TaskSpec corral.proto < FILE.txtpb",
		    path);
	if (spec != NULL && !task_is_whole(spec, path)) {
		corral__task_spec__free_unpacked(spec, NULL);
		spec = NULL;
	}
	buf_fini(&b);
	close(fd);
	return spec;
}

Corral__ExecutorBoot *
spec_read_boot(int fd)
{
	Corral__ExecutorBoot *boot = NULL;
	char name[32] = "the inherited descriptor";
	struct buf b;

	buf_init(&b, SPEC_BYTES_MAX);
	if (read_all(fd, name, &b) &&
	    (boot = corral__executor_boot__unpack(NULL, b.len, b.data)) == NULL)
		log_error(
		    "%s: is not a corral.ExecutorBoot: corral-executor is started by corral-agent",
		    name);
	if (b.len > 0)
		explicit_bzero(b.data, b.len); /* the key is in it */
	buf_fini(&b);
	close(fd);
	if (boot != NULL && !task_is_whole(boot->spec, name)) {
		corral__executor_boot__free_unpacked(boot, NULL);
		boot = NULL;
	}
	return boot;
}
