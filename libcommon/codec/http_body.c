/* SPDX-License-Identifier: Apache-2.0 */
/* Where a body ends: by length, in chunks (RFC 9112 7.1), or with the connection. */
#include <string.h>
#include <strings.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/http_head.h"

#define CHUNK_LINE_BYTES_MAX 256 /* a size and extensions, which are ignored */
#define CHUNK_BYTES_MAX ((uint64_t)1 << 40)
#define TRAILER_BYTES_MAX 8192

enum chunk_state {
	CHUNK_SIZE,	 /* hex digits, at least one */
	CHUNK_EXTENSION, /* up to the CR */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* lines up to an empty one */
	CHUNK_TRAILER_LF,
	CHUNK_END,
};

static bool
body_of_fields(struct http_body *b, const struct http_head *h, const char **why)
{
	const char *length = NULL, *coding = NULL;

	*b = (struct http_body){0};
	*why = "contradictory lengths of the body";
	for (size_t i = 0; i < h->field_count; i++) {
		const char **field;

		if (strcasecmp(h->fields[i].name, "content-length") == 0)
			field = &length;
		else if (strcasecmp(h->fields[i].name, "transfer-encoding") == 0)
			field = &coding;
		else
			continue;
		if (*field != NULL)
			return false;
		*field = h->fields[i].value;
	}
	if (coding != NULL) {
		b->kind = HTTP_BODY_CHUNKED;
		if (length != NULL)
			return false;
		*why = "an unknown transfer coding";
		return h->minor == 1 && strcasecmp(coding, "chunked") == 0;
	}
	if (length == NULL)
		return true;
	b->kind = HTTP_BODY_LENGTH;
	*why = "the length of the body is not a number";
	return str_to_u64(length, 0, INT64_MAX, &b->left);
}

bool
http_body_of_request(struct http_body *b, const struct http_head *h, const char **why)
{
	return body_of_fields(b, h, why);
}

bool
http_body_of_response(struct http_body *b, const struct http_head *h, const char **why)
{
	if (!body_of_fields(b, h, why))
		return false;
	if (h->status < 200 || h->status == 204 || h->status == 304)
		*b = (struct http_body){0};
	else if (b->kind == HTTP_BODY_NONE)
		b->kind = HTTP_BODY_TO_CLOSE;
	return true;
}

static bool
chunk_size_digit(struct http_body *b, uint8_t c)
{
	unsigned digit = str_digit((char)c);

	if (digit > 15)
		return false;
	b->left = b->left * 16 + digit;
	return b->left <= CHUNK_BYTES_MAX;
}

/* One byte outside of a chunk's data; false: it cannot stand there. */
static bool
chunk_byte(struct http_body *b, uint8_t c)
{
	switch ((enum chunk_state)b->state) {
	case CHUNK_SIZE:
		if (b->line_bytes > 0 && (c == '\r' || c == ';' || c == ' ' || c == '\t'))
			b->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
		else if (!chunk_size_digit(b, c))
			return false;
		return ++b->line_bytes <= CHUNK_LINE_BYTES_MAX;
	case CHUNK_EXTENSION:
		if (c == '\r')
			b->state = CHUNK_SIZE_LF;
		return c != '\n' && ++b->line_bytes <= CHUNK_LINE_BYTES_MAX;
	case CHUNK_SIZE_LF:
		b->state = b->left == 0 ? CHUNK_TRAILER : CHUNK_DATA;
		b->line_bytes = 0;
		return c == '\n';
	case CHUNK_DATA_CR:
		b->state = CHUNK_DATA_LF;
		return c == '\r';
	case CHUNK_DATA_LF:
		b->state = CHUNK_SIZE;
		return c == '\n';
	case CHUNK_TRAILER:
		if (c == '\r')
			b->state = CHUNK_TRAILER_LF;
		else
			b->line_bytes++;
		return c != '\n' && ++b->trailer_bytes <= TRAILER_BYTES_MAX;
	case CHUNK_TRAILER_LF:
		b->state = b->line_bytes == 0 ? CHUNK_END : CHUNK_TRAILER;
		b->line_bytes = 0;
		return c == '\n';
	case CHUNK_DATA:
	case CHUNK_END:
		break;
	}
	return false;
}

static enum http_body_result
body_take(struct http_body *b, const uint8_t *in, size_t size, size_t *used, const uint8_t **data,
    size_t *data_size)
{
	size_t take = size < b->left ? size : (size_t)b->left;

	*data = in + *used;
	*data_size = take;
	*used += take;
	b->left -= take;
	return take > 0 ? HTTP_BODY_DATA : HTTP_BODY_MORE;
}

static enum http_body_result
chunked_step(struct http_body *b, const uint8_t *in, size_t size, size_t *used,
    const uint8_t **data, size_t *data_size)
{
	enum http_body_result result;

	while (b->state != CHUNK_END && *used < size) {
		if (b->state == CHUNK_DATA) {
			result = body_take(b, in, size - *used, used, data, data_size);
			if (b->left == 0)
				b->state = CHUNK_DATA_CR;
			return result;
		}
		if (!chunk_byte(b, in[*used]))
			return HTTP_BODY_BAD;
		++*used;
	}
	return b->state == CHUNK_END ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

enum http_body_result
http_body_step(struct http_body *b, const uint8_t *in, size_t size, size_t *used,
    const uint8_t **data, size_t *data_size)
{
	*used = *data_size = 0;
	*data = in;
	switch (b->kind) {
	case HTTP_BODY_LENGTH:
		return b->left == 0 ? HTTP_BODY_DONE
				    : body_take(b, in, size, used, data, data_size);
	case HTTP_BODY_CHUNKED:
		return chunked_step(b, in, size, used, data, data_size);
	case HTTP_BODY_TO_CLOSE:
		b->left = UINT64_MAX;
		return body_take(b, in, size, used, data, data_size);
	default:
		return HTTP_BODY_DONE;
	}
}
