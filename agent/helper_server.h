/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper as a process of its own: it serves one agent, one request after the other, each a
 * frame of a 4-byte big-endian length and a HelperRequest, answered by a HelperReply. No network,
 * no event loop.
 */
#ifndef CORRAL_AGENT_HELPER_SERVER_H
#define CORRAL_AGENT_HELPER_SERVER_H

#include "agent/helper.h"

#define HELPER_FRAME_HEAD_BYTES 4

/*
 * Fork: the child serves requests from the socket pair until the agent closes its end, and exits.
 * Returns our end, -1 with errno.
 */
int helper_server_fork(struct helper *h);

/*
 * Listen on the socket `path` until SIGTERM, for root and the account uid, of whose group gid the
 * socket is. One agent is served at a time; a few more wait until it is gone. An old socket file is
 * replaced if nobody listens on it. The status to exit with.
 */
int helper_server_run(struct helper *h, const char *path, uid_t uid, gid_t gid);

#endif
