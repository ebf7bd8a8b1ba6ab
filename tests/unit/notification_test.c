/* SPDX-License-Identifier: Apache-2.0 */
/* What is said on the election port: bytes in, values out, and back. */
#include "zkserver/core/notification.h"

#include <string.h>

#include "tests/lib/unit.h"

static uint8_t bytes[4096];

/* Bytes of a text of hex digits, blanks between. */
static size_t
unhex(const char *text)
{
	size_t size = 0, half = 0;

	for (; *text != '\0'; text++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, *text);

		if (*text == ' ')
			continue;
		ck_assert_ptr_nonnull(at);
		bytes[size] = (uint8_t)(bytes[size] << 4 | (at - digits));
		size += half;
		half = 1 - half;
	}
	ck_assert_uint_eq(half, 0);
	return size;
}

/* What Apache ZooKeeper 3.8.0 sends. */
#define V1_HELLO "ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3432333832"
#define LOOKING                                                                                    \
	"00000000 0000000000000002 0000000100000005 0000000000000007 0000000000000001 00000002 "   \
	"00000009 76657273696f6e3d30"

START_TEST(a_hello_is_read_when_it_is_whole)
{
	size_t size = unhex(V1_HELLO), used = 0;
	struct hello h;
	char address[64];

	for (size_t i = 0; i < size; i++)
		ck_assert_int_eq(hello_decode(&h, bytes, i, &used), HELLO_SHORT);
	memset(bytes + size, 'x', 5);
	ck_assert_int_eq(hello_decode(&h, bytes, size + 5, &used), HELLO_WHOLE);
	ck_assert_uint_eq(used, size);
	ck_assert_int_eq(h.sid, 2);
	ck_assert(hello_address(&h, address, sizeof address));
	ck_assert_str_eq(address, "127.0.0.1:42382");
	ck_assert(!hello_address(&h, address, strlen("127.0.0.1:42382")));
}
END_TEST

START_TEST(a_hello_is_written_as_it_is_read)
{
	size_t size = unhex(V1_HELLO);
	struct buf b;

	buf_init(&b, HELLO_BYTES_MAX);
	hello_encode(&b, 2, "127.0.0.1:42382");
	ck_assert_uint_eq(b.len, size);
	ck_assert_mem_eq(b.data, bytes, size);
	buf_fini(&b);
}
END_TEST

START_TEST(an_old_hello_is_a_number_alone)
{
	struct hello h;
	size_t used;
	char address[64];

	ck_assert_int_eq(hello_decode(&h, bytes, unhex("0000000000000003 00"), &used), HELLO_WHOLE);
	ck_assert_uint_eq(used, 8);
	ck_assert_int_eq(h.sid, 3);
	ck_assert(!hello_address(&h, address, sizeof address));
	/* An anonymous observer's. */
	ck_assert_int_eq(hello_decode(&h, bytes, unhex("7fffffffffffffff"), &used), HELLO_WHOLE);
	ck_assert_int_eq(h.sid, INT64_MAX);
}
END_TEST

/* ZOOKEEPER-3720: both versions are known, and no other. */
START_TEST(a_hello_of_another_protocol_is_foreign_as_soon_as_that_shows)
{
	static const char *const foreign[] = {"ffffffffffff0002", "ffffffffffffffff",
	    "8000000000000000", "fffffffffffeffff", "ffffffffffff0000 0000000000000002 00000000",
	    "ffffffffffff0000 0000000000000002 ffffffff",
	    "ffffffffffff0001 0000000000000002 00000801",
	    "ffffffffffff0001 0000000000000002 7fffffff"};
	struct hello h;
	size_t used;

	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		ck_assert_msg(hello_decode(&h, bytes, unhex(foreign[i]), &used) == HELLO_FOREIGN,
		    "%s", foreign[i]);
	ck_assert_int_eq(
	    hello_decode(&h, bytes, unhex("ffffffffffff0001 0000000000000002 00000800"), &used),
	    HELLO_SHORT);
}
END_TEST

/* The address to connect back to, or "" if there is none. */
static const char *
address_in_hello(const char *text)
{
	static char address[300];
	struct hello h = {1, (const uint8_t *)text, strlen(text)};

	return hello_address(&h, address, sizeof address) ? address : "";
}

