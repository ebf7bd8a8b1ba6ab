/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for those who have none yet: join tokens, and what is signed for who shows one; and
 * for those who have one that will end. The joining side knows the CA's digest from its token and
 * has checked our certificate by it before it sends the secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "master/master.h"

#define SET(v, field, value) ((v)->has_##field = 1, (v)->field = (value))

enum {
	ID_BYTES = 8,
	SECRET_BYTES = 16,
	TTL_DEFAULT_MS = 3600 * 1000,
	CERTIFICATE_DAYS = 90,
	TOKEN_TEXT_MAX = 512,
};
#define TTL_MAX_MS (UINT64_C(366) * 86400 * 1000)

/* ---- tokens ---- */

/* SHA-256 in hex; false: OpenSSL has no memory. */
static bool
hash_text(const char *text, char hex[TOKEN_HASH_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_Digest(text, strlen(text), digest, &size, EVP_sha256(), NULL) != 1 ||
	    2 * size + 1 != TOKEN_HASH_SIZE)
		return false;
	str_hex(hex, digest, size);
	return true;
}

static void
view_token(const struct token *token, Corral__Api__Token *v)
{
	corral__api__token__init(v);
	v->id = (char *)token->id;
	v->role = (char *)token->role;
	v->name = (char *)token->name;
	SET(v, uses, token->uses);
	SET(v, created_wall_ms, token->created_wall_ms);
	SET(v, expires_wall_ms, token->expires_wall_ms);
	v->by = (char *)token->by;
}

struct created {
	struct token token; /* as it was when it was made */
	char text[TOKEN_TEXT_MAX];
};

static void
created_free(void *arg)
{
	explicit_bzero(arg, sizeof(struct created));
	free(arg);
}

static void
answer_created(struct master *m, struct http_request *r, void *arg)
{
	struct created *c = arg;
	Corral__Api__Token v;

	view_token(&c->token, &v);
	v.token = c->text;
	api_reply(m, r, 201, &v.base);
}

/* The id, the secret with its hash, and the text that the joining side gets. */
static bool
make_secret(const struct master *m, struct created *c)
{
	uint8_t id[ID_BYTES], secret[SECRET_BYTES];
	char hex[2 * SECRET_BYTES + 1], error[256];
	struct cert_info ca;
	bool ok;

	if (!cert_read_info(m->conf.tls.ca, &ca, error, sizeof error)) {
		log_error("[tls] ca=%s", error);
		return false;
	}
	if (!fsutil_random(id, sizeof id) || !fsutil_random(secret, sizeof secret))
		return false;
	str_hex(c->token.id, id, sizeof id);
	str_hex(hex, secret, sizeof secret);
	ok = hash_text(hex, c->token.hash) &&
	     snprintf(c->text, sizeof c->text, "corral1.%s.%s.%s%s", m->info.api_address,
		 ca.fingerprint, c->token.id, hex) < (int)sizeof c->text;
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(hex, sizeof hex);
	return ok;
}

static const char *
creation_fault(const Corral__Api__TokenCreate *t, enum tls_role role)
{
	if (role == TLS_ROLE_NONE)
		return "a token's role is zkserver, master, agent, operator, user or framework";
	if (t->has_ttl_ms && (t->ttl_ms < 1000 || t->ttl_ms > TTL_MAX_MS))
		return "a token's life (ttl) is from a second to 366 days";
	if (t->has_uses && (t->uses == 0 || t->uses > TOKEN_USES_MAX))
		return "a token is good for 1 to 1000000 uses";
	if (t->name != NULL && (strlen(t->name) >= TOKEN_NAME_SIZE || strpbrk(t->name, "\n/ ")))
		return "the holder's name has a blank or a / in it, or is too long";
	return NULL;
}

static void
create(
    struct master *m, struct http_request *r, const Corral__Api__TokenCreate *t, enum tls_role role)
{
	struct created *c = calloc(1, sizeof *c);
	int64_t now_ms = clock_wall_ms();

