/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed files as Apache ZooKeeper's snapshots are: gzip, or the framing of snappy-java (a
 * header, then blocks, each behind its compressed length). Bytes in, bytes out; files are somebody
 * else's.
 */
#ifndef CORRAL_ZKSERVER_CORE_PACK_H
#define CORRAL_ZKSERVER_CORE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zlib.h>

#include "libcommon/base/buf.h"

enum pack_kind { PACK_NONE, PACK_GZ, PACK_SNAPPY };

/* Packing: what is put comes out in `to`, all of it after the put that says it is the last. */
struct packer {
	enum pack_kind kind;
	bool begun;
	z_stream z;
	struct buf to; /* of the caller to empty */
};

bool packer_init(struct packer *p, enum pack_kind kind); /* False: no memory */
void packer_fini(struct packer *p);
bool packer_put(struct packer *p, const uint8_t *bytes, size_t size, bool last);

/* Unpacking. read() gives packed bytes: how many, 0 at their end, or a negative errno. */
struct unpacker {
	enum pack_kind kind;
	ssize_t (*read)(void *arg, uint8_t *to, size_t size);
	void *arg;
	bool begun, at_end;
	z_stream z;
	uint8_t *in;	/* packed bytes */
	uint8_t *block; /* snappy: one block, unpacked */
	size_t block_len, block_at;
};

bool unpacker_init(struct unpacker *u, enum pack_kind kind,
    ssize_t (*read)(void *arg, uint8_t *to, size_t size), void *arg);
void unpacker_fini(struct unpacker *u);

/* Up to size bytes, 0 at the end; -EBADMSG: the bytes are not of this kind; or as read() says. */
ssize_t unpacker_read(struct unpacker *u, uint8_t *to, size_t size);

#endif
