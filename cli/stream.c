/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libcommon/sys/fsutil.h"
#include "proto/api.pb-c.h"

/* What a sender may have on the way, as proto/corral.proto has it. */
#define WINDOW_BYTES (1u << 20)
#define CHUNK_BYTES (32u << 10)
#define FRAME_BYTES_MAX (2u << 20)
#define QUEUE_BYTES_MAX (4u << 20)
/* A longer line is passed on in pieces. */
#define LINE_BYTES_MAX (64u << 10)
#define TASKS_MAX 100000u
/* As many times the user must ask before we leave without waiting for the tasks' end. */
#define IMPATIENCE 3

/* One task's output that is not a whole line yet, when lines get prefixes. */
struct pending {
	struct buf text[2]; /* of descriptors 1 and 2 */
};

struct stream {
	struct corral *corral;
	struct stream_config config;
	struct link *link;
	struct pending **pending; /* by index */
	size_t pending_count;
	size_t unacknowledged; /* bytes of input on the way */
	bool input_done;
	struct fd_watch
	    *input_watch; /* NULL: none, or standard input cannot be watched, as a file */
	bool input_is_file;
	unsigned signal_count;
	bool was_up;
};

static void
end(struct stream *s, int status)
{
	if (s->link != NULL)
		link_close(s->link);
	s->link = NULL;
	loop_stop(s->corral->loop, status);
}

/* ---- sending ---- */

static bool
send_message(struct stream *s, const Corral__Api__ClientToMaster *m)
{
	uint8_t small[512], *bytes = small;
	size_t size = corral__api__client_to_master__get_packed_size(m);
	bool sent;

	if (s->link == NULL || (size > sizeof small && (bytes = malloc(size)) == NULL))
		return false;
	corral__api__client_to_master__pack(m, bytes);
	sent = link_send(s->link, bytes, size);
	if (bytes != small)
		free(bytes);
	return sent;
}

static void
acknowledge(struct stream *s, const Corral__StreamData *d)
{
	Corral__Api__ClientToMaster m = CORRAL__API__CLIENT_TO_MASTER__INIT;
	Corral__StreamAck ack = CORRAL__STREAM_ACK__INIT;

	ack.stream = d->stream;
	ack.bytes = d->data.len;
	m.body_case = CORRAL__API__CLIENT_TO_MASTER__BODY_ACK;
	m.ack = &ack;
	send_message(s, &m);
}

static void
send_input(struct stream *s, uint8_t *bytes, size_t size)
{
	Corral__Api__ClientToMaster m = CORRAL__API__CLIENT_TO_MASTER__INIT;
	Corral__StreamData d = CORRAL__STREAM_DATA__INIT;

	d.has_data = size > 0;
	d.data.data = bytes;
	d.data.len = size;
	d.has_eof = d.eof = size == 0;
	m.body_case = CORRAL__API__CLIENT_TO_MASTER__BODY_DATA;
	m.data = &d;
	s->unacknowledged += size;
	s->input_done = size == 0;
	if (!send_message(s, &m)) {
		corral_say("%s: no memory or no connection for its input", s->config.job);
		end(s, s->config.broken);
	}
}

/* ---- our standard input ---- */

static void
stop_watching_input(struct stream *s)
{
	if (s->input_watch != NULL)
		fd_watch_free(s->input_watch);
	s->input_watch = NULL;
}

/* Pass one piece on; false if there was none to be had. */
static bool
pump_input(struct stream *s)
{
	uint8_t bytes[CHUNK_BYTES];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0)
		stop_watching_input(s);
	/* A read that fails ends the input, as for any filter. */
	send_input(s, bytes, n > 0 ? (size_t)n : 0);
	return n > 0;
}

static void
input_ready(void *arg, int what)
{
	struct stream *s = arg;

	(void)what;
	pump_input(s);
	/* The task does not read: neither do we until it has. */
	if (s->unacknowledged + CHUNK_BYTES > WINDOW_BYTES)
		stop_watching_input(s);
}

