/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/http_head.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

static struct http_head head;
static const char *why;

static char text[HTTP_HEAD_BYTES_MAX + 1];

static bool
request(const char *bytes)
{
	size_t size = http_head_size((const uint8_t *)bytes, strlen(bytes));

	ck_assert_uint_eq(size, strlen(bytes));
	memcpy(text, bytes, size);
	return http_head_parse_request(text, size, &head, &why);
}

static bool
response(const char *bytes)
{
	memcpy(text, bytes, strlen(bytes));
	return http_head_parse_response(text, strlen(bytes), &head, &why);
}

START_TEST(a_request_comes_apart_into_method_target_and_fields)
{
	ck_assert(request(
	    "POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Length:  5 \r\nX-Empty:\r\n\r\n"));
	ck_assert_str_eq(head.method, "POST");
	ck_assert_str_eq(head.target, "/a/b?c=d");
	ck_assert_int_eq(head.minor, 1);
	ck_assert_str_eq(http_head_get(&head, "content-length"), "5");
	ck_assert_str_eq(http_head_get(&head, "x-empty"), "");
	ck_assert_ptr_null(http_head_get(&head, "x-none"));
}
END_TEST

START_TEST(a_head_is_not_there_before_its_empty_line)
{
	const char whole[] = "GET / HTTP/1.0\r\n\r\nrest";

	for (size_t i = 0; i < 18; i++)
		ck_assert_uint_eq(http_head_size((const uint8_t *)whole, i), 0);
	ck_assert_uint_eq(http_head_size((const uint8_t *)whole, sizeof whole), 18);
}
END_TEST

static const char *const bad_requests[] = {
    "\r\n\r\n",
    "GET\r\n\r\n",
    "GET /\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",			    /* no Host */
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", /* two */
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nName : value\r\n\r\n", /* a blank before the colon */
    "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n",
};

