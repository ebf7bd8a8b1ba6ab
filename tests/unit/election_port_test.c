/* SPDX-License-Identifier: Apache-2.0 */
/* Elections over real sockets, and what strangers may do to the port. */
#include "zkserver/election_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rng.h"
#include "libcommon/codec/jute.h"
#include "tests/lib/net.h"
#include "tests/lib/unit.h"
#include "zkserver/core/notification.h"

#define SERVERS 3
#define LONG_MS 15000 /* of waits that end by what happens */

static struct peer {
	int64_t sid;
	struct election_port *port;
	struct election election;
	struct timer timer;
	int decided, failed, refused, up;
	int heard[SERVERS + 1]; /* notifications, by sender */
	char why[256];
	struct tls *tls;
	bool unify, dial_plain;
} peers[SERVERS + 1]; /* by sid */

static struct members members;
static uint16_t ports[SERVERS + 1];
static uint32_t hello_ms, bind_tries;
static struct fd_watch *watch;
static int watched, closed; /* a socket of ours; it was closed by the other side */

static void
look(struct peer *p)
{
	if (election_result(&p->election) != NULL)
		p->decided++;
	ck_assert(timer_set(&p->timer, election_deadline_ms(&p->election)));
}

static void
on_timer(void *arg)
{
	struct peer *p = arg;

	election_tick(&p->election, loop_now_ms(net_loop));
	look(p);
}

static void
on_heard(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct peer *p = arg;

	p->heard[sid]++;
	election_heard(&p->election, loop_now_ms(net_loop), sid, bytes, size);
	look(p);
}

static void
on_link(void *arg, int64_t sid, enum election_link state)
{
	struct peer *p = arg;

	p->up += state == ELECTION_LINK_UP;
	p->refused += state == ELECTION_LINK_DOWN;
	election_link_is(&p->election, loop_now_ms(net_loop), sid, state);
	look(p);
}

static void
on_failed(void *arg, const char *why)
{
	struct peer *p = arg;

	p->failed++;
	snprintf(p->why, sizeof p->why, "%s", why);
}

static void
on_send(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct peer *p = arg;

	election_port_send(p->port, sid, bytes, size);
}

static const struct election_port_ops PORT_OPS = {on_heard, on_link, on_failed};
static const struct election_ops OPS = {.send = on_send};

/* A socket bound to a port of loopback that is not one the kernel gives to others. */
static int
bind_some(uint16_t *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct rng rng;

	rng_init(&rng, (uint64_t)getpid() ^ clock_boot_us());
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	do {
		*port = (uint16_t)(10000 + rng_below(&rng, 20000));
		sa.sin_port = htons(*port);
	} while (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0);
	return fd;
}

static void
setup(void)
{
	char text[512] = "";
	struct fault f = {{0}};
	int fds[SERVERS + 1];
	size_t len = 0;

	net_setup();
	hello_ms = LONG_MS;
	bind_tries = 3;
	for (int sid = 1; sid <= SERVERS; sid++) {
		fds[sid] = bind_some(&ports[sid]);
		len += (size_t)snprintf(text + len, sizeof text - len,
		    "server.%d=127.0.0.1:%d:%u\n", sid, sid, (unsigned)ports[sid]);
		peers[sid] = (struct peer){.sid = sid};
	}
	for (int sid = 1; sid <= SERVERS; sid++)
		close(fds[sid]);
	ck_assert_msg(members_parse(&members, text, len, &f) == 0, "%s", f.text);
}

static void
open_port(int64_t sid)
{
	struct peer *p = &peers[sid];
	const struct election_port_config config = {
	    .loop = net_loop,
	    .sid = sid,
	    .bind_tries = bind_tries,
	    .connect_ms = LONG_MS,
	    .hello_ms = hello_ms,
	    .keep_alive = true,
	    .tls = p->tls,
	    .unify = p->unify,
	    .dial_plain = p->dial_plain,
	    .check_names = true,
	    .check_client_names = true,
	    .ops = &PORT_OPS,
	    .arg = p,
	};
	const struct election_settings settings = {sid, 200, 60000, 200};
	char error[256] = "";

	timer_init(&p->timer, net_loop, on_timer, p);
	p->port = election_port_open(&config, &members, NULL, error, sizeof error);
	ck_assert_msg(p->port != NULL, "%s", error);
	election_init(&p->election, &settings, &OPS, p);
	ck_assert(election_set_members(&p->election, &members, NULL));
}

static void
begin(int64_t sid, int64_t zxid)
{
	open_port(sid);
	election_start(&peers[sid].election, loop_now_ms(net_loop), zxid, 1, false);
	look(&peers[sid]);
}

static void
end(struct peer *p)
{
	if (p->port == NULL)
		return;
	timer_cancel(&p->timer);
	election_port_close(p->port);
	election_fini(&p->election);
	p->port = NULL;
}

static void
teardown(void)
{
	for (int sid = 1; sid <= SERVERS; sid++) {
		end(&peers[sid]);
		tls_unref(peers[sid].tls);
	}
	fd_watch_free(watch);
	net_teardown();
}

