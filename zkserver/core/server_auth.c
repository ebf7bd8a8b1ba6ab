/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is: the answers to auth and SASL packets, and who must have sent one. */
#include "zkserver/core/server_priv.h"

bool
server_frame_is_auth(const struct server_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);
	int32_t op;

	jute_get_i32(&r);
	op = jute_get_i32(&r);
	return c->session_id != 0 && (op == ZK_OP_AUTH || op == ZK_OP_SASL);
}

void
server_auth(struct server *s, struct server_conn *c, int32_t xid, bool ok)
{
	if (!ok)
		s->stats.auth_failed++;
	reply_send(s, c, xid, 0, ok ? ZK_OK : ZK_AUTHFAILED, NULL);
	if (!ok)
		server_end_conn(s, c, SERVER_CLOSE_FLUSHED);
}

static bool
sasl_is_required(const struct server *s)
{
	static const struct jute_bytes sasl = {(const uint8_t *)"sasl", 4};

	return s->settings.schemes != NULL && acl_scheme_is_among(sasl, s->settings.schemes);
}

/* The token stands behind an error, too, as no other record does. */
static void
sasl_reply(
    struct server *s, struct server_conn *c, int32_t xid, int32_t error, struct jute_bytes token)
{
	size_t at = reply_begin(s, c);

	jute_put_bytes(c->out, token);
	reply_end(s, c, at, xid, 0, ZK_OK);
	if (error != ZK_OK && !c->out->failed)
		jute_set_i32(c->out, at + REPLY_HEADER_BYTES - 4, error);
}

void
server_sasl(struct server *s, struct server_conn *c, int32_t xid, bool ok, struct jute_bytes token)
{
	static const struct jute_bytes none = {NULL, -1};
	bool required = sasl_is_required(s);

	if (ok) {
		sasl_reply(s, c, xid, ZK_OK, token);
		return;
	}
	s->stats.auth_failed++;
	if (s->settings.allow_failed_sasl && !required) {
		sasl_reply(s, c, xid, ZK_OK, none);
		return;
	}
	sasl_reply(s, c, xid, required ? ZK_SESSIONCLOSEDREQUIRESASLAUTH : ZK_AUTHFAILED, none);
	server_end_conn(s, c, SERVER_CLOSE_FLUSHED);
}

bool
auth_is_enough(struct server *s, struct server_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);

	if (s->settings.schemes == NULL || acl_ids_has_scheme(&c->ids, s->settings.schemes))
		return true;
	reply_send(s, c, jute_get_i32(&r), 0, ZK_SESSIONCLOSEDREQUIRESASLAUTH, NULL);
	server_refuse_conn(s, c, SERVER_CLOSE_FLUSHED,
	    "it has no identity of a scheme that enforce.auth.schemes asks for");
	return false;
}
