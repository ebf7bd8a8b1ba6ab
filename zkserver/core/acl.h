/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access control lists: one table that keeps each distinct list once, and the question whether a
 * list allows something to somebody. A list is kept as its jute bytes, vec<ACL{i32 perms, Id{str
 * scheme, str id}}>, so that a snapshot, a log and a reply take them as they are.
 */
#ifndef CORRAL_ZKSERVER_CORE_ACL_H
#define CORRAL_ZKSERVER_CORE_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/codec/jute.h"

enum acl_perm {
	ACL_READ = 1,
	ACL_WRITE = 2,
	ACL_CREATE = 4,
	ACL_DELETE = 8,
	ACL_ADMIN = 16,
	ACL_ALL = 31,
};

/* The key of world:anyone with all permissions, and of a null list: -1 in a snapshot. No entry has
 * it. */
#define ACL_KEY_OPEN 0u
/* No key: there is no memory, or the bytes are no list. */
#define ACL_KEY_NONE UINT32_MAX
/*
 * The key of a node that a fuzzy snapshot has with a list that it has not: it came while the nodes
 * were written, and the log that follows has it. Until then nobody may do anything there.
 */
#define ACL_KEY_UNLISTED (UINT32_MAX - 1)

#define ACL_IDS_MAX 32 /* identities of one connection; further auth packets are refused */

/* Who asks: a connection's identities, never more than ACL_IDS_MAX. */
struct acl_ids {
	struct buf ids; /* Id{str scheme, str id} one after the other */
	int32_t count;
};

/* What a server's settings say of schemes; all zero is Apache's default. */
struct acl_policy {
	bool skip;		  /* nothing is asked */
	bool no_digest;		  /* the scheme is unknown */
	bool no_x509;		  /* likewise */
	bool sasl;		  /* the scheme is known */
	const char *any_sasl_may; /* the sasl id whose rights every sasl user has; NULL: none */
};

struct acl_table {
	struct acl_policy policy; /* set by the owner */
	struct hash_key hash_key;
	struct hmap by_bytes, by_key;
	uint32_t last_key; /* keys are given out in ascending order and never reused */
	uint32_t unlisted; /* references on ACL_KEY_UNLISTED */
};

void acl_table_init(struct acl_table *t, const struct hash_key *key);
void acl_table_fini(struct acl_table *t);

/*
 * The key of a list (jute bytes of the vector, its count included), with one reference more. Null
 * or empty bytes, a null vector, and world:anyone:ALL are ACL_KEY_OPEN.
 */
uint32_t acl_intern(struct acl_table *t, struct jute_bytes list);
void acl_ref(struct acl_table *t, uint32_t key);
void acl_unref(struct acl_table *t, uint32_t key); /* the last reference frees the entry */

/*
 * A snapshot's entry under the key that it has there. It holds no reference until a node takes one:
 * acl_purge() drops those that none took. False: no memory, a bad list, or a key used twice.
 */
bool acl_load(struct acl_table *t, uint32_t key, struct jute_bytes list);
void acl_purge(struct acl_table *t);
bool acl_has(const struct acl_table *t, uint32_t key);

/* The list's jute bytes; those of world:anyone:ALL for ACL_KEY_OPEN, and of the empty list for
 * ACL_KEY_UNLISTED. Borrowed while referenced. */
struct jute_bytes acl_bytes(const struct acl_table *t, uint32_t key);

/* Walk the entries, for a snapshot: start with *at NULL; false at the end. */
bool acl_next(const struct acl_table *t, struct list **at, uint32_t *key, struct jute_bytes *list);
size_t acl_count(const struct acl_table *t);

/* May somebody with these identities do what any bit of perm stands for? */
bool acl_allows(const struct acl_table *t, uint32_t key, int32_t perm, const struct acl_ids *who);

void acl_ids_init(struct acl_ids *ids);
void acl_ids_fini(struct acl_ids *ids);
/* Add an identity once. False: no memory, or there are ACL_IDS_MAX. */
bool acl_ids_add(struct acl_ids *ids, const char *scheme, const char *id);
bool acl_ids_has(const struct acl_ids *ids, const char *scheme, const char *id);
/* Lists of schemes are names apart by commas, blanks aside. */
bool acl_scheme_is_among(struct jute_bytes scheme, const char *schemes);
/* Has it any identity of one of these schemes? */
bool acl_ids_has_scheme(const struct acl_ids *ids, const char *schemes);

/*
 * A client's list (a reader at its count) made ready for the tree: duplicates go, "auth" becomes
 * the caller's identities, every entry's syntax is checked. Appends the jute bytes of the result to
 * *to. 0, or a ZooKeeper error: INVALIDACL, MARSHALLINGERROR (the bytes are no list), SYSTEMERROR.
 */
int acl_fix_up(const struct acl_policy *policy, struct jute_reader *r, const struct acl_ids *who,
    struct buf *to);

/* A list's bytes as someone without ADMIN may see them: digest hashes are "x". Appends to *to. */
void acl_put_masked(struct buf *to, struct jute_bytes list);

#endif
