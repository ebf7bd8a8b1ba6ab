/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Basic credentials for the HTTP API, for clients that have no certificate: a file of lines
 * "ROLE:NAME SECRET", or "NAME SECRET" for a user, as Mesos' credentials files have them. Only
 * hashes of the secrets are kept.
 */
#ifndef CORRAL_MASTER_CREDENTIALS_H
#define CORRAL_MASTER_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/io/tls.h"

enum {
	CREDENTIALS_MAX = 10000,
	CREDENTIALS_NAME_MAX = 63,
	CREDENTIALS_SECRET_MIN = 8,
	CREDENTIALS_SECRET_MAX = 512,
};

struct credentials;

/* NULL: the reason, with the file and the line, is in error[size]. */
struct credentials *credentials_read(const char *path, char *error, size_t size);
void credentials_free(struct credentials *c); /* NULL: nothing */

/*
 * Is this the secret of the holder of this name? Then *who has its role and name. What it takes
 * does not tell which names there are, nor how far a secret was right.
 */
bool credentials_check(
    const struct credentials *c, const char *name, const char *secret, struct tls_peer *who);

#endif
