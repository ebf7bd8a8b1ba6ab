/* SPDX-License-Identifier: Apache-2.0 */
/* The four-letter words that operators' tools send on the client port, with Apache's texts. */
#ifndef CORRAL_ZKSERVER_ADMIN_H
#define CORRAL_ZKSERVER_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "zkserver/conf.h"
#include "zkserver/core/server.h"

struct client_port;

struct admin {
	const struct zoo_conf *conf;
	struct server *server;
	const struct client_port *clients;
};

/* Are these the bytes of a word? */
bool admin_is_word(const uint8_t bytes[4]);

/* Append the answer to the word to *out. */
void admin_answer(const struct admin *a, const uint8_t word[4], struct buf *out);

#endif
