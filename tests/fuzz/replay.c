/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target where there is no libFuzzer: replay files. Arguments are files; without
 * any, all of $srcdir/tests/data/fuzz/NAME, NAME being the program's without its "_fuzz".
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX ((off_t)16 << 20)

static int
replay_stream(FILE *f, size_t size)
{
	/* Exactly as large as the input, so that a sanitizer sees each byte read beyond it. */
	uint8_t *bytes = malloc(size == 0 ? 1 : size);
	int failed = bytes == NULL || fread(bytes, 1, size, f) != size;

	if (!failed)
		(void)LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return failed;
}

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	int failed = 1;

	if (f != NULL && fstat(fileno(f), &st) == 0 && st.st_size <= INPUT_BYTES_MAX)
		failed = replay_stream(f, (size_t)st.st_size);
	if (failed)
		fprintf(stderr, "%s: cannot be replayed\n", path);
	if (f != NULL)
		fclose(f);
	return failed;
}

/* Every file of the corpus; an empty or missing one is a failure, as nothing would be tested. */
static int
replay_corpus(const char *dir)
{
	struct dirent **entries;
	int count = scandir(dir, &entries, NULL, alphasort);
	int failed = 0, replayed = 0;
	char path[PATH_MAX + NAME_MAX + 2];

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
			failed |= replay_file(path);
			replayed++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	printf("%s: %d inputs\n", dir, replayed);
	return failed || replayed == 0;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *srcdir = getenv("srcdir");
	const char *name = slash == NULL ? argv[0] : slash + 1;
	const char *end = strstr(name, "_fuzz");
	char dir[PATH_MAX];
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay_file(argv[i]);
	if (argc > 1)
		return failed;
	snprintf(dir, sizeof dir, "%s/tests/data/fuzz/%.*s", srcdir != NULL ? srcdir : ".",
	    (int)(end == NULL ? strlen(name) : (size_t)(end - name)), name);
	return replay_corpus(dir);
}