/* The kernel does not watch files and /dev/null: they are always ready (epoll_ctl(2), EPERM). */
static bool
can_be_watched(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool watched = epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;

	if (epoll >= 0)
		close(epoll);
	return watched;
}

/* Go on with the input as far as the window allows. */
static void
continue_input(struct stream *s)
{
	if (!s->config.input || s->input_done || s->link == NULL || s->input_watch != NULL)
		return;
	if (s->unacknowledged + CHUNK_BYTES > WINDOW_BYTES)
		return;
	if (s->input_is_file) {
		while (s->link != NULL && !s->input_done &&
		       s->unacknowledged + CHUNK_BYTES <= WINDOW_BYTES && pump_input(s))
			;
		return;
	}
	s->input_watch = fd_watch_new(s->corral->loop, STDIN_FILENO, FD_READ, input_ready, s);
	if (s->input_watch == NULL) {
		corral_say("no memory to read standard input");
		end(s, s->config.broken);
	}
}

/* ---- what the tasks write ---- */

static void
write_output(struct stream *s, uint32_t fd, const void *bytes, size_t size)
{
	int to = fd == STDERR_FILENO ? STDERR_FILENO : STDOUT_FILENO;

	if (size > 0 && !fsutil_write_all(to, bytes, size)) {
		/* As a program that writes into a closed pipe: nobody reads any more. */
		if (errno != EPIPE)
			corral_say("cannot write to standard %s: %s",
			    to == STDOUT_FILENO ? "output" : "error", strerror(errno));
		end(s, errno == EPIPE ? 128 + SIGPIPE : s->config.broken);
	}
}

static struct buf *
pending_of(struct stream *s, uint64_t index, uint32_t fd)
{
	if (index >= TASKS_MAX)
		return NULL;
	if (index >= s->pending_count) {
		size_t count = (size_t)index + 64;
		struct pending **more = realloc(s->pending, count * sizeof *more);

		if (more == NULL)
			return NULL;
		memset(more + s->pending_count, 0, (count - s->pending_count) * sizeof *more);
		s->pending = more;
		s->pending_count = count;
	}
	if (s->pending[index] == NULL) {
		s->pending[index] = malloc(sizeof **s->pending);
		if (s->pending[index] == NULL)
			return NULL;
		buf_init(&s->pending[index]->text[0], LINE_BYTES_MAX);
		buf_init(&s->pending[index]->text[1], LINE_BYTES_MAX);
	}
	return &s->pending[index]->text[fd == STDERR_FILENO];
}

static void
write_line(struct stream *s, uint64_t index, uint32_t fd, struct buf *text)
{
	struct buf line;

	if (text->len == 0)
		return;
	buf_init(&line, LINE_BYTES_MAX + 256);
	buf_printf(&line, "%s.%llu | ", s->config.job, (unsigned long long)index);
	buf_append(&line, text->data, text->len);
	buf_append(&line, "\n", 1);
	if (!line.failed)
		write_output(s, fd, line.data, line.len);
	buf_fini(&line);
	buf_clear(text);
}

/* Whole lines with their task's name in front; what is left waits for its end. */
static void
write_prefixed(struct stream *s, const Corral__StreamData *d)
{
	struct buf *text = pending_of(s, d->stream, d->fd);
	const uint8_t *at = d->data.data, *stop = at + d->data.len;

	if (text == NULL) {
		corral_say("no memory for the output of %s.%llu", s->config.job,
		    (unsigned long long)d->stream);
		end(s, s->config.broken);
		return;
	}
	while (at < stop && s->link != NULL) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(stop - at));
		size_t size = (size_t)((newline != NULL ? newline : stop) - at);

		if (size > LINE_BYTES_MAX - text->len)
			size = LINE_BYTES_MAX - text->len;
		buf_append(text, at, size);
		at += size;
		if (at == newline)
			at++;
		else if (text->len < LINE_BYTES_MAX)
			break;
		write_line(s, d->stream, d->fd, text);
	}
	if (d->eof && s->link != NULL)
		write_line(s, d->stream, d->fd, text);
}

