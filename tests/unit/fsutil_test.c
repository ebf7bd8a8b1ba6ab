/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static char path[512];

/* A path below the test's own directory. */
static const char *
in_tmp(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	return path;
}

START_TEST(what_was_written_is_read_and_the_mode_is_as_asked)
{
	struct buf b;
	struct stat st;

	buf_init(&b, 1000);
	ck_assert(fsutil_write_atomic(in_tmp("f"), "one", 3, 0600));
	ck_assert(fsutil_write_atomic(in_tmp("f"), "second", 6, 0600));
	ck_assert(fsutil_read(in_tmp("f"), 6, &b));
	ck_assert_str_eq(buf_text(&b), "second");
	buf_clear(&b);
	ck_assert(fsutil_write_fleeting(in_tmp("f"), "third", 5, 0640));
	ck_assert(fsutil_read(in_tmp("f"), 6, &b));
	ck_assert_str_eq(buf_text(&b), "third");
	ck_assert_int_eq(stat(in_tmp("f"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	buf_fini(&b);
}
END_TEST

START_TEST(a_file_beyond_the_bound_is_refused_and_the_buffer_is_as_before)
{
	char big[40000];
	struct buf b;

	memset(big, 'x', sizeof big);
	buf_init(&b, 100000);
	buf_append(&b, "ab", 2);
	ck_assert(fsutil_write_atomic(in_tmp("f"), big, sizeof big, 0600));
	ck_assert(!fsutil_read(in_tmp("f"), sizeof big - 1, &b));
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_uint_eq(b.len, 2);
	ck_assert(fsutil_read(in_tmp("f"), sizeof big, &b));
	ck_assert_uint_eq(b.len, 2 + sizeof big);
	ck_assert(!fsutil_read(in_tmp("missing"), 10, &b));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert(!fsutil_read(unit_tmpdir(), 10, &b));
	ck_assert_int_eq(errno, EISDIR);
	buf_fini(&b);
}
END_TEST

START_TEST(a_failed_write_leaves_nothing_behind)
{
	ck_assert(!fsutil_write_atomic(in_tmp("no/such/f"), "x", 1, 0600));
	ck_assert_int_eq(errno, ENOENT);
	/* A directory cannot be renamed over: the temporary file must go. */
	ck_assert_int_eq(mkdir(in_tmp("d"), 0700), 0);
	ck_assert(!fsutil_write_atomic(in_tmp("d"), "x", 1, 0600));
	ck_assert_int_eq(rmdir(in_tmp("d")), 0);
	ck_assert_int_eq(rmdir(unit_tmpdir()), 0);
}
END_TEST

START_TEST(missing_parents_are_made_and_files_in_the_way_are_said)
{
	ck_assert(fsutil_mkdirs(in_tmp("a/b//c/"), 0755));
	ck_assert(fsutil_mkdirs(in_tmp("a/b/c"), 0755));
	ck_assert(fsutil_write_atomic(in_tmp("a/f"), "", 0, 0600));
	ck_assert(!fsutil_mkdirs(in_tmp("a/f/g"), 0755));
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert(!fsutil_mkdirs(in_tmp("a/f"), 0755));
	ck_assert(!fsutil_mkdirs("", 0755));
}
END_TEST

START_TEST(a_tree_goes_with_all_it_holds_and_links_are_not_followed)
{
	ck_assert(fsutil_mkdirs(in_tmp("t/a/b"), 0755));
	ck_assert(fsutil_mkdirs(in_tmp("keep/me"), 0755));
	ck_assert(fsutil_write_atomic(in_tmp("keep/f"), "x", 1, 0600));
	ck_assert(fsutil_write_atomic(in_tmp("t/a/f"), "x", 1, 0400));
	ck_assert_int_eq(symlink("../../keep", in_tmp("t/a/link")), 0);
	ck_assert_int_eq(mkfifo(in_tmp("t/a/b/fifo"), 0600), 0);
	ck_assert_int_eq(chmod(in_tmp("t/a/b"), 0), 0);
	ck_assert(fsutil_remove_tree(AT_FDCWD, in_tmp("t")));
	ck_assert_int_ne(access(in_tmp("t"), F_OK), 0);
	ck_assert_int_eq(access(in_tmp("keep/me"), F_OK), 0);
	ck_assert_int_eq(access(in_tmp("keep/f"), F_OK), 0);
	ck_assert(fsutil_remove_tree(AT_FDCWD, in_tmp("t")));
	ck_assert_int_eq(symlink("keep", in_tmp("l")), 0);
	ck_assert(fsutil_remove_tree(AT_FDCWD, in_tmp("l")));
	ck_assert_int_eq(access(in_tmp("keep/f"), F_OK), 0);
	ck_assert(fsutil_remove_tree(AT_FDCWD, in_tmp("keep/f")));
	ck_assert_int_ne(access(in_tmp("keep/f"), F_OK), 0);
}
END_TEST

/* Deeper than descriptors and path names reach. */
START_TEST(a_tree_of_any_depth_goes)
{
	int fd, below;

	ck_assert_int_eq(mkdir(in_tmp("deep"), 0755), 0);
	fd = open(in_tmp("deep"), O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 3000; i++) {
		ck_assert_int_eq(mkdirat(fd, "d", 0755), 0);
		ck_assert_int_eq(mkdirat(fd, ".removing-0", 0755), 0);
		ck_assert_int_ge(below = openat(fd, "d", O_RDONLY | O_DIRECTORY), 0);
		close(fd);
		fd = below;
	}
	close(fd);
	ck_assert_msg(fsutil_remove_tree(AT_FDCWD, in_tmp("deep")), "%s", strerror(errno));
	ck_assert_int_ne(access(in_tmp("deep"), F_OK), 0);
}
END_TEST

START_TEST(random_bytes_differ)
{
	unsigned char a[32], b[32];

	ck_assert(fsutil_random(a, sizeof a) && fsutil_random(b, sizeof b));
	ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("fsutil");
	TCase *t = tcase_create("fsutil");

	tcase_add_test(t, what_was_written_is_read_and_the_mode_is_as_asked);
	tcase_add_test(t, a_file_beyond_the_bound_is_refused_and_the_buffer_is_as_before);
	tcase_add_test(t, a_failed_write_leaves_nothing_behind);
	tcase_add_test(t, missing_parents_are_made_and_files_in_the_way_are_said);
	tcase_add_test(t, a_tree_goes_with_all_it_holds_and_links_are_not_followed);
	tcase_add_test(t, a_tree_of_any_depth_goes);
	tcase_add_test(t, random_bytes_differ);
	suite_add_tcase(s, t);
	return s;
}
