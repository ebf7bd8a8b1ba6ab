/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's SASL tokens against the server's side of DIGEST-MD5, and (the first byte's lowest bit)
 * JAAS files. MD5 is replaced by a sum: what is looked at is the parsing. A response that is
 * completed with the right value must be let in, and no other.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "zkserver/core/jaas.h"
#include "zkserver/core/sasl.h"

static char bob[] = "bob", word[] = "word";
static const struct sasl_user users[] = {{bob, word}};

static bool
sum(const void *bytes, size_t size, uint8_t to[SASL_MD5_BYTES])
{
	const uint8_t *p = bytes;
	uint64_t a = 14695981039346656037u, b = size;

	for (size_t i = 0; i < size; i++) {
		a = (a ^ p[i]) * 1099511628211u;
		b += a;
	}
	memcpy(to, &a, sizeof a);
	memcpy(to + sizeof a, &b, sizeof b);
	return true;
}

static void
try_tokens(const uint8_t *data, size_t size)
{
	const struct sasl_config config = {"zookeeper", "zk-sasl-md5", users, 1, sum};
	char answer[SASL_CHALLENGE_MAX];
	struct sasl s;

	sasl_init(&s, "nonce");
	assert(sasl_next(&s, &config, NULL, 0, answer) == SASL_CHALLENGED);
	if (sasl_next(&s, &config, data, size, answer) == SASL_DONE) {
		assert(strcmp(s.user, "bob") == 0);
		assert(strlen(answer) == strlen("rspauth=") + 2 * SASL_MD5_BYTES);
	} else {
		assert(s.step == SASL_FAILED && s.why != NULL);
		assert(s.user[0] == '\0' && answer[0] == '\0');
	}
	assert(sasl_next(&s, &config, data, size, answer) == SASL_FAILED);
}

static const char *
count(void *arg, const char *module, const char *key, const char *value)
{
	assert(strlen(module) < JAAS_WORD_MAX);
	assert((key == NULL) == (value == NULL));
	(*(size_t *)arg)++;
	return NULL;
}

static void
try_jaas(const char *text, size_t size)
{
	struct jaas_fault fault;
	size_t entries = 0;
	enum jaas_result result = jaas_parse(text, size, "Server", count, &entries, &fault);

	assert(entries <= size);
	assert((result == JAAS_BAD) == (fault.why != NULL));
	assert(fault.line >= 1 && fault.line <= size + 1);
	assert(result != JAAS_NO_SECTION || entries == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy; /* without bytes behind its end */

	if (size < 1 || (copy = malloc(size)) == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		try_jaas((const char *)copy, size - 1);
	else
		try_tokens(copy, size - 1);
	free(copy);
	return 0;
}
