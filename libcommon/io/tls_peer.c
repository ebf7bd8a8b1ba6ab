/* SPDX-License-Identifier: Apache-2.0 */
/* Who a certificate says that its holder is. */
#include "libcommon/io/tls_ssl.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "libcommon/base/str.h"

#define TLS_URI_SCHEME "corral://"

static const char *const role_names[] = {
    [TLS_ROLE_NONE] = NULL,
    [TLS_ROLE_ZKSERVER] = "zkserver",
    [TLS_ROLE_MASTER] = "master",
    [TLS_ROLE_AGENT] = "agent",
    [TLS_ROLE_OPERATOR] = "operator",
    [TLS_ROLE_USER] = "user",
    [TLS_ROLE_FRAMEWORK] = "framework",
};

#define ROLE_COUNT (sizeof role_names / sizeof role_names[0])

const char *
tls_role_name(enum tls_role role)
{
	return (size_t)role < ROLE_COUNT ? role_names[role] : NULL;
}

enum tls_role
tls_role_parse(const char *name)
{
	for (size_t i = 1; i < ROLE_COUNT; i++) {
		if (strcmp(name, role_names[i]) == 0)
			return (enum tls_role)i;
	}
	return TLS_ROLE_NONE;
}

/* Take text up to the next slash (or the end, for the last part); neither empty nor too long. */
static bool
uri_part(const char **text, char *part, size_t size, bool last)
{
	size_t len = strcspn(*text, "/");

	if (len == 0 || len >= size || (*text)[len] != (last ? '\0' : '/'))
		return false;
	memcpy(part, *text, len);
	part[len] = '\0';
	*text += len + (last ? 0 : 1);
	return true;
}

/* corral://CLUSTER/ROLE/NAME, exactly. */
static bool
peer_read_uri(const char *uri, struct tls_peer *peer)
{
	const char *at = uri + strlen(TLS_URI_SCHEME);
	char role[TLS_NAME_MAX];

	return uri_part(&at, peer->cluster, sizeof peer->cluster, false) &&
	       uri_part(&at, role, sizeof role, false) &&
	       (peer->role = tls_role_parse(role)) != TLS_ROLE_NONE &&
	       uri_part(&at, peer->name, sizeof peer->name, true);
}

static void
peer_read_san(const GENERAL_NAMES *names, struct tls_peer *peer)
{
	struct tls_peer found = {0};
	size_t count = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const char *uri;

		if (name->type != GEN_URI)
			continue;
		uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
		if (strlen(uri) != (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier) ||
		    !str_starts(uri, TLS_URI_SCHEME))
			continue;
		/*
		 * Two identities in one certificate are none: which of them counts must not depend
		 * on us.
		 */
		if (count++ > 0 || !peer_read_uri(uri, &found))
			return;
	}
	if (count == 0)
		return;
	peer->role = found.role;
	memcpy(peer->cluster, found.cluster, sizeof peer->cluster);
	memcpy(peer->name, found.name, sizeof peer->name);
}

static void
peer_read_subject(X509 *cert, struct tls_peer *peer)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		/* A subject that does not fit is none: a prefix of it could be somebody else. */
		if (len > 0 && (size_t)len < sizeof peer->subject) {
			memcpy(peer->subject, text, (size_t)len);
			peer->subject[len] = '\0';
		}
	}
	BIO_free(bio);
}

void
tls_peer_of_cert(X509 *cert, struct tls_peer *peer)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	*peer = (struct tls_peer){0};
	peer_read_subject(cert, peer);
	if (names != NULL)
		peer_read_san(names, peer);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
}
