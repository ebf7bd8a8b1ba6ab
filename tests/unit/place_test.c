/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/place.h"

#include <stdlib.h>

#include "libcommon/base/rng.h"
#include "master/core/books.h"
#include "tests/lib/unit.h"

#define MIB (UINT64_C(1) << 20)

/* What placement has to equal: nodes in an array, looked at one after the other. */
struct linear {
	struct resources free[512];
	bool open[512];
	uint32_t count;
};

static uint32_t
linear_find(const struct linear *l, const struct resources *need)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->open[i] && resources_fits(need, &l->free[i]))
			return i;
	return PLACE_NONE;
}

static struct resources
random_amount(struct rng *r, uint64_t most)
{
	return (struct resources){1 + rng_below(r, most) * 250, (1 + rng_below(r, most)) * 64 * MIB,
	    rng_below(r, 4) * MIB};
}

static void
place_one(struct place *p, struct linear *l, struct rng *r, uint32_t *on, struct resources *needs,
    size_t *tasks)
{
	struct resources need = random_amount(r, 12);
	uint32_t cursor = 0, node = PLACE_NONE, expected = linear_find(l, &need);

	ck_assert_uint_eq(place_fill(p, &need, 1, &cursor, &node), expected != PLACE_NONE);
	if (expected == PLACE_NONE)
		return;
	ck_assert_uint_eq(node, expected);
	resources_subtract(&l->free[node], &need, 1);
	needs[*tasks] = need;
	on[(*tasks)++] = node;
}

static void
release_one(struct place *p, struct linear *l, struct rng *r, uint32_t *on, struct resources *needs,
    size_t *tasks)
{
	size_t i = rng_below(r, *tasks);

	place_give(p, on[i], &needs[i], 1);
	resources_add(&l->free[on[i]], &needs[i], 1);
	on[i] = on[--*tasks];
	needs[i] = needs[*tasks];
}

static void
change_a_node(struct place *p, struct linear *l, struct rng *r)
{
	uint32_t node = (uint32_t)rng_below(r, l->count);
	struct resources more = random_amount(r, 20);

	if (rng_below(r, 2) == 0) {
		l->open[node] = !l->open[node];
		place_node_open(p, node, l->open[node]);
		return;
	}
	l->free[node] = more;
	place_node_set(p, node, &more);
}

START_TEST(the_tree_finds_what_a_linear_first_fit_finds)
{
	static struct linear l;
	static uint32_t on[20000];
	static struct resources needs[20000];
	struct place p;
	struct rng r;
	size_t tasks = 0;

	rng_init(&r, 1000 + (uint64_t)_i);
	place_init(&p);
	l = (struct linear){0};
	for (int step = 0; step < 20000; step++) {
		uint64_t dice = rng_below(&r, 100);

		if (l.count == 0 || (dice == 0 && l.count < 512)) {
			struct resources a = random_amount(&r, 64);

			l.free[l.count] = a;
			l.open[l.count] = true;
			ck_assert_uint_eq(place_node_add(&p, &a), l.count);
			place_node_open(&p, l.count++, true);
		} else if (dice < 5) {
			change_a_node(&p, &l, &r);
		} else if (dice < 45 && tasks > 0) {
			release_one(&p, &l, &r, on, needs, &tasks);
		} else {
			place_one(&p, &l, &r, on, needs, &tasks);
		}
		if (step % 1000 == 0)
			ck_assert(place_check(&p));
	}
	place_fini(&p);
}
END_TEST

START_TEST(equal_tasks_in_one_call_lie_where_single_calls_put_them)
{
	struct place one, many;
	struct rng r;
	struct resources need = {300, 96 * MIB, 0};
	uint32_t cursor = 0, expected[4000], at = 0, node, n, total = 0;

	rng_init(&r, 7);
	place_init(&one);
	place_init(&many);
	for (int i = 0; i < 100; i++) {
		struct resources a = random_amount(&r, 40);

		place_node_open(&one, place_node_add(&one, &a), true);
		place_node_open(&many, place_node_add(&many, &a), true);
	}
	for (;;) {
		cursor = 0;
		if (place_fill(&one, &need, 1, &cursor, &node) == 0)
			break;
		ck_assert_uint_lt(total, 4000);
		expected[total++] = node;
	}
	cursor = 0;
	while ((n = place_fill(&many, &need, total + 10 - at, &cursor, &node)) > 0)
		while (n-- > 0)
			ck_assert_uint_eq(expected[at++], node);
	ck_assert_uint_eq(at, total);
	place_fini(&one);
	place_fini(&many);
}
END_TEST

