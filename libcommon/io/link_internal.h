/* SPDX-License-Identifier: Apache-2.0 */
/* Links over streams that somebody else opened, for listeners, dialers and HTTP's upgrade. */
#ifndef CORRAL_IO_LINK_INTERNAL_H
#define CORRAL_IO_LINK_INTERNAL_H

#include "libcommon/io/link.h"
#include "libcommon/io/stream.h"

/* Take a stream that is up; up() is not called. NULL: no memory, and the stream is the caller's. */
struct link *link_adopt_stream(struct loop *loop, struct stream *stream,
    const struct link_limits *limits, const struct link_ops *ops, void *arg);

struct stream *link_stream(struct link *l);
bool link_has_ops(const struct link *l);
bool link_was_up(const struct link *l);

/* Call ended() just before the link is released, whoever ended it. NULL: do not. */
void link_on_end(struct link *l, void (*ended)(void *arg), void *arg);

/*
 * A listener that hands out descriptors: accepted() takes fd and returns the stream made of it, or
 * NULL. Connections count against connections_max until their stream is released.
 */
struct listener *listener_open_raw(struct loop *loop, const char *address, size_t connections_max,
    struct stream *(*accepted)(void *arg, int fd), void *arg, char *error, size_t size);

#endif
