/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/pbjson.h"

#include <string.h>

#include "proto/api.pb-c.h"
#include "tests/lib/unit.h"

static char error[200];

static const char *
encode(const ProtobufCMessage *message, unsigned flags)
{
	static struct buf out;

	buf_fini(&out);
	buf_init(&out, 1 << 20);
	ck_assert(pbjson_encode(message, flags, &out));
	return buf_text(&out);
}

static ProtobufCMessage *
decode(const ProtobufCMessageDescriptor *type, const char *text)
{
	error[0] = '\0';
	return pbjson_decode(type, text, strlen(text), 0, error, sizeof error);
}

/* The text must be refused with an error that contains `why`. */
static void
refused(const ProtobufCMessageDescriptor *type, const char *text, const char *why)
{
	ck_assert_msg(decode(type, text) == NULL, "%s was taken", text);
	ck_assert_msg(strstr(error, why) != NULL, "%s: \"%s\", expected \"%s\"", text, error, why);
}

/* The text must come back as it is. */
static void
same(const ProtobufCMessageDescriptor *type, const char *text)
{
	ProtobufCMessage *m = decode(type, text);

	ck_assert_msg(m != NULL, "%s: %s", text, error);
	ck_assert_str_eq(encode(m, 0), text);
	protobuf_c_message_free_unpacked(m, NULL);
}

START_TEST(what_is_unset_is_left_out_and_what_is_set_comes_back)
{
	same(&corral__api__task_list__descriptor, "{}");
	same(&corral__resources__descriptor, "{}");
	same(&corral__resources__descriptor, "{\"cpu_milli\":0,\"memory_bytes\":268435456}");
	same(&corral__api__task_list__descriptor,
	    "{\"tasks\":[{\"job\":\"a\",\"index\":0,\"state\":\"running\","
	    "\"resources\":{\"cpu_milli\":500}},"
	    "{\"job\":\"a\",\"index\":1,\"state\":\"waiting\",\"exit_code\":-7}]}");
	same(&corral__task_spec__descriptor,
	    "{\"argv\":[\"/bin/sh\",\"-c\",\"echo \\\"\xc3\xa4\\\" \\u0001\"],\"interactive\":true,"
	    "\"exec_start_pre\":[{\"argv\":[\"true\"],\"ignore_failure\":false}]}");
}
END_TEST

START_TEST(enums_are_the_names_of_the_schema_in_lower_case)
{
	same(&corral__status_update__descriptor,
	    "{\"key\":{\"job\":\"a\",\"incarnation\":1,\"index\":0,\"attempt\":1,"
	    "\"term\":{\"era\":1,\"czxid\":2}},"
	    "\"sequence\":1,\"uuid\":\"AAECAw==\",\"state\":\"failed\","
	    "\"reason\":\"reason_out_of_memory\"}");
	refused(&corral__task_report__descriptor,
	    "{\"key\":{\"job\":\"a\",\"incarnation\":1,\"index\":0,\"attempt\":1,"
	    "\"term\":{\"era\":1,\"czxid\":2}},"
	    "\"state\":\"FAILED\"}",
	    "state: \"FAILED\" is none of the names that TaskState has");
}
END_TEST

START_TEST(numbers_that_a_double_would_round_are_texts)
{
	Corral__Term term = CORRAL__TERM__INIT;

	term.era = UINT64_C(1) << 53;
	term.czxid = -(INT64_C(1) << 53);
	ck_assert_str_eq(
	    encode(&term.base, 0), "{\"era\":9007199254740992,\"czxid\":-9007199254740992}");
	same(&corral__term__descriptor,
	    "{\"era\":\"18446744073709551615\",\"czxid\":\"-9223372036854775808\"}");
	same(&corral__term__descriptor,
	    "{\"era\":\"9007199254740993\",\"czxid\":\"9223372036854775807\"}");
	refused(&corral__term__descriptor, "{\"era\":\"18446744073709551616\",\"czxid\":0}",
	    "era: expected a whole number");
	refused(&corral__term__descriptor, "{\"era\":-1,\"czxid\":0}",
	    "era: the number is out of range");
	refused(
	    &corral__term__descriptor, "{\"era\":1.0,\"czxid\":0}", "era: expected a whole number");
}
END_TEST

START_TEST(a_number_must_fit_its_field)
{
	refused(&corral__api__run_end__descriptor, "{\"status\":2147483648}",
	    "status: the number is out of range");
	refused(&corral__api__run_end__descriptor, "{\"status\":true}",
	    "status: expected a whole number");
	refused(&corral__api__error__descriptor, "{\"error\":\"x\",\"line\":4294967296}",
	    "line: the number is out of range");
	same(&corral__api__error__descriptor, "{\"error\":\"x\",\"line\":4294967295}");
}
END_TEST

START_TEST(a_missing_required_field_is_named_with_its_place)
{
	refused(&corral__api__job_submit__descriptor, "{\"name\":\"a\"}", "text is missing");
	refused(&corral__api__job_submit__descriptor, "{\"name\":\"a\",\"text\":null}",
	    "text is missing");
	refused(&corral__api__task_list__descriptor,
	    "{\"tasks\":[{\"job\":\"a\",\"index\":0,\"state\":\"x\"},{\"job\":\"b\",\"index\":1}]}",
	    "tasks[1]: state is missing");
}
END_TEST

