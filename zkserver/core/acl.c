/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/acl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zkserver/core/ipaddr.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"

#define ACL_IDS_BYTES_MAX 65536
#define ACL_ENTRIES_MAX 1000 /* of one list from a client: duplicates are looked for pair by pair  \
			      */
#define ACL_LIST_BYTES_MAX ((size_t)256 << 10) /* made ready: "auth" can grow a list many times */
#define ACL_ITEM_BYTES_MIN 12

struct acl_entry {
	struct hmap_node by_bytes, by_key;
	uint32_t key, refs;
	int32_t len;
	uint8_t bytes[];
};

struct item {
	int32_t perms;
	struct jute_bytes scheme, id;
};

static const uint8_t OPEN_LIST[] = "\0\0\0\1"
				   "\0\0\0\37"
				   "\0\0\0\5world"
				   "\0\0\0\6anyone";
#define OPEN_LIST_BYTES (sizeof OPEN_LIST - 1)
static const uint8_t EMPTY_LIST[4];

static struct item
item_get(struct jute_reader *r)
{
	struct item i;

	i.perms = jute_get_i32(r);
	i.scheme = jute_get_bytes(r);
	i.id = jute_get_bytes(r);
	return i;
}

static void
item_put(struct buf *to, int32_t perms, struct jute_bytes scheme, struct jute_bytes id)
{
	jute_put_i32(to, perms);
	jute_put_bytes(to, scheme);
	jute_put_bytes(to, id);
}

static bool
bytes_equal(struct jute_bytes a, struct jute_bytes b)
{
	return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, (size_t)a.len) == 0);
}

static bool
bytes_are(struct jute_bytes a, const char *text)
{
	return a.len >= 0 && (size_t)a.len == strlen(text) &&
	       memcmp(a.data, text, (size_t)a.len) == 0;
}

/* Is it a whole list, and nothing more? */
static bool
list_is_valid(struct jute_bytes list)
{
	struct jute_reader r = jute_reader(list.data, (size_t)list.len);
	int32_t count = jute_get_count(&r, ACL_ITEM_BYTES_MIN);

	for (; count > 0 && !r.bad; count--)
		item_get(&r);
	return !r.bad && jute_left(&r) == 0;
}

static bool
list_is_open(struct jute_bytes list)
{
	if (list.len < 4)
		return true;
	if (list.len == 4)
		return memcmp(list.data, "\0\0\0\0", 4) == 0 ||
		       memcmp(list.data, "\377\377\377\377", 4) == 0;
	return list.len == OPEN_LIST_BYTES && memcmp(list.data, OPEN_LIST, OPEN_LIST_BYTES) == 0;
}

void
acl_table_init(struct acl_table *t, const struct hash_key *key)
{
	*t = (struct acl_table){.hash_key = *key};
	hmap_init(&t->by_bytes);
	hmap_init(&t->by_key);
}

void
acl_table_fini(struct acl_table *t)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->by_key)
		free(HMAP_ENTRY(it, struct acl_entry, by_key));
	hmap_fini(&t->by_bytes);
	hmap_fini(&t->by_key);
}

static struct acl_entry *
entry_find(const struct acl_table *t, uint32_t key)
{
	struct hmap_node *h;

	for (h = hmap_first(&t->by_key, hash_u64(key)); h != NULL; h = hmap_next(h)) {
		struct acl_entry *e = CONTAINER_OF(h, struct acl_entry, by_key);

		if (e->key == key)
			return e;
	}
	return NULL;
}

static struct acl_entry *
entry_match(const struct acl_table *t, struct jute_bytes list, uint64_t hash)
{
	struct hmap_node *h;

	for (h = hmap_first(&t->by_bytes, hash); h != NULL; h = hmap_next(h)) {
		struct acl_entry *e = CONTAINER_OF(h, struct acl_entry, by_bytes);

		if (e->len == list.len && memcmp(e->bytes, list.data, (size_t)list.len) == 0)
			return e;
	}
	return NULL;
}

static struct acl_entry *
entry_add(struct acl_table *t, uint32_t key, struct jute_bytes list, uint64_t hash)
{
	struct acl_entry *e = malloc(sizeof *e + (size_t)list.len);

	if (e == NULL)
		return NULL;
	e->key = key;
	e->refs = 0;
	e->len = list.len;
	memcpy(e->bytes, list.data, (size_t)list.len);
	if (!hmap_insert(&t->by_bytes, &e->by_bytes, hash)) {
		free(e);
		return NULL;
	}
	if (!hmap_insert(&t->by_key, &e->by_key, hash_u64(key))) {
		hmap_remove(&t->by_bytes, &e->by_bytes);
		free(e);
		return NULL;
	}
	return e;
}

