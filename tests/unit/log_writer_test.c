/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit on real files: both ways to the disk pass the same tests. Snapshots beside the loop.
 */
#include "zkserver/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/store_posix.h"
#include "tests/lib/unit.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog_reader.h"
#include "zkserver/child.h"
#include "zkserver/purger.h"
#include "zkserver/snapshot_writer.h"

static const enum log_backend BACKENDS[] = {LOG_BACKEND_THREAD, LOG_BACKEND_BEST};
static const struct hash_key KEY = {1, 2};

/* The directory of this test, also in its children. */
static const char *
directory(void)
{
	static char path[256];

	if (path[0] == '\0')
		snprintf(path, sizeof(path), "%s", unit_tmpdir());
	return path;
}

/* Appends `per_turn` txns at a time until `last`; tells of each acknowledgement on a pipe, if there
 * is one. */
struct driver {
	struct loop *loop;
	struct store *store;
	struct log_writer *w;
	uint64_t next, last, acknowledged;
	unsigned per_turn, calls;
	size_t body;
	int ack_fd;
};

static void
on_durable(void *arg, uint64_t zxid)
{
	struct driver *d = arg;

	ck_assert_uint_gt(zxid, d->acknowledged);
	ck_assert_uint_lt(zxid, d->next);
	d->acknowledged = zxid;
	d->calls++;
	if (d->ack_fd >= 0)
		ck_assert_int_eq(write(d->ack_fd, &zxid, sizeof(zxid)), sizeof(zxid));
	if (zxid == d->last)
		loop_stop(d->loop, 0);
}

static void
append_one(struct driver *d)
{
	struct buf txn;

	buf_init(&txn, 1 << 20);
	jute_put_i64(&txn, 7);
	jute_put_i32(&txn, 1);
	jute_put_i64(&txn, (int64_t)d->next++);
	jute_put_i64(&txn, 1700000000000);
	jute_put_i32(&txn, 5);
	for (size_t i = 0; i < d->body; i++)
		jute_put_u8(&txn, 0x55);
	log_append(d->w, txn.data, txn.len);
	buf_fini(&txn);
}

static void
after_turn(void *arg)
{
	struct driver *d = arg;

	for (unsigned i = 0; i < d->per_turn && d->next <= d->last && !log_writer_full(d->w); i++)
		append_one(d);
	log_submit(d->w);
}

static void
driver_open(struct driver *d, enum log_backend backend)
{
	struct log_writer_config config = {
	    .preallocate_bytes = (uint64_t)2 << 20,
	    .backend = backend,
	    .sync = true,
	    .durable = on_durable,
	    .arg = d,
	};

	d->loop = config.loop = loop_new();
	d->store = config.store = store_posix_open(directory());
	ck_assert_ptr_nonnull(d->loop);
	ck_assert_ptr_nonnull(d->store);
	d->w = log_writer_new(&config);
	ck_assert_ptr_nonnull(d->w);
}

static void
driver_run(struct driver *d)
{
	after_turn(d);
	loop_run(d->loop, after_turn, d);
}

static void
driver_close(struct driver *d)
{
	log_writer_free(d->w);
	store_posix_close(d->store);
	loop_free(d->loop);
}

/* The last zxid on disk; everything up to it must be there. */
static uint64_t
read_back(uint64_t *files)
{
	struct store *s = store_posix_open(directory());
	struct txnlog_record record;
	struct fault fault = {0};
	struct txnlog_reader r;
	uint64_t last = 0;
	int got;

	ck_assert_int_eq(txnlog_reader_open(&r, s, 0, &fault), 0);
	*files = r.files.count;
	while ((got = txnlog_reader_next(&r, &record, &fault)) == 1)
		ck_assert_uint_eq(record.zxid, ++last);
	ck_assert_msg(got == 0, "%s", fault.text);
	txnlog_reader_close(&r);
	store_posix_close(s);
	return last;
}

START_TEST(what_is_acknowledged_is_on_disk_in_order)
{
	struct driver d = {.next = 1, .last = 6000, .per_turn = 50, .body = 1100, .ack_fd = -1};
	uint64_t files;

	driver_open(&d, BACKENDS[_i]);
	driver_run(&d);
	ck_assert_uint_eq(d.acknowledged, 6000);
	if (BACKENDS[_i] == LOG_BACKEND_THREAD)
		ck_assert_str_eq(log_writer_backend(d.w), "thread");
	driver_close(&d);
	ck_assert_uint_eq(read_back(&files), 6000);
	ck_assert_uint_ge(files, 3);
}
END_TEST

