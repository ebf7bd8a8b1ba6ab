/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/member_cert.h"

#include <stdio.h>

void
member_cert_print_refusal(
    const struct stream *s, const char *host, bool dialled, char *to, size_t size)
{
	const struct tls_peer *peer = stream_peer(s);

	snprintf(to, size,
	    "its certificate (%s) does not name %s, that member's host (%s asks for it)",
	    peer != NULL && peer->subject[0] != '\0' ? peer->subject : "without a subject", host,
	    dialled ? "ssl.quorum.hostnameVerification" : "ssl.quorum.clientHostnameVerification");
}