static void
take_data(struct stream *s, const Corral__StreamData *d)
{
	if (s->config.prefix)
		write_prefixed(s, d);
	else
		write_output(s, d->fd, d->data.data, d->data.len);
	if (s->link != NULL && d->data.len > 0)
		acknowledge(s, d);
}

/* ---- the link ---- */

static void
take_end(struct stream *s, const Corral__Api__RunEnd *e)
{
	if (e->message != NULL && e->message[0] != '\0')
		corral_say("%s: %s", s->config.job, e->message);
	end(s, e->status);
}

static void
take_message(struct stream *s, const Corral__Api__MasterToClient *m)
{
	switch (m->body_case) {
	case CORRAL__API__MASTER_TO_CLIENT__BODY_DATA:
		take_data(s, m->data);
		break;
	case CORRAL__API__MASTER_TO_CLIENT__BODY_ACK:
		s->unacknowledged -=
		    m->ack->bytes < s->unacknowledged ? (size_t)m->ack->bytes : s->unacknowledged;
		continue_input(s);
		break;
	case CORRAL__API__MASTER_TO_CLIENT__BODY_END:
		take_end(s, m->end);
		break;
	case CORRAL__API__MASTER_TO_CLIENT__BODY_ERROR:
		corral_say("%s", m->error->error);
		end(s, s->config.broken);
		break;
	default: /* changes of state are not shown here */
		break;
	}
}

static void
link_up(void *arg, struct link *l)
{
	struct stream *s = arg;

	s->link = l;
	s->was_up = true;
	continue_input(s);
}

static void
link_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct stream *s = arg;
	Corral__Api__MasterToClient *m = corral__api__master_to_client__unpack(NULL, size, bytes);

	(void)l;
	if (m == NULL) {
		corral_say("%s: the master sent a frame that cannot be read", s->config.job);
		end(s, s->config.broken);
		return;
	}
	take_message(s, m);
	corral__api__master_to_client__free_unpacked(m, NULL);
}

static void
link_down(void *arg, struct link *l, const char *why)
{
	struct stream *s = arg;

	(void)l;
	s->link = NULL;
	corral_say(
	    "lost the master: %s\n        What runs goes on: corral ps %s; corral logs -f %s", why,
	    s->config.job, s->config.job);
	end(s, s->config.broken);
}

static void
pass_signal(void *arg, int signo)
{
	struct stream *s = arg;
	Corral__Api__ClientToMaster m = CORRAL__API__CLIENT_TO_MASTER__INIT;

	m.body_case = CORRAL__API__CLIENT_TO_MASTER__BODY_SIGNAL;
	m.signal = signo;
	if (!send_message(s, &m) || ++s->signal_count >= IMPATIENCE)
		end(s, 128 + signo);
}

static void
pass_signals(struct stream *s)
{
	static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		if (!loop_on_signal(s->corral->loop, passed[i], pass_signal, s))
			corral_say("no memory to pass signals on");
}

static void
stream_fini(struct stream *s)
{
	stop_watching_input(s);
	for (size_t i = 0; i < s->pending_count; i++) {
		if (s->pending[i] == NULL)
			continue;
		buf_fini(&s->pending[i]->text[0]);
		buf_fini(&s->pending[i]->text[1]);
		free(s->pending[i]);
	}
	free(s->pending);
}

int
stream_run(struct corral *c, const struct api_request *request, const struct stream_config *config)
{
	static const struct link_limits limits = {.frame_bytes_max = FRAME_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = 5000};
	static const struct link_ops ops = {.up = link_up, .frame = link_frame, .down = link_down};
	struct stream s = {.corral = c, .config = *config};
	int status;

	s.input_is_file = config->input && !can_be_watched(STDIN_FILENO);
	if (config->signals)
		pass_signals(&s);
	status = api_upgrade(c->api, request, &limits, &ops, &s);
	stream_fini(&s);
	return s.was_up || config->refused == 0 ? status : config->refused;
}