START_TEST(the_first_address_of_a_hello_counts_if_it_names_a_host)
{
	char many[HELLO_ADDRESS_MAX + 1] = "a:1";

	ck_assert_str_eq(address_in_hello("a.example:3888"), "a.example:3888");
	ck_assert_str_eq(address_in_hello("[::1]:3888"), "[::1]:3888");
	ck_assert_str_eq(address_in_hello("a:1|b:2"), "a:1");
	for (size_t at = 3; at + 4 < sizeof many; at += 4)
		memcpy(many + at, "|b:2", 5);
	ck_assert_str_eq(address_in_hello(many), "a:1");
	ck_assert_str_eq(address_in_hello("0.0.0.0:3888"), "");
	ck_assert_str_eq(address_in_hello("[::]:3888"), "");
	ck_assert_str_eq(address_in_hello("[0:0:0:0:0:0:0:0]:3888"), "");
	ck_assert_str_eq(address_in_hello(":3888"), "");
	ck_assert_str_eq(address_in_hello("a"), "");
	ck_assert_str_eq(address_in_hello("a:"), "");
	ck_assert_str_eq(address_in_hello("a:0"), "");
	ck_assert_str_eq(address_in_hello("a:65536"), "");
	ck_assert_str_eq(address_in_hello("a:1x"), "");
	ck_assert_str_eq(address_in_hello("[::1"), "");
	ck_assert_str_eq(address_in_hello("[::1:5"), "");
	ck_assert_str_eq(address_in_hello("::1:5"), "");
	ck_assert_str_eq(address_in_hello("/a/socket:5"), "");
	ck_assert_str_eq(address_in_hello("a\nb:5"), "");
	ck_assert_str_eq(address_in_hello("|a:1"), "");
}
END_TEST

START_TEST(a_notification_has_the_form_that_it_is_known_by)
{
	size_t size = unhex(LOOKING);
	struct notification n;

	ck_assert(notification_decode(&n, bytes, size));
	ck_assert_int_eq(n.state, PEER_LOOKING);
	ck_assert_int_eq(n.vote.leader, 2);
	ck_assert_int_eq(n.vote.zxid, 0x100000005);
	ck_assert_int_eq(n.vote.round, 7);
	ck_assert_int_eq(n.vote.epoch, 1);
	ck_assert_int_eq(n.version, 2);
	ck_assert_uint_eq(n.config_size, 9);
	ck_assert_mem_eq(n.config, "version=0", 9);
}
END_TEST

START_TEST(a_notification_is_written_as_it_is_read)
{
	static uint8_t was[sizeof bytes];
	size_t size = unhex(LOOKING);
	struct notification n;
	struct buf b;

	memcpy(was, bytes, size);
	ck_assert(notification_decode(&n, was, size));
	n.version = 0;
	buf_init(&b, NOTIFICATION_FRAME_BYTES_MAX);
	notification_encode(&b, &n);
	ck_assert(!b.failed);
	ck_assert_uint_eq(b.len, size);
	ck_assert_mem_eq(b.data, was, size);
	buf_fini(&b);
}
END_TEST

START_TEST(the_first_notifications_have_the_epoch_of_their_zxid)
{
	struct notification n;

	unhex(LOOKING);
	ck_assert(notification_decode(&n, bytes, 28));
	ck_assert_int_eq(n.vote.round, 7);
	ck_assert_int_eq(n.vote.epoch, 1);
	ck_assert_int_eq(n.version, 0);
	ck_assert_ptr_null(n.config);
}
END_TEST

START_TEST(forty_bytes_are_version_0_whatever_they_say)
{
	struct notification n;

	unhex("00000001 0000000000000002 0000000100000005 0000000000000007 0000000000000009 "
	      "00000001");
	ck_assert(notification_decode(&n, bytes, 40));
	ck_assert_int_eq(n.vote.epoch, 9);
	ck_assert_int_eq(n.version, 0);
	ck_assert_ptr_null(n.config);
}
END_TEST

START_TEST(no_other_size_is_taken)
{
	size_t size = unhex(LOOKING);
	struct notification n;

	for (size_t i = 0; i < size; i++)
		ck_assert_msg(notification_decode(&n, bytes, i) == (i == 28 || i == 40), "%zu", i);
	ck_assert(notification_decode(&n, bytes, size + 1)); /* of a later version, say */
}
END_TEST

/* ZOOKEEPER-3769. */
START_TEST(a_configuration_ends_where_the_message_does)
{
	static const char *const lengths[] = {"0000000a", "ffffffff", "80000000", "7fffffff"};
	size_t size = unhex(LOOKING);
	struct notification n;

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		uint8_t head[40];

		unhex(LOOKING);
		memcpy(head, bytes, sizeof head);
		unhex(lengths[i]);
		memmove(bytes + sizeof head, bytes, 4);
		memcpy(bytes, head, sizeof head);
		ck_assert_msg(!notification_decode(&n, bytes, size), "%s", lengths[i]);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("notification");
	TCase *t = tcase_create("notification");

	tcase_add_test(t, a_hello_is_read_when_it_is_whole);
	tcase_add_test(t, a_hello_is_written_as_it_is_read);
	tcase_add_test(t, an_old_hello_is_a_number_alone);
	tcase_add_test(t, a_hello_of_another_protocol_is_foreign_as_soon_as_that_shows);
	tcase_add_test(t, the_first_address_of_a_hello_counts_if_it_names_a_host);
	tcase_add_test(t, a_notification_has_the_form_that_it_is_known_by);
	tcase_add_test(t, a_notification_is_written_as_it_is_read);
	tcase_add_test(t, the_first_notifications_have_the_epoch_of_their_zxid);
	tcase_add_test(t, forty_bytes_are_version_0_whatever_they_say);
	tcase_add_test(t, no_other_size_is_taken);
	tcase_add_test(t, a_configuration_ends_where_the_message_does);
	suite_add_tcase(s, t);
	return s;
}
