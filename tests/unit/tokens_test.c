/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/tokens.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee"

static struct tokens tokens;

static void
setup(void)
{
	tokens_init(&tokens);
}

static void
teardown(void)
{
	tokens_fini(&tokens);
}

static struct token *
make(const char *id, uint32_t uses)
{
	struct token as = {.hash = HASH,
	    .role = "agent",
	    .by = "operator:ann",
	    .uses = uses,
	    .created_wall_ms = 1000,
	    .expires_wall_ms = 5000};
	struct token *t;

	snprintf(as.id, sizeof as.id, "%s", id);
	t = tokens_create(&tokens, &as);
	ck_assert_ptr_nonnull(t);
	return t;
}

static enum token_result
check(int64_t wall_ms, const char *id, const char *hash, const char *role, const char *name)
{
	struct token *token;

	return tokens_check(&tokens, wall_ms, id, hash, role, name, &token);
}

START_TEST(a_token_opens_for_its_secret_role_and_name_until_its_time_is_over)
{
	struct token *t = make("a", 2);

	ck_assert_int_eq(check(1000, "a", HASH, "agent", "n1"), TOKEN_OK);
	ck_assert_int_eq(check(4999, "a", HASH, "agent", "n1"), TOKEN_OK);
	ck_assert_int_eq(check(5000, "a", HASH, "agent", "n1"), TOKEN_EXPIRED);
	ck_assert_int_eq(check(1000, "b", HASH, "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(check(1000, "", HASH, "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(check(1000, "a", OTHER, "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(check(1000, "a", "", "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(check(1000, "a", HASH "0", "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(check(1000, "a", HASH, "operator", "n1"), TOKEN_OTHER_ROLE);
	ck_assert_int_eq(check(1000, "a", HASH, "agents", "n1"), TOKEN_OTHER_ROLE);
	memcpy(t->name, "n7", 3);
	ck_assert_int_eq(check(1000, "a", HASH, "agent", "n1"), TOKEN_OTHER_NAME);
	ck_assert_int_eq(check(1000, "a", HASH, "agent", "n7"), TOKEN_OK);
}
END_TEST

START_TEST(each_use_is_counted_and_after_the_last_there_is_none)
{
	struct token *t = make("a", 3);

	tokens_written(&tokens, t);
	for (uint32_t left = 3; left > 1; left--) {
		ck_assert_uint_eq(t->uses, left);
		tokens_use(&tokens, t);
		ck_assert_int_eq(t->store, TOKEN_TO_SET);
		ck_assert(tokens.dirty);
	}
	ck_assert_int_eq(check(1000, "a", HASH, "agent", "n1"), TOKEN_OK);
	tokens_use(&tokens, t);
	ck_assert_int_eq(check(1000, "a", HASH, "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_int_eq(t->store, TOKEN_TO_DELETE);
	tokens_written(&tokens, t);
	ck_assert_uint_eq(tokens.count, 0);
}
END_TEST

START_TEST(what_the_store_has_not_seen_is_not_deleted_there)
{
	struct token *t = make("a", 1);

	tokens_use(&tokens, t);
	ck_assert_uint_eq(tokens.count, 0);
}
END_TEST

START_TEST(revoked_and_expired_ones_open_for_nobody)
{
	struct token *a = make("a", 1), *b = make("b", 1);

	tokens_written(&tokens, a);
	tokens_written(&tokens, b);
	b->expires_wall_ms = 9000;
	tokens_expire(&tokens, 4999);
	ck_assert_int_eq(a->store, TOKEN_STORED);
	tokens_expire(&tokens, 5000);
	ck_assert_int_eq(a->store, TOKEN_TO_DELETE);
	ck_assert_int_eq(b->store, TOKEN_STORED);
	tokens_revoke(&tokens, b);
	ck_assert_int_eq(check(1000, "b", HASH, "agent", "n1"), TOKEN_UNKNOWN);
	ck_assert_ptr_null(tokens_find(&tokens, "a"));
	ck_assert_ptr_null(tokens_find(&tokens, "b"));
}
END_TEST

START_TEST(a_token_is_read_as_it_was_written)
{
	struct token *t = make("a", 3), *again;
	struct buf text;

	buf_init(&text, 4096);
	memcpy(t->name, "n7", 3);
	token_encode(t, &text);
	ck_assert_ptr_null(strstr(buf_text(&text), "secret"));
	ck_assert(tokens_load(&tokens, "b", (const char *)text.data, text.len));
	again = tokens_find(&tokens, "b");
	ck_assert_ptr_nonnull(again);
	ck_assert_int_eq(again->store, TOKEN_STORED);
	ck_assert_str_eq(again->hash, t->hash);
	ck_assert_str_eq(again->role, t->role);
	ck_assert_str_eq(again->name, t->name);
	ck_assert_str_eq(again->by, t->by);
	ck_assert_uint_eq(again->uses, 3);
	ck_assert_int_eq(again->expires_wall_ms, 5000);
	ck_assert_int_eq(again->created_wall_ms, 1000);
	buf_fini(&text);
}
END_TEST

#define GOOD "hash=" HASH "\nrole=agent\nuses=1\nexpires_ms=5\n"

START_TEST(a_text_that_lacks_a_bound_is_no_token)
{
	static const char *const bad[] = {
	    "",
	    "\n",
	    "hash",
	    "role=agent\nuses=1\nexpires_ms=5\n",
	    "hash=" HASH "\nuses=1\nexpires_ms=5\n",
	    "hash=" HASH "\nrole=agent\nexpires_ms=5\n",
	    "hash=" HASH "\nrole=agent\nuses=1\n",
	    GOOD "uses=0\n",
	    GOOD "uses=-1\n",
	    GOOD "uses=4294967296\n",
	    GOOD "uses=many\n",
	    GOOD "expires_ms=\n",
	    GOOD "expires_ms=-5\n",
	    GOOD "hash=short\n",
	    GOOD "hash=" HASH "0\n",
	    GOOD "role=a-role-that-is-longer-than-any\n",
	    GOOD "name=0123456789012345678901234567890123456789012345678901234567890123\n",
	};
	char large[4096];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!tokens_load(&tokens, "x", bad[i], strlen(bad[i])), "%s", bad[i]);
	memset(large, '\n', sizeof large);
	ck_assert(!tokens_load(&tokens, "x", large, sizeof large));
	ck_assert(!tokens_load(&tokens, "an-id-that-is-too-long", GOOD, strlen(GOOD)));
	ck_assert_uint_eq(tokens.count, 0);
	ck_assert(tokens_load(&tokens, "x", GOOD, strlen(GOOD)));
	ck_assert(tokens_load(&tokens, "y", GOOD "later=1\n", strlen(GOOD "later=1\n")));
}
END_TEST

START_TEST(there_is_a_bound_to_their_number)
{
	struct token as = {.uses = 1};

	for (int i = 0; i < TOKENS_MAX; i++)
		ck_assert_ptr_nonnull(tokens_create(&tokens, &as));
	ck_assert_ptr_null(tokens_create(&tokens, &as));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tokens");
	TCase *t = tcase_create("tokens");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_token_opens_for_its_secret_role_and_name_until_its_time_is_over);
	tcase_add_test(t, each_use_is_counted_and_after_the_last_there_is_none);
	tcase_add_test(t, what_the_store_has_not_seen_is_not_deleted_there);
	tcase_add_test(t, revoked_and_expired_ones_open_for_nobody);
	tcase_add_test(t, a_token_is_read_as_it_was_written);
	tcase_add_test(t, a_text_that_lacks_a_bound_is_no_token);
	tcase_add_test(t, there_is_a_bound_to_their_number);
	suite_add_tcase(s, t);
	return s;
}
