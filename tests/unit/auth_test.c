/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/auth.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/sys/fsutil.h"
#include "tests/lib/unit.h"

static struct zoo_conf conf;
static struct auth *auth;
static char why[512];

static void
setup(void)
{
	zoo_conf_default(&conf, "/d");
}

static void
teardown(void)
{
	auth_close(auth);
	auth = NULL;
}

static bool
open_it(void)
{
	auth_close(auth);
	auth = auth_open(&conf, why, sizeof why);
	return auth != NULL;
}

static void
set(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

static void
write_file(char path[ZOO_PATH_MAX], const char *text, mode_t mode)
{
	snprintf(path, ZOO_PATH_MAX, "%s/file", unit_tmpdir());
	ck_assert(fsutil_write_atomic(path, text, strlen(text), mode));
}

static void
assert_digest(const char *text, const char *id)
{
	char got[AUTH_ID_MAX];

	ck_assert(auth_digest_id(auth, (const uint8_t *)text, strlen(text), got));
	ck_assert_str_eq(got, id);
}

START_TEST(a_digest_id_is_what_apaches_tools_print)
{
	char id[AUTH_ID_MAX];

	ck_assert_msg(open_it(), "%s", why);
	assert_digest("super:pw", "super:0bX78nEegDzJM3ju0iLBEJdWzjg=");
	assert_digest("a:b:c", "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0=");
	assert_digest("nocolon", "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g=");
	ck_assert(!auth_digest_id(auth, (const uint8_t *)"a\0b", 3, id));
	snprintf(conf.auth.digest_alg, sizeof conf.auth.digest_alg, "SHA-256");
	ck_assert_msg(open_it(), "%s", why);
	assert_digest("super:pw", "super:pf/5UZ3hSEMCyPTZIhYMus2k1Qkz5Sa5cbISAOTsYlo=");
	snprintf(conf.auth.digest_alg, sizeof conf.auth.digest_alg, "SHA-7");
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "digestAlg=SHA-7: OpenSSL has no such hash"));
}
END_TEST

START_TEST(a_scheme_that_is_switched_off_knows_nobody)
{
	char id[AUTH_ID_MAX];

	conf.auth.digest = false;
	ck_assert_msg(open_it(), "%s", why);
	ck_assert(!auth_digest_id(auth, (const uint8_t *)"a:b", 3, id));
	ck_assert(auth_policy(auth).no_digest && auth_policy(auth).no_x509);
	conf.auth.x509 = true;
	ck_assert(!auth_policy(auth).no_x509);
}
END_TEST

START_TEST(super_users_are_exactly_those_that_are_named)
{
	ck_assert_msg(open_it(), "%s", why);
	ck_assert(!auth_digest_is_super(auth, "") && !auth_x509_is_super(auth, ""));
	ck_assert(!auth_sasl_is_super(auth, ""));
	set(conf.auth.super_digest, "super:x");
	set(conf.auth.x509_super, "CN=root,O=c");
	set(conf.auth.super_users, "ann\nbob\n");
	ck_assert(auth_digest_is_super(auth, "super:x"));
	ck_assert(!auth_digest_is_super(auth, "super:y") && !auth_digest_is_super(auth, "super:"));
	ck_assert(auth_x509_is_super(auth, "CN=root,O=c") && !auth_x509_is_super(auth, "CN=root"));
	ck_assert(auth_sasl_is_super(auth, "ann") && auth_sasl_is_super(auth, "bob"));
	ck_assert(!auth_sasl_is_super(auth, "an") && !auth_sasl_is_super(auth, "ann\nbob"));
}
END_TEST

static bool
ours(const char *name)
{
	return auth_ensemble_is_ours(auth, (const uint8_t *)name, strlen(name));
}

START_TEST(the_name_of_another_ensemble_is_known)
{
	ck_assert_msg(open_it(), "%s", why);
	ck_assert(ours("any") && ours(""));
	set(conf.auth.ensemble_names, "one,two");
	ck_assert(ours("one") && ours("two") && ours(""));
	ck_assert(!ours("on") && !ours("one,two") && !ours("three"));
}
END_TEST

