/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/client_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "libcommon/base/hash.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/log.h"
#include "zkserver/client_conn.h"
#include "zkserver/peers.h"

#define ACCEPTS_PER_TURN 32
#define TOLD_PER_TURN 128    /* watchers: requests of others are served in between */
#define ACCEPT_PAUSE_S 1     /* when the process has no descriptor left */
#define DESCRIPTORS_KEPT 64  /* for the log, snapshots and the loop */
#define HANDSHAKE_SLOTS 4096 /* two addresses that share one share its tokens */
#define HANDSHAKE_BURST_S 2

struct listening {
	struct client_port *port;
	int fd; /* -1: none */
	int number;
	struct event event, pause;
	struct tls *tls;
};

struct client_port {
	struct client_port_config config;
	struct client_shared shared;
	struct listening plain, secure;
	struct event more;
	struct peers peers;
	struct throttle *handshakes; /* HANDSHAKE_SLOTS; NULL without a secure port */
	size_t conns_max;
};

static void
conn_closed(struct client_port *p, const char *ip)
{
	peers_drop(&p->peers, ip);
}

/* The text of an address; an IPv4 peer of an IPv6 socket is an IPv4 address. */
static bool
address_of(const struct sockaddr_storage *ss, socklen_t size, char ip[64], uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;

	*port = ntohs(ss->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	if (ss->ss_family == AF_INET)
		return inet_ntop(AF_INET, &v4->sin_addr, ip, 64) != NULL;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, ip, 64) != NULL;
	/* With the interface of a link-local one. */
	return getnameinfo((const struct sockaddr *)ss, size, ip, 64, NULL, 0, NI_NUMERICHOST) == 0;
}

/* A handshake costs more than anything else that a stranger may ask for. */
static bool
may_shake_hands(struct client_port *p, const char *ip)
{
	uint32_t rate = p->config.conf->handshakes_per_s;
	const struct throttle_rate per_s = {HANDSHAKE_BURST_S * rate, 1000, rate};
	uint64_t hash = hash_bytes(&p->config.server->db->tree.hash_key, ip, strlen(ip));

	if (throttle_take(&p->handshakes[hash % HANDSHAKE_SLOTS], &per_s, 1, clock_boot_ms()))
		return true;
	log_peer("%s: refused: more than %u TLS handshakes a second (maxTlsHandshakesPerSecond)",
	    ip, rate);
	return false;
}

/* May one more come from this address? Counts it. */
static bool
admit(struct client_port *p, const char *ip)
{
	uint32_t max = p->config.conf->max_client_cnxns;

	if (p->config.server->conn_count >= p->conns_max) {
		log_peer("%s: refused: %zu connections are open (the most that maxCnxns and "
			 "LimitNOFILE allow)",
		    ip, p->conns_max);
		return false;
	}
	switch (peers_add(&p->peers, ip, max)) {
	case PEERS_OK:
		return true;
	case PEERS_ADDRESS_FULL:
		log_peer("%s: refused: it has %u connections open (maxClientCnxns)", ip, max);
		return false;
	case PEERS_NETWORK_FULL:
		log_peer("%s: refused: its network has %llu connections open (%d times "
			 "maxClientCnxns)",
		    ip, (unsigned long long)max * PEERS_NETWORK_SHARE, PEERS_NETWORK_SHARE);
		return false;
	default:
		log_peer("%s: refused: out of memory", ip);
		return false;
	}
}

static void
accepted(struct listening *l, int fd, const struct sockaddr_storage *ss, socklen_t size)
{
	struct client_port *p = l->port;
	SSL *ssl = NULL;
	uint16_t port;
	char ip[64];

	if (!address_of(ss, size, ip, &port) || (l->tls != NULL && !may_shake_hands(p, ip)) ||
	    !admit(p, ip)) {
		p->config.server->stats.connections_rejected++;
		zk_metrics_count(&p->config.server->metrics, ZK_COUNTER_CONNECTION_REJECTED, 1);
		close(fd);
		return;
	}
	if (l->tls != NULL &&
	    ((ssl = tls_new_ssl(l->tls, true)) == NULL || SSL_set_fd(ssl, fd) != 1)) {
		SSL_free(ssl);
		close(fd);
		peers_drop(&p->peers, ip);
		return;
	}
	if (!client_conn_open(&p->shared, fd, ssl, ip, port))
		peers_drop(&p->peers, ip);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = {ACCEPT_PAUSE_S, 0};
	struct listening *l = arg;

	(void)what;
	server_set_time(l->port->config.server, clock_boot_ms(), clock_wall_ms());
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t size = sizeof ss;
		int got = accept4(fd, (struct sockaddr *)&ss, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got >= 0) {
			accepted(l, got, &ss, size);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_warn_errno("port %d: cannot accept; trying again in %d s", l->number,
			    ACCEPT_PAUSE_S);
			event_del(&l->event);
			event_add(&l->pause, &pause);
		}
		return;
	}
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct listening *l = arg;

	(void)fd;
	(void)what;
	event_add(&l->event, NULL);
}

