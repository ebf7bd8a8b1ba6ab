/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/conf.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/sys/fsutil.h"
#include "tests/lib/unit.h"
#include "tests/lib/zoo_rig.h"
#include "zkserver/settings.h"

START_TEST(what_is_not_set_has_apaches_defaults)
{
	zoo_taken("");
	ck_assert_uint_eq(zoo_rig_conf.tick_ms, 3000);
	ck_assert_uint_eq(zoo_rig_conf.min_session_ms, 6000);
	ck_assert_uint_eq(zoo_rig_conf.max_session_ms, 60000);
	ck_assert_uint_eq(zoo_rig_conf.max_client_cnxns, 60);
	ck_assert_str_eq(zoo_rig_conf.client_address, "");
	ck_assert_str_eq(zoo_rig_conf.data_log_dir, "/d");
	ck_assert_int_eq(zoo_rig_conf.secure_port, ZOO_PORT_NONE);
}
END_TEST

START_TEST(a_java_property_is_the_key_behind_its_prefix)
{
	zoo_taken("zookeeper.maxCnxns=7\nzookeeper.snapCount = 50\t \n");
	ck_assert_uint_eq(zoo_rig_conf.max_cnxns, 7);
	ck_assert_uint_eq(zoo_rig_conf.snap_count, 50);
}
END_TEST

START_TEST(minus_one_is_unset_where_apaches_files_have_it)
{
	zoo_taken("tickTime=1000\nminSessionTimeout=-1\nmaxSessionTimeout=-1\n"
		  "clientPortListenBacklog=-1");
	ck_assert_uint_eq(zoo_rig_conf.min_session_ms, 2000);
	ck_assert_uint_eq(zoo_rig_conf.max_session_ms, 20000);
	ck_assert_uint_gt(zoo_rig_conf.backlog, 0);
	zoo_refused("tickTime=-1", "zoo.cfg:3: tickTime=-1: not a number from 1");
}
END_TEST

START_TEST(less_than_the_least_is_the_least_where_apaches_server_serves_with_it)
{
	zoo_taken("maxClientCnxns=-1\nmaxCnxns=-7\nglobalOutstandingLimit=0\nsnapCount=1\n"
		  "preAllocSize=-1\nautopurge.snapRetainCount=-2\nautopurge.purgeInterval=-1\n"
		  "snapSizeLimitInKb=-1");
	ck_assert_uint_eq(zoo_rig_conf.max_client_cnxns, 0);
	ck_assert_uint_eq(zoo_rig_conf.max_cnxns, 0);
	ck_assert_uint_eq(zoo_rig_conf.outstanding_max, 1);
	ck_assert_uint_eq(zoo_rig_conf.snap_count, 2);
	ck_assert_uint_eq(zoo_rig_conf.prealloc_kib, 0);
	ck_assert_uint_eq(zoo_rig_conf.purge_retain, 3);
	ck_assert_uint_eq(zoo_rig_conf.purge_hours, 0);
	ck_assert_uint_eq(zoo_rig_conf.snap_size_kib, 0);
	zoo_refused("maxClientCnxns=--1", "zoo.cfg:3: maxClientCnxns=--1: not a number from 0");
	zoo_refused("snapCount=-2147483649", "zoo.cfg:3: snapCount=-2147483649: not a number");
}
END_TEST

START_TEST(numbers_that_are_javas_properties_have_its_forms)
{
	zoo_taken("jute.maxbuffer=0xfffff\nsnapCount=#100\nmaxCnxns=010");
	ck_assert_uint_eq(zoo_rig_conf.jute_max_bytes, 1048575);
	ck_assert_uint_eq(zoo_rig_conf.snap_count, 256);
	ck_assert_uint_eq(zoo_rig_conf.max_cnxns, 8);
	zoo_taken("tickTime=010");
	ck_assert_uint_eq(zoo_rig_conf.tick_ms, 10);
	zoo_refused("tickTime=0x10", "zoo.cfg:3: tickTime=0x10: not a number from 1");
}
END_TEST

START_TEST(the_largest_request_has_a_bound_with_its_reason)
{
	zoo_taken("jute.maxbuffer=33554432");
	ck_assert_uint_eq(zoo_rig_conf.jute_max_bytes, 32 << 20);
	zoo_refused("jute.maxbuffer=33554433",
	    "zoo.cfg:3: jute.maxbuffer=33554433: not a number from 1024 to 33554432: a trans");
}
END_TEST

START_TEST(what_has_no_effect_is_said_with_its_reason_and_place)
{
	zoo_said("leader.nodelay=true", "zoo.cfg:3: leader.nodelay has no effect: a learner's");
	zoo_said("nio.numWorkerThreads=8", "zoo.cfg:3: nio.numWorkerThreads has no effect: one");
}
END_TEST

START_TEST(an_unknown_key_is_named_with_its_place_and_the_nearest_one)
{
	zoo_said(
	    "tickTme=5", "zoo.cfg:3: unknown key \"tickTme\" is ignored; did you mean tickTime?");
	zoo_said("my.own.key=5", "zoo.cfg:3: unknown key \"my.own.key\" is ignored");
}
END_TEST

