/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged log: what stands before the damage is copied, and what is behind it is counted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/sys/store_posix.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/inspect.h"
#include "zkserver/inspect_priv.h"

#define SUFFIX ".recovered"
#define COPY_BYTES ((size_t)1 << 20)

struct run {
	uint64_t count, first, last; /* of transactions */
};

struct recovery {
	struct store *store;
	const char *path, *name;
	struct txnlog_reader reader;
	struct run kept, lost;
	uint64_t end, size; /* of what is kept; of the file */
	struct fault fault; /* the damage */
};

static void
count(struct run *run, uint64_t zxid)
{
	if (run->count++ == 0)
		run->first = zxid;
	run->last = zxid;
}

/* Read up to the first damage. 1: there is some, 0: there is none, or a negative errno. */
static int
find_damage(struct recovery *v)
{
	struct txnlog_record record;
	struct txn txn;
	int got;

	v->end = TXNLOG_HEADER_BYTES;
	while ((got = txnlog_reader_next(&v->reader, &record, &v->fault)) == 1) {
		if (!txn_decode(&txn, record.txn, record.size)) {
			fault_set(&v->fault, DATADIR_CORRUPT,
			    "%s: the record at offset %" PRIu64 ", zxid 0x%" PRIx64
			    ", has the right checksum but is no transaction",
			    v->name, record.offset, record.zxid);
			return 1;
		}
		count(&v->kept, record.zxid);
		v->end = record.next_offset;
	}
	return got == DATADIR_CORRUPT ? 1 : got;
}

/* Whole transactions behind the damage: they are of no use without those between. */
static void
count_lost(struct recovery *v)
{
	struct fault ignored = {{0}};
	struct txnlog_record record;
	int got;

	do {
		if (txnlog_reader_resume(&v->reader, &ignored) != 1)
			return;
		while ((got = txnlog_reader_next(&v->reader, &record, &ignored)) == 1)
			count(&v->lost, record.zxid);
	} while (got == DATADIR_CORRUPT);
}

/* The first `end` bytes of one file into another. */
static int
copy(struct store_file *from, struct store_file *to, uint64_t end)
{
	uint8_t *chunk = malloc(COPY_BYTES);
	int err = chunk != NULL ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < end && err == 0;) {
		size_t size = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		ssize_t n = store_pread(from, chunk, size, at);

		if (n <= 0)
			err = n < 0 ? (int)n : -EIO;
		else
			err = store_pwrite(to, chunk, (size_t)n, at);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(chunk);
	return err;
}

static int
write_copy(struct recovery *v, const char *name)
{
	struct store_file *from = NULL, *to = NULL;
	int err = store_open(v->store, v->name, STORE_OPEN_READ, &from);

	if (err == 0)
		err = store_size(from, &v->size);
	if (err == 0)
		err = store_open(v->store, name, STORE_OPEN_CREATE, &to);
	if (err == 0) {
		err = copy(from, to, v->end);
		if (err == 0)
			err = store_sync(to);
		store_close(to);
		if (err == 0)
			err = store_sync_dir(v->store);
		else
			store_unlink(v->store, name);
	}
	store_close(from);
	return err;
}

static void
say_copy(const struct recovery *v)
{
	printf("the damage: %s\n", v->fault.text);
	printf("kept: %" PRIu64 " transactions, 0x%" PRIx64 " to 0x%" PRIx64 ", in %s" SUFFIX "\n",
	    v->kept.count, v->kept.first, v->kept.last, v->path);
	printf("dropped: %" PRIu64 " bytes from offset %" PRIu64 " on", v->size - v->end, v->end);
	if (v->lost.count > 0)
		printf(", with %" PRIu64 " whole transactions, 0x%" PRIx64 " to 0x%" PRIx64,
		    v->lost.count, v->lost.first, v->lost.last);
	putchar('\n');
	printf("nothing was changed: to start with what is kept, move %s and any log and snapshot "
	       "above 0x%" PRIx64 " out of their directories, and rename the copy to %s\n",
	    v->path, v->kept.last, v->name);
}

static int
recover_log(struct recovery *v)
{
	char name[STORE_NAME_MAX + 1];
	int got = find_damage(v);

	if (got < 0)
		return inspect_complain(v->path, v->fault.text, EX_NOINPUT);
	if (got == 0) {
		printf("%s: %" PRIu64 " transactions, no damage%s: nothing is to be done\n",
		    v->path, v->kept.count,
		    v->reader.torn ? " but a torn end, which a start cuts" : "");
		return EX_OK;
	}
	if (v->kept.count == 0) {
		fprintf(stderr, "zkserver: %s: nothing can be kept: %s\n", v->path, v->fault.text);
		return EXIT_DAMAGED;
	}
	count_lost(v);
	snprintf(name, sizeof name, "%s" SUFFIX, v->name);
	if ((got = write_copy(v, name)) != 0) {
		fprintf(stderr, "zkserver: %s" SUFFIX ": cannot be written: %s\n", v->path,
		    strerror(-got));
		return EX_CANTCREAT;
	}
	say_copy(v);
	return EX_OK;
}

int
inspect_recover(const char *path)
{
	struct recovery v = {.path = path};
	struct datadir_entry entry;
	struct place place;
	int status;

	if (!inspect_log_place(path, &place, &entry))
		return inspect_complain(path, "a log file's name is log.ZXID", EX_USAGE);
	if ((v.store = store_posix_open(place.directory)) == NULL)
		return inspect_complain(path, strerror(errno), EX_NOINPUT);
	v.name = place.name;
	if (txnlog_reader_open_file(&v.reader, v.store, entry.zxid, &v.fault) == 0)
		status = recover_log(&v);
	else
		status = inspect_complain(path, v.fault.text, EX_OSERR);
	txnlog_reader_close(&v.reader);
	store_posix_close(v.store);
	return status;
}
