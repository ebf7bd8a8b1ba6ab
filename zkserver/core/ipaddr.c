/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/ipaddr.h"

#include <string.h>

#include "libcommon/base/str.h"

#define V6_WORDS 8

struct cursor {
	const uint8_t *pos, *end;
};

static bool
take(struct cursor *c, char wanted)
{
	if (c->pos == c->end || *c->pos != (uint8_t)wanted)
		return false;
	c->pos++;
	return true;
}

static bool
number(struct cursor *c, unsigned max, unsigned *value)
{
	const uint8_t *start = c->pos;

	*value = 0;
	for (; c->pos < c->end && *c->pos >= '0' && *c->pos <= '9' && c->pos - start < 3; c->pos++)
		*value = *value * 10 + (unsigned)(*c->pos - '0');
	return c->pos > start && *value <= max;
}

static bool
parse_v4(struct ipaddr *a, struct cursor *c)
{
	unsigned value;

	for (int i = 0; i < 4; i++) {
		if ((i > 0 && !take(c, '.')) || !number(c, 255, &value))
			return false;
		a->bytes[i] = (uint8_t)value;
	}
	a->size = 4;
	return true;
}

static bool
at_hex_digit(const struct cursor *c)
{
	return c->pos < c->end && str_digit((char)*c->pos) < 16;
}

static bool
hex_word(struct cursor *c, unsigned *value)
{
	const uint8_t *start = c->pos;

	*value = 0;
	for (; c->pos - start < 4 && at_hex_digit(c); c->pos++)
		*value = *value << 4 | str_digit((char)*c->pos);
	return c->pos > start;
}

static bool
parse_v6(struct ipaddr *a, struct cursor *c)
{
	unsigned words[V6_WORDS], value;
	int count = 0, gap = -1;

	if (c->end - c->pos >= 2 && c->pos[0] == ':' && c->pos[1] == ':') {
		c->pos += 2;
		gap = 0;
	}
	while (count < V6_WORDS && hex_word(c, &value)) {
		words[count++] = value;
		if (!take(c, ':'))
			break;
		if (c->pos < c->end && *c->pos == ':') {
			if (gap >= 0)
				return false;
			c->pos++;
			gap = count;
		} else if (!at_hex_digit(c))
			return false;
	}
	if (gap < 0 ? count != V6_WORDS : count >= V6_WORDS)
		return false;
	memset(a->bytes, 0, sizeof a->bytes);
	for (int i = 0; i < count; i++) {
		int at = gap < 0 || i < gap ? i : V6_WORDS - count + i;

		a->bytes[2 * at] = (uint8_t)(words[i] >> 8);
		a->bytes[2 * at + 1] = (uint8_t)words[i];
	}
	a->size = 16;
	return true;
}

bool
ipaddr_parse(struct ipaddr *a, struct jute_bytes text)
{
	struct cursor c;

	if (text.len <= 0)
		return false;
	c = (struct cursor){text.data, text.data + text.len};
	if (memchr(text.data, ':', (size_t)text.len) != NULL ? !parse_v6(a, &c) : !parse_v4(a, &c))
		return false;
	a->bits = a->size * 8;
	if (take(&c, '/') && !number(&c, a->size * 8, &a->bits))
		return false;
	return c.pos == c.end;
}

bool
ipaddr_matches(const struct ipaddr *rule, const struct ipaddr *who)
{
	unsigned whole = rule->bits / 8, rest = rule->bits % 8;

	if (rule->size != who->size || memcmp(rule->bytes, who->bytes, whole) != 0)
		return false;
	return rest == 0 || (rule->bytes[whole] ^ who->bytes[whole]) >> (8 - rest) == 0;
}
