/* SPDX-License-Identifier: Apache-2.0 */
/* What zoo.cfg and the files beside it say of an ensemble. */
#include "zkserver/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/unit.h"
#include "tests/lib/zoo_rig.h"

#define THREE "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
#define LIMITS "initLimit=5\nsyncLimit=2\n"

static char text[8192];

/* With the data directory in the test's own; line 4 is the first of `more`. */
static const char *
in_own(const char *more)
{
	snprintf(text, sizeof text, "dataDir=%s\n%s", unit_tmpdir(), more);
	return text;
}

static const char *
with_dynamic(const char *name, const char *more)
{
	snprintf(text, sizeof text, "dataDir=%s\ndynamicConfigFile=%s/%s\n" LIMITS "%s",
	    unit_tmpdir(), unit_tmpdir(), name, more);
	return text;
}

static void
refused(const char *myid, const char *more, const char *why)
{
	zoo_file("myid", myid);
	zoo_refused(in_own(more), why);
}

START_TEST(what_is_not_set_has_apaches_defaults)
{
	const struct zoo_ensemble *e = &zoo_rig_conf.ensemble;

	zoo_taken("");
	ck_assert(!zoo_conf_distributed(&zoo_rig_conf));
	ck_assert_uint_eq(e->members.count, 0);
	ck_assert_int_eq(e->sid, -1);
	ck_assert(e->standalone);
	ck_assert(!e->local_sessions && !e->local_upgrade && !e->encrypted && !e->read_only);
	ck_assert_uint_eq(e->connect_ms, 5000);
	ck_assert_uint_eq(e->hello_ms, 0);
	ck_assert_uint_eq(e->bind_tries, 3);
	ck_assert_uint_eq(e->notification_min_ms, 200);
	ck_assert_uint_eq(e->notification_max_ms, 60000);
	ck_assert_uint_eq(e->commit_log, 500);
	ck_assert_uint_eq(e->commit_log_kib, 4096);
	ck_assert_uint_eq(e->log_factor_permille, 330);
	ck_assert_uint_eq(e->snapshot_learners_max, 10);
	ck_assert(e->tls.check_names && e->tls.check_client_names);
}
END_TEST

START_TEST(three_servers_are_an_ensemble)
{
	const struct zoo_ensemble *e = &zoo_rig_conf.ensemble;

	zoo_file("myid", "2\n");
	zoo_taken(in_own(LIMITS THREE "weight.2=3\ngroup.1=1:2:3"));
	ck_assert(zoo_conf_distributed(&zoo_rig_conf));
	ck_assert_int_eq(e->sid, 2);
	ck_assert_uint_eq(e->members.count, 3);
	ck_assert_int_eq(e->members.version, 0);
	ck_assert_uint_eq(members_weight(&e->members, 2), 3);
	ck_assert_int_eq(zoo_rig_conf.client_port, 1);
}
END_TEST

START_TEST(a_single_participant_serves_alone_unless_told_otherwise)
{
	zoo_said("server.1=a:2888:3888", "zoo.cfg:3: server.1 is the only server: it serves alone");
	ck_assert(!zoo_conf_distributed(&zoo_rig_conf));
	zoo_refused("server.1=a:1:2\nserver.2=a:3:4:observer",
	    "zoo.cfg:4: observers need an ensemble, which one participant");
	zoo_file("myid", "1");
	zoo_said(in_own("standaloneEnabled=false\n" LIMITS "server.1=a:1:2"),
	    "zoo.cfg:7: no server may fail: an ensemble needs three voters");
	ck_assert(zoo_conf_distributed(&zoo_rig_conf));
}
END_TEST

START_TEST(faults_of_servers_are_told_where_they_stand)
{
	refused("1", LIMITS "server.1=a:1", "zoo.cfg:6: server.1=a:1: it is not HOST:");
	refused("1", LIMITS THREE "server.4=b:1:2",
	    "zoo.cfg:9: server.4: its quorum port, 1 at b, is the quorum port of server.2");
	refused("1", LIMITS THREE "group.1=1:2", "zoo.cfg:9: server.3 is in no group");
	refused("1", LIMITS "server.256=a:1:2", "zoo.cfg:6: server.256=a:1:2: a server's number");
	refused("1", LIMITS "weight.1=2", "zoo.cfg:6: there is no server.N line");
	refused("1", THREE, "zoo.cfg: initLimit is missing");
	refused("1", THREE, "zoo.cfg: syncLimit is missing");
	refused("1", LIMITS THREE "fastleader.minNotificationInterval=70000",
	    "zoo.cfg:9: fastleader.minNotificationInterval (70000 ms) is above");
	refused("1", LIMITS THREE "peerType=boss", "not one of: participant observer");
	refused("1", LIMITS THREE "snapshotSizeFactor=much", "zoo.cfg:9: snapshotSizeFactor=much");
}
END_TEST

