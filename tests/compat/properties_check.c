/* SPDX-License-Identifier: Apache-2.0 */
/*
 * properties_check DIR COUNT: reads each DIR/N.properties and compares with DIR/N.expected
 * (PropertiesOracle.java).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/ini.h"

#define FILE_BYTES_MAX 65536

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* KEY=VALUE in hexadecimal, and a newline; the caller frees it. */
static char *
entry_line(const struct ini_entry *e)
{
	size_t name_size = strlen(e->name), value_size = strlen(e->value);
	char *line = malloc(2 * (name_size + value_size) + 3);

	if (line == NULL)
		abort();
	str_hex(line, e->name, name_size);
	line[2 * name_size] = '=';
	str_hex(line + 2 * name_size + 1, e->value, value_size);
	memcpy(line + 2 * (name_size + value_size) + 1, "\n", 2);
	return line;
}

/* What our reader makes of a file, in the oracle's form. */
static void
describe(const char *path, struct buf *out, struct faults *faults)
{
	struct ini ini;
	char **lines;

	if (!ini_read_file(&ini, INI_PROPERTIES, path, faults)) {
		buf_printf(out, "error\n");
		ini_fini(&ini);
		return;
	}
	if ((lines = calloc(ini.count + 1, sizeof *lines)) == NULL)
		abort();
	for (size_t i = 0; i < ini.count; i++)
		lines[i] = entry_line(&ini.entries[i]);
	qsort(lines, ini.count, sizeof *lines, compare_lines);
	for (size_t i = 0; i < ini.count; i++) {
		buf_printf(out, "%s", lines[i]);
		free(lines[i]);
	}
	free(lines);
	ini_fini(&ini);
}

static bool
check(const char *dir, uint64_t number)
{
	struct buf ours, expected;
	struct faults faults;
	char path[4096];
	bool same;

	faults_init(&faults);
	buf_init(&ours, FILE_BYTES_MAX);
	buf_init(&expected, FILE_BYTES_MAX);
	snprintf(path, sizeof path, "%s/%llu.expected", dir, (unsigned long long)number);
	if (!fsutil_read(path, FILE_BYTES_MAX, &expected)) {
		perror(path);
		return false;
	}
	snprintf(path, sizeof path, "%s/%llu.properties", dir, (unsigned long long)number);
	describe(path, &ours, &faults);
	same = strcmp(buf_text(&ours), buf_text(&expected)) == 0;
	if (!same)
		printf("%s: java reads\n%sours\n%s%s\n", path, buf_text(&expected), buf_text(&ours),
		    faults_text(&faults));
	buf_fini(&ours);
	buf_fini(&expected);
	faults_fini(&faults);
	return same;
}

int
main(int argc, char **argv)
{
	uint64_t count, differ = 0;

	if (argc != 3 || !str_to_u64(argv[2], 1, 1000000, &count)) {
		fprintf(stderr, "usage: properties_check DIR COUNT\n");
		return 64;
	}
	for (uint64_t i = 0; i < count; i++)
		differ += !check(argv[1], i);
	printf("%llu of %llu files read differently\n", (unsigned long long)differ,
	    (unsigned long long)count);
	return differ == 0 ? 0 : 1;
}
