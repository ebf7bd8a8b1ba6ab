/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 as bytes (RFC 9110, RFC 9112): heads of requests and responses, and the framing of
 * bodies. Strict, because what two readers understand differently can smuggle a request: lines end
 * in CRLF, no folded lines, no blank before a colon, one Content-Length, never beside
 * Transfer-Encoding. Nothing is allocated; a head is parsed in place, in the caller's copy of it.
 */
#ifndef CORRAL_CODEC_HTTP_HEAD_H
#define CORRAL_CODEC_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_BYTES_MAX 16384
#define HTTP_FIELDS_MAX 64

struct http_field {
	const char *name, *value; /* the value without blanks around it */
};

struct http_head {
	const char *method, *target; /* of a request */
	int status;		     /* of a response */
	int minor;		     /* of HTTP/1.minor: 0 or 1 */
	size_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/*
 * The size of the head at the start of bytes, its empty line included; 0: not all of it is there.
 * The caller drops whoever sends HTTP_HEAD_BYTES_MAX bytes without the end of a head.
 */
size_t http_head_size(const uint8_t *bytes, size_t size);

/*
 * Parse a head of `size` bytes (as http_head_size() says) in place; text has one more byte, for a
 * NUL. *h points into text. False: *why says what was wrong with it.
 */
bool http_head_parse_request(char *text, size_t size, struct http_head *h, const char **why);
bool http_head_parse_response(char *text, size_t size, struct http_head *h, const char **why);

/* The value of the first field of that name (any case); NULL if there is none. */
const char *http_head_get(const struct http_head *h, const char *name);

/* The comma-separated list in all fields of that name has the token (any case). */
bool http_head_has_token(const struct http_head *h, const char *name, const char *token);

/* How a body is delimited, and what of it has been read. */
enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_TO_CLOSE };

struct http_body {
	enum http_body_kind kind;
	uint64_t left;	   /* bytes of the body, or of the chunk at hand */
	int state;	   /* of the chunked coding */
	size_t line_bytes; /* of the line at hand */
	size_t trailer_bytes;
};

/* From a parsed head. False: contradictory or unknown framing; *why says which. */
bool http_body_of_request(struct http_body *b, const struct http_head *h, const char **why);
bool http_body_of_response(struct http_body *b, const struct http_head *h, const char **why);

enum http_body_result { HTTP_BODY_MORE, HTTP_BODY_DATA, HTTP_BODY_DONE, HTTP_BODY_BAD };

/*
 * Read on: *used bytes of in are spent, *data_size of them from *data on belong to the body (with
 * HTTP_BODY_DATA: call again with the rest). MORE: everything was used, and more is needed.
 */
enum http_body_result http_body_step(struct http_body *b, const uint8_t *in, size_t size,
    size_t *used, const uint8_t **data, size_t *data_size);

/* "Not Found" and so on; "Unknown" for numbers without a text here. */
const char *http_status_text(int status);

/* The percent-encoded form of one path segment or query value; false if it does not fit. */
bool http_encode(char *to, size_t size, const char *text);

/* Undo it in place, with '+' for a blank in queries. False: a bad escape, or an encoded NUL. */
bool http_decode(char *text, bool query);

#endif
