/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/quorum_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/io/stream.h"
#include "libcommon/sys/log.h"
#include "zkserver/member_cert.h"
#include "zkserver/peer_listener.h"
#include "zkserver/snapshot_feed.h"

#define INPUT_BYTES_MAX ((size_t)1 << 20)
#define QUEUE_BYTES_MAX ((size_t)1 << 20)
#define OUT_BYTES_MAX ((size_t)1 << 30) /* the core bounds it */
#define PART_BYTES_MAX ((size_t)256 << 10)
#define FEED_BYTES_MAX ((size_t)256 << 10)
#define FEED_READS_MAX 1 /* a turn: the clients wait meanwhile */
/* Accepted connections that are not up yet; the oldest makes room. */
#define YOUNG_MAX 64
#define LISTEN_FOR_EVER 0

struct quorum_link {
	struct list link;
	struct quorum_port *port;
	struct stream *stream; /* NULL: it is down */
	struct peer_link core;
	struct buf out;
	int64_t dialled; /* the sid that we wanted; -1: it came to us */
	bool observes;	 /* it goes, or came, to a port for observers */
	bool known;	 /* the core has it */
	bool named;	 /* its certificate was looked at */
	bool paused;
	struct snapshot_feed feed; /* child 0 and fd -1: none */
};

struct quorum_port {
	struct quorum_port_config config;
	struct peer_listener *listener;
	char listen_address[ADDRESS_TEXT_SIZE];
	struct peer_listener *observers; /* NULL: none are taken */
	struct list links;		 /* oldest first */
	unsigned young_count;
	struct quorum_link *dialling; /* not up yet */
	struct deferral again;	      /* another turn, though nothing has come */
};

static void on_up(void *arg);
static void on_writable(void *arg);
static void on_down(void *arg, const char *why);
static uint8_t *on_room(void *arg, size_t *size);
static void on_took(void *arg, size_t size);

static const struct stream_ops ops = {
    .up = on_up, .writable = on_writable, .down = on_down, .room = on_room, .took = on_took};

static struct stream_limits
limits_of(const struct quorum_port *q)
{
	return (struct stream_limits){
	    .input_bytes_max = INPUT_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = q->config.conf->connect_ms,
	};
}

static struct quorum_link *
link_new(struct quorum_port *q, int64_t dialled)
{
	struct quorum_link *l = calloc(1, sizeof *l);

	if (l == NULL) {
		log_error("no memory for a link between servers");
		return NULL;
	}
	l->port = q;
	l->dialled = dialled;
	l->feed.fd = -1;
	buf_init(&l->out, OUT_BYTES_MAX);
	list_append(&q->links, &l->link);
	if (dialled < 0)
		q->young_count++;
	return l;
}

/* The stream must be gone by now. */
static void
link_free(struct quorum_link *l)
{
	if (l->port->dialling == l)
		l->port->dialling = NULL;
	if (l->dialled < 0 && !l->known)
		l->port->young_count--;
	snapshot_feed_stop(&l->feed);
	buf_fini(&l->out);
	list_remove(&l->link);
	free(l);
}

static void
clock_now(struct quorum_port *q)
{
	q->config.clock(q->config.arg);
}

/* ---- input ---- */

/* Is the certificate of a member that of its host? */
static bool
is_itself(const struct quorum_link *l, int64_t sid)
{
	const struct zoo_tls *tls = &l->port->config.conf->tls;
	const struct member *m = members_find(l->port->config.members, sid);

	if (!stream_is_tls(l->stream) || !tls->check_names ||
	    (l->dialled < 0 && !tls->check_client_names) || m == NULL)
		return true;
	return stream_peer_named(l->stream, m->host);
}

static void
print_refusal(const struct quorum_link *l, int64_t sid, char why[MEMBER_CERT_WHY_SIZE])
{
	const struct member *m = members_find(l->port->config.members, sid);

	member_cert_print_refusal(
	    l->stream, m != NULL ? m->host : "", l->dialled >= 0, why, MEMBER_CERT_WHY_SIZE);
}

