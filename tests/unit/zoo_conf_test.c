/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "tests/lib/unit.h"
#include "zkserver/settings.h"

static struct zoo_conf conf;
static struct faults faults;
static char config_path[4096], log_path[4096], said[65536];

/* Read "dataDir=/d\nclientPort=1\n" and this; what the log says is in said. */
static bool
load(const char *text)
{
	char whole[8192];
	int fd, len;
	ssize_t n;
	bool ok;

	snprintf(config_path, sizeof config_path, "%s/zoo.cfg", unit_tmpdir());
	snprintf(log_path, sizeof log_path, "%s/log", unit_tmpdir());
	len = snprintf(whole, sizeof whole, "dataDir=/d\nclientPort=1\n%s", text);
	ck_assert(fsutil_write_atomic(config_path, whole, (size_t)len, 0644));
	fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_init("test", LOG_LEVEL_INFO);
	faults_init(&faults);
	ok = zoo_conf_load(&conf, config_path, &faults);
	n = pread(fd, said, sizeof said - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	close(fd);
	return ok;
}

static void
assert_refused(const char *text, const char *why)
{
	ck_assert_msg(!load(text), "%s was taken", text);
	ck_assert_msg(
	    strstr(faults_text(&faults), why) != NULL, "%s: %s", text, faults_text(&faults));
	faults_fini(&faults);
}

static void
assert_said(const char *text, const char *what)
{
	ck_assert_msg(load(text), "%s", faults_text(&faults));
	ck_assert_msg(strstr(said, what) != NULL, "%s: %s", text, said);
	faults_fini(&faults);
}

static void
assert_taken(const char *text)
{
	ck_assert_msg(load(text), "%s: %s", text, faults_text(&faults));
	ck_assert_msg(said[0] == '\0', "%s: %s", text, said);
	faults_fini(&faults);
}

START_TEST(what_is_not_set_has_apaches_defaults)
{
	assert_taken("");
	ck_assert_uint_eq(conf.tick_ms, 3000);
	ck_assert_uint_eq(conf.min_session_ms, 6000);
	ck_assert_uint_eq(conf.max_session_ms, 60000);
	ck_assert_uint_eq(conf.max_client_cnxns, 60);
	ck_assert_str_eq(conf.client_address, "");
	ck_assert_str_eq(conf.data_log_dir, "/d");
	ck_assert_int_eq(conf.secure_port, ZOO_PORT_NONE);
}
END_TEST

START_TEST(a_java_property_is_the_key_behind_its_prefix)
{
	assert_taken("zookeeper.maxCnxns=7\nzookeeper.snapCount = 50\t \n");
	ck_assert_uint_eq(conf.max_cnxns, 7);
	ck_assert_uint_eq(conf.snap_count, 50);
}
END_TEST

START_TEST(minus_one_is_unset_where_apaches_files_have_it)
{
	assert_taken("tickTime=1000\nminSessionTimeout=-1\nmaxSessionTimeout=-1\n"
		     "clientPortListenBacklog=-1");
	ck_assert_uint_eq(conf.min_session_ms, 2000);
	ck_assert_uint_eq(conf.max_session_ms, 20000);
	ck_assert_uint_gt(conf.backlog, 0);
	assert_refused("maxCnxns=-1", "zoo.cfg:3: maxCnxns=-1: not a number from 0");
}
END_TEST

START_TEST(numbers_that_are_javas_properties_have_its_forms)
{
	assert_taken("jute.maxbuffer=0xfffff\nsnapCount=#100\nmaxCnxns=010");
	ck_assert_uint_eq(conf.jute_max_bytes, 1048575);
	ck_assert_uint_eq(conf.snap_count, 256);
	ck_assert_uint_eq(conf.max_cnxns, 8);
	assert_taken("tickTime=010");
	ck_assert_uint_eq(conf.tick_ms, 10);
	assert_refused("tickTime=0x10", "zoo.cfg:3: tickTime=0x10: not a number from 1");
}
END_TEST

START_TEST(the_largest_request_has_a_bound_with_its_reason)
{
	assert_taken("jute.maxbuffer=33554432");
	ck_assert_uint_eq(conf.jute_max_bytes, 32 << 20);
	assert_refused("jute.maxbuffer=33554433",
	    "zoo.cfg:3: jute.maxbuffer=33554433: not a number from 1024 to 33554432: a trans");
}
END_TEST

START_TEST(what_has_no_effect_is_said_with_its_reason_and_place)
{
	assert_said("initLimit=10", "zoo.cfg:3: initLimit has no effect: it concerns ensembles");
	assert_said("nio.numWorkerThreads=8", "zoo.cfg:3: nio.numWorkerThreads has no effect: one");
	assert_said(
	    "ssl.quorum.keyStore.location=/k", "ssl.quorum.keyStore.location has no effect");
	assert_said("server.1=a:2888:3888", "zoo.cfg:3: server.1 is the only server");
}
END_TEST

START_TEST(an_unknown_key_is_named_with_its_place_and_the_nearest_one)
{
	assert_said(
	    "tickTme=5", "zoo.cfg:3: unknown key \"tickTme\" is ignored; did you mean tickTime?");
	assert_said("my.own.key=5", "zoo.cfg:3: unknown key \"my.own.key\" is ignored");
}
END_TEST

START_TEST(what_cannot_be_done_is_refused_with_its_reason)
{
	assert_refused(
	    "electionAlg=1", "zoo.cfg:3: electionAlg=1: refused: only FastLeaderElection");
	assert_refused("peerType=observer", "zoo.cfg:3: peerType=observer: refused: it concerns");
	assert_refused(
	    "dynamicConfigFile=/x", "zoo.cfg:3: dynamicConfigFile=/x: refused: it names");
	assert_refused("server.1=a:1:2\nserver.2=b:1:2", "zoo.cfg:4: server.2: this version runs");
	assert_refused("ssl.clientAuth=maybe", "not one of: none want need");
	assert_refused("clientPort=70000", "zoo.cfg:3: clientPort=70000: not a number from 0");
}
END_TEST

START_TEST(providers_of_apaches_are_taken_and_others_refused)
{
	assert_taken(
	    "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n"
	    "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider");
	ck_assert(conf.auth.sasl && !conf.auth.ensemble);
	assert_refused("authProvider.1=com.example.Mine",
	    "zoo.cfg:3: authProvider.1=com.example.Mine: refused: a Java class cannot be loaded");
}
END_TEST

START_TEST(super_users_of_sasl_are_collected)
{
	assert_taken("superUser=ann\nzookeeper.superUser.2=bob");
	ck_assert_str_eq(conf.auth.super_users, "ann\nbob\n");
}
END_TEST

START_TEST(a_scheme_that_everybody_needs_must_be_there)
{
	assert_taken("enforce.auth.enabled=true\nenforce.auth.schemes=digest, x509");
	ck_assert_str_eq(conf.auth.schemes, "digest, x509");
	assert_taken("enforce.auth.schemes=sasl");
	ck_assert_str_eq(conf.auth.schemes, "");
	assert_taken("sessionRequireClientSASLAuth=true\nsasl.usersFile=/users");
	ck_assert_str_eq(conf.auth.schemes, "sasl");
	assert_refused("enforce.auth.enabled=true", "zoo.cfg:3: enforce.auth.enabled needs");
	assert_refused("sessionRequireClientSASLAuth=true",
	    "zoo.cfg:3: sessionRequireClientSASLAuth: the scheme sasl is not configured");
	assert_refused("enforce.auth.enabled=true\nenforce.auth.schemes=ip,digest\n"
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
