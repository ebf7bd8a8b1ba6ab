/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's way to its helper: a process of its own (helper_server.h), or one in this process. */
#ifndef CORRAL_AGENT_HELPER_CLIENT_H
#define CORRAL_AGENT_HELPER_CLIENT_H

#include <stdbool.h>

#include "agent/helper.h"
#include "libcommon/io/loop.h"

/* Where the requests of an agent go. */
struct helper_way {
	struct helper *local; /* called directly, where fd is -1 */
	int fd;		      /* of a helper's process */
	struct isolation isolation;
};

/*
 * Connect to the helper that listens on the socket `path`, and ask it which isolation it gives.
 * It must work on the same state directory. Blocks for seconds at most. False: said on stderr.
 */
bool helper_connect(const char *path, const char *state_dir, struct helper_way *to);

struct helper_client;
typedef void helper_reply_fn(void *arg, const Corral__HelperReply *reply);

/* Takes way->fd; when that process ends down() is called. NULL: no memory. */
struct helper_client *helper_client_new(struct loop *loop, const struct helper_way *way,
    helper_reply_fn *reply, void (*down)(void *arg, const char *why), void *arg);
void helper_client_free(struct helper_client *c);

/* Hand over one packed HelperRequest; the reply may come from within the call. False: the helper is
 * gone, or takes no more. */
bool helper_client_send(struct helper_client *c, const void *bytes, size_t size);

#endif
