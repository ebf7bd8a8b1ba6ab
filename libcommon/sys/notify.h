/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's notification protocol (sd_notify(3)) without its library. Where NOTIFY_SOCKET is not
 * set every call does nothing and says true. On failure false with errno set; a daemon may go on.
 */
#ifndef CORRAL_SYS_NOTIFY_H
#define CORRAL_SYS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* READY=1, with a STATUS= line unless status is NULL. */
bool notify_ready(const char *status);

/* STATUS=, one line for systemctl status; like the watchdog's word, with which it goes if
 * there is no room (EAGAIN), it waits for nobody. */
bool notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1 with MONOTONIC_USEC=; notify_ready() ends it. */
bool notify_reloading(void);

bool notify_stopping(void);
bool notify_watchdog(void);

/*
 * Milliseconds between two notify_watchdog() calls (half of WATCHDOG_USEC), 0 if none are expected
 * of this process.
 */
uint64_t notify_watchdog_ms(void);

#endif
