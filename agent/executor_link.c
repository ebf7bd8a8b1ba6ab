/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executor_link.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/codec/message.h"
#include "libcommon/io/link.h"
#include "libcommon/sys/log.h"

#define QUEUE_BYTES_MAX (2 << 20)
#define HANDSHAKE_MS 10000
#define CONNECTIONS_MAX 65536

struct executor_link {
	struct list all;       /* of the links of `owner` */
	struct hmap_node node; /* by name, once it said hello */
	struct executor_links *owner;
	struct link *link;
	bool greeted;
	struct taskkey key;
	char name[TASKKEY_NAME_BYTES];
};

struct executor_links {
	struct loop *loop;
	struct tls *tls;
	struct listener *listener;
	struct list all;
	struct hmap greeted;
	const struct executor_link_ops *ops;
	void *arg;
};

/* Names are of our own making: nobody outside chooses them to collide. */
static uint64_t
hash_name(const char *name)
{
	static const struct hash_key key = {1, 2};

	return hash_bytes(&key, name, strlen(name));
}

static struct executor_link *
find(struct executor_links *e, const struct taskkey *key)
{
	char name[TASKKEY_NAME_BYTES];

	taskkey_name(key, name);
	for (struct hmap_node *n = hmap_first(&e->greeted, hash_name(name)); n != NULL;
	     n = hmap_next(n)) {
		struct executor_link *x = CONTAINER_OF(n, struct executor_link, node);

		if (strcmp(x->name, name) == 0)
			return x;
	}
	return NULL;
}

/* Forget the link; tell the owner if it was an attempt's. */
static void
forget(struct executor_link *x)
{
	struct executor_links *e = x->owner;
	struct taskkey key = x->key;
	bool greeted = x->greeted;

	list_remove(&x->all);
	if (greeted)
		hmap_remove(&e->greeted, &x->node);
	free(x);
	if (greeted)
		e->ops->down(e->arg, &key);
}

static void
hang_up(struct executor_link *x, const char *why)
{
	log_warn("executor %s: %s: its link is closed",
	    x->greeted ? x->name : link_peer_address(x->link), why);
	link_abort(x->link);
	forget(x);
}

/* The first message: who it is must be who the key proved it to be. */
static void
take_hello(struct executor_link *x, const Corral__ExecutorHello *hello)
{
	struct executor_links *e = x->owner;
	struct executor_link *old;

	x->key = taskkey_of(hello->key);
	taskkey_name(&x->key, x->name);
	if (strcmp(x->name, link_peer(x->link)->psk_identity) != 0) {
		hang_up(x, "it says that it is another attempt than its key says");
		return;
	}
	if ((old = find(e, &x->key)) != NULL) {
		link_abort(old->link);
		forget(old);
	}
	if (!hmap_insert(&e->greeted, &x->node, hash_name(x->name))) {
		hang_up(x, "no memory");
		return;
	}
	x->greeted = true;
	if (!e->ops->hello(e->arg, hello))
		hang_up(x, "it is not the executor of an attempt that this agent knows");
}

static void
take_message(struct executor_link *x, const Corral__ExecutorToAgent *m)
{
	struct executor_links *e = x->owner;

	if (!x->greeted) {
		if (m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_HELLO)
			take_hello(x, m->hello);
		else
			hang_up(x, "its first message is no hello");
		return;
	}
	if (m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_UPDATE)
		e->ops->update(e->arg, &x->key, m->update);
	else if (m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_INPUT_ACK)
		e->ops->input_ack(e->arg, &x->key, m->input_ack->bytes);
	else if (m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_STUCK)
		e->ops->stuck(e->arg, &x->key);
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	Corral__ExecutorToAgent *m = (Corral__ExecutorToAgent *)message_unpack(
	    &corral__executor_to_agent__descriptor, size, bytes);

	(void)l;
	if (m == NULL) {
		hang_up(arg, "a message that cannot be read");
		return;
	}
	take_message(arg, m);
	corral__executor_to_agent__free_unpacked(m, NULL);
}

static void
on_up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct executor_link *x = arg;

	if (x->name[0] != '\0')
		log_debug("executor %s: link down: %s", x->name, why);
	else
		log_peer("%s on the executors' port: %s", link_peer_address(l), why);
	forget(x);
}

static void
on_accepted(void *arg, struct link *l)
{
	static const struct link_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
	struct executor_links *e = arg;
	struct executor_link *x = calloc(1, sizeof *x);

	if (x == NULL)
		return; /* a link without ops is closed */
	x->owner = e;
	x->link = l;
	list_append(&e->all, &x->all);
	link_set_arg(l, &ops, x);
}

static bool
find_psk(void *arg, const char *identity, uint8_t key[TLS_PSK_BYTES])
{
	struct executor_links *e = arg;

	return e->ops->psk(e->arg, identity, key);
}

struct executor_links *
executor_links_new(struct loop *loop, const char *address, const struct executor_link_ops *ops,
    void *arg, char *error, size_t size)
{
	static const struct link_limits limits = {
	    FRAME_EXECUTOR_AGENT_BYTES_MAX, QUEUE_BYTES_MAX, HANDSHAKE_MS, 0};
	struct executor_links *e = calloc(1, sizeof *e);

	if (e == NULL) {
		str_copy(error, size, "no memory");
		return NULL;
	}
	e->loop = loop;
	e->ops = ops;
	e->arg = arg;
	list_init(&e->all);
	hmap_init(&e->greeted);
	if ((e->tls = tls_new_psk_server(find_psk, e)) == NULL)
		str_copy(error, size, "TLS with pre-shared keys: no memory, or OpenSSL refuses it");
	else
		e->listener = listener_open(
		    loop, address, e->tls, &limits, CONNECTIONS_MAX, on_accepted, e, error, size);
	if (e->listener != NULL)
		return e;
	executor_links_free(e);
	return NULL;
}

void
executor_links_free(struct executor_links *e)
{
	struct list *it, *nx;

	if (e == NULL)
		return;
	LIST_EACH(it, nx, &e->all) {
		struct executor_link *x = CONTAINER_OF(it, struct executor_link, all);

		link_abort(x->link);
		free(x);
	}
	if (e->listener != NULL)
		listener_close(e->listener);
	tls_unref(e->tls);
	hmap_fini(&e->greeted);
	free(e);
}

uint16_t
executor_links_port(const struct executor_links *e)
{
	return listener_port(e->listener);
}

bool
executor_links_send(
    struct executor_links *e, const struct taskkey *key, const void *bytes, size_t size)
{
	struct executor_link *x = find(e, key);

	return x != NULL && link_send(x->link, bytes, size);
}

bool
executor_links_send_message(
    struct executor_links *e, const struct taskkey *key, const Corral__AgentToExecutor *message)
{
	struct executor_link *x = find(e, key);

	return x != NULL && link_send_message(x->link, &message->base);
}
