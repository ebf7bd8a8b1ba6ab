/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts: which key and certificate we show, whom we believe, and what a peer proved to be.
 * TLS 1.2 at least, 1.3 preferred; both sides show certificates of the cluster's CA (mutual TLS).
 * The exception is the link between agent and executor: TLS 1.3 with an external pre-shared key.
 */
#ifndef CORRAL_IO_TLS_H
#define CORRAL_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_PSK_BYTES 32
#define TLS_NAME_MAX 256

enum tls_role {
	TLS_ROLE_NONE, /* no certificate, or one that names no role of ours */
	TLS_ROLE_ZKSERVER,
	TLS_ROLE_MASTER,
	TLS_ROLE_AGENT,
	TLS_ROLE_OPERATOR,
	TLS_ROLE_USER,
	TLS_ROLE_FRAMEWORK,
};

/* What the peer's certificate says (the chain was verified); all empty if it showed none. */
struct tls_peer {
	enum tls_role role;
	char cluster[TLS_NAME_MAX]; /* of the SAN URI corral://CLUSTER/ROLE/NAME */
	char name[TLS_NAME_MAX];
	char subject[2 * TLS_NAME_MAX]; /* the subject's DN in RFC 2253 form, for x509 ACLs */
	char psk_identity[TLS_NAME_MAX];
};

struct tls; /* a context: reference-counted, shared by many links */

struct tls_files {
	const char *ca;	  /* PEM, one or more certificates */
	const char *cert; /* PEM, our certificate and what chains it to the CA; NULL: show none */
	const char *key;  /* PEM, not encrypted; refused if it is open to others */
};

/*
 * A context for either side. NULL: the reason, naming the file, is in error[size].
 * require_peer: a server refuses a client without a certificate (a client always verifies).
 */
struct tls *tls_new(const struct tls_files *files, bool require_peer, char *error, size_t size);

/*
 * Send the CA's certificate (the file's first one) behind our own from now on, for clients that
 * know its digest alone. On false, with the reason, nothing has changed.
 */
bool tls_show_ca(struct tls *t, char *error, size_t size);

/*
 * A client's context for those who know of the CA only the SHA-256 of its certificate: a server is
 * believed if that certificate is among those that it sends, and vouches for its own. NULL: no
 * memory.
 */
#define TLS_PIN_BYTES 32
struct tls *tls_new_pinned(const uint8_t pin[TLS_PIN_BYTES]);
/* The CA's certificate in PEM, as the last server that was believed sent it; "": there was none. */
const char *tls_pinned_ca(const struct tls *t);

/* Read the files again; new handshakes use them. On false nothing has changed. */
bool tls_reload(struct tls *t, char *error, size_t size);

/* A client's context with a pre-shared key, and a server's, which looks the identity's key up. */
struct tls *tls_new_psk_client(const char *identity, const uint8_t key[TLS_PSK_BYTES]);
typedef bool tls_psk_find(void *arg, const char *identity, uint8_t key[TLS_PSK_BYTES]);
struct tls *tls_new_psk_server(tls_psk_find *find, void *arg);

struct tls *tls_ref(struct tls *t);
void tls_unref(struct tls *t); /* accepts NULL */

/* "master" and so on; NULL for TLS_ROLE_NONE. */
const char *tls_role_name(enum tls_role role);
enum tls_role tls_role_parse(const char *name);

#endif
