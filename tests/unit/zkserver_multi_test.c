/* SPDX-License-Identifier: Apache-2.0 */
/* Multi and multiRead: several operations in one request. */
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

static void
put_version_part(int32_t op, const char *path, int32_t version)
{
	put_part(op);
	jute_put_text(&request, path);
	if (op == ZK_OP_SET_DATA)
		jute_put_text(&request, "multi");
	jute_put_i32(&request, version);
}

static void
expect_part(struct jute_reader *r, int32_t type, int32_t error)
{
	ck_assert_int_eq(jute_get_i32(r), type);
	ck_assert(!jute_get_bool(r));
	ck_assert_int_eq(jute_get_i32(r), error);
}

static void
expect_failed(struct jute_reader *r, int32_t error)
{
	expect_part(r, -1, error);
	ck_assert_int_eq(jute_get_i32(r), error);
}

static void
expect_end(struct jute_reader *r)
{
	ck_assert_int_eq(jute_get_i32(r), -1);
	ck_assert(jute_get_bool(r));
	ck_assert_int_eq(jute_get_i32(r), -1);
	ck_assert_uint_eq(jute_left(r), 0);
}

START_TEST(a_multi_has_one_zxid_and_its_parts_see_each_other)
{
	struct reply reply;
	struct stat s;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	put_part(ZK_OP_CREATE2);
	put_create("/m", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	put_version_part(ZK_OP_SET_DATA, "/m", 0);
	put_version_part(ZK_OP_CHECK, "/m", 1);
	put_part(ZK_OP_CREATE);
	put_create("/m/s", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	put_version_part(ZK_OP_DELETE, "/m/s0000000000", -1);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_part(&reply.r, ZK_OP_CREATE, 0); /* as Apache's: a create2 in a multi is a create */
	expect_text(&reply.r, "/m");
	expect_part(&reply.r, ZK_OP_SET_DATA, 0);
	s = get_stat(&reply.r);
	ck_assert_int_eq(s.version, 1);
	ck_assert_int_eq(s.mzxid, 2);
	expect_part(&reply.r, ZK_OP_CHECK, 0);
	expect_part(&reply.r, ZK_OP_CREATE, 0);
	expect_text(&reply.r, "/m/s0000000000");
	expect_part(&reply.r, ZK_OP_DELETE, 0);
	expect_end(&reply.r);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_multi_that_fails_changes_nothing_and_burns_no_sequence_number)
{
	uint64_t digest;
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/m", 0);
	digest = db.tree.digest;
	header(1, ZK_OP_MULTI);
	put_part(ZK_OP_CREATE);
	put_create("/m/s", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	put_version_part(ZK_OP_SET_DATA, "/m", -1);
	put_version_part(ZK_OP_CHECK, "/m", 77);
	put_version_part(ZK_OP_DELETE, "/m", -1);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	expect_failed(&reply.r, ZK_BADVERSION);
	expect_failed(&reply.r, ZK_RUNTIMEINCONSISTENCY);
	expect_end(&reply.r);
	ck_assert_uint_eq(db.tree.digest, digest);
	ck_assert_uint_eq(db.digest_mismatches, 0);
	reply = do_create(&clients[0], "/m/s", ZK_SEQUENTIAL);
	expect_text(&reply.r, "/m/s0000000000");
	ck_assert_int_eq(stat_of(&clients[0], "/m").version, 0);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(an_empty_multi_is_answered_and_a_broken_one_is_a_marshalling_error)
{
	struct reply reply;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.zxid, 2);
	expect_end(&reply.r);
	header(2, ZK_OP_MULTI);
	put_part(ZK_OP_GET_DATA);
	ck_assert_int_eq(do_multi(&clients[0]).error, ZK_MARSHALLINGERROR);
	header(3, ZK_OP_MULTI);
	put_part(ZK_OP_CREATE);
	put_create("/x", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 99);
	reply = do_multi(&clients[0]); /* this could be read, so it fails as a part */
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(reply.zxid, 4);
	expect_failed(&reply.r, ZK_BADARGUMENTS);
	expect_end(&reply.r);
}
END_TEST

START_TEST(a_multi_that_would_outgrow_the_log_fails)
{
	static char user[1001];
	struct reply reply;

	join(&clients[0]);
	memset(user, 'u', sizeof user - 1);
	for (int i = 0; i < 20; i++) {
		user[0] = (char)('a' + i);
		ck_assert(server_conn_identify(&clients[0].conn, "digest", user));
	}
	header(1, ZK_OP_MULTI);
	/* Each "auth" becomes twenty entries of a kilobyte. */
	while (request.len < 100000) {
		put_part(ZK_OP_CREATE);
		put_create("/s", "x", AUTH_ALL, sizeof AUTH_ALL - 1, ZK_SEQUENTIAL);
	}
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	ck_assert_uint_lt(logged.len, 32 << 20);
	ck_assert_int_eq(
	    do_read(&clients[0], ZK_OP_EXISTS, "/s0000000000", false).error, ZK_NONODE);
}
END_TEST

static void
put_read_part(int32_t op, const char *path)
{
	put_part(op);
	jute_put_text(&request, path);
	jute_put_bool(&request, true);
}

static void
expect_read_part(struct jute_reader *r, int32_t op, int32_t error)
{
	ck_assert_int_eq(jute_get_i32(r), op);
	ck_assert(jute_get_bool(r) == (op == -1 && error == -1));
	ck_assert_int_eq(jute_get_i32(r), error);
}

START_TEST(a_multi_read_answers_each_part_and_sets_no_watch)
{
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/a", ZK_PERSISTENT);
	header(9, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/none");
	put_read_part(ZK_OP_GET_DATA, "/a");
	put_read_part(ZK_OP_GET_CHILDREN, "/a");
	put_parts_end();
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_read_part(&reply.r, ZK_OP_ERROR, ZK_NONODE);
	ck_assert_int_eq(jute_get_i32(&reply.r), ZK_NONODE);
	expect_read_part(&reply.r, ZK_OP_GET_DATA, ZK_OK);
	expect_text(&reply.r, "data");
	get_stat(&reply.r);
	expect_read_part(&reply.r, ZK_OP_GET_CHILDREN, ZK_OK);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
	expect_read_part(&reply.r, -1, -1);
	ck_assert_uint_eq(jute_left(&reply.r), 0);
	ck_assert_uint_eq(clients[0].conn.watcher.count, 0);
}
END_TEST

START_TEST(a_multi_read_with_a_write_or_cut_short_is_refused_whole)
{
	struct reply reply;

	join(&clients[0]);
	header(9, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/");
	put_read_part(ZK_OP_EXISTS, "/");
	put_parts_end();
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_MARSHALLINGERROR);
	ck_assert_uint_eq(jute_left(&reply.r), 0);
	header(10, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/");
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_multi");
	TCase *c = tcase_create("multi");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_multi_has_one_zxid_and_its_parts_see_each_other);
	tcase_add_test(c, a_multi_that_fails_changes_nothing_and_burns_no_sequence_number);
	tcase_add_test(c, an_empty_multi_is_answered_and_a_broken_one_is_a_marshalling_error);
	tcase_add_test(c, a_multi_that_would_outgrow_the_log_fails);
	tcase_add_test(c, a_multi_read_answers_each_part_and_sets_no_watch);
	tcase_add_test(c, a_multi_read_with_a_write_or_cut_short_is_refused_whole);
	suite_add_tcase(s, c);
	return s;
}
