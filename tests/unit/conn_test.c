/* SPDX-License-Identifier: Apache-2.0 */
/* What a master reads from its agents, and of what registration it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/core/conn.h"
#include "tests/lib/cluster_rig.h"

static struct elect e;
static struct conn k;
static struct conn_news news;
static int here, there; /* connections, for what tells them apart */

static void
setup(void)
{
	rig_setup();
	e = (struct elect){.state = ELECT_LEADING, .timeout_ms = 10000, .renewed_ms = f->now_ms};
	conn_init(&k, &here);
	snprintf(k.name, sizeof k.name, "n1");
}

static void
teardown(void)
{
	conn_fini(&k, &f->cluster, true, f->now_ms);
	rig_teardown();
}

static enum conn_then
take(struct conn *conn, bool loaded, Corral__AgentToMaster *m)
{
	return conn_take(conn, &f->cluster, &e, loaded, f->now_ms, m, &news);
}

static enum conn_then
take_register(struct conn *conn, bool loaded, const char *name)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Register *r = malloc(sizeof *r);
	enum conn_then then;

	corral__register__init(r);
	r->node = strdup(name);
	r->boot_id = strdup("boot");
	r->capacity = malloc(sizeof *r->capacity);
	corral__resources__init(r->capacity);
	r->capacity->has_cpu_milli = r->capacity->has_memory_bytes = true;
	r->capacity->cpu_milli = 1000;
	r->capacity->memory_bytes = 1024 * MIB;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_REGISTER;
	m.register_ = r;
	then = take(conn, loaded, &m);
	if (m.body_case != CORRAL__AGENT_TO_MASTER__BODY__NOT_SET)
		corral__register__free_unpacked(r, NULL);
	return then;
}

static enum conn_then
take_heartbeat(struct conn *conn, uint64_t registration)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Heartbeat h = CORRAL__HEARTBEAT__INIT;

	m.has_registration = true;
	m.registration = registration;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT;
	m.heartbeat = &h;
	return take(conn, true, &m);
}

START_TEST(who_does_not_lead_or_no_longer_may_reads_nothing)
{
	f->now_ms += 4999;
	ck_assert_int_eq(take_register(&k, true, "n1"), CONN_REGISTERED);
	f->now_ms++;
	ck_assert_int_eq(take_heartbeat(&k, k.registration), CONN_END);
	e.renewed_ms = f->now_ms;
	e.state = ELECT_STANDBY;
	ck_assert_int_eq(take_heartbeat(&k, k.registration), CONN_END);
}
END_TEST

START_TEST(what_comes_before_a_registration_or_is_of_another_one_is_no_news)
{
	ck_assert_int_eq(take_heartbeat(&k, 0), CONN_NOTHING);
	ck_assert_int_eq(take_register(&k, true, "n1"), CONN_REGISTERED);
	ck_assert_int_eq(take_heartbeat(&k, k.registration + 1), CONN_NOTHING);
	ck_assert_int_eq(take_heartbeat(&k, k.registration), CONN_HEARD);
}
END_TEST

START_TEST(a_node_has_the_name_that_its_certificate_has)
{
	ck_assert_int_eq(take_register(&k, true, "n2"), CONN_REFUSED);
	ck_assert_ptr_nonnull(strstr(news.why, "not that of its certificate"));
	ck_assert_ptr_null(cluster_agent(&f->cluster, "n2"));
}
END_TEST

START_TEST(a_registration_waits_until_the_store_is_read)
{
	ck_assert_int_eq(take_register(&k, false, "n1"), CONN_NOTHING);
	ck_assert_int_eq(take_register(&k, false, "n1"), CONN_NOTHING); /* the newest one */
	ck_assert_ptr_null(cluster_agent(&f->cluster, "n1"));
	ck_assert_int_eq(conn_loaded(&k, &f->cluster, f->now_ms, &news), CONN_REGISTERED);
	ck_assert_ptr_nonnull(cluster_agent(&f->cluster, "n1"));
	ck_assert_int_eq(conn_loaded(&k, &f->cluster, f->now_ms, &news), CONN_NOTHING);
}
END_TEST

START_TEST(the_newest_connection_discards_an_older_one_whose_end_is_no_news)
{
	struct conn other;

	ck_assert_int_eq(take_register(&k, true, "n1"), CONN_REGISTERED);
	ck_assert_ptr_null(news.again);
	conn_init(&other, &there);
	snprintf(other.name, sizeof other.name, "n1");
	ck_assert_int_eq(take_register(&other, true, "n1"), CONN_REGISTERED);
	ck_assert_ptr_eq(news.old, &here);
	ck_assert_ptr_eq(news.again, other.agent);
	ck_assert_int_eq(take_heartbeat(&k, k.registration), CONN_HEARD); /* not yet discarded */
	ck_assert(!conn_is_newest(&k, true));
	conn_forsake(&k);
	conn_fini(&k, &f->cluster, true, f->now_ms);
	ck_assert(other.agent->connected);
	/* It registers once more on the same connection: there is none to discard. */
	ck_assert_int_eq(take_register(&other, true, "n1"), CONN_REGISTERED);
	ck_assert_ptr_null(news.old);
	ck_assert_ptr_eq(news.again, other.agent);
	ck_assert(conn_is_newest(&other, true));
	conn_fini(&other, &f->cluster, true, f->now_ms);
	ck_assert(!cluster_agent(&f->cluster, "n1")->connected);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("conn");
	TCase *t = tcase_create("conn");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_does_not_lead_or_no_longer_may_reads_nothing);
	tcase_add_test(t, what_comes_before_a_registration_or_is_of_another_one_is_no_news);
	tcase_add_test(t, a_node_has_the_name_that_its_certificate_has);
	tcase_add_test(t, a_registration_waits_until_the_store_is_read);
	tcase_add_test(t, the_newest_connection_discards_an_older_one_whose_end_is_no_news);
	suite_add_tcase(s, t);
	return s;
}
