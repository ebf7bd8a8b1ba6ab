/* SPDX-License-Identifier: Apache-2.0 */
/* What stores may hold, and how each fault is named. Handshakes are tests/compat's. */
#include "libcommon/io/tls_stores.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "libcommon/io/cert.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/fsutil.h"
#include "tests/lib/unit.h"

static char ca[4200], cert[4200], key[4200], both[4200], p12[4200], other[4200], why[1024];
static struct tls_stores stores;

static void
path(char to[4200], const char *name)
{
	snprintf(to, 4200, "%s/%s", unit_tmpdir(), name);
}

static void
put(const char *to, const void *bytes, size_t size)
{
	ck_assert(fsutil_write_atomic(to, bytes, size, 0600));
}

/* The files of `from` one after the other. */
static void
join(const char *to, const char *one, const char *two)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert(fsutil_read(one, 1 << 18, &b) && fsutil_read(two, 1 << 18, &b));
	put(to, b.data, b.len);
	buf_fini(&b);
}

/* key and cert as PKCS#12 with this password. */
static void
write_p12(const char *password)
{
	FILE *k = fopen(key, "r"), *c = fopen(cert, "r"), *to = fopen(p12, "w");
	EVP_PKEY *pkey = PEM_read_PrivateKey(k, NULL, NULL, NULL);
	X509 *x509 = PEM_read_X509(c, NULL, NULL, NULL);
	PKCS12 *all = PKCS12_create(password, "server", pkey, x509, NULL, 0, 0, 0, 0, 0);

	ck_assert(all != NULL && i2d_PKCS12_fp(to, all) == 1);
	PKCS12_free(all);
	X509_free(x509);
	EVP_PKEY_free(pkey);
	fclose(k);
	fclose(c);
	fclose(to);
}

static void
setup(void)
{
	const struct cert_request request = {
	    .cluster = "c", .role = TLS_ROLE_ZKSERVER, .name = "n", .days = 100};

	path(ca, "ca.pem");
	path(cert, "cert.pem");
	path(key, "key.pem");
	path(both, "both.pem");
	path(p12, "both.p12");
	path(other, "other");
	ck_assert_msg(cert_ca_create(unit_tmpdir(), "c", false, why, sizeof why), "%s", why);
	ck_assert_msg(cert_issue(unit_tmpdir(), &request, cert, key, why, sizeof why), "%s", why);
	join(both, key, cert);
	stores = (struct tls_stores){.key_store = both, .trust_store = ca, .ask = TLS_ASK_NEED};
}

static void
assert_taken(void)
{
	struct tls *t = tls_new_stores(&stores, why, sizeof why);

	ck_assert_msg(t != NULL, "%s", why);
	ck_assert_msg(tls_reload(t, why, sizeof why), "%s", why);
	tls_unref(t);
}

static void
assert_refused(const char *text)
{
	struct tls *t = tls_new_stores(&stores, why, sizeof why);

	ck_assert_msg(t == NULL, "it was taken; expected: %s", text);
	ck_assert_msg(strstr(why, text) != NULL, "%s", why);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(pem_and_pkcs12_are_told_by_their_content)
{
	assert_taken();
	write_p12("secret");
	stores.key_store = p12;
	stores.key_password = "secret";
	assert_taken();
	put(other, "secret\n", 7);
	stores.key_password = "wrong";
	stores.key_password_path = other;
	assert_taken();
}
END_TEST

START_TEST(a_wrong_password_is_named_with_the_file)
{
	write_p12("secret");
	stores.key_store = p12;
	stores.key_password = "wrong";
	assert_refused("/both.p12: cannot be read as PEM or PKCS#12 (is its password right?)");
	stores.key_password = "";
	assert_refused("/both.p12: cannot be read");
	stores.key_password_path = "/nowhere";
	assert_refused("/nowhere: the password cannot be read");
}
END_TEST

START_TEST(javas_own_kind_is_refused_with_the_command_that_converts_it)
{
	put(other, "\xfe\xed\xfe\xed\0\0\0\2", 8);
	stores.key_store = other;
	assert_refused("keytool -importkeystore -srckeystore");
	stores.key_store = both;
	stores.trust_store = other;
	assert_refused("/other.p12 -deststoretype PKCS12");
}
END_TEST

START_TEST(what_a_store_lacks_is_named)
{
	stores.key_store = cert;
	assert_refused("/cert.pem: there is no private key in it");
	stores.key_store = key;
	assert_refused("/key.pem: no certificate in it belongs to its key");
	join(other, key, ca);
	stores.key_store = other;
	assert_refused("/other: no certificate in it belongs to its key");
	stores.key_store = both;
	stores.trust_store = key;
	assert_refused("/key.pem: there is no certificate in it");
	stores.trust_store = ca;
	stores.crl = ca;
	assert_refused("/ca.pem: there is no revocation list in it");
	stores.crl = "/nowhere";
	assert_refused("/nowhere: cannot be read");
	put(other, "nonsense", 8);
	stores.crl = "";
	stores.key_store = other;
	assert_refused("/other: ");
}
END_TEST

START_TEST(without_a_trust_store_no_client_can_be_asked)
{
	stores.trust_store = "";
	assert_refused("a trust store unless");
	stores.ask = TLS_ASK_WANT;
	assert_refused("a trust store unless");
	stores.ask = TLS_ASK_NONE;
	assert_taken();
	stores.key_store = NULL;
	assert_refused("needs a key store");
}
END_TEST

START_TEST(protocols_and_suites_have_javas_names)
{
	stores.protocols = "TLSv1.2";
	assert_taken();
	stores.protocols = "TLSv1.1, TLSv1.3";
	assert_taken();
	stores.protocols = "SSLv3,TLSv1";
	assert_refused("SSLv3,TLSv1: neither TLSv1.2 nor TLSv1.3");
	stores.protocols = NULL;
	stores.suites = "TLS_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
			"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA";
	assert_taken();
	stores.suites = "TLS_ECDHE_RSA_WITH_ROT13_SHA";
	assert_refused("TLS_ECDHE_RSA_WITH_ROT13_SHA: OpenSSL knows no such suite");
	stores.suites = "TLS_ROT13_SHA256";
	assert_refused("OpenSSL takes no suite of these");
}
END_TEST

START_TEST(a_reload_that_fails_changes_nothing)
{
	struct tls *t = tls_new_stores(&stores, why, sizeof why);
	SSL *ssl;

	ck_assert_msg(t != NULL, "%s", why);
	put(both, "nonsense", 8);
	ck_assert(!tls_reload(t, why, sizeof why));
	ck_assert_ptr_nonnull(strstr(why, "/both.pem"));
	ck_assert_ptr_nonnull(ssl = tls_new_ssl(t, true));
	ck_assert_ptr_nonnull(SSL_get_certificate(ssl));
	SSL_free(ssl);
	tls_unref(t);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tls_stores");
	TCase *c = tcase_create("tls_stores");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, pem_and_pkcs12_are_told_by_their_content);
	tcase_add_test(c, a_wrong_password_is_named_with_the_file);
	tcase_add_test(c, javas_own_kind_is_refused_with_the_command_that_converts_it);
	tcase_add_test(c, what_a_store_lacks_is_named);
	tcase_add_test(c, without_a_trust_store_no_client_can_be_asked);
	tcase_add_test(c, protocols_and_suites_have_javas_names);
	tcase_add_test(c, a_reload_that_fails_changes_nothing);
	suite_add_tcase(s, c);
	return s;
}
