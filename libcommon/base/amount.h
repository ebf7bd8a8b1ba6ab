/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amounts as people write them: sizes, time spans and cpus, read as systemd reads them
 * (systemd.syntax(7), systemd.time(7)) and printed for people. Integers throughout. A text that is
 * empty, negative, out of range or followed by anything else is refused, and the value is
 * untouched.
 */
#ifndef CORRAL_BASE_AMOUNT_H
#define CORRAL_BASE_AMOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AMOUNT_TEXT_MAX 48	       /* bytes that every printing function needs at most */
#define AMOUNT_TIME_FOREVER UINT64_MAX /* "infinity" */
#define AMOUNT_CPU_MAX_MILLI UINT64_C(1000000000)

/* "256M", "1.5G", "1G 512M", "4096": bytes; K M G T P E are powers of 1024. No percentage. */
bool amount_parse_size(const char *text, uint64_t *bytes);

/*
 * "1h 30s", "5min", "100ms", "1.5h", "90" (seconds), "infinity": milliseconds. Microseconds are
 * rounded up, so that "1us" is not zero.
 */
bool amount_parse_time(const char *text, uint64_t *ms);

/* "2", "0.5", "0.125": thousandths of a cpu; a fourth decimal is refused. */
bool amount_parse_cpu(const char *text, uint64_t *milli);

/*
 * "cpus=2,memory=1G,disk=10G" or some of them, in any order: thousandths of a cpu and bytes; what
 * is not named is untouched. False: something may have been read already.
 */
bool amount_parse_resources(
    const char *text, uint64_t *cpu_milli, uint64_t *memory_bytes, uint64_t *disk_bytes);

/* For people: "23.4 GiB", "64 MiB", "512 B". Each of these returns `to`. */
const char *amount_print_size(char to[AMOUNT_TEXT_MAX], uint64_t bytes);

/* For people: "0.02 s", "12.5 s", "4m12s", "2h05m", "3d04h", "forever". */
const char *amount_print_time(char to[AMOUNT_TEXT_MAX], uint64_t ms);

/* For people, whole seconds: "4s", "4m12s", "2h05m", "3d04h". */
const char *amount_print_age(char to[AMOUNT_TEXT_MAX], uint64_t ms);

/* For people and for amount_parse_cpu(): "2.0", "0.5", "0.125". */
const char *amount_print_cpu(char to[AMOUNT_TEXT_MAX], uint64_t milli);

/*
 * Exact, for files and tables; the parser gives the same value back: "256M", "1500", "1h 30s",
 * "infinity".
 */
const char *amount_format_size(char to[AMOUNT_TEXT_MAX], uint64_t bytes);
const char *amount_format_time(char to[AMOUNT_TEXT_MAX], uint64_t ms);

#endif
