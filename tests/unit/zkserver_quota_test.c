/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas: what is counted where, what a limit refuses, what is said of it. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

#define NOTICE_MS 60000

static struct jute_bytes
bytes(const char *text)
{
	return (struct jute_bytes){(const uint8_t *)text, (int32_t)strlen(text)};
}

static int
make(const char *path, const char *data)
{
	header(1, ZK_OP_CREATE);
	put_create(path, data, WORLD_ALL, sizeof WORLD_ALL - 1, ZK_PERSISTENT);
	send_request(&clients[0]);
	sync_log();
	return next_reply(&clients[0]).error;
}

static int
set(const char *path, const char *data, int32_t version)
{
	header(1, ZK_OP_SET_DATA);
	jute_put_text(&request, path);
	jute_put_text(&request, data);
	jute_put_i32(&request, version);
	send_request(&clients[0]);
	sync_log();
	return next_reply(&clients[0]).error;
}

static int
drop(const char *path)
{
	return do_version(&clients[0], ZK_OP_DELETE, path, -1).error;
}

/* As Apache's setquota: the nodes above, the limits, the statistics. */
static void
set_quota(const char *path, const char *limits)
{
	char node[100];

	for (const char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
		snprintf(node, sizeof node, "/zookeeper/quota%.*s",
		    at == NULL ? (int)strlen(path) : (int)(at - path), path);
		make(node, "");
		if (at == NULL)
			break;
	}
	snprintf(node, sizeof node, "/zookeeper/quota%s/zookeeper_limits", path);
	ck_assert_int_eq(make(node, limits), ZK_OK);
	snprintf(node, sizeof node, "/zookeeper/quota%s/zookeeper_stats", path);
	ck_assert_int_eq(make(node, "count=0,bytes=0"), ZK_OK);
}

static void
expect_stats(const char *path, const char *text)
{
	char node[100];
	struct jute_bytes data;

	snprintf(node, sizeof node, "/zookeeper/quota%s/zookeeper_stats", path);
	data = tree_node_data(tree_find(&db.tree, bytes(node)));
	ck_assert_int_eq(data.len, (int32_t)strlen(text));
	ck_assert_mem_eq(data.data, text, strlen(text));
}

