/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/status.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/record.h"
#include "libcommon/sys/fsutil.h"

void
status_message_fill(
    struct status_message *s, Corral__TaskKey *key, const struct life_update *u, uint32_t sequence)
{
	Corral__StatusUpdate *m = &s->update;

	corral__status_update__init(m);
	corral__usage__init(&s->usage);
	m->key = key;
	m->sequence = sequence;
	/* protobuf-c has no const: it only reads these. */
	m->uuid.data = (uint8_t *)(uintptr_t)u->uuid;
	m->uuid.len = LIFE_UUID_BYTES;
	m->state = u->state;
	m->has_reason = true;
	m->reason = u->reason;
	m->has_exit_code = u->has_exit_code;
	m->exit_code = u->exit_code;
	m->has_signal = u->has_signal;
	m->signal = u->signal;
	m->message = u->message[0] != '\0' ? (char *)(uintptr_t)u->message : NULL;
	m->has_at_wall_ms = u->at_wall_ms != 0;
	m->at_wall_ms = u->at_wall_ms;
	s->usage.has_cpu_ms = true;
	s->usage.cpu_ms = u->cpu_ms;
	s->usage.has_memory_bytes = true;
	s->usage.memory_bytes = u->memory_bytes;
	m->usage = &s->usage;
}

bool
status_write(
    const char *directory, Corral__TaskKey *key, const struct life_update *u, uint32_t sequence)
{
	uint8_t *packed = NULL;
	struct status_message s;
	char path[PATH_MAX];
	struct buf b;
	size_t size;
	bool ok = false;

	status_message_fill(&s, key, u, sequence);
	size = corral__status_update__get_packed_size(&s.update);
	buf_init(&b, RECORD_HEAD_BYTES + RECORD_BYTES_MAX);
	snprintf(path, sizeof path, "%s/status", directory);
	if (size > RECORD_BYTES_MAX || (packed = malloc(size)) == NULL) {
		errno = ENOMEM;
		goto out;
	}
	corral__status_update__pack(&s.update, packed);
	record_put(&b, packed, size);
	errno = ENOMEM;
	ok = !b.failed && fsutil_write_atomic(path, b.data, b.len, 0640);
out:
	free(packed);
	buf_fini(&b);
	return ok;
}