static void
entry_remove(struct acl_table *t, struct acl_entry *e)
{
	hmap_remove(&t->by_bytes, &e->by_bytes);
	hmap_remove(&t->by_key, &e->by_key);
	free(e);
}

uint32_t
acl_intern(struct acl_table *t, struct jute_bytes list)
{
	struct acl_entry *e;
	uint64_t hash;

	if (list_is_open(list))
		return ACL_KEY_OPEN;
	hash = hash_bytes(&t->hash_key, list.data, (size_t)list.len);
	if ((e = entry_match(t, list, hash)) == NULL) {
		if (!list_is_valid(list) || t->last_key >= ACL_KEY_UNLISTED - 1 ||
		    (e = entry_add(t, t->last_key + 1, list, hash)) == NULL)
			return ACL_KEY_NONE;
		t->last_key++;
	}
	e->refs++;
	return e->key;
}

void
acl_ref(struct acl_table *t, uint32_t key)
{
	struct acl_entry *e;

	if (key == ACL_KEY_OPEN)
		return;
	if (key == ACL_KEY_UNLISTED) {
		t->unlisted++;
		return;
	}
	e = entry_find(t, key);
	assert(e != NULL && e->refs < UINT32_MAX);
	e->refs++;
}

void
acl_unref(struct acl_table *t, uint32_t key)
{
	struct acl_entry *e;

	if (key == ACL_KEY_OPEN)
		return;
	if (key == ACL_KEY_UNLISTED) {
		assert(t->unlisted > 0);
		t->unlisted--;
		return;
	}
	e = entry_find(t, key);
	assert(e != NULL && e->refs > 0);
	if (--e->refs == 0)
		entry_remove(t, e);
}

bool
acl_load(struct acl_table *t, uint32_t key, struct jute_bytes list)
{
	if (key == ACL_KEY_OPEN || key >= ACL_KEY_UNLISTED || entry_find(t, key) != NULL ||
	    list.len < 4 || !list_is_valid(list))
		return false;
	if (entry_add(t, key, list, hash_bytes(&t->hash_key, list.data, (size_t)list.len)) == NULL)
		return false;
	if (key > t->last_key)
		t->last_key = key;
	return true;
}

void
acl_purge(struct acl_table *t)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->by_key) {
		struct acl_entry *e = HMAP_ENTRY(it, struct acl_entry, by_key);

		if (e->refs == 0)
			entry_remove(t, e);
	}
}

bool
acl_has(const struct acl_table *t, uint32_t key)
{
	return key == ACL_KEY_OPEN || key == ACL_KEY_UNLISTED || entry_find(t, key) != NULL;
}

struct jute_bytes
acl_bytes(const struct acl_table *t, uint32_t key)
{
	struct acl_entry *e;

	if (key == ACL_KEY_OPEN)
		return (struct jute_bytes){OPEN_LIST, OPEN_LIST_BYTES};
	if (key == ACL_KEY_UNLISTED)
		return (struct jute_bytes){EMPTY_LIST, sizeof EMPTY_LIST};
	e = entry_find(t, key);
	assert(e != NULL);
	return (struct jute_bytes){e->bytes, e->len};
}

bool
acl_next(const struct acl_table *t, struct list **at, uint32_t *key, struct jute_bytes *list)
{
	const struct acl_entry *e;

	*at = *at == NULL ? t->by_key.order.next : (*at)->next;
	if (*at == &t->by_key.order)
		return false;
	e = HMAP_ENTRY(*at, struct acl_entry, by_key);
	*key = e->key;
	*list = (struct jute_bytes){e->bytes, e->len};
	return true;
}

size_t
acl_count(const struct acl_table *t)
{
	return t->by_key.count;
}

static bool
ip_matches(struct jute_bytes rule, struct jute_bytes who)
{
	struct ipaddr a, b;

	return ipaddr_parse(&a, rule) && ipaddr_parse(&b, who) && ipaddr_matches(&a, &b);
}

/* Of two ids of one scheme: does the connection's satisfy the entry's? */
static bool
id_matches(const struct acl_policy *policy, const struct item *rule, struct jute_bytes id)
{
	if (bytes_are(rule->scheme, "ip"))
		return ip_matches(rule->id, id);
	if (bytes_equal(rule->id, id))
		return true;
	return bytes_are(rule->scheme, "sasl") &&
	       (bytes_are(id, "super") ||
		   (policy->any_sasl_may != NULL && bytes_are(rule->id, policy->any_sasl_may)));
}

static bool
scheme_is_known(const struct acl_policy *policy, struct jute_bytes scheme)
{
	return bytes_are(scheme, "world") || bytes_are(scheme, "ip") ||
	       (bytes_are(scheme, "x509") && !policy->no_x509) ||
	       (bytes_are(scheme, "digest") && !policy->no_digest) ||
	       (bytes_are(scheme, "sasl") && policy->sasl);
}

