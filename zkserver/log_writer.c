/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/log_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/list.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/store_posix.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/log_uring.h"
#include "zkserver/log_worker.h"

/* Emptied batches that are kept for use again: one fills while one flies. */
#define SLOTS_KEPT 2

struct slot {
	struct list link; /* in log_writer.waiting or .free */
	struct txnlog_batch batch;
};

struct log_writer {
	struct log_writer_config config;
	struct txnlog log;
	struct slot *filling, *flying; /* NULL: none */
	uint64_t started_ms;	       /* when the one that flies was begun */
	struct list waiting, free;     /* sealed ones, in order; emptied ones */
	size_t free_count;
	int done_fd; /* rung by the workers and the kernel */
	struct fd_watch *watch;

	struct log_worker writer; /* carries out what is not one write in place */
	int write_err;
	struct fault write_fault;

	struct log_worker filler; /* makes the spare file */
	uint64_t spare_size;
	struct store_file *spare;
	int spare_err;
	struct fault spare_fault;
	bool spare_failed; /* said once */

	struct log_uring uring;
	bool uring_open;
	int direct_fd; /* of the log's file, O_DIRECT | O_DSYNC; -1: none */
};

static void start_next(struct log_writer *w);

/* ---- in the workers ---- */

static void
run_write(void *arg)
{
	struct log_writer *w = arg;

	w->write_err = txnlog_write(&w->log, &w->flying->batch, &w->write_fault);
}

static void
run_fill(void *arg)
{
	struct log_writer *w = arg;

	w->spare_err =
	    txnlog_spare_make(w->config.store, w->spare_size, &w->spare, &w->spare_fault);
}

/* ---- in the loop ---- */

static _Noreturn void
fail(const char *what)
{
	log_die(EX_IOERR,
	    "%s; stopping, since nothing written now can be trusted: check the disk, then start "
	    "again",
	    what);
}

static void
give_up_uring(struct log_writer *w, const char *why, int err)
{
	log_info("%s (%s): a thread writes it", why, strerror(err));
	log_uring_fini(&w->uring);
	w->uring_open = false;
}

/* A second descriptor of the log's new file for direct writes. Without one the thread does the
 * work. */
