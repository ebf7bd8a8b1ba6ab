/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/auth.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "libcommon/codec/base64.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "zkserver/sasl_users.h"

#define SASL_PROTOCOL "zookeeper" /* as Apache's clients have them built in */
#define SASL_SERVER "zk-sasl-md5"
#define NONCE_BYTES 30
#define KEY_BYTES_MIN 32
#define KEY_BYTES_MAX 4096

struct auth {
	const struct zoo_auth *conf;
	EVP_MD *digest; /* NULL: SHA-1, which is looked for when it is needed */
	struct sasl_users users;
	struct sasl_config sasl;
	uint8_t key[KEY_BYTES_MAX];
	size_t key_size; /* 0: none */
};

static bool
md5(const void *bytes, size_t size, uint8_t to[SASL_MD5_BYTES])
{
	return EVP_Digest(bytes, size, to, NULL, EVP_md5(), NULL) == 1;
}

static bool
open_digest(struct auth *a, char *error, size_t size)
{
	const char *name = a->conf->digest_alg;

	/* Starting OpenSSL takes milliseconds and a megabyte. "SHA": Java's short name. */
	if (strcasecmp(name, "SHA1") == 0 || strcasecmp(name, "SHA") == 0)
		return true;
	a->digest = EVP_MD_fetch(NULL, name, NULL);
	ERR_clear_error();
	if (a->digest != NULL && EVP_MD_get_size(a->digest) > 0)
		return true;
	snprintf(error, size, "DigestAuthenticationProvider.digestAlg=%s: OpenSSL has no such hash",
	    a->conf->digest_alg);
	return false;
}

static bool
read_users(const struct zoo_auth *conf, struct sasl_users *u, char *error, size_t size)
{
	uint8_t hash[SASL_MD5_BYTES];

	if ((conf->jaas_file[0] != '\0' &&
		!sasl_users_read_jaas(u, conf->jaas_file, conf->jaas_section, error, size)) ||
	    (conf->users_file[0] != '\0' &&
		!sasl_users_read_plain(u, conf->users_file, error, size)))
		return false;
	if (conf->super_password[0] != '\0' &&
	    !sasl_users_override(u, "super", conf->super_password)) {
		snprintf(error, size, "no memory for SASL's users");
		return false;
	}
	if (u->count > 0 && !md5("", 0, hash)) {
		snprintf(error, size,
		    "SASL DIGEST-MD5 needs MD5, which OpenSSL does not give (FIPS mode?): take the "
		    "users out, and use certificates");
		return false;
	}
	return true;
}

/* Whoever reads the key can take any session over. */
static bool
read_key(struct auth *a, char *error, size_t size)
{
	const char *path = a->conf->session_key_file;
	struct stat st;
	struct buf key;
	bool ok;

	if (path[0] == '\0')
		return true;
	buf_init(&key, KEY_BYTES_MAX);
	if (!fsutil_read(path, KEY_BYTES_MAX, &key))
		snprintf(
		    error, size, "sessionKeyFile=%s: cannot be read: %s", path, strerror(errno));
	else if (stat(path, &st) != 0 || (st.st_mode & 077) != 0)
		snprintf(
		    error, size, "sessionKeyFile=%s: it is open to others: chmod 600 it", path);
	else if (key.len < KEY_BYTES_MIN)
		snprintf(error, size,
		    "sessionKeyFile=%s: shorter than %d bytes: head -c 32 /dev/urandom makes one",
		    path, KEY_BYTES_MIN);
	else
		memcpy(a->key, key.data, a->key_size = key.len);
	ok = a->key_size > 0;
	if (key.data != NULL)
		OPENSSL_cleanse(key.data, key.cap);
	buf_fini(&key);
	return ok;
}

struct auth *
auth_open(const struct zoo_conf *conf, char *error, size_t size)
{
	struct auth *a = calloc(1, sizeof *a);

	if (a == NULL) {
		snprintf(error, size, "no memory");
		return NULL;
	}
	a->conf = &conf->auth;
	if (!open_digest(a, error, size) || !read_users(a->conf, &a->users, error, size) ||
	    !read_key(a, error, size)) {
		auth_close(a);
		return NULL;
	}
	a->sasl =
	    (struct sasl_config){SASL_PROTOCOL, SASL_SERVER, a->users.items, a->users.count, md5};
	if (a->conf->skip_acl)
		log_warn("skipACL=yes: every client may do everything");
	return a;
}

