/* SPDX-License-Identifier: Apache-2.0 */
/* The users of SASL DIGEST-MD5 and their passwords, read from a file. */
#ifndef CORRAL_ZKSERVER_SASL_USERS_H
#define CORRAL_ZKSERVER_SASL_USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "zkserver/core/sasl.h"

struct sasl_users {
	struct sasl_user *items;
	size_t count;
};

/*
 * Add those of a section of a JAAS file: options user_NAME="PASSWORD" of DigestLoginModule. Other
 * modules are refused, Kerberos by its name. False: the reason is in error[size].
 */
bool sasl_users_read_jaas(
    struct sasl_users *u, const char *path, const char *section, char *error, size_t size);

/* Add those of a plain file: NAME:PASSWORD a line; empty lines and those with '#' first aside. */
bool sasl_users_read_plain(struct sasl_users *u, const char *path, char *error, size_t size);

/* Give the user another password, if there is such a user. False: no memory. */
bool sasl_users_override(struct sasl_users *u, const char *name, const char *password);

void sasl_users_fini(struct sasl_users *u); /* passwords are wiped */

#endif