START_TEST(a_malformed_request_is_refused_with_a_reason)
{
	why = NULL;
	ck_assert(!request(bad_requests[_i]));
	ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(more_fields_than_allowed_are_refused)
{
	char many[4096];

	for (int extra = 0; extra < 2; extra++) {
		size_t len = (size_t)snprintf(many, sizeof many, "GET / HTTP/1.1\r\nHost: a\r\n");

		for (int i = 1; i < HTTP_FIELDS_MAX + extra; i++)
			len += (size_t)snprintf(many + len, sizeof many - len, "A: b\r\n");
		snprintf(many + len, sizeof many - len, "\r\n");
		ck_assert_int_eq(request(many), extra == 0);
	}
}
END_TEST

START_TEST(a_response_has_a_status_and_perhaps_a_reason)
{
	ck_assert(response("HTTP/1.1 200 OK\r\n\r\n"));
	ck_assert_int_eq(head.status, 200);
	ck_assert(response("HTTP/1.0 404\r\n\r\n"));
	ck_assert_int_eq(head.status, 404);
	ck_assert(!response("HTTP/1.1 20 OK\r\n\r\n"));
	ck_assert(!response("HTTP/1.1 2000 OK\r\n\r\n"));
	ck_assert(!response("ICY 200 OK\r\n\r\n"));
}
END_TEST

START_TEST(tokens_are_found_in_lists_whole_and_in_any_case)
{
	ck_assert(request("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive , "
			  "UPGRADE\r\nConnection: x\r\n\r\n"));
	ck_assert(http_head_has_token(&head, "connection", "upgrade"));
	ck_assert(http_head_has_token(&head, "connection", "keep-alive"));
	ck_assert(http_head_has_token(&head, "connection", "x"));
	ck_assert(!http_head_has_token(&head, "connection", "keep"));
	ck_assert(!http_head_has_token(&head, "connection", "close"));
}
END_TEST

static const struct {
	const char *fields;
	int kind; /* -1: refused */
} framings[] = {
    {"", HTTP_BODY_NONE},
    {"Content-Length: 0\r\n", HTTP_BODY_LENGTH},
    {"Content-Length: 7\r\n", HTTP_BODY_LENGTH},
    {"Transfer-Encoding: chunked\r\n", HTTP_BODY_CHUNKED},
    {"Transfer-Encoding: gzip\r\n", -1},
    {"Transfer-Encoding: gzip, chunked\r\n", -1},
    {"Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", -1},
    {"Content-Length: 7\r\nContent-Length: 7\r\n", -1},
    {"Content-Length: +7\r\n", -1},
    {"Content-Length: 7, 7\r\n", -1},
    {"Content-Length: -1\r\n", -1},
    {"Content-Length: 99999999999999999999\r\n", -1},
    {"Content-Length:\r\n", -1},
};

START_TEST(a_body_is_framed_one_way_or_not_at_all)
{
	char bytes[256];
	struct http_body body;

	snprintf(bytes, sizeof bytes, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", framings[_i].fields);
	ck_assert(request(bytes));
	ck_assert_int_eq(http_body_of_request(&body, &head, &why), framings[_i].kind >= 0);
	if (framings[_i].kind >= 0)
		ck_assert_int_eq((int)body.kind, framings[_i].kind);
}
END_TEST

/* Feed bytes in pieces; the body comes out in text. */
static enum http_body_result
feed(struct http_body *body, const char *bytes, size_t piece, size_t *used_all)
{
	enum http_body_result result = HTTP_BODY_MORE;
	size_t size = strlen(bytes), used, data_size, out = 0;
	const uint8_t *data;

	*used_all = 0;
	while (result == HTTP_BODY_MORE || result == HTTP_BODY_DATA) {
		size_t give = size - *used_all < piece ? size - *used_all : piece;

		result = http_body_step(
		    body, (const uint8_t *)bytes + *used_all, give, &used, &data, &data_size);
		memcpy(text + out, data, data_size);
		out += data_size;
		*used_all += used;
		if (result == HTTP_BODY_MORE && *used_all == size)
			break;
	}
	text[out] = '\0';
	return result;
}

START_TEST(a_chunked_body_comes_out_whole_in_pieces_of_any_size)
{
	const char chunks[] =
	    "5\r\nhello\r\n1;name=value\r\n \r\n00A\r\nworld12345\r\n0\r\nTrailer: x\r\n\r\n";
	char bytes[128];
	size_t used;

	snprintf(bytes, sizeof bytes, "%sNEXT", chunks);
	for (size_t piece = 1; piece < sizeof bytes; piece++) {
		struct http_body body = {.kind = HTTP_BODY_CHUNKED};

		ck_assert_int_eq(feed(&body, bytes, piece, &used), HTTP_BODY_DONE);
		ck_assert_str_eq(text, "hello world12345");
		ck_assert_uint_eq(used, strlen(chunks));
	}
}
END_TEST

static const char *const bad_chunks[] = {
    "x\r\n",
    "\r\n",
    "-1\r\n",
    "5 \nhello",
    "5\rhello",
    "5\r\nhelloX",
    "5\r\nhello\rX",
    "ffffffffffffffff\r\n",
    "10000000001\r\n",
    "0\r\n\n",
};

START_TEST(malformed_chunks_are_refused)
{
	struct http_body body = {.kind = HTTP_BODY_CHUNKED};
	size_t used;

	ck_assert_int_eq(feed(&body, bad_chunks[_i], 100, &used), HTTP_BODY_BAD);
}
END_TEST

START_TEST(endless_chunk_lines_and_trailers_are_refused)
{
	static char bytes[10000];
	struct http_body body = {.kind = HTTP_BODY_CHUNKED};
	size_t used;

	memset(bytes, '0', sizeof bytes - 1);
	ck_assert_int_eq(feed(&body, bytes, 4096, &used), HTTP_BODY_BAD);
	memset(bytes, 'a', sizeof bytes - 1);
	memcpy(bytes, "0\r\n", 3);
	body = (struct http_body){.kind = HTTP_BODY_CHUNKED};
	ck_assert_int_eq(feed(&body, bytes, 4096, &used), HTTP_BODY_BAD);
}
END_TEST

START_TEST(texts_survive_encoding_and_bad_escapes_are_refused)
{
	char encoded[64];
	char bad[][8] = {"%", "%1", "%zz", "a%00b"};

	ck_assert(http_encode(encoded, sizeof encoded, "a b/\xc3\xa4?+~"));
	ck_assert_str_eq(encoded, "a%20b%2F%C3%A4%3F%2B~");
	ck_assert(http_decode(encoded, false));
	ck_assert_str_eq(encoded, "a b/\xc3\xa4?+~");
	ck_assert(!http_encode(encoded, 3, "abc"));
	ck_assert(http_encode(encoded, 4, "abc"));
	memcpy(encoded, "a+b", 4);
	ck_assert(http_decode(encoded, true));
	ck_assert_str_eq(encoded, "a b");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert(!http_decode(bad[i], false));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("http_head");
	TCase *t = tcase_create("http_head");

	tcase_add_test(t, a_request_comes_apart_into_method_target_and_fields);
	tcase_add_test(t, a_head_is_not_there_before_its_empty_line);
	tcase_add_loop_test(t, a_malformed_request_is_refused_with_a_reason, 0,
	    sizeof bad_requests / sizeof bad_requests[0]);
	tcase_add_test(t, more_fields_than_allowed_are_refused);
	tcase_add_test(t, a_response_has_a_status_and_perhaps_a_reason);
	tcase_add_test(t, tokens_are_found_in_lists_whole_and_in_any_case);
	tcase_add_loop_test(
	    t, a_body_is_framed_one_way_or_not_at_all, 0, sizeof framings / sizeof framings[0]);
	tcase_add_test(t, a_chunked_body_comes_out_whole_in_pieces_of_any_size);
	tcase_add_loop_test(
	    t, malformed_chunks_are_refused, 0, sizeof bad_chunks / sizeof bad_chunks[0]);
	tcase_add_test(t, endless_chunk_lines_and_trailers_are_refused);
	tcase_add_test(t, texts_survive_encoding_and_bad_escapes_are_refused);
	suite_add_tcase(s, t);
	return s;
}
