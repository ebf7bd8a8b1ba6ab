/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/address.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "tests/lib/unit.h"

static const struct {
	const char *address, *host, *port; /* host NULL: refused */
} cases[] = {
    {"example.org:80", "example.org", "80"},
    {"10.0.0.1:0", "10.0.0.1", "0"},
    {"[::1]:65535", "::1", "65535"},
    {":80", "", "80"},
    {"*:80", "*", "80"},
    {"example.org", NULL, NULL},
    {"example.org:", NULL, NULL},
    {"example.org:65536", NULL, NULL},
    {"example.org:-1", NULL, NULL},
    {"example.org:+1", NULL, NULL},
    {"example.org:80x", NULL, NULL},
    {"::1:80", NULL, NULL},
    {"[::1:80", NULL, NULL},
    {"[:80", NULL, NULL},
    {"", NULL, NULL},
};

START_TEST(host_and_port_come_apart_or_the_address_is_refused)
{
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];

	ck_assert_int_eq(address_split(cases[_i].address, host, port), cases[_i].host != NULL);
	if (cases[_i].host != NULL) {
		ck_assert_str_eq(host, cases[_i].host);
		ck_assert_str_eq(port, cases[_i].port);
	}
}
END_TEST

START_TEST(a_host_that_does_not_fit_is_refused)
{
	char address[ADDRESS_HOST_SIZE + 8];
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];

	memset(address, 'a', sizeof address);
	memcpy(address + ADDRESS_HOST_SIZE - 1, ":80", 4);
	ck_assert(address_split(address, host, port));
	memcpy(address + ADDRESS_HOST_SIZE - 1, "a:80", 5);
	ck_assert(!address_split(address, host, port));
}
END_TEST

START_TEST(a_path_that_does_not_fit_a_unix_socket_is_refused)
{
	struct sockaddr_un un;
	char path[sizeof un.sun_path + 1];

	memset(path, '/', sizeof path);
	path[sizeof un.sun_path - 1] = '\0';
	ck_assert(address_is_unix(path));
	ck_assert(address_unix(path, &un));
	path[sizeof un.sun_path - 1] = '/';
	path[sizeof un.sun_path] = '\0';
	ck_assert(!address_unix(path, &un));
}
END_TEST

START_TEST(what_the_kernel_gives_becomes_text)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[ADDRESS_TEXT_SIZE];

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6.sin6_addr = in6addr_loopback;
	address_text(text, (const struct sockaddr *)&in, sizeof in);
	ck_assert_str_eq(text, "127.0.0.1:80");
	address_text(text, (const struct sockaddr *)&in6, sizeof in6);
	ck_assert_str_eq(text, "[::1]:80");
	address_text(text, (const struct sockaddr *)&un, sizeof un);
	ck_assert_str_eq(text, "unix");
}
END_TEST

START_TEST(host_and_port_are_joined_as_they_come_apart)
{
	char text[ADDRESS_TEXT_SIZE];

	address_join(text, sizeof text, "127.0.0.1", 80);
	ck_assert_str_eq(text, "127.0.0.1:80");
	address_join(text, sizeof text, "::1", 65535);
	ck_assert_str_eq(text, "[::1]:65535");
	address_join(text, sizeof text, "", 80);
	ck_assert_str_eq(text, ":80");
	address_join(text, 9, "127.0.0.1", 80);
	ck_assert_str_eq(text, "127.0.0.");
}
END_TEST

START_TEST(all_of_127_is_loopback_and_names_are_not_looked_up)
{
	static const char *const here[] = {
	    "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.5", "localhost"};
	static const char *const elsewhere[] = {"0.0.0.0", "10.0.0.127", "128.0.0.1",
	    "::", "fe80::1", "::ffff:10.0.0.1", "127.example.com", "", "127"};

	for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
		ck_assert_msg(address_is_loopback(here[i]), "%s", here[i]);
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
		ck_assert_msg(!address_is_loopback(elsewhere[i]), "%s", elsewhere[i]);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("address");
	TCase *t = tcase_create("address");

	tcase_add_test(t, host_and_port_are_joined_as_they_come_apart);
	tcase_add_loop_test(t, host_and_port_come_apart_or_the_address_is_refused, 0,
	    sizeof cases / sizeof cases[0]);
	tcase_add_test(t, a_host_that_does_not_fit_is_refused);
	tcase_add_test(t, a_path_that_does_not_fit_a_unix_socket_is_refused);
	tcase_add_test(t, what_the_kernel_gives_becomes_text);
	tcase_add_test(t, all_of_127_is_loopback_and_names_are_not_looked_up);
	suite_add_tcase(s, t);
	return s;
}
