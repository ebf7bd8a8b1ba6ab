/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "libcommon/base/str.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

#define TLS_VERIFY_DEPTH 4
#define TLS_SECURITY_LEVEL 2 /* 112 bits: no SHA-1 signatures, no RSA below 2048 */
#define TLS_EXPIRY_WARN_DAYS 30
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS13_PSK_SUITE "TLS_AES_128_GCM_SHA256" /* SHA-256: the hash of an external key */

struct tls {
	unsigned refs;
	SSL_CTX *ctx;
	char *ca, *cert, *key; /* the files; NULL with a pre-shared key */
	bool require_peer, show_ca;
	tls_make *make; /* in place of the files: makes the context anew */
	const void *make_arg;
	int verify; /* with make: a server's mode */

	bool pinned;
	uint8_t pin[TLS_PIN_BYTES];
	char *pinned_ca; /* PEM; NULL until a server was believed */

	bool psk;
	char psk_identity[TLS_NAME_MAX]; /* a client's */
	uint8_t psk_key[TLS_PSK_BYTES];
	tls_psk_find *psk_find; /* a server's */
	void *psk_find_arg;
};

bool
tls_fail(char *error, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return false;
}

/* Never ask for a passphrase on the terminal of a daemon. */
static int
tls_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

SSL_CTX *
tls_ctx_new(int version_min)
{
	SSL_CTX *ctx;

	/*
	 * Without openssl.cnf: what we offer must not depend on the machine, and start-up is
	 * shorter.
	 */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return NULL;
	ctx = SSL_CTX_new(TLS_method());
	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_security_level(ctx, TLS_SECURITY_LEVEL);
	/* The chain is what the files say; building it cost a server's handshake a verification. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* A resumed session would skip the question what the peer's certificate is worth today. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
	SSL_CTX_set_verify_depth(ctx, TLS_VERIFY_DEPTH);
	if (SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(ctx, version_min) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

void
tls_warn_about(const char *cert_path, const X509 *cert)
{
	time_t soon = time(NULL) + TLS_EXPIRY_WARN_DAYS * 86400;

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		log_warn("%s: the certificate has expired: renew it", cert_path);
	else if (X509_cmp_time(X509_get0_notAfter(cert), &soon) < 0)
		log_warn("%s: the certificate expires within %d days: renew it", cert_path,
		    TLS_EXPIRY_WARN_DAYS);
}

static bool
tls_load_own(const struct tls *t, SSL_CTX *ctx, char *error, size_t size)
{
	unsigned mode = fsutil_open_mode(t->key);
	char why[256];

	if (mode != 0)
		return tls_fail(error, size,
		    "%s: the private key is open to others (mode %04o): chmod 600 %s", t->key, mode,
		    t->key);
	if (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1) {
		tls_error_text(why, sizeof why);
		return tls_fail(error, size, "%s: cannot load the certificate: %s", t->cert, why);
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
			return tls_fail(error, size,
			    "%s: the key does not belong to the certificate in %s", t->key,
			    t->cert);
		tls_error_text(why, sizeof why);
		return tls_fail(error, size, "%s: cannot load the private key: %s", t->key, why);
	}
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_fail(error, size, "%s: the key does not belong to the certificate in %s",
		    t->key, t->cert);
	tls_warn_about(t->cert, SSL_CTX_get0_certificate(ctx));
	return true;
}

/* The CA's certificate (the file's first one) behind our own, in what the peer is sent. */
static bool
tls_send_ca(const struct tls *t, SSL_CTX *ctx, char *error, size_t size)
{
	BIO *bio = BIO_new_file(t->ca, "r");
	X509 *ca = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, tls_no_passphrase, NULL);
	bool ok = ca != NULL && SSL_CTX_add1_chain_cert(ctx, ca) == 1;

	X509_free(ca);
	BIO_free(bio);
	return ok || tls_fail(error, size, "%s: the CA's certificate cannot be shown", t->ca);
}

