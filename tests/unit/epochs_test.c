/* SPDX-License-Identifier: Apache-2.0 */
/* The two epoch files, on the simulated disk. */
#include "zkserver/core/epochs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"

#define ZXID(epoch, counter) ((int64_t)(epoch) << 32 | (counter))

static struct simdisk *disk;
static struct store *store;
static struct fault note, fault;

static void
setup(void)
{
	disk = simdisk_new(11, UINT64_MAX);
	ck_assert_ptr_nonnull(disk);
	store = simdisk_store(disk);
}

static void
teardown(void)
{
	simdisk_free(disk);
}

static void
put(const char *name, const char *text, size_t size)
{
	struct store_file *f;

	ck_assert_int_eq(store_open(store, name, STORE_OPEN_REPLACE, &f), 0);
	ck_assert_int_eq(store_pwrite(f, text, size, 0), 0);
	ck_assert_int_eq(store_sync(f), 0);
	store_close(f);
	ck_assert_int_eq(store_sync_dir(store), 0);
}

static void
assert_file(const char *name, const char *text)
{
	struct store_file *f;
	char got[32];
	ssize_t n;

	ck_assert_int_eq(store_open(store, name, STORE_OPEN_READ, &f), 0);
	n = store_pread(f, got, sizeof got - 1, 0);
	ck_assert_int_ge(n, 0);
	got[n] = '\0';
	store_close(f);
	ck_assert_str_eq(got, text);
}

static int
load(int64_t zxid, struct epochs *e)
{
	note = fault = (struct fault){{0}};
	return epochs_load(store, zxid, e, &note, &fault);
}

static void
assert_loaded(int64_t zxid, int accepted, int current, const char *notice)
{
	struct epochs e;

	ck_assert_msg(load(zxid, &e) == 0, "%s", fault.text);
	ck_assert_int_eq(e.accepted, accepted);
	ck_assert_int_eq(e.current, current);
	ck_assert_msg(strstr(note.text, notice) != NULL, "%s", note.text);
	ck_assert(notice[0] != '\0' || note.text[0] == '\0');
}

START_TEST(a_new_directory_starts_with_epoch_0)
{
	assert_loaded(0, 0, 0, "");
	simdisk_power_loss(disk);
	assert_file("acceptedEpoch", "0");
	assert_file("currentEpoch", "0");
}
END_TEST

START_TEST(missing_files_are_made_from_the_last_transaction)
{
	assert_loaded(ZXID(7, 3), 7, 7, "");
	simdisk_power_loss(disk);
	assert_file("acceptedEpoch", "7");
	assert_file("currentEpoch", "7");
}
END_TEST

START_TEST(one_missing_file_is_made_and_told)
{
	put("acceptedEpoch", "9", 1);
	assert_loaded(ZXID(7, 3), 9, 7, "currentEpoch was missing: made from the last transaction");
	ck_assert_int_eq(store_unlink(store, "acceptedEpoch"), 0);
	put("currentEpoch", "8", 1);
	assert_loaded(ZXID(7, 3), 8, 8, "acceptedEpoch was missing: made from currentEpoch");
	assert_file("acceptedEpoch", "8");
}
END_TEST

START_TEST(a_number_may_have_a_newline_behind_it)
{
	put("acceptedEpoch", "2147483647\n", 11);
	put("currentEpoch", "2147483646", 10);
	assert_loaded(ZXID(7, 3), 2147483647, 2147483646, "");
}
END_TEST

START_TEST(what_is_no_number_is_refused_and_never_0)
{
	static const struct {
		const char *text;
		size_t size;
	} cases[] = {{"", 0}, {"\n", 1}, {"0x5", 3}, {"-1", 2}, {"9999999999", 10},
	    {"2147483648", 10}, {" 5", 2}, {"5 ", 2}, {"5\n\n", 3}, {"5\r\n", 3}, {"\0", 1},
	    {"5\0", 2}, {"+5", 2}, {"00000000000000000005", 20}};
	static const char *const names[] = {"acceptedEpoch", "currentEpoch"};

	for (size_t n = 0; n < 2; n++) {
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct epochs e;

			put(names[1 - n], "7", 1);
			put(names[n], cases[i].text, cases[i].size);
			ck_assert_int_eq(load(ZXID(7, 1), &e), DATADIR_CORRUPT);
			ck_assert_msg(
			    strncmp(fault.text, names[n], strlen(names[n])) == 0, "%s", fault.text);
		}
	}
}
END_TEST

