/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Join tokens: each lets so many holders of its secret have a certificate of one role until it
 * expires. Of the secret only a hash is kept, here and in /corral/tokens/ID. A use is counted
 * before the certificate is made, and the certificate is given only when the count is stored: the
 * write fails for a deposed leader, so that two masters cannot both give away the last use.
 */
#ifndef CORRAL_MASTER_TOKENS_H
#define CORRAL_MASTER_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"

enum {
	TOKENS_MAX = 10000,
	TOKEN_ID_SIZE = 16 + 1,	  /* lower-case hex */
	TOKEN_HASH_SIZE = 64 + 1, /* the same: SHA-256 of the secret */
	TOKEN_ROLE_SIZE = 16,
	TOKEN_NAME_SIZE = 63 + 1,
	TOKEN_BY_SIZE = 128,
	TOKEN_USES_MAX = 1000000,
};

/* What is still to be done to its node in the store. */
enum token_store { TOKEN_STORED, TOKEN_TO_CREATE, TOKEN_TO_SET, TOKEN_TO_DELETE };

struct token {
	struct list in_all;
	enum token_store store;
	char id[TOKEN_ID_SIZE], hash[TOKEN_HASH_SIZE];
	char role[TOKEN_ROLE_SIZE];
	char name[TOKEN_NAME_SIZE]; /* the only one that may be asked for; "": any that is free */
	char by[TOKEN_BY_SIZE];
	uint32_t uses; /* left; 0: it is being removed */
	int64_t created_wall_ms, expires_wall_ms;
};

struct tokens {
	struct list all;
	size_t count;
	bool dirty;
};

enum token_result { TOKEN_OK, TOKEN_UNKNOWN, TOKEN_EXPIRED, TOKEN_OTHER_ROLE, TOKEN_OTHER_NAME };

void tokens_init(struct tokens *t);
void tokens_fini(struct tokens *t);

/* A token as `as` has it (copied), to be stored. NULL: there are too many, or no memory. */
struct token *tokens_create(struct tokens *t, const struct token *as);
/* NULL: there is none that could be used. */
struct token *tokens_find(const struct tokens *t, const char *id);
/*
 * Does the hash of a secret open the token of this id for a certificate of this role and name? The
 * token is in *token then.
 */
enum token_result tokens_check(const struct tokens *t, int64_t wall_ms, const char *id,
    const char *hash, const char *role, const char *name, struct token **token);
/* Count a use; after the last one *token may be gone. */
void tokens_use(struct tokens *t, struct token *token);
void tokens_revoke(struct tokens *t, struct token *token);
/* Remove those whose time is over. */
void tokens_expire(struct tokens *t, int64_t wall_ms);

/* The text of a token's node, and back; false: it cannot be read. */
void token_encode(const struct token *token, struct buf *out);
bool tokens_load(struct tokens *t, const char *id, const char *text, size_t size);

/* It was put into a batch: what is still to be done is nothing, or *token is gone. */
void tokens_written(struct tokens *t, struct token *token);

#endif
