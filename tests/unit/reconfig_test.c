/* SPDX-License-Identifier: Apache-2.0 */
/* Ensembles of cores whose members change while they run. Sid i + 1 is node i. */
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

#define S1 "server.1=10.0.0.1:2888:3888:participant;2181"
#define S2 "server.2=10.0.0.2:2888:3888:participant;2181"
#define S3 "server.3=10.0.0.3:2888:3888:participant;2181"
#define S4 "server.4=10.0.0.4:2888:3888:participant;2181"
#define S5 "server.5=10.0.0.5:2888:3888:participant;2181"
#define THREE S1 "\n" S2 "\n" S3

static const struct members *
members_of(unsigned i)
{
	return rig_nodes[i].peer.zab.members;
}

/* Five nodes, of which the first three are the ensemble; the others want to join it. */
static void
setup(void)
{
	rig_setup(5, 0);
	rig_zab_settings.reconfig = rig_zab_settings.standalone = true;
	for (unsigned i = 0; i < 3; i++)
		rig_write_members(i, THREE);
	rig_write_members(3, THREE "\n" S4);
	rig_write_members(4, THREE "\n" S5);
}

static void
start_three(void)
{
	for (unsigned i = 0; i < 3; i++)
		rig_start(i);
	ck_assert_int_eq(rig_settle(), 2);
}

/* All that are up know this one, and have written it down. */
static void
check_members(unsigned voters, int64_t version)
{
	rig_check_same();
	for (unsigned i = 0; i < rig_count; i++) {
		const struct rig_node *n = &rig_nodes[i];

		if (!n->up)
			continue;
		ck_assert_uint_eq(members_voter_count(members_of(i)), voters);
		ck_assert_int_eq(members_of(i)->version, version);
		ck_assert_int_eq(n->committed.version, version);
		ck_assert_ptr_null(n->peer.zab.seen);
		ck_assert_ptr_eq(n->peer.election.now, members_of(i));
		ck_assert_ptr_null(n->peer.election.next);
	}
}

START_TEST(the_first_epoch_gives_the_configuration_its_version)
{
	start_three();
	check_members(3, INT64_C(1) << 32);
}
END_TEST

START_TEST(without_reconfig_nothing_has_a_version_and_nobody_may_ask)
{
	rig_zab_settings.reconfig = false;
	start_three();
	ck_assert_int_eq(rig_reconfig(0, NULL, "1", NULL), ZK_RECONFIGDISABLED);
	check_members(3, 0);
}
END_TEST

/* ZOOKEEPER-2172. It has all, and counts for nothing until it is added. */
START_TEST(a_server_joins_as_a_follower_without_a_vote_and_is_added)
{
	start_three();
	rig_create(0, "/before");
	rig_start(3);
	rig_settle();
	ck_assert(rig_has(3, "/before"));
	ck_assert_uint_eq(members_voter_count(members_of(3)), 3);
	rig_crash(0, true);
	rig_crash(1, true);
	rig_run(20000);
	ck_assert_int_eq(rig_leader(), -1); /* it and one voter are no quorum */
	rig_start(0);
	rig_start(1);
	rig_settle();
	ck_assert_int_eq(rig_reconfig(3, S4, NULL, NULL), ZK_OK);
	rig_create(3, "/after");
	check_members(4, members_of(3)->version);
	rig_crash(0, true);
	rig_create(3, "/with-three-of-four");
	rig_crash(1, true);
	rig_run(20000);
	ck_assert_int_eq(rig_leader(), -1);
}
END_TEST

START_TEST(a_new_configuration_needs_its_own_quorum_in_sync)
{
	int32_t error = 0;

	start_three();
	ck_assert_int_eq(rig_reconfig(0, S4 "," S5, "1,2", NULL), ZK_NEWCONFIGNOQUORUM);
	ck_assert_int_eq(rig_reconfig(0, NULL, "1,2", NULL), ZK_BADARGUMENTS);
	rig_connect(1);
	rig_ask_reconfig(1, NULL, "1", NULL, 77);
	rig_run(1000);
	ck_assert_uint_eq(rig_answers(1, &error), 1);
	ck_assert_int_eq(error, ZK_BADVERSION);
	check_members(3, INT64_C(1) << 32);
}
END_TEST

