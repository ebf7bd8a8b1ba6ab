/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/codec/frame_limits.h"
#include "libcommon/sys/fsutil.h"
#include "proto/api.pb-c.h"

#define CHUNK_BYTES (32u << 10)
#define QUEUE_BYTES_MAX (4u << 20)
/* A longer line is passed on in pieces. */
#define LINE_BYTES_MAX (64u << 10)
#define TASKS_MAX 100000u
/* As many times the user must ask before we leave without waiting for the tasks' end. */
#define IMPATIENCE 3

/* So long, and with such pauses, a stream looks for another leader: a failover takes a session's
 * time-out and an election. */
#define LEADERLESS_MS 60000
#define LOOK_MS 250

/* One task's output, of descriptors 1 and 2: how much we have, by which a new leader goes on. */
struct output {
	uint32_t attempt;
	bool known[2];
	uint64_t offset[2];
	struct buf text[2]; /* with prefixes: what is not a whole line yet */
};

struct stream {
	struct corral *corral;
	struct stream_config config;
	struct link *link;
	struct output **outputs; /* by index; NULL: nothing came of it yet */
	size_t output_count;
	size_t unacknowledged; /* bytes of input on the way */
	bool input_done;
	struct fd_watch
	    *input_watch; /* NULL: none, or standard input cannot be watched, as a file */
	bool input_is_file;
	unsigned signal_count;
	bool was_up;
	bool lost; /* the master at hand is gone, and the next one goes on */
	struct timer timer;
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
	return s->link != NULL && link_send_message(s->link, &m->base);
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
	if (s->unacknowledged + CHUNK_BYTES > STREAM_WINDOW_BYTES)
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
	if (s->unacknowledged + CHUNK_BYTES > STREAM_WINDOW_BYTES)
		return;
	if (s->input_is_file) {
		while (s->link != NULL && !s->input_done &&
		       s->unacknowledged + CHUNK_BYTES <= STREAM_WINDOW_BYTES && pump_input(s))
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

static struct output *
output_of(struct stream *s, uint64_t index)
{
	if (index >= TASKS_MAX)
		return NULL;
	if (index >= s->output_count) {
		size_t count = (size_t)index + 64;
		struct output **more = realloc(s->outputs, count * sizeof *more);

		if (more == NULL)
			return NULL;
		memset(more + s->output_count, 0, (count - s->output_count) * sizeof *more);
		s->outputs = more;
		s->output_count = count;
	}
	if (s->outputs[index] == NULL) {
		s->outputs[index] = calloc(1, sizeof **s->outputs);
		if (s->outputs[index] == NULL)
			return NULL;
		buf_init(&s->outputs[index]->text[0], LINE_BYTES_MAX);
		buf_init(&s->outputs[index]->text[1], LINE_BYTES_MAX);
	}
	return s->outputs[index];
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
write_prefixed(struct stream *s, const Corral__StreamData *d, struct buf *text)
{
	const uint8_t *at = d->data.data, *stop = at + d->data.len;

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
}

/* A new attempt begins with a new line. */
static void
begin_attempt(struct stream *s, const Corral__StreamData *d, struct output *o)
{
	for (uint32_t file = 0; o->attempt != 0 && file < 2; file++)
		write_line(s, d->stream, STDOUT_FILENO + file, &o->text[file]);
	o->attempt = d->attempt;
	o->known[0] = o->known[1] = false;
}

static void
take_data(struct stream *s, const Corral__StreamData *d)
{
	struct output *o = output_of(s, d->stream);
	unsigned file = d->fd == STDERR_FILENO;

	if (o == NULL) {
		corral_say("no memory for the output of %s.%llu", s->config.job,
		    (unsigned long long)d->stream);
		end(s, s->config.broken);
		return;
	}
	if (o->attempt != d->attempt)
		begin_attempt(s, d, o);
	if (d->has_offset) {
		o->known[file] = true;
		o->offset[file] = d->offset + d->data.len;
	}
	if (s->config.prefix)
		write_prefixed(s, d, &o->text[file]);
	else
		write_output(s, d->fd, d->data.data, d->data.len);
	if (s->link != NULL && d->data.len > 0)
		acknowledge(s, d);
}

/* What is left of lines that never got their end. */
static void
write_rests(struct stream *s)
{
	for (size_t i = 0; i < s->output_count; i++)
		for (uint32_t file = 0; s->outputs[i] != NULL && file < 2; file++)
			write_line(s, i, STDOUT_FILENO + file, &s->outputs[i]->text[file]);
}

/* ---- the link ---- */

/* This master does not go on; whether another one does is seen to in stream_run(). */
static void
lose(struct stream *s, const char *why)
{
	if (!s->config.resume) {
		corral_say("%s\n        What runs goes on: corral ps %s; corral logs -f %s", why,
		    s->config.job, s->config.job);
		end(s, s->config.broken);
		return;
	}
	corral_say("%s: %s; looking for the one that leads", s->config.job, why);
	s->lost = true;
	end(s, 0);
}

static void
take_error(struct stream *s, const Corral__Api__Error *e)
{
	if (e->again) {
		lose(s, e->error);
		return;
	}
	corral_say("%s", e->error);
	end(s, s->config.broken);
}

static void
take_end(struct stream *s, const Corral__Api__RunEnd *e)
{
	write_rests(s);
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
		take_error(s, m->error);
		break;
	case CORRAL__API__MASTER_TO_CLIENT__BODY_NOTE:
		corral_say("%s", m->note);
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
	char text[512];

	(void)l;
	s->link = NULL;
	snprintf(text, sizeof text, "lost the master: %s", why);
	lose(s, text);
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
	for (size_t i = 0; i < s->output_count; i++) {
		if (s->outputs[i] == NULL)
			continue;
		buf_fini(&s->outputs[i]->text[0]);
		buf_fini(&s->outputs[i]->text[1]);
		free(s->outputs[i]);
	}
	free(s->outputs);
}

/* ---- going on with another master ---- */

static const struct link_limits limits = {.frame_bytes_max = FRAME_CLIENT_MASTER_BYTES_MAX,
    .queue_bytes_max = QUEUE_BYTES_MAX,
    .handshake_ms = 5000};
static const struct link_ops ops = {.up = link_up, .frame = link_frame, .down = link_down};

/* Ask for the rest: for each task from where its output is. */
static int
ask_for_rest(struct stream *s, const char *target)
{
	Corral__Api__Resume body = CORRAL__API__RESUME__INIT;
	Corral__Api__Position *positions = calloc(s->output_count + 1, sizeof *positions),
			      **pointers = calloc(s->output_count + 1, sizeof *pointers);
	const struct api_request request = {
	    .method = "POST", .target = target, .body = &body.base, .quiet = true};
	int status = EX_OSERR;

	for (size_t i = 0; positions != NULL && pointers != NULL && i < s->output_count; i++) {
		const struct output *o = s->outputs[i];
		Corral__Api__Position *p = &positions[body.n_positions];

		if (o == NULL)
			continue;
		corral__api__position__init(p);
		p->index = (uint32_t)i;
		p->attempt = o->attempt;
		p->has_stdout_offset = o->known[0];
		p->stdout_offset = o->offset[0];
		p->has_stderr_offset = o->known[1];
		p->stderr_offset = o->offset[1];
		pointers[body.n_positions++] = p;
	}
	body.positions = pointers;
	if (positions != NULL && pointers != NULL)
		status = api_upgrade(s->corral->api, &request, &limits, &ops, s);
	free(positions);
	free(pointers);
	return status;
}

static void
wake(void *arg)
{
	struct stream *s = arg;

	loop_stop(s->corral->loop, 0);
}

/* After the loss of a master: the next one that leads goes on. The exit status. */
static int
go_on(struct stream *s, const char *target)
{
	uint64_t since_ms = clock_boot_ms();
	int status;

	timer_init(&s->timer, s->corral->loop, wake, s);
	do {
		timer_set(&s->timer, clock_boot_ms() + LOOK_MS);
		loop_run(s->corral->loop, NULL, NULL);
		s->lost = s->was_up = false;
		status = ask_for_rest(s, target);
		if (s->was_up)
			return status;
	} while ((status == EX_TEMPFAIL || status == EX_UNAVAILABLE) &&
		 clock_boot_ms() - since_ms < LEADERLESS_MS);
	corral_say("%s: the rest of the output cannot be had: %s\n"
		   "        Try again: corral logs -f %s",
	    s->config.job, api_error(s->corral->api), s->config.job);
	return s->config.broken;
}

int
stream_run(struct corral *c, const struct api_request *request, const struct stream_config *config)
{
	struct stream s = {.corral = c, .config = *config};
	int status;

	s.input_is_file = config->input && !can_be_watched(STDIN_FILENO);
	if (config->signals)
		pass_signals(&s);
	status = api_upgrade(c->api, request, &limits, &ops, &s);
	if (!s.was_up && config->refused != 0)
		status = config->refused;
	while (s.lost)
		status = go_on(&s, request->target);
	stream_fini(&s);
	return status;
}
