/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/election_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "libcommon/base/list.h"
#include "libcommon/io/address.h"
#include "libcommon/io/connector.h"
#include "libcommon/io/stream.h"
#include "libcommon/sys/log.h"
#include "zkserver/core/election_links.h"
#include "zkserver/member_cert.h"
#include "zkserver/peer_listener.h"

#define FRAME_HEAD_BYTES 4
#define NOBODY (-1)
#define WHY_SIZE MEMBER_CERT_WHY_SIZE

/* A connection in either direction. The core knows those with a sid as links. */
struct conn {
	struct list link; /* of port->conns, oldest first */
	struct election_port *port;
	struct connector *connector; /* of one that we make, until there is a socket */
	struct stream *stream;	     /* NULL before, and once it is over */
	int64_t sid;		     /* NOBODY: it has not said yet */
	bool dialled;
	bool over;	       /* to be released at the end of the turn */
	struct timer deadline; /* of the hello */
	struct deferral release;
};

/* What was said last about trouble with a server. */
struct grumble {
	char why[WHY_SIZE];
	uint64_t at_ms;
};

/* How often a server's link came up since then. */
struct ups {
	uint64_t since_ms;
	unsigned count;
};

struct election_port {
	struct election_port_config config;
	const struct members *now, *next;
	struct election_links links;
	struct peer_listener *listener;
	char listen_address[ADDRESS_TEXT_SIZE];
	char hello_address[ADDRESS_TEXT_SIZE];
	struct list conns;
	unsigned young_count; /* accepted ones without a sid */
	struct conn *dials[MEMBERS_SID_MAX + 1];
	bool try_next[MEMBERS_SID_MAX + 1]; /* of two addresses, the one seen last */
	struct grumble grumbles[MEMBERS_SID_MAX + 1];
	struct ups ups[MEMBERS_SID_MAX + 1];
	struct timer timer;
};

static uint64_t
now_of(const struct election_port *p)
{
	return loop_now_ms(p->config.loop);
}

/* Let the core's time come. Called behind whatever may have moved its deadline. */
static void
arm(struct election_port *p)
{
	uint64_t at_ms = election_links_deadline_ms(&p->links);

	if (at_ms == UINT64_MAX)
		timer_cancel(&p->timer);
	else if (!timer_set(&p->timer, at_ms))
		log_error("election port: no memory for a timer");
}

static void
on_timer(void *arg)
{
	struct election_port *p = arg;

	election_links_tick(&p->links, now_of(p));
	arm(p);
}

/* Say what is wrong with a server, unless that was said not long ago. */
static void
grumble(struct election_port *p, int64_t sid, const char *address, const char *why)
{
	struct grumble *g = &p->grumbles[sid];

	if (g->why[0] != '\0' && strcmp(g->why, why) == 0 &&
	    now_of(p) - g->at_ms < ELECTION_PORT_SAY_AGAIN_MS)
		return;
	snprintf(g->why, sizeof g->why, "%s", why);
	g->at_ms = now_of(p);
	log_peer("server %d (%s): election link: %s", (int)sid, address, why);
}

/* Is nothing said of its link's coming and going, as that is all that it does? */
static bool
flaps(const struct election_port *p, int64_t sid)
{
	const struct ups *u = &p->ups[sid];

	return u->count > ELECTION_PORT_UPS_MAX &&
	       now_of(p) - u->since_ms < ELECTION_PORT_SAY_AGAIN_MS;
}

static void
say_up(struct election_port *p, int64_t sid)
{
	struct ups *u = &p->ups[sid];

	if (now_of(p) - u->since_ms >= ELECTION_PORT_SAY_AGAIN_MS)
		*u = (struct ups){.since_ms = now_of(p)};
	u->count++;
	if (u->count <= ELECTION_PORT_UPS_MAX)
		log_info("server %d: election link is up", (int)sid);
	else if (u->count == ELECTION_PORT_UPS_MAX + 1)
		log_warn("server %d: its election link comes and goes: %u times in %llu s: do two "
			 "servers have this number?",
		    (int)sid, u->count, (unsigned long long)(now_of(p) - u->since_ms) / 1000);
}

/* Where a member is said to be; NULL: it is none. */
static const struct member *
member_of(const struct election_port *p, int64_t sid)
{
	const struct member *now = members_find(p->now, sid);
	const struct member *next = p->next == NULL ? NULL : members_find(p->next, sid);

	return now == NULL || (next != NULL && p->try_next[sid]) ? next : now;
}

