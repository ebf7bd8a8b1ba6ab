/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes for a member's link, brought to it as the shell does. */
#ifndef CORRAL_TESTS_PEER_FEED_H
#define CORRAL_TESTS_PEER_FEED_H

#include <string.h>

#include "zkserver/core/peer.h"

/* How many it took: fewer where it has ended, or wants no more now (l->paused). */
static inline size_t
peer_feed(struct peer *p, struct peer_link *l, const uint8_t *bytes, size_t size)
{
	size_t took = 0, room;
	uint8_t *to;

	while (took < size && (to = peer_link_room(p, l, &room)) != NULL) {
		if (room > size - took)
			room = size - took;
		memcpy(to, bytes + took, room);
		peer_link_took(p, l, room);
		took += room;
	}
	return took;
}

#endif
