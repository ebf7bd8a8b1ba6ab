/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of a server whose keys and certificates lie in stores, as Apache ZooKeeper's settings name
 * them: PEM, PKCS#12 or DER, told apart by content. Java's own kind (JKS) is refused.
 */
#ifndef CORRAL_IO_TLS_STORES_H
#define CORRAL_IO_TLS_STORES_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/io/tls.h"

enum tls_ask { TLS_ASK_NONE, TLS_ASK_WANT, TLS_ASK_NEED }; /* for the client's certificate */

/* Borrowed as long as the context lives: a reload reads all of it again. "" or NULL: unset. */
struct tls_stores {
	const char *key_store; /* the key, its certificate, what chains it to the CA */
	const char *key_password, *key_password_path; /* of the store; the file wins */
	const char *trust_store;		      /* may be unset if `ask` is TLS_ASK_NONE */
	const char *trust_password, *trust_password_path;
	const char *crl;       /* with it, no certificate counts of whose issuer there is no list */
	const char *protocols; /* "TLSv1.2,TLSv1.3"; unset: both. Older ones are not offered */
	const char *suites;    /* IANA's names apart by commas; unset: forward secret AEAD ones */
	enum tls_ask ask;
};

/* NULL: the reason, naming the file or the setting, is in error[size]. For tls_reload(), too. */
struct tls *tls_new_stores(const struct tls_stores *stores, char *error, size_t size);

#endif