	if (c == NULL || !make_secret(m, c)) {
		free(c);
		api_error(m, r, 500, "no token can be made: see this master's log");
		return;
	}
	str_copy(c->token.role, sizeof c->token.role, tls_role_name(role));
	str_copy(c->token.name, sizeof c->token.name, t->name != NULL ? t->name : "");
	api_who(r, c->token.by, sizeof c->token.by);
	c->token.uses = t->has_uses ? t->uses : 1;
	c->token.created_wall_ms = now_ms;
	c->token.expires_wall_ms = now_ms + (int64_t)(t->has_ttl_ms ? t->ttl_ms : TTL_DEFAULT_MS);
	tokens_expire(&m->cluster.tokens, now_ms);
	if (tokens_create(&m->cluster.tokens, &c->token) == NULL) {
		created_free(c);
		api_error(m, r, 409, "there are %d tokens already: revoke some", TOKENS_MAX);
		return;
	}
	log_info("token %s for %s %s, %u uses, by %s", c->token.id, c->token.role, c->token.name,
	    c->token.uses, c->token.by);
	admin_wait(m, r, answer_created, c, created_free);
}

void
enrol_token_create(struct master *m, struct http_request *r)
{
	Corral__Api__TokenCreate *t =
	    (Corral__Api__TokenCreate *)api_body(m, r, &corral__api__token_create__descriptor);
	enum tls_role role;
	const char *fault;

	if (t == NULL)
		return;
	role = t->role == NULL || t->role[0] == '\0' ? TLS_ROLE_AGENT : tls_role_parse(t->role);
	if (m->conf.tls.ca_key == NULL)
		api_error(m, r, 409,
		    "this master cannot sign certificates: set [tls] ca_key= on the masters");
	else if ((fault = creation_fault(t, role)) != NULL)
		api_error(m, r, 400, "%s", fault);
	else
		create(m, r, t, role);
	corral__api__token_create__free_unpacked(t, NULL);
}

void
enrol_token_list(struct master *m, struct http_request *r)
{
	Corral__Api__TokenList list = CORRAL__API__TOKEN_LIST__INIT;
	struct tokens *tokens = &m->cluster.tokens;
	Corral__Api__Token *views = calloc(tokens->count + 1, sizeof *views);
	struct list *it, *nx;

	tokens_expire(tokens, clock_wall_ms());
	list.tokens = calloc(tokens->count + 1, sizeof(Corral__Api__Token *));
	if (views == NULL || list.tokens == NULL) {
		api_error(m, r, 503, "out of memory");
	} else {
		LIST_EACH(it, nx, &tokens->all) {
			struct token *token = CONTAINER_OF(it, struct token, in_all);

			if (token->uses == 0)
				continue;
			view_token(token, &views[list.n_tokens]);
			list.tokens[list.n_tokens] = &views[list.n_tokens];
			list.n_tokens++;
		}
		api_reply(m, r, 200, &list.base);
	}
	free(list.tokens);
	free(views);
}

static void
answer_token(struct master *m, struct http_request *r, void *arg)
{
	Corral__Api__Token v;

	view_token(arg, &v);
	api_reply(m, r, 200, &v.base);
}

void
enrol_token_revoke(struct master *m, struct http_request *r, const char *id)
{
	struct token *token = tokens_find(&m->cluster.tokens, id), *copy;
	char who[TLS_NAME_MAX + 16];

	if (token == NULL) {
		api_error(m, r, 404, "there is no token %s, or not any more", id);
		return;
	}
	if ((copy = malloc(sizeof *copy)) == NULL) {
		api_error(m, r, 503, "out of memory");
		return;
	}
	*copy = *token;
	copy->uses = 0;
	tokens_revoke(&m->cluster.tokens, token);
	log_info("token %s is revoked by %s", id, api_who(r, who, sizeof who));
	admin_wait(m, r, answer_token, copy, free);
}

/* ---- certificates ---- */

