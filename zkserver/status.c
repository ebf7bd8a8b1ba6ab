/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/status.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/io/address.h"
#include "libcommon/sys/fsutil.h"
#include "zkserver/report.h"

#define TIMEOUT_S 5
#define ANSWER_BYTES 16384
#define ROLE_BYTES 16
#define READ_ONLY "read-only"
#define WHY_BYTES 512
#define NOT_SERVING "This ZooKeeper instance is not currently serving requests"
#define UNKNOWN (-1)

/* What is known of one server. */
struct row {
	int64_t sid;		/* UNKNOWN: it stands alone, or is Apache's and did not say */
	bool observer, reached; /* as the configuration has it; it answered */
	char address[ADDRESS_TEXT_SIZE];
	char role[ROLE_BYTES];	  /* "leader" ..., READ_ONLY, "looking", "" if it was not reached */
	int64_t epoch, zxid, lag; /* UNKNOWN */
	char why[WHY_BYTES];	  /* it does not serve, or was not reached */
	char text[ANSWER_BYTES];  /* what it said to srvr; "" if that was not asked */
	pthread_t thread;
	bool threaded;
};

/* ---- asking ---- */

/* A socket, or -1 with the reason in why. */
static int
connect_to(const char *address, char why[WHY_BYTES])
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct timeval limit = {TIMEOUT_S, 0};
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];
	struct addrinfo *all, *ai;
	int fd = -1, err = EX_OK;

	if (!address_split(address, host, port)) {
		snprintf(why, WHY_BYTES, "not HOST:PORT");
		return -1;
	}
	if ((err = getaddrinfo(host, port, &hints, &all)) != 0) {
		snprintf(why, WHY_BYTES, "cannot be reached: %s", gai_strerror(err));
		return -1;
	}
	for (ai = all; ai != NULL && fd < 0; ai = ai->ai_next) {
		if ((fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
		if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
			err = errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	if (fd < 0) /* a connect that takes too long is "in progress" */
		snprintf(why, WHY_BYTES, "cannot be reached: %s",
		    strerror(err == EINPROGRESS ? ETIMEDOUT : err));
	return fd;
}

/* The answer to a word. False: none, and why says why. */
static bool
ask(const char *address, const char *word, char to[ANSWER_BYTES], char why[WHY_BYTES])
{
	size_t total = 0;
	ssize_t n = 0;
	int fd = connect_to(address, why);

	if (fd < 0)
		return false;
	if (fsutil_write_all(fd, word, strlen(word))) {
		while (total < ANSWER_BYTES - 1 &&
		       (n = read(fd, to + total, ANSWER_BYTES - 1 - total)) > 0)
			total += (size_t)n;
	}
	close(fd);
	to[total] = '\0';
	if (n == 0 && total > 0)
		return true;
	snprintf(why, WHY_BYTES, "no answer: is it a ZooKeeper server?");
	return false;
}

/* The rest of the line that begins so; "" if there is none. */
static void
find_line(const char *text, const char *begin, char *to, size_t size)
{
	size_t len = strlen(begin);
	const char *p = text;

	to[0] = '\0';
	while (p != NULL && strncmp(p, begin, len) != 0) {
		p = strchr(p, '\n');
		p = p == NULL ? NULL : p + 1;
	}
	if (p != NULL)
		snprintf(to, size, "%.*s", (int)strcspn(p + len, "\n"), p + len);
}

static int64_t
number_line(const char *text, const char *begin)
{
	char value[32];

	find_line(text, begin, value, sizeof value);
	return value[0] == '\0' ? UNKNOWN : strtoll(value, NULL, 0);
}

/* One of ours says all that is asked for, and who it is. */
static bool
ask_role(struct row *r)
{
	char text[ANSWER_BYTES], why[WHY_BYTES];
	int64_t sid;

	if (!ask(r->address, "role", text, why) || strncmp(text, "role=", 5) != 0)
		return false;
	sid = number_line(text, "sid=");
	if (r->sid != UNKNOWN && sid != UNKNOWN && sid != r->sid) {
		snprintf(r->why, sizeof r->why,
		    "server %" PRId64 " answers there: put the client address of this one behind "
		    "its server.%" PRId64 "=, as ;HOST:PORT",
		    sid, r->sid);
		return true;
	}
	find_line(text, "role=", r->role, sizeof r->role);
	find_line(text, "why=", r->why, sizeof r->why);
	if (r->sid == UNKNOWN)
		r->sid = sid;
	r->epoch = number_line(text, "epoch=");
	r->zxid = number_line(text, "zxid=");
	return true;
}

static void *
ask_server(void *arg)
{
	struct row *r = arg;

	r->epoch = r->zxid = r->lag = UNKNOWN;
	if (r->why[0] != '\0' || !ask(r->address, "srvr", r->text, r->why))
		return NULL;
	r->reached = true;
	if (ask_role(r))
		return NULL;
	find_line(r->text, "Mode: ", r->role, sizeof r->role);
	r->zxid = number_line(r->text, "Zxid: ");
	r->epoch = r->zxid == UNKNOWN ? UNKNOWN : r->zxid >> 32;
	if (strncmp(r->text, NOT_SERVING, strlen(NOT_SERVING)) == 0) {
		snprintf(r->role, sizeof r->role, "looking");
		snprintf(r->why, sizeof r->why, "it serves nobody, and does not say why");
	} else if (strcmp(r->role, READ_ONLY) == 0)
		snprintf(r->why, sizeof r->why, "it has no leader, and serves reads only");
	else if (r->role[0] == '\0')
		snprintf(r->why, sizeof r->why, "no answer of a ZooKeeper server");
	return NULL;
}

static bool
serves(const struct row *r)
{
	return r->role[0] != '\0' && strcmp(r->role, "looking") != 0 &&
	       strcmp(r->role, READ_ONLY) != 0;
}

/* ---- screens ---- */

static void
print_rows(const struct row *rows, unsigned count)
{
	char epoch[24], zxid[24], lag[24];

	printf("%-4s %-22s %-10s %5s %-14s %5s  %s\n", "SID", "ADDRESS", "ROLE", "EPOCH", "ZXID",
	    "LAG", "STATE");
	for (unsigned i = 0; i < count; i++) {
		const struct row *r = &rows[i];

		snprintf(epoch, sizeof epoch, "%" PRId64, r->epoch);
		snprintf(zxid, sizeof zxid, "0x%" PRIx64, (uint64_t)r->zxid);
		snprintf(lag, sizeof lag, "%" PRId64, r->lag);
		printf("%-4" PRId64 " %-22s %-10s %5s %-14s %5s  %s\n", r->sid, r->address,
		    r->role[0] != '\0' ? r->role : "-", r->epoch < 0 ? "-" : epoch,
		    r->zxid < 0 ? "-" : zxid, r->lag < 0 ? "-" : lag,
		    serves(r) ? "serves" : r->why);
	}
}

static void
put_number(struct json *j, const char *key, int64_t value)
{
	json_key(j, key);
	if (value == UNKNOWN)
		json_null(j);
	else
		json_int(j, value);
}

static void
put_row(const struct row *r, struct json *j)
{
	char zxid[24];

	snprintf(zxid, sizeof zxid, "0x%" PRIx64, (uint64_t)r->zxid);
	json_object(j);
	put_number(j, "sid", r->sid);
	json_put_text(j, "address", r->address);
	json_put_text(j, "role", r->role);
	put_number(j, "epoch", r->epoch);
	json_put_text(j, "zxid", r->zxid == UNKNOWN ? "" : zxid);
	put_number(j, "lag", r->lag);
	json_put_bool(j, "serves", serves(r));
	json_put_text(j, "why", r->why);
	json_close(j);
}

static void
print_json(const struct row *rows, unsigned count, bool quorum)
{
	struct report report;
	struct json j;

	report_init(&report, -1);
	json_init(&j, &report);
	json_object(&j);
	json_key(&j, "members");
	json_array(&j);
	for (unsigned i = 0; i < count; i++)
		put_row(&rows[i], &j);
	json_close(&j);
	json_put_bool(&j, "quorum", quorum);
	json_close(&j);
	printf("%.*s\n", (int)report.buf.len, (const char *)report.buf.data);
	report_fini(&report);
}

/* ---- one server ---- */

int
status_of_server(const char *address, bool json)
{
	static struct row r;

	r.sid = UNKNOWN;
	if (snprintf(r.address, sizeof r.address, "%s", address) >= (int)sizeof r.address ||
	    strchr(address, ':') == NULL) {
		fprintf(stderr, "zkserver: %s: not HOST:PORT\n", address);
		return EX_USAGE;
	}
	ask_server(&r);
	if (json)
		print_json(&r, 1, serves(&r));
	else if (!r.reached)
		fprintf(stderr, "zkserver: %s: %s\n", address, r.why);
	else {
		fputs(r.text, stdout);
		if (!serves(&r) && r.why[0] != '\0')
			printf("%s\n", r.why);
	}
	return !r.reached ? EX_UNAVAILABLE : serves(&r) ? EX_OK : 1;
}

/* ---- all members ---- */

/* Where clients find a member: what its line says, or else the port that all share. */
static void
place(struct row *r, const struct zoo_conf *c, const struct member *m)
{
	bool wild = strcmp(m->client_host, "0.0.0.0") == 0 || strcmp(m->client_host, "::") == 0;
	const char *host = m->client_port != 0 && !wild ? m->client_host : m->host;
	int port = m->client_port != 0 ? m->client_port : c->client_port;

	r->sid = m->sid;
	r->observer = m->observer;
	address_join(r->address, sizeof r->address, host, port > 0 ? port : 0);
	if (port <= 0)
		snprintf(r->why, sizeof r->why,
		    "not asked: the configuration names no plain client port");
}

/* How far each is behind the leader; whoever serves has all of earlier epochs. */
static void
find_lags(struct row *rows, unsigned count)
{
	const struct row *leader = NULL;

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(rows[i].role, "leader") == 0)
			leader = &rows[i];
	}
	for (unsigned i = 0; leader != NULL && i < count; i++) {
		struct row *r = &rows[i];
		int64_t from = r->zxid >> 32 == leader->zxid >> 32 ? r->zxid & UINT32_MAX : 0;

		if (serves(r) && r->zxid != UNKNOWN)
			r->lag = (leader->zxid & UINT32_MAX) > from
				     ? (leader->zxid & UINT32_MAX) - from
				     : 0;
	}
}

