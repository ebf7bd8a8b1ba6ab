/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_script.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static struct zk_script script;
static struct zk_change change;

/* Read the script's first change; what is said on stderr is kept in said. */
static char said[512];

static enum zk_script_result
read_first(const char *text, size_t size)
{
	int fd = memfd_create("stderr", 0), keep = dup(STDERR_FILENO);
	enum zk_script_result result;
	ssize_t n;

	script = (struct zk_script){.from = fmemopen((char *)text, size, "r"), .name = "in"};
	ck_assert_ptr_nonnull(script.from);
	ck_assert(dup2(fd, STDERR_FILENO) >= 0);
	result = zk_script_next(&script, &change);
	ck_assert(dup2(keep, STDERR_FILENO) >= 0);
	n = pread(fd, said, sizeof said - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	close(keep);
	fclose(script.from);
	return result;
}

static enum zk_script_result
read_text(const char *text)
{
	return read_first(text, strlen(text));
}

START_TEST(words_become_the_parts_of_a_change)
{
	ck_assert_int_eq(
	    read_text("\n# no change\n  create -a world:anyone:r -a digest:a:b:cdrwa /a \"b c\"\n"),
	    ZK_SCRIPT_CHANGE);
	ck_assert_uint_eq(script.line, 3);
	ck_assert_int_eq(change.op.type, ZK_OP_CREATE2);
	ck_assert_str_eq(change.op.path, "/a");
	ck_assert_uint_eq(change.op.size, 3);
	ck_assert_mem_eq(change.op.data, "b c", 3);
	ck_assert_uint_eq(change.op.acl_count, 2);
	ck_assert_str_eq(change.op.acls[1].id, "a:b");
	zk_change_fini(&change);
}
END_TEST

START_TEST(each_kind_of_node_has_its_request)
{
	static const struct {
		const char *text;
		enum zk_opcode type;
		int32_t flags;
	} rows[] = {
	    {"create /a", ZK_OP_CREATE2, ZK_PERSISTENT},
	    {"create -es /a", ZK_OP_CREATE2, ZK_EPHEMERAL_SEQUENTIAL},
	    {"create -c /a", ZK_OP_CREATE_CONTAINER, ZK_CONTAINER},
	    {"create -t 5s /a", ZK_OP_CREATE_TTL, ZK_PERSISTENT_TTL},
	    {"create -st 5s /a", ZK_OP_CREATE_TTL, ZK_SEQUENTIAL_TTL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(read_text(rows[i].text), ZK_SCRIPT_CHANGE);
		ck_assert_int_eq(change.op.type, rows[i].type);
		ck_assert_int_eq(change.op.flags, rows[i].flags);
		ck_assert_int_eq(change.op.ttl_ms, rows[i].type == ZK_OP_CREATE_TTL ? 5000 : 0);
		zk_change_fini(&change);
	}
}
END_TEST

START_TEST(no_data_and_empty_data_are_not_the_same)
{
	ck_assert_int_eq(read_text("set -v 3 /a \"\""), ZK_SCRIPT_CHANGE);
	ck_assert(change.op.data != NULL && change.op.size == 0 && change.op.version == 3);
	zk_change_fini(&change);
	ck_assert_int_eq(read_text("set -n /a"), ZK_SCRIPT_CHANGE);
	ck_assert(change.op.data == NULL && change.op.version == ZK_ANY_VERSION);
	zk_change_fini(&change);
}
END_TEST

START_TEST(any_bytes_come_back_from_quotes)
{
	struct buf line;
	uint8_t bytes[512];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i < 256 ? i : i * 7 + i / 5);
	buf_init(&line, 10000);
	buf_append(&line, "create /a ", 10);
	zk_script_quote(&line, bytes, sizeof bytes);
	ck_assert(!line.failed && memchr(line.data, '\n', line.len) == NULL);
	ck_assert_int_eq(read_first((const char *)line.data, line.len), ZK_SCRIPT_CHANGE);
	ck_assert_uint_eq(change.op.size, sizeof bytes);
	ck_assert_mem_eq(change.op.data, bytes, sizeof bytes);
	zk_change_fini(&change);
	buf_fini(&line);
}
END_TEST

START_TEST(letters_of_other_scripts_stay_readable)
{
	struct buf line;

	buf_init(&line, 100);
	zk_script_quote(&line, "\xc3\xbc\t\xff", 4);
	ck_assert_str_eq(buf_text(&line), "\"\xc3\xbc\\t\\xff\"");
	buf_fini(&line);
}
END_TEST

START_TEST(a_fault_names_its_line)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"frob /a", "in:1: 'frob' is no change"},
	    {"\ncreate \"/a", "in:2: a quote is not closed"},
	    {"create \"/a\\z\"", "in:1: a backslash in quotes"},
	    {"create \"/a\"b", "in:1: words are separated by blanks"},
	    {"create", "in:1: create: PATH [DATA] is missing"},
	    {"create /a b c", "in:1: create: 'c' is one operand too many"},
	    {"create -x /a", "in:1: create: unknown option -x"},
	    {"create -ce /a", "in:1: a node cannot be a container and ephemeral"},
	    {"create -e -t 5 /a", "in:1: a node cannot be ephemeral and with --ttl"},
	    {"create -a world:r /a", "in:1: 'world:r' is no access control entry"},
	    {"set -v x /a", "in:1: set: --version=x: expected a whole number"},
	    {"check a", "in:1: a: not a path"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(read_text(rows[i].text), ZK_SCRIPT_WRONG);
		ck_assert_msg(
		    strstr(said, rows[i].says) != NULL, "'%s' said: %s", rows[i].text, said);
		zk_change_fini(&change);
	}
}
END_TEST

