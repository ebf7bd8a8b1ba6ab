/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/peers.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"

#define NAME_BYTES 64

struct peer {
	struct hmap_node link;
	uint32_t count;
	char name[NAME_BYTES]; /* an address, or a network with its "/64" */
};

void
peers_init(struct peers *p, const struct hash_key *key)
{
	*p = (struct peers){.key = *key};
	hmap_init(&p->map);
}

void
peers_fini(struct peers *p)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &p->map)
		free(HMAP_ENTRY(it, struct peer, link));
	hmap_fini(&p->map);
}

static uint64_t
hash_of(const struct peers *p, const char *name)
{
	return hash_bytes(&p->key, name, strlen(name));
}

static struct peer *
find(struct peers *p, const char *name)
{
	struct hmap_node *h;

	for (h = hmap_first(&p->map, hash_of(p, name)); h != NULL; h = hmap_next(h)) {
		struct peer *peer = CONTAINER_OF(h, struct peer, link);

		if (strcmp(peer->name, name) == 0)
			return peer;
	}
	return NULL;
}

static enum peers_answer
count(struct peers *p, const char *name, uint64_t max, enum peers_answer full)
{
	struct peer *peer = find(p, name);

	if (peer == NULL) {
		if ((peer = calloc(1, sizeof *peer)) == NULL)
			return PEERS_NO_MEMORY;
		str_copy(peer->name, sizeof peer->name, name);
		if (!hmap_insert(&p->map, &peer->link, hash_of(p, name))) {
			free(peer);
			return PEERS_NO_MEMORY;
		}
	}
	if (max > 0 && peer->count >= max)
		return full;
	peer->count++;
	return PEERS_OK;
}

static void
uncount(struct peers *p, const char *name)
{
	struct peer *peer = find(p, name);

	if (peer == NULL || --peer->count > 0)
		return;
	hmap_remove(&p->map, &peer->link);
	free(peer);
}

/* The network of an IPv6 address; false: it is none. */
static bool
network_of(const char *ip, char name[NAME_BYTES])
{
	struct in6_addr address;
	char bare[INET6_ADDRSTRLEN];

	if (strchr(ip, ':') == NULL)
		return false;
	str_copy(bare, sizeof bare, ip);
	bare[strcspn(bare, "%")] = '\0'; /* the interface of a link-local one */
	if (inet_pton(AF_INET6, bare, &address) != 1)
		return false;
	memset(address.s6_addr + 8, 0, 8);
	if (inet_ntop(AF_INET6, &address, bare, sizeof bare) == NULL)
		return false;
	snprintf(name, NAME_BYTES, "%s/64", bare);
	return true;
}

enum peers_answer
peers_add(struct peers *p, const char *ip, uint32_t max)
{
	enum peers_answer answer = count(p, ip, max, PEERS_ADDRESS_FULL);
	char network[NAME_BYTES];

	if (answer != PEERS_OK || !network_of(ip, network))
		return answer;
	answer = count(p, network, (uint64_t)max * PEERS_NETWORK_SHARE, PEERS_NETWORK_FULL);
	if (answer != PEERS_OK)
		uncount(p, ip);
	return answer;
}

void
peers_drop(struct peers *p, const char *ip)
{
	char network[NAME_BYTES];

	uncount(p, ip);
	if (network_of(ip, network))
		uncount(p, network);
}
