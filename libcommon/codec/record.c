/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/record.h"

#include <assert.h>
#include <string.h>
#include <libdeflate.h>

static void
put_u32(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 24);
	to[1] = (uint8_t)(v >> 16);
	to[2] = (uint8_t)(v >> 8);
	to[3] = (uint8_t)v;
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
checksum(const uint8_t length[4], const uint8_t *bytes, size_t size)
{
	uint32_t sum = libdeflate_crc32(0, length, 4);

	return libdeflate_crc32(sum, bytes, size);
}

void
record_put(struct buf *b, const void *bytes, size_t size)
{
	uint8_t head[RECORD_HEAD_BYTES];

	assert(size <= RECORD_BYTES_MAX);
	put_u32(head, (uint32_t)size);
	put_u32(head + 4, checksum(head, bytes, size));
	buf_append(b, head, sizeof head);
	buf_append(b, bytes, size);
}

enum record_next
record_get(
    const uint8_t *bytes, size_t size, size_t *offset, const uint8_t **contents, size_t *length)
{
	const uint8_t *head = bytes + *offset;
	size_t left = size - *offset;
	uint32_t len;

	assert(*offset <= size);
	if (left == 0)
		return RECORD_END;
	if (left < RECORD_HEAD_BYTES)
		return RECORD_CUT;
	len = get_u32(head);
	if (len > RECORD_BYTES_MAX)
		return RECORD_BAD;
	if (left - RECORD_HEAD_BYTES < len)
		return RECORD_CUT;
	if (get_u32(head + 4) != checksum(head, head + RECORD_HEAD_BYTES, len))
		return RECORD_BAD;
	*contents = head + RECORD_HEAD_BYTES;
	*length = len;
	*offset += RECORD_HEAD_BYTES + len;
	return RECORD_OK;
}
