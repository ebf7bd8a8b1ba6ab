/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/hash.h"

#include <assert.h>
#include <string.h>

static inline uint64_t
rotl(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void
sip_round(struct hash_prefixes *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void
sip_word(struct hash_prefixes *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static inline void
begin(struct hash_prefixes *h, const struct hash_key *key, const void *bytes)
{
	*h = (struct hash_prefixes){
	    key->k0 ^ UINT64_C(0x736f6d6570736575),
	    key->k1 ^ UINT64_C(0x646f72616e646f6d),
	    key->k0 ^ UINT64_C(0x6c7967656e657261),
	    key->k1 ^ UINT64_C(0x7465646279746573),
	    bytes,
	    0,
	};
}

/* All words that are whole in the first `size` bytes. */
static inline void
take_words(struct hash_prefixes *h, size_t size)
{
	uint64_t word;

	for (; size - h->done >= sizeof word; h->done += sizeof word) {
		memcpy(&word, h->bytes + h->done, sizeof word);
		sip_word(h, word);
	}
}

/* What is left of them, and their number, is the last word. */
static inline uint64_t
finish(struct hash_prefixes s, size_t size)
{
	uint64_t last = (uint64_t)size << 56;

	for (size_t i = 0; i < size - s.done; i++)
		last |= (uint64_t)s.bytes[s.done + i] << (8 * i);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t
hash_bytes(const struct hash_key *key, const void *bytes, size_t size)
{
	struct hash_prefixes h;

	begin(&h, key, bytes);
	take_words(&h, size);
	return finish(h, size);
}

void
hash_prefixes_init(struct hash_prefixes *h, const struct hash_key *key, const void *bytes)
{
	begin(h, key, bytes);
}

uint64_t
hash_prefixes_next(struct hash_prefixes *h, size_t size)
{
	assert(size >= h->done);
	take_words(h, size);
	return finish(*h, size);
}
