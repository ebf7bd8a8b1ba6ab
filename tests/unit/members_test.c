/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of ensembles: their text, and what is a quorum. */
#include "zkserver/core/members.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"

static struct members members, other;
static char printed[MEMBERS_TEXT_BYTES_MAX];

static void
parse(struct members *m, const char *text)
{
	struct fault f = {{0}};

	ck_assert_msg(members_parse(m, text, strlen(text), &f) == 0, "%s: %s", text, f.text);
	ck_assert_str_eq(f.text, "");
}

static const char *
print(const struct members *m)
{
	struct buf b;

	buf_init(&b, sizeof printed - 1);
	members_print(m, &b);
	ck_assert(!b.failed);
	memcpy(printed, b.data, b.len);
	printed[b.len] = '\0';
	buf_fini(&b);
	return printed;
}

static void
assert_refused(const char *text, const char *why)
{
	struct fault f = {{0}};

	ck_assert_msg(
	    members_parse(&members, text, strlen(text), &f) == -EINVAL, "%s was taken", text);
	ck_assert_msg(strstr(f.text, why) != NULL, "%s: %s", text, f.text);
}

/* What parseDynamicConfig() of Apache ZooKeeper 3.8.0 makes of these, printed by its toString(). */
static const struct {
	const char *in, *out;
} APACHES[] = {
    {"server.1=localhost:2888:3888\n"
     "server.2=127.0.0.1:2889:3889:observer;2181\n"
     "server.3=[::1]:2889:3889:participant;[::1]:2181\n"
     "version=a00000001",
	"server.1=localhost:2888:3888:participant\n"
	"server.2=127.0.0.1:2889:3889:observer;0.0.0.0:2181\n"
	"server.3=[0:0:0:0:0:0:0:1]:2889:3889:participant;[0:0:0:0:0:0:0:1]:2181\n"
	"version=a00000001"},
    {"server.3=c:1:2\nserver.1=a:1:2:PARTICIPANT;0.0.0.0:5\nserver.17=d:1:2\n"
     "server.2=b:1:2: observer\nserver.5=e:1:2\n",
	"server.1=a:1:2:participant;0.0.0.0:5\nserver.17=d:1:2:participant\n"
	"server.2=b:1:2:observer\nserver.3=c:1:2:participant\nserver.5=e:1:2:participant\n"
	"version=0"},
    {"# a comment\n  server.1 : a:1:2 \r\nserver.2   b:1:2\n!another\n\nversion = 0000ff",
	"server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=ff"},
    {"server.1=[::ffff:102:304]:1:2\nserver.2=b:1:2;[::]:5\n",
	"server.1=1.2.3.4:1:2:participant\n"
	"server.2=b:1:2:participant;[0:0:0:0:0:0:0:0]:5\nversion=0"},
    {"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=c:1:2:observer\n"
     "group.1=1:2\ngroup.2=3\nweight.1=2\nweight.7=3",
	"server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n"
	"server.4=c:1:2:observer\ngroup.1=1:2\ngroup.2=3\nweight.1=2\nweight.2=1\nweight.3=1\n"
	"weight.7=3\nversion=0"},
};

START_TEST(texts_are_printed_as_apaches_server_prints_them)
{
	for (size_t i = 0; i < sizeof APACHES / sizeof APACHES[0]; i++) {
		parse(&members, APACHES[i].in);
		ck_assert_str_eq(print(&members), APACHES[i].out);
	}
}
END_TEST

START_TEST(what_is_printed_reads_as_the_same)
{
	for (size_t i = 0; i < sizeof APACHES / sizeof APACHES[0]; i++) {
		parse(&members, APACHES[i].out);
		ck_assert_str_eq(print(&members), APACHES[i].out);
	}
}
END_TEST