/* The files as they are now, in a new context; NULL: the reason is in error. */
static SSL_CTX *
tls_load(const struct tls *t, char *error, size_t size)
{
	SSL_CTX *ctx = tls_ctx_new(TLS1_2_VERSION);
	STACK_OF(X509_NAME) * ca_names;
	char why[256];

	if (ctx == NULL) {
		tls_error_text(why, sizeof why);
		tls_fail(error, size, "cannot set TLS up: %s", why);
		return NULL;
	}
	ca_names = SSL_load_client_CA_file(t->ca);
	if (ca_names == NULL || SSL_CTX_load_verify_file(ctx, t->ca) != 1) {
		sk_X509_NAME_pop_free(ca_names, X509_NAME_free);
		tls_error_text(why, sizeof why);
		tls_fail(error, size, "%s: cannot load the CA's certificate: %s", t->ca, why);
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_client_CA_list(ctx, ca_names);
	if ((t->cert != NULL && !tls_load_own(t, ctx, error, size)) ||
	    (t->show_ca && !tls_send_ca(t, ctx, error, size))) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static bool
tls_copy_files(struct tls *t, const struct tls_files *files)
{
	t->ca = strdup(files->ca);
	if (files->cert != NULL) {
		t->cert = strdup(files->cert);
		t->key = strdup(files->key);
	}
	return t->ca != NULL && (files->cert == NULL || (t->cert != NULL && t->key != NULL));
}

struct tls *
tls_new(const struct tls_files *files, bool require_peer, char *error, size_t size)
{
	struct tls *t;

	if (files->ca == NULL || (files->cert == NULL) != (files->key == NULL)) {
		tls_fail(
		    error, size, "TLS needs a CA file, and a certificate together with its key");
		return NULL;
	}
	t = calloc(1, sizeof *t);
	if (t == NULL || !tls_copy_files(t, files)) {
		tls_fail(error, size, "no memory for TLS");
		tls_unref(t);
		return NULL;
	}
	t->require_peer = require_peer;
	t->refs = 1;
	t->ctx = tls_load(t, error, size);
	if (t->ctx == NULL) {
		tls_unref(t);
		return NULL;
	}
	return t;
}

struct tls *
tls_new_made(tls_make *make, const void *arg, int verify, char *error, size_t size)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL) {
		tls_fail(error, size, "no memory for TLS");
		return NULL;
	}
	t->refs = 1;
	t->make = make;
	t->make_arg = arg;
	t->verify = verify;
	t->ctx = make(arg, error, size);
	if (t->ctx == NULL) {
		tls_unref(t);
		return NULL;
	}
	return t;
}

bool
tls_reload(struct tls *t, char *error, size_t size)
{
	SSL_CTX *ctx;

	if (t->psk || t->pinned)
		return true;
	ctx = t->make != NULL ? t->make(t->make_arg, error, size) : tls_load(t, error, size);
	if (ctx == NULL)
		return false;
	SSL_CTX_free(t->ctx); /* connections hold their own references */
	t->ctx = ctx;
	return true;
}

bool
tls_show_ca(struct tls *t, char *error, size_t size)
{
	t->show_ca = true;
	if (tls_reload(t, error, size))
		return true;
	t->show_ca = false;
	return false;
}

/* Where an SSL keeps the identity that its key belongs to. */
static int
psk_identity_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, tls_text_free);
	return index;
}

static bool
psk_identity_keep(SSL *ssl, const char *identity)
{
	char *copy = strdup(identity);

	free(SSL_get_ex_data(ssl, psk_identity_index()));
	if (SSL_set_ex_data(ssl, psk_identity_index(), copy) == 1)
		return copy != NULL;
	free(copy);
	return false;
}

