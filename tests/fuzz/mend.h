/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums made right in bytes that a fuzzer has changed: behind them is what is to be reached. */
#ifndef CORRAL_TESTS_MEND_H
#define CORRAL_TESTS_MEND_H

#include <stddef.h>
#include <stdint.h>

/* A log's header is put over the first bytes. */
void mend_log_header(uint8_t *bytes, size_t size);

/*
 * The seals of a log's records, from the first on as long as their lengths fit. zxid: the first
 * one's, and the others follow; 0 leaves them as they are.
 */
void mend_log(uint8_t *bytes, size_t size, uint64_t zxid);

/* The seals of a plain snapshot. */
void mend_snapshot(uint8_t *bytes, size_t size);

#endif
