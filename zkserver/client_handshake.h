/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection of the client port comes to speak TLS. */
#ifndef CORRAL_ZKSERVER_CLIENT_HANDSHAKE_H
#define CORRAL_ZKSERVER_CLIENT_HANDSHAKE_H

#include "zkserver/client_conn.h"

/* The connection is TLS from here on; takes ssl, whose socket is set. */
void client_take_ssl(struct client_conn *c, SSL *ssl);

/* Look at the first byte of a port that takes both. False: there is none yet, or it is closed. */
bool client_tell_tls(struct client_conn *c);

/* Go on with the handshake. False: it is not done, or has failed and the connection is gone. */
bool client_handshake(struct client_conn *c);

#endif
