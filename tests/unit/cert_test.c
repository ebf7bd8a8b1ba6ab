/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/cert.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static char error[256];
static char ca[PATH_MAX], ca_pem[PATH_MAX], ca_key[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
static const struct cert_ca ca_files = {ca_pem, ca_key};

static const struct cert_request agent = {
    .role = TLS_ROLE_AGENT,
    .name = "node-7",
    .dns = (const char *const[]){"node-7.example.org", "localhost"},
    .dns_count = 2,
    .ips = (const char *const[]){"127.0.0.1", "2001:db8::1"},
    .ip_count = 2,
    .days = 365,
};

static void
setup(void)
{
	snprintf(ca, sizeof ca, "%s/tls", unit_tmpdir());
	snprintf(ca_pem, sizeof ca_pem, "%s/tls/ca.pem", unit_tmpdir());
	snprintf(ca_key, sizeof ca_key, "%s/tls/ca-key.pem", unit_tmpdir());
	snprintf(cert, sizeof cert, "%s/agent.pem", unit_tmpdir());
	snprintf(key, sizeof key, "%s/agent-key.pem", unit_tmpdir());
	ck_assert_msg(cert_ca_create(ca, "blue", false, error, sizeof error), "%s", error);
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
read_info(const char *path, struct cert_info *info)
{
	ck_assert_msg(cert_read_info(path, info, error, sizeof error), "%s", error);
}

START_TEST(an_issued_certificate_names_its_holder_and_its_subject_and_fits_its_key)
{
	struct tls_files files = {ca_pem, cert, key};
	struct cert_info info;
	struct tls *tls;

	ck_assert_msg(cert_issue(ca, &agent, cert, key, error, sizeof error), "%s", error);
	read_info(cert, &info);
	ck_assert_int_eq(info.holder.role, TLS_ROLE_AGENT);
	ck_assert_str_eq(info.holder.cluster, "blue");
	ck_assert_str_eq(info.holder.name, "node-7");
	ck_assert_str_eq(info.holder.subject, "CN=agent,O=blue");
	ck_assert_int_gt(info.not_after_s, (int64_t)time(NULL) + 364 * 86400);
	ck_assert_int_lt(info.not_before_s, (int64_t)time(NULL));
	ck_assert_uint_eq(strlen(info.fingerprint), 64);
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	tls_unref(tls);
}
END_TEST

START_TEST(keys_are_closed_to_others_and_certificates_are_not)
{
	ck_assert_msg(cert_issue(ca, &agent, cert, key, error, sizeof error), "%s", error);
	ck_assert_uint_eq(mode_of(key), 0600);
	ck_assert_uint_eq(mode_of(cert), 0644);
	ck_assert_uint_eq(mode_of(ca_key), 0600);
	ck_assert_uint_eq(mode_of(ca_pem), 0644);
}
END_TEST

START_TEST(an_existing_ca_is_replaced_only_if_told)
{
	struct cert_info before, after;

	read_info(ca_pem, &before);
	ck_assert_int_eq(before.holder.role, TLS_ROLE_NONE);
	ck_assert_str_eq(before.holder.subject, "CN=ca,O=blue");
	ck_assert(!cert_ca_create(ca, "green", false, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "there is a CA already"));
	read_info(ca_pem, &after);
	ck_assert_str_eq(before.fingerprint, after.fingerprint);
	ck_assert(cert_ca_create(ca, "green", true, error, sizeof error));
	read_info(ca_pem, &after);
	ck_assert_str_ne(before.fingerprint, after.fingerprint);
}
END_TEST

START_TEST(a_request_with_a_bad_role_name_address_or_cluster_is_refused)
{
	struct cert_request r = agent;

	r.role = TLS_ROLE_NONE;
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	r = agent;
	r.name = "a/b";
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	r.name = "";
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	r = agent;
	r.ips = (const char *const[]){"127.0.0.1", "300.1.1.1"};
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "300.1.1.1"));
	r = agent;
	r.dns = (const char *const[]){"good", "bad name"};
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	r = agent;
	r.cluster = "green";
	ck_assert(!cert_issue(ca, &r, cert, key, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "blue"));
	ck_assert_int_ne(access(cert, F_OK), 0);
	ck_assert_int_ne(access(key, F_OK), 0);
}
END_TEST