START_TEST(what_is_no_configuration_is_refused_with_its_reason)
{
	assert_refused("", "there is no server.N line");
	assert_refused("version=5", "there is no server.N line");
	assert_refused("server.1=a:1:2:observer", "all servers are observers");
	assert_refused("server.1=a:1", "server.1=a:1: it is not HOST:QUORUMPORT:ELECTIONPORT");
	assert_refused("server.1=a", "it is not HOST:");
	assert_refused("server.1=a:1:2:participant:x", "it is not HOST:");
	assert_refused("server.1=a:1:2:boss", "the role is participant or observer");
	assert_refused("server.1=a:1:1", "the quorum and the election port must differ");
	assert_refused("server.1=a:0:2", "a port is a number from 1 to 65535");
	assert_refused("server.1=a:1:65536", "a port is a number");
	assert_refused("server.1=a:+1:2", "a port is a number");
	assert_refused("server.1=a: 1:2", "a port is a number");
	assert_refused("server.1=a:1:2;", "a port is a number");
	assert_refused("server.1=a:1:2;x", "a port is a number");
	assert_refused("server.1=a:1:2;1:2:3", "an IPv4 address has four numbers");
	assert_refused("server.1=a:1:2;5;6", "a port is a number");
	assert_refused("server.1=:1:2", "a host is missing");
	assert_refused("server.1=[::1:1:2", "a host is missing, or its ']'");
	assert_refused("server.1=[]:1:2", "not an IPv6 address");
	assert_refused("server.1=[1.2.3.4]:1:2", "not an IPv6 address");
	assert_refused("server.1=[fe80::1%eth0]:1:2", "not an IPv6 address");
	assert_refused("server.1=fe80::1:1:2", "it is not HOST:");
	assert_refused("server.1=127.1:1:2", "an IPv4 address has four numbers");
	assert_refused("server.1=a\tb:1:2", "other characters than");
	assert_refused("server.1=a:1:2|b:1:2", "several addresses of one server");
	assert_refused("server.256=a:1:2", "a server's number is from 0 to 255");
	assert_refused("server.-1=a:1:2", "a server's number is from 0 to 255");
	assert_refused("server.1.2=a:1:2", "a server's number is from 0 to 255");
	assert_refused("server.1=a:1:2\nserver.01=b:1:2", "this server is there twice");
	assert_refused("server.1=a:1:2\nfoo=3", "it does not belong");
	assert_refused("server.1=a:1:2\nfoo", "it does not belong");
	assert_refused("server.1=a:1:\\\n2", "escapes are not taken");
	assert_refused("server.1=a:1:2\nversion=5g", "not a hexadecimal number");
	assert_refused("server.1=a:1:2\nversion=", "not a hexadecimal number");
	assert_refused("server.1=a:1:2\nversion=-1", "not a hexadecimal number");
	assert_refused("server.1=a:1:2\nversion=8000000000000000", "not a hexadecimal number");
}
END_TEST

START_TEST(groups_must_be_whole)
{
	static const char two[] = "server.1=a:1:2\nserver.2=b:1:2\n";
	char text[256];
	static const struct {
		const char *more, *why;
	} cases[] = {
	    {"weight.1=1", "server.1 is in no group"},
	    {"group.1=1", "server.2 is in no group"},
	    {"group.1=1:2\ngroup.2=1", "in a group already"},
	    {"group.1=1:2:1", "in a group already"},
	    {"group.1=1:2:9", "server 9 is in group.1, but is no participant"},
	    {"group.1=1:2\ngroup.2=", "a group is SID:SID..."},
	    {"group.1=1:2:", "a group is SID:SID..."},
	    {"group.1=1:256", "a group is SID:SID..."},
	    {"group.1=1:2\nweight.1=-1", "a weight is a number"},
	    {"group.1=1:2\nweight.1=1\nweight.01=2", "weight is there twice"},
	    {"group.1=1:2\nweight.1=0\nweight.2=0", "every weight is 0"},
	    {"group.x=1:2", "a group's number is"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text, "%s%s", two, cases[i].more);
		assert_refused(text, cases[i].why);
	}
	assert_refused("server.1=a:1:2\nserver.2=b:1:2:observer\ngroup.1=1:2",
	    "server 2 is in group.1, but is no participant");
}
END_TEST

START_TEST(sizes_are_bounded)
{
	struct buf b;
	struct fault f = {{0}};

	buf_init(&b, 1 << 20);
	for (int i = 0; i < MEMBERS_MAX; i++)
		buf_printf(&b, "server.%d=h%d:1:2\n", 255 - i, i);
	ck_assert_int_eq(members_parse(&members, b.data, b.len, &f), 0);
	ck_assert_uint_eq(members.count, MEMBERS_MAX);
	ck_assert_int_eq(members.list[0].sid, 192);
	ck_assert_int_eq(members.list[63].sid, 255);
	buf_printf(&b, "server.0=h:1:2\n");
	assert_refused(buf_text(&b), "at most 64 servers");
	buf_clear(&b);
	buf_printf(&b, "server.1=%0255d:1:2", 0);
	assert_refused(buf_text(&b), "an IPv4 address");
	buf_clear(&b);
	buf_printf(&b, "server.1=a%0255d:1:2", 0);
	assert_refused(buf_text(&b), "longer than 255 bytes");
	buf_clear(&b);
	buf_printf(&b, "server.1=%02000d:1:2", 0);
	assert_refused(buf_text(&b), "a line of");
	buf_clear(&b);
	for (int i = 0; i < MEMBERS_TEXT_BYTES_MAX; i++)
		buf_append(&b, "\n\n", 2);
	assert_refused(buf_text(&b), "is too large");
	ck_assert_int_eq(members_parse(&members, "server.1=a\0:1:2", 15, &f), -EINVAL);
	buf_fini(&b);
}
END_TEST

