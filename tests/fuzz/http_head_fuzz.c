/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads and bodies of HTTP. The first byte chooses: its lowest bit a request or a response, the
 * rest the size of the pieces in which the body arrives.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/http_head.h"
#include "tests/fuzz/fuzz.h"

static void
check_body(struct http_body *body, const uint8_t *bytes, size_t size, size_t piece)
{
	enum http_body_result result = HTTP_BODY_MORE;
	size_t at = 0, used, data_size;
	const uint8_t *data;

	while (at < size && (result == HTTP_BODY_MORE || result == HTTP_BODY_DATA)) {
		size_t give = size - at < piece ? size - at : piece;

		result = http_body_step(body, bytes + at, give, &used, &data, &data_size);
		assert(used <= give && data_size <= used);
		assert(data >= bytes + at && data + data_size <= bytes + at + used);
		assert((result == HTTP_BODY_DATA) == (data_size > 0));
		/* It must move on, or say why not. */
		assert(used > 0 || result == HTTP_BODY_DONE || result == HTTP_BODY_BAD);
		at += used;
	}
}

static void
check_head(const struct http_head *head, char *text, size_t size)
{
	char copy[HTTP_HEAD_BYTES_MAX + 1];

	assert(head->field_count <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < head->field_count; i++) {
		assert(head->fields[i].name >= text && head->fields[i].value <= text + size);
		assert(http_head_get(head, head->fields[i].name) != NULL);
		(void)http_head_has_token(head, head->fields[i].name, "chunked");
	}
	if (head->target != NULL) {
		assert(strlen(head->target) < sizeof copy);
		memcpy(copy, head->target, strlen(head->target) + 1);
		if (http_decode(copy, true))
			assert(strlen(copy) <= strlen(head->target));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head;
	struct http_body body;
	const char *why = NULL;
	size_t head_size;
	bool parsed;
	char *text;

	if (size < 1)
		return 0;
	head_size = http_head_size(
	    data + 1, size - 1 < HTTP_HEAD_BYTES_MAX ? size - 1 : HTTP_HEAD_BYTES_MAX);
	if (head_size == 0)
		return 0;
	text = malloc(head_size + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data + 1, head_size);
	parsed = data[0] & 1 ? http_head_parse_response(text, head_size, &head, &why)
			     : http_head_parse_request(text, head_size, &head, &why);
	assert(parsed || why != NULL);
	if (parsed) {
		check_head(&head, text, head_size);
		if (data[0] & 1 ? http_body_of_response(&body, &head, &why)
				: http_body_of_request(&body, &head, &why))
			check_body(
			    &body, data + 1 + head_size, size - 1 - head_size, 1 + (data[0] >> 1));
	}
	free(text);
	return 0;
}
