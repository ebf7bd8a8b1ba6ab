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

#endif
