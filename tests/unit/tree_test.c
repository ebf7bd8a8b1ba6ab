/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"

#define MANY 20000

static const struct hash_key KEY = {1, 2};
static struct tree tree;

static struct jute_bytes
text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

static void
setup(void)
{
	ck_assert(tree_init(&tree, &KEY));
}

static void
teardown(void)
{
	tree_check(&tree);
	tree_fini(&tree);
}

static enum tree_result
create(const char *path, int64_t zxid, int64_t owner)
{
	struct tree_create c = {
	    .at = tree_place(&tree, text(path)),
	    .data = text("data"),
	    .crc = tree_crc(text(path), text("data")),
	    .owner = owner,
	    .parent_cversion = -1,
	    .zxid = zxid,
	    .time_ms = 1000 + zxid,
	};

	return tree_create(&tree, &c);
}

static enum tree_result delete (struct tree *t, const char *path, int64_t zxid) {
	struct tree_delete d = {.at = tree_place(t, text(path)), .zxid = zxid};
	enum tree_result result = tree_delete(t, &d);

	if (result == TREE_OK) acl_unref(&t->acls, d.acl);
	return result;
}

static enum tree_result
set_data(const char *path, struct jute_bytes data, int32_t version, int64_t zxid, int64_t time_ms)
{
	struct tree_set s = {
	    .at = tree_place(&tree, text(path)),
	    .data = data,
	    .crc = tree_crc(text(path), data),
	    .version = version,
	    .zxid = zxid,
	    .time_ms = time_ms,
	};

	return tree_set_data(&tree, &s);
}

START_TEST(a_new_tree_has_apaches_four_nodes_and_its_digest)
{
	ck_assert_uint_eq(tree.digest, 0x51C6D660);
	ck_assert_uint_eq(tree.node_count, 4);
	ck_assert_ptr_nonnull(tree_find(&tree, text("/zookeeper/quota")));
	ck_assert_ptr_nonnull(tree_find(&tree, text("/zookeeper/config")));
	ck_assert_ptr_eq(tree_find(&tree, text("/")), tree_find(&tree, text("")));
	ck_assert_ptr_null(tree_find(&tree, text("zookeeper")));
	ck_assert_ptr_null(tree_find(&tree, text("/zookeeper/")));
	ck_assert_ptr_null(tree_find(&tree, text("//zookeeper")));
	ck_assert_ptr_null(tree_find(&tree, (struct jute_bytes){NULL, -1}));
}
END_TEST

START_TEST(a_create_sets_the_stat_of_the_node_and_raises_the_parent)
{
	struct tree_stat s;

	ck_assert_int_eq(create("/a", 7, 0), TREE_OK);
	s = tree_node_stat(&tree, tree_find(&tree, text("/a")));
	ck_assert_int_eq(s.czxid, 7);
	ck_assert_int_eq(s.mzxid, 7);
	ck_assert_int_eq(s.pzxid, 7);
	ck_assert_int_eq(s.ctime, 1007);
	ck_assert_int_eq(s.mtime, 1007);
	ck_assert_int_eq(s.version + s.cversion + s.aversion, 0);
	s = tree_node_stat(&tree, tree_find(&tree, text("/")));
	ck_assert_int_eq(s.cversion, 1);
	ck_assert_int_eq(s.pzxid, 7);
	ck_assert_int_eq(create("/missing/x", 8, 0), TREE_NO_NODE);
}
END_TEST

START_TEST(an_empty_name_in_a_path_makes_it_that_of_no_node)
{
	ck_assert_int_eq(create("/a", 1, 0), TREE_OK);
	ck_assert_int_eq(create("//b", 2, 0), TREE_NO_NODE);
	ck_assert_int_eq(create("/a//b", 3, 0), TREE_NO_NODE);
	ck_assert_int_eq(create("/a/", 4, 0), TREE_NO_NODE);
	ck_assert_int_eq(delete (&tree, "//a", 5), TREE_NO_NODE);
	ck_assert_ptr_nonnull(tree_find(&tree, text("/a")));
}
END_TEST