static void
wait_decided(int64_t sid, int64_t leader)
{
	net_wait(&peers[sid].decided, 1);
	ck_assert_int_eq(peers[sid].election.vote.leader, leader);
}

static void
on_closed(void *arg, int what)
{
	char bytes[4096];
	ssize_t got = recv(watched, bytes, sizeof bytes, MSG_DONTWAIT);

	(void)arg;
	(void)what;
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		closed++;
		fd_watch_free(watch);
		watch = NULL;
	}
}

/* A connection to the port. `closed` counts the end of the first of those that are there. */
static int
connect_to(int64_t sid)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_addr = {htonl(INADDR_LOOPBACK)},
	    .sin_port = htons(ports[sid])};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	if (watch == NULL) {
		closed = 0;
		watched = fd;
		watch = fd_watch_new(net_loop, fd, FD_READ, on_closed, NULL);
	}
	return fd;
}

static int listening;

static void
check_listening(void *arg)
{
	listening = election_port_number(((struct peer *)arg)->port) != 0;
	if (listening)
		loop_stop(net_loop, 0);
}

static void
wait_listening(int64_t sid)
{
	loop_run(net_loop, check_listening, &peers[sid]);
	ck_assert(listening);
}

static void
send_hello(int fd, int64_t sid, const char *more, size_t size)
{
	struct buf b;

	buf_init(&b, HELLO_BYTES_MAX + 4096);
	hello_encode(&b, sid, "127.0.0.1:9");
	buf_append(&b, more, size);
	ck_assert_int_eq(send(fd, b.data, b.len, MSG_NOSIGNAL), (ssize_t)b.len);
	buf_fini(&b);
}

START_TEST(three_servers_elect_the_best)
{
	begin(1, 5);
	begin(2, 7);
	begin(3, 6);
	wait_decided(1, 2);
	wait_decided(2, 2);
	wait_decided(3, 2);
	ck_assert_int_eq(peers[2].election.state, PEER_LEADING);
}
END_TEST

START_TEST(who_comes_later_or_back_finds_the_leader)
{
	begin(2, 5);
	begin(3, 5);
	wait_decided(2, 3);
	wait_decided(3, 3);
	begin(1, 99);
	wait_decided(1, 3);
	end(&peers[2]);
	peers[2] = (struct peer){.sid = 2};
	begin(2, 5);
	wait_decided(2, 3);
}
END_TEST

START_TEST(two_of_three_elect_at_once_when_the_third_is_not_there)
{
	begin(1, 5);
	begin(2, 5);
	wait_decided(1, 2);
	wait_decided(2, 2);
	/* That it refuses connections was known; nobody had to wait for the moment to pass. */
	ck_assert_int_ge(peers[1].refused, 1);
	ck_assert_int_ge(peers[2].refused, 1);
}
END_TEST

/* Each of these is closed, and the next election is none the worse. */
static void
expect_closed(const void *bytes, size_t size)
{
	int fd = connect_to(3);

	ck_assert_int_eq(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
	net_wait(&closed, 1);
	close(fd);
}

START_TEST(who_does_not_speak_the_protocol_is_closed)
{
	begin(3, 5);
	wait_listening(3);
	expect_closed("\x80 GET / HTTP/1.1\r\n\r\n", 20);
	expect_closed("\xff\xff\xff\xff\xff\xff\0\2", 8);
	begin(2, 5);
	wait_decided(2, 3);
}
END_TEST

START_TEST(who_cannot_be_a_member_is_closed)
{
	static const int64_t sids[] = {3, -1, 256, INT64_MAX, INT64_MIN};

	begin(3, 5);
	wait_listening(3);
	for (size_t i = 0; i < sizeof sids / sizeof sids[0]; i++) {
		int fd = connect_to(3);

		send_hello(fd, sids[i], "", 0);
		net_wait(&closed, 1);
		close(fd);
	}
	ck_assert_int_eq(peers[3].up, 0);
}
END_TEST

START_TEST(a_message_of_an_impossible_length_ends_the_link)
{
	static const char *const lengths[] = {
	    "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\x00\x08\x00\x01"};

	begin(1, 5);
	wait_listening(1);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		int fd = connect_to(1);

		send_hello(fd, 3, lengths[i], 4);
		net_wait(&closed, 1);
		close(fd);
		ck_assert_int_eq(peers[1].up, (int)i + 1);
	}
}
END_TEST

START_TEST(what_makes_no_sense_as_a_notification_is_passed_over)
{
	begin(1, 5);
	wait_listening(1);
	send_hello(connect_to(1), 3, "\x00\x00\x00\x05hello\x00\x00\x00\x01", 10);
	net_wait(&peers[1].up, 1);
	begin(2, 6);
	wait_decided(1, 2);
	ck_assert_int_eq(closed, 0);
}
END_TEST

START_TEST(who_does_not_say_who_it_is_is_closed)
{
	hello_ms = 100;
	begin(3, 5);
	wait_listening(3);
	(void)connect_to(3);
	net_wait(&closed, 1);
}
END_TEST