static void
on_up(void *arg)
{
	struct quorum_link *l = arg;
	struct quorum_port *q = l->port;
	char why[MEMBER_CERT_WHY_SIZE];

	if (l->dialled >= 0 && !is_itself(l, l->dialled)) {
		print_refusal(l, l->dialled, why);
		stream_fail(l->stream, why);
		return;
	}
	clock_now(q);
	l->known = true;
	if (l->dialled < 0) {
		q->young_count--;
		if (l->observes)
			peer_observer_accepted(q->config.peer, &l->core, &l->out);
		else
			peer_link_accepted(q->config.peer, &l->core, &l->out);
	} else {
		q->dialling = NULL;
		peer_link_dialled(q->config.peer, &l->core, &l->out, l->dialled);
	}
}

static uint8_t *
on_room(void *arg, size_t *size)
{
	struct quorum_link *l = arg;

	clock_now(l->port);
	return peer_link_room(l->port->config.peer, &l->core, size);
}

static void
on_took(void *arg, size_t size)
{
	struct quorum_link *l = arg;

	peer_link_took(l->port->config.peer, &l->core, size);
}

static void
on_down(void *arg, const char *why)
{
	struct quorum_link *l = arg;
	struct quorum_port *q = l->port;
	const char *address = stream_peer_address(l->stream); /* there until the end of the turn */
	int64_t sid = l->dialled;

	l->stream = NULL;
	clock_now(q);
	if (l->known)
		peer_link_closed(q->config.peer, &l->core);
	else if (sid >= 0)
		log_info("server %lld: no connection to its %s: %s", (long long)sid,
		    l->observes ? "port for observers" : "quorum port", why);
	else
		log_peer("quorum port: %s: a connection came to nothing: %s", address, why);
	if (!l->known && sid >= 0) {
		q->dialling = NULL;
		peer_dial_failed(q->config.peer, sid);
	}
	link_free(l);
}

static void
drop_oldest_young(struct quorum_port *q)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &q->links) {
		struct quorum_link *l = CONTAINER_OF(it, struct quorum_link, link);

		if (l->dialled >= 0 || l->known)
			continue;
		log_peer("quorum port: %s makes room for a newer connection",
		    stream_peer_address(l->stream));
		stream_abort(l->stream);
		link_free(l);
		return;
	}
}

static void
take_connection(struct quorum_port *q, int fd, bool encrypted, bool observes)
{
	struct stream_limits limits = limits_of(q);
	struct quorum_link *l;

	if (q->young_count >= YOUNG_MAX)
		drop_oldest_young(q);
	if ((l = link_new(q, -1)) == NULL) {
		close(fd);
		return;
	}
	l->observes = observes;
	l->stream = stream_adopt(
	    q->config.loop, fd, encrypted ? q->config.tls : NULL, true, &limits, &ops, l);
	if (l->stream == NULL)
		link_free(l);
}

static void
on_accepted(void *arg, int fd, bool encrypted)
{
	take_connection(arg, fd, encrypted, false);
}

static void
on_observer_accepted(void *arg, int fd, bool encrypted)
{
	take_connection(arg, fd, encrypted, true);
}

/* ---- listening ---- */

static void
on_cannot_listen(void *arg, const char *why)
{
	(void)arg;
	log_die(EX_OSERR, "the quorum port: %s", why);
}

/* At a port of this member's host, or of all addresses. */
static void
print_home(const struct quorum_port *q, const struct member *self, uint32_t port,
    char to[ADDRESS_TEXT_SIZE])
{
	const char *host = q->config.conf->listen_on_all ? "" : self->host;

	address_join(to, ADDRESS_TEXT_SIZE, host, (int)port);
}