/* A leader, and enough voters with it. */
static bool
has_quorum(const struct zoo_conf *c, const struct row *rows, unsigned count)
{
	struct sid_set serving = {{0}};
	bool led = false;

	for (unsigned i = 0; i < count; i++) {
		led |= strcmp(rows[i].role, "leader") == 0;
		if (serves(&rows[i]) && !rows[i].observer)
			sid_set_add(&serving, rows[i].sid);
	}
	return led && members_quorum(&c->ensemble.members, &serving);
}

static int
exit_status(const struct row *rows, unsigned count, bool quorum)
{
	for (unsigned i = 0; i < count; i++) {
		if (rows[i].reached)
			return quorum ? EX_OK : 1;
	}
	return EX_UNAVAILABLE;
}

int
status_of_ensemble(const struct zoo_conf *c, bool json)
{
	static struct row rows[MEMBERS_MAX];
	const struct members *m = &c->ensemble.members;
	char address[ADDRESS_TEXT_SIZE];
	bool quorum;

	if (!zoo_conf_distributed(c)) {
		snprintf(address, sizeof address, "127.0.0.1:%d", c->client_port);
		return status_of_server(address, json);
	}
	for (unsigned i = 0; i < m->count; i++) {
		place(&rows[i], c, &m->list[i]);
		rows[i].threaded = pthread_create(&rows[i].thread, NULL, ask_server, &rows[i]) == 0;
		if (!rows[i].threaded)
			ask_server(&rows[i]);
	}
	for (unsigned i = 0; i < m->count; i++) {
		if (rows[i].threaded)
			pthread_join(rows[i].thread, NULL);
	}
	find_lags(rows, m->count);
	quorum = has_quorum(c, rows, m->count);
	if (json)
		print_json(rows, m->count, quorum);
	else {
		print_rows(rows, m->count);
		if (!quorum)
			printf("There is no quorum: nobody can write.\n");
	}
	return exit_status(rows, m->count, quorum);
}
