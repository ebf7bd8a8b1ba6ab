/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/pack.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/snappy.h"

#define GZ_WINDOW_BITS (15 + 16) /* zlib's word for a gzip wrapper */
#define GZ_LEVEL 6
#define GZ_MEMORY 8
#define STEP_BYTES ((size_t)32 * 1024)
#define TO_BYTES_MAX ((size_t)256 << 20)

/* snappy-java's: a magic, and twice the version 1; blocks are of 32 KiB there. */
static const uint8_t SNAPPY_HEADER[16] = {
    0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
#define SNAPPY_MAGIC_BYTES 8
#define SNAPPY_BLOCK_BYTES_MAX ((size_t)64 << 20) /* unpacked; a longer one is damage */
#define SNAPPY_RATIO_MAX 22			  /* three bytes stand for 64 at most */

bool
packer_init(struct packer *p, enum pack_kind kind)
{
	*p = (struct packer){.kind = kind};
	buf_init(&p->to, TO_BYTES_MAX);
	return kind != PACK_GZ || deflateInit2(&p->z, GZ_LEVEL, Z_DEFLATED, GZ_WINDOW_BITS,
				      GZ_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
}

void
packer_fini(struct packer *p)
{
	if (p->kind == PACK_GZ)
		deflateEnd(&p->z);
	buf_fini(&p->to);
}

static bool
put_gz(struct packer *p, const uint8_t *bytes, size_t size, bool last)
{
	uint8_t *to;
	int result;

	p->z.next_in = (uint8_t *)(uintptr_t)bytes;
	p->z.avail_in = (uInt)size;
	do {
		if ((to = buf_reserve(&p->to, STEP_BYTES)) == NULL)
			return false;
		p->z.next_out = to;
		p->z.avail_out = STEP_BYTES;
		result = deflate(&p->z, last ? Z_FINISH : Z_NO_FLUSH);
		if (result == Z_STREAM_ERROR)
			return false;
		buf_commit(&p->to, STEP_BYTES - p->z.avail_out);
	} while (p->z.avail_out == 0 || (last && result != Z_STREAM_END));
	return true;
}

static bool
put_block(struct packer *p, const uint8_t *bytes, size_t size)
{
	uint8_t *to = buf_reserve(&p->to, 4 + SNAPPY_PACKED_BYTES_MAX(size));
	size_t packed;
	uint32_t be;

	if (to == NULL)
		return false;
	packed = snappy_pack(to + 4, bytes, size);
	be = htobe32((uint32_t)packed);
	memcpy(to, &be, sizeof be);
	buf_commit(&p->to, 4 + packed);
	return true;
}

static bool
put_snappy(struct packer *p, const uint8_t *bytes, size_t size)
{
	if (!p->begun)
		buf_append(&p->to, SNAPPY_HEADER, sizeof SNAPPY_HEADER);
	p->begun = true;
	for (size_t at = 0; at < size; at += STEP_BYTES) {
		if (!put_block(p, bytes + at, size - at < STEP_BYTES ? size - at : STEP_BYTES))
			return false;
	}
	return !p->to.failed;
}

bool
packer_put(struct packer *p, const uint8_t *bytes, size_t size, bool last)
{
	switch (p->kind) {
	case PACK_GZ:
		return size <= UINT_MAX && put_gz(p, bytes, size, last);
	case PACK_SNAPPY:
		return put_snappy(p, bytes, size);
	case PACK_NONE:
		break;
	}
	buf_append(&p->to, bytes, size);
	return !p->to.failed;
}

bool
unpacker_init(struct unpacker *u, enum pack_kind kind,
    ssize_t (*read)(void *arg, uint8_t *to, size_t size), void *arg)
{
	*u = (struct unpacker){.kind = kind, .read = read, .arg = arg};
	if (kind == PACK_NONE)
		return true;
	if ((u->in = malloc(STEP_BYTES)) == NULL)
		return false;
	return kind != PACK_GZ || inflateInit2(&u->z, GZ_WINDOW_BITS) == Z_OK;
}

void
unpacker_fini(struct unpacker *u)
{
	if (u->kind == PACK_GZ && u->in != NULL)
		inflateEnd(&u->z);
	free(u->in);
	free(u->block);
}

/* The end must be gzip's own. */
static ssize_t
read_gz(struct unpacker *u, uint8_t *to, size_t size)
{
	uInt room = size < UINT_MAX ? (uInt)size : UINT_MAX;

	u->z.next_out = to;
	u->z.avail_out = room;
	while (u->z.avail_out == room && !u->at_end) {
		int result;

		if (u->z.avail_in == 0) {
			ssize_t n = u->read(u->arg, u->in, STEP_BYTES);

			if (n <= 0)
				return n < 0 ? n : -EBADMSG;
			u->z.next_in = u->in;
			u->z.avail_in = (uInt)n;
		}
		result = inflate(&u->z, Z_NO_FLUSH);
		if (result == Z_STREAM_END)
			u->at_end = true;
		else if (result != Z_OK)
			return -EBADMSG;
	}
	return (ssize_t)(room - u->z.avail_out);
}

/* All of these bytes; 1, or 0 if the file ends before the first, or a negative errno. */
static int
read_exactly(struct unpacker *u, uint8_t *to, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = u->read(u->arg, to + got, size - got);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return got == 0 ? 0 : -EBADMSG;
		got += (size_t)n;
	}
	return 1;
}

/*
 * A block's packed bytes, which the caller frees, and their number; as read_exactly(). A length
 * that is wrong must not cost its memory: what is there may double.
 */
static int
read_packed(struct unpacker *u, uint8_t **packed, size_t *size)
{
	uint32_t be;
	int got = read_exactly(u, (uint8_t *)&be, sizeof be);

	if (got != 1)
		return got;
	*size = be32toh(be);
	if (*size == 0 || *size > SNAPPY_PACKED_BYTES_MAX(SNAPPY_BLOCK_BYTES_MAX))
		return -EBADMSG;
	for (size_t have = 0, step = STEP_BYTES; got == 1 && have < *size; have += step) {
		uint8_t *grown;

		step = have > STEP_BYTES ? have : STEP_BYTES;
		step = step < *size - have ? step : *size - have;
		if ((grown = realloc(*packed, have + step)) == NULL)
			return -ENOMEM;
		*packed = grown;
		got = read_exactly(u, grown + have, step);
	}
	return got == 0 ? -EBADMSG : got;
}

/* The next block into u->block; as read_exactly(). */
static int
next_block(struct unpacker *u)
{
	uint8_t *packed = NULL, *grown;
	size_t packed_len, len;
	int got = read_packed(u, &packed, &packed_len);

	if (got == 1 && (!snappy_unpacked_size(&len, packed, packed_len) ||
			    len > SNAPPY_BLOCK_BYTES_MAX || len / SNAPPY_RATIO_MAX > packed_len))
		got = -EBADMSG;
	if (got == 1 && (grown = realloc(u->block, len > 0 ? len : 1)) == NULL)
		got = -ENOMEM;
	if (got == 1) {
		u->block = grown;
		u->block_len = len;
		u->block_at = 0;
		if (!snappy_unpack(grown, len, packed, packed_len))
			got = -EBADMSG;
	}
	free(packed);
	return got;
}

static ssize_t
read_snappy(struct unpacker *u, uint8_t *to, size_t size)
{
	uint8_t header[sizeof SNAPPY_HEADER];
	size_t n;
	int got;

	if (!u->begun) {
		u->begun = true;
		if ((got = read_exactly(u, header, sizeof header)) != 1)
			return got < 0 ? got : -EBADMSG;
		if (memcmp(header, SNAPPY_HEADER, SNAPPY_MAGIC_BYTES) != 0)
			return -EBADMSG;
	}
	while (u->block_at == u->block_len) {
		if ((got = next_block(u)) != 1)
			return got;
	}
	n = u->block_len - u->block_at < size ? u->block_len - u->block_at : size;
	memcpy(to, u->block + u->block_at, n);
	u->block_at += n;
	return (ssize_t)n;
}

ssize_t
unpacker_read(struct unpacker *u, uint8_t *to, size_t size)
{
	switch (u->kind) {
	case PACK_GZ:
		return read_gz(u, to, size);
	case PACK_SNAPPY:
		return read_snappy(u, to, size);
	case PACK_NONE:
		break;
	}
	return u->read(u->arg, to, size);
}