START_TEST(all_faults_are_told_at_once)
{
	static const char bad[] = "server.1=a:1:2\nserver.2=b:1\nserver.2=c\ngroup.1=x";

	refused("x", bad, "zoo.cfg:6: server.2=c: it is not HOST:");
	refused("x", bad, "zoo.cfg:7: group.1=x: a group is");
	refused("x", bad, "/myid:1: \"x\": not a number");
	refused("x", bad, "zoo.cfg: initLimit is missing");
}
END_TEST

START_TEST(a_servers_number_must_be_one_of_them)
{
	zoo_refused(in_own(LIMITS THREE), "/myid: it is missing: it holds this server's number");
	refused("4", LIMITS THREE, "zoo.cfg:8: server.4 is missing, which this server is by");
	refused("0", LIMITS THREE, "zoo.cfg:8: server.0 is missing");
	refused("256", LIMITS THREE, "/myid:1: \"256\": not a number from 0 to 255");
	refused(" 1", LIMITS THREE, "/myid:1: \" 1\": not a number");
	refused("1 ", LIMITS THREE, "/myid:1: \"1 \": not a number");
	refused("", LIMITS THREE, "/myid:1: \"\": not a number");
	refused("1\n2\n", LIMITS THREE, "/myid:1: \"1\": not a number");
	refused("-1", LIMITS THREE, "/myid:1: \"-1\": not a number");
	zoo_file("myid", "1\r\n");
	zoo_taken(in_own(LIMITS THREE));
}
END_TEST

START_TEST(the_role_is_what_the_servers_line_says)
{
	static const char observer[] = LIMITS THREE "server.4=d:1:2:observer\n";
	char more[512];

	zoo_file("myid", "4");
	zoo_taken(in_own(observer)); /* it says nothing else */
	snprintf(more, sizeof more, "%speerType=participant", observer);
	zoo_said(in_own(more), "server.4 is an observer there, and that prevails");
	snprintf(more, sizeof more, "%speerType=observer", observer);
	zoo_taken(in_own(more));
	zoo_file("myid", "1");
	zoo_taken(in_own(observer));
	zoo_said(in_own(more), "server.1 is a participant there, and that prevails");
}
END_TEST

START_TEST(a_client_port_stands_in_either_place)
{
	static const char own[] = LIMITS THREE "server.4=d:1:2;127.0.0.1:77\nserver.5=e:1:2\n";
	char more[512];

	zoo_file("myid", "4");
	zoo_refused(in_own(own), "zoo.cfg:2: clientPort=1: server.4 has client port 77");
	snprintf(more, sizeof more, "%sclientPort=77", own);
	zoo_taken(in_own(more));
	ck_assert_str_eq(zoo_rig_conf.client_address, "127.0.0.1");
	snprintf(more, sizeof more, "%sclientPort=77\nclientPortAddress=10.0.0.1", own);
	zoo_refused(in_own(more), "clientPortAddress=10.0.0.1: server.4 has 127.0.0.1 for clients");
}
END_TEST

START_TEST(members_may_stand_in_a_file_of_their_own)
{
	const struct members *m = &zoo_rig_conf.ensemble.members;

	zoo_file("myid", "1");
	zoo_file("zoo.cfg.dynamic", "server.1=a\\:1:2;0.0.0.0:9\nserver.2=b:1:2\nserver.3=c:1:2");
	zoo_taken(with_dynamic("zoo.cfg.dynamic", "clientPort=9"));
	ck_assert_int_eq(m->version, 0);
	ck_assert_uint_eq(m->count, 3);
	ck_assert_str_eq(zoo_rig_conf.client_address, "");
	zoo_file("zoo.cfg.dynamic.10000001f", THREE);
	zoo_taken(with_dynamic("zoo.cfg.dynamic.10000001f", ""));
	ck_assert_int_eq(m->version, 0x10000001f);
	ck_assert(!zoo_rig_conf.ensemble.has_proposed);
}
END_TEST

START_TEST(faults_of_a_dynamic_file_are_told_there)
{
	zoo_file("myid", "1");
	zoo_file("d", THREE "version=3\n");
	zoo_refused(with_dynamic("d", ""), "/d:4: a dynamic file has its version in its name only");
	zoo_file("d", THREE "clientPort=3\n");
	zoo_refused(with_dynamic("d", ""), "/d:4: clientPort=3: it does not belong");
	zoo_file("d", "server.1=a:1:2\nserver.2=b:1:\n");
	zoo_refused(with_dynamic("d", ""), "/d:2: server.2=b:1:: a port is");
	zoo_file("d", THREE);
	zoo_refused(with_dynamic("d", "server.9=z:1:2"),
	    "zoo.cfg:7: server.9: it belongs into the file that dynamicConfigFile names");
	zoo_refused(with_dynamic("none", ""), "/none: ");
	zoo_file("d", "");
	zoo_refused(with_dynamic("d", ""), "/d: there is no server.N line");
}
END_TEST