void
auth_close(struct auth *a)
{
	if (a == NULL)
		return;
	EVP_MD_free(a->digest);
	sasl_users_fini(&a->users);
	OPENSSL_cleanse(a->key, sizeof a->key);
	free(a);
}

bool
auth_reload(struct auth *a, char *error, size_t size)
{
	struct sasl_users users = {0};

	if (!read_users(a->conf, &users, error, size)) {
		sasl_users_fini(&users);
		return false;
	}
	sasl_users_fini(&a->users);
	a->users = users;
	a->sasl.users = users.items;
	a->sasl.user_count = users.count;
	return true;
}

struct acl_policy
auth_policy(const struct auth *a)
{
	return (struct acl_policy){
	    .skip = a->conf->skip_acl,
	    .no_digest = !a->conf->digest,
	    .no_x509 = !a->conf->x509,
	    .sasl = a->conf->sasl || a->users.count > 0,
	    .any_sasl_may = a->conf->any_sasl_may[0] != '\0' ? a->conf->any_sasl_may : NULL,
	};
}

bool
auth_digest_id(const struct auth *a, const uint8_t *bytes, size_t size, char id[AUTH_ID_MAX])
{
	char text[BASE64_TEXT_BYTES(EVP_MAX_MD_SIZE) + 1];
	uint8_t hash[EVP_MAX_MD_SIZE];
	const uint8_t *colon;
	unsigned len;
	int n;

	if (!a->conf->digest || size > AUTH_BYTES_MAX || memchr(bytes, '\0', size) != NULL ||
	    EVP_Digest(bytes, size, hash, &len, a->digest != NULL ? a->digest : EVP_sha1(), NULL) !=
		1)
		return false;
	colon = memchr(bytes, ':', size);
	base64_encode(text, hash, len);
	n = snprintf(id, AUTH_ID_MAX, "%.*s:%s",
	    (int)(colon != NULL ? (size_t)(colon - bytes) : size), (const char *)bytes, text);
	return n > 0 && n < AUTH_ID_MAX;
}

static bool
same_secret(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len > 0 && len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

bool
auth_digest_is_super(const struct auth *a, const char *id)
{
	return same_secret(a->conf->super_digest, id);
}

bool
auth_x509_is_super(const struct auth *a, const char *subject)
{
	return subject[0] != '\0' && strcmp(a->conf->x509_super, subject) == 0;
}

bool
auth_sasl_is_super(const struct auth *a, const char *user)
{
	size_t len = strlen(user);

	for (const char *line = a->conf->super_users; *line != '\0' && len > 0;) {
		size_t n = strcspn(line, "\n");

		if (n == len && memcmp(line, user, n) == 0)
			return true;
		line += n + (line[n] == '\n');
	}
	return false;
}

bool
auth_ensemble_is_ours(const struct auth *a, const uint8_t *name, size_t size)
{
	const char *p = a->conf->ensemble_names;

	if (size == 0 || *p == '\0')
		return true;
	while (*p != '\0') {
		size_t n = strcspn(p, ",");

		if (n == size && memcmp(p, name, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

const struct sasl_config *
auth_sasl(const struct auth *a)
{
	return a->users.count > 0 ? &a->sasl : NULL;
}

bool
auth_nonce(char nonce[SASL_NONCE_MAX + 1])
{
	uint8_t bytes[NONCE_BYTES];

	if (!fsutil_random(bytes, sizeof bytes))
		return false;
	_Static_assert(BASE64_TEXT_BYTES(NONCE_BYTES) <= SASL_NONCE_MAX, "room for the nonce");
	base64_encode(nonce, bytes, sizeof bytes);
	return true;
}

bool
auth_has_session_key(const struct auth *a)
{
	return a->key_size > 0;
}

bool
auth_session_password(void *arg, int64_t id, uint8_t password[SESSION_PASSWORD_BYTES])
{
	const struct auth *a = arg;
	uint64_t be = htobe64((uint64_t)id);
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (HMAC(EVP_sha256(), a->key, (int)a->key_size, (const uint8_t *)&be, sizeof be, hash,
		NULL) == NULL)
		return false;
	memcpy(password, hash, SESSION_PASSWORD_BYTES);
	return true;
}