START_TEST(the_longest_text_has_room)
{
	struct buf b;
	struct fault f = {{0}};

	buf_init(&b, 1 << 20);
	for (int i = 0; i < MEMBERS_MAX; i++)
		buf_printf(&b,
		    "server.%d=a%0254d:65534:65535:participant;a%0254d:65535\n"
		    "group.%d=%d\n",
		    i + 100, i, i, INT32_MAX - i, i + 100);
	for (int i = 0; i <= MEMBERS_SID_MAX; i++)
		buf_printf(&b, "weight.%d=%d\n", i, INT32_MAX);
	ck_assert_msg(members_parse(&members, b.data, b.len, &f) == 0, "%s", f.text);
	ck_assert_uint_le(strlen(print(&members)), MEMBERS_TEXT_BYTES_MAX);
	parse(&other, printed);
	ck_assert(members_same(&members, &other));
	buf_fini(&b);
}
END_TEST

START_TEST(members_are_found_and_what_is_none_is_not)
{
	parse(&members, "server.2=b:1:2\nserver.0=z:1:2\nserver.9=o:3:4:observer;7");
	ck_assert_ptr_null(members_find(&members, 1));
	ck_assert_ptr_null(members_find(&members, -1));
	ck_assert_ptr_null(members_find(&members, INT64_MIN));
	ck_assert_ptr_null(members_find(&members, 256));
	ck_assert_str_eq(members_find(&members, 0)->host, "z");
	ck_assert_int_eq(members_find(&members, 9)->client_port, 7);
	ck_assert_str_eq(members_find(&members, 9)->client_host, "0.0.0.0");
	ck_assert(members_is_voter(&members, 0) && !members_is_voter(&members, 9));
	ck_assert(!members_is_voter(&members, INT64_MAX));
	ck_assert_uint_eq(members_voter_count(&members), 2);
	ck_assert_uint_eq(members_weight(&members, 2), 1);
	ck_assert_uint_eq(members_weight(&members, 9), 0);
	ck_assert_uint_eq(members_weight(&members, -5), 0);
}
END_TEST

START_TEST(members_are_the_same_whatever_their_version)
{
	static const char base[] = "server.1=a:1:2\nserver.2=b:1:2;7\nversion=5";
	static const struct {
		const char *text;
		bool same;
	} cases[] = {
	    {"server.1=other:1:2\nserver.2=b:1:2;7\nversion=5", false},
	    {"server.1=A:1:2:participant\nserver.2=b:1:2;0.0.0.0:7\nversion=6", true},
	    {"server.1=a:1:2\nserver.2=b:1:2;8\nversion=6", false},
	    {"server.1=a:1:2\nserver.2=b:1:2\nversion=6", false},
	    {"server.1=a:1:2\nserver.2=b:1:2:observer;7\nversion=6", false},
	    {"server.1=a:1:3\nserver.2=b:1:2;7\nversion=6", false},
	    {"server.1=a:1:2\nserver.3=b:1:2;7\nversion=6", false},
	    {"server.1=a:1:2\nserver.2=b:1:2;7\ngroup.1=1:2\nversion=5", false},
	};

	parse(&members, base);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		parse(&other, cases[i].text);
		ck_assert_msg(members_same(&members, &other) == cases[i].same, "%s", cases[i].text);
		ck_assert(members_same(&other, &members) == cases[i].same);
	}
	parse(&members, "server.1=a:1:2\ngroup.1=1\nversion=5");
	parse(&other, "server.1=a:1:2\ngroup.2=1\nversion=6");
	ck_assert(!members_same(&members, &other));
	parse(&other, "server.1=a:1:2\ngroup.1=1\nweight.1=2\nversion=6");
	ck_assert(!members_same(&members, &other));
	parse(&other, "server.1=a:1:2\ngroup.1=1\nweight.1=1\nversion=6");
	ck_assert(members_same(&members, &other));
}
END_TEST

