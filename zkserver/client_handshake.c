/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/client_handshake.h"

#include <errno.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/log.h"
#include "zkserver/client_auth.h"
#include "zkserver/conf.h"

#define TLS_FIRST_BYTE 0x16 /* no frame may be so long that its length begins with it */

/* Is the client where its certificate says, if that is asked for? */
static bool
is_at_home(struct client_conn *c)
{
	const struct zoo_tls *t = &c->shared->conf->tls;
	X509 *cert = SSL_get0_peer_certificate(c->ssl);
	bool ok;

	if (!t->check_names || !t->check_client_names || cert == NULL)
		return true;
	ok = X509_check_ip_asc(cert, c->ip, 0) == 1;
	ERR_clear_error();
	if (!ok)
		log_peer("%s: its certificate does not name its address "
			 "(ssl.clientHostnameVerification): closing",
		    client_conn_address(c));
	return ok;
}

/* OpenSSL has no word for who does not speak TLS at all; its client is told what is spoken here. */
static void
tell_plain(const struct client_conn *c, unsigned long error)
{
	static const uint8_t alert[] = {0x15, 3, 3, 0, 2, 2, SSL_AD_PROTOCOL_VERSION};

	if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
		(void)send(c->fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool
client_handshake(struct client_conn *c)
{
	struct tls_peer peer;
	unsigned long reason;
	char why[256];
	int result;

	ERR_clear_error();
	if ((result = SSL_accept(c->ssl)) != 1) {
		int error = SSL_get_error(c->ssl, result);

		client_conn_want_write(c, error == SSL_ERROR_WANT_WRITE);
		if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
			return false;
		reason = ERR_get_error();
		tell_plain(c, reason);
		tls_handshake_error_text(c->ssl, reason, why, sizeof why);
		ERR_clear_error();
		zk_metrics_count(&c->shared->server->metrics, ZK_COUNTER_UNSUCCESSFUL_HANDSHAKE, 1);
		log_peer("%s: TLS handshake failed: %s", client_conn_address(c), why);
		client_conn_close(c);
		return false;
	}
	c->handshaking = false;
	c->shared->handshakes--;
	client_conn_want_write(c, false);
	tls_peer_read(c->ssl, &peer);
	if (!is_at_home(c)) {
		client_conn_close(c);
		return false;
	}
	if (peer.subject[0] != '\0' && !client_auth_x509(c, peer.subject)) {
		client_conn_close(c);
		return false;
	}
	return true;
}

void
client_take_ssl(struct client_conn *c, SSL *ssl)
{
	c->ssl = ssl;
	c->handshaking = true;
	c->shared->handshakes++;
	SSL_set_read_ahead(ssl, 1); /* SSL_has_pending() says what that holds */
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

bool
client_tell_tls(struct client_conn *c)
{
	struct client_shared *shared = c->shared;
	uint8_t first;
	ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);
	SSL *ssl;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	c->unknown = false;
	if (n <= 0 || first != TLS_FIRST_BYTE) {
		if (n > 0)
			log_peer("%s: speaks plaintext (client.portUnification takes both)",
			    client_conn_address(c));
		return true;
	}
	ssl =
	    shared->may_shake_hands(shared->port, c->ip) ? tls_new_ssl(shared->unify, true) : NULL;
	if (ssl != NULL && SSL_set_fd(ssl, c->fd) == 1) {
		client_take_ssl(c, ssl);
		return true;
	}
	SSL_free(ssl);
	client_conn_close(c);
	return false;
}