static bool
item_matches(const struct acl_policy *policy, const struct item *i, const struct acl_ids *who)
{
	struct jute_reader r = jute_reader(who->ids.data, who->ids.len);

	if (bytes_are(i->scheme, "world"))
		return bytes_are(i->id, "anyone");
	if (!scheme_is_known(policy, i->scheme))
		return false;
	for (int32_t n = 0; n < who->count; n++) {
		struct jute_bytes scheme = jute_get_bytes(&r), id = jute_get_bytes(&r);

		if (bytes_equal(scheme, i->scheme) && id_matches(policy, i, id))
			return true;
	}
	return false;
}

static bool
is_super(const struct acl_ids *who)
{
	struct jute_reader r = jute_reader(who->ids.data, who->ids.len);

	for (int32_t n = 0; n < who->count; n++) {
		struct jute_bytes scheme = jute_get_bytes(&r);

		jute_get_bytes(&r);
		if (bytes_are(scheme, "super"))
			return true;
	}
	return false;
}

bool
acl_allows(const struct acl_table *t, uint32_t key, int32_t perm, const struct acl_ids *who)
{
	struct jute_bytes list;
	struct jute_reader r;
	int32_t count;

	if (key == ACL_KEY_OPEN || t->policy.skip || is_super(who))
		return true;
	list = acl_bytes(t, key);
	r = jute_reader(list.data, (size_t)list.len);
	for (count = jute_get_count(&r, ACL_ITEM_BYTES_MIN); count > 0; count--) {
		struct item i = item_get(&r);

		if ((i.perms & perm) != 0 && item_matches(&t->policy, &i, who))
			return true;
	}
	return false;
}

void
acl_ids_init(struct acl_ids *ids)
{
	*ids = (struct acl_ids){0};
	buf_init(&ids->ids, ACL_IDS_BYTES_MAX);
}

void
acl_ids_fini(struct acl_ids *ids)
{
	buf_fini(&ids->ids);
	ids->count = 0;
}

bool
acl_ids_has(const struct acl_ids *ids, const char *scheme, const char *id)
{
	struct jute_reader r = jute_reader(ids->ids.data, ids->ids.len);

	for (int32_t n = 0; n < ids->count; n++) {
		bool same = bytes_are(jute_get_bytes(&r), scheme);

		if (bytes_are(jute_get_bytes(&r), id) && same)
			return true;
	}
	return false;
}

bool
acl_scheme_is_among(struct jute_bytes scheme, const char *schemes)
{
	while (*schemes != '\0') {
		size_t len;

		schemes += strspn(schemes, ", \t");
		len = strcspn(schemes, ", \t");
		if (len > 0 && scheme.len >= 0 && (size_t)scheme.len == len &&
		    memcmp(scheme.data, schemes, len) == 0)
			return true;
		schemes += len;
	}
	return false;
}

bool
acl_ids_has_scheme(const struct acl_ids *ids, const char *schemes)
{
	struct jute_reader r = jute_reader(ids->ids.data, ids->ids.len);

	for (int32_t n = 0; n < ids->count; n++) {
		struct jute_bytes scheme = jute_get_bytes(&r);

		jute_get_bytes(&r);
		if (acl_scheme_is_among(scheme, schemes))
			return true;
	}
	return false;
}

bool
acl_ids_add(struct acl_ids *ids, const char *scheme, const char *id)
{
	size_t before = ids->ids.len;

	if (acl_ids_has(ids, scheme, id))
		return true;
	if (ids->count == ACL_IDS_MAX)
		return false;
	jute_put_text(&ids->ids, scheme);
	jute_put_text(&ids->ids, id);
	if (ids->ids.failed) {
		buf_truncate(&ids->ids, before);
		ids->ids.failed = false;
		return false;
	}
	buf_trim(&ids->ids); /* there are as many of these as there are connections */
	ids->count++;
	return true;
}

/* One entry per identity that a provider vouches for (an address does not); false if there is none.
 */
static bool
put_own_ids(struct buf *to, int32_t perms, const struct acl_ids *who, int32_t *count)
{
	struct jute_reader r = jute_reader(who->ids.data, who->ids.len);
	bool any = false;

	for (int32_t n = 0; n < who->count; n++) {
		struct jute_bytes scheme = jute_get_bytes(&r), id = jute_get_bytes(&r);

		if (!bytes_are(scheme, "digest") && !bytes_are(scheme, "x509") &&
		    !bytes_are(scheme, "sasl"))
			continue;
		item_put(to, perms, scheme, id);
		(*count)++;
		any = true;
	}
	return any;
}

