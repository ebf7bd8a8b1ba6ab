/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "libcommon/base/str.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/fsutil.h"

#define CERT_CURVE "P-256"
#define CERT_SERIAL_BITS 127	   /* RFC 5280 4.1.2.2: positive, at most 20 octets */
#define CERT_SECURITY_BITS_MIN 112 /* RSA 2048, any usual curve */
#define CERT_START_EARLIER_S 3600
#define CERT_DAY_S 86400
#define CERT_O_MAX 64 /* RFC 5280 appendix A: ub-organization-name, ub-common-name */
#define CERT_CA_ROLE "ca"

/* A CA as it lies in its directory. */
struct ca {
	X509 *cert;
	EVP_PKEY *key;
	char cluster[TLS_NAME_MAX];
};

/* tls_fail() with OpenSSL's reason behind it. */
static bool
cert_fail_reason(char *error, size_t size, const char *thing, const char *what)
{
	char reason[256];

	tls_error_text(reason, sizeof reason);
	return tls_fail(error, size, "%s: %s: %s", thing, what, reason);
}

bool
cert_name_is_plain(const char *name)
{
	size_t len =
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+");

	return len > 0 && name[len] == '\0' && len < TLS_NAME_MAX / 2;
}

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

bool
cert_write_file(const char *path, const char *pem, unsigned mode, char *error, size_t size)
{
	if (fsutil_write_atomic(path, pem, strlen(pem), (mode_t)mode))
		return true;
	return tls_fail(error, size, "%s: cannot write: %s", path, strerror(errno));
}

static bool
key_write(EVP_PKEY *key, const char *path, char *error, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long len;
	bool done;

	if (bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(bio);
		return cert_fail_reason(error, size, path, "cannot encode the key");
	}
	len = BIO_get_mem_data(bio, &bytes);
	done = fsutil_write_atomic(path, bytes, (size_t)len, 0600);
	if (!done)
		tls_fail(error, size, "%s: cannot write: %s", path, strerror(errno));
	OPENSSL_cleanse(bytes, (size_t)len);
	BIO_free(bio);
	return done;
}

/* The contents of a memory BIO as malloc'ed text; NULL: no memory. */
static char *
bio_text(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);

	return strndup(bytes, (size_t)len);
}

static char *
cert_text(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (bio != NULL && PEM_write_bio_X509(bio, cert) == 1)
		text = bio_text(bio);
	BIO_free(bio);
	return text;
}

static X509 *
cert_load(const char *path, char *error, size_t size)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	if (cert == NULL)
		cert_fail_reason(error, size, path, "cannot read the certificate");
	return cert;
}

static EVP_PKEY *
key_load(const char *path, char *error, size_t size)
{
	unsigned mode = fsutil_open_mode(path);
	EVP_PKEY *key;
	BIO *bio;

	if (mode != 0) {
		tls_fail(error, size,
		    "%s: the private key is open to others (mode %04o): chmod 600 %s", path, mode,
		    path);
		return NULL;
	}
	bio = BIO_new_file(path, "r");
	key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (key == NULL)
		cert_fail_reason(error, size, path, "cannot read the private key");
	return key;
}

static bool
ca_paths(const char *dir, char cert[PATH_MAX], char key[PATH_MAX], char *error, size_t size)
{
	if ((size_t)snprintf(cert, PATH_MAX, "%s/ca.pem", dir) < PATH_MAX &&
	    (size_t)snprintf(key, PATH_MAX, "%s/ca-key.pem", dir) < PATH_MAX)
		return true;
	return tls_fail(error, size, "%.64s...: the path is too long", dir);
}

static void
ca_fini(struct ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

static bool
ca_load(struct ca *ca, const struct cert_ca *files, char *error, size_t size)
{
	*ca = (struct ca){0};
	ca->cert = cert_load(files->cert, error, size);
	if (ca->cert == NULL)
		return false;
	ca->key = key_load(files->key, error, size);
	if (ca->key == NULL)
		goto fail;
	if (X509_check_private_key(ca->cert, ca->key) != 1) {
		tls_fail(error, size, "%s: the key does not belong to %s", files->key, files->cert);
		goto fail;
	}
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(ca->cert), NID_organizationName,
		ca->cluster, sizeof ca->cluster) <= 0 ||
	    !cert_name_is_plain(ca->cluster)) {
		tls_fail(
		    error, size, "%s: its subject has no O= with the cluster's name", files->cert);
		goto fail;
	}
	return true;
