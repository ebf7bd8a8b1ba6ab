/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

static struct ini ini;
static struct faults faults;

static bool
parse(enum ini_grammar grammar, const char *text)
{
	ini_fini(&ini);
	faults_fini(&faults);
	faults_init(&faults);
	return ini_parse_text(&ini, grammar, "f", text, strlen(text), &faults);
}

static void
entry_is(size_t i, const char *section, const char *name, const char *value, unsigned line)
{
	ck_assert_uint_lt(i, ini.count);
	ck_assert_str_eq(ini.entries[i].section, section);
	ck_assert_str_eq(ini.entries[i].name, name);
	ck_assert_str_eq(ini.entries[i].value, value);
	ck_assert_uint_eq(ini.entries[i].line, line);
}

START_TEST(values_come_out_whole)
{
	ck_assert(
	    parse(INI_SYSTEMD, "[Task]\nExecStart=/bin/sh -c 'sleep 1 ; echo x' # no comment\n"
			       "A = b : c = d\t \r\nEmpty=\nURL=http://h:1/;x\n"));
	ck_assert_uint_eq(ini.count, 4);
	entry_is(0, "Task", "ExecStart", "/bin/sh -c 'sleep 1 ; echo x' # no comment", 2);
	entry_is(1, "Task", "A", "b : c = d", 3);
	entry_is(2, "Task", "Empty", "", 4);
	entry_is(3, "Task", "URL", "http://h:1/;x", 5);
}
END_TEST

START_TEST(a_backslash_joins_lines_with_a_blank_and_skips_comments_between)
{
	ck_assert(parse(INI_SYSTEMD,
	    "[a]\nk=one\\\n  two\\\n# not this\n; nor this\n\tthree\nl=x\\\\\nm=end\\"));
	entry_is(0, "a", "k", "one two three", 2);
	entry_is(1, "a", "l", "x\\\\", 7);
	entry_is(2, "a", "m", "end", 8);
}
END_TEST

START_TEST(repeated_keys_and_sections_are_entries_of_their_own)
{
	ck_assert(parse(INI_SYSTEMD, "\xef\xbb\xbfk=0\n[a]\nk=1\nk=2\n[b]\n\n[a]\n  k=3\n"));
	ck_assert_uint_eq(ini.count, 4);
	entry_is(0, "", "k", "0", 1);
	entry_is(1, "a", "k", "1", 3);
	entry_is(2, "a", "k", "2", 4);
	entry_is(3, "a", "k", "3", 8);
}
END_TEST

START_TEST(a_line_of_64_kib_is_whole_and_a_longer_one_a_fault)
{
	size_t size = INI_LINE_BYTES_MAX;
	char *text = malloc(size + 16);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', size);
	memcpy(text, "k=", 2);
	memcpy(text + size, "\nl=1\n", 6);
	ck_assert(parse(INI_SYSTEMD, text));
	ck_assert_uint_eq(strlen(ini.entries[0].value), size - 2);
	entry_is(1, "", "l", "1", 2);
	ck_assert(parse(INI_PROPERTIES, text));
	ck_assert_uint_eq(strlen(ini.entries[0].value), size - 2);

	memcpy(text + size, "xx\nl=1\n", 8);
	ck_assert(!parse(INI_SYSTEMD, text));
	ck_assert_str_eq(faults_text(&faults), "f:1: a line longer than 65536 bytes");
	entry_is(0, "", "l", "1", 2);
	ck_assert(!parse(INI_PROPERTIES, text));
	ck_assert_str_eq(faults_text(&faults), "f:1: a line longer than 65536 bytes");
	free(text);
}
END_TEST

START_TEST(every_fault_is_said_with_its_line)
{
	ck_assert(!parse(INI_SYSTEMD, "[a\nno equals\n=1\nb d=2\n[]\n[x y]\nk=\xff\nok=1\n"));
	ck_assert_str_eq(faults_text(&faults),
	    "f:1: expected [SECTION], alone on its line\n"
	    "f:2: expected KEY=VALUE or [SECTION], found \"no equals\"\n"
	    "f:3: \"\": not a key (letters, digits, . _ -)\n"
	    "f:4: \"b d\": not a key (letters, digits, . _ -)\n"
	    "f:5: []: not a section's name (letters, digits, . _ -)\n"
	    "f:6: [x y]: not a section's name (letters, digits, . _ -)\n"
	    "f:7: the line is not UTF-8");
	ck_assert_uint_eq(faults.count, 7);
	ck_assert_uint_eq(faults.first_line, 1);
	entry_is(0, "", "ok", "1", 8);
}
END_TEST

START_TEST(text_with_a_nul_or_too_much_of_it_is_refused)
{
	static char big[INI_TEXT_BYTES_MAX + 1];

	ini_fini(&ini);
	faults_init(&faults);
	ck_assert(!ini_parse_text(&ini, INI_SYSTEMD, "f", "a=1\nb=\0\n", 8, &faults));
	ck_assert_str_eq(faults_text(&faults), "f:2: a NUL byte: this is not a text file");
	ini_fini(&ini);
	memset(big, '\n', sizeof big);
	ck_assert(!ini_parse_text(&ini, INI_SYSTEMD, "f", big, sizeof big, &faults));
	ck_assert_uint_eq(faults.count, 2);
	ck_assert(parse(INI_SYSTEMD, ""));
	ck_assert_uint_eq(ini.count, 0);
}
END_TEST