START_TEST(a_signing_request_is_answered_with_a_certificate_for_its_key)
{
	struct tls_files files = {ca_pem, cert, key};
	char *request, *pem;
	struct cert_info info;
	struct tls *tls;

	ck_assert_msg(cert_key_create(key, &request, error, sizeof error), "%s", error);
	ck_assert_uint_eq(mode_of(key), 0600);
	ck_assert_msg(
	    cert_sign(&ca_files, &agent, request, &pem, error, sizeof error), "%s", error);
	ck_assert_msg(cert_write_file(cert, pem, 0644, error, sizeof error), "%s", error);
	read_info(cert, &info);
	ck_assert_str_eq(info.holder.name, "node-7");
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	tls_unref(tls);
	free(request);
	free(pem);
}
END_TEST

START_TEST(a_signing_request_that_was_tampered_with_is_refused)
{
	char *request, *pem, *middle;

	ck_assert_msg(cert_key_create(key, &request, error, sizeof error), "%s", error);
	middle = request + strlen(request) / 2;
	*middle = *middle == 'A' ? 'B' : 'A';
	ck_assert(!cert_sign(&ca_files, &agent, request, &pem, error, sizeof error));
	ck_assert_ptr_null(pem);
	ck_assert(!cert_sign(&ca_files, &agent, "hello", &pem, error, sizeof error));
	free(request);
}
END_TEST

static char *
text_of(const char *path)
{
	static char text[8192];
	FILE *f = fopen(path, "r");
	size_t size;

	ck_assert_ptr_nonnull(f);
	size = fread(text, 1, sizeof text - 1, f);
	text[size] = '\0';
	fclose(f);
	return text;
}

START_TEST(a_renewed_certificate_has_the_names_of_the_old_one_and_another_key)
{
	char old[8192], new_key[PATH_MAX + 8], *request, *pem;
	struct tls_files files = {ca_pem, cert, new_key};
	struct cert_info info, before;
	struct tls *tls;

	snprintf(new_key, sizeof new_key, "%s.new", key);
	ck_assert_msg(cert_issue(ca, &agent, cert, key, error, sizeof error), "%s", error);
	snprintf(old, sizeof old, "%s", text_of(cert));
	read_info(cert, &before);
	ck_assert_msg(cert_key_create(new_key, &request, error, sizeof error), "%s", error);
	ck_assert_msg(
	    cert_renew(&ca_files, old, &before.holder, 90, request, &pem, error, sizeof error),
	    "%s", error);
	ck_assert(cert_write_file(cert, pem, 0644, error, sizeof error));
	read_info(cert, &info);
	ck_assert_str_eq(info.holder.name, "node-7");
	ck_assert_int_eq(info.holder.role, TLS_ROLE_AGENT);
	ck_assert_str_ne(info.fingerprint, before.fingerprint);
	ck_assert_int_lt(info.not_after_s, before.not_after_s);
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	tls_unref(tls);
	free(pem);
	free(request);
}
END_TEST

START_TEST(only_the_holders_own_certificate_of_this_ca_is_renewed)
{
	char other[PATH_MAX], other_cert[PATH_MAX], old[8192], *request, *pem;
	struct tls_peer holder = {.role = TLS_ROLE_AGENT, .cluster = "blue", .name = "node-7"};

	ck_assert(cert_issue(ca, &agent, cert, key, error, sizeof error));
	snprintf(old, sizeof old, "%s", text_of(cert));
	ck_assert(cert_key_create(key, &request, error, sizeof error));
	ck_assert(cert_renew(&ca_files, old, &holder, 90, request, &pem, error, sizeof error));
	free(pem);
	memcpy(holder.name, "node-8", 7);
	ck_assert(!cert_renew(&ca_files, old, &holder, 90, request, &pem, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "node-8"));
	memcpy(holder.name, "node-7", 7);
	holder.role = TLS_ROLE_MASTER;
	ck_assert(!cert_renew(&ca_files, old, &holder, 90, request, &pem, error, sizeof error));
	holder.role = TLS_ROLE_AGENT;
	ck_assert(!cert_renew(&ca_files, "none", &holder, 90, request, &pem, error, sizeof error));
	/* Of the same holder, by a CA of the same name. */
	snprintf(other, sizeof other, "%s/other", unit_tmpdir());
	snprintf(other_cert, sizeof other_cert, "%s/other.pem", unit_tmpdir());
	ck_assert(cert_ca_create(other, "blue", false, error, sizeof error));
	ck_assert(cert_issue(other, &agent, other_cert, key, error, sizeof error));
	ck_assert(!cert_renew(
	    &ca_files, text_of(other_cert), &holder, 90, request, &pem, error, sizeof error));
	ck_assert_ptr_null(pem);
	free(request);
}
END_TEST

