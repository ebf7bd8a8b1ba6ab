/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "libcommon/codec/jute.h"
#include "libcommon/sys/log.h"
#include "zkserver/client_conn.h"

#define AUTH_BYTES_MAX 1024
#define SHA1_BYTES 20
#define SHA1_BASE64_BYTES 29 /* with its NUL */

/*
 * "user:" and base64(SHA1(user:password)) into id[size]; without a colon all of it is the user, as
 * Apache has it. False: too long, or no SHA-1 here.
 */
static bool
digest_id(struct jute_bytes auth, char *id, size_t size)
{
	uint8_t hash[EVP_MAX_MD_SIZE], text[SHA1_BASE64_BYTES];
	const uint8_t *user_end;
	unsigned len;
	int n;

	if (auth.len < 0 || auth.len > AUTH_BYTES_MAX ||
	    memchr(auth.data, '\0', (size_t)auth.len) != NULL)
		return false;
	user_end = memchr(auth.data, ':', (size_t)auth.len);
	if (user_end == NULL)
		user_end = auth.data + auth.len;
	if (EVP_Digest(auth.data, (size_t)auth.len, hash, &len, EVP_sha1(), NULL) != 1 ||
	    len != SHA1_BYTES)
		return false;
	EVP_EncodeBlock(text, hash, SHA1_BYTES);
	n = snprintf(id, size, "%.*s:%s", (int)(user_end - auth.data), (const char *)auth.data,
	    (const char *)text);
	return n > 0 && (size_t)n < size;
}

void
client_auth(struct client_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);
	int32_t xid = jute_get_i32(&r);
	struct jute_bytes scheme, auth;
	char id[AUTH_BYTES_MAX + SHA1_BASE64_BYTES + 1];
	bool ok;

	jute_get_i32(&r); /* the operation */
	jute_get_i32(&r); /* the packet's type, always 0 */
	scheme = jute_get_bytes(&r);
	auth = jute_get_bytes(&r);
	ok = !r.bad && scheme.len == 6 && memcmp(scheme.data, "digest", 6) == 0 &&
	     digest_id(auth, id, sizeof id) && server_conn_identify(&c->core, "digest", id);
	if (!ok)
		log_peer("%s: an auth packet was refused: only digest is known here",
		    client_conn_address(c));
	server_auth(c->shared->server, &c->core, xid, ok);
}
