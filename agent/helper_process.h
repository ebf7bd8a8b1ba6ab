/* SPDX-License-Identifier: Apache-2.0 */
/* The helper as a process of its own, and the agent's way to it or to one in the same process. */
#ifndef CORRAL_AGENT_HELPER_PROCESS_H
#define CORRAL_AGENT_HELPER_PROCESS_H

#include <stdbool.h>

#include "agent/helper.h"
#include "libcommon/io/loop.h"

/*
 * Fork: the child serves requests from the socket pair until the agent closes its end, and exits.
 * Returns our end, -1 with errno.
 */
int helper_process_start(struct helper *h);

struct helper_client;
typedef void helper_reply_fn(void *arg, const Corral__HelperReply *reply);

/* fd >= 0: a helper process; on its end down() is called. fd -1: h is called directly. NULL: no
 * memory. */
struct helper_client *helper_client_new(struct loop *loop, struct helper *h, int fd,
    helper_reply_fn *reply, void (*down)(void *arg, const char *why), void *arg);
void helper_client_free(struct helper_client *c);

/* Hand over one packed HelperRequest; the reply may come from within the call. False: the helper is
 * gone. */
bool helper_client_send(struct helper_client *c, const void *bytes, size_t size);

#endif
