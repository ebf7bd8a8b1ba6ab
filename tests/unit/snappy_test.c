/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/snappy.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"

#define TEXT                                                                                       \
	"the node /a/b/c and the node /a/b/d, the node /a/b/e; "                                   \
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*+"                         \
	"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"

/* What Google's library makes of TEXT. */
static const uint8_t OF_GOOGLE[] =
    "\xc6\x01\x4c"
    "the node /a/b/c and \x36\x14\x00\x04"
    "d,:\x11\x00\xf0\x46"
    "e; 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*+zzzz\xfe\x03\x00\x2e\x03";

/* Nothing is written behind the room: a sanitizer sees it. */
static bool
unpacks(const uint8_t *packed, size_t packed_size, const void *want, size_t size)
{
	uint8_t *to = malloc(size > 0 ? size : 1);
	size_t claimed;
	bool ok;

	ck_assert_ptr_nonnull(to);
	ok = snappy_unpacked_size(&claimed, packed, packed_size) && claimed == size &&
	     snappy_unpack(to, size, packed, packed_size) && memcmp(to, want, size) == 0;
	free(to);
	return ok;
}

START_TEST(what_googles_library_packs_is_unpacked)
{
	ck_assert_uint_eq(sizeof OF_GOOGLE, 111); /* its last byte is the literal's NUL */
	ck_assert(unpacks(OF_GOOGLE, sizeof OF_GOOGLE, TEXT, strlen(TEXT)));
}
END_TEST

START_TEST(every_kind_of_element_is_read)
{
	static const uint8_t packed[] = {24, 2 << 2, 'a', 'b', 'c', /* a literal, */
	    0 << 2 | 1, 3,			 /* 4 bytes from 3 back, which repeats, */
	    3 << 2 | 2, 7, 0,			 /* 4 from 7 back, */
	    6 << 2 | 3, 1, 0, 0, 0,		 /* 7 times the last, */
	    60 << 2, 0, 'd', 61 << 2, 0, 0, 'e', /* literals with long lengths */
	    62 << 2, 0, 0, 0, 'f', 63 << 2, 1, 0, 0, 0, 'g', 'h', 0 << 2, 'i'};

	ck_assert(unpacks(packed, sizeof packed, "abcabcaabcaaaaaaaadefghi", 24));
}
END_TEST

START_TEST(what_is_cut_or_reaches_too_far_is_refused)
{
	static const struct {
		uint8_t size, packed[8], packed_size;
	} bad[] = {
	    {0, {0}, 0}, {1, {0x80}, 1},
	    {1, {0x81, 0x80, 0x80, 0x80, 0x10}, 5}, /* a length beyond 32 bits */
	    {1, {1}, 1},			    /* nothing behind the length */
	    {2, {2, 1 << 2, 'a'}, 3},		    /* less than the literal's length */
	    {1, {1, 1 << 2, 'a', 'b'}, 4},	    /* more than the whole */
	    {2, {2, 0, 'a'}, 3},		    /* less than the whole */
	    {2, {2, 60 << 2}, 2}, {5, {5, 0, 'a', 0 << 2 | 1, 0}, 5}, /* 0 back */
	    {5, {5, 0, 'a', 0 << 2 | 1, 2}, 5}, /* further back than the first */
	    {4, {4, 0, 'a', 0 << 2 | 1, 1}, 5}, /* further than the end */
	    {5, {5, 0, 'a', 3 << 2 | 2, 1}, 5}, /* half an offset */
	};
	uint8_t to[8], *packed;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_ptr_nonnull(packed = malloc(bad[i].packed_size + 1u));
		memcpy(packed, bad[i].packed, bad[i].packed_size);
		ck_assert_msg(
		    !snappy_unpack(to, bad[i].size, packed, bad[i].packed_size), "%zu", i);
		free(packed);
	}
}
END_TEST

/* Runs of few, or of all, kinds of bytes. */
static void
fill(struct rng *r, uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t run = 1 + rng_below(r, 300), back = rng_below(r, at + 1);
		uint64_t kinds = 1 + rng_below(r, 256);

		for (run = run < size - at ? run : size - at; run > 0; run--, at++)
			bytes[at] = kinds > 128 && back > 0 ? bytes[at - back]
							    : (uint8_t)rng_below(r, kinds);
	}
}

START_TEST(what_is_packed_unpacks_and_stays_within_the_bound)
{
	uint8_t *bytes = malloc(SNAPPY_PACK_BYTES_MAX);
	uint8_t *packed = malloc(SNAPPY_PACKED_BYTES_MAX(SNAPPY_PACK_BYTES_MAX));
	size_t sum = 0, packed_sum = 0, size, packed_size;
	struct rng r;

	ck_assert(bytes != NULL && packed != NULL);
	rng_init(&r, 3);
	for (int i = 0; i < 300; i++) {
		size = i < 9 ? SNAPPY_PACK_BYTES_MAX : rng_below(&r, 1000);
		fill(&r, bytes, size);
		packed_size = snappy_pack(packed, bytes, size);
		ck_assert_uint_le(packed_size, SNAPPY_PACKED_BYTES_MAX(size));
		ck_assert(unpacks(packed, packed_size, bytes, size));
		sum += size;
		packed_sum += packed_size;
	}
	ck_assert_uint_lt(packed_sum, sum / 2 + sum / 4);
	free(bytes);
	free(packed);
}
END_TEST

START_TEST(damage_is_refused_or_unpacks_to_as_many_bytes)
{
	size_t size = strlen(TEXT);
	uint8_t *to = malloc(size), *packed = malloc(sizeof OF_GOOGLE);
	size_t refused = 0;

	ck_assert(to != NULL && packed != NULL);
	for (size_t i = 0; i < sizeof OF_GOOGLE; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(packed, OF_GOOGLE, sizeof OF_GOOGLE);
			packed[i] ^= (uint8_t)(1u << bit);
			refused += !snappy_unpack(to, size, packed, sizeof OF_GOOGLE);
		}
		ck_assert(!snappy_unpack(to, size, OF_GOOGLE, i)); /* an early end always */
	}
	ck_assert_uint_gt(refused, 0);
	free(to);
	free(packed);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("snappy");
	TCase *t = tcase_create("snappy");

	tcase_add_test(t, what_googles_library_packs_is_unpacked);
	tcase_add_test(t, every_kind_of_element_is_read);
	tcase_add_test(t, what_is_cut_or_reaches_too_far_is_refused);
	tcase_add_test(t, what_is_packed_unpacks_and_stays_within_the_bound);
	tcase_add_test(t, damage_is_refused_or_unpacks_to_as_many_bytes);
	suite_add_tcase(s, t);
	return s;
}