static int
bind_one(const struct addrinfo *ai, int backlog)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1,
	    off = 0, saved;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is accepted inherits it */
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, backlog) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A listening socket, or -1 with the reason in error. "" listens on every address, of both families
 * if it can. */
static int
bind_any(const char *address, int port, int backlog, char *error, size_t size)
{
	const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *all, *ai;
	char service[8];
	int fd = -1, code;

	snprintf(service, sizeof service, "%d", port);
	if ((code = getaddrinfo(address[0] != '\0' ? address : NULL, service, &hints, &all)) != 0) {
		snprintf(error, size, "%s: %s", address, gai_strerror(code));
		return -1;
	}
	for (int want_v6 = 1; want_v6 >= 0 && fd < 0; want_v6--) {
		for (ai = all; ai != NULL && fd < 0; ai = ai->ai_next) {
			if ((ai->ai_family == AF_INET6) == (want_v6 == 1))
				fd = bind_one(ai, backlog);
		}
	}
	if (fd < 0)
		snprintf(error, size, "cannot listen on %s port %d: %s",
		    address[0] != '\0' ? address : "any address", port, strerror(errno));
	freeaddrinfo(all);
	return fd;
}

static bool
listening_bind(struct listening *l, const char *address, int port, char *error, size_t size)
{
	struct client_port *p = l->port;
	struct event_base *base = loop_event_base(p->config.loop);
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	uint16_t number = 0;
	char ip[64];

	if ((l->fd = bind_any(address, port, (int)p->config.conf->backlog, error, size)) < 0)
		return false;
	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) == 0 &&
	    address_of(&ss, len, ip, &number))
		l->number = number;
	event_assign(&l->event, base, l->fd, EV_READ | EV_PERSIST, on_accept, l);
	event_assign(&l->pause, base, -1, 0, on_pause_over, l);
	if (event_add(&l->event, NULL) == 0)
		return true;
	snprintf(error, size, "no memory for a listener");
	return false;
}

static bool
listening_open(struct client_port *p, struct listening *l, const char *address, int port,
    struct tls *tls, char *error, size_t size)
{
	*l = (struct listening){.port = p, .fd = -1, .number = ZOO_PORT_NONE, .tls = tls};
	return port == ZOO_PORT_NONE || listening_bind(l, address, port, error, size);
}

static void
listening_close(struct listening *l)
{
	if (l->fd < 0)
		return;
	event_del(&l->event);
	event_del(&l->pause);
	close(l->fd);
	l->fd = -1;
}

/*
 * Clients never get the last descriptors: without one the log cannot go on to its next file, and
 * the server would have to stop.
 */
static size_t
limit_conns(uint32_t max_cnxns)
{
	struct rlimit limit;
	size_t most = SIZE_MAX;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			log_warn_errno("the limit of open files cannot be raised to %llu",
			    (unsigned long long)limit.rlim_max);
		getrlimit(RLIMIT_NOFILE, &limit);
		most = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
							     : limit.rlim_cur / 2;
	}
	return max_cnxns > 0 && max_cnxns < most ? max_cnxns : most;
}