START_TEST(a_new_quota_counts_what_is_there_and_then_what_changes)
{
	join(&clients[0]);
	make("/a", "12345");
	make("/a/b", "123");
	make("/ab", "1");
	set_quota("/a", "count=100,bytes=-1");
	expect_stats("/a", "count=2,bytes=8");
	make("/a/b/c", "1234");
	make("/ab/c", "1234");
	expect_stats("/a", "count=3,bytes=12");
	set("/a/b", "", -1);
	expect_stats("/a", "count=3,bytes=9");
	drop("/a/b/c");
	expect_stats("/a", "count=2,bytes=5");
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(nobody_sees_the_statistics_being_kept)
{
	struct stat before, after;

	join(&clients[0]);
	make("/a", "");
	set_quota("/a", "count=100,bytes=-1");
	before = stat_of(&clients[0], "/zookeeper/quota/a/zookeeper_stats");
	do_read(&clients[0], ZK_OP_GET_DATA, "/zookeeper/quota/a/zookeeper_stats", true);
	make("/a/b", "123456");
	ck_assert(!has_reply(&clients[0]));
	after = stat_of(&clients[0], "/zookeeper/quota/a/zookeeper_stats");
	ck_assert_int_eq(after.mzxid, before.mzxid);
	ck_assert_int_eq(after.version, before.version);
	ck_assert_int_eq(after.mtime, before.mtime);
}
END_TEST

START_TEST(the_deepest_quota_counts_and_a_removed_one_does_not)
{
	join(&clients[0]);
	make("/a", "");
	make("/a/b", "");
	set_quota("/a", "count=100,bytes=-1");
	set_quota("/a/b", "count=100,bytes=-1");
	make("/a/b/c", "1");
	expect_stats("/a", "count=2,bytes=0");
	expect_stats("/a/b", "count=2,bytes=1");
	drop("/zookeeper/quota/a/b/zookeeper_limits");
	make("/a/b/d", "1");
	expect_stats("/a", "count=3,bytes=1");
	expect_stats("/a/b", "count=2,bytes=1");
	ck_assert_uint_eq(db.tree.limits_count, 1);
}
END_TEST

START_TEST(a_hard_limit_refuses_what_would_pass_it_before_the_version_is_looked_at)
{
	server.prep.enforce_quota = true;
	join(&clients[0]);
	make("/a", "12");
	set_quota("/a", "count=-1,bytes=-1=;byteHardLimit=6;countHardLimit=2");
	ck_assert_int_eq(make("/a/big", "12345"), ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(make("/a/b", "12"), ZK_OK);
	ck_assert_int_eq(make("/a/c", ""), ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(make("/a", ""), ZK_NODEEXISTS);
	ck_assert_int_eq(set("/a/b", "12345", 77), ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(set("/a/b", "123", 77), ZK_BADVERSION);
	ck_assert_int_eq(set("/a/b", "1234", -1), ZK_OK);
	ck_assert_int_eq(set("/a/b", "4321", -1), ZK_OK);
	expect_stats("/a", "count=2,bytes=6");
	drop("/a/b");
	ck_assert_int_eq(make("/a/c", ""), ZK_OK);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

/* ZOOKEEPER-4219: what a multi has made itself is there for its later parts. */
START_TEST(zk4219_a_multi_may_set_under_a_quota_what_it_has_made)
{
	join(&clients[0]);
	server.prep.enforce_quota = true;
	make("/a", "");
	set_quota("/a", "countHardLimit=5,byteHardLimit=9");
	header(1, ZK_OP_MULTI);
	put_part(ZK_OP_CREATE);
	put_create("/a/b", "1", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	for (int i = 0; i < 2; i++) {
		put_part(ZK_OP_SET_DATA);
		jute_put_text(&request, "/a/b");
		jute_put_text(&request, i == 0 ? "123456" : "123");
		jute_put_i32(&request, i);
	}
	ck_assert_int_eq(do_multi(&clients[0]).error, ZK_OK);
	ck_assert_int_eq(stat_of(&clients[0], "/a/b").version, 2);
	expect_stats("/a", "count=2,bytes=3");
	ck_assert_int_eq(set("/a/b", "1234567890", -1), ZK_QUOTAEXCEEDED);
}
END_TEST

START_TEST(without_enforcement_a_hard_limit_only_counts)
{
	join(&clients[0]);
	make("/a", "");
	set_quota("/a", "count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=0");
	ck_assert_int_eq(make("/a/b", "12"), ZK_OK);
	expect_stats("/a", "count=2,bytes=2");
}
END_TEST

START_TEST(a_soft_limit_is_told_once_a_minute)
{
	const char *notice;
	uint64_t count;

	server.prep.enforce_quota = true;
	join(&clients[0]);
	make("/a", "");
	set_quota("/a", "count=1,bytes=-1");
	ck_assert_ptr_null(server_quota_notice(&server, &count));
	ck_assert_int_eq(make("/a/b", ""), ZK_OK);
	ck_assert_int_eq(make("/a/c", ""), ZK_OK);
	notice = server_quota_notice(&server, &count);
	ck_assert_str_eq(notice, "/a: nodes 3, soft limit 1");
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(make("/a/d", ""), ZK_OK);
	ck_assert_ptr_null(server_quota_notice(&server, &count));
	server_set_time(&server, server.now_ms + NOTICE_MS, server.wall_ms + NOTICE_MS);
	ck_assert_str_eq(server_quota_notice(&server, &count), "/a: nodes 4, soft limit 1");
	ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(limits_are_read_as_apaches_tools_write_them)
{
	struct quota q = quota_parse(bytes("count=5,bytes=7=;byteHardLimit=70;countHardLimit=50"));

	ck_assert_int_eq(q.count, 5);
	ck_assert_int_eq(q.bytes, 7);
	ck_assert_int_eq(q.count_hard, 50);
	ck_assert_int_eq(q.bytes_hard, 70);
	q = quota_parse(bytes(";,count=,bytes=x=,,countHardLimit=-1;what=3;none"));
	ck_assert_int_eq(q.count, -1);
	ck_assert_int_eq(q.bytes, -1);
	ck_assert_int_eq(q.count_hard, -1);
	ck_assert_int_eq(q.bytes_hard, -1);
	q = quota_parse((struct jute_bytes){NULL, -1});
	ck_assert_int_eq(q.count, -1);
}
END_TEST

START_TEST(statistics_that_a_client_set_go_on_from_there_below_zero_and_with_limits)
{
	join(&clients[0]);
	make("/a", "");
	make("/a/b", "12345");
	set_quota("/a", "count=10,bytes=-1");
	set("/zookeeper/quota/a/zookeeper_stats", "count=1,bytes=1=;countHardLimit=7", -1);
	drop("/a/b");
	expect_stats("/a", "count=0,bytes=-4=;countHardLimit=7");
	make("/a/b", "1");
	expect_stats("/a", "count=1,bytes=-3=;countHardLimit=7");
}
END_TEST

START_TEST(who_makes_statistics_is_told_of_the_bytes_that_it_gave)
{
	struct reply reply;

	join(&clients[0]);
	make("/a", "");
	make("/zookeeper/quota/a", "");
	header(1, ZK_OP_CREATE2);
	put_create("/zookeeper/quota/a/zookeeper_stats", "x", WORLD_ALL, sizeof WORLD_ALL - 1,
	    ZK_PERSISTENT);
	send_request(&clients[0]);
	sync_log();
	reply = next_reply(&clients[0]);
	jute_get_bytes(&reply.r);
	for (int i = 0; i < 13; i++) /* up to dataLength */
		jute_get_i32(&reply.r);
	ck_assert_int_eq(jute_get_i32(&reply.r), 1);
	expect_stats("/a", "count=1,bytes=0");
}
END_TEST

START_TEST(statistics_that_a_client_spoilt_are_counted_from_nothing)
{
	join(&clients[0]);
	make("/a", "");
	set_quota("/a", "count=10,bytes=-1");
	set("/zookeeper/quota/a/zookeeper_stats", "rubbish", -1);
	make("/a/b", "12");
	expect_stats("/a", "count=0,bytes=1");
	drop("/zookeeper/quota/a/zookeeper_stats");
	ck_assert_int_eq(make("/a/c", "12"), ZK_OK);
}
END_TEST

START_TEST(a_quota_of_what_is_not_there_counts_it_when_it_comes)
{
	join(&clients[0]);
	set_quota("/later/than/now", "count=10,bytes=-1");
	expect_stats("/later/than/now", "count=0,bytes=0");
	make("/later", "");
	make("/later/than", "");
	make("/later/than/now", "123");
	expect_stats("/later/than/now", "count=1,bytes=3");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_quota");
	TCase *c = tcase_create("quota");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, a_new_quota_counts_what_is_there_and_then_what_changes);
	tcase_add_test(c, nobody_sees_the_statistics_being_kept);
	tcase_add_test(c, the_deepest_quota_counts_and_a_removed_one_does_not);
	tcase_add_test(c, a_hard_limit_refuses_what_would_pass_it_before_the_version_is_looked_at);
	tcase_add_test(c, zk4219_a_multi_may_set_under_a_quota_what_it_has_made);
	tcase_add_test(c, without_enforcement_a_hard_limit_only_counts);
	tcase_add_test(c, a_soft_limit_is_told_once_a_minute);
	tcase_add_test(c, limits_are_read_as_apaches_tools_write_them);
	tcase_add_test(c, statistics_that_a_client_set_go_on_from_there_below_zero_and_with_limits);
	tcase_add_test(c, who_makes_statistics_is_told_of_the_bytes_that_it_gave);
	tcase_add_test(c, statistics_that_a_client_spoilt_are_counted_from_nothing);
	tcase_add_test(c, a_quota_of_what_is_not_there_counts_it_when_it_comes);
	suite_add_tcase(s, c);
	return s;
}