START_TEST(unknown_fields_are_refused_or_skipped_as_asked)
{
	const char *text = "{\"reason\":\"x\",\"colour\":{\"deep\":[1,2]}}";
	ProtobufCMessage *m;

	refused(&corral__api__job_stop__descriptor, text, "colour: no such field in JobStop");
	m = pbjson_decode(&corral__api__job_stop__descriptor, text, strlen(text),
	    PBJSON_IGNORE_UNKNOWN, error, sizeof error);
	ck_assert_ptr_nonnull(m);
	ck_assert_str_eq(encode(m, 0), "{\"reason\":\"x\"}");
	protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

START_TEST(one_member_of_a_group_may_be_there)
{
	same(&corral__api__client_to_master__descriptor, "{\"signal\":0}");
	same(&corral__api__client_to_master__descriptor,
	    "{\"data\":{\"stream\":1,\"fd\":0,\"data\":\"\"}}");
	refused(&corral__api__client_to_master__descriptor,
	    "{\"ack\":{\"stream\":1,\"bytes\":2},\"signal\":15}", "only one of its group");
	refused(&corral__api__client_to_master__descriptor,
	    "{\"data\":{\"stream\":1,\"fd\":0,\"data\":\"?\"}}", "data.data: not base64");
	refused(&corral__api__client_to_master__descriptor, "{\"signal\":\"x\"}",
	    "signal: expected a whole number");
}
END_TEST

START_TEST(wrong_types_and_bad_json_are_refused)
{
	refused(&corral__api__job_stop__descriptor, "[]", "expected an object");
	refused(&corral__api__job_stop__descriptor, "{\"reason\":1}", "reason: expected text");
	refused(
	    &corral__api__job_stop__descriptor, "{\"reason\":\"a\",\"reason\":\"b\"}", "bad JSON");
	refused(&corral__api__job_stop__descriptor, "{\"reason\":\"a\"} x", "bad JSON in line 1");
	refused(&corral__api__job_stop__descriptor, "{\"reason\":\"\xff\"}", "bad JSON");
	refused(&corral__api__job_stop__descriptor, "", "bad JSON");
	refused(&corral__api__task_list__descriptor, "{\"tasks\":{}}", "tasks: expected a list");
	refused(&corral__task_spec__descriptor, "{\"argv\":[\"a\",7]}", "argv[1]: expected text");
	refused(&corral__task_spec__descriptor, "{\"interactive\":1}",
	    "interactive: expected true or false");
}
END_TEST

START_TEST(text_that_is_not_utf8_is_shown_with_replacement_characters)
{
	Corral__Api__Error e = CORRAL__API__ERROR__INIT;
	char text[] = "a\xff\xc3\xa4\xc0\x80z";

	e.error = text;
	ck_assert_str_eq(
	    encode(&e.base, 0), "{\"error\":\"a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbdz\"}");
}
END_TEST

START_TEST(defaults_are_printed_when_asked_for)
{
	Corral__StreamOpen open = CORRAL__STREAM_OPEN__INIT;
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;
	Corral__Term term = CORRAL__TERM__INIT;
	char job[] = "a";

	key.job = job;
	key.term = &term;
	open.key = &key;
	ck_assert_str_eq(encode(&open.base, PBJSON_DEFAULTS),
	    "{\"stream\":0,\"key\":{\"job\":\"a\",\"incarnation\":0,\"index\":0,\"attempt\":0,"
	    "\"term\":{\"era\":0,\"czxid\":0}},\"follow\":false,\"input\":false,"
	    "\"tail_lines\":-1,\"stdout_offset\":0,\"stderr_offset\":0}");
}
END_TEST

START_TEST(a_message_without_a_required_text_or_a_full_buffer_leaves_the_output_alone)
{
	Corral__Api__Error e = CORRAL__API__ERROR__INIT;
	char text[] = "something longer";
	struct buf out;

	buf_init(&out, 16);
	buf_append(&out, "abc", 3);
	ck_assert(!pbjson_encode(&e.base, 0, &out));
	e.error = text;
	ck_assert(!pbjson_encode(&e.base, 0, &out));
	ck_assert(!out.failed);
	ck_assert_str_eq(buf_text(&out), "abc");
	buf_fini(&out);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("pbjson");
	TCase *t = tcase_create("pbjson");

	tcase_add_test(t, what_is_unset_is_left_out_and_what_is_set_comes_back);
	tcase_add_test(t, enums_are_the_names_of_the_schema_in_lower_case);
	tcase_add_test(t, numbers_that_a_double_would_round_are_texts);
	tcase_add_test(t, a_number_must_fit_its_field);
	tcase_add_test(t, a_missing_required_field_is_named_with_its_place);
	tcase_add_test(t, unknown_fields_are_refused_or_skipped_as_asked);
	tcase_add_test(t, one_member_of_a_group_may_be_there);
	tcase_add_test(t, wrong_types_and_bad_json_are_refused);
	tcase_add_test(t, text_that_is_not_utf8_is_shown_with_replacement_characters);
	tcase_add_test(t, defaults_are_printed_when_asked_for);
	tcase_add_test(
	    t, a_message_without_a_required_text_or_a_full_buffer_leaves_the_output_alone);
	suite_add_tcase(s, t);
	return s;
}