START_TEST(records_gather_while_a_batch_is_on_its_way)
{
	struct driver d = {.next = 1, .last = 2000, .per_turn = 1000, .body = 100, .ack_fd = -1};

	driver_open(&d, BACKENDS[_i]);
	driver_run(&d);
	ck_assert_uint_le(d.calls, 3);
	driver_close(&d);
}
END_TEST

START_TEST(a_batch_over_the_bound_waits_its_turn)
{
	struct driver d = {.next = 1, .last = 120, .per_turn = 120, .body = 100000, .ack_fd = -1};
	uint64_t files;

	driver_open(&d, BACKENDS[_i]);
	while (d.next <= 120)
		append_one(&d);
	ck_assert(log_writer_full(d.w));
	driver_run(&d);
	ck_assert(!log_writer_full(d.w));
	driver_close(&d);
	ck_assert_uint_eq(read_back(&files), 120);
}
END_TEST

START_TEST(a_roll_begins_a_new_file)
{
	struct driver d = {.next = 1, .last = 10, .per_turn = 10, .body = 10, .ack_fd = -1};
	uint64_t files;

	driver_open(&d, BACKENDS[_i]);
	driver_run(&d);
	log_writer_roll(d.w);
	d.last = 20;
	driver_run(&d);
	driver_close(&d);
	ck_assert_uint_eq(read_back(&files), 20);
	ck_assert_uint_eq(files, 2);
}
END_TEST

/* In a child: drive until it is killed or `last`; its acknowledgements come out of *pipe_fd. */
static pid_t
fork_driver(enum log_backend backend, void (*spoil)(struct driver *d), int *pipe_fd)
{
	int fds[2];
	pid_t pid;

	directory();
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct driver d = {
		    .next = 1, .last = 1, .per_turn = 7, .body = 300, .ack_fd = fds[1]};

		close(fds[0]);
		driver_open(&d, backend);
		driver_run(&d);
		if (spoil != NULL)
			spoil(&d);
		d.last = 1000000;
		driver_run(&d);
		_exit(0);
	}
	close(fds[1]);
	*pipe_fd = fds[0];
	return pid;
}

START_TEST(kill_at_any_moment_loses_nothing_acknowledged)
{
	uint64_t zxid, acknowledged = 0, files;
	unsigned count = 0;
	int fd, status;
	pid_t pid = fork_driver(BACKENDS[_i % 2], NULL, &fd);

	while (count++ < 3U + 40U * (unsigned)_i && read(fd, &zxid, sizeof(zxid)) == sizeof(zxid))
		acknowledged = zxid;
	kill(pid, SIGKILL);
	while (read(fd, &zxid, sizeof(zxid)) == sizeof(zxid))
		acknowledged = zxid;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	close(fd);
	ck_assert_uint_ge(read_back(&files), acknowledged);
	ck_assert_uint_gt(acknowledged, 0);
}
END_TEST

/* Put a descriptor that refuses writes under each open file of the log. */
static void
refuse_writes(struct driver *d)
{
	int full = open("/dev/full", O_RDONLY);
	char path[64], target[512];

	(void)d;
	for (int fd = 3; fd < 200; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strstr(target, "/log.") != NULL)
			ck_assert_int_eq(dup2(full, fd), fd);
	}
}

START_TEST(a_failed_write_ends_the_process_and_acknowledges_nothing_more)
{
	uint64_t zxid, acknowledged = 0, files;
	int fd, status;
	pid_t pid = fork_driver(BACKENDS[_i], refuse_writes, &fd);

	while (read(fd, &zxid, sizeof(zxid)) == sizeof(zxid))
		acknowledged = zxid;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EX_IOERR);
	close(fd);
	ck_assert_uint_eq(acknowledged, 1);
	ck_assert_uint_eq(read_back(&files), 1);
}
END_TEST

static void
stop_when_idle(void *arg)
{
	struct snapshot_writer **both = arg;

	if (!snapshot_writer_busy(both[0]))
		loop_stop(*(struct loop **)both[1], 0);
}

/* One snapshot of db, to its end. */
static void
take_snapshot(struct loop *loop, struct snapshot_writer *w, const struct db *db)
{
	void *both[] = {w, &loop};

	ck_assert(snapshot_writer_start(w, db));
	ck_assert(!snapshot_writer_start(w, db));
	ck_assert(!snapshot_writer_rested(w));
	loop_run(loop, stop_when_idle, both);
}

static void
stop_when_purged(void *arg)
{
	void **both = arg;

	if (!chore_busy(&((struct purger *)both[0])->chore))
		loop_stop(both[1], 0);
}