static bool
digest_is_valid(struct jute_bytes id)
{
	const uint8_t *colon;

	if (id.len <= 0 || (colon = memchr(id.data, ':', (size_t)id.len)) == NULL)
		return false;
	colon++;
	return colon < id.data + id.len &&
	       memchr(colon, ':', (size_t)(id.data + id.len - colon)) == NULL;
}

/* A Kerberos name: service[/host]@realm, or anything without an '@'. */
static bool
sasl_is_valid(struct jute_bytes id)
{
	const uint8_t *at = memchr(id.data, '@', (size_t)id.len), *slash, *end = id.data + id.len;

	if (at == NULL)
		return true;
	if (memchr(at + 1, '@', (size_t)(end - at - 1)) != NULL ||
	    memchr(at + 1, '/', (size_t)(end - at - 1)) != NULL)
		return false;
	slash = memchr(id.data, '/', (size_t)(at - id.data));
	return slash == NULL || memchr(slash + 1, '/', (size_t)(at - slash - 1)) == NULL;
}

static bool
id_is_valid(const struct acl_policy *policy, const struct item *i)
{
	struct ipaddr addr;

	if (!scheme_is_known(policy, i->scheme))
		return false;
	if (bytes_are(i->scheme, "world"))
		return bytes_are(i->id, "anyone");
	if (bytes_are(i->scheme, "digest"))
		return digest_is_valid(i->id);
	if (bytes_are(i->scheme, "ip"))
		return ipaddr_parse(&addr, i->id);
	if (bytes_are(i->scheme, "sasl"))
		return sasl_is_valid(i->id);
	return i->id.len > 2 && memchr(i->id.data + 1, '=', (size_t)i->id.len - 1) != NULL;
}

/* Was the entry at `end` of the list seen before it? */
static bool
is_duplicate(struct jute_reader first, const uint8_t *end, const struct item *i)
{
	while (first.pos < end) {
		struct item earlier = item_get(&first);

		if (earlier.perms == i->perms && bytes_equal(earlier.scheme, i->scheme) &&
		    bytes_equal(earlier.id, i->id))
			return true;
	}
	return false;
}

static int
fix_up_item(const struct acl_policy *policy, const struct item *i, const struct acl_ids *who,
    struct buf *to, int32_t *count)
{
	/* Clients write the empty id of "auth" as null, too. */
	if (bytes_are(i->scheme, "auth"))
		return put_own_ids(to, i->perms, who, count) ? 0 : ZK_INVALIDACL;
	if (i->id.len < 0 || !id_is_valid(policy, i))
		return ZK_INVALIDACL;
	item_put(to, i->perms, i->scheme, i->id);
	(*count)++;
	return 0;
}

int
acl_fix_up(const struct acl_policy *policy, struct jute_reader *r, const struct acl_ids *who,
    struct buf *to)
{
	int32_t left = jute_get_count(r, ACL_ITEM_BYTES_MIN), count = 0;
	struct jute_reader first = *r;
	size_t at = to->len;
	int error = left <= 0 || left > ACL_ENTRIES_MAX ? ZK_INVALIDACL : 0;

	jute_put_i32(to, 0);
	for (; left > 0 && !r->bad; left--) {
		const uint8_t *start = r->pos;
		struct item i = item_get(r);

		if (error == 0 && !r->bad && !is_duplicate(first, start, &i))
			error = fix_up_item(policy, &i, who, to, &count);
		if (to->len - at > ACL_LIST_BYTES_MAX)
			error = ZK_INVALIDACL;
	}
	if (r->bad)
		return ZK_MARSHALLINGERROR;
	if (to->failed)
		return ZK_SYSTEMERROR;
	jute_set_i32(to, at, count);
	return error;
}

void
acl_put_masked(struct buf *to, struct jute_bytes list)
{
	struct jute_reader r = jute_reader(list.data, (size_t)list.len);
	int32_t count = jute_get_count(&r, ACL_ITEM_BYTES_MIN);

	jute_put_i32(to, count);
	for (; count > 0; count--) {
		struct item i = item_get(&r);
		const uint8_t *colon =
		    i.id.len > 0 ? memchr(i.id.data, ':', (size_t)i.id.len) : NULL;

		jute_put_i32(to, i.perms);
		jute_put_bytes(to, i.scheme);
		if (!bytes_are(i.scheme, "digest") || colon == NULL) {
			jute_put_bytes(to, i.id);
			continue;
		}
		jute_put_i32(to, (int32_t)(colon - i.id.data) + 2);
		buf_append(to, i.id.data, (size_t)(colon - i.id.data) + 1);
		buf_append(to, "x", 1);
	}
}