START_TEST(two_members_at_one_place_are_told)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"server.1=a:1:2\nserver.2=A:3:1",
		"server.2: its election port, 1 at A, is the quorum"},
	    {"server.1=a:1:2;2", "server.1: its client port, 2 at a, is the election port"},
	    {"server.1=a:1:2;b:3\nserver.2=b:3:4",
		"server.2: its quorum port, 3 at b, is the client"},
	};
	struct fault f = {{0}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		f = (struct fault){{0}};
		parse(&members, cases[i].text);
		ck_assert_int_ge(members_address_clash(&members, &f), 1);
		ck_assert_msg(strstr(f.text, cases[i].why) != NULL, "%s", f.text);
	}
	f = (struct fault){{0}};
	parse(&members, "server.1=a:1:2;3\nserver.2=b:1:2;3\nserver.3=a:4:5;c:3");
	ck_assert_int_eq(members_address_clash(&members, &f), -1);
}
END_TEST

START_TEST(sizes_that_gain_nothing_are_warned_of)
{
	parse(&members, "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2:observer");
	ck_assert_ptr_nonnull(strstr(members_warning(&members), "no server may fail"));
	parse(&members, "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2");
	ck_assert_ptr_null(members_warning(&members));
	parse(&members, "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2");
	ck_assert_ptr_nonnull(strstr(members_warning(&members), "even number"));
}
END_TEST

static bool
quorum(const char *sids)
{
	struct sid_set set = {{0}};

	for (; *sids != '\0'; sids++)
		sid_set_add(&set, *sids - '0');
	return members_quorum(&members, &set);
}

START_TEST(a_majority_of_the_voters_is_a_quorum)
{
	parse(&members, "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer");
	ck_assert(!quorum("") && !quorum("1") && !quorum("14") && !quorum("1456789"));
	ck_assert(quorum("12") && quorum("23") && quorum("123") && quorum("134"));
	parse(&members, "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2");
	ck_assert(!quorum("12") && quorum("124"));
	parse(&members, "server.1=a:1:2");
	ck_assert(quorum("1") && !quorum("2"));
}
END_TEST

START_TEST(most_groups_by_weight_are_a_quorum)
{
	parse(&members, "server.1=a:1:2\nserver.2=a:3:4\nserver.3=a:5:6\n"
			"server.4=b:1:2\nserver.5=b:3:4\nserver.6=b:5:6\n"
			"server.7=c:1:2\nserver.8=c:3:4\nserver.9=c:5:6\n"
			"group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9");
	ck_assert(quorum("1245") && quorum("123789") && !quorum("147"));
	ck_assert(!quorum("123") && !quorum("12347") && quorum("2389"));
	/* One server as heavy as its whole group, and a group without weight. */
	parse(&members,
	    "server.1=a:1:2\nserver.2=a:3:4\nserver.3=a:5:6\nserver.4=b:1:2\nserver.5=c:1:2\n"
	    "group.1=1:2:3\ngroup.2=4\ngroup.3=5\nweight.1=3\nweight.5=0");
	ck_assert(!quorum("1") && quorum("14") && !quorum("234") && !quorum("235"));
	ck_assert(!quorum("15") && !quorum("45"));
	ck_assert_uint_eq(members_weight(&members, 5), 0);
	ck_assert(members_is_voter(&members, 5));
}
END_TEST

static void
draw_members(struct rng *r, struct buf *b)
{
	unsigned n = 1 + (unsigned)rng_below(r, 9), groups = (unsigned)rng_below(r, 4);

	for (unsigned i = 0; i < n; i++) {
		bool observer = i > 0 && rng_below(r, 5) == 0;

		buf_printf(b, "server.%u=h:%u:%u%s\n", i * 25, 2 * i + 1, 2 * i + 2,
		    observer ? ":observer" : "");
		if (groups > 0 && !observer)
			buf_printf(b, "weight.%u=%u\n", i * 25, (unsigned)rng_below(r, 4) + !i);
	}
	for (unsigned g = 0; g < groups; g++) {
		char separator = '=';

		for (unsigned i = g; i < n; i += groups) {
			char key[40];

			snprintf(
			    key, sizeof key, "server.%u=h:%u:%u:o", i * 25, 2 * i + 1, 2 * i + 2);
			if (strstr(buf_text(b), key) != NULL)
				continue;
			if (separator == '=')
				buf_printf(b, "group.%u", g);
			buf_printf(b, "%c%u", separator, i * 25);
			separator = ':';
		}
		buf_printf(b, "\n");
	}
}

