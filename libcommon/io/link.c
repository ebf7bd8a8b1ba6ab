/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/link.h"

#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "libcommon/io/link_internal.h"

#define FRAME_HEAD_BYTES 4
/* How a record of TLS begins that only says why there is no handshake. */
#define TLS_ALERT 0x15
#define TLS_MAJOR 3

struct link {
	struct stream *stream;
	struct loop *loop;
	size_t frame_bytes_max;
	bool paused;
	bool was_up;
	bool hears_tls; /* the peer answered a connection without it in TLS */
	bool closed;	/* no more callbacks; to be released at the end of the turn */
	struct deferral release;
	const struct link_ops *ops; /* NULL: a listener's, not yet taken */
	void *arg;
	void (*ended)(void *arg); /* NULL: nobody asked */
	void *ended_arg;
};

static void
link_release(void *arg)
{
	struct link *l = arg;

	if (l->ended != NULL)
		l->ended(l->ended_arg);
	free(l);
}

/* The link's memory stays until the end of the turn, for callers further up the stack. */
static void
link_end(struct link *l)
{
	l->closed = true;
	deferral_set(l->loop, &l->release);
}

static void
link_up(void *arg)
{
	struct link *l = arg;

	l->was_up = true;
	l->ops->up(l->arg, l);
}

static void
link_down(void *arg, const char *why)
{
	struct link *l = arg;

	link_end(l);
	l->ops->down(l->arg, l, why);
}

static void
link_writable(void *arg)
{
	struct link *l = arg;

	if (l->ops->writable != NULL)
		l->ops->writable(l->arg, l);
}

/* Hand on the first frame, if it is whole. */
static bool
link_take_frame(struct link *l)
{
	struct evbuffer *input = stream_input(l->stream);
	size_t have = evbuffer_get_length(input), size;
	uint8_t head[FRAME_HEAD_BYTES];
	const uint8_t *frame;

	if (have < FRAME_HEAD_BYTES)
		return false;
	(void)evbuffer_copyout(input, head, sizeof head);
	size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (head[0] == TLS_ALERT && head[1] == TLS_MAJOR && !stream_is_tls(l->stream)) {
		l->hears_tls = true;
		stream_fail(l->stream, "the peer speaks TLS, and this connection does not");
		return false;
	}
	if (size > l->frame_bytes_max) {
		stream_fail(l->stream, "the peer announced a frame larger than the limit");
		return false;
	}
	if (have - FRAME_HEAD_BYTES < size)
		return false;
	frame = evbuffer_pullup(input, (ev_ssize_t)(FRAME_HEAD_BYTES + size));
	if (frame == NULL) {
		stream_fail(l->stream, "no memory for a frame");
		return false;
	}
	l->ops->frame(l->arg, l, frame + FRAME_HEAD_BYTES, size);
	(void)evbuffer_drain(input, FRAME_HEAD_BYTES + size);
	return true;
}

static void
link_input(void *arg)
{
	struct link *l = arg;

	while (!l->closed && !l->paused && link_take_frame(l))
		;
}

static const struct stream_ops link_stream_ops = {
    .up = link_up,
    .input = link_input,
    .writable = link_writable,
    .down = link_down,
};

static struct stream_limits
link_stream_limits(const struct link_limits *limits)
{
	return (struct stream_limits){
	    .input_bytes_max = FRAME_HEAD_BYTES + limits->frame_bytes_max,
	    .queue_bytes_max = limits->queue_bytes_max,
	    .handshake_ms = limits->handshake_ms,
	    .idle_ms = limits->idle_ms,
	    .stall_ms = limits->idle_ms,
	};
}

static struct link *
link_new(struct loop *loop, const struct link_limits *limits, const struct link_ops *ops, void *arg)
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->loop = loop;
	l->frame_bytes_max = limits->frame_bytes_max;
	l->ops = ops;
	l->arg = arg;
	deferral_init(&l->release, link_release, l);
	return l;
}