static struct peer_listener *
listen_at(struct quorum_port *q, const char *address, const char *name,
    void (*accepted)(void *arg, int fd, bool encrypted))
{
	const struct zoo_ensemble *conf = q->config.conf;
	const struct peer_listener_config config = {
	    .loop = q->config.loop,
	    .address = address,
	    .name = name,
	    .tries = LISTEN_FOR_EVER,
	    .encrypted = q->config.tls != NULL,
	    .unify = q->config.tls != NULL && conf->tls.unify,
	    .detect_ms = conf->connect_ms,
	    .keep_alive = conf->keep_alive,
	    .accepted = accepted,
	    .failed = on_cannot_listen,
	    .arg = q,
	};

	return peer_listener_new(&config);
}

/* Who is no member stays where it is. */
static bool
listen_at_home(struct quorum_port *q)
{
	const struct member *self = members_find(q->config.members, q->config.conf->sid);
	char address[ADDRESS_TEXT_SIZE];

	if (self == NULL)
		return q->listener != NULL;
	print_home(q, self, self->quorum_port, address);
	if (q->listener != NULL && strcmp(q->listen_address, address) == 0)
		return true;
	peer_listener_free(q->listener);
	str_copy(q->listen_address, sizeof q->listen_address, address);
	q->listener = listen_at(q, address, "quorum", on_accepted);
	return q->listener != NULL;
}

/* While there is nobody who would take them, observers are to go elsewhere at once. */
static void
listen_for_observers(struct quorum_port *q)
{
	const struct member *self = members_find(q->config.members, q->config.conf->sid);
	char address[ADDRESS_TEXT_SIZE];

	if (!peer_takes_observers(q->config.peer)) {
		peer_listener_free(q->observers);
		q->observers = NULL;
		return;
	}
	if (q->observers != NULL || self == NULL)
		return;
	print_home(q, self, q->config.conf->observer_master_port, address);
	q->observers = listen_at(q, address, "observers'", on_observer_accepted);
	if (q->observers == NULL)
		log_die(EX_OSERR, "no memory for the port for observers");
}

/* ---- output ---- */

/* False: the queue has no more room, on_writable() will come. */
static bool
send_out(struct quorum_link *l)
{
	if (l->out.len > 0)
		buf_consume(&l->out, stream_send_now(l->stream, l->out.data, l->out.len));
	while (l->out.len > 0) {
		struct stream_part part = {
		    l->out.data, l->out.len < PART_BYTES_MAX ? l->out.len : PART_BYTES_MAX};

		if (!stream_send(l->stream, &part, 1))
			return false;
		buf_consume(&l->out, part.size);
	}
	return true;
}

static void end_link(struct quorum_link *l);

static void
feed_ready(void *arg)
{
	struct quorum_link *l = arg;
	enum snapshot_feed_state state = SNAPSHOT_FEED_MORE;
	static uint8_t bytes[FEED_BYTES_MAX];
	size_t got = 1;
	unsigned reads = 0;

	clock_now(l->port);
	while (send_out(l) && state == SNAPSHOT_FEED_MORE && got > 0 && reads++ < FEED_READS_MAX) {
		/* What was queued before has gone: the learner is busy, however long it takes. */
		peer_link_drained(l->port->config.peer, &l->core);
		state = snapshot_feed_read(&l->feed, bytes, sizeof bytes, &got);
		buf_append(&l->out, bytes, got);
	}
	if (state == SNAPSHOT_FEED_FAILED || l->out.failed) {
		log_error(
		    "the snapshot for server %lld failed in the making", (long long)l->core.sid);
		peer_link_closed(l->port->config.peer, &l->core);
		end_link(l);
	} else if (state == SNAPSHOT_FEED_END) {
		snapshot_feed_stop(&l->feed);
		peer_link_snapshot_sent(l->port->config.peer, &l->core);
	} else if (!snapshot_feed_want(&l->feed, l->out.len == 0))
		log_die(EX_OSERR, "no memory for a watch of a pipe");
}

