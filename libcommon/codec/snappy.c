/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/snappy.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* Of an element: the low bits of its first byte. The others of a literal: its length less 1. */
enum { LITERAL, COPY_11_BITS, COPY_16_BITS, COPY_32_BITS, KINDS };

#define LITERAL_SHORT 60 /* from here on: the length stands in so many less 59 bytes behind */
#define COPY_BYTES_MAX 64
#define LENGTH_BYTES_MAX 5
#define MATCH_BYTES 4 /* that begin alike are worth a copy */
#define HASH_BITS 13
#define SKIP_BITS 5 /* after 32 places without a match every second is looked at, and so on */

static uint32_t
load_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint8_t *
put_length(uint8_t *to, size_t size)
{
	for (; size >= 0x80; size >>= 7)
		*to++ = (uint8_t)(size | 0x80);
	*to++ = (uint8_t)size;
	return to;
}

static uint8_t *
put_literal(uint8_t *to, const uint8_t *bytes, size_t size)
{
	size_t less = size - 1;

	if (size == 0)
		return to;
	if (less < LITERAL_SHORT)
		*to++ = (uint8_t)(less << 2 | LITERAL);
	else {
		*to++ = (uint8_t)((less < 256 ? LITERAL_SHORT : LITERAL_SHORT + 1) << 2 | LITERAL);
		*to++ = (uint8_t)less;
		if (less >= 256)
			*to++ = (uint8_t)(less >> 8);
	}
	memcpy(to, bytes, size);
	return to + size;
}

static uint8_t *
put_copy(uint8_t *to, size_t back, size_t size)
{
	while (size > 0) {
		size_t n = size < COPY_BYTES_MAX ? size : COPY_BYTES_MAX;

		*to++ = (uint8_t)((n - 1) << 2 | COPY_16_BITS);
		*to++ = (uint8_t)back;
		*to++ = (uint8_t)(back >> 8);
		size -= n;
	}
	return to;
}

static size_t
match_size(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
	size_t n = 0;

	while (b + n < end && a[n] == b[n])
		n++;
	return n;
}

size_t
snappy_pack(uint8_t *to, const uint8_t *bytes, size_t size)
{
	uint16_t seen[1 << HASH_BITS] = {0}; /* where four bytes of this hash began last */
	const uint8_t *end = bytes + size;
	size_t at = 0, done = 0, misses = 0;
	uint8_t *p = put_length(to, size);

	assert(size <= SNAPPY_PACK_BYTES_MAX);
	while (at + MATCH_BYTES <= size) {
		uint32_t four = load_le32(bytes + at);
		uint32_t hash = four * 0x9E3779B1u >> (32 - HASH_BITS);
		size_t before = seen[hash], n;

		seen[hash] = (uint16_t)at;
		if (before >= at || load_le32(bytes + before) != four) {
			at += 1 + (misses++ >> SKIP_BITS);
			continue;
		}
		n = match_size(bytes + before, bytes + at, end);
		p = put_literal(p, bytes + done, at - done);
		p = put_copy(p, at - before, n);
		done = at += n;
		misses = 0;
	}
	p = put_literal(p, bytes + done, size - done);
	return (size_t)(p - to);
}

/* The length in front; returns the bytes that it takes, 0: it is none. */
static size_t
get_length(uint32_t *size, const uint8_t *packed, size_t packed_size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < packed_size && i < LENGTH_BYTES_MAX; i++) {
		value |= (uint64_t)(packed[i] & 0x7f) << (7 * i);
		if (packed[i] >= 0x80)
			continue;
		*size = (uint32_t)value;
		return value <= UINT32_MAX ? i + 1 : 0;
	}
	return 0;
}

bool
snappy_unpacked_size(size_t *size, const uint8_t *packed, size_t packed_size)
{
	uint32_t claimed = 0;
	bool known = get_length(&claimed, packed, packed_size) > 0;

	*size = claimed;
	return known;
}

/* What is read, and what was written so far. */
struct unpacking {
	const uint8_t *from, *from_end;
	uint8_t *begin, *to, *end;
};

/* The next `count` bytes, of an element's number. */
static bool
get_number(struct unpacking *u, size_t count, size_t *number)
{
	if ((size_t)(u->from_end - u->from) < count)
		return false;
	*number = 0;
	for (size_t i = 0; i < count; i++)
		*number |= (size_t)*u->from++ << (8 * i);
	return true;
}

static bool
get_literal(struct unpacking *u, size_t less)
{
	size_t size;

	if (less >= LITERAL_SHORT && !get_number(u, less - LITERAL_SHORT + 1, &less))
		return false;
	size = less + 1;
	if ((size_t)(u->from_end - u->from) < size || (size_t)(u->end - u->to) < size)
		return false;
	memcpy(u->to, u->from, size);
	u->from += size;
	u->to += size;
	return true;
}

/* A copy may reach into what it writes itself: it repeats then. */
static bool
copy(struct unpacking *u, size_t back, size_t size)
{
	const uint8_t *what;

	if (back == 0 || back > (size_t)(u->to - u->begin) || size > (size_t)(u->end - u->to))
		return false;
	what = u->to - back;
	if (back >= size) {
		memcpy(u->to, what, size);
		u->to += size;
		return true;
	}
	while (size-- > 0)
		*u->to++ = *what++;
	return true;
}

static bool
get_copy(struct unpacking *u, unsigned kind, size_t rest)
{
	static const size_t number_bytes[KINDS] = {0, 1, 2, 4};
	size_t back;

	if (!get_number(u, number_bytes[kind], &back))
		return false;
	if (kind == COPY_11_BITS)
		return copy(u, back | rest >> 3 << 8, (rest & 7) + MATCH_BYTES);
	return copy(u, back, rest + 1);
}

bool
snappy_unpack(uint8_t *to, size_t size, const uint8_t *packed, size_t packed_size)
{
	uint32_t claimed;
	size_t head = get_length(&claimed, packed, packed_size);
	struct unpacking u = {packed + head, packed + packed_size, to, to, to + size};

	if (head == 0 || claimed != size)
		return false;
	while (u.from < u.from_end) {
		unsigned kind = *u.from & 3;
		size_t rest = *u.from++ >> 2;

		if (!(kind == LITERAL ? get_literal(&u, rest) : get_copy(&u, kind, rest)))
			return false;
	}
	return u.to == u.end;
}
