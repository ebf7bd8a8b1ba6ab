/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/corral_conf.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/sys/fsutil.h"
#include "tests/lib/unit.h"

static struct corral_conf conf;
static struct faults faults;
static char path[256];

static void
write_file(const char *name, const char *text)
{
	char full[512];

	snprintf(full, sizeof full, "%s/%s", unit_tmpdir(), name);
	ck_assert(fsutil_write_atomic(full, text, strlen(text), 0644));
}

static bool
load(const char *text)
{
	write_file("c.conf", text);
	snprintf(path, sizeof path, "%s/c.conf", unit_tmpdir());
	corral_conf_fini(&conf);
	faults_fini(&faults);
	faults_init(&faults);
	return corral_conf_load(&conf, path, &faults);
}

START_TEST(an_empty_file_gives_the_defaults)
{
	ck_assert_msg(load(""), "%s", faults_text(&faults));
	ck_assert_str_eq(conf.master.listen, "127.0.0.1:5050");
	ck_assert_str_eq(conf.master.agent_listen, "127.0.0.1:5060");
	ck_assert_uint_eq(conf.master.lease_ms, 15000);
	ck_assert_uint_eq(conf.master.heartbeat_ms, 3000); /* a fifth */
	ck_assert_uint_eq(conf.master.clock_drift_permille, 10);
	ck_assert_uint_eq(conf.master.unreachable_after_ms, 30000);
	ck_assert_uint_eq(conf.cluster.ensemble.count, 1);
	ck_assert(conf.cluster.ensemble_tls);
	ck_assert_ptr_null(conf.client.ca);
	ck_assert_uint_eq(conf.agent.cpu_milli, 0);
}
END_TEST

START_TEST(values_of_every_type_are_read)
{
	ck_assert_msg(
	    load("[cluster]\nname=prod\nensemble=a:2181, b:2181 [::1]:2181\nensemble_tls=no\n"
		 "[agent]\ncpus=1.5\nmemory=2G\nname=\nattributes=arch=x86_64,rack=r1\n"
		 "[master]\nlease=1min 5s\nunreachable_after=infinity\n"),
	    "%s", faults_text(&faults));
	ck_assert_str_eq(conf.cluster.name, "prod");
	ck_assert_uint_eq(conf.cluster.ensemble.count, 3);
	ck_assert_str_eq(conf.cluster.ensemble.items[2], "[::1]:2181");
	ck_assert(!conf.cluster.ensemble_tls);
	ck_assert_uint_eq(conf.agent.cpu_milli, 1500);
	ck_assert_uint_eq(conf.agent.memory_bytes, UINT64_C(2) << 30);
	ck_assert_ptr_null(conf.agent.name);
	ck_assert_str_eq(conf.agent.attributes.items[1], "rack=r1");
	ck_assert_uint_eq(conf.master.lease_ms, 65000);
}
END_TEST

START_TEST(every_fault_names_its_line_and_the_nearest_key)
{
	ck_assert(
	    !load("[master]\nlisten=nowhere\nlese=5s\nlease=soon\n[agnet]\nx=1\n[tls]\nca=rel.pem\n"
		  "[cluster]\nname=-x\nensemble=a:1,b\nensemble_tls=maybe\n"
		  "[agent]\ncpus=-1\nmemory=lots\nzzz=1\n"));
	for (const char *const *want = (const char *const
		     []){"c.conf:2: [master] listen=nowhere: expected HOST:PORT (corral.conf(5))",
		 "c.conf:3: [master] lese=5s: unknown key, did you mean lease= ? (corral.conf(5))",
		 "c.conf:4: [master] lease=soon: expected a time, as 15s, 5min, 1h 30s "
		 "(corral.conf(5))",
		 "c.conf:6: [agnet]: unknown section, did you mean [agent] ? (corral.conf(5))",
		 "c.conf:8: [tls] ca=rel.pem: expected an absolute path (corral.conf(5))",
		 "c.conf:10: [cluster] name=-x: expected a name",
		 "c.conf:11: [cluster] ensemble=a:1,b: expected HOST:PORT (corral.conf(5))",
		 "c.conf:12: [cluster] ensemble_tls=maybe: expected yes or no (corral.conf(5))",
		 "c.conf:14: [agent] cpus=-1: expected cpus, as 2, 0.5, 0.125 (corral.conf(5))",
		 "c.conf:15: [agent] memory=lots: expected a size, as 512M, 1.5G (corral.conf(5))",
		 "c.conf:16: [agent] zzz=1: unknown key (corral.conf(5))", NULL};
	     *want != NULL; want++)
		ck_assert_msg(strstr(faults_text(&faults), *want) != NULL, "%s\nnot in\n%s", *want,
		    faults_text(&faults));
	ck_assert_uint_eq(faults.count, 11);
}
END_TEST

