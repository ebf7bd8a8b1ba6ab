/* SPDX-License-Identifier: Apache-2.0 */
/* Writes: what they answer, why they are refused, and their order beside reads. */
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"
#include "zkserver/core/tree_priv.h"

START_TEST(a_created_node_has_the_stat_that_apaches_server_shows)
{
	struct reply reply;
	struct stat s;

	join(&clients[0]);
	reply = do_create(&clients[0], "/a", 0);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(reply.zxid, 2);
	expect_text(&reply.r, "/a");
	s = stat_of(&clients[0], "/a");
	ck_assert_int_eq(s.czxid, 2);
	ck_assert_int_eq(s.mzxid, 2);
	ck_assert_int_eq(s.pzxid, 2);
	ck_assert_int_eq(s.ctime, WALL_MS);
	ck_assert_int_eq(s.data_len, 4);
	ck_assert_int_eq(s.version + s.cversion + s.aversion + s.children, 0);
	ck_assert_int_eq(s.owner, 0);
	ck_assert_int_eq(stat_of(&clients[0], "/zookeeper").cversion, -2);
}
END_TEST

START_TEST(cversion_counts_creates_and_deletes)
{
	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(do_create(&clients[0], "/a/s-", ZK_SEQUENTIAL).error, ZK_OK);
	do_version(&clients[0], ZK_OP_DELETE, "/a/s-0000000001", -1);
	ck_assert_int_eq(stat_of(&clients[0], "/a").cversion, 4);
	ck_assert_int_eq(stat_of(&clients[0], "/a").children, 2);
}
END_TEST

START_TEST(a_sequence_counts_creates_and_no_deletion_disturbs_it)
{
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a/x", ZK_SEQUENTIAL);
	do_version(&clients[0], ZK_OP_DELETE, "/a/x0000000000", -1);
	reply = do_create(&clients[0], "/a/", ZK_SEQUENTIAL);
	expect_text(&reply.r, "/a/0000000001");
}
END_TEST

START_TEST(creates_are_refused_in_apaches_order)
{
	static const uint8_t nobody[] = "\0\0\0\0", odd[] = "\0\0\0\1\0\0\0\37\0\0\0\3odd\0\0\0\1x";
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/e", ZK_EPHEMERAL);
	ck_assert_int_eq(
	    do_create_acl(c, "nopath", nobody, 4, 99).error, ZK_BADARGUMENTS); /* the mode */
	ck_assert_int_eq(
	    do_create_acl(c, "/x", nobody, 4, ZK_PERSISTENT_TTL).error, ZK_UNIMPLEMENTED);
	ck_assert_int_eq(do_create_acl(c, "nopath", nobody, 4, 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create_acl(c, "/no/x", nobody, 4, 0).error, ZK_INVALIDACL);
	ck_assert_int_eq(do_create_acl(c, "/no/x", odd, sizeof odd - 1, 0).error, ZK_INVALIDACL);
	ck_assert_int_eq(do_create(c, "/a//b", 0).error, ZK_NONODE);
	ck_assert_int_eq(do_create(c, "/e/.", 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create(c, "/a\001", 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create(c, "/e", 0).error, ZK_NODEEXISTS);
	ck_assert_int_eq(do_create(c, "/e/x", 0).error, ZK_NOCHILDRENFOREPHEMERALS);
	ck_assert_int_eq(do_create(c, "/", 0).error, ZK_NODEEXISTS);
}
END_TEST

START_TEST(deletes_and_sets_are_refused_in_apaches_order)
{
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/a", 0);
	do_create(c, "/a/b", 0);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_version(c, ZK_OP_DELETE, "/zookeeper/quota", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/no/x", -1).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/no", 5).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", 5).error, ZK_BADVERSION);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", 0).error, ZK_NOTEMPTY);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a/", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/no", -1).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", 3).error, ZK_BADVERSION);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/zookeeper/config", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", 0).error, ZK_OK);
	ck_assert_int_eq(stat_of(c, "/a").version, 1);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a/b", 0).error, ZK_OK);
}
END_TEST

START_TEST(a_refused_write_uses_a_zxid_and_is_logged)
{
	struct reply reply;
	struct txn_header h;
	struct jute_reader r;

	join(&clients[0]);
	buf_clear(&logged);
	reply = do_version(&clients[0], ZK_OP_DELETE, "/no", -1);
	ck_assert_int_eq(reply.zxid, 2);
	ck_assert_uint_eq(reply.size, 16);
	r = jute_reader(logged.data, logged.len);
	ck_assert_int_eq(jute_get_i32(&r), TXN_HEADER_BYTES + 4); /* and no digest */
	ck_assert(txn_decode_header(&h, r.pos, jute_left(&r)));
	ck_assert_int_eq(h.type, ZK_OP_ERROR);
	ck_assert_int_eq(h.zxid, 2);
}
END_TEST

