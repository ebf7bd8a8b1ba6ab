/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/checkpoint.h"
#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/codec/message.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "libcommon/codec/record.h"

#define NAME_NEW "checkpoint.new"
#define NAME_DAMAGED "checkpoint.damaged"
#define PENDING_BYTES_MAX (256u << 20)
#define GROWTH_BYTES_MIN (4u << 20)

void
checkpoint_init(struct checkpoint *c, struct store *store)
{
	*c = (struct checkpoint){.store = store};
	buf_init(&c->pending, PENDING_BYTES_MAX);
}

void
checkpoint_fini(struct checkpoint *c)
{
	store_close(c->file);
	buf_fini(&c->pending);
	c->file = NULL;
}

/* The whole file into b. 0 or -errno; a file that is not there is empty. */
static int
read_file(struct checkpoint *c, struct buf *b)
{
	struct store_file *f;
	uint64_t size = 0;
	uint8_t *to;
	ssize_t n = 0;
	int rc = store_open(c->store, CHECKPOINT_NAME, STORE_OPEN_READ, &f);

	if (rc == -ENOENT)
		return 0;
	if (rc != 0)
		return rc;
	if ((rc = store_size(f, &size)) == 0 && size > CHECKPOINT_FILE_BYTES_MAX)
		rc = -EFBIG;
	if (rc == 0 && size > 0 && (to = buf_reserve(b, size)) == NULL)
		rc = -ENOMEM;
	if (rc == 0 && size > 0 && (n = store_pread(f, to, size, 0)) < 0)
		rc = (int)n;
	if (rc == 0)
		buf_commit(b, (size_t)n);
	store_close(f);
	return rc;
}

/* Visit each whole record; *offset is where that ended. */
static enum record_next
replay(const struct buf *b, size_t *offset, checkpoint_visit *visit, void *arg, int *rc)
{
	Corral__CheckpointRecord *record;
	const uint8_t *contents;
	enum record_next next;
	size_t size, before = 0;

	*offset = 0;
	while ((next = record_get(b->data, b->len, offset, &contents, &size)) == RECORD_OK) {
		if ((record = (Corral__CheckpointRecord *)message_unpack(
			 &corral__checkpoint_record__descriptor, size, contents)) == NULL) {
			*offset = before;
			return RECORD_BAD;
		}
		if (!visit(arg, record))
			*rc = -ENOMEM;
		corral__checkpoint_record__free_unpacked(record, NULL);
		if (*rc != 0)
			return RECORD_END;
		before = *offset;
	}
	return next;
}

/*
 * What is cut was being written last. A length that has rotted looks the same, and would take with
 * it what was on disk for long: behind that there are whole records.
 */
static bool
whole_record_follows(const struct buf *b, size_t offset)
{
	const uint8_t *contents;
	size_t size;

	for (size_t from = offset + 1; from < b->len; from++) {
		size_t at = from;

		if (record_get(b->data, b->len, &at, &contents, &size) != RECORD_OK)
			continue;
		MARK("checkpoint: a length has rotted");
		return !ZAB_PLANTED(PLANT_ROT_IS_CUT);
	}
	return false;
}

int
checkpoint_read(
    struct checkpoint *c, checkpoint_visit *visit, void *arg, struct checkpoint_faults *faults)
{
	enum record_next end = RECORD_END;
	size_t offset = 0;
	struct buf b;
	int rc;

	*faults = (struct checkpoint_faults){0};
	buf_init(&b, CHECKPOINT_FILE_BYTES_MAX);
	if ((rc = read_file(c, &b)) == 0 && b.len > 0)
		end = replay(&b, &offset, visit, arg, &rc);
	if (rc == 0) {
		faults->damaged =
		    end == RECORD_BAD || (end == RECORD_CUT && whole_record_follows(&b, offset));
		faults->offset_bytes = offset;
		faults->cut_bytes = b.len - offset;
	}
	buf_fini(&b);
	return rc;
}

/* The bytes of the file under another name, while its own stays what it is. 0 or -errno. */
static int
keep_damaged(struct checkpoint *c)
{
	struct store_file *f = NULL;
	struct buf b;
	int rc;

	buf_init(&b, CHECKPOINT_FILE_BYTES_MAX);
	if ((rc = read_file(c, &b)) == 0)
		rc = store_open(c->store, NAME_DAMAGED, STORE_OPEN_REPLACE, &f);
	if (rc == 0 && b.len > 0)
		rc = store_pwrite(f, b.data, b.len, 0);
	if (rc == 0)
		rc = store_sync(f);
	store_close(f);
	buf_fini(&b);
	return rc;
}

int
checkpoint_rewrite(
    struct checkpoint *c, void (*fill)(void *arg, struct checkpoint *c), void *arg, bool keep_old)
{
	int rc;

	assert(c->pending.len == 0);
	store_close(c->file);
	c->file = NULL;
	c->end_bytes = 0;
	if ((rc = store_open(c->store, NAME_NEW, STORE_OPEN_REPLACE, &c->file)) != 0)
		return rc;
	fill(arg, c);
	c->pending_sync = true;
	if ((rc = checkpoint_flush(c)) != 0)
		return rc;
	/* Not by a rename: between it and the next one there would be no checkpoint at all. */
	if (keep_old && (rc = keep_damaged(c)) != 0)
		return rc;
	if ((rc = store_rename(c->store, NAME_NEW, CHECKPOINT_NAME)) != 0)
		return rc;
	c->fresh_bytes = c->end_bytes;
	return store_sync_dir(c->store);
}

void
checkpoint_append(struct checkpoint *c, const Corral__CheckpointRecord *record, bool sync)
{
	size_t size = corral__checkpoint_record__get_packed_size(record);
	uint8_t *bytes = size <= RECORD_BYTES_MAX ? malloc(size > 0 ? size : 1) : NULL;

	if (bytes == NULL) {
		c->pending.failed = true;
		return;
	}
	corral__checkpoint_record__pack(record, bytes);
	record_put(&c->pending, bytes, size);
	c->pending_sync = c->pending_sync || sync;
	free(bytes);
}

int
checkpoint_flush(struct checkpoint *c)
{
	int rc;

	assert(c->file != NULL);
	if (c->pending.failed)
		return -ENOMEM;
	if (c->pending.len > 0) {
		if ((rc = store_pwrite(c->file, c->pending.data, c->pending.len, c->end_bytes)) !=
		    0)
			return rc;
		c->end_bytes += c->pending.len;
		buf_clear(&c->pending);
	}
	if (c->pending_sync && (rc = store_sync(c->file)) != 0)
		return rc;
	c->pending_sync = false;
	return 0;
}

bool
checkpoint_has_grown(const struct checkpoint *c)
{
	return c->end_bytes > GROWTH_BYTES_MIN && c->end_bytes / 2 > c->fresh_bytes;
}