START_TEST(a_history_of_an_epoch_that_was_never_promised_is_refused)
{
	struct epochs e;

	put("acceptedEpoch", "5", 1);
	put("currentEpoch", "5", 1);
	ck_assert_int_eq(load(ZXID(6, 1), &e), DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(fault.text, "acceptedEpoch is 5, but the last transaction"));
	assert_file("acceptedEpoch", "5");
	ck_assert_int_eq(load(-1, &e), DATADIR_CORRUPT);
}
END_TEST

/* It died in the middle of its synchronization with the leader of epoch 6. */
START_TEST(records_above_the_current_epoch_are_no_fault)
{
	put("acceptedEpoch", "6", 1);
	put("currentEpoch", "5", 1);
	assert_loaded(ZXID(6, 1), 6, 5, "");
	/* As Apache's server leaves it when the rename is what is missing. */
	put("currentEpoch.tmp", "6", 1);
	assert_loaded(ZXID(6, 1), 6, 5, "");
	ck_assert_int_eq(store_unlink(store, "currentEpoch.tmp"), -ENOENT);
}
END_TEST

/* ZOOKEEPER-2307 and -1653: it died between the two files. */
START_TEST(an_accepted_epoch_below_the_current_one_is_raised)
{
	put("acceptedEpoch", "5", 1);
	put("currentEpoch", "6", 1);
	assert_loaded(ZXID(6, 1), 6, 6, "acceptedEpoch was 5, below currentEpoch 6: raised");
	simdisk_power_loss(disk);
	assert_file("acceptedEpoch", "6");
}
END_TEST

START_TEST(promises_are_durable_when_they_are_made)
{
	struct epochs e;

	ck_assert_int_eq(load(0, &e), 0);
	ck_assert_int_eq(epochs_accept(store, &e, 3, &fault), 0);
	ck_assert(e.accepted == 3 && e.current == 0);
	simdisk_power_loss(disk);
	assert_file("acceptedEpoch", "3");
	ck_assert_int_eq(epochs_enter(store, &e, 3, &fault), 0);
	simdisk_power_loss(disk);
	assert_file("currentEpoch", "3");
	ck_assert_int_eq(epochs_accept(store, &e, 3, &fault), 0);
	ck_assert_int_eq(epochs_enter(store, &e, 3, &fault), 0);
}
END_TEST

/* A life: loads, then accepts and enters three epochs, until something fails. */
static void
live(struct store *s, struct epochs *promised)
{
	struct epochs e;
	struct fault f = {{0}}, n = {{0}};
	int32_t first;

	if (epochs_load(s, 0, &e, &n, &f) != 0)
		return;
	*promised = e;
	first = e.accepted + 1;
	for (int32_t epoch = first; epoch < first + 3; epoch++) {
		if (epochs_accept(s, &e, epoch, &f) != 0)
			break;
		*promised = e;
		if (epochs_enter(s, &e, epoch, &f) != 0)
			break;
		*promised = e;
	}
}

static void
assert_kept(struct simdisk *d, const struct epochs *promised)
{
	struct fault f = {{0}}, n = {{0}};
	struct epochs e;

	ck_assert_msg(epochs_load(simdisk_store(d), 0, &e, &n, &f) == 0, "%s", f.text);
	ck_assert_int_ge(e.accepted, promised->accepted);
	ck_assert_int_ge(e.current, promised->current);
	ck_assert_int_le(e.current, e.accepted);
	ck_assert_int_le(e.accepted, promised->accepted + 1);
	/* The very first start may have made one of the files only. */
	ck_assert(n.text[0] == '\0' || (promised->accepted == 0 && strstr(n.text, "missing")));
}

