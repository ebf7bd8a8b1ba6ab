/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/tokens.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"

enum { TEXT_BYTES_MAX = 1024 };

void
tokens_init(struct tokens *t)
{
	*t = (struct tokens){0};
	list_init(&t->all);
}

static void
token_free(struct tokens *t, struct token *token)
{
	list_remove(&token->in_all);
	t->count--;
	explicit_bzero(token->hash, sizeof token->hash);
	free(token);
}

void
tokens_fini(struct tokens *t)
{
	struct list *first;

	while ((first = list_first(&t->all)) != NULL)
		token_free(t, CONTAINER_OF(first, struct token, in_all));
}

static struct token *
add(struct tokens *t, const struct token *as)
{
	struct token *token = t->count < TOKENS_MAX ? malloc(sizeof *token) : NULL;

	if (token == NULL)
		return NULL;
	*token = *as;
	list_init(&token->in_all);
	list_append(&t->all, &token->in_all);
	t->count++;
	return token;
}

struct token *
tokens_create(struct tokens *t, const struct token *as)
{
	struct token *token = add(t, as);

	if (token == NULL)
		return NULL;
	token->store = TOKEN_TO_CREATE;
	t->dirty = true;
	return token;
}

struct token *
tokens_find(const struct tokens *t, const char *id)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&t->all) {
		struct token *token = CONTAINER_OF(it, struct token, in_all);

		if (strcmp(token->id, id) == 0 && token->uses > 0)
			return token;
	}
	return NULL;
}

void
tokens_revoke(struct tokens *t, struct token *token)
{
	token->uses = 0;
	if (token->store == TOKEN_TO_CREATE) {
		token_free(t, token); /* the store has not seen it */
		return;
	}
	token->store = TOKEN_TO_DELETE;
	t->dirty = true;
}

void
tokens_expire(struct tokens *t, int64_t wall_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &t->all) {
		struct token *token = CONTAINER_OF(it, struct token, in_all);

		if (token->uses > 0 && token->expires_wall_ms <= wall_ms)
			tokens_revoke(t, token);
	}
}

/* Without telling by its time how far two hashes agree. */
static bool
hashes_equal(const char *a, const char *b)
{
	unsigned difference = 0;

	if (strlen(a) != TOKEN_HASH_SIZE - 1 || strlen(b) != TOKEN_HASH_SIZE - 1)
		return false;
	for (size_t i = 0; i < TOKEN_HASH_SIZE - 1; i++)
		difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return difference == 0;
}

enum token_result
tokens_check(const struct tokens *t, int64_t wall_ms, const char *id, const char *hash,
    const char *role, const char *name, struct token **token)
{
	*token = tokens_find(t, id);
	if (*token == NULL || !hashes_equal((*token)->hash, hash))
		return TOKEN_UNKNOWN;
	if ((*token)->expires_wall_ms <= wall_ms)
		return TOKEN_EXPIRED;
	if (strcmp((*token)->role, role) != 0)
		return TOKEN_OTHER_ROLE;
	if ((*token)->name[0] != '\0' && strcmp((*token)->name, name) != 0)
		return TOKEN_OTHER_NAME;
	return TOKEN_OK;
}

void
tokens_use(struct tokens *t, struct token *token)
{
	if (token->uses == 1) {
		tokens_revoke(t, token);
		return;
	}
	token->uses--;
	if (token->store == TOKEN_STORED)
		token->store = TOKEN_TO_SET;
	t->dirty = true;
}

void
tokens_written(struct tokens *t, struct token *token)
{
	if (token->store == TOKEN_TO_DELETE)
		token_free(t, token);
	else
		token->store = TOKEN_STORED;
}

void
token_encode(const struct token *token, struct buf *out)
{
	buf_printf(out,
	    "hash=%s\nrole=%s\nname=%s\nuses=%" PRIu32 "\nexpires_ms=%" PRId64
	    "\ncreated_ms=%" PRId64 "\nby=%s\n",
	    token->hash, token->role, token->name, token->uses, token->expires_wall_ms,
	    token->created_wall_ms, token->by);
}

static bool
take_line(struct token *token, const char *key, const char *value)
{
	uint64_t uses;

	if (strcmp(key, "hash") == 0)
		return strlen(value) == TOKEN_HASH_SIZE - 1 &&
		       str_copy(token->hash, sizeof token->hash, value);
	if (strcmp(key, "role") == 0)
		return str_copy(token->role, sizeof token->role, value);
	if (strcmp(key, "name") == 0)
		return str_copy(token->name, sizeof token->name, value);
	if (strcmp(key, "by") == 0)
		return str_copy(token->by, sizeof token->by, value);
	if (strcmp(key, "expires_ms") == 0)
		return str_to_i64(value, 0, INT64_MAX, &token->expires_wall_ms);
	if (strcmp(key, "created_ms") == 0)
		return str_to_i64(value, 0, INT64_MAX, &token->created_wall_ms);
	if (strcmp(key, "uses") == 0) {
		if (!str_to_u64(value, 1, TOKEN_USES_MAX, &uses))
			return false;
		token->uses = (uint32_t)uses;
	}
	return true; /* a line of a later version's */
}

bool
tokens_load(struct tokens *t, const char *id, const char *text, size_t size)
{
	struct token token = {0};
	char copy[TEXT_BYTES_MAX], *at = copy, *line, *value;

	if (size >= sizeof copy || !str_copy(token.id, sizeof token.id, id))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	while ((line = strsep(&at, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		if ((value = strchr(line, '=')) == NULL)
			return false;
		*value++ = '\0';
		if (!take_line(&token, line, value))
			return false;
	}
	explicit_bzero(copy, sizeof copy);
	/* What is missing would be a right that nobody gave. */
	return token.hash[0] != '\0' && token.role[0] != '\0' && token.uses > 0 &&
	       token.expires_wall_ms > 0 && add(t, &token) != NULL;
}
