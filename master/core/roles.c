/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas and weights of roles: what may be set, and the texts in the ensemble. */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "master/core/inside.h"

/* All roles' together can be counted. */
#define GUARANTEE_MAX (UINT64_MAX / 2 / SHARE_ROLES_MAX)

static const char *const resource_names[] = {"cpus", "memory", "disk"};

static bool
refuse(char *error, size_t size, const char *role, const char *why, int resource)
{
	snprintf(error, size, "role %s: %s%s%s", role, why, resource < 0 ? "" : " ",
	    resource < 0 ? "" : resource_names[resource]);
	return false;
}

/* The guarantees of all roles, if this one's were another. */
static bool
guarantees_fit(const struct cluster *c, const char *name, const struct quota *q, int d)
{
	const struct share *s = &c->books.share;
	share_wide sum = resources_get(&q->guarantee, d);

	for (uint32_t i = 0; i < s->count; i++)
		if (strcmp(s->roles[i]->name, name) != 0)
			sum += resources_get(&s->roles[i]->quota.guarantee, d);
	return resources_get(&q->guarantee, d) == 0 || sum <= resources_get(&s->total, d);
}

static bool
quota_fault(const struct cluster *c, const char *name, const struct quota *q, bool force,
    char *error, size_t size)
{
	const struct role *r = share_find(&c->books.share, name);
	struct resources consumed = {0};

	if (!role_name_ok(name))
		return refuse(error, size, name, "this is no name of a role", -1);
	if (strchr(name, '/') != NULL && !resources_is_zero(&q->guarantee))
		return refuse(error, size, name,
		    "only a top-level role can have a guarantee; a limit it can have", -1);
	if (r != NULL)
		consumed = share_consumed(r);
	for (int d = 0; d < RESOURCE_COUNT; d++) {
		uint64_t limit = resources_get(&q->limit, d);

		if (resources_get(&q->guarantee, d) > GUARANTEE_MAX)
			return refuse(error, size, name,
			    "the guarantee is more than any cluster could have of", d);
		if (resources_get(&q->guarantee, d) > limit)
			return refuse(error, size, name, "the guarantee is above the limit of", d);
		if (!force && resources_get(&consumed, d) > limit)
			return refuse(error, size, name,
			    "it has more than this limit already (--force sets it all the same; "
			    "nothing is stopped for it):",
			    d);
		if (!force && !guarantees_fit(c, name, q, d))
			return refuse(error, size, name,
			    "all guarantees together are more than the cluster has (--force sets "
			    "it all the same):",
			    d);
	}
	return true;
}

static struct role *
take(struct cluster *c, const char *name, char *error, size_t size)
{
	struct role *r = share_take(&c->books.share, name);

	if (r == NULL)
		refuse(error, size, name, "there are too many roles, or memory is short", -1);
	return r;
}

bool
cluster_set_quota(struct cluster *c, const char *name, const struct quota *q, bool force,
    char *error, size_t size)
{
	struct role *r;

	if (!quota_fault(c, name, q, force, error, size) ||
	    (r = take(c, name, error, size)) == NULL)
		return false;
	share_set_quota(r, q);
	share_drop(&c->books.share, r);
	c->quota_piece |= PIECE_DIRTY;
	c->unplaced = true;
	return true;
}

bool
cluster_set_weight(
    struct cluster *c, const char *name, uint64_t weight_milli, char *error, size_t size)
{
	struct role *r;

	if (!role_name_ok(name))
		return refuse(error, size, name, "this is no name of a role", -1);
	if (weight_milli == 0 || weight_milli > SHARE_WEIGHT_MAX)
		return refuse(error, size, name, "a weight is from 0.001 to 1000", -1);
	if ((r = take(c, name, error, size)) == NULL)
		return false;
	share_set_weight(r, (uint32_t)weight_milli);
	share_drop(&c->books.share, r);
	c->weights_piece |= PIECE_DIRTY;
	c->unplaced = true;
	return true;
}

/* --- /corral/quota: "ROLE guarantee AMOUNTS limit AMOUNTS", /corral/roles: "ROLE weight N" --- */

const char *
role_print_amounts(char to[ROLE_AMOUNTS_MAX], const struct resources *a, uint64_t none)
{
	char text[AMOUNT_TEXT_MAX];
	int n = 0;

	for (int d = 0; d < RESOURCE_COUNT; d++) {
		uint64_t x = resources_get(a, d);

		if (x == none)
			continue;
		n += snprintf(to + n, (size_t)(ROLE_AMOUNTS_MAX - n), "%s%s=%s", n > 0 ? "," : "",
		    resource_names[d],
		    d == RESOURCE_CPU ? amount_print_cpu(text, x) : amount_format_size(text, x));
	}
	return n > 0 ? to : "-";
}