/* RFC 8446 2.2: a session that both sides know beforehand. */
static SSL_SESSION *
psk_session(SSL *ssl, const uint8_t key[TLS_PSK_BYTES])
{
	static const unsigned char suite_id[] = {0x13, 0x01}; /* TLS13_PSK_SUITE */
	const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, suite_id);
	SSL_SESSION *session = SSL_SESSION_new();

	if (suite != NULL && session != NULL &&
	    SSL_SESSION_set1_master_key(session, key, TLS_PSK_BYTES) == 1 &&
	    SSL_SESSION_set_cipher(session, suite) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int
psk_use(
    SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_size, SSL_SESSION **session)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	(void)md; /* NULL, or after a HelloRetryRequest that of the only suite that we offer */
	*session = psk_session(ssl, t->psk_key);
	if (*session == NULL || !psk_identity_keep(ssl, t->psk_identity)) {
		SSL_SESSION_free(*session);
		*session = NULL;
		return 0;
	}
	*id = (const unsigned char *)t->psk_identity;
	*id_size = strlen(t->psk_identity);
	return 1;
}

/*
 * Returning 1 with no session: the identity is unknown, which ends the handshake (no certificate).
 */
static int
psk_find(SSL *ssl, const unsigned char *id, size_t id_size, SSL_SESSION **session)
{
	const struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	uint8_t key[TLS_PSK_BYTES];
	char identity[TLS_NAME_MAX];

	*session = NULL;
	if (id_size == 0 || id_size >= sizeof identity || memchr(id, '\0', id_size) != NULL)
		return 1;
	memcpy(identity, id, id_size);
	identity[id_size] = '\0';
	if (t->psk_find(t->psk_find_arg, identity, key) && psk_identity_keep(ssl, identity))
		*session = psk_session(ssl, key);
	OPENSSL_cleanse(key, sizeof key);
	return 1;
}

static struct tls *
tls_new_psk(void)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->refs = 1;
	t->psk = true;
	t->ctx = tls_ctx_new(TLS1_3_VERSION);
	if (t->ctx == NULL || SSL_CTX_set_ciphersuites(t->ctx, TLS13_PSK_SUITE) != 1) {
		tls_unref(t);
		return NULL;
	}
	SSL_CTX_set_app_data(t->ctx, t);
	return t;
}

struct tls *
tls_new_psk_client(const char *identity, const uint8_t key[TLS_PSK_BYTES])
{
	struct tls *t = tls_new_psk();

	if (t == NULL)
		return NULL;
	if (identity[0] == '\0' || !str_copy(t->psk_identity, sizeof t->psk_identity, identity)) {
		tls_unref(t);
		return NULL;
	}
	memcpy(t->psk_key, key, TLS_PSK_BYTES);
	SSL_CTX_set_psk_use_session_callback(t->ctx, psk_use);
	return t;
}

struct tls *
tls_new_psk_server(tls_psk_find *find, void *arg)
{
	struct tls *t = tls_new_psk();

	if (t == NULL)
		return NULL;
	t->psk_find = find;
	t->psk_find_arg = arg;
	SSL_CTX_set_psk_find_session_callback(t->ctx, psk_find);
	return t;
}

static bool
pin_fits(const struct tls *t, X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	return X509_digest(cert, EVP_sha256(), digest, &size) == 1 && size == TLS_PIN_BYTES &&
	       memcmp(digest, t->pin, TLS_PIN_BYTES) == 0;
}

static bool
pin_keep(struct tls *t, X509 *ca)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long len;

	free(t->pinned_ca);
	t->pinned_ca = NULL;
	if (bio != NULL && PEM_write_bio_X509(bio, ca) == 1 &&
	    (len = BIO_get_mem_data(bio, &bytes)) > 0)
		t->pinned_ca = strndup(bytes, (size_t)len);
	BIO_free(bio);
	return t->pinned_ca != NULL;
}

/* The one certificate of the chain that fits the pin is all that is trusted. */
static int
pin_verify(X509_STORE_CTX *check, void *arg)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(check), *trusted;
	struct tls *t = arg;
	X509 *ca = NULL;
	int ok = 0;

	for (int i = 0; i < sk_X509_num(sent) && ca == NULL; i++)
		if (pin_fits(t, sk_X509_value(sent, i)))
			ca = sk_X509_value(sent, i);
	if (ca == NULL) {
		X509_STORE_CTX_set_error(check, X509_V_ERR_CERT_UNTRUSTED);
		return 0;
	}
	trusted = sk_X509_new_null();
	if (trusted != NULL && sk_X509_push(trusted, ca) > 0) {
		X509_STORE_CTX_set0_trusted_stack(check, trusted);
		ok = X509_verify_cert(check) == 1 && pin_keep(t, ca);
	}
	sk_X509_free(trusted);
	return ok;
}

