/* SPDX-License-Identifier: Apache-2.0 */
/* Changed ensembles, and the files that remember them. */
#include "zkserver/core/reconf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "tests/lib/unit.h"

#define ZXID INT64_C(0x20000000b)

static const char BASE[] = "server.1=127.0.0.1:11:12\nserver.2=127.0.0.1:21:22\n"
			   "server.4=10.9.9.9:7:8:observer;9\nversion=100000000";
static struct members seen, next;
static struct fault fault;
static char printed[65536];

static struct jute_bytes
bytes(const char *text)
{
	return text != NULL ? (struct jute_bytes){(const uint8_t *)text, (int32_t)strlen(text)}
			    : (struct jute_bytes){NULL, -1};
}

static void
start(const char *text)
{
	fault = (struct fault){{0}};
	ck_assert_msg(members_parse(&seen, text, strlen(text), &fault) == 0, "%s", fault.text);
}

static int
apply(const char *joining, const char *leaving, const char *members, bool standalone)
{
	const struct reconf_request r = {
	    .joining = bytes(joining),
	    .leaving = bytes(leaving),
	    .members = bytes(members),
	    .base = -1,
	};

	fault = (struct fault){{0}};
	return reconf_apply(&seen, seen.version, &r, ZXID, standalone, &next, &fault);
}

static const char *
text_of(struct buf *b)
{
	ck_assert(!b->failed);
	memcpy(printed, b->data, b->len);
	printed[b->len] = '\0';
	buf_fini(b);
	return printed;
}

static const char *
print_next(void)
{
	struct buf b;

	buf_init(&b, sizeof printed - 1);
	members_print(&next, &b);
	return text_of(&b);
}

static void
assert_applied(const char *joining, const char *leaving, const char *members, const char *result)
{
	start(BASE);
	ck_assert_msg(apply(joining, leaving, members, true) == ZK_OK, "%s", fault.text);
	ck_assert_str_eq(fault.text, "");
	ck_assert_str_eq(print_next(), result);
	ck_assert_int_eq(next.version, ZXID);
}

static void
assert_refused(const char *joining, const char *leaving, const char *members, const char *why)
{
	start(BASE);
	ck_assert_int_eq(apply(joining, leaving, members, true), ZK_BADARGUMENTS);
	ck_assert_msg(strstr(fault.text, why) != NULL, "%s", fault.text);
}

#define ONE "server.1=127.0.0.1:11:12:participant\n"
#define TWO "server.2=127.0.0.1:21:22:participant\n"
#define FOUR "server.4=10.9.9.9:7:8:observer;0.0.0.0:9\n"
#define VERSION "version=20000000b"

/* As an ensemble of Apache ZooKeeper 3.8.0 answered the same requests. */
START_TEST(requests_give_what_apaches_server_makes_of_them)
{
	assert_applied(NULL, NULL, NULL, ONE TWO FOUR VERSION);
	assert_applied("", "", NULL, ONE TWO FOUR VERSION);
	assert_applied(NULL, "9", NULL, ONE TWO FOUR VERSION);
	assert_applied(NULL, " 4 ,", NULL, ONE TWO VERSION);
	assert_applied("server.5=10.9.9.9:5:9:observer;6", NULL, NULL,
	    ONE TWO FOUR "server.5=10.9.9.9:5:9:observer;0.0.0.0:6\n" VERSION);
	assert_applied("server.3=127.0.0.1:11:2;3", "4", NULL,
	    ONE TWO "server.3=127.0.0.1:11:2:participant;0.0.0.0:3\n" VERSION);
	assert_applied("4=10.9.9.9:17:18:observer;19", NULL, NULL,
	    ONE TWO "server.4=10.9.9.9:17:18:observer;0.0.0.0:19\n" VERSION);
	assert_applied(" server.6 = 10.9.9.9:27:28:observer;29 ", NULL, NULL,
	    ONE TWO FOUR "server.6=10.9.9.9:27:28:observer;0.0.0.0:29\n" VERSION);
	assert_applied("server.7=[::1]:37:38:observer;39", "4", NULL,
	    ONE TWO "server.7=[0:0:0:0:0:0:0:1]:37:38:observer;0.0.0.0:39\n" VERSION);
	assert_applied("server.1=127.0.0.1:11:12:participant;127.0.0.1:20139", "1", NULL,
	    "server.1=127.0.0.1:11:12:participant;127.0.0.1:20139\n" TWO FOUR VERSION);
	assert_applied("server.9=x", "1,2", "server.4=10.9.9.9:1:2;3\nserver.5=10.9.9.8:1:2",
	    "server.4=10.9.9.9:1:2:participant;0.0.0.0:3\nserver.5=10.9.9.8:1:2:"
	    "participant\n" VERSION);
	assert_applied(NULL, NULL,
	    "server.1=a:1:2,server.2=b:1:2,server.8=c:1:2:observer,group.1=1:2,weight.2=5,"
	    "version=77",
	    "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.8=c:1:2:observer\n"
	    "group.1=1:2\nweight.1=1\nweight.2=5\n" VERSION);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_its_reason)
{
	assert_refused(NULL, "x", NULL, "\"x\" leaves: not a server's number");
	assert_refused(NULL, "1", NULL, "fewer than 2 participants are left");
	assert_refused(NULL, "1,2", NULL, "fewer than 2 participants");
	assert_refused("server.4", NULL, NULL, "\"server.4\" joins: not server.N=ADDRESS");
	assert_refused("server.4=a", NULL, NULL, "it is not HOST:");
	assert_refused("server.4=a:1:2", NULL, NULL, "it needs a client port");
	assert_refused("server.4=a:1:2:observer;x", NULL, NULL, "a port is a number");
	assert_refused("server.4=a:1:2:observer;3=5", NULL, NULL, "a port is a number");
	assert_refused("server.4=a:7:7:observer;7", NULL, NULL, "must differ");
	assert_refused("server.x=a:1:2;3", NULL, NULL, "a server's number is");
	assert_refused("server.256=a:1:2;3", NULL, NULL, "a server's number is");
	assert_refused("server.5=10.9.9.9:7:6:observer;5", NULL, NULL,
	    "joins: server.4 has one of its addresses");
	assert_refused("server.5=10.9.9.9:6:7:observer;5", NULL, NULL, "server.4 has one");
	assert_refused("server.5=10.9.9.9:1:2:observer;10.9.9.9:8", NULL, NULL, "server.4 has one");
	assert_refused(NULL, NULL, "", "there is no server.N line");
	assert_refused(NULL, NULL, "x", "it does not belong");
	assert_refused(NULL, NULL, "server.1=a:1:2:observer;3", "all servers are observers");
	assert_refused(NULL, NULL, "server.1=a:1:2", "fewer than 2 participants");
	assert_refused(NULL, NULL, "server.1=a:1:2,server.2=b:1:2,group.1=1", "is in no group");
}
END_TEST

