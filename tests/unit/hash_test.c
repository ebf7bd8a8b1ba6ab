/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/hash.h"

#include <stdlib.h>

#include "libcommon/base/hmap.h"
#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"

struct entry {
	struct hmap_node node;
	uint64_t key;
};

static struct entry *
find(const struct hmap *m, uint64_t key)
{
	for (struct hmap_node *n = hmap_first(m, hash_u64(key)); n != NULL; n = hmap_next(n)) {
		struct entry *e = CONTAINER_OF(n, struct entry, node);

		if (e->key == key)
			return e;
	}
	return NULL;
}

START_TEST(ever_longer_beginnings_have_the_hashes_that_they_have_alone)
{
	static const struct hash_key key = {7, 11};
	struct hash_prefixes h;
	uint8_t bytes[100];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37);
	for (size_t step = 1; step < 20; step++) {
		hash_prefixes_init(&h, &key, bytes);
		for (size_t size = 0; size <= sizeof bytes; size += step)
			ck_assert_uint_eq(
			    hash_prefixes_next(&h, size), hash_bytes(&key, bytes, size));
	}
}
END_TEST

START_TEST(a_map_finds_what_is_in_it_and_nothing_else)
{
	struct hmap m;
	struct list *it, *nx;
	uint64_t expect = 0;

	hmap_init(&m);
	for (uint64_t k = 0; k < 5000; k++) {
		struct entry *e = malloc(sizeof *e);

		e->key = k;
		ck_assert(hmap_insert(&m, &e->node, hash_u64(k)));
	}
	for (uint64_t k = 0; k < 5000; k += 2) {
		struct entry *e = find(&m, k);

		ck_assert_ptr_nonnull(e);
		hmap_remove(&m, &e->node);
		free(e);
	}
	for (uint64_t k = 0; k < 5000; k++)
		ck_assert_int_eq(find(&m, k) != NULL, k % 2 == 1);
	expect = 1;
	HMAP_EACH(it, nx, &m) {
		struct entry *e = HMAP_ENTRY(it, struct entry, node);

		ck_assert_uint_eq(e->key, expect); /* the order of insertion */
		expect += 2;
		hmap_remove(&m, &e->node);
		free(e);
	}
	ck_assert_uint_eq(m.count, 0);
	hmap_fini(&m);
}
END_TEST

START_TEST(every_byte_the_length_and_the_key_change_the_hash)
{
	struct hash_key key = {1, 2}, other = {1, 3};
	char text[32] = {0};
	uint64_t h = hash_bytes(&key, text, sizeof text);

	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = 1;
		ck_assert_uint_ne(hash_bytes(&key, text, sizeof text), h);
		text[i] = 0;
		ck_assert_uint_ne(hash_bytes(&key, text, i), h);
	}
	ck_assert_uint_ne(hash_bytes(&other, text, sizeof text), h);
}
END_TEST

START_TEST(a_generator_with_the_same_seed_gives_the_same_numbers)
{
	struct rng a, b;

	rng_init(&a, 4711);
	rng_init(&b, 4711);
	for (int i = 0; i < 1000; i++) {
		uint64_t bound = 1 + rng_below(&a, 1000), x = rng_below(&a, bound);

		ck_assert_uint_eq(bound, 1 + rng_below(&b, 1000));
		ck_assert_uint_eq(x, rng_below(&b, bound));
		ck_assert_uint_lt(x, bound);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("hash");
	TCase *t = tcase_create("hash");

	tcase_add_test(t, ever_longer_beginnings_have_the_hashes_that_they_have_alone);
	tcase_add_test(t, a_map_finds_what_is_in_it_and_nothing_else);
	tcase_add_test(t, every_byte_the_length_and_the_key_change_the_hash);
	tcase_add_test(t, a_generator_with_the_same_seed_gives_the_same_numbers);
	suite_add_tcase(s, t);
	return s;
}