START_TEST(a_deletion_leaves_cversion_and_raises_pzxid)
{
	struct tree_stat s;

	create("/a", 1, 0);
	ck_assert_int_eq(delete (&tree, "/a", 9), TREE_OK);
	s = tree_node_stat(&tree, tree_find(&tree, text("/")));
	ck_assert_int_eq(s.cversion, 1);
	ck_assert_int_eq(s.pzxid, 9);
	ck_assert_int_eq(delete (&tree, "/a", 10), TREE_NO_NODE);
	ck_assert_int_eq(tree_find(&tree, text("/"))->pzxid, 10);
}
END_TEST

START_TEST(data_can_grow_shrink_and_be_null)
{
	char *big = malloc(100000);
	struct jute_bytes got;

	memset(big, 'x', 100000);
	create("/a", 1, 0);
	ck_assert_int_eq(
	    set_data("/a", (struct jute_bytes){(uint8_t *)big, 100000}, 1, 2, 3), TREE_OK);
	got = tree_node_data(tree_find(&tree, text("/a")));
	ck_assert_int_eq(got.len, 100000);
	ck_assert_mem_eq(got.data, big, 100000);
	tree_check(&tree);
	ck_assert_int_eq(set_data("/a", (struct jute_bytes){NULL, -1}, 2, 3, 4), TREE_OK);
	ck_assert_int_eq(tree_node_data(tree_find(&tree, text("/a"))).len, -1);
	tree_check(&tree);
	ck_assert_int_eq(set_data("/a", text(""), 3, 4, 5), TREE_OK);
	ck_assert_ptr_nonnull(tree_node_data(tree_find(&tree, text("/a"))).data);
	ck_assert_int_eq(set_data("/b", text(""), 3, 4, 5), TREE_NO_NODE);
	free(big);
}
END_TEST

START_TEST(a_replayed_create_raises_its_parent_and_never_lowers_it)
{
	struct tree_create c = {.at = tree_place(&tree, text("/a")),
	    .data = text(""),
	    .crc = tree_crc(text("/a"), text("")),
	    .parent_cversion = 5,
	    .zxid = 50};

	create("/a", 1, 0);
	ck_assert_int_eq(tree_create(&tree, &c), TREE_NODE_EXISTS);
	ck_assert_int_eq(tree_find(&tree, text("/"))->cversion, 5);
	ck_assert_int_eq(tree_find(&tree, text("/"))->pzxid, 50);
	c.parent_cversion = 2;
	c.zxid = 60;
	ck_assert_int_eq(tree_create(&tree, &c), TREE_NODE_EXISTS);
	ck_assert_int_eq(tree_find(&tree, text("/"))->cversion, 5);
	ck_assert_int_eq(tree_find(&tree, text("/"))->pzxid, 50);
}
END_TEST

START_TEST(a_replayed_delete_takes_what_the_fuzzy_snapshot_has_below)
{
	create("/a", 1, 0);
	create("/a/b", 2, 0);
	create("/a/b/c", 3, 77);
	create("/a/d", 4, 0);
	ck_assert_int_eq(delete (&tree, "/a", 5), TREE_OK);
	ck_assert_uint_eq(tree.node_count, 4);
	ck_assert_uint_eq(tree.ephemeral_count, 0);
}
END_TEST

START_TEST(ephemeral_nodes_are_found_by_their_owner_in_order)
{
	struct tree_owner *o;
	const char *want[] = {"/z", "/a", "/m"};
	size_t i = 0;

	for (i = 0; i < 3; i++)
		create(want[i], (int64_t)i + 1, 42);
	create("/other", 9, 43);
	ck_assert_ptr_nonnull(o = tree_owner_find(&tree, 42));
	ck_assert_uint_eq(o->count, 3);
	i = 0;
	for (struct list *l = o->nodes.next; l != &o->nodes; l = l->next, i++) {
		const struct tree_owned *owned = CONTAINER_OF(l, struct tree_owned, of_owner);

		ck_assert_ptr_eq(tree_by_id(&tree, owned->id), tree_find(&tree, text(want[i])));
	}
	ck_assert_int_eq(tree_node_owner(&tree, tree_find(&tree, text("/a"))), 42);
	for (i = 0; i < 3; i++)
		delete (&tree, want[i], 20);
	ck_assert_ptr_null(tree_owner_find(&tree, 42));
	ck_assert_uint_eq(tree.ephemeral_count, 1);
}
END_TEST

