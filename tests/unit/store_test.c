/* SPDX-License-Identifier: Apache-2.0 */
/* What struct store promises, of the file system's store and of the simulated disk alike. */
#include "libcommon/base/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/sys/store_posix.h"
#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"

static struct simdisk *disk; /* NULL: the store is the file system's */
static struct store *store;

/* Two rounds: 0 over a directory, 1 over the simulated disk. */
static void
open_round(int round)
{
	disk = round == 1 ? simdisk_new(1, UINT64_MAX) : NULL;
	store = round == 1 ? simdisk_store(disk) : store_posix_open(unit_tmpdir());
	ck_assert_ptr_nonnull(store);
}

static void
close_round(void)
{
	if (disk == NULL)
		store_posix_close(store);
	simdisk_free(disk);
}

static struct store_file *
open_file(const char *name, enum store_open how)
{
	struct store_file *f;

	ck_assert_int_eq(store_open(store, name, how, &f), 0);
	return f;
}

START_TEST(opening_does_what_its_mode_says)
{
	struct store_file *f;
	uint64_t size;

	open_round(_i);
	ck_assert_int_eq(store_open(store, "a", STORE_OPEN_READ, &f), -ENOENT);
	ck_assert_int_eq(store_open(store, "a", STORE_OPEN_WRITE, &f), -ENOENT);
	f = open_file("a", STORE_OPEN_CREATE);
	ck_assert_int_eq(store_pwrite(f, "abc", 3, 0), 0);
	store_close(f);
	ck_assert_int_eq(store_open(store, "a", STORE_OPEN_CREATE, &f), -EEXIST);
	f = open_file("a", STORE_OPEN_WRITE);
	ck_assert_int_eq(store_size(f, &size), 0);
	ck_assert_uint_eq(size, 3);
	store_close(f);
	f = open_file("a", STORE_OPEN_REPLACE);
	ck_assert_int_eq(store_size(f, &size), 0);
	ck_assert_uint_eq(size, 0);
	store_close(f);
	store_close(NULL);
	close_round();
}
END_TEST

START_TEST(bytes_come_back_and_reads_end_with_the_file)
{
	struct store_file *f;
	char got[16];

	open_round(_i);
	f = open_file("a", STORE_OPEN_CREATE);
	ck_assert_int_eq(store_pwrite(f, "hello", 5, 3), 0);
	ck_assert_int_eq(store_pread(f, got, sizeof(got), 0), 8);
	ck_assert_mem_eq(got, "\0\0\0hello", 8);
	ck_assert_int_eq(store_pread(f, got, sizeof(got), 6), 2);
	ck_assert_int_eq(store_pread(f, got, sizeof(got), 100), 0);
	ck_assert_int_eq(store_sync(f), 0);
	store_close(f);
	close_round();
}
END_TEST

START_TEST(allocation_adds_zeros_and_never_shortens)
{
	struct store_file *f;
	uint64_t size;
	char got[4];

	open_round(_i);
	f = open_file("a", STORE_OPEN_CREATE);
	ck_assert_int_eq(store_pwrite(f, "xy", 2, 0), 0);
	ck_assert_int_eq(store_allocate(f, 600000), 0);
	ck_assert_int_eq(store_allocate(f, 10), 0);
	ck_assert_int_eq(store_size(f, &size), 0);
	ck_assert_uint_eq(size, 600000);
	ck_assert_int_eq(store_pread(f, got, 4, 0), 4);
	ck_assert_mem_eq(got, "xy\0\0", 4);
	ck_assert_int_eq(store_pread(f, got, 4, 599998), 2);
	ck_assert_mem_eq(got, "\0\0", 2);
	ck_assert_int_eq(store_truncate(f, 1), 0);
	ck_assert_int_eq(store_truncate(f, 3), 0);
	ck_assert_int_eq(store_pread(f, got, 4, 0), 3);
	ck_assert_mem_eq(got, "x\0\0", 3);
	store_close(f);
	close_round();
}
END_TEST

static int
append_name(void *arg, const char *name)
{
	char *all = arg;
	size_t len = strlen(all);

	snprintf(all + len, 64 - len, "%s", name);
	return strcmp(name, "stop") == 0 ? 7 : 0;
}

