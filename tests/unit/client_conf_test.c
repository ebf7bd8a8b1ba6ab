/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static struct corral_conf conf;
static struct faults faults;

static void
write_conf(const char *dir, const char *master)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "%s/corral.conf", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "[client]\nmaster=%s\n[tls]\nca=/x/ca.pem\n", master);
	fclose(f);
}

/* A directory below the test's own. */
static const char *
directory(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	ck_assert(mkdir(path, 0700) == 0 || access(path, W_OK) == 0);
	return path;
}

static void
setup(void)
{
	static const char *const variables[] = {"CORRAL_MASTER", "CORRAL_CONFIG_DIR",
	    "CORRAL_TLS_CA", "CORRAL_TLS_CERT", "CORRAL_TLS_KEY", "XDG_CONFIG_HOME", "TMPDIR"};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	setenv("HOME", unit_tmpdir(), 1);
	setenv("XDG_RUNTIME_DIR", unit_tmpdir(), 1);
	faults_init(&faults);
}

static void
teardown(void)
{
	corral_conf_fini(&conf);
	faults_fini(&faults);
}

static const char *
load(const struct client_options *options)
{
	corral_conf_fini(&conf);
	ck_assert_msg(client_conf_load(&conf, options, &faults), "%s", faults_text(&faults));
	ck_assert_uint_eq(conf.client.master.count, 1);
	return conf.client.master.items[0];
}

START_TEST(options_win_over_the_environment_and_that_over_files)
{
	write_conf(directory("named"), "file:1");
	setenv("CORRAL_CONFIG_DIR", directory("named"), 1);
	ck_assert_str_eq(load(&(struct client_options){0}), "file:1");
	setenv("CORRAL_MASTER", "environment:2", 1);
	ck_assert_str_eq(load(&(struct client_options){0}), "environment:2");
	ck_assert_str_eq(load(&(struct client_options){.master = "option:3"}), "option:3");
}
END_TEST

START_TEST(client_keys_default_to_those_of_tls)
{
	write_conf(directory("named"), "file:1");
	setenv("CORRAL_CONFIG_DIR", directory("named"), 1);
	load(&(struct client_options){0});
	ck_assert_str_eq(conf.client.ca, "/x/ca.pem");
	setenv("CORRAL_TLS_CA", "/y/ca.pem", 1);
	load(&(struct client_options){0});
	ck_assert_str_eq(conf.client.ca, "/y/ca.pem");
}
END_TEST

START_TEST(a_dev_cluster_is_found_when_nothing_else_is_configured)
{
	char dir[PATH_MAX];

	ck_assert(client_conf_dev_dir(dir));
	ck_assert_str_eq(strrchr(dir, '/'), "/corral-dev");
	write_conf(directory("corral-dev"), "dev:9");
	ck_assert_str_eq(load(&(struct client_options){0}), "dev:9");
}
END_TEST

START_TEST(a_dev_directory_that_others_may_write_to_is_not_believed)
{
	write_conf(directory("corral-dev"), "dev:9");
	ck_assert_int_eq(chmod(directory("corral-dev"), 0770), 0);
	ck_assert_str_eq(load(&(struct client_options){0}), "127.0.0.1:5050");
}
END_TEST

START_TEST(the_users_own_file_hides_a_dev_cluster)
{
	write_conf(directory("corral-dev"), "dev:9");
	directory(".config");
	write_conf(directory(".config/corral"), "mine:4");
	ck_assert_str_eq(load(&(struct client_options){0}), "mine:4");
}
END_TEST

START_TEST(a_named_file_that_is_missing_is_a_fault_that_names_it)
{
	ck_assert(!client_conf_load(
	    &conf, &(struct client_options){.config = "/nowhere/corral.conf"}, &faults));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "/nowhere/corral.conf"));
}
END_TEST

START_TEST(a_bad_address_is_a_fault_that_names_its_option)
{
	ck_assert(
	    !client_conf_load(&conf, &(struct client_options){.master = "nonsense"}, &faults));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "--master"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("client_conf");
	TCase *tc = tcase_create("client_conf");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, options_win_over_the_environment_and_that_over_files);
	tcase_add_test(tc, client_keys_default_to_those_of_tls);
	tcase_add_test(tc, a_dev_cluster_is_found_when_nothing_else_is_configured);
	tcase_add_test(tc, a_dev_directory_that_others_may_write_to_is_not_believed);
	tcase_add_test(tc, the_users_own_file_hides_a_dev_cluster);
	tcase_add_test(tc, a_named_file_that_is_missing_is_a_fault_that_names_it);
	tcase_add_test(tc, a_bad_address_is_a_fault_that_names_its_option);
	suite_add_tcase(s, tc);
	return s;
}
