/* SPDX-License-Identifier: Apache-2.0 */
/* Four-letter words on a client's connection: the answer, then the end. */
#include <errno.h>
#include <string.h>

#include "libcommon/io/loop.h"
#include "zkserver/admin.h"
#include "zkserver/admin_job.h"
#include "zkserver/client_conn.h"

#define HELD_BYTES ((size_t)1 << 20) /* unsent bytes at which the maker of an answer has to wait   \
				      */

/* It goes on: the ten seconds that an ending connection has begin anew. */
static void
show_life(struct client_conn *c)
{
	list_remove(&c->young);
	c->young_ms = clock_boot_ms();
	list_append(&c->shared->young, &c->young);
}

static void
word_bytes(void *arg, const uint8_t *bytes, size_t size)
{
	struct client_conn *c = arg;

	buf_append(&c->out, bytes, size);
	show_life(c);
	if (c->out.len > HELD_BYTES)
		admin_job_hold(c->job, true);
	client_conn_attend(c);
}

static void
word_done(void *arg, bool whole)
{
	struct client_conn *c = arg;

	(void)whole; /* what was sent ends early: there is no place for a word about it */
	c->job = NULL;
	client_conn_attend(c);
}

void
client_word_sent(struct client_conn *c)
{
	if (c->job != NULL && c->out.len <= HELD_BYTES / 2)
		admin_job_hold(c->job, false);
}

struct making {
	struct admin_call call;
	const struct admin_command *command;
};

static void
make(void *arg, struct report *r)
{
	const struct making *m = arg;

	admin_put_text(&m->call, m->command, r);
}

static void
answer_large(struct client_conn *c, struct making *m)
{
	static const struct admin_job_ops ops = {word_bytes, word_done};

	c->job = admin_job_start(c->shared->jobs, make, m, &ops, c);
	if (c->job == NULL)
		buf_printf(c->core.out, "%s cannot be answered now: %s\n", m->command->word,
		    errno == EAGAIN ? "others are being answered, try again" : strerror(errno));
}

static void
answer_small(struct client_conn *c, struct making *m)
{
	struct report r;

	report_init(&r, -1);
	make(m, &r);
	if (report_finish(&r))
		buf_append(c->core.out, r.buf.data, r.buf.len);
	report_fini(&r);
}

bool
client_word(struct client_conn *c, const uint8_t *bytes, size_t size, size_t *used)
{
	struct making m = {.call = {.admin = c->shared->admin, .word = bytes}};

	if (c->core.session_id != 0 || c->core.end != SERVER_OPEN || size < ADMIN_WORD_BYTES ||
	    (m.command = admin_find_word(bytes)) == NULL)
		return false;
	*used = 0;
	if (admin_allows(c->shared->admin, m.command) && size < admin_word_bytes(m.command))
		return true;
	*used = size; /* a line's end, and whatever else came with it */
	server_conn_received(c->shared->server, &c->core, ADMIN_WORD_BYTES);
	c->core.end = SERVER_CLOSE_FLUSHED;
	if (admin_allows(c->shared->admin, m.command) &&
	    admin_is_large(c->shared->admin, m.command))
		answer_large(c, &m);
	else
		answer_small(c, &m);
	server_conn_sent(c->shared->server, &c->core);
	return true;
}