START_TEST(users_come_from_a_jaas_section)
{
	write_file(conf.auth.jaas_file,
	    "Server { org.apache.zookeeper.server.auth.DigestLoginModule required\n"
	    "user_super=\"a\" user_bob=\"b\" user_bob=\"c\" debug=true; };",
	    0600);
	set(conf.auth.super_password, "s");
	ck_assert_msg(open_it(), "%s", why);
	ck_assert_uint_eq(auth_sasl(auth)->user_count, 2);
	ck_assert_str_eq(auth_sasl(auth)->users[0].password, "s");
	ck_assert_str_eq(auth_sasl(auth)->users[1].password, "c");
	ck_assert(auth_policy(auth).sasl);
	set(conf.auth.jaas_section, "Other");
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "/file: it has no section Other"));
}
END_TEST

START_TEST(kerberos_is_refused_by_its_name_and_place)
{
	write_file(conf.auth.jaas_file,
	    "Server {\n com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true; };",
	    0600);
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "/file:2: Kerberos (GSSAPI) is not supported"));
}
END_TEST

START_TEST(users_come_from_a_plain_file_and_can_be_read_again)
{
	write_file(conf.auth.users_file, "# users\nann:a:b\r\n\nbob:\n", 0600);
	ck_assert_msg(open_it(), "%s", why);
	ck_assert_uint_eq(auth_sasl(auth)->user_count, 2);
	ck_assert_str_eq(auth_sasl(auth)->users[0].name, "ann");
	ck_assert_str_eq(auth_sasl(auth)->users[0].password, "a:b");
	ck_assert_str_eq(auth_sasl(auth)->users[1].password, "");
	write_file(conf.auth.users_file, "ann:x\nbob\n", 0600);
	ck_assert(!auth_reload(auth, why, sizeof why));
	ck_assert_ptr_nonnull(strstr(why, "/file:2: not NAME:PASSWORD"));
	ck_assert_str_eq(auth_sasl(auth)->users[0].password, "a:b");
	write_file(conf.auth.users_file, "", 0600);
	ck_assert(auth_reload(auth, why, sizeof why));
	ck_assert_ptr_null(auth_sasl(auth));
}
END_TEST

START_TEST(a_session_key_makes_passwords_that_nobody_can_compute)
{
	uint8_t one[SESSION_PASSWORD_BYTES], two[SESSION_PASSWORD_BYTES];

	ck_assert_msg(open_it(), "%s", why);
	ck_assert(!auth_has_session_key(auth));
	write_file(conf.auth.session_key_file, "0123456789abcdef0123456789abcdef", 0600);
	ck_assert_msg(open_it(), "%s", why);
	ck_assert(auth_has_session_key(auth));
	ck_assert(auth_session_password(auth, 0x0100001234560000, one));
	/* printf '\1\0\0\x12\x34\x56\0\0' | openssl dgst -sha256 -hmac 0123456789abcdef0123... */
	ck_assert_mem_eq(
	    one, "\xf6\x6e\x1f\xc2\x95\x6f\xcd\x46\x9a\x5d\x12\x7e\x99\x2e\x2f\xae", sizeof one);
	write_file(conf.auth.session_key_file, "0123456789abcdef0123456789abcdeg", 0600);
	ck_assert_msg(open_it(), "%s", why);
	ck_assert(auth_session_password(auth, 0x0100001234560000, two));
	ck_assert_mem_ne(one, two, sizeof one);
}
END_TEST

START_TEST(a_session_key_that_others_can_read_or_guess_is_refused)
{
	write_file(conf.auth.session_key_file, "0123456789abcdef0123456789abcdef", 0644);
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "it is open to others"));
	write_file(conf.auth.session_key_file, "short", 0600);
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "shorter than 32 bytes"));
	set(conf.auth.session_key_file, "/nowhere");
	ck_assert(!open_it());
	ck_assert_ptr_nonnull(strstr(why, "sessionKeyFile=/nowhere: cannot be read"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("auth");
	TCase *c = tcase_create("auth");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_digest_id_is_what_apaches_tools_print);
	tcase_add_test(c, a_scheme_that_is_switched_off_knows_nobody);
	tcase_add_test(c, super_users_are_exactly_those_that_are_named);
	tcase_add_test(c, the_name_of_another_ensemble_is_known);
	tcase_add_test(c, users_come_from_a_jaas_section);
	tcase_add_test(c, kerberos_is_refused_by_its_name_and_place);
	tcase_add_test(c, users_come_from_a_plain_file_and_can_be_read_again);
	tcase_add_test(c, a_session_key_makes_passwords_that_nobody_can_compute);
	tcase_add_test(c, a_session_key_that_others_can_read_or_guess_is_refused);
	suite_add_tcase(s, c);
	return s;
}