static void
address_of(char to[ADDRESS_TEXT_SIZE], const struct member *m)
{
	address_join(to, ADDRESS_TEXT_SIZE, m->host, (int)m->election_port);
}

static void
conn_release(void *arg)
{
	free(arg);
}

/* Without memory NULL, and the descriptor is closed, if there is one. */
static struct conn *
conn_new(struct election_port *p, int64_t sid)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->port = p;
	c->sid = sid;
	list_append(&p->conns, &c->link);
	deferral_init(&c->release, conn_release, c);
	return c;
}

/* Close it; its memory stays until the end of the turn, for callers further up the stack. */
static void
conn_end(struct conn *c, bool flush)
{
	struct election_port *p = c->port;

	if (c->over)
		return;
	c->over = true;
	if (!c->dialled && c->sid == NOBODY)
		p->young_count--;
	if (c->dialled && p->dials[c->sid] == c)
		p->dials[c->sid] = NULL;
	connector_cancel(c->connector);
	if (c->stream != NULL && flush)
		stream_close(c->stream);
	else if (c->stream != NULL)
		stream_abort(c->stream);
	timer_cancel(&c->deadline);
	list_remove(&c->link);
	deferral_set(p->config.loop, &c->release);
}

static const char *
conn_address(const struct conn *c)
{
	return c->stream != NULL ? stream_peer_address(c->stream) : "not connected";
}

/* A dialled connection came to nothing. */
static void
dial_failed(struct conn *c, const char *why)
{
	struct election_port *p = c->port;
	const struct member *m = member_of(p, c->sid);
	char address[ADDRESS_TEXT_SIZE] = "unknown";
	int64_t sid = c->sid;

	if (m != NULL)
		address_of(address, m);
	grumble(p, sid, address, why);
	p->try_next[sid] = !p->try_next[sid];
	conn_end(c, false);
	election_links_dial_failed(&p->links, now_of(p), sid);
	arm(p);
}

/* The core has given it up, or does not know it yet, in both cases it ends here. */
static void
on_down(void *arg, const char *why)
{
	struct conn *c = arg;
	struct election_port *p = c->port;
	const char *address = conn_address(c); /* there until the end of the turn */
	int64_t sid = c->sid;

	c->stream = NULL;
	if (c->dialled && p->dials[sid] == c) {
		dial_failed(c, why);
		return;
	}
	if (sid == NOBODY)
		log_peer(
		    "election port: %s ended before it said which server it is: %s", address, why);
	else {
		if (!flaps(p, sid))
			log_info("server %d: election link lost: %s", (int)sid, why);
		snprintf(p->grumbles[sid].why, sizeof p->grumbles[sid].why, "%s", why);
	}
	conn_end(c, false);
	if (sid != NOBODY)
		election_links_closed(&p->links, now_of(p), sid, c);
	arm(p);
}

static void
on_writable(void *arg)
{
	struct conn *c = arg;

	if (c->sid != NOBODY)
		election_links_writable(&c->port->links, c->sid, c);
}

/* Hand on the first message, if it is whole. */
static bool
take_frame(struct conn *c)
{
	struct evbuffer *input = stream_input(c->stream);
	size_t have = evbuffer_get_length(input), size;
	uint8_t head[FRAME_HEAD_BYTES];
	const uint8_t *frame;

	if (have < sizeof head)
		return false;
	(void)evbuffer_copyout(input, head, sizeof head);
	size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (size == 0 || size > NOTIFICATION_FRAME_BYTES_MAX) {
		stream_fail(c->stream, "a message of an impossible length");
		return false;
	}
	if (have - sizeof head < size)
		return false;
	frame = evbuffer_pullup(input, (ev_ssize_t)(sizeof head + size));
	if (frame == NULL) {
		stream_fail(c->stream, "no memory for a message");
		return false;
	}
	c->port->config.ops->heard(c->port->config.arg, c->sid, frame + sizeof head, size);
	if (!c->over)
		(void)evbuffer_drain(input, sizeof head + size);
	return !c->over;
}

/*
 * Is the certificate its member's? A stranger's is looked at by the chain only: there is no name
 * to hold it to.
 */
