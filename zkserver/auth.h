/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the settings say of identities, made ready: the hash of the digest scheme, SASL's users, the
 * super users, the key of session passwords. The hashing is OpenSSL's.
 */
#ifndef CORRAL_ZKSERVER_AUTH_H
#define CORRAL_ZKSERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zkserver/conf.h"
#include "zkserver/core/acl.h"
#include "zkserver/core/sasl.h"
#include "zkserver/core/session.h"

#define AUTH_BYTES_MAX 1024 /* of "user:password" */
#define AUTH_ID_MAX 1152    /* of "user:" and its hash, the NUL included */

struct auth;

/* conf is borrowed until auth_close(). NULL: the reason is in error[size]. */
struct auth *auth_open(const struct zoo_conf *conf, char *error, size_t size);
void auth_close(struct auth *a); /* accepts NULL */

/* Read SASL's users again. On false nothing has changed. */
bool auth_reload(struct auth *a, char *error, size_t size);

/* What ACLs have to know. Borrows from conf. */
struct acl_policy auth_policy(const struct auth *a);

/*
 * The id of the scheme digest: "user:" and base64(hash(bytes)), the user what stands before the
 * first colon. False: it is too long, or the scheme is switched off.
 */
bool auth_digest_id(const struct auth *a, const uint8_t *bytes, size_t size, char id[AUTH_ID_MAX]);

bool auth_digest_is_super(const struct auth *a, const char *id);
bool auth_x509_is_super(const struct auth *a, const char *subject);
bool auth_sasl_is_super(const struct auth *a, const char *user);

/* Is this the ensemble that a client says it wants? Without names, or an empty one, yes. */
bool auth_ensemble_is_ours(const struct auth *a, const uint8_t *name, size_t size);

/* For sasl_next(); NULL if there are no users. */
const struct sasl_config *auth_sasl(const struct auth *a);

/* Unpredictable text for sasl_init(). False: no random bytes. */
bool auth_nonce(char nonce[SASL_NONCE_MAX + 1]);

/* With a key file a session's password is an HMAC; server_settings.password, arg the auth. */
bool auth_has_session_key(const struct auth *a);
bool auth_session_password(void *arg, int64_t id, uint8_t password[SESSION_PASSWORD_BYTES]);

#endif