START_TEST(names_are_listed_in_order_replaced_and_removed)
{
	static const char *const names[] = {"b", "a", "B", "stop", "c"};
	char all[64] = "";
	struct store_file *f;
	char got[1];

	open_round(_i);
	for (size_t i = 0; i < 5; i++) {
		f = open_file(names[i], STORE_OPEN_CREATE);
		ck_assert_int_eq(store_pwrite(f, names[i], 1, 0), 0);
		store_close(f);
	}
	ck_assert_int_eq(store_list(store, append_name, all), 7);
	ck_assert_str_eq(all, "Babcstop");
	ck_assert_int_eq(store_rename(store, "a", "c"), 0);
	ck_assert_int_eq(store_rename(store, "a", "c"), -ENOENT);
	f = open_file("c", STORE_OPEN_READ);
	ck_assert_int_eq(store_pread(f, got, 1, 0), 1);
	ck_assert_int_eq(got[0], 'a');
	store_close(f);
	ck_assert_int_eq(store_unlink(store, "stop"), 0);
	ck_assert_int_eq(store_unlink(store, "stop"), -ENOENT);
	ck_assert_int_eq(store_sync_dir(store), 0);
	all[0] = '\0';
	ck_assert_int_eq(store_list(store, append_name, all), 0);
	ck_assert_str_eq(all, "Bbc");
	close_round();
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_no_store)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/none", unit_tmpdir());
	ck_assert_ptr_null(store_posix_open(path));
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

/* ---- what only the simulated disk can show ---- */

START_TEST(a_power_loss_keeps_what_was_synced_and_any_part_of_the_rest)
{
	unsigned kept = 0, lost = 0, names = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct store_file *f;
		char got[1024];

		disk = simdisk_new(seed, UINT64_MAX);
		store = simdisk_store(disk);
		f = open_file("synced", STORE_OPEN_CREATE);
		ck_assert_int_eq(store_allocate(f, 1024), 0);
		ck_assert_int_eq(store_pwrite(f, "old", 3, 0), 0);
		ck_assert_int_eq(store_sync(f), 0);
		ck_assert_int_eq(store_sync_dir(store), 0);
		ck_assert_int_eq(store_pwrite(f, "new", 3, 512), 0);
		store_close(f);
		store_close(open_file("unsynced", STORE_OPEN_CREATE));
		simdisk_power_loss(disk);
		f = open_file("synced", STORE_OPEN_READ);
		ck_assert_int_eq(store_pread(f, got, sizeof(got), 0), 1024);
		ck_assert_mem_eq(got, "old", 3);
		if (memcmp(got + 512, "new", 3) == 0)
			kept++;
		else
			lost += memcmp(got + 512, "\0\0\0", 3) == 0;
		store_close(f);
		if (store_open(store, "unsynced", STORE_OPEN_READ, &f) == 0) {
			names++;
			store_close(f);
		}
		simdisk_free(disk);
	}
	ck_assert_uint_eq(kept + lost, 200);
	ck_assert_uint_gt(kept, 20);
	ck_assert_uint_gt(lost, 20);
	ck_assert_uint_gt(names, 20);
	ck_assert_uint_lt(names, 180);
}
END_TEST

START_TEST(a_full_disk_and_a_failing_one_say_so)
{
	struct store_file *f;
	char bytes[2048] = {0};

	disk = simdisk_new(1, 1500);
	store = simdisk_store(disk);
	f = open_file("a", STORE_OPEN_CREATE);
	ck_assert_int_eq(store_pwrite(f, bytes, sizeof(bytes), 0), -ENOSPC);
	simdisk_set_capacity(disk, UINT64_MAX);
	ck_assert_int_eq(store_pwrite(f, bytes, sizeof(bytes), 0), 0);
	simdisk_fail_at(disk, simdisk_ops(disk) + 1, -EIO);
	ck_assert_int_eq(store_sync(f), -EIO);
	ck_assert_int_eq(store_sync(f), 0);
	simdisk_stop_at(disk, simdisk_ops(disk) + 2);
	ck_assert_int_eq(store_pwrite(f, bytes, 10, 0), 0);
	ck_assert_int_eq(store_pwrite(f, bytes, 10, 0), SIMDISK_STOPPED);
	ck_assert_int_eq(store_sync(f), SIMDISK_STOPPED);
	ck_assert(simdisk_stopped(disk));
	store_close(f);
	simdisk_crash(disk);
	store_close(open_file("a", STORE_OPEN_READ));
	simdisk_free(disk);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("store");

	tcase_add_loop_test(t, opening_does_what_its_mode_says, 0, 2);
	tcase_add_loop_test(t, bytes_come_back_and_reads_end_with_the_file, 0, 2);
	tcase_add_loop_test(t, allocation_adds_zeros_and_never_shortens, 0, 2);
	tcase_add_loop_test(t, names_are_listed_in_order_replaced_and_removed, 0, 2);
	tcase_add_test(t, a_directory_that_is_not_there_is_no_store);
	tcase_add_test(t, a_power_loss_keeps_what_was_synced_and_any_part_of_the_rest);
	tcase_add_test(t, a_full_disk_and_a_failing_one_say_so);
	suite_add_tcase(s, t);
	return s;
}