static bool
is_itself(const struct conn *c, int64_t sid)
{
	const struct election_port *p = c->port;
	const struct member *now = members_find(p->now, sid);
	const struct member *next = p->next == NULL ? NULL : members_find(p->next, sid);

	if (!stream_is_tls(c->stream) || !p->config.check_names ||
	    (!c->dialled && !p->config.check_client_names) || (now == NULL && next == NULL))
		return true;
	return (now != NULL && stream_peer_named(c->stream, now->host)) ||
	       (next != NULL && stream_peer_named(c->stream, next->host));
}

static void
print_refusal(const struct conn *c, int64_t sid, char why[MEMBER_CERT_WHY_SIZE])
{
	const struct member *m = member_of(c->port, sid);

	member_cert_print_refusal(
	    c->stream, m != NULL ? m->host : "", c->dialled, why, MEMBER_CERT_WHY_SIZE);
}

static void
refuse(struct conn *c, int64_t sid, const char *why)
{
	if (sid_is_valid(sid))
		grumble(c->port, sid, conn_address(c), why);
	else
		log_peer("election port: %s says that it is server %lld: %s", conn_address(c),
		    (long long)sid, why);
	conn_end(c, false);
}

/* It has said who it is. True: it stays. */
static bool
take_hello(struct conn *c, const struct hello *hello)
{
	static const char *const refusals[] = {
	    [ELECTION_HELLO_OURSELVES] =
		"that is this server's own id: two servers have it, or our address is another's",
	    [ELECTION_HELLO_UNKNOWN] =
		"no member of the ensemble as this server knows it, and such are many already",
	    [ELECTION_HELLO_IMPOSSIBLE] = "no id that a member may have",
	    [ELECTION_HELLO_NO_MEMORY] = "out of memory",
	};
	struct election_port *p = c->port;
	enum election_hello answer;
	char why[MEMBER_CERT_WHY_SIZE];

	timer_cancel(&c->deadline);
	if (!is_itself(c, hello->sid)) {
		print_refusal(c, hello->sid, why);
		refuse(c, hello->sid, why);
		return false;
	}
	answer = election_links_hello(&p->links, now_of(p), c, hello);
	if (answer == ELECTION_HELLO_KEPT) {
		p->young_count--;
		c->sid = hello->sid;
	} else if (answer == ELECTION_HELLO_CALL_BACK) {
		conn_end(c, false);
	} else {
		refuse(c, hello->sid, refusals[answer]);
	}
	arm(p);
	return answer == ELECTION_HELLO_KEPT;
}

/* Read the hello; false: it is not whole, or the connection is over. */
static bool
read_hello(struct conn *c)
{
	struct evbuffer *input = stream_input(c->stream);
	size_t have = evbuffer_get_length(input), used = 0;
	size_t look = have < HELLO_BYTES_MAX ? have : HELLO_BYTES_MAX;
	const uint8_t *bytes = evbuffer_pullup(input, (ev_ssize_t)look);
	struct hello hello;

	if (bytes == NULL)
		return false;
	if (look > 0 && bytes[0] == PEER_TLS_FIRST_BYTE) {
		log_peer("election port: %s speaks TLS, and this server does not (sslQuorum): "
			 "closing",
		    conn_address(c));
		conn_end(c, false);
		return false;
	}
	switch (hello_decode(&hello, bytes, look, &used)) {
	case HELLO_SHORT:
		return false;
	case HELLO_FOREIGN:
		log_peer("election port: %s does not speak the protocol of elections: closing",
		    conn_address(c));
		conn_end(c, false);
		return false;
	case HELLO_WHOLE:
		break;
	}
	if (!take_hello(c, &hello))
		return false;
	(void)evbuffer_drain(input, used);
	return true;
}

static void
on_input(void *arg)
{
	struct conn *c = arg;

	if (c->over || (c->sid == NOBODY && !read_hello(c)))
		return;
	while (take_frame(c))
		;
}

static struct stream_limits
limits_of(const struct election_port *p)
{
	return (struct stream_limits){
	    .input_bytes_max = FRAME_HEAD_BYTES + NOTIFICATION_FRAME_BYTES_MAX,
	    .queue_bytes_max = ELECTION_PORT_QUEUE_BYTES,
	    .handshake_ms = p->config.connect_ms,
	    .stall_ms = ELECTION_PORT_STALL_MS,
	};
}