/* What a node's data or ACL has been changed that often. */
static void
set_version(const char *path, int32_t version, int32_t aversion)
{
	struct jute_bytes p = {(const uint8_t *)path, (int32_t)strlen(path)};
	struct tree_node *n = tree_find(&db.tree, p);
	struct tree_stat stat = tree_node_stat(&db.tree, n);

	stat.version = version;
	stat.aversion = aversion;
	tree_node_set_stat(n, &stat);
	tree_node_set_digest(&db.tree, n, tree_digest_of(tree_crc(p, tree_node_data(n)), &stat));
	prep_reset(&server.prep);
}

static int
do_set_acl(struct client *c, const char *path, int32_t version)
{
	header(1, ZK_OP_SET_ACL);
	jute_put_text(&request, path);
	buf_append(&request, WORLD_ALL, sizeof WORLD_ALL - 1);
	jute_put_i32(&request, version);
	send_request(c);
	sync_log();
	return next_reply(c).error;
}

/* ZOOKEEPER-4743: a version of -1 would match whatever was expected. */
START_TEST(zk4743_no_version_is_the_one_that_means_any)
{
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/a", 0);
	set_version("/a", INT32_MAX, INT32_MAX);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", INT32_MAX).error, ZK_OK);
	ck_assert_int_eq(do_set_acl(c, "/a", INT32_MAX), ZK_OK);
	ck_assert_int_eq(stat_of(c, "/a").version, INT32_MIN);
	ck_assert_int_eq(stat_of(c, "/a").aversion, INT32_MIN);
	set_version("/a", -2, -2);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", -2).error, ZK_OK);
	ck_assert_int_eq(do_set_acl(c, "/a", -2), ZK_OK);
	ck_assert_int_eq(stat_of(c, "/a").version, 0);
	ck_assert_int_eq(stat_of(c, "/a").aversion, 0);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", 1).error, ZK_BADVERSION);
}
END_TEST

START_TEST(writes_in_flight_see_each_other)
{
	struct client *c = &clients[0];

	join(c);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	header(2, ZK_OP_CREATE);
	put_create("/a/b", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	send_request(c);
	header(3, ZK_OP_DELETE);
	jute_put_text(&request, "/a");
	jute_put_i32(&request, -1);
	send_request(c);
	ck_assert(!has_reply(c));
	sync_log();
	ck_assert_int_eq(next_reply(c).error, ZK_OK);
	ck_assert_int_eq(next_reply(c).error, ZK_OK);
	ck_assert_int_eq(next_reply(c).error, ZK_NOTEMPTY);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(reads_wait_behind_writes_of_their_own_session_only)
{
	struct reply reply;

	join(&clients[0]);
	join(&clients[1]);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(&clients[0]);
	header(2, ZK_OP_EXISTS);
	jute_put_text(&request, "/a");
	jute_put_bool(&request, false);
	send_request(&clients[0]);
	header(3, ZK_OP_PING);
	send_request(&clients[0]);
	ck_assert(!has_reply(&clients[0]));
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/a", false).error, ZK_NONODE);
	sync_log();
	ck_assert_int_eq(next_reply(&clients[0]).xid, 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.xid, 2);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(next_reply(&clients[0]).xid, ZK_XID_PING);
	ck_assert(!has_reply(&clients[0]));
}
END_TEST

START_TEST(a_connection_that_closes_leaves_its_writes_to_be_carried_out)
{
	join(&clients[0]);
	join(&clients[1]);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(&clients[0]);
	close_client(&clients[0]);
	sync_log();
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/a", false).error, ZK_OK);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_write");
	TCase *c = tcase_create("write");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, a_created_node_has_the_stat_that_apaches_server_shows);
	tcase_add_test(c, cversion_counts_creates_and_deletes);
	tcase_add_test(c, a_sequence_counts_creates_and_no_deletion_disturbs_it);
	tcase_add_test(c, creates_are_refused_in_apaches_order);
	tcase_add_test(c, deletes_and_sets_are_refused_in_apaches_order);
	tcase_add_test(c, a_refused_write_uses_a_zxid_and_is_logged);
	tcase_add_test(c, zk4743_no_version_is_the_one_that_means_any);
	tcase_add_test(c, writes_in_flight_see_each_other);
	tcase_add_test(c, reads_wait_behind_writes_of_their_own_session_only);
	tcase_add_test(c, a_connection_that_closes_leaves_its_writes_to_be_carried_out);
	suite_add_tcase(s, c);
	return s;
}
