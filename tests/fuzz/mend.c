/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/mend.h"

#include <string.h>
#include <libdeflate.h>

#include "zkserver/core/txnlog.h"

#define ZXID_OFFSET 12 /* of a txn's header */
#define SEAL_BYTES 13  /* a checksum of eight, and "/" behind its length */

static void
put_bytes(uint8_t *to, uint64_t value, int count)
{
	for (int i = 0; i < count; i++)
		to[i] = (uint8_t)(value >> 8 * (count - 1 - i));
}

void
mend_log_header(uint8_t *bytes, size_t size)
{
	if (size < TXNLOG_HEADER_BYTES)
		return;
	put_bytes(bytes, TXNLOG_MAGIC, 4);
	put_bytes(bytes + 4, TXNLOG_VERSION, 4);
}

void
mend_log(uint8_t *bytes, size_t size, uint64_t zxid)
{
	size_t at = TXNLOG_HEADER_BYTES;

	while (at < size && size - at >= TXNLOG_RECORD_OVERHEAD_BYTES + TXNLOG_TXN_MIN_BYTES) {
		uint8_t *txn = bytes + at + TXNLOG_RECORD_HEAD_BYTES;
		size_t len = (size_t)txn[-4] << 24 | txn[-3] << 16 | txn[-2] << 8 | txn[-1];

		if (len < TXNLOG_TXN_MIN_BYTES || len > size - at - TXNLOG_RECORD_OVERHEAD_BYTES)
			break;
		if (zxid > 0)
			put_bytes(txn + ZXID_OFFSET, zxid++, 8);
		put_bytes(bytes + at, libdeflate_adler32(1, txn, len), 8);
		txn[len] = 'B';
		at += len + TXNLOG_RECORD_OVERHEAD_BYTES;
	}
}

/* Where "/" stands as a seal has it, at the end or with the next seal's place behind it. */
void
mend_snapshot(uint8_t *bytes, size_t size)
{
	for (size_t at = SEAL_BYTES + 8; at + 5 <= size; at++) {
		if (memcmp(bytes + at, "\0\0\0\1/", 5) != 0)
			continue;
		if (memcmp(bytes + at - SEAL_BYTES, "\0\0\0\1/", 5) != 0 && at + 5 != size)
			continue;
		put_bytes(bytes + at - 8, libdeflate_adler32(1, bytes, at - 8), 8);
	}
}
