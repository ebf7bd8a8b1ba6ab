/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

static const char *log_program = "corral";
static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_to_journal;

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream that goes to the journal. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void
log_init(const char *program, enum log_level most)
{
	log_program = program;
	log_most = most;
	log_to_journal = stderr_is_journal();
}

void
log_set_level(enum log_level most)
{
	log_most = most;
}

bool
log_level_parse(const char *text, enum log_level *level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(text, names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* "<3>" for the journal; "2026-01-31T12:00:00.123Z zkserver[12]: error: " elsewhere. */
static size_t
log_prefix(char *line, size_t size, enum log_level level)
{
	static const int priority[] = {3, 4, 6, 7};
	static const char *const tag[] = {"error: ", "warning: ", "", "debug: "};
	struct timespec now;
	struct tm tm;
	int n;

	if (log_to_journal) {
		n = snprintf(line, size, "<%d>", priority[level]);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s[%ld]: %s",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    now.tv_nsec / 1000000, log_program, (long)getpid(), tag[level]);
	}
	return n > 0 ? (size_t)n : 0;
}

/* Copy text into line from *len on, control characters as \xNN, as far as it fits. */
static void
log_escape(char *line, size_t size, size_t *len, const char *text)
{
	for (; *text != '\0' && *len + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			*len += (size_t)snprintf(line + *len, size - *len, "\\x%02x", c);
		else
			line[(*len)++] = (char)c;
	}
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, int error, const char *fmt, va_list ap)
{
	char text[LINE_BYTES_MAX], line[LINE_BYTES_MAX + 256];
	int saved = errno;
	size_t len;
	ssize_t n;

	vsnprintf(text, sizeof text, fmt, ap);
	len = log_prefix(line, sizeof line, level);
	log_escape(line, sizeof line - 1, &len, text);
	if (error != 0) {
		log_escape(line, sizeof line - 1, &len, ": ");
		log_escape(line, sizeof line - 1, &len, strerror(error));
	}
	line[len++] = '\n';
	/* Nowhere is left to report a failure to; one write keeps processes' lines apart. */
	n = write(STDERR_FILENO, line, len);
	(void)n;
	errno = saved;
}

#define LOG_VERB(name, level, error)                                                               \
	void name(const char *fmt, ...)                                                            \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		if ((level) > log_most)                                                            \
			return;                                                                    \
		va_start(ap, fmt);                                                                 \
		log_line((level), (error), fmt, ap);                                               \
		va_end(ap);                                                                        \
	}

LOG_VERB(log_error, LOG_LEVEL_ERROR, 0)
LOG_VERB(log_error_errno, LOG_LEVEL_ERROR, errno)
LOG_VERB(log_warn, LOG_LEVEL_WARN, 0)
LOG_VERB(log_warn_errno, LOG_LEVEL_WARN, errno)
LOG_VERB(log_info, LOG_LEVEL_INFO, 0)
LOG_VERB(log_debug, LOG_LEVEL_DEBUG, 0)

/* Count one line more of this second; false: there were enough. */
static bool
peer_line_allowed(void)
{
	static time_t second;
	static unsigned count;
	struct timespec now;
	unsigned dropped;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != second) {
		dropped = count > LOG_PEER_PER_SECOND ? count - LOG_PEER_PER_SECOND : 0;
		second = now.tv_sec;
		count = 0;
		if (dropped > 0)
			log_warn("%u more lines about peers were left out", dropped);
	}
	return ++count <= LOG_PEER_PER_SECOND;
}

void
log_peer(const char *fmt, ...)
{
	va_list ap;

	if (LOG_LEVEL_WARN > log_most || !peer_line_allowed())
		return;
	va_start(ap, fmt);
	log_line(LOG_LEVEL_WARN, 0, fmt, ap);
	va_end(ap);
}

_Noreturn void
log_die(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, 0, fmt, ap);
	va_end(ap);
	exit(status);
}