static unsigned
count_whole_snapshots(struct store *s)
{
	struct datadir_list list;
	struct fault fault = {0};
	unsigned count;

	ck_assert_int_eq(datadir_list(s, "snapshot", &list, &fault), 0);
	count = (unsigned)list.count;
	for (size_t i = 0; i < list.count; i++)
		ck_assert_int_eq(snapshot_verify(s, list.entries[i], &fault), 0);
	datadir_list_free(&list);
	return count;
}

START_TEST(a_child_writes_the_snapshot_and_another_purges)
{
	struct store *s = store_posix_open(directory());
	struct loop *loop = loop_new();
	struct snapshot_writer_config config = {.loop = loop, .snapshots = s, .logs = s};
	struct snapshot_writer *w = snapshot_writer_new(&config);
	struct purger p;
	void *both[] = {&p, loop};
	struct db db;

	ck_assert(db_init(&db, &KEY, 2000));
	for (int i = 0; i < 5; i++) {
		db.last_zxid = i;
		take_snapshot(loop, w, &db);
	}
	ck_assert_uint_eq(count_whole_snapshots(s), 5);
	purger_init(&p, loop, s, s, 0, 3);
	purger_tick(&p, 1000);
	ck_assert(!chore_busy(&p.chore));
	purger_init(&p, loop, s, s, 1, 3);
	purger_tick(&p, 1000);
	ck_assert(chore_busy(&p.chore));
	loop_run(loop, stop_when_purged, both);
	ck_assert_uint_eq(count_whole_snapshots(s), 3);
	purger_tick(&p, 1001);
	ck_assert(!chore_busy(&p.chore));
	purger_tick(&p, 1000 + 3600000);
	ck_assert(chore_busy(&p.chore));
	purger_fini(&p);
	ck_assert(!chore_busy(&p.chore));
	db_fini(&db);
	snapshot_writer_free(w);
	store_posix_close(s);
	loop_free(loop);
}
END_TEST

START_TEST(a_child_does_nothing_if_its_server_was_killed_before_it_ran)
{
	int fds[2], status;
	pid_t server;
	char byte;

	ck_assert_int_eq(pipe(fds), 0);
	if ((server = fork()) == 0) {
		pid_t self = getpid();

		if (child_fork() > 0)
			_exit(0);
		while (getppid() == self)
			sched_yield();
		child_begin(&fds[1], 1);
		_exit(write(fds[1], "x", 1) != 1);
	}
	ck_assert_int_gt(server, 0);
	close(fds[1]);
	ck_assert_int_eq(waitpid(server, &status, 0), server);
	ck_assert_int_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}
END_TEST

START_TEST(a_snapshot_that_cannot_be_written_costs_nothing)
{
	struct store *s = store_posix_open(directory());
	struct loop *loop = loop_new();
	struct snapshot_writer_config config = {.loop = loop, .snapshots = s, .logs = s};
	struct snapshot_writer *w = snapshot_writer_new(&config);
	char path[512];
	struct db db;

	/* A directory lies where the temporary file goes. */
	snprintf(path, sizeof(path), "%s/%s", directory(), SNAPSHOT_NEW_NAME);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert(db_init(&db, &KEY, 2000));
	take_snapshot(loop, w, &db);
	ck_assert_int_eq(rmdir(path), 0);
	take_snapshot(loop, w, &db);
	snprintf(path, sizeof(path), "%s/snapshot.0", directory());
	ck_assert_int_eq(access(path, R_OK), 0);
	/* One that still writes when the server ends leaves no snapshot that is not whole. */
	db.last_zxid = 9;
	ck_assert(snapshot_writer_start(w, &db));
	db_fini(&db);
	snapshot_writer_free(w);
	store_posix_close(s);
	loop_free(loop);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("log_writer");
	TCase *t = tcase_create("log_writer");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_is_acknowledged_is_on_disk_in_order, 0, 2);
	tcase_add_loop_test(t, records_gather_while_a_batch_is_on_its_way, 0, 2);
	tcase_add_loop_test(t, a_batch_over_the_bound_waits_its_turn, 0, 2);
	tcase_add_loop_test(t, a_roll_begins_a_new_file, 0, 2);
	tcase_add_loop_test(t, kill_at_any_moment_loses_nothing_acknowledged, 0, 8);
	tcase_add_loop_test(t, a_failed_write_ends_the_process_and_acknowledges_nothing_more, 0, 2);
	tcase_add_test(t, a_child_writes_the_snapshot_and_another_purges);
	tcase_add_test(t, a_child_does_nothing_if_its_server_was_killed_before_it_ran);
	tcase_add_test(t, a_snapshot_that_cannot_be_written_costs_nothing);
	suite_add_tcase(s, t);
	return s;
}
