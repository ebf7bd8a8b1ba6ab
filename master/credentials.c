/* SPDX-License-Identifier: Apache-2.0 */
#include "master/credentials.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/base64.h"
#include "libcommon/codec/http_basic.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/fsutil.h"

#define HASH_BYTES 32
#define BLANKS " \t"
/* The longest line without comments and spare blanks, with its end. */
#define LINE_BYTES_MAX                                                                             \
	(sizeof "operator:" + CREDENTIALS_NAME_MAX + sizeof " " + CREDENTIALS_SECRET_MAX +         \
	    sizeof "\r\n")
/* As many names as there may be, and as much again of comments. */
#define FILE_BYTES_MAX (2 * CREDENTIALS_MAX * LINE_BYTES_MAX)

static_assert(
    BASE64_TEXT_BYTES(CREDENTIALS_NAME_MAX + 1 + CREDENTIALS_SECRET_MAX) < HTTP_BASIC_TEXT_MAX,
    "a secret that the file may have is one that a client can send");

struct credential {
	enum tls_role role;
	char name[CREDENTIALS_NAME_MAX + 1];
	uint8_t hash[HASH_BYTES];
	unsigned line;
};

struct credentials {
	struct credential *items;
	size_t count;
};

static bool
hash_secret(const char *secret, uint8_t hash[HASH_BYTES])
{
	unsigned size = 0;

	return EVP_Digest(secret, strlen(secret), hash, &size, EVP_sha256(), NULL) == 1 &&
	       size == HASH_BYTES;
}

/* "ROLE:NAME" or "NAME"; NULL: it was read. */
static const char *
read_holder(const char *text, struct credential *to)
{
	const char *colon = strchr(text, ':'), *name = colon == NULL ? text : colon + 1;
	char role[16] = "user";

	if (colon != NULL)
		snprintf(role, sizeof role, "%.*s", (int)(colon - text), text);
	to->role = tls_role_parse(role);
	if (to->role != TLS_ROLE_USER && to->role != TLS_ROLE_OPERATOR)
		return "the role before the colon is neither user nor operator";
	if (!cert_name_is_plain(name) || !str_copy(to->name, sizeof to->name, name))
		return "the name has other characters than a certificate's may have, or is too "
		       "long";
	return NULL;
}

/* Takes the line apart; NULL: it was read, or there is nothing in it. */
static const char *
read_line(struct credentials *c, char *line)
{
	struct credential *to = &c->items[c->count];
	char *secret = line + strcspn(line, BLANKS);
	const char *why;

	if (line[0] == '\0' || line[0] == '#')
		return NULL;
	if (c->count == CREDENTIALS_MAX)
		return "more than 10000 names";
	if (*secret == '\0')
		return "it has no secret: ROLE:NAME SECRET";
	*secret++ = '\0';
	secret += strspn(secret, BLANKS);
	if (strlen(secret) < CREDENTIALS_SECRET_MIN)
		return "the secret is shorter than 8 characters";
	if (strlen(secret) > CREDENTIALS_SECRET_MAX)
		return "the secret is longer than 512 bytes";
	if ((why = read_holder(line, to)) != NULL)
		return why;
	if (!hash_secret(secret, to->hash))
		return "no memory";
	c->count++;
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	const struct credential *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : x->line < y->line ? -1 : x->line > y->line;
}

/* In order, so that a name that is there twice is found without a look at every pair. */
static bool
sort_names(struct credentials *c, const char *path, char *error, size_t size)
{
	qsort(c->items, c->count, sizeof *c->items, compare_names);
	for (size_t i = 1; i < c->count; i++) {
		if (strcmp(c->items[i - 1].name, c->items[i].name) != 0)
			continue;
		snprintf(error, size, "%s:%u: the name is there already, in line %u", path,
		    c->items[i].line, c->items[i - 1].line);
		return false;
	}
	return true;
}

static bool
read_lines(struct credentials *c, char *text, const char *path, char *error, size_t size)
{
	const char *why;
	unsigned number = 0;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		number++;
		line[strcspn(line, "\r")] = '\0';
		c->items[c->count].line = number;
		if ((why = read_line(c, line)) == NULL)
			continue;
		snprintf(error, size, "%s:%u: %s", path, number, why);
		return false;
	}
	return sort_names(c, path, error, size);
}

struct credentials *
credentials_read(const char *path, char *error, size_t size)
{
	struct credentials *c = calloc(1, sizeof *c);
	unsigned mode = fsutil_open_mode(path);
	struct buf b;

	buf_init(&b, FILE_BYTES_MAX + 1);
	snprintf(error, size, "out of memory");
	if (c == NULL || (c->items = calloc(CREDENTIALS_MAX + 1, sizeof *c->items)) == NULL)
		goto fail;
	if (mode != 0) {
		snprintf(error, size,
		    "%s: mode %04o lets others read it: chmod 600, and make new secrets if it was "
		    "so for long",
		    path, mode);
		goto fail;
	}
	if (!fsutil_read(path, FILE_BYTES_MAX, &b)) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		goto fail;
	}
	if (memchr(b.data, '\0', b.len) != NULL) {
		snprintf(error, size, "%s: has a NUL in it", path);
		goto fail;
	}
	if (buf_text(&b) == NULL || !read_lines(c, (char *)b.data, path, error, size))
		goto fail;
	explicit_bzero(b.data, b.len);
	buf_fini(&b);
	return c;
fail:
	if (b.len > 0)
		explicit_bzero(b.data, b.len);
	buf_fini(&b);
	credentials_free(c);
	return NULL;
}

void
credentials_free(struct credentials *c)
{
	if (c == NULL)
		return;
	free(c->items);
	free(c);
}

bool
credentials_check(
    const struct credentials *c, const char *name, const char *secret, struct tls_peer *who)
{
	const struct credential *found = NULL;
	uint8_t hash[HASH_BYTES];

	if (!hash_secret(secret, hash))
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct credential *one = &c->items[i];
		bool same = CRYPTO_memcmp(one->hash, hash, sizeof hash) == 0;

		if (strcmp(one->name, name) == 0 && same)
			found = one;
	}
	explicit_bzero(hash, sizeof hash);
	if (found == NULL)
		return false;
	*who = (struct tls_peer){.role = found->role};
	return str_copy(who->name, sizeof who->name, found->name);
}