START_TEST(a_zero_byte_is_for_data_only)
{
	static const char raw[] = "create /a\0b data\n";

	ck_assert_int_eq(read_first(raw, sizeof raw - 1), ZK_SCRIPT_WRONG);
	ck_assert_ptr_nonnull(strstr(said, "in:1: '/a' goes on with a zero byte"));
	zk_change_fini(&change);
	ck_assert_int_eq(read_text("create \"/a\\x00b\""), ZK_SCRIPT_WRONG);
	zk_change_fini(&change);
	ck_assert_int_eq(read_text("create -a \"ip:127.0.0.1:r\\x00\" /a data"), ZK_SCRIPT_WRONG);
	zk_change_fini(&change);
	ck_assert_int_eq(read_text("create /a \"x\\x00y\""), ZK_SCRIPT_CHANGE);
	ck_assert_uint_eq(change.op.size, 3);
	zk_change_fini(&change);
}
END_TEST

START_TEST(a_line_of_too_many_words_is_refused)
{
	char text[2000] = "create";

	for (size_t i = 6; i + 2 < sizeof text; i += 2)
		memcpy(text + i, " x", 3);
	ck_assert_int_eq(read_text(text), ZK_SCRIPT_WRONG);
	zk_change_fini(&change);
}
END_TEST

START_TEST(an_empty_script_ends)
{
	ck_assert_int_eq(read_text("\n#\n  \t\n"), ZK_SCRIPT_END);
	zk_change_fini(&change);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zk_script");
	TCase *tc = tcase_create("zk_script");

	tcase_add_test(tc, words_become_the_parts_of_a_change);
	tcase_add_test(tc, each_kind_of_node_has_its_request);
	tcase_add_test(tc, no_data_and_empty_data_are_not_the_same);
	tcase_add_test(tc, any_bytes_come_back_from_quotes);
	tcase_add_test(tc, letters_of_other_scripts_stay_readable);
	tcase_add_test(tc, a_fault_names_its_line);
	tcase_add_test(tc, a_zero_byte_is_for_data_only);
	tcase_add_test(tc, a_line_of_too_many_words_is_refused);
	tcase_add_test(tc, an_empty_script_ends);
	suite_add_tcase(s, tc);
	return s;
}
