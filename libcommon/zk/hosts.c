/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/hosts.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/str.h"

/* Where the ":PORT" of an item starts; its end if it has none. */
static const char *
item_port(const char *item)
{
	const char *from = item[0] == '[' ? strchrnul(item, ']') : item;

	return strchrnul(from, ':');
}

/* What is wrong with "HOST[:PORT]", NULL if nothing is. */
static const char *
item_fault(const char *item)
{
	const char *port = item_port(item);
	uint64_t number;

	if (port == item)
		return "a host is missing";
	if (strchr(item, '/') != NULL)
		return "a path behind the hosts is not supported";
	if (item[0] == '[' && port[-1] != ']')
		return "']' is missing or not followed by ':PORT'";
	if (item[0] != '[' && *port == ':' && strchr(port + 1, ':') != NULL)
		return "an IPv6 address is written [ADDRESS]:PORT";
	if (*port == ':' && !str_to_u64(port + 1, 1, UINT16_MAX, &number))
		return "the port is not a number from 1 to 65535";
	return NULL;
}

static bool
hosts_add(struct zk_hosts *h, const char *item, size_t len, char *error, size_t size)
{
	char host[ZK_HOST_BYTES_MAX - sizeof ":65535"];
	const char *fault = NULL;

	if (h->count == ZK_HOSTS_MAX)
		fault = "too many hosts";
	else if (len >= sizeof host)
		fault = "the name is too long";
	if (fault == NULL) {
		memcpy(host, item, len);
		host[len] = '\0';
		fault = item_fault(host);
	}
	if (fault != NULL) {
		snprintf(error, size, "hosts: '%.*s': %s (write HOST:PORT,HOST:PORT)",
		    (int)(len < 256 ? len : 256), item, fault);
		return false;
	}
	if (*item_port(host) == ':')
		snprintf(h->items[h->count++], ZK_HOST_BYTES_MAX, "%s", host);
	else
		snprintf(h->items[h->count++], ZK_HOST_BYTES_MAX, "%s:%d", host, ZK_PORT_DEFAULT);
	return true;
}

bool
zk_hosts_parse(struct zk_hosts *h, const char *text, char *error, size_t size)
{
	const char *end;

	h->count = 0;
	for (;; text = end + 1) {
		text += strspn(text, " ");
		end = strchrnul(text, ',');
		if (!hosts_add(h, text, (size_t)(end - text), error, size))
			return false;
		if (*end == '\0')
			return true;
	}
}

void
zk_hosts_shuffle(struct zk_hosts *h, struct rng *rng)
{
	char item[ZK_HOST_BYTES_MAX];

	for (size_t i = h->count; i > 1; i--) {
		size_t j = rng_below(rng, i);

		memcpy(item, h->items[j], sizeof item);
		memmove(h->items[j], h->items[i - 1], sizeof item);
		memcpy(h->items[i - 1], item, sizeof item);
	}
}
