/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/zkstream.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "zkserver/core/watch.h"

void
zkstream_begin(struct zkstream *s, const struct model *m)
{
	*s = (struct zkstream){.at = m->event_count};
}

void
zkstream_end(struct zkstream *s)
{
	s->watch_count = 0;
}

static struct zkstream_watch *
find(const struct zkstream *s, const char *path)
{
	for (size_t i = 0; i < s->watch_count; i++)
		if (strcmp(s->watches[i].path, path) == 0)
			return (struct zkstream_watch *)&s->watches[i];
	return NULL;
}

void
zkstream_watch(struct zkstream *s, const char *path, bool recursive)
{
	struct zkstream_watch *w = find(s, path);

	if (w == NULL) {
		assert(s->watch_count < ZKSTREAM_WATCHES_MAX);
		w = &s->watches[s->watch_count++];
		snprintf(w->path, sizeof(w->path), "%s", path);
	}
	w->recursive = recursive;
}

bool
zkstream_unwatch(struct zkstream *s, const char *path)
{
	struct zkstream_watch *w = find(s, path);

	if (w == NULL)
		return false;
	*w = s->watches[--s->watch_count];
	return true;
}

bool
zkstream_watches(const struct zkstream *s, const char *path)
{
	return find(s, path) != NULL;
}

static bool
covers(const struct zkstream_watch *w, const struct model_event *e)
{
	size_t len = strlen(w->path);

	if (!w->recursive)
		return strcmp(e->path, w->path) == 0;
	if (e->type == WATCH_CHILDREN_CHANGED || strncmp(e->path, w->path, len) != 0)
		return false;
	return len == 1 || e->path[len] == '/' || e->path[len] == '\0';
}

/* The next event that must be told, up to this zxid; NULL: none. */
static const struct model_event *
next(struct zkstream *s, const struct model *m, int64_t zxid)
{
	for (; s->at < m->event_count && m->events[s->at].zxid <= zxid; s->at++)
		for (size_t i = 0; i < s->watch_count; i++)
			if (covers(&s->watches[i], &m->events[s->at]))
				return &m->events[s->at];
	return NULL;
}

const char *
zkstream_event(
    struct zkstream *s, const struct model *m, int64_t zxid, int32_t type, struct jute_bytes path)
{
	const struct model_event *e = next(s, m, zxid);

	if (e == NULL)
		return "W6: no persistent watch asked for it";
	if (e->zxid != zxid)
		return "W4: something that happened earlier was not told";
	if (e->type != type || path.len != (int32_t)strlen(e->path) ||
	    memcmp(e->path, path.data, (size_t)path.len) != 0)
		return "W2: it is not what happened next";
	s->at++;
	return NULL;
}

const struct model_event *
zkstream_reply(struct zkstream *s, const struct model *m, int64_t zxid)
{
	return next(s, m, zxid);
}
