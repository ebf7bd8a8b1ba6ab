/* SPDX-License-Identifier: Apache-2.0 */
/* Why a handshake failed or a connection ended, in words for a log. */
#include "libcommon/io/tls_ssl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

void
tls_text_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(ptr);
}

void
tls_error_text(char *to, size_t size)
{
	unsigned long e = ERR_peek_error(); /* the first: the others say what came of it */
	const char *reason = ERR_reason_error_string(e);

	if (e == 0)
		snprintf(to, size, "unknown error");
	else if (ERR_SYSTEM_ERROR(e))
		snprintf(to, size, "%s", strerror(ERR_GET_REASON(e)));
	else if (reason != NULL)
		snprintf(to, size, "%s", reason);
	else
		snprintf(to, size, "OpenSSL error %08lx", e);
	ERR_clear_error();
}

/* Whose certificate was refused: OpenSSL keeps those only that were not. */
static int
refused_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, tls_text_free);
	return index;
}

int
tls_on_verified(int ok, X509_STORE_CTX *check)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *cert = X509_STORE_CTX_get0_cert(check);
	struct tls_peer peer;
	char *text;

	if (ok == 1 || ssl == NULL || cert == NULL)
		return ok;
	tls_peer_of_cert(cert, &peer);
	text = strdup(peer.subject[0] != '\0' ? peer.subject : "without a subject");
	free(SSL_get_ex_data(ssl, refused_index()));
	if (SSL_set_ex_data(ssl, refused_index(), text) != 1)
		free(text);
	return ok;
}

/* Alerts that say of our certificate that it is none that the peer takes. */
static bool
refuses_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

static void
print_alert(int alert, char *to, size_t size)
{
	const char *text = SSL_alert_desc_string_long(alert);

	if (refuses_certificate(alert))
		snprintf(to, size, "the peer refused our certificate (alert: %s); its log says why",
		    text);
	else
		snprintf(to, size, "the peer sent a TLS alert: %s", text);
}

void
tls_handshake_error_text(const SSL *ssl, unsigned long error, char *to, size_t size)
{
	const char *reason = ERR_reason_error_string(error);
	const char *whose = ssl == NULL ? NULL : SSL_get_ex_data(ssl, refused_index());

	if (error == 0 || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		snprintf(to, size, "closed by the peer");
	else if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		snprintf(to, size, "the peer's certificate%s%s%s was refused: %s",
		    whose != NULL ? " (" : "", whose != NULL ? whose : "", whose != NULL ? ")" : "",
		    X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else if (tls_error_is_alert(error))
		print_alert(ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET, to, size);
	else
		snprintf(to, size, "%s", reason != NULL ? reason : "unknown error");
	ERR_clear_error();
}

bool
tls_error_is_alert(unsigned long error)
{
	return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET;
}

const char *
tls_end_hint(const SSL *ssl, bool up)
{
	OSSL_HANDSHAKE_STATE at = SSL_get_state(ssl);

	if (up && SSL_get_certificate(ssl) != NULL)
		return " behind the TLS handshake, without a word: it may have refused our "
		       "certificate; its log says why";
	if (at == TLS_ST_CW_CLNT_HELLO || at == TLS_ST_CR_SRVR_HELLO)
		return " without an answer to TLS: it may not speak it there";
	return "";
}
