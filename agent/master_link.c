/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/master_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/codec/message.h"
#include "libcommon/io/link.h"
#include "libcommon/sys/log.h"

/* As the master has it: a report of AGENT_ATTEMPTS_MAX attempts must fit. */
#define QUEUE_BYTES_MAX (32 << 20)
#define HANDSHAKE_MS 10000
#define WHY_BYTES 320

struct master_link {
	struct dialer *dialer;
	struct link *link; /* NULL while it is down */
	const struct master_link_ops *ops;
	void *arg;
	const char *cluster;	  /* whose masters we obey */
	char last_why[WHY_BYTES]; /* so that the same failure is said once */
};

/* Say why there is no master, once for the same reason. */
static void
say_down(struct master_link *l, const char *why)
{
	if (strncmp(l->last_why, why, sizeof l->last_why - 1) == 0)
		return;
	if (!str_copy(l->last_why, sizeof l->last_why, why))
		str_copy(l->last_why, sizeof l->last_why, "another reason");
	log_warn("no master: %s; trying again", why);
}

static void
on_up(void *arg, struct link *l)
{
	struct master_link *m = arg;

	const struct tls_peer *peer = link_peer(l);
	char why[WHY_BYTES];

	if (peer->role != TLS_ROLE_MASTER || strcmp(peer->cluster, m->cluster) != 0) {
		snprintf(why, sizeof why,
		    "%.60s has a certificate of %.10s '%.40s' of cluster '%.40s', not of a master "
		    "of '%.40s'",
		    link_peer_address(l),
		    peer->role == TLS_ROLE_NONE ? "nobody" : tls_role_name(peer->role), peer->name,
		    peer->cluster, m->cluster);
		say_down(m, why);
		link_abort(l);
		return;
	}
	m->link = l;
	m->ops->up(m->arg);
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	Corral__MasterToAgent *message = (Corral__MasterToAgent *)message_unpack(
	    &corral__master_to_agent__descriptor, size, bytes);
	struct master_link *m = arg;

	(void)l;
	if (message == NULL) {
		master_link_drop(m, "it sent a message that cannot be read");
		return;
	}
	m->ops->message(m->arg, message);
	corral__master_to_agent__free_unpacked(message, NULL);
}

static void
on_writable(void *arg, struct link *l)
{
	struct master_link *m = arg;

	(void)l;
	m->ops->writable(m->arg);
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct master_link *m = arg;
	bool was_up = m->link == l;

	say_down(m, why);
	if (!was_up)
		return;
	m->link = NULL;
	m->ops->down(m->arg);
}

struct master_link *
master_link_new(struct loop *loop, struct tls *tls, const char *cluster,
    const char *const *addresses, size_t count, const struct master_link_ops *ops, void *arg)
{
	static const struct link_limits limits = {
	    FRAME_AGENT_MASTER_BYTES_MAX, QUEUE_BYTES_MAX, HANDSHAKE_MS, 0};
	static const struct link_ops link_ops = {on_up, on_frame, on_writable, on_down};
	struct master_link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->ops = ops;
	l->cluster = cluster;
	l->arg = arg;
	if ((l->dialer = dialer_new(loop, addresses, count, tls, &limits, &link_ops, l)) != NULL)
		return l;
	free(l);
	return NULL;
}

void
master_link_free(struct master_link *l)
{
	if (l == NULL)
		return;
	dialer_free(l->dialer);
	free(l);
}

void
master_link_set_addresses(struct master_link *l, const char *const *addresses, size_t count)
{
	if (!dialer_set_addresses(l->dialer, addresses, count)) {
		log_error("the masters' addresses: no memory");
		return;
	}
	if (l->link != NULL)
		master_link_drop(l, "another master leads");
}

bool
master_link_send(struct master_link *l, const void *bytes, size_t size)
{
	return l->link != NULL && link_send(l->link, bytes, size);
}

bool
master_link_send_message(struct master_link *l, const Corral__AgentToMaster *message)
{
	return l->link != NULL && link_send_message(l->link, &message->base);
}

void
master_link_drop(struct master_link *l, const char *why)
{
	struct link *link = l->link;

	if (link == NULL)
		return;
	say_down(l, why);
	l->link = NULL;
	link_abort(link);
	l->ops->down(l->arg);
}
