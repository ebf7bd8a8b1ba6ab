/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on stderr per event. Under systemd (JOURNAL_STREAM names our stderr) each line is led by
 * the priority "<N>" that journald reads; elsewhere by the time and the program's name.
 * Texts are lower case without a full stop: the thing, the place, what was wrong, what to do.
 * Control characters come out escaped, so that nothing from outside can forge a line. Never log a
 * secret.
 */
#ifndef CORRAL_SYS_LOG_H
#define CORRAL_SYS_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: the name in front of each line, kept by reference. Levels above `most` are dropped. */
void log_init(const char *program, enum log_level most);
void log_set_level(enum log_level most);

/* "error", "warn", "info" or "debug" to a level; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *level);

/* The verb with `errno` in its name adds ": " and strerror(errno). errno is kept by all of them. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A warning about what a peer did: at most LOG_PEER_PER_SECOND of them a second, so that nobody
 * outside can fill the disk. The next one after a pause says how many were left out.
 */
#define LOG_PEER_PER_SECOND 20
void log_peer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log an error and exit with a status of sysexits(3). Only main files and start-up code call it. */
_Noreturn void log_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
