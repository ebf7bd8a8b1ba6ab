/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/tls_stores.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

#define STORE_BYTES_MAX ((size_t)4 << 20)
#define PASSWORD_MAX 1024
#define NAMES_MAX 4096 /* bytes of a list of suites */

static const uint8_t JKS_MAGIC[] = {0xfe, 0xed, 0xfe, 0xed};

/* What a store holds. */
struct bag {
	EVP_PKEY *key;
	STACK_OF(X509) * certs;
	STACK_OF(X509_CRL) * crls;
};

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static void
bag_fini(struct bag *b)
{
	EVP_PKEY_free(b->key);
	sk_X509_pop_free(b->certs, X509_free);
	sk_X509_CRL_pop_free(b->crls, X509_CRL_free);
}

/* The password: the file's first line if one is named. */
static bool
read_password(const char *text, const char *path, char to[PASSWORD_MAX], char *error, size_t size)
{
	struct buf b;
	size_t len;
	bool ok;

	if (!is_set(path)) {
		if (str_copy(to, PASSWORD_MAX, text != NULL ? text : ""))
			return true;
		return tls_fail(error, size, "a store's password is too long");
	}
	buf_init(&b, PASSWORD_MAX);
	ok = fsutil_read(path, PASSWORD_MAX - 1, &b);
	if (ok) {
		for (len = 0; len < b.len && strchr("\r\n", b.data[len]) == NULL; len++)
			to[len] = (char)b.data[len];
		to[len] = '\0';
	} else
		tls_fail(error, size, "%s: the password cannot be read: %s", path, strerror(errno));
	if (b.data != NULL)
		OPENSSL_cleanse(b.data, b.cap);
	buf_fini(&b);
	return ok;
}

static int
give_password(char *to, int size, int writing, void *arg)
{
	const char *password = arg;
	size_t len = strlen(password);

	(void)writing;
	if (len == 0 || len > (size_t)size)
		return len == 0 ? 0 : -1;
	memcpy(to, password, len);
	return (int)len;
}

/* Take what the piece holds; false: no memory. */
static bool
bag_put(struct bag *b, OSSL_STORE_INFO *info)
{
	switch (OSSL_STORE_INFO_get_type(info)) {
	case OSSL_STORE_INFO_PKEY:
		if (b->key == NULL)
			b->key = OSSL_STORE_INFO_get1_PKEY(info);
		return b->key != NULL;
	case OSSL_STORE_INFO_CERT:
		return sk_X509_push(b->certs, OSSL_STORE_INFO_get1_CERT(info)) > 0;
	case OSSL_STORE_INFO_CRL:
		return sk_X509_CRL_push(b->crls, OSSL_STORE_INFO_get1_CRL(info)) > 0;
	default:
		return true;
	}
}

static bool
bag_fill(struct bag *b, BIO *bio, const char *password)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_password, 0);
	OSSL_STORE_CTX *store = ui != NULL ? OSSL_STORE_attach(bio, "file", NULL, NULL, ui,
						 (void *)(uintptr_t)password, NULL, NULL, NULL)
					   : NULL;
	bool ok = store != NULL;

	while (ok && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL) {
			ok = !OSSL_STORE_error(store);
			continue;
		}
		ok = bag_put(b, info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	return ok;
}

static bool
refuse_jks(const char *path, char *error, size_t size)
{
	return tls_fail(error, size,
	    "%s: Java keystores are not read; convert it: keytool -importkeystore -srckeystore %s "
	    "-destkeystore %s.p12 -deststoretype PKCS12",
	    path, path, path);
}

