/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/sasl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

#define HEX_BYTES (2 * SASL_MD5_BYTES)
#define HASHED_MAX ((size_t)4 * SASL_RESPONSE_MAX) /* of what is hashed at once */
#define FIRST_NONCE_COUNT "00000001"		   /* nobody comes back to an exchange */
#define TOO_LONG "its token is longer than 4096 bytes"
#define GSSAPI_TAG 0x60 /* RFC 2743, 3.1: what the first token of that mechanism begins with */
#define UNKNOWN_USERS_PASSWORD "nobody's"

struct span {
	const char *at; /* NULL: it was not there */
	size_t len;
};

/* The directives of a response that mean something here; quotes and escapes are gone. */
struct response {
	struct span username, realm, nonce, cnonce, nc, qop, uri, response, charset, authzid;
	char text[SASL_RESPONSE_MAX]; /* what the spans lie in */
	size_t used;
};

void
sasl_init(struct sasl *s, const char *nonce)
{
	*s = (struct sasl){0};
	if (!str_copy(s->nonce, sizeof s->nonce, nonce))
		s->step = SASL_FAILED;
}

static bool
span_is(struct span s, const char *text)
{
	return s.at != NULL && s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static struct span *
directive_named(struct response *r, struct span name)
{
	const struct {
		const char *name;
		struct span *span;
	} known[] = {{"username", &r->username}, {"realm", &r->realm}, {"nonce", &r->nonce},
	    {"cnonce", &r->cnonce}, {"nc", &r->nc}, {"qop", &r->qop}, {"digest-uri", &r->uri},
	    {"response", &r->response}, {"charset", &r->charset}, {"authzid", &r->authzid}};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strlen(known[i].name) == name.len &&
		    strncasecmp(known[i].name, name.at, name.len) == 0)
			return known[i].span;
	}
	return NULL;
}

static size_t
skip(const char *p, const char *end, const char *set)
{
	size_t n = 0;

	while (p + n < end && p[n] != '\0' && strchr(set, p[n]) != NULL)
		n++;
	return n;
}

/* The value at *p, without its quotes and their backslashes, into r->text. False: it does not end.
 */
static bool
take_value(struct response *r, const char **p, const char *end, struct span *value)
{
	bool quoted = *p < end && **p == '"';

	*value = (struct span){r->text + r->used, 0};
	for (*p += quoted; *p < end; (*p)++) {
		if (quoted ? **p == '"' : strchr(", \t\r\n", **p) != NULL && **p != '\0')
			break;
		if (quoted && **p == '\\' && ++*p == end)
			return false;
		r->text[r->used++] = **p; /* never more than the token has */
		value->len++;
	}
	if (!quoted)
		return value->len > 0;
	if (*p == end)
		return false;
	(*p)++;
	return true;
}

/* name=value or name="value", apart by commas. False: it is no such list, or names one twice. */
static bool
parse(struct response *r, const char *p, const char *end)
{
	static const char BLANKS[] = " \t\r\n", BETWEEN[] = ", \t\r\n";

	for (p += skip(p, end, BETWEEN); p < end; p += skip(p, end, BETWEEN)) {
		struct span name = {p, 0}, value, *known;

		while (p < end && *p != '=' && strchr(BETWEEN, *p) == NULL) {
			p++;
			name.len++;
		}
		p += skip(p, end, BLANKS);
		if (name.len == 0 || p == end || *p != '=')
			return false;
		p++;
		p += skip(p, end, BLANKS);
		if (!take_value(r, &p, end, &value))
			return false;
		p += skip(p, end, BLANKS);
		if (p < end && *p != ',')
			return false;
		known = directive_named(r, name);
		if (known == NULL)
			continue;
		if (known->at != NULL)
			return false;
		*known = value;
	}
	return true;
}

static bool
is_continuation(const char *p, const char *end)
{
	return p < end && ((unsigned char)*p & 0xc0) == 0x80;
}

/* RFC 2831, 2.1.2.1: UTF-8 text that ISO 8859-1 can hold is hashed as such. */
static void
put_text(struct buf *b, struct span s)
{
	const char *end = s.at + s.len;

	for (const char *p = s.at; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80 && ((c != 0xc2 && c != 0xc3) || !is_continuation(p + 1, end))) {
			buf_append(b, s.at, s.len);
			return;
		}
		p += c >= 0x80;
	}
	for (const char *p = s.at; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x80)
			c = (unsigned char)((c & 0x3) << 6 | ((unsigned char)*++p & 0x3f));
		buf_append(b, &c, 1);
	}
}

