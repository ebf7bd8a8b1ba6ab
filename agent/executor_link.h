/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of executors: a listener on loopback, TLS 1.3 with each attempt's own key, and the link
 * of each attempt by its name.
 */
#ifndef CORRAL_AGENT_EXECUTOR_LINK_H
#define CORRAL_AGENT_EXECUTOR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/codec/taskkey.h"
#include "libcommon/io/loop.h"

struct executor_links;

struct executor_link_ops {
	bool (*psk)(void *arg, const char *name, uint8_t psk[32]);
	bool (*hello)(void *arg, const Corral__ExecutorHello *hello); /* false: close the link */
	void (*update)(void *arg, const struct taskkey *key, const Corral__StatusUpdate *update);
	void (*input_ack)(void *arg, const struct taskkey *key, uint64_t bytes);
	void (*stuck)(void *arg, const struct taskkey *key);
	void (*down)(void *arg, const struct taskkey *key);
};

/* Listen on address. NULL: the reason is in error[size]. */
struct executor_links *executor_links_new(struct loop *loop, const char *address,
    const struct executor_link_ops *ops, void *arg, char *error, size_t size);
void executor_links_free(struct executor_links *e);
uint16_t executor_links_port(const struct executor_links *e);

/* Send one packed AgentToExecutor; false: the attempt has no link, or its queue is full. */
bool executor_links_send(
    struct executor_links *e, const struct taskkey *key, const void *bytes, size_t size);
bool executor_links_send_message(
    struct executor_links *e, const struct taskkey *key, const Corral__AgentToExecutor *message);

#endif