static struct sid_set
draw_set(struct rng *r)
{
	struct sid_set set = {{0}};

	for (int i = 0; i < 9; i++) {
		if (rng_below(r, 3) > 0)
			sid_set_add(&set, i * 25);
	}
	return set;
}

START_TEST(any_two_quorums_have_a_voter_in_common)
{
	uint64_t quorums = 0, hierarchical = 0;
	struct rng r;

	rng_init(&r, 1);
	for (int round = 0; round < 3000; round++) {
		struct fault f = {{0}};
		struct buf b;

		buf_init(&b, 8192);
		draw_members(&r, &b);
		ck_assert_msg(members_parse(&members, b.data, b.len, &f) == 0, "%s: %s",
		    buf_text(&b), f.text);
		hierarchical += members.hierarchical;
		for (int i = 0; i < 30; i++) {
			struct sid_set x = draw_set(&r), y = draw_set(&r);
			bool meet = false;

			for (unsigned k = 0; k < members.count; k++) {
				int64_t sid = members.list[k].sid;

				meet |= members_weight(&members, sid) > 0 && sid_set_has(&x, sid) &&
					sid_set_has(&y, sid);
			}
			if (!members_quorum(&members, &x) || !members_quorum(&members, &y))
				continue;
			quorums++;
			ck_assert_msg(meet, "%s", buf_text(&b));
		}
		buf_fini(&b);
	}
	ck_assert_uint_gt(quorums, 10000);
	ck_assert_uint_gt(hierarchical, 1000);
}
END_TEST

START_TEST(a_quorum_stays_one_with_more_members)
{
	struct rng r;

	rng_init(&r, 2);
	for (int round = 0; round < 3000; round++) {
		struct fault f = {{0}};
		struct sid_set x = draw_set(&r), more = draw_set(&r);
		struct buf b;

		buf_init(&b, 8192);
		draw_members(&r, &b);
		ck_assert_int_eq(members_parse(&members, b.data, b.len, &f), 0);
		for (int i = 0; i < 4; i++)
			more.bits[i] |= x.bits[i];
		if (members_quorum(&members, &x))
			ck_assert(members_quorum(&members, &more));
		buf_fini(&b);
	}
}
END_TEST

START_TEST(sets_hold_what_is_put_into_them)
{
	struct sid_set s = {{0}};

	sid_set_add(&s, 0);
	sid_set_add(&s, 63);
	sid_set_add(&s, 64);
	sid_set_add(&s, 255);
	ck_assert_uint_eq(sid_set_count(&s), 4);
	ck_assert(sid_set_has(&s, 0) && sid_set_has(&s, 63) && sid_set_has(&s, 255));
	ck_assert(!sid_set_has(&s, -1) && !sid_set_has(&s, 256) && !sid_set_has(&s, 1));
	sid_set_remove(&s, 63);
	ck_assert(!sid_set_has(&s, 63) && sid_set_count(&s) == 3);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("members");
	TCase *c = tcase_create("members");

	tcase_add_test(c, texts_are_printed_as_apaches_server_prints_them);
	tcase_add_test(c, what_is_printed_reads_as_the_same);
	tcase_add_test(c, what_is_no_configuration_is_refused_with_its_reason);
	tcase_add_test(c, groups_must_be_whole);
	tcase_add_test(c, sizes_are_bounded);
	tcase_add_test(c, the_longest_text_has_room);
	tcase_add_test(c, members_are_found_and_what_is_none_is_not);
	tcase_add_test(c, members_are_the_same_whatever_their_version);
	tcase_add_test(c, two_members_at_one_place_are_told);
	tcase_add_test(c, sizes_that_gain_nothing_are_warned_of);
	tcase_add_test(c, a_majority_of_the_voters_is_a_quorum);
	tcase_add_test(c, most_groups_by_weight_are_a_quorum);
	tcase_add_test(c, any_two_quorums_have_a_voter_in_common);
	tcase_add_test(c, a_quorum_stays_one_with_more_members);
	tcase_add_test(c, sets_hold_what_is_put_into_them);
	suite_add_tcase(s, c);
	return s;
}
