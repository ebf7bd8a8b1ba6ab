/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations of ensembles as other servers and clients send them; by the first byte also a
 * request to change one (joining, leaving and the whole, a percent sign apart), and the zoo.cfg
 * that is written anew. What is taken must be printed so that it reads as the same.
 */
#include <assert.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "tests/fuzz/fuzz.h"
#include "zkserver/core/reconf.h"

#define ZXID 0x100000007
#define LAST_LINE "dynamicConfigFile=/c/d.1f\n"

static struct members members, other;

/* What holds of every configuration that is taken. */
static void
check_taken(const struct members *m)
{
	struct sid_set voters = {{0}}, none = {{0}};
	struct fault f = {{0}};
	struct buf text;

	buf_init(&text, MEMBERS_TEXT_BYTES_MAX);
	members_print(m, &text);
	assert(!text.failed);
	assert(members_parse(&other, text.data, text.len, &f) == 0);
	assert(members_same(m, &other) && other.version == m->version);
	buf_clear(&text);
	reconf_dynamic_text(m, true, &text);
	assert(members_parse(&other, text.data, text.len, &f) == 0);
	assert(members_same(m, &other));
	buf_fini(&text);
	for (unsigned i = 0; i < m->count; i++) {
		assert(i == 0 || m->list[i].sid > m->list[i - 1].sid);
		if (members_is_voter(m, m->list[i].sid))
			sid_set_add(&voters, m->list[i].sid);
	}
	assert(members_voter_count(m) == sid_set_count(&voters));
	assert(members_quorum(m, &voters) && !members_quorum(m, &none));
	assert((members_address_clash(m, &f) < 0) == (f.text[0] == '\0'));
}

static void
try_text(const uint8_t *data, size_t size)
{
	struct fault f = {{0}};

	if (members_parse(&members, data, size, &f) == 0)
		check_taken(&members);
	else
		assert(f.text[0] != '\0');
}

/* Up to the next '%', which is cut off; null if nothing is left. */
static struct jute_bytes
cut(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size > 0 ? memchr(*data, '%', *size) : NULL;
	struct jute_bytes part = {*data, (int32_t)(end != NULL ? (size_t)(end - *data) : *size)};

	if (*size == 0)
		return (struct jute_bytes){NULL, -1};
	*data += part.len + (end != NULL);
	*size -= (size_t)part.len + (end != NULL);
	return part;
}

static void
try_change(const uint8_t *data, size_t size)
{
	static const char base[] = "server.1=a:1:2\nserver.2=b:1:2;3\nserver.9=c:5:6:observer;7";
	struct reconf_request r = {.base = -1};
	struct fault f = {{0}};
	int rc;

	r.joining = cut(&data, &size);
	r.leaving = cut(&data, &size);
	r.members = cut(&data, &size);
	assert(members_parse(&members, base, strlen(base), &f) == 0);
	rc = reconf_apply(&members, 0, &r, ZXID, true, &other, &f);
	assert(rc == ZK_OK || rc == ZK_BADARGUMENTS);
	assert((rc == ZK_OK) == (f.text[0] == '\0'));
	if (rc != ZK_OK)
		return;
	assert(other.version == ZXID && members_voter_count(&other) >= 2);
	members = other;
	check_taken(&members);
}

/* What was written anew once needs it no more. */
static void
try_file(const char *text, size_t size)
{
	struct buf once, twice;
	struct fault f = {{0}};

	buf_init(&once, 1 << 20);
	buf_init(&twice, 1 << 20);
	assert(reconf_static_text(text, size, "/c/d.1f", true, &once, &f) == 0);
	assert(!once.failed && once.len <= size + 3 + strlen(LAST_LINE));
	assert(memcmp(once.data + once.len - strlen(LAST_LINE), LAST_LINE, strlen(LAST_LINE)) == 0);
	assert(reconf_static_text((const char *)once.data, once.len, "/c/d.1f", true, &twice, &f) ==
	       0);
	assert(twice.len == once.len && memcmp(once.data, twice.data, once.len) == 0);
	buf_fini(&once);
	buf_fini(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case '%':
		try_change(data + 1, size - 1);
		break;
	case '@':
		try_file((const char *)data + 1, size - 1);
		break;
	default:
		try_text(data, size);
	}
	return 0;
}
