/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/logs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/frame_limits.h"
#include "libcommon/sys/log.h"

#define CHUNK_BYTES 65536
#define ERROR_BYTES 512
#define TAIL_BYTES_MAX (8 << 20) /* looked at backwards for tail_lines */

/* One of the two files of a stream. */
struct source {
	uint32_t fd_number; /* 1, 2 */
	const char *file;
	int64_t from; /* the byte to begin with; -1: tail_lines says */
	int fd;	      /* -1: not there yet */
	int watch;    /* inotify's number; -1: none */
	bool at_end;
	int error; /* why it cannot be opened, read or watched; 0: nothing is wrong */
};

struct stream {
	struct list link;
	struct logs *logs;
	uint64_t id;
	struct taskkey key;
	char name[TASKKEY_NAME_BYTES];
	bool follow, input;
	int64_t tail_lines;
	uint64_t unacked_bytes;
	bool blocked; /* the master's link was full */
	struct source sources[2];
	struct buf input_waiting; /* until the executor has a link */
	bool input_eof;
};

struct logs {
	struct loop *loop;
	const char *state_dir;
	const struct logs_ops *ops;
	void *arg;
	struct list streams;
	size_t stream_count;
	int inotify_fd;
	struct fd_watch *watch;
};

static void
stream_free(struct stream *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->sources[i].watch >= 0)
			inotify_rm_watch(s->logs->inotify_fd, s->sources[i].watch);
		if (s->sources[i].fd >= 0)
			close(s->sources[i].fd);
	}
	buf_fini(&s->input_waiting);
	list_remove(&s->link);
	s->logs->stream_count--;
	free(s);
}

static bool
send_close(struct logs *l, uint64_t id, const char *error)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__StreamClose c = CORRAL__STREAM_CLOSE__INIT;

	c.stream = id;
	c.error = (char *)(uintptr_t)error;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_STREAM_CLOSE;
	m.stream_close = &c;
	return l->ops->send(l->arg, &m);
}

/* ---- Output: from the files to the master. ---- */

/* Go back so that `lines` lines are left to the end of the file. */
static void
seek_tail(int fd, int64_t lines)
{
	off_t end = lseek(fd, 0, SEEK_END), at = end,
	      least = end > TAIL_BYTES_MAX ? end - TAIL_BYTES_MAX : 0;
	char chunk[4096];
	int64_t seen = 0;

	while (at > least) {
		off_t from = at - least > (off_t)sizeof chunk ? at - (off_t)sizeof chunk : least;
		ssize_t n = pread(fd, chunk, (size_t)(at - from), from);

		if (n <= 0)
			break;
		for (ssize_t i = n - 1; i >= 0; i--) {
			/* The newline at the very end closes the last line. */
			if (chunk[i] == '\n' && from + i + 1 != end && ++seen == lines) {
				lseek(fd, from + i + 1, SEEK_SET);
				return;
			}
		}
		at = from;
	}
	lseek(fd, lines == 0 ? end : at, SEEK_SET);
}

static bool
send_data(struct stream *s, const struct source *src, off_t offset, uint8_t *bytes, size_t size)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__StreamData d = CORRAL__STREAM_DATA__INIT;

	d.stream = s->id;
	d.fd = src->fd_number;
	d.has_offset = true;
	d.offset = (uint64_t)offset;
	d.has_data = true;
	d.data.data = bytes;
	d.data.len = size;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_STREAM_DATA;
	m.stream_data = &d;
	return s->logs->ops->send(s->logs->arg, &m);
}