static void
put_colon(struct buf *b)
{
	buf_append(b, ":", 1);
}

/* Hash what is in b and empty it. */
static bool
finish(const struct sasl_config *config, struct buf *b, uint8_t to[SASL_MD5_BYTES])
{
	bool ok = !b->failed && config->md5(b->data, b->len, to);

	buf_clear(b);
	return ok;
}

static bool
finish_hex(const struct sasl_config *config, struct buf *b, char to[HEX_BYTES + 1])
{
	uint8_t hash[SASL_MD5_BYTES];

	if (!finish(config, b, hash))
		return false;
	str_hex(to, hash, sizeof hash);
	return true;
}

/* HEX(H(A1)) of RFC 2831, 2.1.2.1. The user's name as the client wrote it. */
static bool
hash_secret(const struct sasl_config *config, const struct response *r, const char *password,
    struct buf *b, char to[HEX_BYTES + 1])
{
	uint8_t hash[SASL_MD5_BYTES];
	bool utf8 = r->charset.at != NULL;

	if (utf8) {
		put_text(b, r->username);
		put_colon(b);
		put_text(b, r->realm);
	} else {
		buf_append(b, r->username.at, r->username.len);
		put_colon(b);
		buf_append(b, r->realm.at, r->realm.len);
	}
	put_colon(b);
	put_text(b, (struct span){password, strlen(password)});
	if (!finish(config, b, hash))
		return false;
	buf_append(b, hash, sizeof hash);
	put_colon(b);
	buf_append(b, r->nonce.at, r->nonce.len);
	put_colon(b);
	buf_append(b, r->cnonce.at, r->cnonce.len);
	if (r->authzid.at != NULL) {
		put_colon(b);
		buf_append(b, r->authzid.at, r->authzid.len);
	}
	return finish_hex(config, b, to);
}

/* The response value for a method: "AUTHENTICATE" of the client's, "" of the server's. */
static bool
hash_response(const struct sasl_config *config, const struct response *r, const char *secret,
    const char *method, struct buf *b, char to[HEX_BYTES + 1])
{
	char request[HEX_BYTES + 1];

	buf_append(b, method, strlen(method));
	put_colon(b);
	buf_append(b, r->uri.at, r->uri.len);
	if (!finish_hex(config, b, request))
		return false;
	buf_append(b, secret, HEX_BYTES);
	put_colon(b);
	buf_append(b, r->nonce.at, r->nonce.len);
	buf_append(b, ":" FIRST_NONCE_COUNT ":", sizeof ":" FIRST_NONCE_COUNT ":" - 1);
	buf_append(b, r->cnonce.at, r->cnonce.len);
	buf_append(b, ":auth:", 6);
	buf_append(b, request, HEX_BYTES);
	return finish_hex(config, b, to);
}

static bool
equal(const char *a, const char *b, size_t size)
{
	unsigned diff = 0;

	for (size_t i = 0; i < size; i++)
		diff |= (unsigned)(unsigned char)a[i] ^ (unsigned char)b[i];
	return diff == 0;
}

/* protocol/server, letter case aside, and maybe a service's name behind it. */
static bool
uri_is_ours(const struct sasl_config *config, struct span uri)
{
	char ours[SASL_CHALLENGE_MAX];
	int len = snprintf(ours, sizeof ours, "%s/%s", config->protocol, config->server);

	return len > 0 && (size_t)len < sizeof ours && uri.len >= (size_t)len &&
	       strncasecmp(uri.at, ours, (size_t)len) == 0 &&
	       (uri.len == (size_t)len || uri.at[len] == '/');
}

