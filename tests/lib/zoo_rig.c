/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/zoo_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "tests/lib/unit.h"

struct zoo_conf zoo_rig_conf;
static struct faults faults;
static char said[65536];

void
zoo_file(const char *name, const char *text)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	ck_assert(fsutil_write_atomic(path, text, strlen(text), 0644));
}

bool
zoo_there(const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	return access(path, F_OK) == 0;
}

void
zoo_holds(const char *name, const char *text)
{
	char path[4096];
	struct buf b;

	snprintf(path, sizeof path, "%s/%s", unit_tmpdir(), name);
	buf_init(&b, 65536);
	ck_assert_msg(fsutil_read(path, 65535, &b), "%s", path);
	ck_assert_str_eq(buf_text(&b), text);
	buf_fini(&b);
}

/* What the log says is in `said`. */
static bool
read_again(void)
{
	char config_path[4096], log_path[4096];
	int fd;
	ssize_t n;
	bool ok;

	snprintf(config_path, sizeof config_path, "%s/zoo.cfg", unit_tmpdir());
	snprintf(log_path, sizeof log_path, "%s/log", unit_tmpdir());
	fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_init("test", LOG_LEVEL_INFO);
	faults_init(&faults);
	ok = zoo_conf_load(&zoo_rig_conf, config_path, &faults);
	n = pread(fd, said, sizeof said - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	close(fd);
	return ok;
}

static bool
load(const char *text)
{
	char whole[8192];

	snprintf(whole, sizeof whole, "dataDir=/d\nclientPort=1\n%s", text);
	zoo_file("zoo.cfg", whole);
	return read_again();
}

void
zoo_again(void)
{
	ck_assert_msg(read_again(), "%s", faults_text(&faults));
	faults_fini(&faults);
}

void
zoo_refused(const char *text, const char *why)
{
	ck_assert_msg(!load(text), "%s was taken", text);
	ck_assert_msg(
	    strstr(faults_text(&faults), why) != NULL, "%s: %s", text, faults_text(&faults));
	faults_fini(&faults);
}

void
zoo_said(const char *text, const char *what)
{
	ck_assert_msg(load(text), "%s", faults_text(&faults));
	ck_assert_msg(strstr(said, what) != NULL, "%s: %s", text, said);
	faults_fini(&faults);
}

void
zoo_taken(const char *text)
{
	ck_assert_msg(load(text), "%s: %s", text, faults_text(&faults));
	ck_assert_msg(said[0] == '\0', "%s: %s", text, said);
	faults_fini(&faults);
}
