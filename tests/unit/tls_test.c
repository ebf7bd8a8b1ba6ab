/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets through a handshake and who does not, over real sockets. */
#include "libcommon/io/tls.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/net.h"
#include "tests/lib/unit.h"

static struct tls *server_tls, *client_tls;

static void
setup(void)
{
	net_setup();
	net_make_ca("blue");
	server_tls = net_make_tls("blue", "blue", TLS_ROLE_MASTER, "m1", 100);
}

static void
teardown(void)
{
	net_teardown();
	tls_unref(server_tls);
	tls_unref(client_tls);
}

/* The server is told why; a client of TLS 1.3 may have thought for a moment that it was up. */
static void
expect_server_refuses(const char *why)
{
	net_listen(server_tls, &net_limits);
	net_connect(client_tls, &net_limits);
	net_wait(&net_server.downs, 1);
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_server.ups, 0);
	ck_assert_msg(strstr(net_server.why, why) != NULL, "%s", net_server.why);
}

static void
expect_client_refuses(const char *why)
{
	net_listen(server_tls, &net_limits);
	net_connect(client_tls, &net_limits);
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_client.ups, 0);
	ck_assert_msg(strstr(net_client.why, why) != NULL, "%s", net_client.why);
}

START_TEST(each_side_learns_role_name_and_subject_of_the_other)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
	ck_assert_int_eq(link_peer(net_server.link)->role, TLS_ROLE_AGENT);
	ck_assert_str_eq(link_peer(net_server.link)->name, "a1");
	ck_assert_str_eq(link_peer(net_server.link)->cluster, "blue");
	ck_assert_str_eq(link_peer(net_server.link)->subject, "CN=agent,O=blue");
	ck_assert_int_eq(link_peer(net_client.link)->role, TLS_ROLE_MASTER);
	ck_assert(link_send(net_client.link, "hello", 5));
	net_wait(&net_server.frames, 1);
	ck_assert_str_eq(net_server.last, "hello");
	ck_assert(link_send(net_server.link, "good day", 8));
	net_wait(&net_client.frames, 1);
	ck_assert_str_eq(net_client.last, "good day");
}
END_TEST

START_TEST(a_client_of_another_ca_is_refused)
{
	net_make_ca("green");
	client_tls = net_make_tls("green", "blue", TLS_ROLE_AGENT, "a1", 100);
	expect_server_refuses("the peer's certificate (CN=agent,O=green) was refused: ");
	ck_assert(net_client.turned_away);
	ck_assert_msg(strstr(net_client.why, "TLS handshake failed: the peer refused our "
					     "certificate (alert: unknown CA)") != NULL,
	    "%s", net_client.why);
}
END_TEST

START_TEST(who_is_left_behind_the_handshake_without_a_word_is_told_why_that_may_be)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
	link_abort(net_server.link);
	net_server.link = NULL;
	net_wait(&net_client.downs, 1);
	ck_assert_str_eq(net_client.why,
	    "closed by the peer behind the TLS handshake, without a word: it may have refused our "
	    "certificate; its log says why");
}
END_TEST

START_TEST(a_server_of_another_ca_is_refused)
{
	net_make_ca("green");
	client_tls = net_make_tls("blue", "green", TLS_ROLE_AGENT, "a1", 100);
	expect_client_refuses("the peer's certificate (CN=master,O=blue) was refused: ");
}
END_TEST

START_TEST(a_client_whose_certificate_has_expired_is_refused)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", -1);
	expect_server_refuses("expired");
}
END_TEST

START_TEST(a_server_whose_certificate_has_expired_is_refused)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	tls_unref(server_tls);
	server_tls = net_make_tls("blue", "blue", TLS_ROLE_MASTER, "m2", -1);
	expect_client_refuses("expired");
}
END_TEST

