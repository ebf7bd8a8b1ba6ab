/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/txnlog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"

/* Between batches a buffer keeps at most this much, and little after one that needed little. */
#define BATCH_KEEP_BYTES ((size_t)2 << 20)
#define BATCH_KEEP_LITTLE_BYTES ((size_t)64 << 10)

/* The zxid's place in a transaction's header: behind i64 client and i32 cxid. */
#define ZXID_OFFSET 12

static uint64_t
round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

void
txnlog_init(struct txnlog *log, struct store *s, uint64_t preallocate_bytes)
{
	*log = (struct txnlog){.store = s, .preallocate_bytes = preallocate_bytes};
}

void
txnlog_fini(struct txnlog *log)
{
	store_close(log->file);
	store_close(log->spare);
	*log = (struct txnlog){0};
}

void
txnlog_batch_init(struct txnlog_batch *b)
{
	*b = (struct txnlog_batch){0};
}

void
txnlog_batch_fini(struct txnlog_batch *b)
{
	store_close(b->spare);
	free(b->bytes);
	txnlog_batch_init(b);
}

void
txnlog_batch_clear(struct txnlog *log, struct txnlog_batch *b)
{
	struct txnlog_batch empty = {.bytes = b->bytes, .cap = b->cap};

	if (b->from_spare)
		log->spare_unnamed = false;

	if (b->cap > BATCH_KEEP_BYTES ||
	    (b->cap > BATCH_KEEP_LITTLE_BYTES && b->len < b->cap / 16)) {
		free(b->bytes);
		empty = (struct txnlog_batch){0};
	}
	*b = empty;
}