START_TEST(a_shape_that_failed_costs_no_second_walk_until_something_is_freed)
{
	struct place p;
	struct resources cpu_only = {8000, 1, 0}, memory_only = {1, 8000 * MIB, 0},
			 need = {4000, 4000 * MIB, 1};
	struct resources one_cpu = {1000, 1, 0};
	uint32_t cursor = 0, node;
	uint64_t before;

	place_init(&p);
	for (int i = 0; i < 256; i++)
		place_node_open(
		    &p, place_node_add(&p, i % 2 == 0 ? &cpu_only : &memory_only), true);
	ck_assert_uint_eq(place_fill(&p, &need, 1, &cursor, &node), 0);
	ck_assert_uint_le(
	    p.visited, 4); /* the balance keys see at the root that no node has both */
	before = p.visited;
	cursor = 0;
	ck_assert_uint_eq(place_fill(&p, &need, 1, &cursor, &node), 0);
	ck_assert_uint_eq(p.visited, before);
	cursor = 0;
	ck_assert_uint_eq(
	    place_fill(&p, &one_cpu, 1, &cursor, &node), 1); /* a smaller shape is not refused */
	place_give(&p, node, &one_cpu, 1);
	cursor = 0;
	ck_assert_uint_eq(place_fill(&p, &need, 1, &cursor, &node), 0);
	ck_assert_uint_gt(p.visited, before);
	place_fini(&p);
}
END_TEST

START_TEST(total_is_free_and_leased_at_every_step)
{
	struct books b;
	struct rng r;
	static struct resources needs[4000];
	static uint32_t on[4000];
	size_t tasks = 0;

	rng_init(&r, 99);
	books_init(&b);
	for (int i = 0; i < 40; i++) {
		struct resources a = random_amount(&r, 60);

		place_node_open(&b.place, books_node_add(&b, &a), true);
	}
	for (int step = 0; step < 4000; step++) {
		struct resources need = random_amount(&r, 10);
		uint32_t cursor = 0, node = (uint32_t)rng_below(&r, 40);

		if (rng_below(&r, 3) == 0 && tasks > 0) {
			size_t i = rng_below(&r, tasks);

			books_release(&b, NULL, on[i], &needs[i]);
			on[i] = on[--tasks];
			needs[i] = needs[tasks];
		} else if (rng_below(&r, 4) == 0
			       ? books_lease(&b, NULL, node, &need)
			       : books_fill(&b, NULL, &need, 1, &cursor, &node) == 1) {
			needs[tasks] = need;
			on[tasks++] = node;
		}
		ck_assert(books_check(&b));
	}
	books_fini(&b);
}
END_TEST

START_TEST(a_node_cannot_shrink_below_what_is_leased)
{
	struct books b;
	struct resources total = {4000, 1000 * MIB, 10 * MIB}, need = {3000, 500 * MIB, 0},
			 less = {2000, 1000 * MIB, 0};
	struct resources just = {3000, 500 * MIB, 0};
	uint32_t node;

	books_init(&b);
	node = books_node_add(&b, &total);
	ck_assert(books_lease(&b, NULL, node, &need));
	ck_assert(!books_lease(&b, NULL, node, &need));
	ck_assert(!books_node_resize(&b, node, &less));
	ck_assert(books_node_resize(&b, node, &just));
	ck_assert(books_check(&b));
	books_release(&b, NULL, node, &need);
	ck_assert(books_node_resize(&b, node, &less));
	books_fini(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("place");
	TCase *t = tcase_create("place");

	tcase_add_loop_test(t, the_tree_finds_what_a_linear_first_fit_finds, 0, 5);
	tcase_add_test(t, equal_tasks_in_one_call_lie_where_single_calls_put_them);
	tcase_add_test(t, a_shape_that_failed_costs_no_second_walk_until_something_is_freed);
	tcase_add_test(t, total_is_free_and_leased_at_every_step);
	tcase_add_test(t, a_node_cannot_shrink_below_what_is_leased);
	suite_add_tcase(s, t);
	return s;
}