/* What is wrong with the response, its value aside; NULL: nothing. */
static const char *
find_fault(const struct sasl *s, const struct sasl_config *config, const struct response *r)
{
	if (r->username.at == NULL || r->nonce.at == NULL || r->cnonce.at == NULL ||
	    r->nc.at == NULL || r->uri.at == NULL || r->response.at == NULL)
		return "its response lacks a directive";
	if (r->username.len == 0 || r->username.len >= SASL_NAME_MAX ||
	    memchr(r->username.at, '\0', r->username.len) != NULL)
		return "its user's name is empty or too long";
	if (!span_is(r->nonce, s->nonce) || !span_is(r->nc, FIRST_NONCE_COUNT))
		return "it answers another challenge";
	if (r->realm.at != NULL && !span_is(r->realm, config->server))
		return "it answers for another realm";
	if (r->qop.at != NULL && !span_is(r->qop, "auth"))
		return "it wants another quality of protection than auth";
	if (r->charset.at != NULL &&
	    (r->charset.len != 5 || strncasecmp(r->charset.at, "utf-8", 5) != 0))
		return "it wants another charset than utf-8";
	if (!uri_is_ours(config, r->uri))
		return "it wants another service";
	if (r->cnonce.len == 0 || r->response.len != HEX_BYTES)
		return "its cnonce or response has not the right length";
	return NULL;
}

static const struct sasl_user *
find_user(const struct sasl_config *config, struct span name)
{
	for (size_t i = 0; i < config->user_count; i++) {
		if (span_is(name, config->users[i].name))
			return &config->users[i];
	}
	return NULL;
}

/* An unknown user costs what a known one does, and learns as little. */
static const char *
check_response(struct sasl *s, const struct sasl_config *config, const struct response *r,
    struct buf *b, char answer[SASL_CHALLENGE_MAX])
{
	const struct sasl_user *user = find_user(config, r->username);
	const char *password = user != NULL ? user->password : UNKNOWN_USERS_PASSWORD;
	char secret[HEX_BYTES + 1], want[HEX_BYTES + 1], rspauth[HEX_BYTES + 1];

	if (!hash_secret(config, r, password, b, secret) ||
	    !hash_response(config, r, secret, "AUTHENTICATE", b, want) ||
	    !hash_response(config, r, secret, "", b, rspauth))
		return "MD5 cannot be computed";
	if (!equal(want, r->response.at, HEX_BYTES) || user == NULL)
		return "its user or password is wrong";
	memcpy(s->user, r->username.at, r->username.len);
	s->user[r->username.len] = '\0';
	snprintf(answer, SASL_CHALLENGE_MAX, "rspauth=%s", rspauth);
	return NULL;
}

static const char *
respond(struct sasl *s, const struct sasl_config *config, const uint8_t *token, size_t size,
    char answer[SASL_CHALLENGE_MAX])
{
	struct response r;
	struct buf b;
	const char *why;

	if (size > SASL_RESPONSE_MAX)
		return TOO_LONG;
	memset(&r, 0, offsetof(struct response, text));
	r.used = 0;
	if (!parse(&r, (const char *)token, (const char *)token + size))
		return "its response is no list of directives";
	if ((why = find_fault(s, config, &r)) != NULL)
		return why;
	if (r.realm.at == NULL)
		r.realm.at = ""; /* the empty realm */
	buf_init(&b, HASHED_MAX);
	why = check_response(s, config, &r, &b, answer);
	if (b.data != NULL)
		explicit_bzero(b.data, b.cap); /* passwords were in it */
	buf_fini(&b);
	return why;
}

static void
fail(struct sasl *s, const char *why)
{
	s->step = SASL_FAILED;
	s->why = why;
}

enum sasl_step
sasl_next(struct sasl *s, const struct sasl_config *config, const uint8_t *token, size_t size,
    char answer[SASL_CHALLENGE_MAX])
{
	const char *why;
	int len;

	answer[0] = '\0';
	switch (s->step) {
	case SASL_START: /* other bytes than none mean nothing, as for Java's server */
		if (size > SASL_RESPONSE_MAX || (size > 0 && token[0] == GSSAPI_TAG)) {
			fail(s, size > SASL_RESPONSE_MAX
				    ? TOO_LONG
				    : "GSSAPI (Kerberos) is not supported, only DIGEST-MD5");
			break;
		}
		len = snprintf(answer, SASL_CHALLENGE_MAX,
		    "realm=\"%s\",nonce=\"%s\",charset=utf-8,algorithm=md5-sess", config->server,
		    s->nonce);
		assert(len > 0 && len < SASL_CHALLENGE_MAX);
		s->step = SASL_CHALLENGED;
		break;
	case SASL_CHALLENGED:
		if ((why = respond(s, config, token, size, answer)) != NULL)
			fail(s, why);
		else
			s->step = SASL_DONE;
		break;
	case SASL_DONE:
		fail(s, "it goes on after it was let in");
		break;
	case SASL_FAILED:
		if (s->why == NULL)
			s->why = "it failed before";
		break;
	}
	return s->step;
}
