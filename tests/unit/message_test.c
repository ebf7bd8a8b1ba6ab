/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/message.h"

#include "proto/corral.pb-c.h"
#include "tests/lib/unit.h"

/* What is read can be written and read again, at any depth and in any kind of field. */
START_TEST(a_field_of_number_zero_is_in_no_message)
{
	static const uint8_t term[] = {0x08, 1, 0x10, 7, 0x82, 0, 0};
	static const uint8_t in_required[] = {0x0a, 7, 0x08, 1, 0x10, 7, 0x82, 0, 0};
	static const uint8_t in_repeated[] = {0x5a, 3, 0x82, 0, 0};
	static const uint8_t in_one_of[] = {0x12, 7, 0x08, 1, 0x10, 7, 0x82, 0, 0};
	static const struct {
		const ProtobufCMessageDescriptor *type;
		const uint8_t *bytes;
		size_t size;
	} bad[] = {{&corral__term__descriptor, term, sizeof term},
	    {&corral__master_to_agent__descriptor, in_required, sizeof in_required},
	    {&corral__task_spec__descriptor, in_repeated, sizeof in_repeated},
	    {&corral__checkpoint_record__descriptor, in_one_of, sizeof in_one_of}};

	ck_assert_ptr_null(message_unpack(bad[_i].type, bad[_i].size, bad[_i].bytes));
}
END_TEST

START_TEST(fields_that_nobody_knows_yet_are_kept)
{
	static const uint8_t bytes[] = {0x08, 1, 0x10, 7, 0x7a, 1, 'x'};
	ProtobufCMessage *m = message_unpack(&corral__term__descriptor, sizeof bytes, bytes);

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->n_unknown_fields, 1);
	ck_assert_uint_eq(protobuf_c_message_get_packed_size(m), sizeof bytes);
	protobuf_c_message_free_unpacked(m, NULL);
	ck_assert_ptr_null(message_unpack(&corral__term__descriptor, 2, bytes));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("message");
	TCase *t = tcase_create("message");

	tcase_add_loop_test(t, a_field_of_number_zero_is_in_no_message, 0, 4);
	tcase_add_test(t, fields_that_nobody_knows_yet_are_kept);
	suite_add_tcase(s, t);
	return s;
}
