/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/proto.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

START_TEST(paths_that_apache_refuses_have_a_fault)
{
	static const char *const good[] = {"/", "/a", "/a/b.c/..d", "/\xc3\xa9", "/...", "/a b"};
	static const char *const bad[] = {
	    "", "a", "//", "/a/", "/a//b", "/.", "/a/..", "/a/./b", "/a\nb", "/\x7f"};

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert_msg(zk_path_fault(good[i]) == NULL, "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(zk_path_fault(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

START_TEST(codes_have_names_and_texts)
{
	ck_assert_str_eq(zk_rc_name(-101), "NONODE");
	ck_assert_str_eq(zk_rc_text(-101), "no such node");
	ck_assert_str_eq(zk_rc_name(-99), "UNKNOWN");
	ck_assert_str_eq(zk_rc_text(7), "unknown error");
}
END_TEST

/* A reply of getChildren2 with these names, cut after `size` bytes when it is positive. */
static bool
decode_children(const char *const *names, size_t count, size_t size, struct zk_result *result)
{
	struct jute_reader r;
	struct buf b;
	bool ok;

	buf_init(&b, 1 << 20);
	jute_put_i32(&b, (int32_t)count);
	for (size_t i = 0; i < count; i++)
		jute_put_text(&b, names[i]);
	for (int i = 0; i < 68; i++)
		jute_put_u8(&b, (uint8_t)i);
	ck_assert(!b.failed);
	r = jute_reader(b.data, size > 0 ? size : b.len);
	*result = (struct zk_result){.zxid = 7};
	ok = zk_result_decode(&r, ZK_OP_GET_CHILDREN2, result);
	buf_fini(&b);
	return ok;
}

START_TEST(children_come_out_as_texts_that_outlive_the_frame)
{
	static const char *const names[] = {"one", "", "three"};
	struct zk_result result;

	ck_assert(decode_children(names, 3, 0, &result));
	ck_assert_uint_eq(result.child_count, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(result.children[i], names[i]);
	ck_assert_int_eq(result.stat.version, 0x20212223);
	ck_assert_int_eq(result.stat.pzxid, 0x3c3d3e3f40414243);
	zk_result_fini(&result);
}
END_TEST

START_TEST(a_reply_cut_anywhere_is_refused_and_holds_nothing)
{
	static const char *const names[] = {"one", "", "three"};
	struct zk_result result;

	for (size_t size = 1; size < 4 + 7 + 4 + 9 + 68; size++) {
		ck_assert(!decode_children(names, 3, size, &result));
		ck_assert_int_eq(result.rc, ZK_PROTOCOL);
		ck_assert_int_eq(result.zxid, 7);
		ck_assert_ptr_null(result.memory);
		ck_assert_ptr_null(result.children);
	}
}
END_TEST

START_TEST(a_multi_of_all_kinds_comes_out_part_by_part)
{
	struct zk_result result = {.rc = 0};
	struct jute_reader r;
	struct buf b;

	buf_init(&b, 4096);
	jute_put_i32(&b, ZK_OP_CREATE2);
	jute_put_bool(&b, false);
	jute_put_i32(&b, 0);
	jute_put_text(&b, "/a0000000001");
	for (int i = 0; i < 68; i++)
		jute_put_u8(&b, 1);
	jute_put_i32(&b, 1); /* Apache's answer to a create2: that of a create */
	jute_put_bool(&b, false);
	jute_put_i32(&b, 0);
	jute_put_text(&b, "/b");
	jute_put_i32(&b, ZK_OP_DELETE);
	jute_put_bool(&b, false);
	jute_put_i32(&b, 0);
	jute_put_i32(&b, -1);
	jute_put_bool(&b, true);
	jute_put_i32(&b, -1);
	r = jute_reader(b.data, b.len);
	ck_assert(zk_result_decode(&r, ZK_OP_MULTI, &result));
	ck_assert_int_eq(result.rc, ZK_OK);
	ck_assert_uint_eq(result.op_count, 3);
	ck_assert_str_eq(result.ops[0].path, "/a0000000001");
	ck_assert_int_eq(result.ops[0].stat.czxid, 0x0101010101010101);
	ck_assert_str_eq(result.ops[1].path, "/b");
	ck_assert_int_eq(result.ops[2].rc, ZK_OK);
	zk_result_fini(&result);
	for (size_t size = 0; size < b.len; size++) {
		r = jute_reader(b.data, size);
		ck_assert(!zk_result_decode(&r, ZK_OP_MULTI, &result));
		ck_assert_ptr_null(result.memory);
	}
	buf_fini(&b);
}
END_TEST

START_TEST(a_name_with_a_nul_inside_is_refused)
{
	static const uint8_t reply[] = {0, 0, 0, 3, '/', 0, 'a'};
	struct jute_reader r = jute_reader(reply, sizeof reply);
	struct zk_result result = {.rc = 0};

	ck_assert(!zk_result_decode(&r, ZK_OP_SYNC, &result));
	ck_assert_int_eq(result.rc, ZK_PROTOCOL);
}
END_TEST

START_TEST(null_data_and_empty_data_are_two_things)
{
	struct zk_op op = {.type = ZK_OP_SET_DATA, .path = "/a", .version = ZK_ANY_VERSION};
	static const uint8_t null[] = {0xff, 0xff, 0xff, 0xff}, empty[] = {0, 0, 0, 0};
	struct buf b;

	buf_init(&b, 4096);
	zk_request_encode(&b, 1, &op, false);
	ck_assert_mem_eq(b.data + 14, null, 4);
	buf_clear(&b);
	op.data = "";
	zk_request_encode(&b, 1, &op, false);
	ck_assert_mem_eq(b.data + 14, empty, 4);
	buf_fini(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zk_proto");
	TCase *t = tcase_create("proto");

	tcase_add_test(t, paths_that_apache_refuses_have_a_fault);
	tcase_add_test(t, codes_have_names_and_texts);
	tcase_add_test(t, children_come_out_as_texts_that_outlive_the_frame);
	tcase_add_test(t, a_reply_cut_anywhere_is_refused_and_holds_nothing);
	tcase_add_test(t, a_multi_of_all_kinds_comes_out_part_by_part);
	tcase_add_test(t, a_name_with_a_nul_inside_is_refused);
	tcase_add_test(t, null_data_and_empty_data_are_two_things);
	suite_add_tcase(s, t);
	return s;
}