START_TEST(a_follower_is_removed_and_follows_without_a_vote)
{
	start_three();
	ck_assert_int_eq(rig_reconfig(1, NULL, "1", NULL), ZK_OK);
	rig_create(0, "/by-who-was-removed");
	check_members(2, members_of(2)->version);
	rig_crash(1, true);
	rig_run(20000);
	ck_assert_int_eq(rig_leader(), -1); /* it counts for nothing */
}
END_TEST

static bool
leads_elsewhere(void *arg)
{
	return rig_leader() >= 0 && rig_leader() != *(int *)arg;
}

START_TEST(a_leader_that_is_removed_names_who_leads_on)
{
	uint64_t elections[3];
	int old = 2;

	start_three();
	for (unsigned i = 0; i < 3; i++)
		elections[i] = (uint64_t)rig_nodes[i].peer.election.round;
	rig_connect(0);
	rig_ask_reconfig(0, NULL, "3", NULL, -1);
	ck_assert(rig_run_until(leads_elsewhere, &old, 20000));
	rig_settle();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(rig_nodes[i].peer.election.round, elections[i]);
	rig_create(2, "/by-who-led");
	check_members(2, members_of(0)->version);
}
END_TEST

/* Two new ones, and the leader and another one gone: nobody is stopped meanwhile. */
START_TEST(members_are_exchanged_all_at_once)
{
	int old = 2;

	start_three();
	rig_start(3);
	rig_start(4);
	rig_settle();
	rig_create(0, "/before");
	rig_connect(0);
	rig_ask_reconfig(0, NULL, NULL, S1 "," S4 "," S5, -1);
	ck_assert(rig_run_until(leads_elsewhere, &old, 20000));
	rig_settle();
	check_members(3, members_of(0)->version);
	rig_crash(1, true);
	rig_crash(2, true);
	rig_create(4, "/without-those-who-left");
	ck_assert(rig_has(4, "/before"));
}
END_TEST

START_TEST(a_participant_becomes_an_observer_and_one_again)
{
	start_three();
	rig_start(3);
	rig_settle();
	ck_assert_int_eq(rig_reconfig(2, S4, NULL, NULL), ZK_OK);
	ck_assert_int_eq(
	    rig_reconfig(2, "server.4=10.0.0.4:2888:3888:observer;2181", NULL, NULL), ZK_OK);
	rig_run(100);
	rig_settle();
	ck_assert_str_eq(peer_role_name(&rig_nodes[3].peer), "observer");
	check_members(3, members_of(3)->version);
	ck_assert_int_eq(rig_reconfig(2, S4, NULL, NULL), ZK_OK);
	rig_run(100);
	rig_settle();
	ck_assert_str_eq(peer_role_name(&rig_nodes[3].peer), "follower");
	check_members(4, members_of(3)->version);
}
END_TEST

/* One of three has more than half of what counts, from the moment in which that is in force. */
START_TEST(weights_decide_from_the_reconfig_on_that_brings_them)
{
	start_three();
	ck_assert_int_eq(rig_reconfig(2, NULL, NULL,
			     S1 "," S2 "," S3 ",group.1=1:2:3,weight.1=3,weight.2=1,weight.3=1"),
	    ZK_OK);
	rig_settle();
	check_members(3, members_of(0)->version);
	ck_assert_uint_eq(members_weight(members_of(1), 1), 3);
	rig_crash(1, true);
	rig_crash(2, true);
	ck_assert_int_eq(rig_settle(), 0);
	rig_create(0, "/alone");
	rig_start(1);
	rig_start(2);
	rig_settle();
	rig_crash(0, true);
	rig_run(30000);
	ck_assert_int_eq(rig_leader(), -1);
	rig_start(0);
	rig_settle();
	ck_assert_int_eq(rig_reconfig(0, NULL, NULL, S1 "," S2 "," S3), ZK_OK);
	rig_crash(0, true);
	ck_assert_int_ge(rig_settle(), 1);
	rig_create(1, "/numbers");
	rig_check_same();
}
END_TEST

