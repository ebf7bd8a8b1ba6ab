/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock at the ends of what it may say, and set back and forth. */
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

#define YEAR_2100_MS INT64_C(4102444800000)
#define TTL_MS 5000

/* 1970; behind the seconds of 32 bits with and without a sign; 2100; the end of the year 9999. */
static const int64_t ERAS[] = {
    0, 1, INT64_C(2147483648000), INT64_C(4294967296000), YEAR_2100_MS, INT64_C(253402300799999)};
#define ERA_COUNT (int)(sizeof(ERAS) / sizeof(ERAS[0]))

static const struct hash_key KEY = {5, 6};

static struct reply
do_create_ttl(struct client *c, const char *path)
{
	return do_create_op(c, ZK_OP_CREATE_TTL, path, ZK_PERSISTENT_TTL, TTL_MS);
}

/* The log, applied to an empty tree. */
static void
replays(void)
{
	static const struct tree_rules extended = {.extended_types = true};
	struct jute_reader r = jute_reader(logged.data, logged.len);
	struct db copy;

	ck_assert(db_init(&copy, &KEY, TICK_MS));
	db_set_rules(&copy, &extended);
	while (jute_left(&r) > 0) {
		struct jute_bytes txn = jute_get_bytes(&r);

		ck_assert_int_eq(
		    db_apply(&copy, txn.data, (size_t)txn.len, 0, NULL, NULL, NULL), APPLY_OK);
	}
	ck_assert_uint_eq(copy.tree.digest, db.tree.digest);
	ck_assert_uint_eq(copy.digest_mismatches, 0);
	db_fini(&copy);
}

/* ZOOKEEPER-1622: ids of sessions are one of it. */
START_TEST(all_that_has_a_time_works_in_every_year)
{
	int64_t wall_ms = ERAS[_i], one, two;

	rig_setup_reaping(wall_ms);
	one = join(&clients[0]);
	two = join(&clients[1]);
	ck_assert_int_eq(one >> 56, 1); /* the server's own number */
	ck_assert_int_eq(two, one + 1);
	do_create(&clients[0], "/mine", ZK_EPHEMERAL);
	ck_assert_int_eq(do_create_ttl(&clients[1], "/ttl").error, ZK_OK);
	ck_assert_int_eq(stat_of(&clients[1], "/mine").ctime, wall_ms);
	ck_assert_int_eq(stat_of(&clients[1], "/ttl").mtime, wall_ms);
	live_on(&clients[1], REAP_ROUND_MS);
	ck_assert(!exists(&clients[1], "/ttl"));
	/* The other one has said nothing for its time-out by now. */
	live_on(&clients[1], 20 * TICK_MS);
	ck_assert(!exists(&clients[1], "/mine"));
	ck_assert_uint_eq(session_count(&db.sessions), 1);
	replays();
	rig_teardown();
}
END_TEST

START_TEST(a_clock_that_is_set_does_not_end_sessions)
{
	rig_setup_reaping(YEAR_2100_MS);
	join(&clients[0]);
	do_create(&clients[0], "/mine", ZK_EPHEMERAL);
	set_wall(0);
	live_on(&clients[0], REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/mine"));
	set_wall(YEAR_2100_MS * 2);
	live_on(&clients[0], REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/mine"));
	replays();
	rig_teardown();
}
END_TEST

START_TEST(a_ttl_counts_by_the_wall_clock_as_at_apaches_server)
{
	rig_setup_reaping(YEAR_2100_MS);
	join(&clients[0]);
	ck_assert_int_eq(do_create_ttl(&clients[0], "/ttl").error, ZK_OK);
	set_wall(0); /* it was made in the future */
	live_on(&clients[0], 3 * REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/ttl"));
	set_wall(YEAR_2100_MS + TTL_MS + 1);
	live_on(&clients[0], REAP_ROUND_MS);
	ck_assert(!exists(&clients[0], "/ttl"));
	replays();
	rig_teardown();
}
END_TEST

START_TEST(a_machine_that_always_begins_in_1970_gives_no_session_twice)
{
	struct server_settings settings;
	int64_t first, second;

	rig_setup_reaping(0);
	first = join(&clients[0]);
	close_client(&clients[0]);
	settings = server.settings;
	server_fini(&server);
	server_init(&server, &settings, &db, 1, server.now_ms, 0);
	second = join(&clients[1]);
	ck_assert_int_ne(second, first);
	ck_assert_uint_eq(session_count(&db.sessions), 2);
	rig_teardown();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_clock");
	TCase *c = tcase_create("clock");

	tcase_add_loop_test(c, all_that_has_a_time_works_in_every_year, 0, ERA_COUNT);
	tcase_add_test(c, a_clock_that_is_set_does_not_end_sessions);
	tcase_add_test(c, a_ttl_counts_by_the_wall_clock_as_at_apaches_server);
	tcase_add_test(c, a_machine_that_always_begins_in_1970_gives_no_session_twice);
	suite_add_tcase(s, c);
	return s;
}