static void
open_source(struct stream *s, struct source *src)
{
	char path[64];

	src->fd = sandbox_open_file(s->logs->state_dir, "sandbox", s->name, src->file);
	if (src->fd < 0) {
		/* The executor may not have made it yet, or it is gone with the sandbox. */
		src->error = errno != ENOENT ? errno : 0;
		return;
	}
	if (src->from >= 0) {
		lseek(src->fd, (off_t)src->from, SEEK_SET);
	} else if (s->tail_lines >= 0) {
		seek_tail(src->fd, s->tail_lines);
		/* Where that is, for whoever goes on from there. */
		(void)send_data(s, src, lseek(src->fd, 0, SEEK_CUR), NULL, 0);
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", src->fd);
	if (s->follow && (src->watch = inotify_add_watch(s->logs->inotify_fd, path, IN_MODIFY)) < 0)
		src->error = errno;
}

/* Send what the file has and the window takes. */
static void
pump_source(struct stream *s, struct source *src)
{
	static uint8_t chunk[CHUNK_BYTES];
	ssize_t n;

	src->at_end = false;
	if (src->fd < 0)
		open_source(s, src);
	while (src->fd >= 0 && !s->blocked && s->unacked_bytes < STREAM_WINDOW_BYTES) {
		size_t room = STREAM_WINDOW_BYTES - s->unacked_bytes;
		off_t before = lseek(src->fd, 0, SEEK_CUR);

		if ((n = read(src->fd, chunk, room < sizeof chunk ? room : sizeof chunk)) <= 0) {
			if (n < 0)
				src->error = errno;
			src->at_end = true;
			return;
		}
		if (!send_data(s, src, before, chunk, (size_t)n)) {
			lseek(src->fd, before, SEEK_SET);
			s->blocked = true;
			return;
		}
		s->unacked_bytes += (uint64_t)n;
	}
	if (src->fd < 0)
		src->at_end = true;
}

/* What is wrong with a file of the stream, into to[size]. False: nothing is. */
static bool
say_error(const struct stream *s, char *to, size_t size)
{
	for (int i = 0; i < 2; i++) {
		const struct source *src = &s->sources[i];

		if (src->error == 0)
			continue;
		snprintf(to, size, "%s/sandbox/%s/%s: %s", s->logs->state_dir, s->name, src->file,
		    strerror(src->error));
		return true;
	}
	return false;
}

/* Send what there is; close the stream if that was all. */
static void
pump(struct stream *s)
{
	struct logs *l = s->logs;
	enum logs_attempt attempt = l->ops->attempt(l->arg, &s->key);
	char error[ERROR_BYTES];
	const char *why = NULL;

	for (int i = 0; i < 2; i++)
		pump_source(s, &s->sources[i]);
	if (s->blocked || !s->sources[0].at_end || !s->sources[1].at_end)
		return;
	/* A file that fails does so now and not later: who follows would wait for nothing. */
	if (say_error(s, error, sizeof error))
		why = error;
	else if (s->follow && attempt == LOGS_RUNS)
		return;
	else if (attempt == LOGS_UNKNOWN && s->sources[0].fd < 0 && s->sources[1].fd < 0)
		why = "the node keeps no output of this attempt any more";
	if (why == error)
		log_warn("%s", error);
	if (send_close(l, s->id, why))
		stream_free(s);
	else
		s->blocked = true;
}

static void
on_inotify(void *arg, int what)
{
	struct logs *l = arg;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct list *it, *nx;
	ssize_t n;

	(void)what;
	while ((n = read(l->inotify_fd, events, sizeof events)) > 0) {
		for (char *at = events; at < events + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)at;

			LIST_EACH(it, nx, &l->streams) {
				struct stream *s = CONTAINER_OF(it, struct stream, link);

				/* Two streams of one file share its watch. */
				if (e->mask & IN_MODIFY &&
				    (s->sources[0].watch == e->wd || s->sources[1].watch == e->wd))
					pump(s);
			}
			at += sizeof *e + e->len;
		}
	}
}

/* ---- Input: from the master to the executor. ---- */

static void
send_input_ack(struct logs *l, uint64_t id, uint64_t bytes)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__StreamAck ack = CORRAL__STREAM_ACK__INIT;

	ack.stream = id;
	ack.bytes = bytes;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_STREAM_ACK;
	m.stream_ack = &ack;
	l->ops->send(l->arg, &m);
}

static void
flush_input(struct stream *s)
{
	Corral__StreamData d = CORRAL__STREAM_DATA__INIT;

	if (s->input_waiting.len == 0 && !s->input_eof)
		return;
	while (s->input_waiting.len > 0) {
		size_t size =
		    s->input_waiting.len < CHUNK_BYTES ? s->input_waiting.len : CHUNK_BYTES;

		d.stream = s->id;
		d.has_data = true;
		d.data.data = s->input_waiting.data;
		d.data.len = size;
		if (!s->logs->ops->input(s->logs->arg, &s->key, &d))
			return;
		buf_consume(&s->input_waiting, size);
	}
	if (s->input_eof) {
		Corral__StreamData eof = CORRAL__STREAM_DATA__INIT;

		eof.stream = s->id;
		eof.has_eof = eof.eof = true;
		if (s->logs->ops->input(s->logs->arg, &s->key, &eof))
			s->input_eof = false;
	}
}

static void
take_input(struct stream *s, const Corral__StreamData *d)
{
	if (!s->input || d->fd != 0)
		return;
	if (d->has_data)
		buf_append(&s->input_waiting, d->data.data, d->data.len);
	s->input_eof = s->input_eof || (d->has_eof && d->eof);
	if (s->input_waiting.failed) {
		send_close(s->logs, s->id, "more input than the window allows");
		stream_free(s);
		return;
	}
	flush_input(s);
}