START_TEST(settings_that_contradict_each_other_are_refused)
{
	ck_assert(!load("[master]\nlease=8s\nheartbeat=5s\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "heartbeat="));
	ck_assert(!load("[master]\nlease=1s\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "lease="));
	ck_assert(!load("[master]\nclock_drift_permille=334\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "clock_drift_permille="));
	ck_assert(!load("[master]\nunreachable_after=10s\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "unreachable_after="));
	ck_assert(!load("[cluster]\nensemble=\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "names no server"));
}
END_TEST

START_TEST(a_daemon_has_the_hosts_certificate_unless_it_has_its_own)
{
	ck_assert_msg(load("[tls]\ncert=/h.pem\nkey=/h.key\n[agent]\ncert=/a.pem\nkey=/a.key\n"),
	    "%s", faults_text(&faults));
	ck_assert_str_eq(conf.master.cert, "/h.pem");
	ck_assert_str_eq(conf.master.key, "/h.key");
	ck_assert_str_eq(conf.agent.cert, "/a.pem");
	ck_assert_str_eq(conf.agent.key, "/a.key");
	ck_assert(!load("[master]\ncert=/m.pem\n"));
	ck_assert_ptr_nonnull(
	    strstr(faults_text(&faults), "[master] cert= and key= go together: key= is missing"));
}
END_TEST

START_TEST(a_list_has_as_many_pairs_as_a_line_has_room_for)
{
	enum { BYTES = sizeof "a=b," - 1 };
	char text[INI_LINE_BYTES_MAX + 32];
	size_t head = (size_t)snprintf(text, sizeof text, "[master]\n"), used = head;

	used += (size_t)snprintf(text + used, sizeof text - used, "role_access=");
	while (used + BYTES <= head + INI_LINE_BYTES_MAX)
		used += (size_t)snprintf(text + used, sizeof text - used, "a=b,");
	ck_assert_msg(load(text), "%s", faults_text(&faults));
	ck_assert_uint_eq(
	    conf.master.role_access.count, (INI_LINE_BYTES_MAX - strlen("role_access=")) / BYTES);
}
END_TEST

START_TEST(an_attribute_is_name_and_value)
{
	ck_assert(!load("[agent]\nattributes=rack=r1,arch\n"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "'arch' is not NAME=VALUE"));
}
END_TEST

START_TEST(the_directory_is_read_in_the_order_of_names_after_the_file)
{
	char dir[512];

	snprintf(dir, sizeof dir, "%s/c.conf.d", unit_tmpdir());
	ck_assert(fsutil_mkdirs(dir, 0755));
	write_file("c.conf.d/20-b.conf", "[cluster]\nname=second\n");
	write_file("c.conf.d/10-a.conf", "[cluster]\nname=first\nensemble=z:1\n");
	write_file("c.conf.d/30-c.conf.off", "[cluster]\nname=third\n");
	ck_assert_msg(
	    load("[cluster]\nname=zeroth\nensemble=a:1,b:2\n"), "%s", faults_text(&faults));
	ck_assert_str_eq(conf.cluster.name, "second");
	ck_assert_uint_eq(conf.cluster.ensemble.count, 1);
	write_file("c.conf.d/20-b.conf", "[cluster]\nnaem=second\n");
	ck_assert(!load(""));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults),
	    "c.conf.d/20-b.conf:2: [cluster] naem=second: unknown key, did you mean name= ?"));
}
END_TEST

START_TEST(a_missing_file_is_a_fault_only_where_it_was_named)
{
	faults_init(&faults);
	ck_assert(!corral_conf_load(&conf, "/nonexistent/c.conf", &faults));
	ck_assert_str_eq(
	    faults_text(&faults), "/nonexistent/c.conf: cannot read it: No such file or directory");
	corral_conf_fini(&conf);
	ck_assert(conf_load(&corral_conf_table, &conf, "/nonexistent/c.conf", true, &faults));
}
END_TEST

START_TEST(what_is_printed_loads_again_to_the_same)
{
	struct buf first, second;

	buf_init(&first, 1 << 16);
	buf_init(&second, 1 << 16);
	ck_assert(
	    load("[cluster]\nensemble=a:1,b:2\n[master]\nlease=90s\nunreachable_after=infinity\n"
		 "[agent]\ncpus=0.125\nmemory=1500M\n"));
	conf_print(&corral_conf_table, &conf, true, &first);
	ck_assert_msg(load(buf_text(&first)), "%s", faults_text(&faults));
	ck_assert_uint_eq(conf.agent.memory_bytes, UINT64_C(1500) << 20);
	ck_assert_uint_eq(conf.agent.cpu_milli, 125);
	ck_assert_uint_eq(conf.cluster.ensemble.count, 2);
	conf_print(&corral_conf_table, &conf, true, &second);
	ck_assert_str_eq(buf_text(&first), buf_text(&second));
	buf_fini(&first);
	buf_fini(&second);
}
END_TEST

START_TEST(an_option_sets_a_key_and_its_fault_names_the_option)
{
	ck_assert(load(""));
	ck_assert(conf_set(
	    &corral_conf_table, &conf, "client", "master", "m1:5050,m2:5050", "--master", &faults));
	ck_assert_uint_eq(conf.client.master.count, 2);
	ck_assert(
	    !conf_set(&corral_conf_table, &conf, "client", "master", "m1", "--master", &faults));
	ck_assert_str_eq(faults_text(&faults),
	    "--master: [client] master=m1: expected HOST:PORT (corral.conf(5))");
}
END_TEST

/* A line of the sample that shows a key: "#key=value", without a blank behind the sign. */
static bool
shows_key(const char *line)
{
	return line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' && strchr(line, '=') != NULL;
}

START_TEST(the_sample_file_loads_and_shows_every_key_with_its_default)
{
	struct buf text, uncommented, printed, defaults;
	size_t shown = 0;
	char *line, *rest;
	const char *paths;

	buf_init(&text, 1 << 16);
	buf_init(&uncommented, 1 << 16);
	buf_init(&printed, 1 << 16);
	buf_init(&defaults, 1 << 16);
	ck_assert(fsutil_read(SAMPLE_CONF, 1 << 16, &text));
	ck_assert_msg(load(buf_text(&text)), "%s", faults_text(&faults));
	conf_print(&corral_conf_table, &conf, false, &defaults);
	for (line = (char *)text.data; line != NULL && *line != '\0'; line = rest) {
		if ((rest = strchr(line, '\n')) != NULL)
			*rest++ = '\0';
		shown += shows_key(line);
		buf_printf(&uncommented, "%s\n", line + shows_key(line));
	}
	ck_assert_uint_eq(shown, corral_conf_table.count);
	ck_assert_msg(load(buf_text(&uncommented)), "%s", faults_text(&faults));
	conf_print(&corral_conf_table, &conf, false, &printed);
	/* Paths depend on the prefix: compared up to the first of them. */
	paths = strstr(buf_text(&defaults), "ca=");
	ck_assert_mem_eq(printed.data, defaults.data, (size_t)(paths - (char *)defaults.data));
	buf_fini(&text);
	buf_fini(&uncommented);
	buf_fini(&printed);
	buf_fini(&defaults);
}
END_TEST

static void
release(void)
{
	corral_conf_fini(&conf);
	faults_fini(&faults);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");

	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, an_empty_file_gives_the_defaults);
	tcase_add_test(t, values_of_every_type_are_read);
	tcase_add_test(t, every_fault_names_its_line_and_the_nearest_key);
	tcase_add_test(t, settings_that_contradict_each_other_are_refused);
	tcase_add_test(t, a_daemon_has_the_hosts_certificate_unless_it_has_its_own);
	tcase_add_test(t, a_list_has_as_many_pairs_as_a_line_has_room_for);
	tcase_add_test(t, an_attribute_is_name_and_value);
	tcase_add_test(t, the_directory_is_read_in_the_order_of_names_after_the_file);
	tcase_add_test(t, a_missing_file_is_a_fault_only_where_it_was_named);
	tcase_add_test(t, what_is_printed_loads_again_to_the_same);
	tcase_add_test(t, an_option_sets_a_key_and_its_fault_names_the_option);
	tcase_add_test(t, the_sample_file_loads_and_shows_every_key_with_its_default);
	suite_add_tcase(s, t);
	return s;
}
