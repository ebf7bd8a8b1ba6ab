/* SPDX-License-Identifier: Apache-2.0 */
/* Auth and SASL packets of the client port. */
#include "zkserver/client_auth.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_wire.h"
#include "libcommon/sys/log.h"
#include "zkserver/auth.h"

static bool
text_is(struct jute_bytes a, const char *text)
{
	return a.len >= 0 && (size_t)a.len == strlen(text) &&
	       memcmp(a.data, text, (size_t)a.len) == 0;
}

static bool
take_digest(struct client_conn *c, struct jute_bytes bytes)
{
	const struct auth *a = c->shared->auth;
	char id[AUTH_ID_MAX];

	if (bytes.len < 0 || !auth_digest_id(a, bytes.data, (size_t)bytes.len, id))
		return false;
	if (auth_digest_is_super(a, id) && !server_conn_identify(&c->core, "super", ""))
		return false;
	return server_conn_identify(&c->core, "digest", id);
}

/* A client that wants another ensemble is to look for it elsewhere: closed without a word. */
static bool
take_ensemble(struct client_conn *c, struct jute_bytes name)
{
	if (auth_ensemble_is_ours(c->shared->auth, name.data, name.len > 0 ? (size_t)name.len : 0))
		return true;
	log_peer(
	    "%s: it wants another ensemble than ensembleAuthName: closing", client_conn_address(c));
	c->broken = true;
	return false;
}

static void
auth_packet(struct client_conn *c, int32_t xid, struct jute_reader *r)
{
	struct jute_bytes scheme, bytes;
	bool ok;

	jute_get_i32(r); /* the packet's type, always 0 */
	scheme = jute_get_bytes(r);
	bytes = jute_get_bytes(r);
	if (r->bad)
		ok = false;
	else if (text_is(scheme, "digest"))
		ok = take_digest(c, bytes);
	else if (text_is(scheme, "ensemble") && c->shared->conf->auth.ensemble)
		ok = take_ensemble(c, bytes);
	else
		ok = text_is(scheme, "ip"); /* its address is known already */
	if (!ok && !c->broken)
		log_peer("%s: an auth packet was refused: too long, or of a scheme that is not "
			 "configured",
		    client_conn_address(c));
	server_auth(c->shared->server, &c->core, xid, ok);
}

/* The exchange that goes on; NULL: no memory or no random bytes. */
static struct sasl *
exchange_of(struct client_conn *c)
{
	char nonce[SASL_NONCE_MAX + 1];

	if (c->sasl != NULL)
		return c->sasl;
	if (!auth_nonce(nonce) || (c->sasl = malloc(sizeof *c->sasl)) == NULL)
		return NULL;
	sasl_init(c->sasl, nonce);
	return c->sasl;
}

static bool
add_sasl_user(struct client_conn *c, const char *user)
{
	if (!server_conn_identify(&c->core, "sasl", user))
		return false;
	return !auth_sasl_is_super(c->shared->auth, user) ||
	       server_conn_identify(&c->core, "super", "");
}

static void
sasl_packet(struct client_conn *c, int32_t xid, struct jute_reader *r)
{
	static const struct jute_bytes none = {NULL, -1};
	const struct sasl_config *config = auth_sasl(c->shared->auth);
	struct jute_bytes token = jute_get_bytes(r);
	char answer[SASL_CHALLENGE_MAX];
	struct sasl *s;
	bool ok;

	if (config == NULL) { /* as Apache's server without a JAAS file: the client goes on as is */
		server_sasl(c->shared->server, &c->core, xid, true, none);
		return;
	}
	if (r->bad || (s = exchange_of(c)) == NULL) {
		server_sasl(c->shared->server, &c->core, xid, false, none);
		return;
	}
	sasl_next(s, config, token.data, token.len > 0 ? (size_t)token.len : 0, answer);
	if (s->step == SASL_FAILED)
		log_peer("%s: SASL: %s", client_conn_address(c), s->why);
	ok = s->step == SASL_CHALLENGED || (s->step == SASL_DONE && add_sasl_user(c, s->user));
	server_sasl(c->shared->server, &c->core, xid, ok,
	    (struct jute_bytes){(const uint8_t *)answer, (int32_t)strlen(answer)});
	if (!ok)
		client_auth_forget(c); /* if it lives on, it may begin anew */
}

void
client_auth(struct client_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);
	int32_t xid = jute_get_i32(&r), op = jute_get_i32(&r);

	if (op == ZK_OP_SASL)
		sasl_packet(c, xid, &r);
	else
		auth_packet(c, xid, &r);
}

bool
client_auth_x509(struct client_conn *c, const char *subject)
{
	return server_conn_identify(&c->core, "x509", subject) &&
	       (!auth_x509_is_super(c->shared->auth, subject) ||
		   server_conn_identify(&c->core, "super", subject));
}

void
client_auth_forget(struct client_conn *c)
{
	free(c->sasl);
	c->sasl = NULL;
}