static void
on_up(void *arg)
{
	struct conn *c = arg;
	struct election_port *p = c->port;
	char why[MEMBER_CERT_WHY_SIZE];
	int64_t sid = c->sid;

	if (!c->dialled)
		return;
	if (!is_itself(c, sid)) {
		print_refusal(c, sid, why);
		dial_failed(c, why);
		return;
	}
	p->dials[sid] = NULL;
	election_links_dialled(&p->links, now_of(p), sid, c);
	arm(p);
}

static const struct stream_ops STREAM_OPS = {
    .up = on_up,
    .input = on_input,
    .writable = on_writable,
    .down = on_down,
};

static void
on_hello_late(void *arg)
{
	struct conn *c = arg;

	log_peer("election port: %s does not say which server it is: closing", conn_address(c));
	conn_end(c, false);
}

static void
drop_oldest_young(struct election_port *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->conns) {
		struct conn *c = CONTAINER_OF(it, struct conn, link);

		if (c->dialled || c->sid != NOBODY)
			continue;
		log_peer("election port: %s makes room for a newer connection", conn_address(c));
		conn_end(c, false);
		return;
	}
}

static void
on_accepted(void *arg, int fd, bool encrypted)
{
	struct election_port *p = arg;
	struct stream_limits limits = limits_of(p);
	struct conn *c;

	if (p->young_count >= ELECTION_PORT_YOUNG_MAX)
		drop_oldest_young(p);
	if ((c = conn_new(p, NOBODY)) == NULL) {
		close(fd);
		return;
	}
	p->young_count++;
	timer_init(&c->deadline, p->config.loop, on_hello_late, c);
	c->stream = stream_adopt(
	    p->config.loop, fd, encrypted ? p->config.tls : NULL, true, &limits, &STREAM_OPS, c);
	if (c->stream == NULL || !timer_set(&c->deadline, now_of(p) + p->config.hello_ms))
		conn_end(c, false);
}

static void
on_connected(void *arg, int fd, const char *why)
{
	struct conn *c = arg;
	struct election_port *p = c->port;
	struct stream_limits limits = limits_of(p);
	int one = 1;

	c->connector = NULL;
	if (fd < 0) {
		dial_failed(c, why);
		return;
	}
	if (p->config.keep_alive)
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	c->stream = stream_adopt(p->config.loop, fd, p->config.dial_plain ? NULL : p->config.tls,
	    false, &limits, &STREAM_OPS, c);
	if (c->stream == NULL)
		dial_failed(c, "out of memory");
}

/* The core must not hear of a failure from within. */
static void
on_dial_impossible(void *arg)
{
	dial_failed(arg, "it is not known where it is");
}

static void
dial(void *arg, int64_t sid, const char *address)
{
	struct election_port *p = arg;
	const struct member *m = member_of(p, sid);
	char text[ADDRESS_TEXT_SIZE];
	struct conn *c = conn_new(p, sid);

	if (c == NULL)
		return; /* the core gives it up when its time is over */
	c->dialled = true;
	p->dials[sid] = c;
	timer_init(&c->deadline, p->config.loop, on_dial_impossible, c);
	if (address == NULL && m != NULL) {
		address_of(text, m);
		address = text;
	}
	if (address != NULL)
		c->connector = connector_start(p->config.loop, address, on_connected, c);
	if (c->connector == NULL && !timer_set(&c->deadline, 0))
		conn_end(c, false);
}

static void
give_up_dial(void *arg, int64_t sid)
{
	struct election_port *p = arg;

	if (p->dials[sid] != NULL)
		conn_end(p->dials[sid], false);
}

static void
hang_up(void *arg, void *link, bool flush)
{
	(void)arg;
	conn_end(link, flush);
}

static void
send_hello(void *arg, void *link)
{
	struct election_port *p = arg;
	struct conn *c = link;
	struct stream_part part;
	struct buf b;

	buf_init(&b, HELLO_BYTES_MAX);
	hello_encode(&b, p->config.sid, p->hello_address);
	part = (struct stream_part){b.data, b.len};
	/* Without memory the other side waits for it in vain, and closes. */
	if (!b.failed)
		(void)stream_send(c->stream, &part, 1);
	buf_fini(&b);
}

