/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is, and what it may do. */
#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

static const uint8_t WORLD_READ[] = "\0\0\0\1\0\0\0\1\0\0\0\5world\0\0\0\6anyone";

START_TEST(acls_decide_who_may_do_what)
{
	struct client *owner = &clients[0], *other = &clients[1];
	struct reply reply;

	join(owner);
	join(other);
	ck_assert_int_eq(
	    do_create_acl(owner, "/a", AUTH_ALL, sizeof AUTH_ALL - 1, 0).error, ZK_INVALIDACL);
	ck_assert(server_conn_identify(&owner->conn, "x509", "CN=master,O=c"));
	ck_assert_int_eq(do_create_acl(owner, "/a", AUTH_ALL, sizeof AUTH_ALL - 1, 0).error, ZK_OK);
	ck_assert_int_eq(
	    do_create_acl(owner, "/r", WORLD_READ, sizeof WORLD_READ - 1, 0).error, ZK_OK);
	ck_assert_int_eq(do_create(other, "/a/b", 0).error, ZK_NOAUTH);
	ck_assert_int_eq(do_create(owner, "/a/b", 0).error, ZK_OK);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_DATA, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_EXISTS, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_CHILDREN, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(other, ZK_OP_SET_DATA, "/a", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(other, ZK_OP_DELETE, "/a/b", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_DATA, "/r", false).error, ZK_OK);
	ck_assert_int_eq(do_version(owner, ZK_OP_SET_DATA, "/r", -1).error, ZK_NOAUTH);
	reply = do_read(owner, ZK_OP_GET_ACL, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 1);
	ck_assert_int_eq(jute_get_i32(&reply.r), ACL_ALL);
	expect_text(&reply.r, "x509");
	expect_text(&reply.r, "CN=master,O=c");
}
END_TEST

START_TEST(an_auth_packet_is_left_to_the_shell_and_a_refusal_ends_the_connection)
{
	join(&clients[0]);
	header(ZK_XID_AUTH, ZK_OP_AUTH);
	ck_assert_uint_eq(send_request(&clients[0]), 0);
	server_auth(&server, &clients[0].conn, ZK_XID_AUTH, true);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_OK);
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
	server_auth(&server, &clients[0].conn, ZK_XID_AUTH, false);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_AUTHFAILED);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(who_must_show_an_identity_first_is_told_so_and_ends)
{
	struct reply reply;

	server.settings.schemes = "sasl, digest";
	join(&clients[0]);
	join(&clients[1]);
	ck_assert(server_conn_identify(&clients[1].conn, "digest", "ann:hash"));
	ck_assert_int_eq(do_create(&clients[1], "/a", 0).error, ZK_OK);
	reply = do_create(&clients[0], "/b", 0);
	ck_assert_int_eq(reply.error, ZK_SESSIONCLOSEDREQUIRESASLAUTH);
	ck_assert_int_eq(reply.zxid, 0);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/b", false).error, ZK_NONODE);
}
END_TEST

/* The token of a SASL reply. */
static struct reply
sasl_answer(struct client *c, bool ok, const char *token)
{
	struct jute_bytes bytes = {
	    (const uint8_t *)token, token != NULL ? (int32_t)strlen(token) : -1};

	header(5, ZK_OP_SASL);
	ck_assert_uint_eq(send_request(c), 0);
	server_sasl(&server, &c->conn, 5, ok, bytes);
	return next_reply(c);
}

START_TEST(a_sasl_reply_has_a_token_even_with_an_error)
{
	struct reply reply;

	for (int i = 0; i < 3; i++)
		join(&clients[i]);
	reply = sasl_answer(&clients[0], true, "challenge");
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_text(&reply.r, "challenge");
	reply = sasl_answer(&clients[0], false, NULL);
	ck_assert_int_eq(reply.error, ZK_AUTHFAILED);
	ck_assert_int_eq(jute_get_i32(&reply.r), -1);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
	server.settings.allow_failed_sasl = true;
	reply = sasl_answer(&clients[1], false, NULL);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(jute_get_i32(&reply.r), -1);
	ck_assert_int_eq(clients[1].conn.end, SERVER_OPEN);
	server.settings.schemes = "sasl";
	reply = sasl_answer(&clients[2], false, NULL);
	ck_assert_int_eq(reply.error, ZK_SESSIONCLOSEDREQUIRESASLAUTH);
	ck_assert_int_eq(clients[2].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(a_connection_is_told_who_it_is_without_its_hash)
{
	struct reply reply;

	join(&clients[0]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "ann:hash"));
	header(9, ZK_OP_WHO_AM_I);
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(jute_get_i32(&reply.r), 2);
	expect_text(&reply.r, "ip");
	expect_text(&reply.r, "127.0.0.1");
	expect_text(&reply.r, "digest");
	expect_text(&reply.r, "ann");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_auth");
	TCase *c = tcase_create("auth");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, acls_decide_who_may_do_what);
	tcase_add_test(c, an_auth_packet_is_left_to_the_shell_and_a_refusal_ends_the_connection);
	tcase_add_test(c, who_must_show_an_identity_first_is_told_so_and_ends);
	tcase_add_test(c, a_sasl_reply_has_a_token_even_with_an_error);
	tcase_add_test(c, a_connection_is_told_who_it_is_without_its_hash);
	suite_add_tcase(s, c);
	return s;
}