static bool
bag_read(struct bag *b, const char *path, const char *password, char *error, size_t size)
{
	struct buf bytes;
	char why[256];
	BIO *bio;
	bool ok = false;

	*b = (struct bag){NULL, sk_X509_new_null(), sk_X509_CRL_new_null()};
	buf_init(&bytes, STORE_BYTES_MAX);
	if (!fsutil_read(path, STORE_BYTES_MAX, &bytes)) {
		tls_fail(error, size, "%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	if (bytes.len >= sizeof JKS_MAGIC && memcmp(bytes.data, JKS_MAGIC, sizeof JKS_MAGIC) == 0)
		refuse_jks(path, error, size);
	else if ((bio = BIO_new_mem_buf(bytes.data, (int)bytes.len)) == NULL)
		tls_fail(error, size, "no memory for TLS");
	else {
		ok = bag_fill(b, bio, password);
		if (!ok) {
			tls_error_text(why, sizeof why);
			tls_fail(error, size,
			    "%s: cannot be read as PEM or PKCS#12 (is its password right?): %s",
			    path, why);
		}
		BIO_free(bio);
	}
	if (bytes.data != NULL)
		OPENSSL_cleanse(bytes.data, bytes.cap);
	buf_fini(&bytes);
	ERR_clear_error();
	return ok;
}

/* The certificate of the key, and the others as its chain. */
static bool
use_key(SSL_CTX *ctx, const struct bag *b, const char *path, char *error, size_t size)
{
	X509 *own = NULL;
	unsigned mode;
	char why[256];

	if (b->key == NULL)
		return tls_fail(error, size, "%s: there is no private key in it", path);
	for (int i = 0; i < sk_X509_num(b->certs) && own == NULL; i++) {
		if (X509_check_private_key(sk_X509_value(b->certs, i), b->key) == 1)
			own = sk_X509_value(b->certs, i);
	}
	if (own == NULL)
		return tls_fail(error, size, "%s: no certificate in it belongs to its key", path);
	if (SSL_CTX_use_certificate(ctx, own) != 1 || SSL_CTX_use_PrivateKey(ctx, b->key) != 1) {
		tls_error_text(why, sizeof why);
		return tls_fail(error, size, "%s: cannot be used: %s", path, why);
	}
	for (int i = 0; i < sk_X509_num(b->certs); i++) {
		X509 *cert = sk_X509_value(b->certs, i);

		if (cert != own && SSL_CTX_add1_chain_cert(ctx, cert) != 1)
			return tls_fail(error, size, "no memory for TLS");
	}
	/* Apache's server takes them, and its directories are taken over as they stand. */
	if ((mode = fsutil_open_mode(path)) != 0)
		log_warn("%s: the private key is open to others (mode %04o): chmod 600 %s", path,
		    mode, path);
	tls_warn_about(path, own);
	return true;
}

static bool
load_key_store(SSL_CTX *ctx, const struct tls_stores *s, char *error, size_t size)
{
	char password[PASSWORD_MAX];
	struct bag b = {0};
	bool ok = read_password(s->key_password, s->key_password_path, password, error, size) &&
		  bag_read(&b, s->key_store, password, error, size) &&
		  use_key(ctx, &b, s->key_store, error, size);

	OPENSSL_cleanse(password, sizeof password);
	bag_fini(&b);
	return ok;
}

static bool
load_trust_store(SSL_CTX *ctx, const struct tls_stores *s, char *error, size_t size)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	char password[PASSWORD_MAX];
	struct bag b = {0};
	bool ok = read_password(s->trust_password, s->trust_password_path, password, error, size) &&
		  bag_read(&b, s->trust_store, password, error, size);

	if (ok && sk_X509_num(b.certs) == 0)
		ok = tls_fail(error, size, "%s: there is no certificate in it", s->trust_store);
	for (int i = 0; ok && i < sk_X509_num(b.certs); i++) {
		X509 *cert = sk_X509_value(b.certs, i);

		if (X509_STORE_add_cert(store, cert) != 1 || SSL_CTX_add_client_CA(ctx, cert) != 1)
			ok = tls_fail(error, size, "no memory for TLS");
	}
	OPENSSL_cleanse(password, sizeof password);
	bag_fini(&b);
	return ok;
}

static bool
load_crl(SSL_CTX *ctx, const struct tls_stores *s, char *error, size_t size)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	struct bag b = {0};
	bool ok;

	if (!is_set(s->crl))
		return true;
	ok = bag_read(&b, s->crl, "", error, size);
	if (ok && sk_X509_CRL_num(b.crls) == 0)
		ok = tls_fail(error, size, "%s: there is no revocation list in it", s->crl);
	for (int i = 0; ok && i < sk_X509_CRL_num(b.crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(b.crls, i);

		if (X509_cmp_current_time(X509_CRL_get0_nextUpdate(crl)) < 0)
			log_warn("%s: a list in it is out of date: whom its issuer certified is "
				 "refused until there is a new one",
			    s->crl);
		if (X509_STORE_add_crl(store, crl) != 1)
			ok = tls_fail(error, size, "no memory for TLS");
	}
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	bag_fini(&b);
	return ok;
}

/* The next word of a list; false at its end. */
static bool
next_word(const char **p, char word[128])
{
	size_t len;

	*p += strspn(*p, ", \t");
	if ((len = strcspn(*p, ", \t")) == 0)
		return false;
	snprintf(word, 128, "%.*s", (int)(len < 127 ? len : 127), *p);
	*p += len;
	return true;
}

static bool
set_protocols(SSL_CTX *ctx, const char *list, char *error, size_t size)
{
	bool v12 = false, v13 = false;
	char word[128];

	if (!is_set(list))
		return true;
	for (const char *p = list; next_word(&p, word);) {
		bool all = strcasecmp(word, "TLS") == 0;

		v12 |= all || strcasecmp(word, "TLSv1.2") == 0;
		v13 |= all || strcasecmp(word, "TLSv1.3") == 0;
	}
	if (!v12 && !v13)
		return tls_fail(error, size,
		    "%s: neither TLSv1.2 nor TLSv1.3 is among the protocols, and older ones are "
		    "not "
		    "offered",
		    list);
	return SSL_CTX_set_min_proto_version(ctx, v12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1;
}

/* One suite more in the list of its protocol; false: it is unknown. */
static bool
add_suite(const char *word, char v12[NAMES_MAX], char v13[NAMES_MAX])
{
	bool new = strstr(word, "_WITH_") == NULL; /* TLS 1.3's names have no key exchange */
	const char *name = new ? word : OPENSSL_cipher_name(word);
	char *list = new ? v13 : v12;
	size_t len = strlen(list);
	int n;

	if (strcmp(name, "(NONE)") == 0)
		return false;
	n = snprintf(list + len, NAMES_MAX - len, "%s%s", len > 0 ? ":" : "", name);
	return n > 0 && (size_t)n < NAMES_MAX - len;
}

static bool
set_suites(SSL_CTX *ctx, const char *list, char *error, size_t size)
{
	char v12[NAMES_MAX] = "", v13[NAMES_MAX] = "", word[128];

	if (!is_set(list))
		return true;
	for (const char *p = list; next_word(&p, word);) {
		if (!add_suite(word, v12, v13))
			return tls_fail(error, size, "%s: OpenSSL knows no such suite", word);
	}
	if ((v12[0] != '\0' && SSL_CTX_set_cipher_list(ctx, v12) != 1) ||
	    (v13[0] != '\0' && SSL_CTX_set_ciphersuites(ctx, v13) != 1))
		return tls_fail(error, size, "%s: OpenSSL takes no suite of these", list);
	return true;
}

static SSL_CTX *
make(const void *arg, char *error, size_t size)
{
	const struct tls_stores *s = arg;
	SSL_CTX *ctx = tls_ctx_new(TLS1_2_VERSION);

	if (ctx == NULL) {
		tls_fail(error, size, "cannot set TLS up");
		return NULL;
	}
	if (set_protocols(ctx, s->protocols, error, size) &&
	    set_suites(ctx, s->suites, error, size) && load_key_store(ctx, s, error, size) &&
	    (!is_set(s->trust_store) || load_trust_store(ctx, s, error, size)) &&
	    load_crl(ctx, s, error, size))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

struct tls *
tls_new_stores(const struct tls_stores *stores, char *error, size_t size)
{
	static const int modes[] = {
	    [TLS_ASK_NONE] = SSL_VERIFY_NONE,
	    [TLS_ASK_WANT] = SSL_VERIFY_PEER,
	    [TLS_ASK_NEED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};

	if (!is_set(stores->key_store) ||
	    (!is_set(stores->trust_store) && stores->ask != TLS_ASK_NONE)) {
		tls_fail(error, size,
		    "TLS needs a key store, and a trust store unless no client is asked for a "
		    "certificate");
		return NULL;
	}
	return tls_new_made(make, stores, modes[stores->ask], error, size);
}