fail:
	ca_fini(ca);
	return false;
}

static bool
cert_set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	bool done = number != NULL &&
		    BN_rand(number, CERT_SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		    BN_add_word(number, 1) == 1 &&
		    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;

	BN_free(number);
	return done;
}

/* In the order that RFC 2253 prints as CN=ROLE,O=CLUSTER. */
static bool
cert_set_subject(X509 *cert, const char *role, const char *cluster)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(
		   name, "O", MBSTRING_UTF8, (const unsigned char *)cluster, -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(
		   name, "CN", MBSTRING_UTF8, (const unsigned char *)role, -1, -1, 0) == 1;
}

static bool
cert_set_times(X509 *cert, int days)
{
	long early = days > 0 ? CERT_START_EARLIER_S : CERT_START_EARLIER_S + CERT_DAY_S;
	int first_day = days > 0 ? 0 : days;

	return X509_time_adj_ex(X509_getm_notBefore(cert), first_day, -early, NULL) != NULL &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), days,
		   days > 0 ? 0 : -CERT_START_EARLIER_S, NULL) != NULL;
}

static bool
cert_add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool done;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	done = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return done;
}

static X509 *
cert_new(EVP_PKEY *key, const char *role, const char *cluster, int days)
{
	X509 *cert = X509_new();

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && cert_set_serial(cert) &&
	    cert_set_subject(cert, role, cluster) && cert_set_times(cert, days) &&
	    X509_set_pubkey(cert, key) == 1 &&
	    cert_add_extension(cert, NULL, NID_subject_key_identifier, "hash"))
		return cert;
	X509_free(cert);
	return NULL;
}

static bool
names_add(GENERAL_NAMES *names, int type, const char *text)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	if (name != NULL && string != NULL && ASN1_STRING_set(string, text, -1) == 1) {
		GENERAL_NAME_set0_value(name, type, string);
		if (sk_GENERAL_NAME_push(names, name) > 0)
			return true;
		string = NULL;
	}
	GENERAL_NAME_free(name);
	ASN1_IA5STRING_free(string);
	return false;
}

static bool
names_add_ip(GENERAL_NAMES *names, const char *text)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(text);
	GENERAL_NAME *name = GENERAL_NAME_new();

	if (name != NULL && ip != NULL) {
		GENERAL_NAME_set0_value(name, GEN_IPADD, ip);
		if (sk_GENERAL_NAME_push(names, name) > 0)
			return true;
		ip = NULL;
	}
	GENERAL_NAME_free(name);
	ASN1_OCTET_STRING_free(ip);
	return false;
}

static bool
dns_name_is_valid(const char *name)
{
	size_t len =
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_*");

	return len > 0 && len <= 253 && name[len] == '\0';
}

static bool
cert_add_names(
    X509 *cert, const struct cert_request *r, const char *cluster, char *error, size_t size)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	char uri[3 * TLS_NAME_MAX];
	bool done = false;

	if (names == NULL)
		return tls_fail(error, size, "no memory");
	snprintf(uri, sizeof uri, "corral://%s/%s/%s", cluster, tls_role_name(r->role), r->name);
	if (!names_add(names, GEN_URI, uri))
		goto end;
	for (size_t i = 0; i < r->dns_count; i++) {
		if (!dns_name_is_valid(r->dns[i]) || !names_add(names, GEN_DNS, r->dns[i])) {
			tls_fail(error, size, "'%s' is not a DNS name", r->dns[i]);
			goto end;
		}
	}
	for (size_t i = 0; i < r->ip_count; i++) {
		if (!names_add_ip(names, r->ips[i])) {
			tls_fail(error, size, "'%s' is not an IP address", r->ips[i]);
			goto end;
		}
	}
	done = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
	if (!done)
		tls_fail(error, size, "no memory");
