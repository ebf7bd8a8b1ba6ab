/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/lib/unit.h"
#include "zkserver/peers.h"

static const struct hash_key KEY = {5, 6};
static struct peers p;

static void
setup(void)
{
	peers_init(&p, &KEY);
}

static void
teardown(void)
{
	peers_fini(&p);
}

START_TEST(an_address_has_so_many_connections_and_gets_them_back)
{
	ck_assert_int_eq(peers_add(&p, "10.0.0.1", 2), PEERS_OK);
	ck_assert_int_eq(peers_add(&p, "10.0.0.1", 2), PEERS_OK);
	ck_assert_int_eq(peers_add(&p, "10.0.0.1", 2), PEERS_ADDRESS_FULL);
	ck_assert_int_eq(peers_add(&p, "10.0.0.2", 2), PEERS_OK);
	peers_drop(&p, "10.0.0.1");
	ck_assert_int_eq(peers_add(&p, "10.0.0.1", 2), PEERS_OK);
	for (int i = 0; i < 2; i++)
		peers_drop(&p, "10.0.0.1");
	peers_drop(&p, "10.0.0.2");
	ck_assert_uint_eq(p.map.count, 0);
	peers_drop(&p, "10.0.0.2"); /* of whom nothing is known */
}
END_TEST

START_TEST(without_a_limit_everybody_is_counted_only)
{
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(peers_add(&p, "2001:db8::1", 0), PEERS_OK);
	for (int i = 0; i < 1000; i++)
		peers_drop(&p, "2001:db8::1");
	ck_assert_uint_eq(p.map.count, 0);
}
END_TEST

START_TEST(addresses_of_one_network_share_what_it_has)
{
	char ip[64];

	for (int i = 1; i <= PEERS_NETWORK_SHARE + 1; i++) {
		snprintf(ip, sizeof ip, "2001:db8:0:1::%x", i);
		ck_assert_int_eq(
		    peers_add(&p, ip, 1), i <= PEERS_NETWORK_SHARE ? PEERS_OK : PEERS_NETWORK_FULL);
	}
	ck_assert_int_eq(peers_add(&p, "2001:db8:0:2::1", 1), PEERS_OK);
	ck_assert_int_eq(peers_add(&p, "fe80::1%eth0", 1), PEERS_OK);
	ck_assert_int_eq(peers_add(&p, "10.0.0.1", 1), PEERS_OK);
	peers_drop(&p, "2001:db8:0:1::1");
	ck_assert_int_eq(peers_add(&p, "2001:db8:0:1:ffff::1", 1), PEERS_OK);
	ck_assert_int_eq(peers_add(&p, "2001:db8:0:1:ffff::2", 1), PEERS_NETWORK_FULL);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("peers");
	TCase *c = tcase_create("peers");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, an_address_has_so_many_connections_and_gets_them_back);
	tcase_add_test(c, without_a_limit_everybody_is_counted_only);
	tcase_add_test(c, addresses_of_one_network_share_what_it_has);
	suite_add_tcase(s, c);
	return s;
}