static void
reply_joined(struct master *m, struct http_request *r, char *certificate)
{
	Corral__Api__Joined v = CORRAL__API__JOINED__INIT;
	char *masters[MASTERS_MAX + 1];

	v.masters = masters;
	masters[v.n_masters++] = m->info.api_address;
	for (size_t i = 0; i < m->masters.count; i++) {
		struct candidate *c = &m->masters.items[i];

		if (c->known && strcmp(c->node, m->elect.own) != 0)
			masters[v.n_masters++] = c->info.api_address;
	}
	v.certificate = certificate;
	v.cluster = m->conf.cluster.name;
	v.ensemble = m->conf.cluster.ensemble.items;
	v.n_ensemble = m->conf.cluster.ensemble.count;
	api_reply(m, r, 200, &v.base);
}

/* The CA's key is at hand; false: that was answered. */
static bool
can_sign(struct master *m, struct http_request *r, struct cert_ca *ca)
{
	*ca = (struct cert_ca){m->conf.tls.ca, m->conf.tls.ca_key};
	if (ca->key != NULL)
		return true;
	api_error(
	    m, r, 409, "this master cannot sign certificates: set [tls] ca_key= on the masters");
	return false;
}

/* What is certified; dns has room for one name more than was asked for. */
static struct cert_request
request_of(const Corral__Api__Join *j, const char **dns)
{
	struct cert_request request = {.role = tls_role_parse(j->role),
	    .name = j->name,
	    .dns = dns,
	    .ips = (const char *const *)j->ips,
	    .ip_count = j->n_ips,
	    .days = CERTIFICATE_DAYS};

	if (strpbrk(j->name, "@+") == NULL)
		dns[request.dns_count++] = j->name;
	for (size_t i = 0; i < j->n_dns; i++)
		dns[request.dns_count++] = j->dns[i];
	return request;
}