/* Make room for `size` more bytes and the padding behind them. */
static int
batch_reserve(struct txnlog_batch *b, size_t size)
{
	size_t need = (size_t)round_up(b->len + size, TXNLOG_BLOCK_BYTES);
	size_t cap = b->cap > 0 ? b->cap : (size_t)4 * TXNLOG_BLOCK_BYTES;
	uint8_t *grown;

	if (need <= b->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	if ((grown = aligned_alloc(TXNLOG_BLOCK_BYTES, cap)) == NULL)
		return -ENOMEM;
	if (b->len > 0)
		memcpy(grown, b->bytes, b->len);
	free(b->bytes);
	b->bytes = grown;
	b->cap = cap;
	return 0;
}

static void
batch_put(struct txnlog_batch *b, const void *bytes, size_t size)
{
	assert(size <= b->cap - b->len);
	memcpy(b->bytes + b->len, bytes, size);
	b->len += size;
}

static void
put_u32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint64_t
txn_zxid(const uint8_t *txn, size_t size)
{
	struct jute_reader r = jute_reader(txn + ZXID_OFFSET, size - ZXID_OFFSET);

	return (uint64_t)jute_get_i64(&r);
}

/* A batch is likely as long as the one before, and one that does not fit has to wait for room. */
static bool
wants_new_file(const struct txnlog *log)
{
	uint64_t need = log->last_bytes > TXNLOG_BLOCK_BYTES ? log->last_bytes : TXNLOG_BLOCK_BYTES;

	if (log->end == 0 || log->roll || (log->file_bytes > 0 && log->end > log->file_bytes))
		return true;
	if (log->spare != NULL)
		return log->end + need > log->size;
	return log->preallocate_bytes > 0 && log->size / 2 >= log->preallocate_bytes &&
	       log->end + TXNLOG_BLOCK_BYTES > log->size;
}

/* Give an empty batch its place: behind the last sealed one, or in a new file. */
static void
batch_begin(struct txnlog *log, struct txnlog_batch *b)
{
	uint8_t header[TXNLOG_HEADER_BYTES] = {0};

	b->new_file = wants_new_file(log);
	if (!b->new_file) {
		b->offset = log->end - log->end % TXNLOG_BLOCK_BYTES;
		batch_put(b, log->tail, log->end % TXNLOG_BLOCK_BYTES);
		return;
	}
	log->roll = false;
	b->spare = log->spare;
	b->from_spare = b->spare != NULL;
	log->spare_unnamed = log->spare_unnamed || b->from_spare;
	log->spare = NULL;
	log->end = TXNLOG_HEADER_BYTES;
	log->size = b->spare != NULL ? log->spare_size : 0;
	b->offset = 0;
	put_u32(header, TXNLOG_MAGIC);
	put_u32(header + 4, TXNLOG_VERSION);
	batch_put(b, header, sizeof(header));
}

int
txnlog_append(struct txnlog *log, struct txnlog_batch *b, const void *txn, size_t size)
{
	size_t room =
	    size + TXNLOG_RECORD_OVERHEAD_BYTES + (b->count == 0 ? TXNLOG_BLOCK_BYTES : 0);
	uint8_t head[TXNLOG_RECORD_HEAD_BYTES] = {0};
	uint64_t zxid;

	assert(size >= TXNLOG_TXN_MIN_BYTES && size <= TXNLOG_TXN_MAX_BYTES);
	zxid = txn_zxid(txn, size);
	assert(zxid > log->last_zxid);
	if (b->len >= TXNLOG_BATCH_FULL_BYTES)
		return -ENOBUFS;
	if (batch_reserve(b, room) != 0)
		return -ENOMEM;
	if (b->count++ == 0) {
		batch_begin(log, b);
		b->first_zxid = zxid;
	}
	put_u32(head + 4, libdeflate_adler32(1, txn, size));
	put_u32(head + 8, (uint32_t)size);
	batch_put(b, head, sizeof(head));
	batch_put(b, txn, size);
	batch_put(b, "B", 1);
	b->last_zxid = log->last_zxid = zxid;
	return 0;
}

/*
 * How far to allocate so that the file holds need_bytes, and somewhat more: everyone waits for
 * these zeros, since the spare file was not ready in time.
 */
static uint64_t
grown_size(const struct txnlog *log, uint64_t need_bytes)
{
	uint64_t more = log->size < TXNLOG_GROW_BYTES ? log->size : TXNLOG_GROW_BYTES;
	uint64_t size = log->size > 0 ? log->size + more : TXNLOG_FIRST_BYTES;

	if (size > 2 * log->preallocate_bytes)
		size = 2 * log->preallocate_bytes;
	return round_up(size > need_bytes ? size : need_bytes, TXNLOG_BLOCK_BYTES);
}

void
txnlog_seal(struct txnlog *log, struct txnlog_batch *b)
{
	size_t partial = b->len % TXNLOG_BLOCK_BYTES;
	size_t whole = (size_t)round_up(b->len, TXNLOG_BLOCK_BYTES);

	assert(b->count > 0 && whole <= b->cap);
	memset(b->bytes + b->len, 0, whole - b->len);
	memcpy(log->tail, b->bytes + b->len - partial, partial);
	log->end = b->offset + b->len;
	log->last_bytes = whole;
	b->len = whole;
	if (b->offset + whole > log->size) {
		b->allocate_to = grown_size(log, b->offset + whole);
		log->size = b->allocate_to;
	}
}

bool
txnlog_in_place(const struct txnlog_batch *b)
{
	return !b->new_file && b->allocate_to == 0;
}

/* Say what failed on the file that holds the batch. */
static int
write_fault(struct fault *f, const struct txnlog_batch *b, int err, const char *what)
{
	return fault_set(f, err,
	    "%s the transaction log for zxids 0x%llx to 0x%llx at offset %llu: %s", what,
	    (unsigned long long)b->first_zxid, (unsigned long long)b->last_zxid,
	    (unsigned long long)b->offset, strerror(-err));
}

static int
sync_blocks(struct txnlog *log)
{
	return log->no_sync ? 0 : store_sync(log->file);
}

static int
write_blocks(struct txnlog *log, const struct txnlog_batch *b, struct fault *f)
{
	int err;

	/*
	 * The zeros become durable first: what is torn later shows as zeros, not as an old block. A
	 * new file has no name before all of it is durable.
	 */
	if (b->allocate_to > 0 && (err = store_allocate(log->file, b->allocate_to)) != 0)
		return write_fault(f, b, err, "cannot make room in");
	if (b->allocate_to > 0 && !b->new_file && (err = sync_blocks(log)) != 0)
		return write_fault(f, b, err, "cannot sync the zeros of");
	err = store_pwrite(log->file, b->bytes, b->len, b->offset);
	if (err != 0 && !ZAB_PLANTED(PLANT_LOST_WRITE))
		return write_fault(f, b, err, "cannot write");
	if (ZAB_PLANTED(PLANT_GROWS_OVER) && b->allocate_to > 0)
		store_pwrite(log->file, (const uint8_t[512]){0}, 512, b->offset + b->len - 512);
	if ((err = sync_blocks(log)) != 0)
		return write_fault(f, b, err, "cannot sync");
	return 0;
}

int
txnlog_write(struct txnlog *log, struct txnlog_batch *b, struct fault *f)
{
	const char *made_as = b->from_spare ? TXNLOG_SPARE_NAME : TXNLOG_NEW_NAME;
	char name[DATADIR_NAME_BYTES];
	int err;

	if (!b->new_file)
		return write_blocks(log, b, f);
	store_close(log->file);
	log->file = b->spare;
	b->spare = NULL;
	if (log->file == NULL &&
	    (err = store_open(log->store, made_as, STORE_OPEN_REPLACE, &log->file)) != 0)
		return write_fault(f, b, err, "cannot create");
	if ((err = write_blocks(log, b, f)) != 0)
		return err;
	datadir_name(name, "log", b->first_zxid);
	err = store_rename(log->store, made_as, name);
	if (err == 0 && !log->no_sync && !ZAB_PLANTED(PLANT_NO_NAME_SYNC))
		err = store_sync_dir(log->store);
	return err == 0 ? 0 : write_fault(f, b, err, "cannot name");
}

void
txnlog_roll(struct txnlog *log)
{
	uint64_t unused = log->size - log->end;

	log->roll = unused <= TXNLOG_ROLL_WASTE_BYTES || unused <= log->end;
}

uint64_t
txnlog_spare_wanted_bytes(const struct txnlog *log)
{
	uint64_t size = log->size * 4;

	if (log->spare != NULL || log->spare_unnamed || log->preallocate_bytes == 0 ||
	    log->end <= log->size / TXNLOG_SPARE_SHARE)
		return 0;
	return round_up(
	    size < log->preallocate_bytes ? size : log->preallocate_bytes, TXNLOG_BLOCK_BYTES);
}

int
txnlog_spare_make(struct store *s, uint64_t size_bytes, struct store_file **file, struct fault *f)
{
	int err = store_open(s, TXNLOG_SPARE_NAME, STORE_OPEN_REPLACE, file);

	if (err != 0)
		return fault_set(f, err, "cannot create %s: %s", TXNLOG_SPARE_NAME, strerror(-err));
	err = store_allocate(*file, size_bytes);
	if (err == 0)
		err = store_sync(*file);
	if (err != 0) {
		store_close(*file);
		*file = NULL;
		store_unlink(s, TXNLOG_SPARE_NAME);
		return fault_set(f, err, "cannot fill %s with %llu bytes: %s", TXNLOG_SPARE_NAME,
		    (unsigned long long)size_bytes, strerror(-err));
	}
	return 0;
}

void
txnlog_spare_adopt(struct txnlog *log, struct store_file *file, uint64_t size_bytes)
{
	assert(log->spare == NULL);
	log->spare = file;
	log->spare_size = size_bytes;
}

int
txnlog_probe(struct store *s, struct fault *f)
{
	struct store_file *file;
	int err = store_open(s, TXNLOG_NEW_NAME, STORE_OPEN_REPLACE, &file);

	if (err == 0) {
		err = store_allocate(file, TXNLOG_FIRST_BYTES);
		if (err == 0)
			err = store_sync(file);
		store_close(file);
		store_unlink(s, TXNLOG_NEW_NAME);
	}
	return err == 0 ? 0
			: fault_set(f, err, "cannot append to and sync a file for the log: %s",
			      strerror(-err));
}