/* Wake the loop for the turn after this one. */
static void
on_more(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

struct client_port *
client_port_open(const struct client_port_config *config, char *error, size_t size)
{
	struct client_port *p = calloc(1, sizeof *p);
	const struct zoo_conf *conf = config->conf;

	if (p == NULL || (p->shared.read = malloc(CLIENT_READ_BYTES)) == NULL) {
		free(p);
		snprintf(error, size, "no memory for the client port");
		return NULL;
	}
	p->config = *config;
	p->shared.base = loop_event_base(config->loop);
	event_assign(&p->more, p->shared.base, -1, 0, on_more, p);
	p->shared.server = config->server;
	p->shared.conf = conf;
	p->shared.auth = config->auth;
	p->shared.admin = config->admin;
	p->shared.jobs = config->jobs;
	p->shared.frame_bytes_max = conf->jute_max_bytes;
	p->shared.closed = conn_closed;
	p->shared.unify = conf->tls.unify ? config->tls : NULL;
	p->shared.may_shake_hands = may_shake_hands;
	p->shared.port = p;
	p->conns_max = limit_conns(conf->max_cnxns);
	buf_init(&p->shared.out, CLIENT_OUT_MAX_BYTES);
	list_init(&p->shared.young);
	peers_init(&p->peers, &config->server->db->tree.hash_key);
	p->plain.fd = p->secure.fd = -1;
	if (config->tls != NULL &&
	    (p->handshakes = calloc(HANDSHAKE_SLOTS, sizeof *p->handshakes)) == NULL)
		snprintf(error, size, "no memory for the client port");
	else if (listening_open(
		     p, &p->plain, conf->client_address, conf->client_port, NULL, error, size) &&
		 listening_open(p, &p->secure, conf->secure_address, conf->secure_port, config->tls,
		     error, size))
		return p;
	client_port_close(p);
	return NULL;
}

void
client_port_close(struct client_port *p)
{
	struct list *it, *nx;

	if (p == NULL)
		return;
	listening_close(&p->plain);
	listening_close(&p->secure);
	event_del(&p->more);
	LIST_EACH(it, nx, &p->config.server->conns)
		client_conn_close(CONTAINER_OF(it, struct client_conn, core.link));
	peers_fini(&p->peers);
	buf_fini(&p->shared.out);
	free(p->shared.read);
	free(p->handshakes);
	free(p);
}

bool
client_port_move(struct client_port *p, const char *address, int port, char *error, size_t size)
{
	listening_close(&p->plain);
	return listening_bind(&p->plain, address, port, error, size);
}

int
client_port_number(const struct client_port *p, bool secure)
{
	return secure ? p->secure.number : p->plain.number;
}

int64_t
client_port_handshakes(const struct client_port *p)
{
	return (int64_t)p->shared.handshakes;
}

void
client_port_flush(struct client_port *p)
{
	struct server *s = p->config.server;
	struct server_conn *c;

	if ((c = server_next_resting(s)) != NULL)
		client_conn_attend(CONTAINER_OF(c, struct client_conn, core));
	for (int told = 0; !server_only_tells(s) || told < TOLD_PER_TURN;) {
		told += server_only_tells(s);
		if ((c = server_next_dirty(s)) == NULL)
			break;
		client_conn_attend(CONTAINER_OF(c, struct client_conn, core));
	}
	if (server_has_more(s))
		event_active(&p->more, EV_TIMEOUT, 0);
}

void
client_port_judge(struct client_port *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->config.server->conns) {
		struct client_conn *c = CONTAINER_OF(it, struct client_conn, core.link);

		if (c->ssl == NULL || c->handshaking || tls_still_trusts(p->config.tls, c->ssl))
			continue;
		c->core.why = "its certificate is no longer trusted";
		client_conn_close(c);
	}
}

void
client_port_adopt(struct client_port *p)
{
	p->conns_max = limit_conns(p->config.conf->max_cnxns);
}

void
client_port_expire(struct client_port *p)
{
	uint64_t now_ms = clock_boot_ms();
	struct list *it, *nx;

	LIST_EACH(it, nx, &p->shared.young) {
		struct client_conn *c = CONTAINER_OF(it, struct client_conn, young);

		if (c->young_ms + p->config.conf->tls.handshake_ms > now_ms)
			return; /* the rest is younger, and its time is no shorter */
		if (c->core.session != NULL && c->core.end == SERVER_OPEN) {
			list_remove(&c->young); /* looked at once, however many there are */
			continue;
		}
		if (!c->handshaking && c->young_ms + CLIENT_SESSIONLESS_MS > now_ms)
			continue;
		if (c->core.session == NULL && c->core.end == SERVER_OPEN)
			zk_metrics_count(&p->config.server->metrics,
			    ZK_COUNTER_SESSIONLESS_CONNECTIONS_EXPIRED, 1);
		if (c->core.why == NULL)
			c->core.why = c->handshaking ? "its TLS handshake takes too long"
				      : c->core.end == SERVER_OPEN ? "no session after 10 s"
								   : "its last reply was not read";
		client_conn_close(c);
	}
}