START_TEST(the_checks_come_in_apaches_order)
{
	struct reconf_request r = {bytes("server.4"), bytes("x"), bytes(NULL), 5};

	start(BASE);
	ck_assert_int_eq(reconf_apply(&seen, seen.version - 1, &r, ZXID, true, &next, &fault),
	    ZK_RECONFIGINPROGRESS);
	ck_assert_int_eq(
	    reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_BADVERSION);
	r.base = seen.version;
	ck_assert_int_eq(
	    reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_BADARGUMENTS);
	r = (struct reconf_request){bytes(NULL), bytes(NULL), bytes(NULL), seen.version};
	ck_assert_int_eq(reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_OK);
}
END_TEST

START_TEST(one_voter_is_enough_without_standalone)
{
	start(BASE);
	ck_assert_int_eq(apply(NULL, "1", NULL, false), ZK_OK);
	ck_assert_uint_eq(members_voter_count(&next), 1);
	ck_assert_int_eq(apply(NULL, "1,2", NULL, false), ZK_BADARGUMENTS);
	ck_assert_str_eq(fault.text, "fewer than 1 participants are left");
}
END_TEST

START_TEST(groups_are_changed_as_a_whole_only)
{
	start("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2");
	ck_assert_int_eq(apply("server.3=c:1:2;3", NULL, NULL, true), ZK_BADARGUMENTS);
	ck_assert_ptr_nonnull(strstr(fault.text, "only a whole configuration"));
	ck_assert_int_eq(apply(NULL, NULL, "server.1=a:1:2,server.2=b:1:2", true), ZK_OK);
	ck_assert(!next.hierarchical);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	static const uint8_t zero[] = {'1', 0, '2'};
	struct reconf_request r = {{zero, 3}, bytes(NULL), bytes(NULL), -1};
	char huge[3000];

	start(BASE);
	ck_assert_int_eq(
	    reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_BADARGUMENTS);
	r = (struct reconf_request){bytes(NULL), {zero, 3}, bytes(NULL), -1};
	ck_assert_int_eq(
	    reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_BADARGUMENTS);
	r = (struct reconf_request){bytes(NULL), bytes(NULL), {zero, 3}, -1};
	ck_assert_int_eq(
	    reconf_apply(&seen, seen.version, &r, ZXID, true, &next, &fault), ZK_BADARGUMENTS);
	memset(huge, 'a', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	assert_refused(huge, NULL, NULL, "no text or too long");
	assert_refused(NULL, huge, NULL, "no text or too long");
}
END_TEST

static const char *
dynamic(const char *text, bool with_version)
{
	struct buf b;

	start(text);
	buf_init(&b, sizeof printed - 1);
	reconf_dynamic_text(&seen, with_version, &b);
	return text_of(&b);
}

START_TEST(a_dynamic_file_has_sorted_lines)
{
	static const char text[] = "server.10=a:1:2;3\nserver.2=b:1:2\nweight.2=4\n"
				   "group.7=10:2\nversion=1f";

	ck_assert_str_eq(dynamic(text, false),
	    "group.7=2:10\nserver.10=a:1:2:participant;0.0.0.0:3\n"
	    "server.2=b:1:2:participant\nweight.10=1\nweight.2=4");
	ck_assert_str_eq(dynamic(text, true),
	    "group.7=2:10\nserver.10=a:1:2:participant;0.0.0.0:3\n"
	    "server.2=b:1:2:participant\nversion=1f\nweight.10=1\nweight.2=4");
}
END_TEST

static const char *
edited(const char *text, bool drop_client)
{
	struct buf b;

	buf_init(&b, sizeof printed - 1);
	ck_assert_int_eq(reconf_static_text(
			     text, strlen(text), "/c/zoo.cfg.dynamic.1f", drop_client, &b, &fault),
	    0);
	return text_of(&b);
}

#define POINTER "dynamicConfigFile=/c/zoo.cfg.dynamic.1f\n"

START_TEST(zoo_cfg_keeps_all_that_is_not_the_ensembles)
{
	static const char text[] =
	    "# mine\ntickTime=500\n\nserver.1=a:1:2\n  server.2 : b:1:2\r\n"
	    "group.1=1:2\nweight.1=3\npeerType=observer\nclientPort=5\n"
	    "clientPortAddress=::1\nclientPortListenBacklog=7\n"
	    "zookeeper.server.3=c:1:2\nserver.realm=R\ndynamicConfigFile=/x\n"
	    "dataDir=/d";

	ck_assert_str_eq(edited(text, false),
	    "# mine\ntickTime=500\n\nclientPort=5\nclientPortAddress=::1\n"
	    "clientPortListenBacklog=7\nserver.realm=R\ndataDir=/d\n" POINTER);
	ck_assert_str_eq(edited(text, true), "# "
					     "mine\ntickTime=500\n\nclientPortListenBacklog="
					     "7\nserver.realm=R\ndataDir=/d\n" POINTER);
	ck_assert_str_eq(edited("", true), POINTER);
}
END_TEST

START_TEST(lines_that_go_on_are_kept_or_dropped_as_one)
{
	ck_assert_str_eq(edited("a=b\\\n server.1=x\nserver.1=\\\n a:1:2\nc=d\n", false),
	    "a=b\\\n server.1=x\nc=d\n" POINTER);
	ck_assert_str_eq(edited("serv\\\n  er.1=x\nse\\rver.2=y\nc=d", false), "c=d\n" POINTER);
	ck_assert_str_eq(edited("# c \\\nserver.1=x\n", false), "# c \\\n" POINTER);
	ck_assert_str_eq(edited("a=b\\\\\nserver.1=x\n", false), "a=b\\\\\n" POINTER);
	/* Nothing may swallow the last line. */
	ck_assert_str_eq(edited("a=b\\", false), "a=b\\\n\n" POINTER);
	ck_assert_str_eq(edited("a=b\\\n", false), "a=b\\\n\n" POINTER);
	ck_assert_str_eq(edited("a=b\\\r", false), "a=b\\\r\n\n" POINTER);
}
END_TEST

START_TEST(a_path_that_would_be_read_differently_is_refused)
{
	struct buf b;

	buf_init(&b, 1024);
	fault = (struct fault){{0}};
	ck_assert_int_eq(reconf_static_text("", 0, "/d\xc3\xa9", false, &b, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "other characters than ASCII's"));
	ck_assert_int_eq(reconf_static_text("", 0, "/a\\b", false, &b, &fault), 0);
	ck_assert_str_eq(text_of(&b), "dynamicConfigFile=/a\\\\b\n");
}
END_TEST

START_TEST(dynamic_files_are_named_by_their_version)
{
	char name[RECONF_PATH_MAX], huge[RECONF_PATH_MAX];

	ck_assert(reconf_dynamic_name(name, "/c/zoo.cfg", 0x10000001f));
	ck_assert_str_eq(name, "/c/zoo.cfg.dynamic.10000001f");
	memset(huge, 'a', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	ck_assert(!reconf_dynamic_name(name, huge, 1));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("reconf");
	TCase *c = tcase_create("reconf");

	tcase_add_test(c, requests_give_what_apaches_server_makes_of_them);
	tcase_add_test(c, what_cannot_be_is_refused_with_its_reason);
	tcase_add_test(c, the_checks_come_in_apaches_order);
	tcase_add_test(c, one_voter_is_enough_without_standalone);
	tcase_add_test(c, groups_are_changed_as_a_whole_only);
	tcase_add_test(c, bytes_that_are_no_text_are_refused);
	tcase_add_test(c, a_dynamic_file_has_sorted_lines);
	tcase_add_test(c, zoo_cfg_keeps_all_that_is_not_the_ensembles);
	tcase_add_test(c, lines_that_go_on_are_kept_or_dropped_as_one);
	tcase_add_test(c, a_path_that_would_be_read_differently_is_refused);
	tcase_add_test(c, dynamic_files_are_named_by_their_version);
	suite_add_tcase(s, c);
	return s;
}
