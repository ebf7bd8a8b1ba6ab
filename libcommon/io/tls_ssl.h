/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenSSL side of tls.h, for those who drive a connection themselves: libcommon/io, and
 * zkserver's client port. Nobody else includes it.
 */
#ifndef CORRAL_IO_TLS_SSL_H
#define CORRAL_IO_TLS_SSL_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "libcommon/io/tls.h"

/*
 * A connection's state, made from the context as it is now; NULL: no memory. The caller keeps a
 * reference on t until SSL_free(): a handshake with a pre-shared key looks into it.
 */
SSL *tls_new_ssl(struct tls *t, bool server);

/*
 * A client's expectation before the handshake: the peer's certificate is valid for this DNS name
 * or IP address (SAN only). Contexts with a pre-shared key need none, and ignore it.
 */
bool tls_ssl_expect(const struct tls *t, SSL *ssl, const char *peer_name);

/*
 * A context of another maker: it is asked for the SSL_CTX now and at each tls_reload(); NULL with
 * the reason in error[size]. arg is borrowed. verify: a server's mode for SSL_set_verify().
 */
typedef SSL_CTX *tls_make(const void *arg, char *error, size_t size);
struct tls *tls_new_made(tls_make *make, const void *arg, int verify, char *error, size_t size);

/* For makers: an SSL_CTX with what all of ours have in common, and nothing loaded; NULL: none. */
SSL_CTX *tls_ctx_new(int version_min);
/* Put the reason into error[size] and empty OpenSSL's queue; returns false. */
bool tls_fail(char *error, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Log that a certificate has ended or will soon. */
void tls_warn_about(const char *cert_path, const X509 *cert);
/*
 * A server's question after tls_reload(): would the client's certificate be taken today? True
 * without one.
 */
bool tls_still_trusts(const struct tls *t, SSL *ssl);

/* After the handshake: who the peer is. */
void tls_peer_read(SSL *ssl, struct tls_peer *peer);

/* The same for any certificate. */
void tls_peer_of_cert(X509 *cert, struct tls_peer *peer);

/* OpenSSL's first queued error as text for a log, and its queue emptied. */
void tls_error_text(char *to, size_t size);

/*
 * Why a handshake failed or a connection ended: what was wrong with the peer's certificate, or the
 * error (of ERR_get_error(); 0: the end of the connection). ssl may be NULL if the error is 0.
 */
void tls_handshake_error_text(const SSL *ssl, unsigned long error, char *to, size_t size);

/*
 * What it may mean that the peer has closed a connection on which nothing was received, to be put
 * behind that text; up: after the handshake. Whoever does not like the name in a certificate that
 * is valid closes so.
 */
const char *tls_end_hint(const SSL *ssl, bool up);

/* For SSL_set_verify(): keeps whose certificate was refused, for that text. */
int tls_on_verified(int ok, X509_STORE_CTX *check);

/* For SSL_get_ex_new_index(): what is kept is a text from malloc(). */
void tls_text_free(
    void *parent, void *text, CRYPTO_EX_DATA *data, int index, long argl, void *argp);

/* Is such an error one that the peer told, as when it refuses our certificate? */
bool tls_error_is_alert(unsigned long error);

#endif
