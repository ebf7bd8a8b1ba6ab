/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/helper_server.h"
#include "libcommon/base/str.h"
#include "libcommon/io/link.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

#define QUEUE_BYTES_MAX (64 << 20)
/* A helper that has not answered by then serves another agent, or hangs. */
#define GREETING_S 10
#define GREETING_BYTES_MAX 4096

/* ---- The greeting, before there is a loop. ---- */

static int
connect_socket(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = GREETING_S};
	int fd, saved;

	if (!str_copy(at.sun_path, sizeof at.sun_path, path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
	    connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static bool
send_greeting(int fd, const char *state_dir)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperHello hello = CORRAL__HELPER_HELLO__INIT;
	uint8_t frame[HELPER_FRAME_HEAD_BYTES + GREETING_BYTES_MAX] = {0};
	size_t size;

	hello.state_dir = (char *)(uintptr_t)state_dir;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_HELLO;
	r.hello = &hello;
	if ((size = corral__helper_request__get_packed_size(&r)) > GREETING_BYTES_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	frame[2] = (uint8_t)(size >> 8);
	frame[3] = (uint8_t)size;
	corral__helper_request__pack(&r, frame + HELPER_FRAME_HEAD_BYTES);
	return fsutil_write_all(fd, frame, HELPER_FRAME_HEAD_BYTES + size);
}

static bool
receive_all(int fd, void *to, size_t size)
{
	ssize_t n = recv(fd, to, size, MSG_WAITALL);

	if (n == 0)
		errno = ECONNRESET;
	return n == (ssize_t)size;
}

/* NULL with errno. */
static Corral__HelperReply *
receive_greeting(int fd)
{
	uint8_t head[HELPER_FRAME_HEAD_BYTES], frame[GREETING_BYTES_MAX];
	Corral__HelperReply *reply;
	size_t size;

	if (!receive_all(fd, head, sizeof head))
		return NULL;
	size = (size_t)head[2] << 8 | head[3];
	if (head[0] != 0 || head[1] != 0 || size > sizeof frame) {
		errno = EPROTO;
		return NULL;
	}
	if (!receive_all(fd, frame, size))
		return NULL;
	if ((reply = corral__helper_reply__unpack(NULL, size, frame)) == NULL)
		errno = EPROTO;
	return reply;
}

static bool
take_isolation(const Corral__HelperReply *reply, struct isolation *to)
{
	*to = (struct isolation){.count = reply->n_missing_isolation};
	if (to->count > ISOLATION_NAMES_MAX)
		return false;
	for (size_t i = 0; i < to->count; i++) {
		if (!str_copy(to->names[i], sizeof to->names[i], reply->missing_isolation[i]))
			return false;
	}
	return reply->missing_text == NULL ||
	       str_copy(to->text, sizeof to->text, reply->missing_text);
}

/* Root's, and not what another account put in the helper's place. */
static bool
is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

bool
helper_connect(const char *path, const char *state_dir, struct helper_way *to)
{
	struct timeval none = {0};
	Corral__HelperReply *reply;
	bool ok = false;
	int fd = connect_socket(path);

	*to = (struct helper_way){.fd = -1};
	if (fd < 0) {
		log_error_errno("[agent] helper=%s: no helper can be reached (corral-agent helper, "
				"corral-agent-helper.service)",
		    path);
		return false;
	}
	if (!is_root(fd)) {
		log_error("[agent] helper=%s: who listens there is not root", path);
		close(fd);
		return false;
	}
	if (!send_greeting(fd, state_dir) || (reply = receive_greeting(fd)) == NULL) {
		if (errno == EAGAIN)
			log_error("[agent] helper=%s: no answer within %d s: it may serve another "
				  "agent",
			    path, GREETING_S);
		else
			log_error_errno("[agent] helper=%s: no answer", path);
		close(fd);
		return false;
	}
	if (reply->error != NULL && *reply->error != '\0')
		log_error("[agent] helper=%s: %s", path, reply->error);
	else if (!take_isolation(reply, &to->isolation) ||
		 setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) != 0 ||
		 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) != 0)
		log_error("[agent] helper=%s: its answer cannot be read", path);
	else
		ok = true;
	corral__helper_reply__free_unpacked(reply, NULL);
	if (ok)
		to->fd = fd;
	else
		close(fd);
	return ok;
}

/* ---- Requests. ---- */

struct helper_client {
	struct helper *helper; /* called directly, unless there is a link */
	struct link *link;
	helper_reply_fn *reply;
	void (*down)(void *arg, const char *why);
	void *arg;
};

static void
deliver(struct helper_client *c, const void *bytes, size_t size)
{
	Corral__HelperReply *reply = corral__helper_reply__unpack(NULL, size, bytes);

	if (reply == NULL) {
		log_error("the helper's reply cannot be read");
		return;
	}
	c->reply(c->arg, reply);
	corral__helper_reply__free_unpacked(reply, NULL);
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	(void)l;
	deliver(arg, bytes, size);
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct helper_client *c = arg;

	(void)l;
	c->link = NULL;
	c->down(c->arg, why);
}

static void
on_up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

struct helper_client *
helper_client_new(struct loop *loop, const struct helper_way *way, helper_reply_fn *reply,
    void (*down)(void *arg, const char *why), void *arg)
{
	static const struct link_limits limits = {
	    HELPER_FRAME_BYTES_MAX, QUEUE_BYTES_MAX, 10000, 0};
	static const struct link_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
	struct helper_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	*c = (struct helper_client){.reply = reply, .down = down, .arg = arg};
	if (way->fd < 0)
		c->helper = way->local;
	else if ((c->link = link_adopt(loop, way->fd, NULL, false, &limits, &ops, c)) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
helper_client_free(struct helper_client *c)
{
	if (c != NULL && c->link != NULL)
		link_abort(c->link);
	free(c);
}

static bool
call_directly(struct helper_client *c, const void *bytes, size_t size)
{
	Corral__HelperRequest *request = corral__helper_request__unpack(NULL, size, bytes);
	struct buf reply;

	bool answered;

	if (request == NULL)
		return false;
	buf_init(&reply, HELPER_FRAME_BYTES_MAX);
	helper_handle(c->helper, request, &reply);
	corral__helper_request__free_unpacked(request, NULL);
	answered = !reply.failed;
	if (answered)
		deliver(c, reply.data, reply.len);
	buf_fini(&reply);
	return answered;
}

bool
helper_client_send(struct helper_client *c, const void *bytes, size_t size)
{
	if (c->helper != NULL)
		return call_directly(c, bytes, size);
	return c->link != NULL && link_send(c->link, bytes, size);
}