struct names {
	char last[64];
	size_t count;
};

static void
in_order(void *arg, const struct tree_node *n)
{
	struct names *names = arg;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)n->name_len, n->name_and_data);
	ck_assert_int_lt(strcmp(names->last, name), 0);
	memcpy(names->last, name, sizeof name);
	names->count++;
}

START_TEST(children_stay_in_order_through_random_creates_and_deletes)
{
	struct names names = {0};
	struct rng rng;
	size_t live = 0;
	bool *there = calloc(MANY, sizeof *there);
	char path[64];

	rng_init(&rng, 5);
	create("/p", 1, 0);
	for (int64_t zxid = 2; zxid < 3 * MANY; zxid++) {
		uint64_t k = rng_below(&rng, MANY);

		snprintf(path, sizeof path, "/p/n%" PRIu64, k);
		if (there[k]) {
			ck_assert_int_eq(delete (&tree, path, zxid), TREE_OK);
			live--;
		} else {
			ck_assert_int_eq(create(path, zxid, 0), TREE_OK);
			live++;
		}
		there[k] = !there[k];
	}
	tree_check(&tree);
	tree_children(&tree, tree_find(&tree, text("/p")), in_order, &names);
	ck_assert_uint_eq(names.count, live);
	for (uint64_t k = 0; k < MANY; k++) {
		snprintf(path, sizeof path, "/p/n%" PRIu64, k);
		ck_assert_int_eq(tree_find(&tree, text(path)) != NULL, there[k]);
		if (there[k])
			ck_assert_int_eq(delete (&tree, path, 1), TREE_OK);
	}
	ck_assert_uint_eq(tree_child_count(tree_find(&tree, text("/p"))), 0);
	free(there);
}
END_TEST

START_TEST(a_walk_visits_parents_first_and_survives_the_removal_of_where_it_stands)
{
	struct tree_node *n;
	struct buf path, seen;

	buf_init(&path, 1000);
	buf_init(&seen, 1000);
	create("/a", 1, 0);
	create("/a/x", 2, 0);
	create("/a/y", 3, 0);
	create("/b", 4, 0);
	while ((n = tree_next(&tree, &path)) != NULL) {
		buf_append(&seen, path.data, path.len);
		buf_append(&seen, " ", 1);
		if (n == tree_find(&tree, text("/a/x")))
			delete (&tree, "/a", 9);
	}
	ck_assert_str_eq(
	    buf_text(&seen), "/a /a/x /b /zookeeper /zookeeper/config /zookeeper/quota ");
	buf_fini(&path);
	buf_fini(&seen);
}
END_TEST

START_TEST(a_copy_loaded_node_by_node_has_the_same_digest)
{
	struct tree copy;
	struct tree_node *n;
	struct tree_stat stat;
	struct buf path;

	create("/a", 1, 0);
	create("/a/e", 2, 42);
	set_data("/a", text("other"), 1, 3, 4);
	ck_assert(tree_init_bare(&copy, &KEY));
	buf_init(&path, 1000);
	n = tree_find(&tree, text(""));
	do {
		struct jute_bytes p = {
		    path.len > 0 ? path.data : (const uint8_t *)"", (int32_t)path.len};

		stat = tree_node_stat(&tree, n);
		ck_assert_int_eq(
		    tree_load(&copy, p, tree_node_data(n), ACL_KEY_OPEN, &stat), TREE_OK);
	} while ((n = tree_next(&tree, &path)) != NULL);
	tree_check(&copy);
	ck_assert_uint_eq(copy.digest, tree.digest);
	ck_assert_uint_eq(copy.node_count, tree.node_count);
	ck_assert_uint_eq(copy.ephemeral_count, 1);
	stat = (struct tree_stat){0};
	ck_assert_int_eq(
	    tree_load(&copy, text("/q/r"), text(""), ACL_KEY_OPEN, &stat), TREE_NO_NODE);
	ck_assert_int_eq(
	    tree_load(&copy, text("/a"), text(""), ACL_KEY_OPEN, &stat), TREE_NODE_EXISTS);
	ck_assert_int_eq(tree_load(&copy, text("/r"), text(""), 99, &stat), TREE_BAD);
	buf_fini(&path);
	tree_fini(&copy);
}
END_TEST