end:
	GENERAL_NAMES_free(names);
	return done;
}

static bool
cert_request_check(const struct cert_request *r, char *error, size_t size)
{
	if (tls_role_name(r->role) == NULL)
		return tls_fail(error, size,
		    "a certificate needs a role: zkserver, master, agent, "
		    "operator, user or framework");
	if (!cert_name_is_plain(r->name))
		return tls_fail(error, size,
		    "'%s' cannot be a holder's name: use letters, digits and ._-@+", r->name);
	if (r->dns_count > CERT_NAMES_MAX || r->ip_count > CERT_NAMES_MAX)
		return tls_fail(error, size, "more than %d names or addresses", CERT_NAMES_MAX);
	return true;
}

/* A certificate for key by the CA; NULL: the reason is in error. */
static X509 *
ca_certify(
    const struct ca *ca, const struct cert_request *r, EVP_PKEY *key, char *error, size_t size)
{
	const char *cluster = r->cluster != NULL ? r->cluster : ca->cluster;
	X509 *cert;

	if (!cert_request_check(r, error, size))
		return NULL;
	if (strcmp(cluster, ca->cluster) != 0) {
		tls_fail(error, size, "the CA is that of cluster '%s', not of '%s'", ca->cluster,
		    cluster);
		return NULL;
	}
	cert = cert_new(key, tls_role_name(r->role), cluster, r->days);
	if (cert == NULL) {
		cert_fail_reason(error, size, r->name, "cannot make a certificate");
		return NULL;
	}
	if (!cert_add_names(cert, r, cluster, error, size))
		goto fail;
	if (ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(ca->cert)) > 0 &&
	    X509_set1_notAfter(cert, X509_get0_notAfter(ca->cert)) != 1)
		goto fail_reason;
	if (X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) == 1 &&
	    cert_add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	    cert_add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	    cert_add_extension(cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
	    cert_add_extension(cert, ca->cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    X509_sign(cert, ca->key, EVP_sha256()) > 0)
		return cert;
fail_reason:
	cert_fail_reason(error, size, r->name, "cannot sign the certificate");
fail:
	X509_free(cert);
	return NULL;
}

static bool
ca_write(const char *cert_path, const char *key_path, const char *cluster, char *error, size_t size)
{
	EVP_PKEY *key = EVP_EC_gen(CERT_CURVE);
	X509 *cert = key == NULL ? NULL : cert_new(key, CERT_CA_ROLE, cluster, CERT_CA_DAYS);
	char *pem = NULL;
	bool done = false;

	if (cert == NULL || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
	    !cert_add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !cert_add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    X509_sign(cert, key, EVP_sha256()) <= 0 || (pem = cert_text(cert)) == NULL)
		cert_fail_reason(error, size, cert_path, "cannot make the CA");
	else
		done = key_write(key, key_path, error, size) &&
		       cert_write_file(cert_path, pem, 0644, error, size);
	free(pem);
	X509_free(cert);
	EVP_PKEY_free(key);
	return done;
}

bool
cert_ca_create(const char *dir, const char *cluster, bool replace, char *error, size_t size)
{
	char cert_path[PATH_MAX], key_path[PATH_MAX];

	if (!cert_name_is_plain(cluster) || strlen(cluster) > CERT_O_MAX)
		return tls_fail(error, size,
		    "'%s' cannot be a cluster's name: use letters, digits and "
		    "._-@+, at most %d",
		    cluster, CERT_O_MAX);
	if (!ca_paths(dir, cert_path, key_path, error, size))
		return false;
	if (!replace && (access(cert_path, F_OK) == 0 || access(key_path, F_OK) == 0))
		return tls_fail(error, size,
		    "%s: there is a CA already: all certificates would become "
		    "worthless without it",
		    dir);
	if (!fsutil_mkdirs(dir, 0755))
		return tls_fail(
		    error, size, "%s: cannot make the directory: %s", dir, strerror(errno));
	return ca_write(cert_path, key_path, cluster, error, size);
}