START_TEST(names_at_their_bounds_reach_inih_whole)
{
	char text[INI_NAME_BYTES_MAX + INI_SECTION_BYTES_MAX + 32];
	char section[INI_SECTION_BYTES_MAX + 1], name[INI_NAME_BYTES_MAX + 1];

	memset(section, 's', sizeof section - 1);
	section[sizeof section - 1] = '\0';
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(text, sizeof text, "[%s]\n%s=v", section, name);
	ck_assert(parse(INI_SYSTEMD, text));
	entry_is(0, section, name, "v", 2);
	snprintf(text, sizeof text, "[%sx]\n%sx=v", section, name);
	ck_assert(!parse(INI_SYSTEMD, text));
	ck_assert_uint_eq(faults.count, 2);
}
END_TEST

START_TEST(properties_separate_by_equals_colon_or_blank)
{
	ck_assert(parse(INI_PROPERTIES,
	    "a=1\nb:2\nc 3\nd = 4 \n e\t:\t5\nf\ng==6\nh=:7\n! no\n  # no\ni\\ j\\=k=8\n=9"));
	ck_assert_uint_eq(ini.count, 10);
	entry_is(0, "", "a", "1", 1);
	entry_is(1, "", "b", "2", 2);
	entry_is(2, "", "c", "3", 3);
	entry_is(3, "", "d", "4 ", 4);
	entry_is(4, "", "e", "5", 5);
	entry_is(5, "", "f", "", 6);
	entry_is(6, "", "g", "=6", 7);
	entry_is(7, "", "h", ":7", 8);
	entry_is(8, "", "i j=k", "8", 11);
	entry_is(9, "", "", "9", 12);
}
END_TEST

START_TEST(properties_escape_continue_and_the_last_one_wins)
{
	ck_assert(parse(INI_PROPERTIES, "dir=C:\\\\x\\ty\\q\nk=one\\\n   "
					"two\\\r\n\\\n\nk2=\\u00e4\xe4\\ud83d\\ude00\nk=last\n"));
	ck_assert_uint_eq(ini.count, 3);
	entry_is(0, "", "dir", "C:\\x\tyq", 1);
	entry_is(1, "", "k2", "\xc3\xa4\xc3\xa4\xf0\x9f\x98\x80", 6);
	entry_is(2, "", "k", "last", 7);
}
END_TEST

START_TEST(properties_with_bad_escapes_are_faults)
{
	ck_assert(!parse(INI_PROPERTIES, "a=\\u12\nb=\\u0000\nc=\\ud83d\nd=\\ude00\nok=1"));
	ck_assert_uint_eq(faults.count, 4);
	ck_assert_str_eq(faults_text(&faults), "f:1: \\u needs four hexadecimal digits\n"
					       "f:2: \\u0000 cannot be part of a text\n"
					       "f:3: half of a surrogate pair\n"
					       "f:4: half of a surrogate pair");
	entry_is(0, "", "ok", "1", 5);
}
END_TEST

START_TEST(faults_beyond_those_shown_are_counted)
{
	struct buf text;

	buf_init(&text, 1 << 16);
	for (int i = 0; i < FAULTS_SHOWN_MAX + 3; i++)
		buf_printf(&text, "x\n");
	ck_assert(!parse(INI_SYSTEMD, buf_text(&text)));
	ck_assert_uint_eq(faults.count, FAULTS_SHOWN_MAX + 3);
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "\nand 3 more"));
	ck_assert_ptr_nonnull(strstr(faults_text(&faults), "\nand 3 more"));
	buf_fini(&text);
}
END_TEST

static void
release(void)
{
	ini_fini(&ini);
	faults_fini(&faults);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("ini");
	TCase *t = tcase_create("ini");

	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, values_come_out_whole);
	tcase_add_test(t, a_backslash_joins_lines_with_a_blank_and_skips_comments_between);
	tcase_add_test(t, repeated_keys_and_sections_are_entries_of_their_own);
	tcase_add_test(t, a_line_of_64_kib_is_whole_and_a_longer_one_a_fault);
	tcase_add_test(t, every_fault_is_said_with_its_line);
	tcase_add_test(t, text_with_a_nul_or_too_much_of_it_is_refused);
	tcase_add_test(t, names_at_their_bounds_reach_inih_whole);
	tcase_add_test(t, properties_separate_by_equals_colon_or_blank);
	tcase_add_test(t, properties_escape_continue_and_the_last_one_wins);
	tcase_add_test(t, properties_with_bad_escapes_are_faults);
	tcase_add_test(t, faults_beyond_those_shown_are_counted);
	suite_add_tcase(s, t);
	return s;
}