START_TEST(silent_connections_make_room_for_others)
{
	int first;

	begin(1, 5);
	wait_listening(1);
	first = connect_to(1);
	for (int i = 0; i < ELECTION_PORT_YOUNG_MAX; i++)
		(void)connect_to(1);
	net_wait(&closed, 1);
	close(first);
	begin(2, 5);
	wait_decided(1, 2);
}
END_TEST

START_TEST(an_address_that_is_taken_is_tried_again)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_addr = {htonl(INADDR_LOOPBACK)},
	    .sin_port = htons(ports[3])};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	bind_tries = 2;
	begin(3, 5);
	net_wait(&peers[3].failed, 1);
	ck_assert_msg(strstr(peers[3].why, "cannot listen") != NULL, "%s", peers[3].why);
	end(&peers[3]);
	peers[3] = (struct peer){.sid = 3};
	bind_tries = 0;
	begin(3, 5);
	begin(2, 5);
	net_wait(&peers[2].refused, 1); /* nobody accepts there, or 1 is not there */
	ck_assert_int_eq(peers[3].failed, 0);
	close(fd);
	wait_decided(2, 3);
}
END_TEST

static void
give_tls(const char *ca)
{
	net_make_ca(ca);
	for (int sid = 1; sid <= SERVERS; sid++)
		peers[sid].tls = net_make_tls(ca, ca, TLS_ROLE_ZKSERVER, "z", 100);
}

START_TEST(servers_elect_over_tls)
{
	give_tls("blue");
	begin(1, 5);
	begin(2, 5);
	begin(3, 5);
	wait_decided(1, 3);
	wait_decided(2, 3);
	wait_decided(3, 3);
}
END_TEST

START_TEST(who_has_no_certificate_of_ours_takes_no_part)
{
	give_tls("blue");
	net_make_ca("green");
	tls_unref(peers[3].tls);
	peers[3].tls = net_make_tls("green", "blue", TLS_ROLE_ZKSERVER, "z", 100);
	begin(3, 99);
	wait_listening(3);
	begin(1, 5);
	begin(2, 5);
	wait_decided(1, 2);
	wait_decided(2, 2);
	/* With TLS 1.3 it takes its calls for taken until told otherwise: `up` says nothing. */
	for (int sid = 1; sid < 3; sid++) {
		ck_assert_int_eq(peers[3].heard[sid], 0);
		ck_assert_int_eq(peers[sid].heard[3], 0);
	}
	ck_assert_int_eq(peers[3].decided, 0);
}
END_TEST

START_TEST(a_plain_connection_is_closed_where_tls_is_asked_for)
{
	give_tls("blue");
	begin(1, 5);
	wait_listening(1);
	send_hello(connect_to(1), 3, "", 0);
	net_wait(&closed, 1);
	ck_assert_int_eq(peers[1].up, 0);
}
END_TEST

START_TEST(plain_servers_and_those_with_tls_mix_while_both_are_taken)
{
	give_tls("blue");
	tls_unref(peers[1].tls);
	peers[1].tls = NULL; /* as it was before */
	peers[2].unify = peers[2].dial_plain = true;
	peers[3].unify = peers[3].dial_plain = true;
	begin(1, 5);
	begin(2, 5);
	begin(3, 5);
	wait_decided(1, 3);
	wait_decided(2, 3);
	/* The next step: who has both kinds connects with TLS. */
	end(&peers[3]);
	tls_unref(peers[3].tls);
	peers[3] = (struct peer){.sid = 3};
	peers[3].tls = net_make_tls("blue", "blue", TLS_ROLE_ZKSERVER, "z", 100);
	peers[3].unify = true;
	end(&peers[2]);
	peers[2].decided = 0;
	begin(2, 5);
	begin(3, 5);
	wait_decided(2, 3);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_port");
	TCase *t = tcase_create("election_port");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, three_servers_elect_the_best);
	tcase_add_test(t, who_comes_later_or_back_finds_the_leader);
	tcase_add_test(t, two_of_three_elect_at_once_when_the_third_is_not_there);
	tcase_add_test(t, who_does_not_speak_the_protocol_is_closed);
	tcase_add_test(t, who_cannot_be_a_member_is_closed);
	tcase_add_test(t, a_message_of_an_impossible_length_ends_the_link);
	tcase_add_test(t, what_makes_no_sense_as_a_notification_is_passed_over);
	tcase_add_test(t, who_does_not_say_who_it_is_is_closed);
	tcase_add_test(t, silent_connections_make_room_for_others);
	tcase_add_test(t, an_address_that_is_taken_is_tried_again);
	tcase_add_test(t, servers_elect_over_tls);
	tcase_add_test(t, who_has_no_certificate_of_ours_takes_no_part);
	tcase_add_test(t, a_plain_connection_is_closed_where_tls_is_asked_for);
	tcase_add_test(t, plain_servers_and_those_with_tls_mix_while_both_are_taken);
	suite_add_tcase(s, t);
	return s;
}