START_TEST(a_certificate_ends_no_later_than_its_ca)
{
	struct cert_request r = agent;
	struct cert_info ca_info, info;

	r.days = 20000;
	ck_assert_msg(cert_issue(ca, &r, cert, key, error, sizeof error), "%s", error);
	read_info(cert, &info);
	read_info(ca_pem, &ca_info);
	ck_assert_int_eq(info.not_after_s, ca_info.not_after_s);
}
END_TEST

START_TEST(a_key_that_others_can_read_is_refused)
{
	const struct tls_files files = {ca_pem, cert, key};
	struct tls *tls;

	ck_assert(cert_issue(ca, &agent, cert, key, error, sizeof error));
	ck_assert_int_eq(chmod(key, 0644), 0);
	ck_assert_ptr_null(tls_new(&files, true, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "open to others (mode 0644): chmod 600 /"));
	ck_assert_int_eq(chmod(key, 0620), 0);
	ck_assert_ptr_null(tls_new(&files, true, error, sizeof error));
	/* A group may read what is root's. */
	ck_assert_int_eq(chmod(key, 0640), 0);
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_int_eq(tls != NULL, geteuid() == 0);
	tls_unref(tls);
	ck_assert_int_eq(chmod(key, 0400), 0);
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_ptr_nonnull(tls);
	tls_unref(tls);
}
END_TEST

START_TEST(files_that_are_missing_or_do_not_belong_together_are_named)
{
	char other_cert[PATH_MAX + 8], other_key[PATH_MAX + 8];
	struct tls_files files = {ca_pem, cert, other_key};

	snprintf(other_cert, sizeof other_cert, "%s.other", cert);
	snprintf(other_key, sizeof other_key, "%s.other", key);
	ck_assert(cert_issue(ca, &agent, cert, key, error, sizeof error));
	ck_assert_ptr_null(tls_new(&files, true, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, other_key));
	ck_assert_ptr_nonnull(strstr(error, "No such file"));
	ck_assert(cert_issue(ca, &agent, other_cert, other_key, error, sizeof error));
	ck_assert_ptr_null(tls_new(&files, true, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "does not belong"));
	ck_assert(cert_write_file(cert, "no certificate\n", 0644, error, sizeof error));
	ck_assert_ptr_null(tls_new(&files, true, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, cert));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("cert");
	TCase *t = tcase_create("cert");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, an_issued_certificate_names_its_holder_and_its_subject_and_fits_its_key);
	tcase_add_test(t, keys_are_closed_to_others_and_certificates_are_not);
	tcase_add_test(t, an_existing_ca_is_replaced_only_if_told);
	tcase_add_test(t, a_request_with_a_bad_role_name_address_or_cluster_is_refused);
	tcase_add_test(t, a_signing_request_is_answered_with_a_certificate_for_its_key);
	tcase_add_test(t, a_signing_request_that_was_tampered_with_is_refused);
	tcase_add_test(t, a_renewed_certificate_has_the_names_of_the_old_one_and_another_key);
	tcase_add_test(t, only_the_holders_own_certificate_of_this_ca_is_renewed);
	tcase_add_test(t, a_certificate_ends_no_later_than_its_ca);
	tcase_add_test(t, a_key_that_others_can_read_is_refused);
	tcase_add_test(t, files_that_are_missing_or_do_not_belong_together_are_named);
	suite_add_tcase(s, t);
	return s;
}
