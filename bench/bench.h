/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs share that measure a core alone. */
#ifndef CORRAL_BENCH_BENCH_H
#define CORRAL_BENCH_BENCH_H

#include <stdint.h>
#include <time.h>

/* Say what went wrong, behind the program's name, and end with EXIT_FAILURE. */
void bench_die(const char *what) __attribute__((noreturn));

/* The same pointer; of NULL it dies for want of memory. */
void *bench_must(void *p);

/* What a clock says, in ns: CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC. */
uint64_t bench_ns(clockid_t clock);

#endif
