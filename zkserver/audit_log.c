/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/audit_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/io/loop.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

#define TURN_BYTES_MAX ((size_t)64 << 20)
#define FILE_MODE 0600

/* As log4j's %d{ISO8601} prints it. */
static void
put_time(struct buf *b)
{
	int64_t now_ms = clock_wall_ms();
	time_t now = (time_t)(now_ms / 1000);
	char text[32];
	struct tm tm;

	if (localtime_r(&now, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		text[0] = '\0';
	buf_printf(b, "%s,%03d", text, (int)(now_ms % 1000));
}

/* Our log escapes tabs: blanks are what is read there. */
static void
log_line(struct audit_log *l, const char *text, size_t size, bool failure)
{
	buf_append(&l->lines, text, size);
	for (size_t i = 0; i < l->lines.len; i++) {
		if (l->lines.data[i] == '\t')
			l->lines.data[i] = ' ';
	}
	if (failure)
		log_error("audit: %.*s", (int)l->lines.len, (const char *)l->lines.data);
	else
		log_info("audit: %.*s", (int)l->lines.len, (const char *)l->lines.data);
	buf_clear(&l->lines);
}

static void
on_line(void *arg, const char *text, size_t size, bool failure)
{
	struct audit_log *l = arg;

	if (l->path[0] == '\0') {
		log_line(l, text, size, failure);
		return;
	}
	put_time(&l->lines);
	buf_printf(&l->lines, " %s audit.Slf4jAuditLogger: ", failure ? "ERROR" : "INFO");
	buf_append(&l->lines, text, size);
	buf_append(&l->lines, "\n", 1);
	l->count++;
}

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
}

bool
audit_log_open(struct audit_log *l, const char *path)
{
	static char user[64];
	const struct passwd *pw = getpwuid(geteuid());

	snprintf(user, sizeof user, "%s", pw != NULL ? pw->pw_name : "<NA>");
	*l = (struct audit_log){
	    .core = {.line = on_line, .arg = l, .user = user}, .path = path, .fd = -1};
	buf_init(&l->lines, TURN_BYTES_MAX);
	audit_init(&l->core);
	return path[0] == '\0' || (l->fd = open_file(path)) >= 0;
}

void
audit_log_close(struct audit_log *l)
{
	audit_log_flush(l);
	audit_fini(&l->core);
	buf_fini(&l->lines);
	if (l->fd >= 0)
		close(l->fd);
}

void
audit_log_reopen(struct audit_log *l)
{
	int fd;

	if (l->path[0] == '\0')
		return;
	audit_log_flush(l);
	if ((fd = open_file(l->path)) < 0) {
		log_error_errno("%s: cannot be opened; the audit trail goes on in the file that is "
				"open",
		    l->path);
		return;
	}
	close(l->fd);
	l->fd = fd;
}

void
audit_log_flush(struct audit_log *l)
{
	if (l->count == 0)
		return;
	if (l->lines.failed || !fsutil_write_all(l->fd, l->lines.data, l->lines.len)) {
		if (l->lost == 0)
			log_error_errno("%s: lines of the audit trail are lost", l->path);
		l->lost += l->count;
	} else if (l->lost > 0) {
		log_error("%s: can be written again; %" PRIu64 " lines of the audit trail are lost",
		    l->path, l->lost);
		l->lost = 0;
	}
	buf_clear(&l->lines);
	l->count = 0;
}