void
logs_input_taken(struct logs *l, const struct taskkey *key, uint64_t bytes)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams) {
		struct stream *s = CONTAINER_OF(it, struct stream, link);

		if (s->input && taskkey_equal(&s->key, key)) {
			send_input_ack(l, s->id, bytes);
			return;
		}
	}
}

/* ---- Streams. ---- */

static struct stream *
find(struct logs *l, uint64_t id)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams) {
		if (CONTAINER_OF(it, struct stream, link)->id == id)
			return CONTAINER_OF(it, struct stream, link);
	}
	return NULL;
}

/* What the file does not have is its end. */
static int64_t
offset_of(bool has, uint64_t offset)
{
	return !has ? -1 : offset > INT64_MAX ? INT64_MAX : (int64_t)offset;
}

static void
open_stream(struct logs *l, const Corral__StreamOpen *o)
{
	struct stream *s;

	if (find(l, o->stream) != NULL)
		return;
	if (l->stream_count >= LOGS_STREAMS_MAX || (s = calloc(1, sizeof *s)) == NULL) {
		send_close(l, o->stream, "the node has as many streams open as it can serve");
		return;
	}
	s->logs = l;
	s->id = o->stream;
	s->key = taskkey_of(o->key);
	taskkey_name(&s->key, s->name);
	s->follow = o->has_follow && o->follow;
	s->input = o->has_input && o->input;
	s->tail_lines = o->tail_lines;
	s->sources[0] = (struct source){.fd_number = 1, .file = "stdout", .fd = -1, .watch = -1};
	s->sources[1] = (struct source){.fd_number = 2, .file = "stderr", .fd = -1, .watch = -1};
	s->sources[0].from = offset_of(o->has_stdout_offset, o->stdout_offset);
	s->sources[1].from = offset_of(o->has_stderr_offset, o->stderr_offset);
	buf_init(&s->input_waiting, STREAM_WINDOW_BYTES);
	list_append(&l->streams, &s->link);
	l->stream_count++;
	pump(s);
}

void
logs_message(struct logs *l, const Corral__MasterToAgent *m)
{
	struct stream *s;

	switch (m->body_case) {
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_OPEN:
		open_stream(l, m->stream_open);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_DATA:
		if ((s = find(l, m->stream_data->stream)) != NULL)
			take_input(s, m->stream_data);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_ACK:
		if ((s = find(l, m->stream_ack->stream)) == NULL)
			break;
		s->unacked_bytes -= m->stream_ack->bytes < s->unacked_bytes ? m->stream_ack->bytes
									    : s->unacked_bytes;
		pump(s);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_CLOSE:
		if ((s = find(l, m->stream_close->stream)) != NULL)
			stream_free(s);
		break;
	default:
		break;
	}
}

void
logs_attempt_changed(struct logs *l, const struct taskkey *key)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams) {
		struct stream *s = CONTAINER_OF(it, struct stream, link);

		if (!taskkey_equal(&s->key, key))
			continue;
		flush_input(s);
		pump(s);
	}
}

void
logs_end_those_over(struct logs *l)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams) {
		struct stream *s = CONTAINER_OF(it, struct stream, link);

		if (l->ops->attempt(l->arg, &s->key) != LOGS_RUNS)
			pump(s);
	}
}

void
logs_writable(struct logs *l)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams) {
		struct stream *s = CONTAINER_OF(it, struct stream, link);

		if (!s->blocked)
			continue;
		s->blocked = false;
		pump(s);
	}
}

void
logs_master_down(struct logs *l)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &l->streams)
		stream_free(CONTAINER_OF(it, struct stream, link));
}

struct logs *
logs_new(struct loop *loop, const char *state_dir, const struct logs_ops *ops, void *arg)
{
	struct logs *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	*l = (struct logs){.loop = loop, .state_dir = state_dir, .ops = ops, .arg = arg};
	list_init(&l->streams);
	if ((l->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) >= 0 &&
	    (l->watch = fd_watch_new(loop, l->inotify_fd, FD_READ, on_inotify, l)) != NULL)
		return l;
	logs_free(l);
	return NULL;
}

void
logs_free(struct logs *l)
{
	if (l == NULL)
		return;
	logs_master_down(l);
	fd_watch_free(l->watch);
	if (l->inotify_fd >= 0)
		close(l->inotify_fd);
	free(l);
}