static struct tls *
tls_without_certificate(void)
{
	char ca[PATH_MAX], error[256];
	struct tls_files files = {ca, NULL, NULL};
	struct tls *tls;

	snprintf(ca, sizeof ca, "%s/blue/ca.pem", unit_tmpdir());
	tls = tls_new(&files, false, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	return tls;
}

START_TEST(a_client_without_a_certificate_is_refused)
{
	client_tls = tls_without_certificate();
	expect_server_refuses("peer did not return a certificate");
}
END_TEST

START_TEST(a_certificate_that_is_not_for_the_name_asked_for_is_refused)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	net_listen(server_tls, &net_limits);
	net_client.link = link_connect(net_loop, net_address, client_tls, "master.example.org",
	    &net_limits, &net_ops, &net_client);
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_client.ups, 0);
	ck_assert_msg(strstr(net_client.why, "hostname mismatch") != NULL, "%s", net_client.why);
}
END_TEST

START_TEST(a_plain_client_at_a_tls_port_is_refused)
{
	net_listen(server_tls, &net_limits);
	net_connect(NULL, &net_limits);
	net_wait(&net_client.ups, 1);
	ck_assert(link_send(net_client.link, "hello", 5));
	net_wait(&net_server.downs, 1);
	ck_assert_int_eq(net_server.ups, 0);
}
END_TEST

static bool
files_fit(void)
{
	char error[256];

	return tls_reload(server_tls, error, sizeof error);
}

START_TEST(after_a_reload_new_links_see_the_new_certificate_and_old_links_go_on)
{
	struct link *old_client, *old_server;

	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
	old_client = net_client.link;
	old_server = net_server.link;
	net_issue("blue", TLS_ROLE_OPERATOR, "m1", 100);
	ck_assert(files_fit());
	net_connect(client_tls, &net_limits);
	net_wait(&net_client.ups, 2);
	net_wait(&net_server.ups, 2);
	ck_assert_int_eq(link_peer(net_client.link)->role, TLS_ROLE_OPERATOR);
	ck_assert(link_send(old_client, "still here", 10));
	net_wait(&net_server.frames, 1);
	ck_assert_str_eq(net_server.last, "still here");
	link_abort(old_client);
	link_abort(old_server);
}
END_TEST

START_TEST(a_reload_of_files_that_do_not_fit_changes_nothing)
{
	char path[PATH_MAX], error[256];

	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	snprintf(path, sizeof path, "%s/m1.pem", unit_tmpdir());
	ck_assert(cert_write_file(path, "rubbish", 0644, error, sizeof error));
	ck_assert(!files_fit());
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
}
END_TEST

static const uint8_t right_key[TLS_PSK_BYTES] = {1, 2, 3, 4};
static const uint8_t wrong_key[TLS_PSK_BYTES] = {4, 3, 2, 1};

static bool
find_key(void *arg, const char *identity, uint8_t key[TLS_PSK_BYTES])
{
	(void)arg;
	if (strcmp(identity, "attempt-1") != 0)
		return false;
	memcpy(key, right_key, TLS_PSK_BYTES);
	return true;
}

static void
use_psk(const char *identity, const uint8_t *key)
{
	tls_unref(server_tls);
	server_tls = tls_new_psk_server(find_key, NULL);
	client_tls = tls_new_psk_client(identity, key);
	ck_assert(server_tls != NULL && client_tls != NULL);
}

START_TEST(a_preshared_key_opens_a_link_and_names_its_holder)
{
	use_psk("attempt-1", right_key);
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
	ck_assert_str_eq(link_peer(net_server.link)->psk_identity, "attempt-1");
	ck_assert_int_eq(link_peer(net_server.link)->role, TLS_ROLE_NONE);
	ck_assert(link_send(net_server.link, "hello", 5));
	net_wait(&net_client.frames, 1);
	link_abort(net_client.link);
	net_client.link = NULL;
	net_wait(&net_server.downs, 1);
	ck_assert_str_eq(net_server.why, "closed by the peer");
}
END_TEST

START_TEST(a_wrong_preshared_key_is_refused)
{
	use_psk("attempt-1", wrong_key);
	expect_server_refuses("TLS handshake failed");
	ck_assert_int_eq(net_client.ups, 0);
}
END_TEST

START_TEST(an_unknown_preshared_identity_is_refused)
{
	use_psk("attempt-2", right_key);
	expect_server_refuses("TLS handshake failed");
	ck_assert_int_eq(net_client.ups, 0);
}
END_TEST