static bool
send_message(void *arg, void *link, const uint8_t *bytes, size_t size)
{
	struct conn *c = link;
	uint8_t head[FRAME_HEAD_BYTES] = {
	    (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
	struct stream_part parts[] = {{head, sizeof head}, {bytes, size}};

	(void)arg;
	return stream_send(c->stream, parts, sizeof parts / sizeof parts[0]);
}

static void
changed(void *arg, int64_t sid, enum election_link state)
{
	struct election_port *p = arg;

	if (state == ELECTION_LINK_UP) {
		p->grumbles[sid].why[0] = '\0';
		say_up(p, sid);
	}
	p->config.ops->link(p->config.arg, sid, state);
}

static const struct election_links_ops LINKS_OPS = {
    .dial = dial,
    .give_up_dial = give_up_dial,
    .hang_up = hang_up,
    .send_hello = send_hello,
    .send = send_message,
    .changed = changed,
};

static void
on_cannot_listen(void *arg, const char *why)
{
	struct election_port *p = arg;

	p->config.ops->failed(p->config.arg, why);
}

/* Listen where this member is now, if that is not what is listened on. */
static bool
listen_at_home(struct election_port *p)
{
	const struct member *m = members_find(p->now, p->config.sid);
	const struct election_port_config *config = &p->config;
	struct peer_listener_config listener = {
	    .loop = config->loop,
	    .address = p->listen_address,
	    .name = "election",
	    .tries = config->bind_tries,
	    .encrypted = config->tls != NULL,
	    .unify = config->tls != NULL && config->unify,
	    .detect_ms = config->hello_ms,
	    .keep_alive = config->keep_alive,
	    .accepted = on_accepted,
	    .failed = on_cannot_listen,
	    .arg = p,
	};
	char address[ADDRESS_TEXT_SIZE];

	if (m == NULL && p->next != NULL)
		m = members_find(p->next, p->config.sid);
	if (m == NULL) /* removed, but still there */
		return true;
	address_of(p->hello_address, m);
	if (config->listen_on_all)
		snprintf(address, sizeof address, ":%u", (unsigned)m->election_port);
	else
		address_of(address, m);
	if (p->listener != NULL && strcmp(address, p->listen_address) == 0)
		return true;
	peer_listener_free(p->listener);
	memcpy(p->listen_address, address, sizeof address);
	p->listener = peer_listener_new(&listener);
	return p->listener != NULL;
}

struct election_port *
election_port_open(const struct election_port_config *config, const struct members *now,
    const struct members *next, char *error, size_t size)
{
	const struct election_links_settings settings = {
	    config->sid, config->connect_ms, config->members_move};
	struct election_port *p;

	if (members_find(now, config->sid) == NULL &&
	    (next == NULL || members_find(next, config->sid) == NULL)) {
		snprintf(error, size, "server %d is no member of its own configuration",
		    (int)config->sid);
		return NULL;
	}
	if ((p = calloc(1, sizeof *p)) == NULL) {
		snprintf(error, size, "no memory for the election port");
		return NULL;
	}
	p->config = *config;
	(void)tls_ref(config->tls);
	list_init(&p->conns);
	timer_init(&p->timer, config->loop, on_timer, p);
	election_links_init(&p->links, &settings, &LINKS_OPS, p);
	if (election_port_set_members(p, now, next))
		return p;
	snprintf(error, size, "no memory for the election port");
	election_port_close(p);
	return NULL;
}

void
election_port_close(struct election_port *p)
{
	struct list *it, *nx;

	if (p == NULL)
		return;
	peer_listener_free(p->listener);
	LIST_EACH(it, nx, &p->conns)
		conn_end(CONTAINER_OF(it, struct conn, link), false);
	timer_cancel(&p->timer);
	election_links_fini(&p->links);
	tls_unref(p->config.tls);
	free(p);
}

bool
election_port_set_members(
    struct election_port *p, const struct members *now, const struct members *next)
{
	bool ok;

	p->now = now;
	p->next = next;
	ok = listen_at_home(p) && election_links_set_members(&p->links, now_of(p), now, next);
	arm(p);
	return ok;
}

void
election_port_send(struct election_port *p, int64_t sid, const uint8_t *bytes, size_t size)
{
	election_links_send(&p->links, now_of(p), sid, bytes, size);
	arm(p);
}

const char *
election_port_trouble(const struct election_port *p, int64_t sid)
{
	return p->grumbles[sid].why;
}

uint16_t
election_port_number(const struct election_port *p)
{
	return p->listener != NULL ? peer_listener_port(p->listener) : 0;
}