/* Malloc'ed PEM; NULL: the reason is in error. */
static char *
certify(const struct cert_ca *ca, const Corral__Api__Join *j, char *error, size_t size)
{
	const char **dns = calloc(j->n_dns + 1, sizeof *dns);
	struct cert_request request;
	char *certificate = NULL;

	if (dns == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	request = request_of(j, dns);
	(void)cert_sign(ca, &request, j->request, &certificate, error, size);
	free(dns);
	return certificate;
}

struct joining {
	Corral__Api__Join *join;
	char *certificate;
};

static void
joining_free(void *arg)
{
	struct joining *j = arg;

	explicit_bzero(j->join->secret, strlen(j->join->secret));
	corral__api__join__free_unpacked(j->join, NULL);
	free(j->certificate);
	free(j);
}

/* The use is counted, and the store has that. */
static void
answer_join(struct master *m, struct http_request *r, void *arg)
{
	const struct joining *j = arg;

	log_info("a certificate for %s %s, by a token", j->join->role, j->join->name);
	reply_joined(m, r, j->certificate);
}

/* The token that the secret opens; NULL: the request was answered. */
static struct token *
find_token(struct master *m, struct http_request *r, const Corral__Api__Join *j)
{
	static const char *const texts[] = {
	    [TOKEN_UNKNOWN] = "there is no such token: it was used up or revoked, or never made",
	    [TOKEN_EXPIRED] = "the token has expired",
	    [TOKEN_OTHER_ROLE] = "the token is for another role",
	    [TOKEN_OTHER_NAME] = "the token is for another name",
	};
	char id[TOKEN_ID_SIZE] = "", hash[TOKEN_HASH_SIZE];
	enum token_result result = TOKEN_UNKNOWN;
	struct token *token = NULL;

	if (strlen(j->secret) == TOKEN_ID_SIZE - 1 + 2 * SECRET_BYTES) {
		memcpy(id, j->secret, sizeof id - 1);
		if (hash_text(j->secret + sizeof id - 1, hash))
			result = tokens_check(&m->cluster.tokens, clock_wall_ms(), id, hash,
			    j->role, j->name, &token);
	}
	if (result == TOKEN_OK)
		return token;
	log_peer("a request to join as %.16s '%.64s' with token '%s': %s", j->role, j->name, id,
	    texts[result]);
	api_error(m, r, result == TOKEN_UNKNOWN || result == TOKEN_EXPIRED ? 401 : 403, "%s",
	    texts[result]);
	return NULL;
}

/* Is it what this token's holder may ask for? False: that was answered. */
static bool
may_join(
    struct master *m, struct http_request *r, const Corral__Api__Join *j, const struct token *t)
{
	enum tls_role role = tls_role_parse(j->role);
	const struct agent *known = cluster_agent(&m->cluster, j->name);

	if ((j->n_dns > 0 || j->n_ips > 0) && role != TLS_ROLE_MASTER && role != TLS_ROLE_ZKSERVER)
		api_error(m, r, 403, "further names are for masters and zkservers");
	else if (j->n_dns >= CERT_NAMES_MAX || j->n_ips > CERT_NAMES_MAX)
		api_error(m, r, 400, "more than %d names or addresses", CERT_NAMES_MAX - 1);
	else if (role == TLS_ROLE_AGENT && t->name[0] == '\0' && known != NULL && !known->gone)
		api_error(m, r, 409,
		    "there is a node %s already: forget it first, or make a token for that name: "
		    "corral token create --name %s",
		    j->name, j->name);
	else
		return true;
	return false;
}

static void
join(struct master *m, struct http_request *r, struct joining *j)
{
	struct token *token = find_token(m, r, j->join);
	struct cert_ca ca;
	char error[256];

	if (token == NULL || !may_join(m, r, j->join, token) || !can_sign(m, r, &ca)) {
		joining_free(j);
		return;
	}
	/* Before the use is counted, so that what comes to nothing does not cost one. */
	j->certificate = certify(&ca, j->join, error, sizeof error);
	if (j->certificate == NULL) {
		log_warn("no certificate for %s %s: %s", j->join->role, j->join->name, error);
		api_error(
		    m, r, 400, "no certificate for %s %s: %s", j->join->role, j->join->name, error);
		joining_free(j);
		return;
	}
	tokens_use(&m->cluster.tokens, token);
	admin_wait(m, r, answer_join, j, joining_free);
}

void
enrol_join(void *arg, struct http_request *r)
{
	struct master *m = arg;
	struct joining *j;

	if (!api_leads(m, r))
		return;
	if ((j = calloc(1, sizeof *j)) == NULL) {
		api_error(m, r, 503, "out of memory");
		return;
	}
	j->join = (Corral__Api__Join *)api_body(m, r, &corral__api__join__descriptor);
	if (j->join == NULL)
		free(j);
	else
		join(m, r, j);
}

/* Renewal changes nothing that is stored: any holder of a certificate gets one with the same names.
 */
static void
renew(struct master *m, struct http_request *r, const Corral__Api__Renew *body)
{
	const struct tls_peer *peer = http_request_peer(r);
	char error[256], *certificate;
	struct cert_ca ca;

	if (!can_sign(m, r, &ca))
		return;
	if (!cert_renew(&ca, body->certificate, peer, CERTIFICATE_DAYS, body->request, &certificate,
		error, sizeof error)) {
		log_warn("no new certificate for %s %s: %s", tls_role_name(peer->role), peer->name,
		    error);
		api_error(m, r, 400, "%s", error);
		return;
	}
	log_info("a new certificate for %s %s", tls_role_name(peer->role), peer->name);
	reply_joined(m, r, certificate);
	free(certificate);
}

void
enrol_renew(void *arg, struct http_request *r)
{
	struct master *m = arg;
	const struct tls_peer *peer = http_request_peer(r);
	Corral__Api__Renew *body;

	/* Whose request a master passes on has no certificate; the connection's is the master's. */
	if (!http_request_has_certificate(r) || http_request_header(r, API_FOR_HEADER) != NULL ||
	    strcmp(peer->cluster, m->conf.cluster.name) != 0) {
		api_refuse(m, r, 403, "only a certificate of cluster '%s' can be renewed",
		    m->conf.cluster.name);
		return;
	}
	if (!api_leads(m, r))
		return;
	body = (Corral__Api__Renew *)api_body(m, r, &corral__api__renew__descriptor);
	if (body == NULL)
		return;
	renew(m, r, body);
	corral__api__renew__free_unpacked(body, NULL);
}