START_TEST(a_power_loss_at_any_operation_keeps_every_promise)
{
	for (uint64_t op = 1; op < 60; op++) {
		for (uint64_t seed = 0; seed < 20; seed++) {
			struct simdisk *d = simdisk_new(seed * 1000 + op, UINT64_MAX);
			struct epochs promised = {0};

			simdisk_stop_at(d, op);
			live(simdisk_store(d), &promised);
			simdisk_power_loss(d);
			simdisk_stop_at(d, simdisk_ops(d) + 1 + seed);
			/* What is seen after the loss must survive the next one. */
			live(simdisk_store(d), &promised);
			simdisk_power_loss(d);
			simdisk_stop_at(d, 0);
			assert_kept(d, &promised);
			simdisk_free(d);
		}
	}
}
END_TEST

START_TEST(a_crash_at_any_operation_keeps_every_promise)
{
	for (uint64_t op = 1; op < 60; op++) {
		struct simdisk *d = simdisk_new(op, UINT64_MAX);
		struct epochs promised = {0};

		simdisk_stop_at(d, op);
		live(simdisk_store(d), &promised);
		simdisk_crash(d);
		simdisk_stop_at(d, 0);
		assert_kept(d, &promised);
		simdisk_free(d);
	}
}
END_TEST

START_TEST(a_failing_disk_at_any_operation_breaks_no_promise)
{
	static const int errors[] = {-EIO, -ENOSPC};
	uint64_t failures = 0;

	for (uint64_t op = 1; op < 40; op++) {
		for (int i = 0; i < 2; i++) {
			struct simdisk *d = simdisk_new(op, UINT64_MAX);
			struct epochs promised = {0};

			simdisk_fail_at(d, op, errors[i]);
			live(simdisk_store(d), &promised);
			failures += promised.current < 3;
			simdisk_fail_at(d, 0, 0);
			simdisk_power_loss(d);
			assert_kept(d, &promised);
			simdisk_free(d);
		}
	}
	ck_assert_uint_gt(failures, 40);
}
END_TEST

START_TEST(a_disk_that_does_not_sync_is_found_out_by_these_tests)
{
	int broken = 0;

	for (uint64_t seed = 0; seed < 40; seed++) {
		struct simdisk *d = simdisk_new(seed, UINT64_MAX);
		struct fault f = {{0}}, n = {{0}};
		struct epochs promised = {0}, e;

		simdisk_ignore_sync(d, seed % 2 == 0, seed % 2 == 1);
		live(simdisk_store(d), &promised);
		simdisk_power_loss(d);
		broken += epochs_load(simdisk_store(d), 0, &e, &n, &f) != 0 ||
			  e.accepted < promised.accepted || e.current < promised.current;
		simdisk_free(d);
	}
	ck_assert_int_gt(broken, 10);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("epochs");
	TCase *c = tcase_create("epochs");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_new_directory_starts_with_epoch_0);
	tcase_add_test(c, missing_files_are_made_from_the_last_transaction);
	tcase_add_test(c, one_missing_file_is_made_and_told);
	tcase_add_test(c, a_number_may_have_a_newline_behind_it);
	tcase_add_test(c, what_is_no_number_is_refused_and_never_0);
	tcase_add_test(c, a_history_of_an_epoch_that_was_never_promised_is_refused);
	tcase_add_test(c, records_above_the_current_epoch_are_no_fault);
	tcase_add_test(c, an_accepted_epoch_below_the_current_one_is_raised);
	tcase_add_test(c, promises_are_durable_when_they_are_made);
	tcase_add_test(c, a_power_loss_at_any_operation_keeps_every_promise);
	tcase_add_test(c, a_crash_at_any_operation_keeps_every_promise);
	tcase_add_test(c, a_failing_disk_at_any_operation_breaks_no_promise);
	tcase_add_test(c, a_disk_that_does_not_sync_is_found_out_by_these_tests);
	suite_add_tcase(s, c);
	return s;
}
