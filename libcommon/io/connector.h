/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to a connected socket: resolve the name (without blocking the loop, by libevent's
 * resolver: /etc/hosts and DNS), try the addresses found in turn. Knows no deadline: its owner
 * cancels. For whom stream.h is for.
 */
#ifndef CORRAL_IO_CONNECTOR_H
#define CORRAL_IO_CONNECTOR_H

#include "libcommon/io/loop.h"

struct connector;

/*
 * done() is called once, from the loop, never from within the call: with a non-blocking descriptor
 * that it takes over, or with -1 and the reason. The connector is gone after it. NULL: no memory.
 */
struct connector *connector_start(struct loop *loop, const char *address,
    void (*done)(void *arg, int fd, const char *why), void *arg);
void connector_cancel(struct connector *c);

#endif