static void
start_snapshot(struct quorum_link *l)
{
	struct quorum_port *q = l->port;

	peer_link_snapshot_begin(q->config.peer, &l->core);
	if (l->core.end != PEER_LINK_OPEN)
		return;
	send_out(l); /* the packet before it; if not all goes, on_writable() wakes the feed */
	if (!snapshot_feed_start(&l->feed, q->config.loop, q->config.db, feed_ready, l) ||
	    !snapshot_feed_want(&l->feed, l->out.len == 0)) {
		peer_link_closed(q->config.peer, &l->core);
		end_link(l);
	}
}

static void
on_writable(void *arg)
{
	struct quorum_link *l = arg;

	clock_now(l->port);
	if (!send_out(l))
		return;
	if (l->feed.child != 0)
		feed_ready(l);
	else if (l->known && l->core.end == PEER_LINK_OPEN)
		peer_link_drained(l->port->config.peer, &l->core);
}

/* The core knows that it is over: let go of the stream, which sends what is queued. */
static void
end_link(struct quorum_link *l)
{
	struct stream *s = l->stream;

	l->stream = NULL;
	if (s != NULL && l->core.end == PEER_LINK_CLOSE_FLUSHED)
		stream_close(s);
	else if (s != NULL)
		stream_abort(s);
	link_free(l);
}

static void
pause_reading(struct quorum_link *l)
{
	if (l->paused == l->core.paused)
		return;
	l->paused = l->core.paused;
	stream_pause(l->stream, l->paused);
	if (!l->paused)
		stream_input_again(l->stream);
}

/* A learner has said who it is: is that what its certificate says? False: it is gone. */
static bool
check_name(struct quorum_link *l)
{
	char why[MEMBER_CERT_WHY_SIZE];

	if (l->dialled >= 0 || l->named || l->core.sid < 0)
		return true;
	l->named = true;
	if (is_itself(l, l->core.sid))
		return true;
	print_refusal(l, l->core.sid, why);
	log_peer("quorum port: %s says that it is server %lld: %s", stream_peer_address(l->stream),
	    (long long)l->core.sid, why);
	peer_link_closed(l->port->config.peer, &l->core);
	end_link(l);
	return false;
}

/* Whoever came to us may be anybody, as often as it likes. */
static void
say_end(const struct quorum_link *l)
{
	const struct peer_link *core = &l->core;
	const char *address = stream_peer_address(l->stream);

	if (l->dialled >= 0)
		log_warn("server %lld (%s): %s", (long long)core->sid, address, core->why);
	else if (core->sid >= 0)
		log_peer(
		    "quorum port: server %lld (%s): %s", (long long)core->sid, address, core->why);
	else
		log_peer("quorum port: %s: %s", address, core->why);
}

/* The core has something to say of the link. */
static void
attend(struct quorum_link *l)
{
	struct peer_link *core = &l->core;
	bool sent = core->end == PEER_LINK_CLOSE || send_out(l);

	if (core->end == PEER_LINK_CLOSE || (core->end == PEER_LINK_CLOSE_FLUSHED && sent)) {
		if (core->why[0] != '\0')
			say_end(l);
		peer_link_closed(l->port->config.peer, core);
		end_link(l);
		return;
	}
	/* What the kernel has taken at once nothing will tell us of. */
	if (sent && core->more)
		deferral_set(l->port->config.loop, &l->port->again);
	pause_reading(l);
}

static void
on_again(void *arg)
{
	(void)arg;
}