void
quota_encode(const struct cluster *c, uint32_t piece, struct buf *out)
{
	char guarantee[ROLE_AMOUNTS_MAX], limit[ROLE_AMOUNTS_MAX];

	(void)piece; /* it has one */
	for (uint32_t i = 0; i < c->books.share.count; i++) {
		const struct role *r = c->books.share.roles[i];

		if (!quota_is_none(&r->quota))
			buf_printf(out, "%s guarantee %s limit %s\n", r->name,
			    role_print_amounts(guarantee, &r->quota.guarantee, 0),
			    role_print_amounts(limit, &r->quota.limit, QUOTA_NO_LIMIT));
	}
}

void
weights_encode(const struct cluster *c, uint32_t piece, struct buf *out)
{
	char text[AMOUNT_TEXT_MAX];

	(void)piece; /* it has one */
	for (uint32_t i = 0; i < c->books.share.count; i++) {
		const struct role *r = c->books.share.roles[i];

		if (r->weight != SHARE_WEIGHT_ONE)
			buf_printf(
			    out, "%s weight %s\n", r->name, amount_print_cpu(text, r->weight));
	}
}

/* The words of one line; false: more than `most`. Cuts the line. */
static bool
split(char *line, char **words, int most)
{
	int n = 0;

	while ((words[n] = strsep(&line, " ")) != NULL)
		if (++n > most)
			return false;
	return n == most;
}

static bool
parse_amounts(const char *text, struct resources *a)
{
	return strcmp(text, "-") == 0 ||
	       amount_parse_resources(text, &a->cpu_milli, &a->memory_bytes, &a->disk_bytes);
}

static bool
load_quota_line(struct cluster *c, char *line, char *error, size_t size)
{
	struct quota q = {.limit = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char *words[7];

	return split(line, words, 5) && strcmp(words[1], "guarantee") == 0 &&
	       parse_amounts(words[2], &q.guarantee) && strcmp(words[3], "limit") == 0 &&
	       parse_amounts(words[4], &q.limit) &&
	       cluster_set_quota(c, words[0], &q, true, error, size);
}

static bool
load_weight_line(struct cluster *c, char *line, char *error, size_t size)
{
	uint64_t weight = 0;
	char *words[5];

	return split(line, words, 3) && strcmp(words[1], "weight") == 0 &&
	       amount_parse_cpu(words[2], &weight) &&
	       cluster_set_weight(c, words[0], weight, error, size);
}

static bool
load_lines(struct cluster *c, const char *text, size_t size, char *error, size_t error_size,
    bool (*load)(struct cluster *c, char *line, char *error, size_t size))
{
	char line[512], shown[512];

	for (const char *at = text, *end = text + size; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length = stop == NULL ? (size_t)(end - at) : (size_t)(stop - at);

		if (length >= sizeof line) {
			snprintf(error, error_size, "a line is too long");
			return false;
		}
		memcpy(line, at, length);
		line[length] = '\0';
		memcpy(shown, line, sizeof shown);
		error[0] = '\0';
		if (!load(c, line, error, error_size)) {
			if (error[0] == '\0')
				snprintf(error, error_size, "not a line of it: %.100s", shown);
			return false;
		}
		at += length + (stop != NULL);
	}
	return true;
}

static bool
load_reserved_line(struct cluster *c, char *line, char *error, size_t size)
{
	char *words[5];

	(void)error;
	(void)size;
	return split(line, words, 3) && reserved_load_line(c, words);
}

bool
cluster_load_reserved(struct cluster *c, uint32_t piece, const char *text, size_t size, char *error,
    size_t error_size)
{
	c->reserved[piece] = PIECE_STORED;
	return load_lines(c, text, size, error, error_size, load_reserved_line);
}

bool
cluster_load_quota(struct cluster *c, const char *text, size_t size, char *error, size_t error_size)
{
	bool good = load_lines(c, text, size, error, error_size, load_quota_line);

	share_quota_in_batch(&c->books.share);
	share_quota_stored(&c->books.share);
	c->quota_piece = PIECE_STORED;
	return good;
}

bool
cluster_load_weights(
    struct cluster *c, const char *text, size_t size, char *error, size_t error_size)
{
	bool good = load_lines(c, text, size, error, error_size, load_weight_line);

	c->weights_piece = PIECE_STORED;
	return good;
}
