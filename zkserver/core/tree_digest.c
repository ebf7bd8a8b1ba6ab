/* SPDX-License-Identifier: Apache-2.0 */
/* The digest: a CRC-32 per node, summed over the tree. */
#include <endian.h>
#include <string.h>
#include <libdeflate.h>

#include "zkserver/core/tree_priv.h"

#define DIGEST_STAT_BYTES 60

uint32_t
tree_crc(struct jute_bytes path, struct jute_bytes data)
{
	uint32_t crc = 0;

	if (path.len > 1 || (path.len == 1 && path.data[0] != '/'))
		crc = libdeflate_crc32(crc, path.data, path.len);
	if (data.len > 0)
		crc = libdeflate_crc32(crc, data.data, data.len);
	return (uint32_t)crc;
}

static uint8_t *
put_be64(uint8_t *p, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

static uint8_t *
put_be32(uint8_t *p, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

static void
put_stat(uint8_t bytes[DIGEST_STAT_BYTES], const struct tree_stat *s)
{
	uint8_t *p = bytes;

	p = put_be64(p, s->czxid);
	p = put_be64(p, s->mzxid);
	p = put_be64(p, s->pzxid);
	p = put_be64(p, s->ctime);
	p = put_be64(p, s->mtime);
	p = put_be32(p, s->version);
	p = put_be32(p, s->cversion);
	p = put_be32(p, s->aversion);
	put_be64(p, s->ephemeral_owner);
}

uint32_t
tree_digest_of(uint32_t crc, const struct tree_stat *s)
{
	uint8_t bytes[DIGEST_STAT_BYTES];

	put_stat(bytes, s);
	return libdeflate_crc32(crc, bytes, sizeof bytes);
}

/*
 * A CRC is linear: what it changes by does not depend on what was before, so neither path nor data
 * are needed. Beginning and end of the computation are inverted, which cancels out here.
 */
uint32_t
tree_digest_flip(uint32_t digest, const struct tree_stat *bits)
{
	return digest ^ ~tree_digest_of(UINT32_MAX, bits);
}
