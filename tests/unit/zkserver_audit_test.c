/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail of the core, driven by frames. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

#define WHO "\tuser=127.0.0.1\tip=127.0.0.1\toperation="

static struct audit audit;
static char lines[4096]; /* each with its session as 0xS */
static int failures;

static void
on_line(void *arg, const char *text, size_t size, bool failure)
{
	size_t at = strlen(lines), skip = 0;

	(void)arg;
	failures += failure;
	if (strncmp(text, "session=0x", 10) == 0) {
		skip = strcspn(text, "\t");
		at += (size_t)snprintf(lines + at, sizeof lines - at, "session=0xS");
	}
	snprintf(lines + at, sizeof lines - at, "%.*s\n", (int)(size - skip), text + skip);
}

static void
setup(void)
{
	rig_setup();
	audit = (struct audit){.line = on_line, .user = "me"};
	audit_init(&audit);
	server.audit = &audit;
	lines[0] = '\0';
	failures = 0;
}

static void
teardown(void)
{
	audit_fini(&audit);
	rig_teardown();
}

static void
expect_lines(const char *text)
{
	ck_assert_str_eq(lines, text);
	ck_assert_uint_eq(audit.waiting.len, 0);
	lines[0] = '\0';
}

START_TEST(what_is_done_and_what_is_refused_leave_a_line_each)
{
	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a/s-", ZK_EPHEMERAL_SEQUENTIAL);
	do_version(&clients[0], ZK_OP_DELETE, "/none", -1);
	do_read(&clients[0], ZK_OP_GET_DATA, "/a", false);
	expect_lines(
	    "session=0xS" WHO "create\tznode=/a\tznode_type=persistent\tresult=success\n"
	    "session=0xS" WHO "create\tznode=/a\tznode_type=persistent\tresult=failure\n"
	    "session=0xS" WHO
	    "create\tznode=/a/s-0000000000\tznode_type=ephemeral_sequential\tresult=success\n"
	    "session=0xS" WHO "delete\tznode=/none\tresult=failure\n");
	ck_assert_int_eq(failures, 2);
}
END_TEST

START_TEST(a_line_waits_until_the_change_is_durable)
{
	join(&clients[0]);
	header(1, ZK_OP_CREATE);
	put_create("/a", "", WORLD_ALL, sizeof WORLD_ALL, 0);
	send_request(&clients[0]);
	take_records();
	ck_assert_str_eq(lines, "");
	close_client(&clients[0]); /* whoever asked for it need not be there any more */
	sync_log();
	expect_lines("session=0xS" WHO "create\tznode=/a\tznode_type=persistent\tresult=success\n");
}
END_TEST

START_TEST(control_characters_cannot_forge_a_line)
{
	join(&clients[0]);
	do_create(&clients[0], "/a\nresult=success\t\x01", 0);
	expect_lines(
	    "session=0xS" WHO "create\tznode=/a\\x0aresult=success\\x09\\x01\tznode_type=persistent"
	    "\tresult=failure\n");
}
END_TEST

START_TEST(an_ephemeral_node_that_goes_with_its_session_leaves_a_line)
{
	join(&clients[0]);
	do_create(&clients[0], "/e", ZK_EPHEMERAL);
	lines[0] = '\0';
	header(1, ZK_OP_CLOSE_SESSION);
	send_request(&clients[0]);
	take_records();
	sync_log();
	expect_lines("session=0xS\tuser=me\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire"
		     "\tznode=/e\tresult=success\n");
}
END_TEST

START_TEST(a_request_that_ends_too_early_is_audited_with_what_it_has)
{
	static const int32_t ops[] = {
	    ZK_OP_CREATE, ZK_OP_CREATE2, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_SET_ACL, ZK_OP_MULTI};

	join(&clients[0]);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		header((int32_t)i, ops[i]);
		send_request(&clients[0]);
		take_records();
		sync_log();
		ck_assert(has_reply(&clients[0]));
		ck_assert_int_ne(next_reply(&clients[0]).error, ZK_OK);
	}
	ck_assert_uint_eq(audit.waiting.len, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_audit");
	TCase *c = tcase_create("zkserver_audit");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_is_done_and_what_is_refused_leave_a_line_each);
	tcase_add_test(c, a_line_waits_until_the_change_is_durable);
	tcase_add_test(c, control_characters_cannot_forge_a_line);
	tcase_add_test(c, an_ephemeral_node_that_goes_with_its_session_leaves_a_line);
	tcase_add_test(c, a_request_that_ends_too_early_is_audited_with_what_it_has);
	suite_add_tcase(s, c);
	return s;
}