START_TEST(nodes_loaded_in_any_order_of_parents_are_found_at_the_end)
{
	static const struct tree_stat stat;
	char path[40], above[20];
	struct tree copy;

	ck_assert(tree_init_bare(&copy, &KEY));
	tree_load_begin(&copy);
	for (int i = 0; i < 50; i++) {
		snprintf(above, sizeof above, "/%d", i);
		ck_assert_int_eq(
		    tree_load(&copy, text(above), text(""), ACL_KEY_OPEN, &stat), TREE_OK);
	}
	for (int i = 0; i < 10000; i++) { /* no two in a row are siblings */
		snprintf(path, sizeof path, "/%d/%d", i % 50, i);
		ck_assert_int_eq(
		    tree_load(&copy, text(path), text("x"), ACL_KEY_OPEN, &stat), TREE_OK);
	}
	ck_assert_int_eq(
	    tree_load(&copy, text("/7/57"), text(""), ACL_KEY_OPEN, &stat), TREE_NODE_EXISTS);
	ck_assert_int_eq(
	    tree_load(&copy, text("/7/99/x"), text(""), ACL_KEY_OPEN, &stat), TREE_NO_NODE);
	ck_assert_int_eq(
	    tree_load(&copy, text("/7//x"), text(""), ACL_KEY_OPEN, &stat), TREE_NO_NODE);
	ck_assert_int_ne(tree_load(&copy, text("//x"), text(""), ACL_KEY_OPEN, &stat), TREE_OK);
	ck_assert(tree_load_end(&copy));
	tree_check(&copy);
	ck_assert_int_eq(delete (&copy, "/7/57", 9), TREE_OK);
	ck_assert_ptr_null(tree_find(&copy, text("/7/57")));
	ck_assert_ptr_nonnull(tree_find(&copy, text("/49/9999")));
	tree_check(&copy);
	tree_fini(&copy);
}
END_TEST

START_TEST(a_path_is_built_from_its_node)
{
	struct buf path;

	buf_init(&path, 100);
	create("/a", 1, 0);
	create("/a/bc", 2, 0);
	tree_node_path(&tree, tree_find(&tree, text("/a/bc")), &path);
	ck_assert_str_eq(buf_text(&path), "/a/bc");
	buf_clear(&path);
	tree_node_path(&tree, tree_find(&tree, text("/")), &path);
	ck_assert_uint_eq(path.len, 0);
	buf_fini(&path);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tree");
	TCase *c = tcase_create("tree");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_new_tree_has_apaches_four_nodes_and_its_digest);
	tcase_add_test(c, a_create_sets_the_stat_of_the_node_and_raises_the_parent);
	tcase_add_test(c, an_empty_name_in_a_path_makes_it_that_of_no_node);
	tcase_add_test(c, a_deletion_leaves_cversion_and_raises_pzxid);
	tcase_add_test(c, data_can_grow_shrink_and_be_null);
	tcase_add_test(c, a_replayed_create_raises_its_parent_and_never_lowers_it);
	tcase_add_test(c, a_replayed_delete_takes_what_the_fuzzy_snapshot_has_below);
	tcase_add_test(c, ephemeral_nodes_are_found_by_their_owner_in_order);
	tcase_add_test(c, children_stay_in_order_through_random_creates_and_deletes);
	tcase_add_test(c, a_walk_visits_parents_first_and_survives_the_removal_of_where_it_stands);
	tcase_add_test(c, a_copy_loaded_node_by_node_has_the_same_digest);
	tcase_add_test(c, nodes_loaded_in_any_order_of_parents_are_found_at_the_end);
	tcase_add_test(c, a_path_is_built_from_its_node);
	suite_add_tcase(s, c);
	return s;
}