bool
cert_issue(const char *ca_dir, const struct cert_request *request, const char *cert_path,
    const char *key_path, char *error, size_t size)
{
	char ca_cert[PATH_MAX], ca_key[PATH_MAX];
	const struct cert_ca files = {ca_cert, ca_key};
	struct ca ca;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	char *pem = NULL;
	bool done = false;

	if (!ca_paths(ca_dir, ca_cert, ca_key, error, size) || !ca_load(&ca, &files, error, size))
		return false;
	key = EVP_EC_gen(CERT_CURVE);
	if (key == NULL)
		cert_fail_reason(error, size, key_path, "cannot make a key");
	else
		cert = ca_certify(&ca, request, key, error, size);
	if (cert != NULL) {
		pem = cert_text(cert);
		done = pem == NULL ? tls_fail(error, size, "%s: no memory", cert_path)
				   : key_write(key, key_path, error, size) &&
					 cert_write_file(cert_path, pem, 0644, error, size);
	}
	free(pem);
	X509_free(cert);
	EVP_PKEY_free(key);
	ca_fini(&ca);
	return done;
}

bool
cert_key_create(const char *key_path, char **request_pem, char *error, size_t size)
{
	EVP_PKEY *key = EVP_EC_gen(CERT_CURVE);
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	bool done = false;

	*request_pem = NULL;
	if (key == NULL || req == NULL || bio == NULL || X509_REQ_set_pubkey(req, key) != 1 ||
	    X509_REQ_sign(req, key, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(bio, req) != 1 ||
	    (*request_pem = bio_text(bio)) == NULL)
		cert_fail_reason(error, size, key_path, "cannot make a key and a signing request");
	else
		done = key_write(key, key_path, error, size);
	if (!done) {
		free(*request_pem);
		*request_pem = NULL;
	}
	BIO_free(bio);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return done;
}

/* The key of a signing request whose signature proves that the sender has it. */
static EVP_PKEY *
request_key(const char *pem, char *error, size_t size)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *req = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
	EVP_PKEY *key = req == NULL ? NULL : X509_REQ_get_pubkey(req);

	if (key == NULL || X509_REQ_verify(req, key) != 1) {
		tls_fail(
		    error, size, "the signing request cannot be read, or its signature is wrong");
		EVP_PKEY_free(key);
		key = NULL;
	} else if (EVP_PKEY_get_security_bits(key) < CERT_SECURITY_BITS_MIN) {
		tls_fail(error, size, "the key in the signing request is too short");
		EVP_PKEY_free(key);
		key = NULL;
	}
	X509_REQ_free(req);
	BIO_free(bio);
	return key;
}

bool
cert_sign(const struct cert_ca *files, const struct cert_request *request, const char *request_pem,
    char **cert_pem, char *error, size_t size)
{
	EVP_PKEY *key = request_key(request_pem, error, size);
	X509 *cert;
	struct ca ca;

	*cert_pem = NULL;
	if (key == NULL)
		return false;
	if (ca_load(&ca, files, error, size)) {
		cert = ca_certify(&ca, request, key, error, size);
		if (cert != NULL && (*cert_pem = cert_text(cert)) == NULL)
			tls_fail(error, size, "no memory for the certificate");
		X509_free(cert);
		ca_fini(&ca);
	}
	EVP_PKEY_free(key);
	return *cert_pem != NULL;
}

/* The names that a certificate is good for, as texts of their own. */
struct names {
	char *dns[CERT_NAMES_MAX], *ips[CERT_NAMES_MAX];
	size_t dns_count, ip_count;
};

static void
names_fini(struct names *n)
{
	for (size_t i = 0; i < n->dns_count; i++)
		free(n->dns[i]);
	for (size_t i = 0; i < n->ip_count; i++)
		free(n->ips[i]);
}

