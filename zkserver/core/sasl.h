/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of SASL DIGEST-MD5 (RFC 2831) as Java's server has it: qop "auth", one realm,
 * no subsequent authentication. Pure: the nonce comes from the caller, and so does MD5, which a
 * library in FIPS mode may not have.
 */
#ifndef CORRAL_ZKSERVER_CORE_SASL_H
#define CORRAL_ZKSERVER_CORE_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SASL_MD5_BYTES 16
#define SASL_NONCE_MAX 64      /* of text */
#define SASL_RESPONSE_MAX 4096 /* bytes of a client's token: RFC 2831, 2.1.2 */
#define SASL_CHALLENGE_MAX 256 /* bytes of a server's token, its NUL included */
#define SASL_NAME_MAX 256      /* bytes of a user's name, its NUL included */
#define SASL_USERS_MAX 10000

/* False: there is no MD5. */
typedef bool sasl_md5(const void *bytes, size_t size, uint8_t to[SASL_MD5_BYTES]);

struct sasl_user {
	char *name, *password; /* UTF-8 */
};

struct sasl_config {
	const char *protocol,
	    *server; /* "zookeeper", "zk-sasl-md5"; the server is the realm, too */
	const struct sasl_user *users;
	size_t user_count;
	sasl_md5 *md5;
};

enum sasl_step { SASL_START, SASL_CHALLENGED, SASL_DONE, SASL_FAILED };

struct sasl {
	enum sasl_step step;
	char nonce[SASL_NONCE_MAX + 1];
	char user[SASL_NAME_MAX]; /* who it is; "" until SASL_DONE */
	const char *why;	  /* SASL_FAILED: for a log */
};

/* nonce: unpredictable printable text without quotes, used once; at most SASL_NONCE_MAX bytes. */
void sasl_init(struct sasl *s, const char *nonce);

/*
 * The client's next token; ours is written with a NUL. SASL_CHALLENGED and SASL_DONE: send it.
 * SASL_FAILED: s->why says why; further tokens fail, too.
 */
enum sasl_step sasl_next(struct sasl *s, const struct sasl_config *config, const uint8_t *token,
    size_t size, char answer[SASL_CHALLENGE_MAX]);

#endif