/* Neither quorum alone can elect or commit once the change was proposed. */
START_TEST(old_and_new_quorum_that_do_not_see_each_other_do_nothing)
{
	start_three();
	rig_start(3);
	rig_start(4);
	rig_settle();
	rig_connect(2);
	for (unsigned i = 0; i < 5; i++)
		rig_nodes[i].hold_sync = true;
	rig_ask_reconfig(2, NULL, NULL, S3 "," S4 "," S5, -1);
	for (unsigned i = 0; i < 20; i++)
		rig_step(); /* all have seen it, none has it on disk */
	ck_assert_ptr_nonnull(rig_nodes[0].peer.zab.seen);
	ck_assert_ptr_nonnull(rig_nodes[4].peer.zab.seen);
	for (unsigned i = 0; i < 5; i++)
		rig_crash(i, false);
	for (unsigned i = 0; i < 5; i++)
		rig_nodes[i].hold_sync = false;
	for (unsigned a = 0; a < 2; a++)
		for (unsigned b = 2; b < 5; b++)
			rig_cut(a, b, true);
	for (unsigned i = 0; i < 5; i++)
		rig_start(i);
	rig_run(60000);
	ck_assert_int_eq(rig_leader(), -1); /* 3, 4 and 5 are the new ones' quorum, not the old's */
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(rig_nodes[i].peer.zab.epochs.current, 1);
	for (unsigned a = 0; a < 2; a++)
		for (unsigned b = 2; b < 5; b++)
			rig_cut(a, b, false);
	rig_settle();
	rig_create(0, "/after");
	check_members(3, members_of(0)->version);
}
END_TEST

/*
 * The leader crashes in each step of a reconfig's way, with all that its disk had not synced: the
 * others agree on one of both, and who comes back takes that.
 */
static void
crash_leader_at(unsigned step, const char *joining, const char *leaving)
{
	unsigned leader;
	int64_t version = -1;

	start_three();
	rig_start(3);
	rig_settle();
	rig_create(0, "/before");
	rig_connect(0);
	leader = (unsigned)rig_leader();
	rig_ask_reconfig(0, joining, leaving, NULL, -1);
	for (unsigned i = 0; i < step; i++)
		rig_step();
	rig_crash(leader, true);
	rig_settle();
	rig_create(1, "/meanwhile");
	rig_start(leader);
	rig_settle();
	rig_create(leader, "/after");
	rig_check_same();
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_ptr_null(rig_nodes[i].peer.zab.seen);
		if (version < 0)
			version = members_of(i)->version;
		ck_assert_int_eq(members_of(i)->version, version);
		ck_assert(rig_has(i, "/before") && rig_has(i, "/meanwhile"));
	}
}

START_TEST(a_leader_crashes_at_any_step_of_adding)
{
	crash_leader_at((unsigned)_i, S4, NULL);
}
END_TEST

START_TEST(a_leader_crashes_at_any_step_of_its_removal)
{
	crash_leader_at((unsigned)_i, NULL, "3");
}
END_TEST

START_TEST(a_leader_crashes_at_any_step_of_being_replaced)
{
	crash_leader_at((unsigned)_i, S4, "3");
}
END_TEST

/* The whole ensemble loses its power at each step, and comes back. */
START_TEST(all_crash_at_any_step)
{
	start_three();
	rig_start(3);
	rig_settle();
	rig_create(0, "/before");
	rig_connect(0);
	rig_ask_reconfig(0, S4, "3", NULL, -1);
	for (int i = 0; i < _i; i++)
		rig_step();
	for (unsigned i = 0; i < 4; i++)
		rig_crash(i, true);
	for (unsigned i = 0; i < 4; i++)
		rig_start(i);
	rig_settle();
	rig_create(0, "/after");
	ck_assert(rig_has(0, "/before"));
	check_members(3, members_of(0)->version);
}
END_TEST

