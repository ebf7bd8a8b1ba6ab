/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS context of the client ports, or of those of the ensemble, from the settings, and whether
 * its files have changed.
 */
#ifndef CORRAL_ZKSERVER_CLIENT_TLS_H
#define CORRAL_ZKSERVER_CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/tls_stores.h"
#include "zkserver/conf.h"

struct client_tls {
	struct tls_stores stores;
	struct tls *tls; /* NULL: no port has TLS */
	uint64_t stamp;	 /* of the files as they were read */
};

/* conf is borrowed. False: the reason is in error[size]. */
bool client_tls_open(struct client_tls *c, const struct zoo_conf *conf, char *error, size_t size);

/* The same for the election and quorum ports; c->tls NULL: they are plain. */
bool client_tls_open_ensemble(
    struct client_tls *c, const struct zoo_conf *conf, char *error, size_t size);

void client_tls_close(struct client_tls *c);

/* Read the files again; on false those in use stay. True without TLS. */
bool client_tls_reload(struct client_tls *c, char *error, size_t size);

/* Has a file changed since it was read, or since this said so? */
bool client_tls_changed(struct client_tls *c);

#endif