START_TEST(what_cannot_be_done_is_refused_with_its_reason)
{
	zoo_refused("admin.forceHttps=true",
	    "zoo.cfg:3: admin.forceHttps=true: refused: the admin server speaks plain HTTP");
	zoo_refused("zookeeper.admin.portUnification=true",
	    "zoo.cfg:3: zookeeper.admin.portUnification=true: refused: the admin server speaks");
	zoo_taken("admin.forceHttps=false\nadmin.portUnification=no");
	zoo_refused("electionAlg=1", "zoo.cfg:3: electionAlg=1: refused: only FastLeaderElection");
	zoo_refused("quorum.auth.enableSasl=true",
	    "zoo.cfg:3: quorum.auth.enableSasl=true: refused: SASL "
	    "between servers is not supported");
	zoo_refused("multiAddress.enabled=true", "refused: a server has one address");
	zoo_refused("ssl.clientAuth=maybe", "not one of: none want need");
	zoo_refused("clientPort=70000", "zoo.cfg:3: clientPort=70000: not a number from 0");
}
END_TEST

START_TEST(providers_of_apaches_are_taken_and_others_refused)
{
	zoo_taken("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n"
		  "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider");
	ck_assert(zoo_rig_conf.auth.sasl && !zoo_rig_conf.auth.ensemble);
	ck_assert(zoo_rig_conf.auth.x509);
	zoo_taken("");
	ck_assert(!zoo_rig_conf.auth.sasl && !zoo_rig_conf.auth.x509);
	zoo_refused("authProvider.1=com.example.Mine",
	    "zoo.cfg:3: authProvider.1=com.example.Mine: refused: a Java class cannot be loaded");
}
END_TEST

START_TEST(super_users_of_sasl_are_collected)
{
	zoo_taken("superUser=ann\nzookeeper.superUser.2=bob");
	ck_assert_str_eq(zoo_rig_conf.auth.super_users, "ann\nbob\n");
}
END_TEST

START_TEST(a_scheme_that_everybody_needs_must_be_there)
{
	zoo_taken("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip");
	ck_assert_str_eq(zoo_rig_conf.auth.schemes, "digest, ip");
	zoo_refused("enforce.auth.enabled=true\nenforce.auth.schemes=digest, x509",
	    "zoo.cfg:4: enforce.auth.schemes: the scheme x509 is not configured");
	zoo_taken("enforce.auth.schemes=sasl");
	ck_assert_str_eq(zoo_rig_conf.auth.schemes, "");
	zoo_taken("sessionRequireClientSASLAuth=true\nsasl.usersFile=/users");
	ck_assert_str_eq(zoo_rig_conf.auth.schemes, "sasl");
	zoo_refused("enforce.auth.enabled=true", "zoo.cfg:3: enforce.auth.enabled needs");
	zoo_refused("sessionRequireClientSASLAuth=true",
	    "zoo.cfg:3: sessionRequireClientSASLAuth: the scheme sasl is not configured");
	zoo_refused("enforce.auth.enabled=true\nenforce.auth.schemes=ip,digest\n"
		    "DigestAuthenticationProvider.enabled=false",
	    "zoo.cfg:4: enforce.auth.schemes: the scheme digest is not configured");
}
END_TEST

START_TEST(the_manual_has_every_key)
{
	const struct setting *all;
	struct buf manual;
	char key[128];
	size_t count;

	buf_init(&manual, 1 << 20);
	ck_assert(fsutil_read(MANUAL, (1 << 20) - 1, &manual));
	buf_append(&manual, "", 1);
	all = settings_table(&count);
	for (size_t i = 0; i < count; i++) {
		size_t len = strcspn(all[i].key, "*");

		snprintf(key, sizeof key, "%.*s", (int)len, all[i].key);
		ck_assert_msg(strstr((const char *)manual.data, key) != NULL,
		    "zkserver(8) does not have %s", key);
	}
	buf_fini(&manual);
}
END_TEST

START_TEST(no_two_rows_of_the_table_name_the_same_key)
{
	const struct setting *all;
	size_t count;

	all = settings_table(&count);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(all[i].key, all[k].key);
		ck_assert_ptr_eq(setting_find(all[i].key), &all[i]);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zoo_conf");
	TCase *c = tcase_create("zoo_conf");

	tcase_add_test(c, what_is_not_set_has_apaches_defaults);
	tcase_add_test(c, a_java_property_is_the_key_behind_its_prefix);
	tcase_add_test(c, minus_one_is_unset_where_apaches_files_have_it);
	tcase_add_test(c, less_than_the_least_is_the_least_where_apaches_server_serves_with_it);
	tcase_add_test(c, numbers_that_are_javas_properties_have_its_forms);
	tcase_add_test(c, the_largest_request_has_a_bound_with_its_reason);
	tcase_add_test(c, what_has_no_effect_is_said_with_its_reason_and_place);
	tcase_add_test(c, an_unknown_key_is_named_with_its_place_and_the_nearest_one);
	tcase_add_test(c, what_cannot_be_done_is_refused_with_its_reason);
	tcase_add_test(c, providers_of_apaches_are_taken_and_others_refused);
	tcase_add_test(c, super_users_of_sasl_are_collected);
	tcase_add_test(c, a_scheme_that_everybody_needs_must_be_there);
	tcase_add_test(c, the_manual_has_every_key);
	tcase_add_test(c, no_two_rows_of_the_table_name_the_same_key);
	suite_add_tcase(s, c);
	return s;
}
