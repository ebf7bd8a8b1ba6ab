/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/notification.h"

#include <assert.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"

#define HELLO_V1 INT64_C(-65536)
#define HELLO_V2 INT64_C(-65535)
#define HELLO_HEAD_BYTES 20

#define NOTIFICATION_33_BYTES 28
#define NOTIFICATION_34_BYTES 40
#define NOTIFICATION_HEAD_BYTES 44
#define NOTIFICATION_CONFIG_VERSION 2

enum hello_result
hello_decode(struct hello *h, const uint8_t *bytes, size_t size, size_t *used)
{
	struct jute_reader r = jute_reader(bytes, size);
	int64_t first;
	int32_t len;

	*h = (struct hello){0};
	if (size < 8)
		return HELLO_SHORT;
	first = jute_get_i64(&r);
	if (first >= 0) {
		h->sid = first;
		*used = 8;
		return HELLO_WHOLE;
	}
	if (first != HELLO_V1 && (first != HELLO_V2 || ZAB_PLANTED(PLANT_ONE_VERSION)))
		return HELLO_FOREIGN;
	if (size < HELLO_HEAD_BYTES)
		return HELLO_SHORT;
	h->sid = jute_get_i64(&r);
	len = jute_get_i32(&r);
	if (len < 1 || len > HELLO_ADDRESS_MAX)
		return HELLO_FOREIGN;
	if (jute_left(&r) < (size_t)len)
		return HELLO_SHORT;
	h->address = r.pos;
	h->address_size = (size_t)len;
	*used = HELLO_HEAD_BYTES + (size_t)len;
	return HELLO_WHOLE;
}

static bool
names_no_host(const char *address, size_t host_size)
{
	static const char *const nowhere[] = {"0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]"};

	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
		if (host_size == strlen(nowhere[i]) && memcmp(address, nowhere[i], host_size) == 0)
			return true;
	}
	return host_size == 0;
}

/* Is text[0..size) a port? */
static bool
is_port(const char *text, size_t size)
{
	uint32_t n = 0;

	if (size == 0 || size > 5)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = 10 * n + (uint32_t)(text[i] - '0');
	}
	return n > 0 && n <= UINT16_MAX;
}

bool
hello_address(const struct hello *h, char *to, size_t size)
{
	const uint8_t *end;
	const char *colon;
	size_t len = h->address_size;

	if (h->address == NULL)
		return false;
	if ((end = memchr(h->address, '|', len)) != NULL)
		len = (size_t)(end - h->address);
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (h->address[i] <= ' ' || h->address[i] > '~' || h->address[i] == '/')
			return false;
	}
	memcpy(to, h->address, len);
	to[len] = '\0';
	colon = strrchr(to, ':');
	return colon != NULL && is_port(colon + 1, strlen(colon + 1)) &&
	       (to[0] == '[' ? colon > to && colon[-1] == ']' : strchr(to, ':') == colon) &&
	       !names_no_host(to, (size_t)(colon - to));
}

void
hello_encode(struct buf *to, int64_t sid, const char *address)
{
	size_t len = strlen(address);

	assert(len >= 1);
	assert(len <= HELLO_ADDRESS_MAX);
	jute_put_i64(to, HELLO_V1);
	jute_put_i64(to, sid);
	jute_put_bytes(to, (struct jute_bytes){(const uint8_t *)address, (int32_t)len});
}

/* The configuration behind the version; false: longer than what there is. */
static bool
decode_config(struct notification *n, struct jute_reader *r)
{
	int32_t len = jute_get_i32(r);

	if (r->bad ||
	    ((len < 0 || (size_t)len > jute_left(r)) && !ZAB_PLANTED(PLANT_TRUSTS_LENGTH)))
		return false;
	n->config = r->pos;
	n->config_size = (size_t)len;
	return true;
}

bool
notification_decode(struct notification *n, const uint8_t *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);

	*n = (struct notification){0};
	if (size != NOTIFICATION_33_BYTES && size != NOTIFICATION_34_BYTES &&
	    size < NOTIFICATION_HEAD_BYTES)
		return false;
	n->state = jute_get_i32(&r);
	n->vote.leader = jute_get_i64(&r);
	n->vote.zxid = jute_get_i64(&r);
	n->vote.round = jute_get_i64(&r);
	if (size == NOTIFICATION_33_BYTES) {
		n->vote.epoch = n->vote.zxid >> 32;
		return true;
	}
	n->vote.epoch = jute_get_i64(&r);
	if (size == NOTIFICATION_34_BYTES)
		return true;
	n->version = jute_get_i32(&r);
	return n->version < NOTIFICATION_CONFIG_VERSION || decode_config(n, &r);
}

void
notification_encode(struct buf *to, const struct notification *n)
{
	assert(n->state >= 0);
	assert(n->state < PEER_STATE_COUNT);
	assert(n->config_size <= NOTIFICATION_FRAME_BYTES_MAX - NOTIFICATION_HEAD_BYTES);
	jute_put_i32(to, n->state);
	jute_put_i64(to, n->vote.leader);
	jute_put_i64(to, n->vote.zxid);
	jute_put_i64(to, n->vote.round);
	jute_put_i64(to, n->vote.epoch);
	jute_put_i32(to, NOTIFICATION_VERSION);
	jute_put_i32(to, (int32_t)n->config_size);
	buf_append(to, n->config, n->config_size);
}
