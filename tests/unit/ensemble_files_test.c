/* SPDX-License-Identifier: Apache-2.0 */
/* The files that remember an ensemble's configuration, written and read again. */
#include "zkserver/ensemble_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"
#include "tests/lib/zoo_rig.h"

static struct members members;
static char why[1024];

static const char STATIC[] = "dataDir=/d\nclientPort=1\n# mine\ndataDir=%s\ninitLimit=5\n"
			     "syncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

static const char *
at(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	return path;
}

static void
start(const char *text)
{
	struct fault f = {{0}};
	char whole[8192];

	snprintf(whole, sizeof whole, STATIC, unit_tmpdir());
	zoo_file("myid", "1\n");
	zoo_file("zoo.cfg", whole);
	zoo_again();
	ck_assert_msg(members_parse(&members, text, strlen(text), &f) == 0, "%s", f.text);
}

static void
commit(void)
{
	ck_assert_msg(ensemble_files_commit(&zoo_rig_conf, &members, why, sizeof why), "%s", why);
}

#define MEMBERS "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant"

START_TEST(what_is_in_force_is_found_at_the_next_start)
{
	char whole[8192];

	start(MEMBERS "\nversion=100000000");
	commit();
	zoo_holds("zoo.cfg.dynamic.100000000", MEMBERS);
	snprintf(whole, sizeof whole, STATIC, unit_tmpdir());
	zoo_holds("zoo.cfg.bak", whole);
	snprintf(whole, sizeof whole,
	    "dataDir=/d\nclientPort=1\n# mine\ndataDir=%s\ninitLimit=5\nsyncLimit=2\n"
	    "dynamicConfigFile=%s/zoo.cfg.dynamic.100000000\n",
	    unit_tmpdir(), unit_tmpdir());
	zoo_holds("zoo.cfg", whole);
	zoo_again();
	ck_assert_int_eq(zoo_rig_conf.ensemble.members.version, 0x100000000);
	ck_assert(members_same(&zoo_rig_conf.ensemble.members, &members));
	ck_assert_int_eq(zoo_rig_conf.client_port, 1);
}
END_TEST

START_TEST(a_proposal_is_found_until_it_is_in_force)
{
	start(MEMBERS "\nversion=100000000");
	commit();
	members.version = 0x100000005;
	members.list[2].observer = true;
	ck_assert(ensemble_files_propose(&zoo_rig_conf, &members, why, sizeof why));
	ck_assert(zoo_rig_conf.ensemble.has_proposed);
	zoo_again();
	ck_assert(zoo_rig_conf.ensemble.has_proposed);
	ck_assert_int_eq(zoo_rig_conf.ensemble.members.version, 0x100000000);
	ck_assert(members_same(&zoo_rig_conf.ensemble.proposed, &members));
	ck_assert_int_eq(zoo_rig_conf.ensemble.proposed.version, members.version);
	commit();
	ck_assert(!zoo_there("zoo.cfg.dynamic.next"));
	zoo_again();
	ck_assert(!zoo_rig_conf.ensemble.has_proposed);
	ck_assert(members_same(&zoo_rig_conf.ensemble.members, &members));
	/* What was backed up is the file as its owner wrote it. */
	ck_assert(zoo_there("zoo.cfg.bak") && zoo_there("zoo.cfg.dynamic.100000000"));
}
END_TEST

START_TEST(a_newer_proposal_stays)
{
	start(MEMBERS "\nversion=100000009");
	ck_assert(ensemble_files_propose(&zoo_rig_conf, &members, why, sizeof why));
	members.version = 0x100000005;
	commit();
	ck_assert(zoo_there("zoo.cfg.dynamic.next") && zoo_rig_conf.ensemble.has_proposed);
}
END_TEST

START_TEST(a_client_address_among_the_members_replaces_zoo_cfgs)
{
	start("server.1=a:1:2;77\nserver.2=b:1:2\nversion=5");
	commit();
	zoo_again();
	ck_assert_int_eq(zoo_rig_conf.client_port, 77);
}
END_TEST

START_TEST(the_file_behind_a_link_is_changed_and_keeps_its_mode)
{
	char whole[8192];
	struct stat st;

	start(MEMBERS "\nversion=7");
	snprintf(whole, sizeof whole, "%s/real.cfg", unit_tmpdir());
	ck_assert_int_eq(rename(at("zoo.cfg"), whole), 0);
	ck_assert_int_eq(chmod(whole, 0640), 0);
	ck_assert_int_eq(symlink("real.cfg", at("zoo.cfg")), 0);
	commit();
	ck_assert(zoo_there("real.cfg.dynamic.7"));
	ck_assert_int_eq(lstat(at("zoo.cfg"), &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(stat(at("zoo.cfg"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	zoo_again();
	ck_assert_int_eq(zoo_rig_conf.ensemble.members.version, 7);
}
END_TEST

START_TEST(what_cannot_be_written_is_said_and_changes_nothing)
{
	start(MEMBERS "\nversion=7");
	ck_assert_int_eq(mkdir(at("zoo.cfg.dynamic.7"), 0700), 0);
	ck_assert(!ensemble_files_commit(&zoo_rig_conf, &members, why, sizeof why));
	ck_assert_ptr_nonnull(strstr(why, "zoo.cfg.dynamic.7: cannot be written: "));
	ck_assert_int_eq(zoo_rig_conf.ensemble.members.version, 0);
	ck_assert_int_eq(mkdir(at("zoo.cfg.dynamic.next"), 0700), 0);
	ck_assert(!ensemble_files_propose(&zoo_rig_conf, &members, why, sizeof why));
	ck_assert_ptr_nonnull(strstr(why, "zoo.cfg.dynamic.next: cannot be written: "));
	ck_assert(!zoo_rig_conf.ensemble.has_proposed);
	ck_assert_int_eq(rmdir(at("zoo.cfg.dynamic.next")), 0);
	ck_assert_int_eq(unlink(at("zoo.cfg")), 0);
	ck_assert(!ensemble_files_commit(&zoo_rig_conf, &members, why, sizeof why));
	ck_assert_ptr_nonnull(strstr(why, "zoo.cfg: cannot be found: "));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("ensemble_files");
	TCase *c = tcase_create("ensemble_files");

	tcase_add_test(c, what_is_in_force_is_found_at_the_next_start);
	tcase_add_test(c, a_proposal_is_found_until_it_is_in_force);
	tcase_add_test(c, a_newer_proposal_stays);
	tcase_add_test(c, a_client_address_among_the_members_replaces_zoo_cfgs);
	tcase_add_test(c, the_file_behind_a_link_is_changed_and_keeps_its_mode);
	tcase_add_test(c, what_cannot_be_written_is_said_and_changes_nothing);
	suite_add_tcase(s, c);
	return s;
}
