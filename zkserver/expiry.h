/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and connections in sets of those that expire together, for dumps. */
#ifndef CORRAL_ZKSERVER_EXPIRY_H
#define CORRAL_ZKSERVER_EXPIRY_H

#include "zkserver/core/server.h"

struct expiry_item {
	uint64_t at_ms; /* on the server's monotonic clock */
	const void *what;
};

struct expiry {
	struct expiry_item *items; /* in order of at_ms */
	size_t count;
};

/* False: no memory. The items are struct session and struct server_conn. */
bool expiry_of_sessions(struct expiry *e, const struct server *s);
/* In sets of ten seconds, as Apache's server has them; the shell bounds silence otherwise. */
bool expiry_of_conns(struct expiry *e, const struct server *s);
void expiry_fini(struct expiry *e);

size_t expiry_set_count(const struct expiry *e);
/* Items from i on that expire together; i is the first of them. */
size_t expiry_set_size(const struct expiry *e, size_t i);

#endif