struct tls *
tls_new_pinned(const uint8_t pin[TLS_PIN_BYTES])
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->refs = 1;
	t->pinned = true;
	memcpy(t->pin, pin, TLS_PIN_BYTES);
	t->ctx = tls_ctx_new(TLS1_2_VERSION);
	if (t->ctx == NULL) {
		tls_unref(t);
		return NULL;
	}
	SSL_CTX_set_cert_verify_callback(t->ctx, pin_verify, t);
	return t;
}

const char *
tls_pinned_ca(const struct tls *t)
{
	return t->pinned_ca != NULL ? t->pinned_ca : "";
}

struct tls *
tls_ref(struct tls *t)
{
	if (t != NULL)
		t->refs++;
	return t;
}

void
tls_unref(struct tls *t)
{
	if (t == NULL || (t->refs > 0 && --t->refs > 0))
		return;
	SSL_CTX_free(t->ctx);
	OPENSSL_cleanse(t->psk_key, sizeof t->psk_key);
	free(t->ca);
	free(t->cert);
	free(t->key);
	free(t->pinned_ca);
	free(t);
}

SSL *
tls_new_ssl(struct tls *t, bool server)
{
	SSL *ssl = SSL_new(t->ctx);

	if (ssl == NULL) {
		ERR_clear_error();
		return NULL;
	}
	/*
	 * With a pre-shared key no CA is loaded: a server that wanted to show a certificate instead
	 * is refused, and a client that offers no key finds a server without a certificate.
	 */
	if (server && t->make != NULL)
		SSL_set_verify(ssl, t->verify, tls_on_verified);
	else if (!server || (t->require_peer && !t->psk))
		SSL_set_verify(
		    ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_on_verified);
	else if (!t->psk)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, tls_on_verified);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

bool
tls_still_trusts(const struct tls *t, SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	X509_STORE_CTX *check;
	bool ok;

	if (cert == NULL)
		return true;
	check = X509_STORE_CTX_new();
	ok = check != NULL &&
	     X509_STORE_CTX_init(
		 check, SSL_CTX_get_cert_store(t->ctx), cert, SSL_get_peer_cert_chain(ssl)) == 1 &&
	     X509_STORE_CTX_set_default(check, "ssl_client") == 1 && X509_verify_cert(check) == 1;
	X509_STORE_CTX_free(check);
	ERR_clear_error();
	return ok;
}

bool
tls_ssl_expect(const struct tls *t, SSL *ssl, const char *peer_name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	bool done;

	if (t->psk)
		return true;
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, peer_name) == 1) {
		done = true;
	} else {
		done = peer_name[0] != '\0' &&
		       X509_VERIFY_PARAM_set1_host(param, peer_name, 0) == 1 &&
		       SSL_set_tlsext_host_name(ssl, peer_name) == 1;
	}
	ERR_clear_error();
	return done;
}

void
tls_peer_read(SSL *ssl, struct tls_peer *peer)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	const char *identity = SSL_get_ex_data(ssl, psk_identity_index());

	*peer = (struct tls_peer){0};
	if (cert != NULL && SSL_get_verify_result(ssl) == X509_V_OK)
		tls_peer_of_cert(cert, peer);
	/* An identity that was offered counts only if its key was used. */
	if (identity != NULL && SSL_session_reused(ssl))
		(void)str_copy(peer->psk_identity, sizeof peer->psk_identity, identity);
	/*
	 * The session with the peer's certificates (7 KiB) stays: SSL_set_session(ssl, NULL) would
	 * also put the version-flexible method back, and with it the keys of the connection away.
	 */
	ERR_clear_error();
}