static bool
names_take(struct names *n, const GENERAL_NAME *name)
{
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	const unsigned char *bytes;
	char text[INET6_ADDRSTRLEN];
	int size;

	if (type != GEN_DNS && type != GEN_IPADD)
		return true;
	bytes = ASN1_STRING_get0_data(value);
	size = ASN1_STRING_length(value);
	if (type == GEN_DNS) {
		if (n->dns_count == CERT_NAMES_MAX)
			return false;
		n->dns[n->dns_count] = strndup((const char *)bytes, (size_t)size);
		return n->dns[n->dns_count] != NULL && ++n->dns_count > 0;
	}
	if (n->ip_count == CERT_NAMES_MAX ||
	    inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text) == NULL)
		return false;
	n->ips[n->ip_count] = strdup(text);
	return n->ips[n->ip_count] != NULL && ++n->ip_count > 0;
}

static bool
names_of(struct names *n, X509 *cert)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool ok = all != NULL;

	*n = (struct names){0};
	for (int i = 0; ok && i < sk_GENERAL_NAME_num(all); i++)
		ok = names_take(n, sk_GENERAL_NAME_value(all, i));
	GENERAL_NAMES_free(all);
	return ok;
}

/* Is this a certificate of that CA, of the very holder? That it is valid its user has shown. */
static bool
is_holders(const char *ca_path, X509 *cert, const struct tls_peer *holder, char *error, size_t size)
{
	X509 *ca = cert_load(ca_path, error, size);
	struct tls_peer said;
	bool ok;

	if (ca == NULL)
		return false;
	tls_peer_of_cert(cert, &said);
	ok = X509_verify(cert, X509_get0_pubkey(ca)) == 1 && said.role == holder->role &&
	     said.role != TLS_ROLE_NONE && strcmp(said.cluster, holder->cluster) == 0 &&
	     strcmp(said.name, holder->name) == 0;
	X509_free(ca);
	return ok ||
	       tls_fail(error, size, "the certificate to be renewed is not one of this CA for '%s'",
		   holder->name);
}

bool
cert_renew(const struct cert_ca *ca, const char *old_pem, const struct tls_peer *holder, int days,
    const char *request_pem, char **cert_pem, char *error, size_t size)
{
	BIO *bio = BIO_new_mem_buf(old_pem, -1);
	X509 *old = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	struct names names = {0};
	struct cert_request request = {.role = holder->role, .name = holder->name, .days = days};
	bool done = false;

	*cert_pem = NULL;
	if (old == NULL)
		cert_fail_reason(error, size, "the certificate to be renewed", "cannot read it");
	else if (!is_holders(ca->cert, old, holder, error, size))
		; /* said */
	else if (!names_of(&names, old))
		tls_fail(error, size, "the certificate to be renewed: its names cannot be read");
	else {
		request.dns = (const char *const *)names.dns;
		request.dns_count = names.dns_count;
		request.ips = (const char *const *)names.ips;
		request.ip_count = names.ip_count;
		done = cert_sign(ca, &request, request_pem, cert_pem, error, size);
	}
	names_fini(&names);
	X509_free(old);
	BIO_free(bio);
	return done;
}

static bool
asn1_seconds(const ASN1_TIME *at, int64_t *seconds)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(at, &tm) != 1)
		return false;
	*seconds = (int64_t)timegm(&tm);
	return true;
}

bool
cert_read_info(const char *path, struct cert_info *info, char *error, size_t size)
{
	X509 *cert = cert_load(path, error, size);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_size = 0;
	bool done;

	if (cert == NULL)
		return false;
	*info = (struct cert_info){0};
	tls_peer_of_cert(cert, &info->holder);
	done = X509_digest(cert, EVP_sha256(), digest, &digest_size) == 1 &&
	       2 * digest_size + 1 == CERT_FINGERPRINT_SIZE &&
	       asn1_seconds(X509_get0_notBefore(cert), &info->not_before_s) &&
	       asn1_seconds(X509_get0_notAfter(cert), &info->not_after_s);
	if (done)
		str_hex(info->fingerprint, digest, digest_size);
	else
		tls_fail(error, size, "%s: the certificate's times or digest cannot be read", path);
	X509_free(cert);
	return done;
}
