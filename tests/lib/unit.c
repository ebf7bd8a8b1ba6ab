/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char tmpdir[PATH_MAX];
static pid_t tmpdir_owner;

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
remove_tmpdir(void)
{
	if (getpid() == tmpdir_owner)
		nftw(tmpdir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
unit_tmpdir(void)
{
	const char *base = getenv("TMPDIR");

	if (tmpdir_owner == getpid())
		return tmpdir;
	snprintf(tmpdir, sizeof tmpdir, "%s/corral-unit.XXXXXX", base != NULL ? base : "/tmp");
	ck_assert_msg(mkdtemp(tmpdir) != NULL, "mkdtemp %s", tmpdir);
	tmpdir_owner = getpid();
	atexit(remove_tmpdir);
	return tmpdir;
}

void
unit_leave_descriptors(unsigned count)
{
	struct rlimit limit;
	rlim_t end = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned free_count = 0; free_count < count || fcntl((int)end, F_GETFD) >= 0; end++) {
		if (end == limit.rlim_max)
			break;
		if (fcntl((int)end, F_GETFD) < 0)
			free_count++;
	}
	limit.rlim_cur = end;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

bool
unit_wanted(const char *test)
{
	const char *only = getenv("UNIT_TEST");

	return only == NULL || strcmp(only, test) == 0;
}

int
main(void)
{
	SRunner *runner = srunner_create(unit_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
