/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link: frames (4-byte big-endian length, then that many bytes) in both directions over TCP, over
 * TLS if a context is given, over a Unix socket, or over a socket that somebody else opened. Above
 * it nobody knows which. The suite's own protocols and ZooKeeper's client protocol both frame so.
 *
 * Every bound has a defined behaviour: a frame announced larger than frame_bytes_max brings the
 * link down before anything is allocated for it; a queue of queue_bytes_max refuses the next frame
 * (link_send() returns false) and calls writable() when it has drained to half; a handshake or a
 * silence that takes too long brings the link down.
 */
#ifndef CORRAL_IO_LINK_H
#define CORRAL_IO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"

struct link;

struct link_limits {
	size_t frame_bytes_max;
	size_t queue_bytes_max;
	uint32_t handshake_ms; /* connecting and the TLS handshake together */
	uint32_t idle_ms;      /* nothing received, or nothing taken of a queue; 0: for ever */
};

/*
 * Callbacks run in the loop. After down() the link is gone; until then it may be used in any of
 * them, link_close() included. `bytes` is borrowed for the call.
 */
struct link_ops {
	void (*up)(void *arg, struct link *l); /* connected, handshake done, peer known */
	void (*frame)(void *arg, struct link *l, const uint8_t *bytes, size_t size);
	void (*writable)(void *arg, struct link *l); /* may be NULL */
	/* Once; why is a text for a log. */
	void (*down)(void *arg, struct link *l, const char *why);
};

/*
 * Connect to address ("HOST:PORT", "[V6]:PORT" or "/path" of a Unix socket). tls NULL: plain.
 * peer_name: what the peer's certificate must be valid for (DNS name or IP); NULL: HOST.
 * The result is reported by up() or down(), never from within the call. NULL: no memory.
 */
struct link *link_connect(struct loop *loop, const char *address, struct tls *tls,
    const char *peer_name, const struct link_limits *limits, const struct link_ops *ops, void *arg);

/* Take an open socket (accepted, or one end of a pair); server: which side of TLS we are. */
struct link *link_adopt(struct loop *loop, int fd, struct tls *tls, bool server,
    const struct link_limits *limits, const struct link_ops *ops, void *arg);

/*
 * Queue one frame (copied). False, and nothing was queued: the queue is full, the link is not up,
 * or the frame is larger than frame_bytes_max.
 */
bool link_send(struct link *l, const void *bytes, size_t size);

/* The same for a frame in two parts, to spare the caller a copy. */
bool link_send2(
    struct link *l, const void *head, size_t head_size, const void *tail, size_t tail_size);

/* The same for a message, packed. False also without memory. */
bool link_send_message(struct link *l, const ProtobufCMessage *message);

/* Stop and resume reading: back-pressure towards the peer. */
void link_pause(struct link *l, bool paused);

/*
 * Send what is queued, then close; down() is not called. Gives up after the handshake limit. The
 * link is gone for the caller; only until the end of the turn do further calls do no harm.
 */
void link_close(struct link *l);

/* Close at once, queue and all; down() is not called. */
void link_abort(struct link *l);

size_t link_queued_bytes(const struct link *l);
const struct tls_peer *link_peer(const struct link *l);
const char *link_peer_address(const struct link *l); /* "HOST:PORT" or "unix", for logs */
/*
 * In down(): did the peer refuse our part of the TLS handshake, or that there was none? Then up()
 * may have come before.
 */
bool link_was_turned_away(const struct link *l);
/* Who connected to a Unix socket (SO_PEERCRED); false for other links. */
bool link_peer_cred(const struct link *l, uid_t *uid, pid_t *pid);
void link_set_arg(struct link *l, const struct link_ops *ops, void *arg);

/*
 * Accept on address ("HOST:PORT", port 0 for any, or a Unix path, mode 0600) and adopt each
 * connection with accepted()'s word: it gets the link before the handshake, and sets ops and arg
 * with link_set_arg() (a link without ops is closed). An existing socket file is replaced if nobody
 * listens on it.
 * At most `connections_max` at a time: more are accepted and closed at once. Out of descriptors:
 * accepting stops for a second.
 * NULL: the reason is in error[size].
 */
struct listener;
struct listener *listener_open(struct loop *loop, const char *address, struct tls *tls,
    const struct link_limits *limits, size_t connections_max,
    void (*accepted)(void *arg, struct link *l), void *arg, char *error, size_t size);
void listener_close(struct listener *l); /* the links go on */
uint16_t listener_port(const struct listener *l);

/*
 * Keep one link up: connect to the addresses in turn, wait between rounds with jittered exponential
 * back-off (100 ms to 5 s), start over when it is down or was closed. `ops` as above; down() is
 * also called for each failed attempt. A link that was up for 5 s or longer ends the back-off.
 */
struct dialer;
struct dialer *dialer_new(struct loop *loop, const char *const *addresses, size_t count,
    struct tls *tls, const struct link_limits *limits, const struct link_ops *ops, void *arg);
void dialer_free(struct dialer *d); /* closes the link at once; accepts NULL */

/* From the next attempt on, beginning with the first; the link at hand stays. False: no memory. */
bool dialer_set_addresses(struct dialer *d, const char *const *addresses, size_t count);

#endif
