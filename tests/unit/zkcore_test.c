/* SPDX-License-Identifier: Apache-2.0 */
/* The small modules of zkserver's core: sessions, ACLs, addresses, paths, watches, txns. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"
#include "zkserver/core/acl.h"
#include "zkserver/core/ipaddr.h"
#include "zkserver/core/path.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/session.h"
#include "zkserver/core/txn.h"
#include "zkserver/core/watch.h"

static const struct hash_key KEY = {5, 6};

static struct jute_bytes
text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

static void
expect_password(int64_t id, const char *hex)
{
	uint8_t password[SESSION_PASSWORD_BYTES];

	session_password(id, password);
	for (int i = 0; i < SESSION_PASSWORD_BYTES; i++) {
		char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		ck_assert_int_eq(password[i], (int)strtol(two, NULL, 16));
	}
}

START_TEST(passwords_are_those_of_apaches_server)
{
	expect_password(0x010000128fd30000, "efad48d650fa1ff0e53f42c2193b5b4e");
	expect_password(0x010000128fd30001, "02cf42d6f045ff34da82a9ededc36f1b");
	expect_password(0x010000168bb20000, "7cdf443659c10157ba1482b3ca371c4a");
}
END_TEST

START_TEST(session_ids_begin_with_the_server_and_the_clock)
{
	ck_assert_int_eq(session_first_id(1, 0x12345678), 0x0100123456780000);
	ck_assert_int_eq(session_first_id(0x80, 0), INT64_MIN + 1);
}
END_TEST

START_TEST(a_session_expires_between_its_timeout_and_a_tick_later)
{
	struct session_table t;
	struct session *s;

	session_table_init(&t, 1000);
	ck_assert_uint_eq(session_deadline_ms(&t), UINT64_MAX);
	session_start(&t, 100500);
	ck_assert_ptr_nonnull(s = session_add(&t, 7, 3000, 100500));
	ck_assert_uint_eq(s->expires_ms, 104000);
	ck_assert(session_touch(&t, s, 3000, 101200));
	ck_assert_uint_eq(s->expires_ms, 105000);
	ck_assert_ptr_null(session_expire(&t, 104999));
	ck_assert_ptr_eq(session_expire(&t, 105000), s);
	ck_assert(s->closing);
	ck_assert(!session_touch(&t, s, 3000, 105000));
	ck_assert_ptr_null(session_expire(&t, 106000));
	session_table_fini(&t);
}
END_TEST

START_TEST(so_many_ends_are_remembered_until_the_table_is_stopped)
{
	struct session_table t;

	session_table_init(&t, 1000);
	session_start(&t, 0);
	ck_assert_ptr_nonnull(session_add(&t, -1, 3000, 0));
	session_remove(&t, -1);
	ck_assert(!session_has_ended(&t, -1));
	session_remember(&t);
	for (int64_t id = 0; id <= SESSION_ENDED_MAX; id++) {
		ck_assert_ptr_nonnull(session_add(&t, id, 3000, 0));
		ck_assert(!session_has_ended(&t, id));
		session_remove(&t, id);
	}
	ck_assert(!session_has_ended(&t, 0));
	ck_assert(session_has_ended(&t, 1));
	ck_assert(session_has_ended(&t, SESSION_ENDED_MAX));
	ck_assert_ptr_null(session_find_any(&t, 1));
	session_stop(&t);
	ck_assert(!session_has_ended(&t, 1));
	session_table_fini(&t);
}
END_TEST

START_TEST(a_timeout_longer_than_the_wheel_is_kept)
{
	struct session_table t;
	struct session *s;
	uint64_t end_ms;

	session_table_init(&t, 10);
	session_start(&t, 5);
	ck_assert_ptr_nonnull(s = session_add(&t, 7, 3 * 10 * SESSION_WHEEL_SLOTS, 5));
	end_ms = s->expires_ms;
	ck_assert_ptr_null(session_expire(&t, end_ms - 1));
	ck_assert_ptr_eq(session_expire(&t, end_ms), s);
	session_table_fini(&t);
}
END_TEST

START_TEST(starting_gives_every_session_its_whole_timeout)
{
	struct session_table t;
	struct list *at = NULL;

	session_table_init(&t, 1000);
	session_add(&t, 1, 2000, 0);
	session_add(&t, 2, 2000, 0);
	session_add(&t, 1, 4000, 0);
	ck_assert_uint_eq(session_count(&t), 2);
	session_start(&t, 50000);
	ck_assert_ptr_null(session_expire(&t, 51999));
	ck_assert_int_eq(session_next(&t, &at)->id, 1);
	ck_assert_int_eq(session_next(&t, &at)->id, 2);
	ck_assert_ptr_null(session_next(&t, &at));
	session_remove(&t, 1);
	session_remove(&t, 1);
	ck_assert_ptr_null(session_find(&t, 1));
	session_table_fini(&t);
}
END_TEST

static bool
in_rule(const char *rule, const char *who)
{
	struct ipaddr a, b;

	return ipaddr_parse(&a, text(rule)) && ipaddr_parse(&b, text(who)) &&
	       ipaddr_matches(&a, &b);
}

START_TEST(addresses_match_by_prefix_within_their_family)
{
	ck_assert(in_rule("10.1.0.0/16", "10.1.255.3"));
	ck_assert(!in_rule("10.1.0.0/16", "10.2.0.0"));
	ck_assert(in_rule("10.1.2.128/25", "10.1.2.200"));
	ck_assert(!in_rule("10.1.2.128/25", "10.1.2.127"));
	ck_assert(in_rule("0.0.0.0/0", "1.2.3.4"));
	ck_assert(!in_rule("0.0.0.0/0", "::1"));
	ck_assert(in_rule("::/0", "fe80::1"));
	ck_assert(in_rule("2001:db8::/32", "2001:DB8:0:1::9"));
	ck_assert(in_rule("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"));
	ck_assert(in_rule("::1", "0:0:0:0:0:0:0:1"));
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/33",
	    "1.2.3.4/", "1.2.3.4/x", "::1::2", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
	    "12345::", "::ffff:1.2.3.4", "[::1]", "::1/129", "1.2.3.4 "};
	struct ipaddr a;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!ipaddr_parse(&a, text(bad[i])), "\"%s\" was taken", bad[i]);
}
END_TEST

START_TEST(paths_are_checked_as_apache_checks_them)
{
	static const char *const good[] = {
	    "/", "/a", "/a/b", "/.a", "/a..", "/\xc3\xa4", "/\xe2\x82\xac", "/a b"};
	static const char *const bad[] = {"", "a", "/a/", "//", "/a//b", "/.", "/a/..", "/a/./b",
	    "/\x01", "/\x7f", "/\xc2\x85", "/\xee\x80\x80", "/\xef\xbf\xbd", "/\xf0\x9f\x98\x80",
	    "/\xff", "/\xc3", "/\xc0\xaf", "/\xed\xa0\x80"};

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert_msg(path_is_valid(text(good[i])), "\"%s\" was refused", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!path_is_valid(text(bad[i])), "\"%s\" was taken", bad[i]);
	ck_assert(!path_is_valid((struct jute_bytes){(const uint8_t *)"/a\0b", 4}));
	ck_assert(!path_is_valid((struct jute_bytes){NULL, -1}));
}
END_TEST

static void
put_acl(struct buf *b, int32_t perms, const char *scheme, const char *id)
{
	jute_put_i32(b, perms);
	jute_put_text(b, scheme);
	jute_put_text(b, id);
}

static struct acl_policy policy;

static int
fix_up(struct buf *list, const struct acl_ids *who, struct buf *to)
{
	struct jute_reader r = jute_reader(list->data, list->len);

	buf_clear(to);
	return acl_fix_up(&policy, &r, who, to);
}

START_TEST(a_list_is_made_ready_without_duplicates_and_with_the_callers_identities)
{
	struct acl_ids ids;
	struct buf list, to, want;

	acl_ids_init(&ids);
	buf_init(&list, 10000);
	buf_init(&to, 10000);
	buf_init(&want, 10000);
	ck_assert(acl_ids_add(&ids, "ip", "10.0.0.1"));
	ck_assert(acl_ids_add(&ids, "digest", "u:h"));
	ck_assert(acl_ids_add(&ids, "x509", "CN=a"));
	ck_assert(acl_ids_add(&ids, "x509", "CN=a"));
	ck_assert_int_eq(ids.count, 3);
	jute_put_i32(&list, 3);
	put_acl(&list, ACL_READ, "world", "anyone");
	put_acl(&list, ACL_READ, "world", "anyone");
	put_acl(&list, ACL_ALL, "auth", NULL);
	ck_assert_int_eq(fix_up(&list, &ids, &to), 0);
	jute_put_i32(&want, 3);
	put_acl(&want, ACL_READ, "world", "anyone");
	put_acl(&want, ACL_ALL, "digest", "u:h");
	put_acl(&want, ACL_ALL, "x509", "CN=a");
	ck_assert_uint_eq(to.len, want.len);
	ck_assert_mem_eq(to.data, want.data, want.len);
	acl_ids_fini(&ids);
	buf_fini(&list);
	buf_fini(&to);
	buf_fini(&want);
}
END_TEST

START_TEST(lists_that_mean_nothing_are_refused)
{
	static const char *const bad[][2] = {{"world", "me"}, {"digest", "nocolon"},
	    {"digest", "a:b:c"}, {"digest", "a:"}, {"ip", "host"}, {"x509", "nobody"},
	    {"super", ""}, {"sasl", "x"}, {NULL, "x"}, {"world", NULL}, {"auth", ""}};
	struct acl_ids ids;
	struct buf list, to;

	acl_ids_init(&ids);
	acl_ids_add(&ids, "ip", "10.0.0.1");
	buf_init(&list, 10000);
	buf_init(&to, 10000);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_clear(&list);
		jute_put_i32(&list, 1);
		put_acl(&list, ACL_ALL, bad[i][0], bad[i][1]);
		ck_assert_int_eq(fix_up(&list, &ids, &to), ZK_INVALIDACL);
	}
	buf_clear(&list);
	jute_put_i32(&list, -1);
	ck_assert_int_eq(fix_up(&list, &ids, &to), ZK_INVALIDACL);
	buf_clear(&list);
	jute_put_i32(&list, 1000);
	ck_assert_int_eq(fix_up(&list, &ids, &to), ZK_MARSHALLINGERROR);
	acl_ids_fini(&ids);
	buf_fini(&list);
	buf_fini(&to);
}
END_TEST

START_TEST(what_schemes_a_list_may_have_is_a_policy)
{
	static const char *const sasl[][2] = {{"bob", "yes"}, {"bob/host@REALM", "yes"},
	    {"a@b@c", NULL}, {"a/b/c@d", NULL}, {"a@b/c", NULL}};
	struct acl_ids ids;
	struct buf list, to;

	acl_ids_init(&ids);
	buf_init(&list, 10000);
	buf_init(&to, 10000);
	policy = (struct acl_policy){.no_digest = true, .sasl = true};
	for (size_t i = 0; i < sizeof sasl / sizeof sasl[0]; i++) {
		buf_clear(&list);
		jute_put_i32(&list, 1);
		put_acl(&list, ACL_ALL, "sasl", sasl[i][0]);
		ck_assert_int_eq(
		    fix_up(&list, &ids, &to), sasl[i][1] != NULL ? ZK_OK : ZK_INVALIDACL);
	}
	buf_clear(&list);
	jute_put_i32(&list, 1);
	put_acl(&list, ACL_ALL, "digest", "u:h");
	ck_assert_int_eq(fix_up(&list, &ids, &to), ZK_INVALIDACL);
	buf_fini(&list);
	buf_fini(&to);
}
END_TEST

START_TEST(sasls_super_has_every_sasl_users_rights_and_only_those)
{
	struct acl_table t;
	struct acl_ids super, bob;
	struct buf list;
	uint32_t anns, digests;

	acl_table_init(&t, &KEY);
	t.policy.sasl = true;
	acl_ids_init(&super);
	acl_ids_init(&bob);
	ck_assert(acl_ids_add(&super, "sasl", "super") && acl_ids_add(&bob, "sasl", "bob"));
	buf_init(&list, 1000);
	jute_put_i32(&list, 1);
	put_acl(&list, ACL_READ, "sasl", "ann");
	anns = acl_intern(&t, (struct jute_bytes){list.data, (int32_t)list.len});
	buf_clear(&list);
	jute_put_i32(&list, 1);
	put_acl(&list, ACL_READ, "digest", "ann:h");
	digests = acl_intern(&t, (struct jute_bytes){list.data, (int32_t)list.len});
	ck_assert(acl_allows(&t, anns, ACL_READ, &super));
	ck_assert(!acl_allows(&t, digests, ACL_READ, &super));
	ck_assert(!acl_allows(&t, anns, ACL_READ, &bob));
	t.policy.any_sasl_may = "ann";
	ck_assert(acl_allows(&t, anns, ACL_READ, &bob));
	t.policy = (struct acl_policy){0};
	ck_assert(!acl_allows(&t, anns, ACL_READ, &super));
	t.policy.skip = true;
	ck_assert(acl_allows(&t, digests, ACL_READ, &bob));
	acl_unref(&t, anns);
	acl_unref(&t, digests);
	acl_ids_fini(&super);
	acl_ids_fini(&bob);
	acl_table_fini(&t);
	buf_fini(&list);
}
END_TEST

START_TEST(equal_lists_share_a_key_until_the_last_reference_goes)
{
	struct acl_table t;
	struct acl_ids ids;
	struct buf list;
	struct jute_bytes bytes;
	uint32_t key;

	acl_table_init(&t, &KEY);
	acl_ids_init(&ids);
	buf_init(&list, 1000);
	jute_put_i32(&list, 2);
	put_acl(&list, ACL_READ, "ip", "10.0.0.0/8");
	put_acl(&list, ACL_WRITE, "digest", "u:h");
	bytes = (struct jute_bytes){list.data, (int32_t)list.len};
	key = acl_intern(&t, bytes);
	ck_assert_uint_eq(key, 1);
	ck_assert_uint_eq(acl_intern(&t, bytes), key);
	ck_assert(!acl_allows(&t, key, ACL_READ, &ids));
	acl_ids_add(&ids, "ip", "10.9.9.9");
	ck_assert(acl_allows(&t, key, ACL_READ, &ids));
	ck_assert(!acl_allows(&t, key, ACL_WRITE, &ids));
	acl_ids_add(&ids, "super", "");
	ck_assert(acl_allows(&t, key, ACL_WRITE, &ids));
	acl_unref(&t, key);
	ck_assert(acl_has(&t, key));
	acl_unref(&t, key);
	ck_assert(!acl_has(&t, key));
	bytes.len--;
	ck_assert_uint_eq(acl_intern(&t, bytes), ACL_KEY_NONE);
	ck_assert_uint_eq(acl_intern(&t, (struct jute_bytes){NULL, -1}), ACL_KEY_OPEN);
	acl_ids_fini(&ids);
	acl_table_fini(&t);
	buf_fini(&list);
}
END_TEST

START_TEST(loaded_lists_that_no_node_has_are_purged)
{
	struct acl_table t;
	struct buf a, b;

	acl_table_init(&t, &KEY);
	buf_init(&a, 1000);
	buf_init(&b, 1000);
	jute_put_i32(&a, 1);
	put_acl(&a, ACL_READ, "world", "anyone");
	jute_put_i32(&b, 1);
	put_acl(&b, ACL_WRITE, "world", "anyone");
	ck_assert(acl_load(&t, 17, (struct jute_bytes){a.data, (int32_t)a.len}));
	ck_assert(acl_load(&t, 9, (struct jute_bytes){b.data, (int32_t)b.len}));
	ck_assert(!acl_load(&t, 9, (struct jute_bytes){b.data, (int32_t)b.len}));
	acl_ref(&t, 9);
	acl_purge(&t);
	ck_assert(!acl_has(&t, 17));
	ck_assert(acl_has(&t, 9));
	ck_assert_uint_eq(acl_intern(&t, (struct jute_bytes){a.data, (int32_t)a.len}), 18);
	acl_table_fini(&t);
	buf_fini(&a);
	buf_fini(&b);
}
END_TEST

START_TEST(a_digests_hash_is_masked_for_those_without_admin)
{
	struct buf list, to, want;

	buf_init(&list, 1000);
	buf_init(&to, 1000);
	buf_init(&want, 1000);
	jute_put_i32(&list, 2);
	put_acl(&list, ACL_ALL, "digest", "user:hash=");
	put_acl(&list, ACL_READ, "x509", "CN=a:b");
	jute_put_i32(&want, 2);
	put_acl(&want, ACL_ALL, "digest", "user:x");
	put_acl(&want, ACL_READ, "x509", "CN=a:b");
	acl_put_masked(&to, (struct jute_bytes){list.data, (int32_t)list.len});
	ck_assert_uint_eq(to.len, want.len);
	ck_assert_mem_eq(to.data, want.data, want.len);
	buf_fini(&list);
	buf_fini(&to);
	buf_fini(&want);
}
END_TEST

START_TEST(a_txn_comes_back_as_it_was_put)
{
	struct txn_header h = {7, 8, 9, 10, ZK_OP_SET_DATA};
	struct txn_body body = {
	    .type = ZK_OP_SET_DATA, .path = text("/a"), .data = {NULL, -1}, .version = 3};
	struct txn txn;
	struct buf b;

	buf_init(&b, 1000);
	txn_put_header(&b, &h);
	txn_put_body(&b, &body);
	txn_put_digest(&b, 0x1122334455667788);
	ck_assert(txn_decode(&txn, b.data, b.len));
	ck_assert_mem_eq(&txn.header, &h, sizeof h.session);
	ck_assert_int_eq(txn.header.zxid, 9);
	ck_assert_int_eq(txn.body.data.len, -1);
	ck_assert_int_eq(txn.body.version, 3);
	ck_assert(txn.has_digest);
	ck_assert_uint_eq(txn.digest, 0x1122334455667788);
	for (size_t size = 0; size < b.len - 12; size++)
		ck_assert(!txn_decode(&txn, b.data, size));
	buf_fini(&b);
}
END_TEST

START_TEST(an_old_create_without_a_cversion_means_one_more)
{
	struct txn_header h = {7, 8, 9, 10, ZK_OP_CREATE};
	struct txn txn;
	struct buf b;

	buf_init(&b, 1000);
	txn_put_header(&b, &h);
	jute_put_text(&b, "/a");
	jute_put_text(&b, NULL);
	jute_put_i32(&b, -1);
	jute_put_bool(&b, true);
	ck_assert(txn_decode(&txn, b.data, b.len));
	ck_assert_int_eq(txn.body.version, -1);
	ck_assert_int_eq(txn.body.owner, 7);
	ck_assert(!txn.has_digest);
	buf_fini(&b);
}
END_TEST

START_TEST(a_check_at_top_level_is_no_txn)
{
	struct txn_header h = {7, 8, 9, 10, ZK_OP_CHECK};
	struct txn_body body = {.type = ZK_OP_CHECK, .path = text("/a"), .version = 3};
	struct txn txn;
	struct buf b;

	buf_init(&b, 1000);
	txn_put_header(&b, &h);
	txn_put_body(&b, &body);
	ck_assert(!txn_decode(&txn, b.data, b.len));
	buf_fini(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkcore");
	TCase *c = tcase_create("modules");

	tcase_add_test(c, passwords_are_those_of_apaches_server);
	tcase_add_test(c, session_ids_begin_with_the_server_and_the_clock);
	tcase_add_test(c, a_session_expires_between_its_timeout_and_a_tick_later);
	tcase_add_test(c, so_many_ends_are_remembered_until_the_table_is_stopped);
	tcase_add_test(c, a_timeout_longer_than_the_wheel_is_kept);
	tcase_add_test(c, starting_gives_every_session_its_whole_timeout);
	tcase_add_test(c, addresses_match_by_prefix_within_their_family);
	tcase_add_test(c, what_is_no_address_is_refused);
	tcase_add_test(c, paths_are_checked_as_apache_checks_them);
	tcase_add_test(c, a_list_is_made_ready_without_duplicates_and_with_the_callers_identities);
	tcase_add_test(c, lists_that_mean_nothing_are_refused);
	tcase_add_test(c, what_schemes_a_list_may_have_is_a_policy);
	tcase_add_test(c, sasls_super_has_every_sasl_users_rights_and_only_those);
	tcase_add_test(c, equal_lists_share_a_key_until_the_last_reference_goes);
	tcase_add_test(c, loaded_lists_that_no_node_has_are_purged);
	tcase_add_test(c, a_digests_hash_is_masked_for_those_without_admin);
	tcase_add_test(c, a_txn_comes_back_as_it_was_put);
	tcase_add_test(c, an_old_create_without_a_cversion_means_one_more);
	tcase_add_test(c, a_check_at_top_level_is_no_txn);
	suite_add_tcase(s, c);
	return s;
}
