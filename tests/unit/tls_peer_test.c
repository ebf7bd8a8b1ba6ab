/* SPDX-License-Identifier: Apache-2.0 */
/* What a certificate's names make of its holder; anything but one exact identity is none. */
#include <string.h>

#include <openssl/x509v3.h>

#include "libcommon/io/tls_ssl.h"
#include "tests/lib/unit.h"

static X509 *
make_cert(const char *san)
{
	X509 *cert = X509_new();
	X509_EXTENSION *extension;
	X509_NAME *name;

	ck_assert_ptr_nonnull(cert);
	name = X509_get_subject_name(cert);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(
			     name, "O", MBSTRING_ASC, (const unsigned char *)"blue", -1, -1, 0),
	    1);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(
			     name, "CN", MBSTRING_ASC, (const unsigned char *)"a,b", -1, -1, 0),
	    1);
	if (san[0] != '\0') {
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
		ck_assert_ptr_nonnull(extension);
		ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
		X509_EXTENSION_free(extension);
	}
	return cert;
}

static const struct {
	const char *san;
	enum tls_role role;
	const char *cluster, *name;
} cases[] = {
    {"", TLS_ROLE_NONE, "", ""},
    {"DNS:example.org", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master/m1", TLS_ROLE_MASTER, "blue", "m1"},
    {"DNS:m1,URI:https://x/,URI:corral://blue/user/alice,IP:127.0.0.1", TLS_ROLE_USER, "blue",
	"alice"},
    {"URI:corral://blue/master/m1,URI:corral://blue/agent/a1", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master/m1,URI:corral://blue/nothing", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/Master/m1", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/masters/m1", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master/", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master/m1/", TLS_ROLE_NONE, "", ""},
    {"URI:corral://blue/master/m1/x", TLS_ROLE_NONE, "", ""},
    {"URI:corral:///master/m1", TLS_ROLE_NONE, "", ""},
    {"URI:corral://", TLS_ROLE_NONE, "", ""},
    {"URI:Corral://blue/master/m1", TLS_ROLE_NONE, "", ""},
    {"DNS:corral://blue/master/m1", TLS_ROLE_NONE, "", ""},
};

START_TEST(only_one_exact_uri_makes_an_identity)
{
	X509 *cert = make_cert(cases[_i].san);
	struct tls_peer peer;

	tls_peer_of_cert(cert, &peer);
	ck_assert_int_eq(peer.role, cases[_i].role);
	ck_assert_str_eq(peer.cluster, cases[_i].cluster);
	ck_assert_str_eq(peer.name, cases[_i].name);
	ck_assert_str_eq(peer.subject, "CN=a\\,b,O=blue");
	X509_free(cert);
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_no_identity)
{
	char san[2 * TLS_NAME_MAX] = "URI:corral://blue/user/";
	size_t prefix = strlen(san);
	struct tls_peer peer;
	X509 *cert;

	memset(san + prefix, 'x', TLS_NAME_MAX - 1);
	cert = make_cert(san);
	tls_peer_of_cert(cert, &peer);
	ck_assert_int_eq(peer.role, TLS_ROLE_USER);
	ck_assert_uint_eq(strlen(peer.name), TLS_NAME_MAX - 1);
	X509_free(cert);
	san[prefix + TLS_NAME_MAX - 1] = 'x';
	cert = make_cert(san);
	tls_peer_of_cert(cert, &peer);
	ck_assert_int_eq(peer.role, TLS_ROLE_NONE);
	X509_free(cert);
}
END_TEST

START_TEST(an_identity_with_a_nul_in_it_is_none)
{
	static const char uri[] = "corral://blue/user/root\0.example";
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	struct tls_peer peer;
	X509 *cert = make_cert("");

	ck_assert_int_eq(ASN1_STRING_set(text, uri, sizeof uri - 1), 1);
	GENERAL_NAME_set0_value(name, GEN_URI, text);
	ck_assert_int_gt(sk_GENERAL_NAME_push(names, name), 0);
	ck_assert_int_eq(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	tls_peer_of_cert(cert, &peer);
	ck_assert_int_eq(peer.role, TLS_ROLE_NONE);
	GENERAL_NAMES_free(names);
	X509_free(cert);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tls_peer");
	TCase *t = tcase_create("tls_peer");

	tcase_add_loop_test(
	    t, only_one_exact_uri_makes_an_identity, 0, sizeof cases / sizeof cases[0]);
	tcase_add_test(t, a_name_that_does_not_fit_is_no_identity);
	tcase_add_test(t, an_identity_with_a_nul_in_it_is_none);
	suite_add_tcase(s, t);
	return s;
}
