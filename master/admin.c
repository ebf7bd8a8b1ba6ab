/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do by the API beside jobs. Each is answered when the store has it. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "master/master.h"

struct stored_waiter {
	struct list in_all;
	struct http_request *request;
	uint64_t ticket;
	admin_answer *answer;
	void *arg;
	void (*release)(void *arg);
};

static void
waiter_free(struct stored_waiter *w)
{
	list_remove(&w->in_all);
	if (w->release != NULL)
		w->release(w->arg);
	free(w);
}

static void
waiter_gone(void *arg, struct http_request *r)
{
	(void)r;
	waiter_free(arg);
}

void
admin_wait(struct master *m, struct http_request *r, admin_answer *answer, void *arg,
    void (*release)(void *arg))
{
	struct stored_waiter *w = malloc(sizeof *w);

	if (w == NULL) {
		api_error(m, r, 503, "out of memory: what was asked for may or may not be done");
		if (release != NULL)
			release(arg);
		return;
	}
	*w = (struct stored_waiter){
	    .request = r,
	    .ticket = cluster_ticket(&m->cluster),
	    .answer = answer,
	    .arg = arg,
	    .release = release,
	};
	list_init(&w->in_all);
	list_append(&m->stored_waiters, &w->in_all);
	http_request_on_gone(r, waiter_gone, w);
}

void
admin_carry_out(struct master *m)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &m->stored_waiters)
	{
		struct stored_waiter *w = CONTAINER_OF(it, struct stored_waiter, in_all);

		if (!cluster_has_stored(&m->cluster, w->ticket))
			continue;
		w->answer(m, w->request, w->arg);
		waiter_free(w);
	}
}

void
admin_drop_all(struct master *m)
{
	struct list *first;

	while ((first = list_first(&m->stored_waiters)) != NULL) {
		struct stored_waiter *w = CONTAINER_OF(first, struct stored_waiter, in_all);

		api_deposed(m, w->request);
		waiter_free(w);
	}
}

static void
route_tokens(struct master *m, struct http_request *r, const char *rest, bool post)
{
	char id[TOKEN_ID_SIZE] = "";
	size_t size = strcspn(rest, "/");

	if (!api_operators_only(m, r))
		return;
	if (size < sizeof id)
		memcpy(id, rest, size);
	if (post && rest[0] == '\0')
		enrol_token_create(m, r);
	else if (!post && rest[0] == '\0')
		enrol_token_list(m, r);
	else if (post && strcmp(rest + size, "/revoke") == 0)
		enrol_token_revoke(m, r, id);
	else
		api_error(m, r, 404, "no such thing to ask of a token");
}

bool
admin_route(struct master *m, struct http_request *r, const char *what, bool post)
{
	if (strcmp(what, "tokens") == 0 || str_starts(what, "tokens/"))
		route_tokens(m, r, what + strlen("tokens") + (what[strlen("tokens")] == '/'), post);
	else
		return false;
	return true;
}
