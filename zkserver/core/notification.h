/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers of an ensemble say on the election port, as bytes and as values: the hello of the
 * side that connects, and notifications, which carry votes. Knows nothing of what they mean
 * (election.h) nor of connections (election_links.h).
 */
#ifndef CORRAL_ZKSERVER_CORE_NOTIFICATION_H
#define CORRAL_ZKSERVER_CORE_NOTIFICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"

/* A message on a link: i32 length, then so many bytes. */
#define NOTIFICATION_FRAME_BYTES_MAX (512 * 1024)

/*
 * Hello, V1 and V2:
 *
 *     0  i64  protocol: -65536 (V1), -65535 (V2: several addresses, apart by '|')
 *     8  i64  who connects
 *    16  i32  n, 1 to 2048
 *    20  n    its election address, "HOST:PORT"
 *
 * A first number that is not negative is the hello of 3.4: it is who connects, and nothing follows.
 */
#define HELLO_ADDRESS_MAX 2048
#define HELLO_BYTES_MAX (20 + HELLO_ADDRESS_MAX)

struct hello {
	int64_t sid;
	const uint8_t *address; /* in the bytes that were read; NULL: an old server sent none */
	size_t address_size;
};

enum hello_result {
	HELLO_WHOLE,
	HELLO_SHORT,  /* more bytes are needed */
	HELLO_FOREIGN /* not a protocol that we know, or an impossible length: close */
};

/* Read the hello at the start of bytes; *used is set to its size if it is whole. */
enum hello_result hello_decode(struct hello *h, const uint8_t *bytes, size_t size, size_t *used);

/*
 * The first address of the hello as text, for connecting back; false: there is none, it does not
 * fit, is not HOST:PORT, or names no host ("0.0.0.0", "[::]").
 */
bool hello_address(const struct hello *h, char *to, size_t size);

/* Append a V1 hello; address has 1 to HELLO_ADDRESS_MAX bytes. */
void hello_encode(struct buf *to, int64_t sid, const char *address);

/* States of a server, as on the wire. */
enum peer_state { PEER_LOOKING, PEER_FOLLOWING, PEER_LEADING, PEER_OBSERVING, PEER_STATE_COUNT };

/* The sid in votes of those who are no candidates: observers, and joiners that are not voters. */
#define VOTE_NOBODY INT64_MIN

struct vote {
	int64_t leader; /* sid */
	int64_t zxid;	/* the last one in the leader's log */
	int64_t round;	/* of the election: the voter's logical clock ("electionEpoch") */
	int64_t epoch;	/* the leader's currentEpoch ("peerEpoch") */
};

/*
 * Notification:
 *
 *     0  i32  state        4  i64  leader      12  i64  zxid
 *    20  i64  round       28  i64  epoch       36  i32  version
 *    40  i32  c           44  c    the sender's committed configuration, as text
 *
 * 28 bytes (3.3) end before the epoch, which is then that of the zxid. 40 bytes (3.4) count as
 * version 0, whatever they say. From version 2 on (3.5) there is a configuration.
 */
#define NOTIFICATION_VERSION 2

struct notification {
	int32_t state; /* enum peer_state, or what the peer made of it */
	struct vote vote;
	int32_t version;
	const uint8_t *config; /* borrowed; NULL: none */
	size_t config_size;
};

/* False: not one of the sizes above, or a configuration that is longer than the message. */
bool notification_decode(struct notification *n, const uint8_t *bytes, size_t size);

/* Append version 2, whatever n->version says; without a configuration its length is 0. */
void notification_encode(struct buf *to, const struct notification *n);

#endif
