/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An election port with an election behind it, and nothing else of a server:
 *
 *     election_peer SID ZXID EPOCH CONFIGURATION [KEYSTORE TRUSTSTORE]
 *
 * says on standard output "up SID", "down SID", and "ROLE LEADER ROUND" when an election is over;
 * "again" on standard input begins another one. It ends with standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/io/tls_stores.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "zkserver/election_port.h"

static struct loop *loop;
static struct election_port *port;
static struct election election;
static struct members members;
static struct timer timer;
static int64_t zxid, epoch;
static bool said; /* how the election has ended */

static void
look(void)
{
	static const char *const roles[] = {"looking", "follower", "leader", "observer"};
	const struct vote *vote = election_result(&election);

	if (vote != NULL && !said)
		printf("%s %lld %lld\n", roles[election.state], (long long)vote->leader,
		    (long long)vote->round);
	said = vote != NULL;
	fflush(stdout);
	if (!timer_set(&timer, election_deadline_ms(&election)))
		log_die(1, "no memory for a timer");
}

static void
on_timer(void *arg)
{
	(void)arg;
	election_tick(&election, loop_now_ms(loop));
	look();
}

static void
on_heard(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	(void)arg;
	election_heard(&election, loop_now_ms(loop), sid, bytes, size);
	look();
}

static void
on_link(void *arg, int64_t sid, enum election_link state)
{
	(void)arg;
	if (state != ELECTION_LINK_UNKNOWN)
		printf("%s %lld\n", state == ELECTION_LINK_UP ? "up" : "down", (long long)sid);
	election_link_is(&election, loop_now_ms(loop), sid, state);
	look();
}

static void
on_failed(void *arg, const char *why)
{
	(void)arg;
	log_die(ELECTION_PORT_EXIT_STATUS, "%s", why);
}

static void
on_send(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	(void)arg;
	election_port_send(port, sid, bytes, size);
}

static void
on_stdin(void *arg, int what)
{
	char line[64];

	(void)arg;
	(void)what;
	if (read(STDIN_FILENO, line, sizeof line) <= 0) {
		loop_stop(loop, 0);
		return;
	}
	election_leave(&election);
	election_start(&election, loop_now_ms(loop), zxid, epoch, false);
	look();
}

static void
read_members(const char *path)
{
	struct fault f = {{0}};
	struct buf b;

	buf_init(&b, MEMBERS_TEXT_BYTES_MAX);
	if (!fsutil_read(path, MEMBERS_TEXT_BYTES_MAX, &b))
		log_die(1, "%s: cannot be read", path);
	if (members_parse(&members, b.data, b.len, &f) != 0)
		log_die(1, "%s: %s", path, f.text);
	buf_fini(&b);
}

static int64_t
number(const char *text)
{
	uint64_t n;

	if (!str_to_u64(text, 0, INT64_MAX, &n))
		log_die(1, "%s: not a number", text);
	return (int64_t)n;
}

int
main(int argc, char **argv)
{
	static const struct election_port_ops PORT_OPS = {on_heard, on_link, on_failed};
	static const struct election_ops OPS = {.send = on_send};
	struct election_settings settings = {
	    0, ELECTION_NOTIFY_MIN_MS, ELECTION_NOTIFY_MAX_MS, ELECTION_FINALIZE_MS};
	struct election_port_config config = {.bind_tries = 3,
	    .connect_ms = 5000,
	    .hello_ms = 5000,
	    .check_names = true,
	    .check_client_names = true,
	    .ops = &PORT_OPS};
	struct tls_stores stores = {.ask = TLS_ASK_NEED};
	char error[512];

	log_init("election_peer", LOG_LEVEL_DEBUG);
	if (argc != 5 && argc != 7)
		log_die(1, "SID ZXID EPOCH CONFIGURATION [KEYSTORE TRUSTSTORE]");
	settings.sid = config.sid = number(argv[1]);
	zxid = number(argv[2]);
	epoch = number(argv[3]);
	read_members(argv[4]);
	if (argc == 7) {
		stores.key_store = argv[5];
		stores.trust_store = argv[6];
		if ((config.tls = tls_new_stores(&stores, error, sizeof error)) == NULL)
			log_die(1, "%s", error);
	}
	if ((config.loop = loop = loop_new()) == NULL)
		log_die(1, "no event loop");
	timer_init(&timer, loop, on_timer, NULL);
	election_init(&election, &settings, &OPS, NULL);
	port = election_port_open(&config, &members, NULL, error, sizeof error);
	if (port == NULL || !election_set_members(&election, &members, NULL) ||
	    fd_watch_new(loop, STDIN_FILENO, FD_READ, on_stdin, NULL) == NULL)
		log_die(1, "cannot begin: %s", error);
	election_start(&election, loop_now_ms(loop), zxid, epoch, false);
	look();
	return loop_run(loop, NULL, NULL);
}