START_TEST(who_cannot_write_a_proposal_down_does_not_agree_to_it)
{
	start_three();
	rig_nodes[0].forgets = true;
	ck_assert_int_eq(rig_reconfig(1, NULL, "1", NULL), ZK_OK); /* two of three are enough */
	ck_assert_int_eq(rig_nodes[0].committed.version, INT64_C(1) << 32);
	rig_nodes[0].forgets = false;
	rig_settle();
	rig_create(0, "/after");
	check_members(2, members_of(2)->version);
}
END_TEST

START_TEST(a_leader_that_cannot_write_a_proposal_down_refuses_it)
{
	start_three();
	rig_nodes[2].forgets = true;
	ck_assert_int_eq(rig_reconfig(1, NULL, "1", NULL), ZK_SYSTEMERROR);
	rig_nodes[2].forgets = false;
	check_members(3, INT64_C(1) << 32);
	ck_assert_int_eq(rig_reconfig(1, NULL, "1", NULL), ZK_OK);
}
END_TEST

/* Who was away for a change learns of it from whoever it asks for a leader. */
START_TEST(who_was_away_learns_the_members_from_the_others)
{
	start_three();
	rig_start(3);
	rig_settle();
	rig_crash(0, true);
	ck_assert_int_eq(rig_reconfig(1, S4, NULL, NULL), ZK_OK);
	rig_settle();
	rig_start(0);
	rig_settle();
	check_members(4, members_of(1)->version);
}
END_TEST

START_TEST(what_the_settings_say_of_rights_outlives_a_snapshot_of_the_leader)
{
	rig_zab_settings.force_snapshot_sync = true;
	start_three();
	rig_crash(0, true);
	rig_start(0);
	rig_settle();
	ck_assert_uint_gt(rig_nodes[0].snapshots_taken, 0);
	ck_assert(rig_nodes[0].db.tree.acls.policy.skip);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("reconfig");
	TCase *t = tcase_create("members");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_first_epoch_gives_the_configuration_its_version);
	tcase_add_test(t, without_reconfig_nothing_has_a_version_and_nobody_may_ask);
	tcase_add_test(t, a_server_joins_as_a_follower_without_a_vote_and_is_added);
	tcase_add_test(t, a_new_configuration_needs_its_own_quorum_in_sync);
	tcase_add_test(t, a_follower_is_removed_and_follows_without_a_vote);
	tcase_add_test(t, a_leader_that_is_removed_names_who_leads_on);
	tcase_add_test(t, members_are_exchanged_all_at_once);
	tcase_add_test(t, a_participant_becomes_an_observer_and_one_again);
	tcase_add_test(t, weights_decide_from_the_reconfig_on_that_brings_them);
	tcase_add_test(t, old_and_new_quorum_that_do_not_see_each_other_do_nothing);
	tcase_add_loop_test(t, a_leader_crashes_at_any_step_of_adding, 0, 16);
	tcase_add_loop_test(t, a_leader_crashes_at_any_step_of_its_removal, 0, 16);
	tcase_add_loop_test(t, a_leader_crashes_at_any_step_of_being_replaced, 0, 16);
	tcase_add_loop_test(t, all_crash_at_any_step, 0, 16);
	tcase_add_test(t, who_cannot_write_a_proposal_down_does_not_agree_to_it);
	tcase_add_test(t, a_leader_that_cannot_write_a_proposal_down_refuses_it);
	tcase_add_test(t, who_was_away_learns_the_members_from_the_others);
	tcase_add_test(t, what_the_settings_say_of_rights_outlives_a_snapshot_of_the_leader);
	suite_add_tcase(s, t);
	return s;
}