static void
open_direct(struct log_writer *w)
{
	char path[64];

	if (w->direct_fd >= 0)
		close(w->direct_fd);
	w->direct_fd = -1;
	if (!w->uring_open)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", store_posix_fd(w->log.file));
	w->direct_fd = open(path, O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (w->direct_fd < 0)
		give_up_uring(w, "the log's file system takes no direct writes", errno);
}

static struct slot *
take_slot(struct log_writer *w)
{
	struct list *l = list_first(&w->free);
	struct slot *s;

	if (l != NULL) {
		list_remove(l);
		w->free_count--;
		return CONTAINER_OF(l, struct slot, link);
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		log_die(EX_OSERR, "no memory for the transaction log's next batch");
	list_init(&s->link);
	txnlog_batch_init(&s->batch);
	return s;
}

static void
free_slot(struct slot *s)
{
	if (s == NULL)
		return;
	list_remove(&s->link);
	txnlog_batch_fini(&s->batch);
	free(s);
}

static void
return_slot(struct log_writer *w, struct slot *s)
{
	txnlog_batch_clear(&w->log, &s->batch);
	if (w->free_count >= SLOTS_KEPT) {
		free_slot(s);
		return;
	}
	list_append(&w->free, &s->link);
	w->free_count++;
}

/* The batch on its way is durable: start the next one, and only then tell. */
static void
batch_done(struct log_writer *w)
{
	struct slot *s = w->flying;
	uint64_t last_zxid = s->batch.last_zxid;

	if (w->config.timed != NULL)
		w->config.timed(w->config.arg, clock_boot_ms() - w->started_ms,
		    last_zxid - s->batch.first_zxid + 1);
	if (s->batch.new_file) {
		open_direct(w);
		w->spare_failed = false;
	}
	w->flying = NULL;
	return_slot(w, s);
	start_next(w);
	w->config.durable(w->config.arg, last_zxid);
}

static void
check_direct(const struct txnlog_batch *b, ssize_t result)
{
	char text[160];

	if (result == (ssize_t)b->len)
		return;
	snprintf(text, sizeof(text),
	    "cannot write the transaction log for zxids 0x%llx to 0x%llx at offset %llu: %s",
	    (unsigned long long)b->first_zxid, (unsigned long long)b->last_zxid,
	    (unsigned long long)b->offset,
	    result < 0 ? strerror((int)-result) : "it was written in part");
	fail(text);
}

static void
spare_done(struct log_writer *w)
{
	if (w->spare_err == 0) {
		txnlog_spare_adopt(&w->log, w->spare, w->spare_size);
		w->spare_failed = false;
	} else if (!w->spare_failed) {
		/* Not needed yet: the batch that needs the room will fail if there is none then. */
		log_warn("%s; the log goes on in its present file", w->spare_fault.text);
		w->spare_failed = true;
	}
	w->spare = NULL;
}

static void
on_done(void *arg, int what)
{
	struct log_writer *w = arg;
	uint64_t count;
	ssize_t result;

	(void)what;
	if (read(w->done_fd, &count, sizeof(count)) < 0)
		return;
	if (log_worker_done(&w->filler))
		spare_done(w);
	if (w->uring_open && log_uring_done(&w->uring, false, &result)) {
		check_direct(&w->flying->batch, result);
		batch_done(w);
	} else if (log_worker_done(&w->writer)) {
		if (w->write_err != 0)
			fail(w->write_fault.text);
		batch_done(w);
	}
}

/* Let the filler make the next file, if it is time; after a failure not before the file in use is
 * full. */
static void
start_filling(struct log_writer *w)
{
	uint64_t wanted = txnlog_spare_wanted_bytes(&w->log);

	if (wanted == 0 || w->filler.busy || w->spare_failed)
		return;
	w->spare_size = wanted;
	w->spare_fault.text[0] = '\0';
	log_worker_start(&w->filler);
}

/* False: nothing was started. */
static bool
start_direct(struct log_writer *w, const struct txnlog_batch *b)
{
	int err;

	if (!w->uring_open || w->direct_fd < 0 || !txnlog_in_place(b))
		return false;
	err = log_uring_start(&w->uring, w->direct_fd, b->bytes, b->len, b->offset);
	if (err != 0)
		give_up_uring(w, "the kernel takes no more asynchronous writes of the log", -err);
	return err == 0;
}

static void
start_next(struct log_writer *w)
{
	struct list *l = list_first(&w->waiting);
	struct txnlog_batch *b;

	assert(w->flying == NULL);
	if (l != NULL) {
		list_remove(l);
		w->flying = CONTAINER_OF(l, struct slot, link);
	} else if (w->filling != NULL) {
		w->flying = w->filling;
		w->filling = NULL;
		txnlog_seal(&w->log, &w->flying->batch);
	} else
		return;
	b = &w->flying->batch;
	w->started_ms = clock_boot_ms();
	if (!start_direct(w, b))
		log_worker_start(&w->writer);
	start_filling(w);
}

void
log_append(struct log_writer *w, const void *txn, size_t size)
{
	int err;

	if (w->filling == NULL)
		w->filling = take_slot(w);
	err = txnlog_append(&w->log, &w->filling->batch, txn, size);
	if (err == -ENOBUFS) {
		txnlog_seal(&w->log, &w->filling->batch);
		list_append(&w->waiting, &w->filling->link);
		w->filling = take_slot(w);
		err = txnlog_append(&w->log, &w->filling->batch, txn, size);
	}
	if (err != 0)
		log_die(
		    EX_OSERR, "no memory for a transaction of %zu bytes in the log's batch", size);
}

void
log_submit(struct log_writer *w)
{
	if (w->flying == NULL)
		start_next(w);
}

bool
log_writer_full(const struct log_writer *w)
{
	return !list_empty(&w->waiting);
}

void
log_writer_roll(struct log_writer *w)
{
	txnlog_roll(&w->log);
}

const char *
log_writer_backend(const struct log_writer *w)
{
	return w->uring_open ? "io_uring" : "thread";
}

/* ---- beginning and end ---- */

static int
start_workers(struct log_writer *w)
{
	int err;

	if ((w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		return -errno;
	if ((err = log_worker_init(&w->writer, run_write, w, w->done_fd)) != 0)
		goto no_writer;
	if ((err = log_worker_init(&w->filler, run_fill, w, w->done_fd)) != 0)
		goto no_filler;
	if ((w->watch = fd_watch_new(w->config.loop, w->done_fd, FD_READ, on_done, w)) == NULL) {
		err = -ENOMEM;
		goto no_watch;
	}
	if (w->config.backend == LOG_BACKEND_BEST && w->config.sync)
		w->uring_open = log_uring_init(&w->uring, w->done_fd) == 0;
	return 0;

no_watch:
	log_worker_fini(&w->filler);
no_filler:
	log_worker_fini(&w->writer);
no_writer:
	close(w->done_fd);
	return err;
}

struct log_writer *
log_writer_new(const struct log_writer_config *config)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return NULL;
	w->config = *config;
	w->direct_fd = -1;
	list_init(&w->waiting);
	list_init(&w->free);
	txnlog_init(&w->log, config->store, config->preallocate_bytes);
	w->log.file_bytes = config->file_bytes;
	w->log.no_sync = !config->sync;
	if ((err = start_workers(w)) != 0) {
		free(w);
		errno = -err;
		return NULL;
	}
	return w;
}

static void
free_slots(struct list *slots)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, slots)
		free_slot(CONTAINER_OF(it, struct slot, link));
}

void
log_writer_free(struct log_writer *w)
{
	ssize_t result;

	if (w == NULL)
		return;
	log_worker_fini(&w->writer);
	log_worker_fini(&w->filler);
	if (w->uring_open) {
		log_uring_done(&w->uring, true, &result);
		log_uring_fini(&w->uring);
	}
	if (log_worker_done(&w->filler) && w->spare_err == 0)
		store_close(w->spare);
	fd_watch_free(w->watch);
	close(w->done_fd);
	if (w->direct_fd >= 0)
		close(w->direct_fd);
	free_slot(w->flying);
	free_slot(w->filling);
	free_slots(&w->waiting);
	free_slots(&w->free);
	txnlog_fini(&w->log);
	free(w);
}
