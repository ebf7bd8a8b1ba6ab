/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another server may say on the election port. A hello that is whole was so with no byte less,
 * and its address, if it counts, is a text; a notification that is taken is the same when it is
 * written and read again. An election that hears it holds what it holds at all times.
 */
#include <assert.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "zkserver/core/election.h"

static void
sent(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct notification n;

	(void)arg;
	assert(sid_is_valid(sid));
	assert(notification_decode(&n, bytes, size));
	assert(n.version == NOTIFICATION_VERSION);
}

static bool
newer(void *arg, int64_t sid, const struct members *m)
{
	(void)arg;
	(void)sid;
	return m->version % 2 == 1;
}

static void
fuzz_hello(const uint8_t *bytes, size_t size)
{
	struct hello h, again;
	size_t used = 0, used_again;
	char address[HELLO_ADDRESS_MAX + 1];

	if (hello_decode(&h, bytes, size, &used) != HELLO_WHOLE)
		return;
	assert(used <= size);
	assert(used <= HELLO_BYTES_MAX);
	assert(hello_decode(&again, bytes, used - 1, &used_again) == HELLO_SHORT);
	if (hello_address(&h, address, sizeof address))
		assert(strchr(address, ':') != NULL && strlen(address) <= h.address_size);
}

static void
fuzz_notification(const uint8_t *bytes, size_t size)
{
	struct notification n, again;
	struct buf b;

	if (!notification_decode(&n, bytes, size) || n.state < 0 || n.state >= PEER_STATE_COUNT)
		return;
	buf_init(&b, NOTIFICATION_FRAME_BYTES_MAX);
	notification_encode(&b, &n);
	assert(!b.failed && notification_decode(&again, b.data, b.len));
	assert(memcmp(&n.vote, &again.vote, sizeof n.vote) == 0);
	assert(n.config_size == again.config_size);
	buf_fini(&b);
}

/* Frames of one byte of length, a server in turn; a length of 0 lets time pass. */
static void
fuzz_election(const uint8_t *bytes, size_t size)
{
	static const struct election_ops OPS = {sent, newer};
	static const struct election_settings SETTINGS = {2, 200, 60000, 200};
	static const char TEXT[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
				   "server.4=d:1:2:observer\nversion=0";
	static struct members members;
	static struct election election;
	const struct members *m = &members;
	struct election *e = &election;
	struct fault f = {{0}};
	uint64_t now_ms = 1;

	assert(m->count > 0 || members_parse(&members, TEXT, sizeof TEXT - 1, &f) == 0);
	election_init(e, &SETTINGS, &OPS, NULL);
	assert(election_set_members(e, m, NULL));
	election_start(e, now_ms, 5, 1, false);
	for (size_t at = 0, turn = 0; at < size; turn++) {
		size_t len = bytes[at++];

		if (len > size - at)
			len = size - at;
		if (len > 0)
			election_heard(e, now_ms, (int64_t)(turn % 6), bytes + at, len);
		else
			election_tick(e, now_ms += 200);
		at += len;
		assert(e->round >= 0);
		assert((election_result(e) == NULL) == (e->state == PEER_LOOKING));
		assert(election_result(e) == NULL || members_is_voter(m, e->vote.leader));
	}
	election_fini(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	fuzz_hello(bytes, size);
	fuzz_notification(bytes, size);
	fuzz_election(bytes, size);
	return 0;
}