struct link *
link_connect(struct loop *loop, const char *address, struct tls *tls, const char *peer_name,
    const struct link_limits *limits, const struct link_ops *ops, void *arg)
{
	struct stream_limits stream_limits = link_stream_limits(limits);
	struct link *l = link_new(loop, limits, ops, arg);

	if (l == NULL)
		return NULL;
	l->stream =
	    stream_connect(loop, address, tls, peer_name, &stream_limits, &link_stream_ops, l);
	if (l->stream == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

struct link *
link_adopt(struct loop *loop, int fd, struct tls *tls, bool server,
    const struct link_limits *limits, const struct link_ops *ops, void *arg)
{
	struct stream_limits stream_limits = link_stream_limits(limits);
	struct link *l = link_new(loop, limits, ops, arg);

	if (l == NULL) {
		close(fd);
		return NULL;
	}
	l->stream = stream_adopt(loop, fd, tls, server, &stream_limits, &link_stream_ops, l);
	if (l->stream == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

struct link *
link_adopt_stream(struct loop *loop, struct stream *stream, const struct link_limits *limits,
    const struct link_ops *ops, void *arg)
{
	struct stream_limits stream_limits = link_stream_limits(limits);
	struct link *l = link_new(loop, limits, ops, arg);

	if (l == NULL)
		return NULL;
	l->stream = stream;
	l->was_up = true;
	stream_set_owner(stream, &link_stream_ops, l);
	stream_set_limits(stream, &stream_limits);
	stream_input_again(stream);
	return l;
}

bool
link_send2(struct link *l, const void *head, size_t head_size, const void *tail, size_t tail_size)
{
	size_t size = head_size + tail_size;
	uint8_t prefix[FRAME_HEAD_BYTES];
	struct stream_part parts[] = {
	    {prefix, sizeof prefix}, {head, head_size}, {tail, tail_size}};

	if (l->closed || size < head_size || size > l->frame_bytes_max)
		return false;
	prefix[0] = (uint8_t)(size >> 24);
	prefix[1] = (uint8_t)(size >> 16);
	prefix[2] = (uint8_t)(size >> 8);
	prefix[3] = (uint8_t)size;
	return stream_send(l->stream, parts, sizeof parts / sizeof parts[0]);
}

bool
link_send(struct link *l, const void *bytes, size_t size)
{
	return link_send2(l, bytes, size, NULL, 0);
}

void
link_pause(struct link *l, bool paused)
{
	l->paused = paused;
	stream_pause(l->stream, paused);
}

void
link_close(struct link *l)
{
	if (l->closed)
		return;
	link_end(l);
	stream_close(l->stream);
}

void
link_abort(struct link *l)
{
	if (l->closed)
		return;
	link_end(l);
	stream_abort(l->stream);
}

size_t
link_queued_bytes(const struct link *l)
{
	return l->closed ? 0 : stream_queued_bytes(l->stream);
}

const struct tls_peer *
link_peer(const struct link *l)
{
	return stream_peer(l->stream);
}

const char *
link_peer_address(const struct link *l)
{
	return stream_peer_address(l->stream);
}

bool
link_was_turned_away(const struct link *l)
{
	return l->hears_tls || stream_was_turned_away(l->stream);
}

bool
link_peer_cred(const struct link *l, uid_t *uid, pid_t *pid)
{
	return stream_peer_cred(l->stream, uid, pid);
}

void
link_set_arg(struct link *l, const struct link_ops *ops, void *arg)
{
	l->ops = ops;
	l->arg = arg;
}

struct stream *
link_stream(struct link *l)
{
	return l->stream;
}

bool
link_has_ops(const struct link *l)
{
	return l->ops != NULL;
}

bool
link_was_up(const struct link *l)
{
	return l->was_up;
}

void
link_on_end(struct link *l, void (*ended)(void *arg), void *arg)
{
	l->ended = ended;
	l->ended_arg = arg;
}
