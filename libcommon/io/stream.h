/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in both directions over a connected socket or one that is still to be connected, plain or
 * TLS: what links and HTTP stand on. It owns the bufferevent, the deadlines, the bound of the
 * output queue and the end: nothing is freed before the end of the turn in which it went down, and
 * a closed stream lingers until the peer has had all its bytes. For libcommon/io, and for ports
 * whose protocols do not frame as links do.
 */
#ifndef CORRAL_IO_STREAM_H
#define CORRAL_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"

struct stream;
struct evbuffer;

struct stream_limits {
	size_t input_bytes_max; /* reading stops while so much is not consumed */
	size_t queue_bytes_max;
	uint32_t handshake_ms;
	uint32_t idle_ms;  /* nothing received for so long: down; 0: never */
	uint32_t stall_ms; /* nothing taken of what is queued for so long: down; 0: never */
};

/* All run in the loop. After down() the stream is gone. */
struct stream_ops {
	void (*up)(void *arg);
	void (*input)(void *arg);    /* there is more in stream_input() */
	void (*writable)(void *arg); /* may be NULL: drained to half after a refusal */
	void (*down)(void *arg, const char *why);
	/*
	 * Both, instead of input(), for an owner who has a buffer of its own: where what comes next
	 * shall go, at most *size bytes (NULL: it takes nothing now), and that so many are there. A
	 * plain stream reads from its socket to there.
	 */
	uint8_t *(*room)(void *arg, size_t *size);
	void (*took)(void *arg, size_t size);
};

struct stream *stream_connect(struct loop *loop, const char *address, struct tls *tls,
    const char *peer_name, const struct stream_limits *limits, const struct stream_ops *ops,
    void *arg);

/* Takes fd, also when it fails (NULL: no memory). */
struct stream *stream_adopt(struct loop *loop, int fd, struct tls *tls, bool server,
    const struct stream_limits *limits, const struct stream_ops *ops, void *arg);

/* Hand the stream to another owner, which may want other limits (not those of the handshake). */
void stream_set_owner(struct stream *s, const struct stream_ops *ops, void *arg);
void stream_set_limits(struct stream *s, const struct stream_limits *limits);

/* What was received and not consumed. */
struct evbuffer *stream_input(struct stream *s);

/* Call input(), or room(), again at the end of this turn, if something is left. */
void stream_input_again(struct stream *s);

/* Queue the parts, all or nothing; false: not up, or the queue is full. */
struct stream_part {
	const void *bytes;
	size_t size;
};
bool stream_send(struct stream *s, const struct stream_part *parts, size_t count);

/* The same past the bound, for one reply that is in memory anyway. */
bool stream_send_whole(struct stream *s, const struct stream_part *parts, size_t count);

/*
 * What the kernel takes of it at once, without a copy and a turn of the loop; 0 if it is TLS, or
 * something is queued, or it would fail. For owners who send once a turn; the rest is theirs.
 */
size_t stream_send_now(struct stream *s, const void *bytes, size_t size);

/* True if more than half of the queue's bound is queued: then writable() will be called. */
bool stream_want_writable(struct stream *s);
size_t stream_queued_bytes(const struct stream *s);

void stream_pause(struct stream *s, bool paused);

/*
 * No callback is called any more. close: what is queued is sent first, within the handshake limit.
 */
void stream_close(struct stream *s);
void stream_abort(struct stream *s);

/* Go down from within: down() is called at once. */
void stream_fail(struct stream *s, const char *why);

bool stream_is_tls(const struct stream *s);
const struct tls_peer *stream_peer(const struct stream *s);
const char *stream_peer_address(const struct stream *s);

/*
 * Did the peer end the TLS handshake, as it does when it wants another certificate? With TLS 1.3 it
 * says so when we have been up for a moment.
 */
bool stream_was_turned_away(const struct stream *s);

/*
 * Is the peer's certificate, whose chain was verified, valid for this DNS name or IP address? By
 * the alternative names, or by the common name if there is no DNS name among them, which is how
 * ensembles of Apache's have them. False without TLS.
 */
bool stream_peer_named(const struct stream *s, const char *name);
bool stream_peer_cred(const struct stream *s, uid_t *uid, pid_t *pid);

/* Called once when the stream is released: for the count of a listener. */
void stream_on_release(struct stream *s, void (*released)(void *arg), void *arg);

#endif
