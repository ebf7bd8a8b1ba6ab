/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection of the client port says and shows that it is. */
#ifndef CORRAL_ZKSERVER_CLIENT_AUTH_H
#define CORRAL_ZKSERVER_CLIENT_AUTH_H

#include "zkserver/client_conn.h"

/* Answer an auth or SASL packet. */
void client_auth(struct client_conn *c, const struct server_frame *f);

/* The subject of the certificate that the handshake has verified. False: no memory. */
bool client_auth_x509(struct client_conn *c, const char *subject);

/* Release what an exchange that goes on holds. */
void client_auth_forget(struct client_conn *c);

#endif