/* Each is a child with the tree as it was then: so many at a time, the others wait. */
static void
start_snapshots(struct quorum_port *q)
{
	struct list *it, *nx;
	unsigned under_way = 0;

	LIST_EACH(it, nx, &q->links)
		under_way += CONTAINER_OF(it, struct quorum_link, link)->feed.child != 0;
	LIST_EACH(it, nx, &q->links) {
		struct quorum_link *l = CONTAINER_OF(it, struct quorum_link, link);

		if (under_way >= q->config.conf->snapshot_learners_max)
			return;
		if (!l->known || !l->core.wants_snapshot || l->feed.child != 0 ||
		    l->core.end != PEER_LINK_OPEN)
			continue;
		start_snapshot(l);
		under_way++;
	}
}

const char *
quorum_port_address(const struct peer_link *link)
{
	const struct quorum_link *l = CONTAINER_OF(link, struct quorum_link, core);

	return l->stream != NULL ? stream_peer_address(l->stream) : "";
}

void
quorum_port_flush(struct quorum_port *q)
{
	struct peer_link *core;

	while ((core = peer_next_dirty(q->config.peer)) != NULL) {
		struct quorum_link *l = CONTAINER_OF(core, struct quorum_link, core);

		if (!check_name(l))
			continue;
		attend(l);
	}
	start_snapshots(q);
	listen_for_observers(q);
}

/* ---- connecting ---- */

static void
dial(struct quorum_port *q, int64_t sid, uint32_t master_port)
{
	const struct member *m = members_find(q->config.members, sid);
	struct stream_limits limits = limits_of(q);
	bool plain = !q->config.conf->encrypted;
	char address[ADDRESS_TEXT_SIZE];
	struct quorum_link *l;

	if (q->dialling != NULL) {
		stream_abort(q->dialling->stream);
		link_free(q->dialling);
	}
	if (m == NULL && q->config.conf->has_proposed)
		m = members_find(&q->config.conf->proposed, sid);
	if (m == NULL) {
		peer_dial_failed(q->config.peer, sid);
		return;
	}
	if ((l = link_new(q, sid)) == NULL)
		log_die(EX_OSERR, "no memory for a connection to server %lld", (long long)sid);
	l->observes = master_port > 0;
	address_join(address, sizeof address, m->host,
	    (int)(master_port > 0 ? master_port : m->quorum_port));
	l->stream = stream_connect(
	    q->config.loop, address, plain ? NULL : q->config.tls, NULL, &limits, &ops, l);
	q->dialling = l;
	if (l->stream == NULL)
		log_die(EX_OSERR, "no memory for a connection to server %lld", (long long)sid);
}

void
quorum_port_dial(struct quorum_port *q, int64_t sid)
{
	dial(q, sid, 0);
}

void
quorum_port_dial_master(struct quorum_port *q, int64_t sid)
{
	dial(q, sid, q->config.conf->observer_master_port);
}

bool
quorum_port_moved(struct quorum_port *q)
{
	return listen_at_home(q);
}

struct quorum_port *
quorum_port_open(const struct quorum_port_config *config, char *error, size_t size)
{
	const struct member *self = members_find(config->members, config->conf->sid);
	struct quorum_port *q = calloc(1, sizeof *q);

	if (q == NULL || self == NULL) {
		snprintf(error, size, "the quorum port: %s",
		    q == NULL ? "no memory" : "this server is no member");
		free(q);
		return NULL;
	}
	q->config = *config;
	list_init(&q->links);
	deferral_init(&q->again, on_again, q);
	if (listen_at_home(q))
		return q;
	snprintf(error, size, "the quorum port: no memory");
	free(q);
	return NULL;
}

void
quorum_port_close(struct quorum_port *q)
{
	struct list *it, *nx;

	if (q == NULL)
		return;
	peer_listener_free(q->observers);
	deferral_cancel(&q->again);
	peer_listener_free(q->listener);
	LIST_EACH(it, nx, &q->links) {
		struct quorum_link *l = CONTAINER_OF(it, struct quorum_link, link);

		if (l->known)
			peer_link_closed(q->config.peer, &l->core);
		l->core.end = PEER_LINK_CLOSE;
		end_link(l);
	}
	free(q);
}