START_TEST(a_proposed_configuration_is_found)
{
	zoo_file("myid", "1");
	zoo_file("d.5", THREE);
	zoo_file("zoo.cfg.dynamic.next", THREE "server.4=d:1:2:observer\nversion=a00000001");
	zoo_taken(with_dynamic("d.5", ""));
	ck_assert(zoo_rig_conf.ensemble.has_proposed);
	ck_assert_int_eq(zoo_rig_conf.ensemble.proposed.version, 0xa00000001);
	ck_assert_uint_eq(zoo_rig_conf.ensemble.proposed.count, 4);
	/* One that is in force since, or that was never meant for these members, is none. */
	zoo_file("zoo.cfg.dynamic.next", THREE "version=5");
	zoo_taken(with_dynamic("d.5", ""));
	ck_assert(!zoo_rig_conf.ensemble.has_proposed);
	zoo_file("zoo.cfg.dynamic.next", "server.1=");
	zoo_refused(with_dynamic("d.5", ""), "zoo.cfg.dynamic.next: server.1=: a host is missing");
}
END_TEST

START_TEST(tls_between_servers_needs_its_stores)
{
	zoo_file("myid", "1");
	zoo_file("k.pem", "");
	zoo_refused(in_own(LIMITS THREE "sslQuorum=true"),
	    "zoo.cfg:9: sslQuorum needs ssl.quorum.keyStore.location");
	zoo_refused(in_own(LIMITS THREE "sslQuorum=true"),
	    "zoo.cfg:9: sslQuorum needs ssl.quorum.trustStore.location");
	zoo_refused(in_own(LIMITS THREE "portUnification=true\nssl.quorum.keyStore.location=/none"),
	    "zoo.cfg:10: ssl.quorum.keyStore.location=/none: cannot be read");
	zoo_refused(in_own(LIMITS THREE "ssl.quorum.crl=true"),
	    "zoo.cfg:9: ssl.quorum.crl needs ssl.quorum.crl.location");
	/* A server alone has no use for them. */
	zoo_taken("sslQuorum=true");
	ck_assert(zoo_rig_conf.ensemble.encrypted);
}
END_TEST

START_TEST(the_port_for_observers_is_one_of_its_own)
{
	zoo_file("myid", "2");
	zoo_taken(in_own(LIMITS THREE "observerMasterPort=3"));
	zoo_refused(in_own(LIMITS THREE "observerMasterPort=1"),
	    "zoo.cfg:9: observerMasterPort is 1, which server.2 has for other servers");
	zoo_refused(in_own(LIMITS THREE "observerMasterPort=2"), "zoo.cfg:9: observerMasterPort");
}
END_TEST

START_TEST(how_much_log_is_sent_is_a_fraction_of_a_snapshot)
{
	const struct zoo_ensemble *e = &zoo_rig_conf.ensemble;

	zoo_taken("snapshotSizeFactor=0.5");
	ck_assert_uint_eq(e->log_factor_permille, 500);
	zoo_taken("snapshotSizeFactor=-1");
	ck_assert_uint_eq(e->log_factor_permille, 0);
	zoo_taken("snapshotSizeFactor=1.5");
	ck_assert_uint_eq(e->log_factor_permille, 330);
}
END_TEST

START_TEST(a_changed_list_is_told_at_a_reload)
{
	static struct zoo_conf running;

	zoo_file("myid", "1");
	zoo_taken(in_own(LIMITS THREE));
	running = zoo_rig_conf;
	zoo_taken(in_own(LIMITS THREE));
	ck_assert(members_same(&running.ensemble.members, &zoo_rig_conf.ensemble.members));
	zoo_taken(in_own(LIMITS THREE "server.4=d:1:2:observer"));
	ck_assert(!members_same(&running.ensemble.members, &zoo_rig_conf.ensemble.members));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zoo_ensemble");
	TCase *c = tcase_create("zoo_ensemble");

	tcase_add_test(c, what_is_not_set_has_apaches_defaults);
	tcase_add_test(c, three_servers_are_an_ensemble);
	tcase_add_test(c, a_single_participant_serves_alone_unless_told_otherwise);
	tcase_add_test(c, faults_of_servers_are_told_where_they_stand);
	tcase_add_test(c, all_faults_are_told_at_once);
	tcase_add_test(c, a_servers_number_must_be_one_of_them);
	tcase_add_test(c, the_role_is_what_the_servers_line_says);
	tcase_add_test(c, a_client_port_stands_in_either_place);
	tcase_add_test(c, members_may_stand_in_a_file_of_their_own);
	tcase_add_test(c, faults_of_a_dynamic_file_are_told_there);
	tcase_add_test(c, a_proposed_configuration_is_found);
	tcase_add_test(c, tls_between_servers_needs_its_stores);
	tcase_add_test(c, the_port_for_observers_is_one_of_its_own);
	tcase_add_test(c, how_much_log_is_sent_is_a_fraction_of_a_snapshot);
	tcase_add_test(c, a_changed_list_is_told_at_a_reload);
	suite_add_tcase(s, c);
	return s;
}
