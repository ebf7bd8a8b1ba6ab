/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/reconf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/zk_err.h"

#define BLANKS " \t\r\n\f"

/* The longest server of a list: "server.N=" and its address. */
#define ITEM_BYTES_MAX 1024

/* Cut the next item off a list with commas, without blanks around it; it may be empty. */
static struct jute_bytes
cut_item(struct jute_bytes *list)
{
	const uint8_t *comma = memchr(list->data, ',', (size_t)list->len);
	struct jute_bytes item = {list->data, list->len};

	if (comma != NULL)
		item.len = (int32_t)(comma - list->data);
	list->data += item.len + (comma != NULL);
	list->len -= item.len + (comma != NULL);
	while (item.len > 0 && memchr(BLANKS, item.data[0], sizeof BLANKS - 1) != NULL) {
		item.data++;
		item.len--;
	}
	while (item.len > 0 && memchr(BLANKS, item.data[item.len - 1], sizeof BLANKS - 1) != NULL)
		item.len--;
	return item;
}

static void
remove_member(struct members *m, int64_t sid)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->list[i].sid != sid)
			continue;
		m->count--;
		memmove(&m->list[i], &m->list[i + 1], (m->count - i) * sizeof m->list[0]);
		return;
	}
}

static int
leave(struct members *m, const char *item, struct fault *f)
{
	int64_t sid;

	if (!str_to_i64(item, INT64_MIN, INT64_MAX, &sid))
		return fault_set(f, -EINVAL, "\"%.64s\" leaves: not a server's number", item);
	remove_member(m, sid);
	return 0;
}

/* Addresses that are another machine's on each machine, or none. */
static bool
is_anywhere(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "0:0:0:0:0:0:0:0") == 0 ||
	       strcmp(host, "0:0:0:0:0:0:0:1") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcasecmp(host, "localhost") == 0;
}

struct place {
	const char *host;
	uint16_t port; /* 0: none */
};

static void
places_of(const struct member *x, struct place places[3])
{
	places[0] = (struct place){x->host, x->quorum_port};
	places[1] = (struct place){x->host, x->election_port};
	places[2] = (struct place){x->client_host, x->client_port};
}

static bool
conflict(const struct member *a, const struct member *b)
{
	struct place x[3], y[3];

	places_of(a, x);
	places_of(b, y);
	for (unsigned i = 0; i < 9; i++) {
		const struct place *p = &x[i / 3], *q = &y[i % 3];

		if (p->port != 0 && p->port == q->port && !is_anywhere(p->host) &&
		    strcasecmp(p->host, q->host) == 0)
			return true;
	}
	return false;
}

/* "server.N=ADDRESS", or "N=ADDRESS": with a client port, and nobody else's place. */
static int
join(struct members *m, const char *item, struct fault *f)
{
	char key[64], number[32];
	const char *equals = strchr(item, '='), *dot, *value;
	struct members one;
	int err;

	if (equals == NULL)
		return fault_set(f, -EINVAL, "\"%.64s\" joins: not server.N=ADDRESS", item);
	snprintf(key, sizeof key, "%.*s", equals - item < 63 ? (int)(equals - item) : 63, item);
	key[strcspn(key, BLANKS)] = '\0';
	dot = strrchr(key, '.');
	snprintf(number, sizeof number, "%.31s", dot != NULL ? dot + 1 : key);
	snprintf(key, sizeof key, "server.%s", number);
	value = equals + 1 + strspn(equals + 1, BLANKS);
	members_init(&one);
	if ((err = members_put(&one, key, value, f)) < 0)
		return err;
	if (one.list[0].client_port == 0)
		return fault_set(
		    f, -EINVAL, "%.64s=%.160s joins: it needs a client port, too", key, value);
	for (unsigned i = 0; i < m->count; i++) {
		if (m->list[i].sid != one.list[0].sid && conflict(&m->list[i], &one.list[0]))
			return fault_set(f, -EINVAL,
			    "%.64s=%.160s joins: server.%d has one of its addresses", key, value,
			    (int)m->list[i].sid);
	}
	remove_member(m, one.list[0].sid);
	return members_put(m, key, value, f);
}

/* Do it with each item of a list; the first error ends it. */
static int
each(struct members *m, struct jute_bytes list,
    int (*act)(struct members *m, const char *item, struct fault *f), struct fault *f)
{
	char text[ITEM_BYTES_MAX];
	int err = 0;

	while (err == 0 && list.len > 0) {
		struct jute_bytes item = cut_item(&list);

		if (item.len == 0)
			continue;
		if (item.len >= ITEM_BYTES_MAX || memchr(item.data, '\0', (size_t)item.len) != NULL)
			return fault_set(
			    f, -EINVAL, "a list has an item that is no text or too long");
		memcpy(text, item.data, (size_t)item.len);
		text[item.len] = '\0';
		err = act(m, text, f);
	}
	return err;
}

static int
change(const struct members *seen, const struct reconf_request *r, struct members *next,
    struct fault *f)
{
	int err;

	if (seen->hierarchical)
		return fault_set(f, -EINVAL, "with groups only a whole configuration can be given");
	*next = *seen;
	if ((err = each(next, r->leaving, leave, f)) < 0)
		return err;
	return each(next, r->joining, join, f);
}

/* The whole: what a configuration's text is, with commas for newlines. */
static int
replace(const struct jute_bytes *text, struct members *next, struct fault *f)
{
	char lines[MEMBERS_TEXT_BYTES_MAX];
	size_t size = (size_t)text->len;

	if (size > sizeof lines)
		return fault_set(f, -EINVAL, "a configuration of %zu bytes is too large", size);
	for (size_t i = 0; i < size; i++)
		lines[i] = text->data[i] == ',' ? '\n' : (char)text->data[i];
	return members_parse(next, lines, size, f);
}

int
reconf_apply(const struct members *seen, int64_t committed, const struct reconf_request *r,
    int64_t zxid, bool standalone, struct members *next, struct fault *f)
{
	unsigned needed = standalone ? 2 : 1;
	int err;

	if (seen->version != committed)
		return ZK_RECONFIGINPROGRESS;
	if (r->base != -1 && r->base != seen->version)
		return ZK_BADVERSION;
	err = r->members.len >= 0 ? replace(&r->members, next, f) : change(seen, r, next, f);
	if (err < 0)
		return ZK_BADARGUMENTS;
	if (members_voter_count(next) < needed) {
		fault_set(f, -EINVAL, "fewer than %u participants are left", needed);
		return ZK_BADARGUMENTS;
	}
	next->version = zxid;
	return ZK_OK;
}
