/* SPDX-License-Identifier: Apache-2.0 */
/* members_check DIR COUNT: our configurations of ensembles beside Apache's (MembersOracle.java). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/ini.h"
#include "zkserver/core/reconf.h"

#define FILE_BYTES_MAX 262144

/* DIR/NUMBER.WHAT */
static void
name_file(char to[4096], const char *dir, uint64_t number, const char *what)
{
	snprintf(to, 4096, "%s/%llu.%s", dir, (unsigned long long)number, what);
}

static void
read_file(const char *dir, uint64_t number, const char *what, struct buf *to)
{
	char path[4096];

	buf_init(to, FILE_BYTES_MAX);
	name_file(path, dir, number, what);
	if (!fsutil_read(path, FILE_BYTES_MAX - 1, to) || buf_text(to) == NULL) {
		perror(path);
		exit(1);
	}
}

/* What the oracle writes of a configuration. */
static void
describe(const struct buf *text, struct buf *to, struct fault *f)
{
	struct members m;

	if (members_parse(&m, text->data, text->len, f) < 0) {
		buf_printf(to, "error\n");
		return;
	}
	members_print(&m, to);
	buf_printf(to, "\n=\n");
	reconf_dynamic_text(&m, false, to);
	buf_printf(to, "\n=\n");
	reconf_dynamic_text(&m, true, to);
	buf_printf(to, "\n=\n");
}

static bool
check_members(const char *dir, uint64_t number)
{
	struct buf text, expected, ours;
	struct fault f = {{0}};
	bool same;

	read_file(dir, number, "members", &text);
	read_file(dir, number, "expected", &expected);
	buf_init(&ours, FILE_BYTES_MAX);
	describe(&text, &ours, &f);
	same = strcmp(buf_text(&ours), buf_text(&expected)) == 0;
	if (!same)
		printf("%s\n-- Apache's\n%s-- ours\n%s%s\n", buf_text(&text), buf_text(&expected),
		    buf_text(&ours), f.text);
	buf_fini(&text);
	buf_fini(&expected);
	buf_fini(&ours);
	return same;
}

/* The same entries, in whatever order. */
static bool
same_entries(const struct ini *a, const struct ini *b)
{
	size_t found = 0;

	for (size_t i = 0; i < a->count; i++) {
		for (size_t k = 0; k < b->count; k++)
			found += strcmp(a->entries[i].name, b->entries[k].name) == 0 &&
				 strcmp(a->entries[i].value, b->entries[k].value) == 0;
	}
	return a->count == b->count && found == a->count;
}

static bool
check_edited(const char *dir, uint64_t number)
{
	struct buf text, edited, ours;
	struct faults faults;
	struct fault f = {{0}};
	struct ini a = {0}, b = {0};
	char path[4096];
	bool same;

	faults_init(&faults);
	buf_init(&ours, FILE_BYTES_MAX);
	read_file(dir, number, "cfg", &text);
	read_file(dir, number, "edited", &edited);
	snprintf(path, sizeof path, "%s/zoo.cfg.dynamic.1f", dir);
	same = reconf_static_text(
		   (const char *)text.data, text.len, path, number % 2 == 1, &ours, &f) == 0 &&
	       ini_parse_text(
		   &a, INI_PROPERTIES, "ours", (const char *)ours.data, ours.len, &faults) &&
	       ini_parse_text(&b, INI_PROPERTIES, "Apache's", (const char *)edited.data, edited.len,
		   &faults) &&
	       same_entries(&a, &b);
	if (!same)
		printf("%s\n-- Apache's\n%s-- ours\n%s%s%s\n", buf_text(&text), buf_text(&edited),
		    buf_text(&ours), f.text, faults_text(&faults));
	ini_fini(&a);
	ini_fini(&b);
	buf_fini(&text);
	buf_fini(&edited);
	buf_fini(&ours);
	faults_fini(&faults);
	return same;
}

int
main(int argc, char **argv)
{
	uint64_t count, differ = 0;

	if (argc != 3 || !str_to_u64(argv[2], 1, 1000000, &count)) {
		fprintf(stderr, "usage: members_check DIR COUNT\n");
		return 64;
	}
	for (uint64_t i = 0; i < count; i++)
		differ += !check_members(argv[1], i) + !check_edited(argv[1], i);
	printf("%llu differences in %llu configurations\n", (unsigned long long)differ,
	    (unsigned long long)count);
	return differ == 0 ? 0 : 1;
}