START_TEST(a_client_with_a_preshared_key_refuses_a_server_with_a_certificate)
{
	client_tls = tls_new_psk_client("attempt-1", right_key);
	expect_client_refuses("TLS handshake failed");
}
END_TEST

START_TEST(a_client_with_a_certificate_is_refused_where_a_preshared_key_is_asked_for)
{
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	tls_unref(server_tls);
	server_tls = tls_new_psk_server(find_key, NULL);
	expect_server_refuses("TLS handshake failed");
}
END_TEST

/* Send frames of 100,000 bytes until no more is taken; returns how many. */
static int
fill(struct link *l)
{
	static const char zeros[100000];
	int sent = 0;

	while (link_send(l, zeros, sizeof zeros))
		sent++;
	return sent;
}

START_TEST(large_frames_and_full_queues_pass_a_reader_that_pauses)
{
	int sent, batches = 0;

	client_tls = net_make_tls("blue", "blue", TLS_ROLE_AGENT, "a1", 100);
	net_listen(server_tls, &net_limits);
	net_connect_up(client_tls, &net_limits);
	link_pause(net_server.link, true);
	sent = fill(net_client.link);
	ck_assert_int_eq(sent, (4 << 20) / 100004);
	link_pause(net_server.link, false);
	while (batches < 5) {
		net_wait(&net_client.writables, ++batches);
		sent += fill(net_client.link);
	}
	link_close(net_client.link);
	net_client.link = NULL;
	net_wait(&net_server.downs, 1);
	ck_assert_str_eq(net_server.why, "closed by the peer");
	ck_assert_int_eq(net_server.frames, sent);
	ck_assert_uint_eq(net_server.last_size, 100000);
}
END_TEST

START_TEST(role_names_and_roles_are_each_others_inverse)
{
	for (int role = TLS_ROLE_ZKSERVER; role <= TLS_ROLE_FRAMEWORK; role++)
		ck_assert_int_eq(tls_role_parse(tls_role_name((enum tls_role)role)), role);
	ck_assert_ptr_null(tls_role_name(TLS_ROLE_NONE));
	ck_assert_int_eq(tls_role_parse("Master"), TLS_ROLE_NONE);
	ck_assert_int_eq(tls_role_parse(""), TLS_ROLE_NONE);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tls");
	TCase *t = tcase_create("tls");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_side_learns_role_name_and_subject_of_the_other);
	tcase_add_test(t, a_client_of_another_ca_is_refused);
	tcase_add_test(t, a_server_of_another_ca_is_refused);
	tcase_add_test(t, who_is_left_behind_the_handshake_without_a_word_is_told_why_that_may_be);
	tcase_add_test(t, a_client_whose_certificate_has_expired_is_refused);
	tcase_add_test(t, a_server_whose_certificate_has_expired_is_refused);
	tcase_add_test(t, a_client_without_a_certificate_is_refused);
	tcase_add_test(t, a_certificate_that_is_not_for_the_name_asked_for_is_refused);
	tcase_add_test(t, a_plain_client_at_a_tls_port_is_refused);
	tcase_add_test(t, after_a_reload_new_links_see_the_new_certificate_and_old_links_go_on);
	tcase_add_test(t, a_reload_of_files_that_do_not_fit_changes_nothing);
	tcase_add_test(t, a_preshared_key_opens_a_link_and_names_its_holder);
	tcase_add_test(t, a_wrong_preshared_key_is_refused);
	tcase_add_test(t, an_unknown_preshared_identity_is_refused);
	tcase_add_test(t, a_client_with_a_preshared_key_refuses_a_server_with_a_certificate);
	tcase_add_test(
	    t, a_client_with_a_certificate_is_refused_where_a_preshared_key_is_asked_for);
	/* How the last frame and the end of the connection are read is never the same twice. */
	tcase_add_loop_test(t, large_frames_and_full_queues_pass_a_reader_that_pauses, 0, 10);
	tcase_add_test(t, role_names_and_roles_are_each_others_inverse);
	suite_add_tcase(s, t);
	return s;
}
