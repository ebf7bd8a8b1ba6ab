/* SPDX-License-Identifier: Apache-2.0 */
/* Reading snapshots: a stream of fields over a plain or a packed file, checked as it goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/quota.h"
#include "zkserver/core/snapshot.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define TAKE_BYTES ((size_t)32 * 1024) /* small enough for the checksum to find it in the cache */
#define NODE_TAIL_BYTES 68

/* A file as a stream. Fields are read within a window that keeps everything since the last
 * in_take(). */
struct in {
	struct store_file *file;
	uint64_t file_offset; /* of what is to be read next */
	struct unpacker unpacker;
	uint8_t *window;
	size_t cap;
	size_t
	    base; /* window[base] is the first byte that was not taken; all below counts from it */
	size_t len, pos; /* bytes there; bytes of them that were read */
	uint64_t taken;	 /* bytes of the (uncompressed) stream before the window */
	uint32_t adler;	 /* of those */
	char name[DATADIR_NAME_BYTES];
	int err;
	struct fault *fault;
};

static void
in_fail(struct in *in, int err, const char *what)
{
	if (in->err != 0)
		return;
	in->err = fault_set(in->fault, err, "%s: at byte %llu%s: %s", in->name,
	    (unsigned long long)(in->taken + in->pos),
	    in->unpacker.kind != PACK_NONE ? " of its contents" : "", what);
}

static ssize_t
read_file(void *arg, uint8_t *to, size_t size)
{
	struct in *in = arg;
	ssize_t n = store_pread(in->file, to, size, in->file_offset);

	if (n > 0)
		in->file_offset += (uint64_t)n;
	return n;
}

/* Let the window hold `need` bytes from its base on. */
static bool
in_grow(struct in *in, size_t need)
{
	size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;
	uint8_t *grown;

	if (in->base + need <= in->cap)
		return true;
	if (in->len > 0)
		memmove(in->window, in->window + in->base, in->len);
	in->base = 0;
	if (cap <= in->cap)
		return true;
	if ((grown = realloc(in->window, cap)) == NULL) {
		in_fail(in, -ENOMEM, "no memory");
		return false;
	}
	in->window = grown;
	in->cap = cap;
	return true;
}

/* Have `size` bytes from pos on in the window, or all there are; how many there are, up to size. */
static size_t
in_peek(struct in *in, size_t size)
{
	size_t want = in->pos + size;

	while (in->len < want) {
		/* A length that is wrong must not cost its memory: what is there may double. */
		size_t most = in->len < CHUNK_BYTES ? CHUNK_BYTES : 2 * in->len;
		bool grown = in_grow(in, want < most ? want : most);
		size_t room = in->cap - in->base - in->len;
		ssize_t n =
		    grown ? unpacker_read(&in->unpacker, in->window + in->base + in->len, room) : 0;

		if (n < 0)
			in_fail(in, (int)n,
			    n == DATADIR_CORRUPT ? "this is not packed as the name says"
						 : strerror((int)-n));
		if (n <= 0)
			break;
		in->len += (size_t)n;
	}
	return in->len - in->pos < size ? in->len - in->pos : size;
}

/* The offset from the window's base of the next `size` bytes, which must exist. */
static size_t
in_need(struct in *in, size_t size)
{
	size_t at = in->pos;

	if (in->err == 0 && in_peek(in, size) < size)
		in_fail(in, DATADIR_CORRUPT, "the file ends in the middle of a field");
	if (in->err == 0)
		in->pos += size;
	return at;
}

static const uint8_t *
in_at(const struct in *in, size_t offset)
{
	return in->window + in->base + offset;
}

static int32_t
in_i32(struct in *in)
{
	size_t at = in_need(in, 4);
	struct jute_reader r;

	if (in->err != 0)
		return 0;
	r = jute_reader(in_at(in, at), 4);
	return jute_get_i32(&r);
}

static int64_t
in_i64(struct in *in)
{
	size_t at = in_need(in, 8);
	struct jute_reader r;

	if (in->err != 0)
		return 0;
	r = jute_reader(in_at(in, at), 8);
	return jute_get_i64(&r);
}

/* A string or buffer, by its offset from the window's base. */
struct span {
	size_t at;
	int32_t len; /* -1: null */
};

static struct span
in_span(struct in *in)
{
	struct span s = {.len = in_i32(in)};

	if (s.len < -1 || s.len > (int32_t)SNAPSHOT_FIELD_MAX_BYTES)
		in_fail(in, DATADIR_CORRUPT, "a field's length is impossible");
	s.at = in_need(in, s.len > 0 ? (size_t)s.len : 0);
	return s;
}

static struct jute_bytes
span_bytes(const struct in *in, struct span s)
{
	return (struct jute_bytes){s.len >= 0 ? in_at(in, s.at) : NULL, s.len};
}

static bool
span_is_slash(const struct in *in, struct span s)
{
	return in->err == 0 && s.len == 1 && *in_at(in, s.at) == '/';
}

/* What lies before pos is done with: it goes into the checksum, and may leave the window. */
static void
in_take(struct in *in)
{
	if (in->err != 0)
		return;
	in->adler = libdeflate_adler32(in->adler, in_at(in, 0), in->pos);
	in->taken += in->pos;
	in->base += in->pos;
	in->len -= in->pos;
	in->pos = 0;
}

static int
in_open(struct in *in, struct store *s, const char *name, enum pack_kind kind, struct fault *f)
{
	*in = (struct in){.adler = 1, .fault = f};
	snprintf(in->name, sizeof in->name, "%s", name);
	in->err = store_open(s, in->name, STORE_OPEN_READ, &in->file);
	if (in->err != 0)
		return fault_set(f, in->err, "cannot open %s: %s", in->name, strerror(-in->err));
	if (!unpacker_init(&in->unpacker, kind, read_file, in))
		in_fail(in, -ENOMEM, "no memory");
	return in->err;
}

static void
in_close(struct in *in)
{
	unpacker_fini(&in->unpacker);
	free(in->window);
	store_close(in->file);
}

static void
read_seal(struct in *in)
{
	uint64_t sum;

	in_take(in);
	sum = in->adler;
	if ((uint64_t)in_i64(in) != sum)
		in_fail(in, DATADIR_CORRUPT, "the checksum does not match what lies before it");
	if (!span_is_slash(in, in_span(in)))
		in_fail(in, DATADIR_CORRUPT, "the end mark after a checksum is missing");
	in_take(in);
}

static void
read_header(struct in *in)
{
	if (in_i32(in) != SNAPSHOT_MAGIC || in_i32(in) != SNAPSHOT_VERSION)
		in_fail(in, DATADIR_CORRUPT, "it does not begin as a snapshot of version 2");
	in_i64(in);
	in_take(in);
}

/* A count that is not negative; each item is checked as it is read, so that it may be large. */
static int32_t
read_count(struct in *in)
{
	int32_t count = in_i32(in);

	if (count < 0)
		in_fail(in, DATADIR_CORRUPT, "a count is negative");
	return count;
}

static void
read_sessions(struct in *in, struct db *db, struct snapshot_info *info)
{
	int32_t count = read_count(in);

	for (int32_t i = 0; i < count && in->err == 0; i++) {
		int64_t id = in_i64(in);
		int32_t timeout_ms = in_i32(in);

		if (in->err == 0 && db != NULL &&
		    session_add(&db->sessions, id, timeout_ms, 0) == NULL)
			in_fail(in, -ENOMEM, "no memory");
		in_take(in);
		info->sessions++;
	}
}

static void
read_acls(struct in *in, struct db *db)
{
	int32_t count = read_count(in);

	for (int32_t i = 0; i < count && in->err == 0; i++) {
		int64_t key = in_i64(in);
		size_t from = in->pos;
		int32_t entries = in_i32(in);
		struct jute_bytes list;

		for (int32_t k = 0; k < entries && in->err == 0; k++) {
			in_i32(in);
			in_span(in);
			in_span(in);
		}
		if (in->err != 0)
			return;
		list = (struct jute_bytes){in_at(in, from), (int32_t)(in->pos - from)};
		if (key < 1 || key >= ACL_KEY_UNLISTED)
			in_fail(in, DATADIR_CORRUPT, "an access list's key is impossible");
		else if (db != NULL && !acl_load(&db->tree.acls, (uint32_t)key, list))
			in_fail(in, DATADIR_CORRUPT,
			    "an access list cannot be read, or its key was used before");
		in_take(in);
	}
}

/* What follows a node's data: its access list's key, and its StatPersisted. */
static struct tree_stat
read_stat(struct in *in, int64_t *acl)
{
	size_t at = in_need(in, NODE_TAIL_BYTES);
	struct tree_stat stat = {0};
	struct jute_reader r;

	if (in->err != 0)
		return stat;
	r = jute_reader(in_at(in, at), NODE_TAIL_BYTES);
	*acl = jute_get_i64(&r);
	stat.czxid = jute_get_i64(&r);
	stat.mzxid = jute_get_i64(&r);
	stat.ctime = jute_get_i64(&r);
	stat.mtime = jute_get_i64(&r);
	stat.version = jute_get_i32(&r);
	stat.cversion = jute_get_i32(&r);
	stat.aversion = jute_get_i32(&r);
	stat.ephemeral_owner = jute_get_i64(&r);
	stat.pzxid = jute_get_i64(&r);
	return stat;
}

/*
 * The key that a node gets here; ACL_KEY_NONE if it has none that may be. Apache's server writes
 * the lists first, and the nodes while it goes on: a key above them all was given out meanwhile.
 */
static uint32_t
node_key(const struct acl_table *acls, int64_t key)
{
	if (key == -1)
		return ACL_KEY_OPEN;
	if (key < 1 || key >= ACL_KEY_NONE)
		return ACL_KEY_NONE;
	if (key > acls->last_key)
		return ACL_KEY_UNLISTED;
	return acl_has(acls, (uint32_t)key) ? (uint32_t)key : ACL_KEY_NONE;
}

static const char *
load_node(struct in *in, struct db *db, struct span path, struct span data, int64_t acl,
    const struct tree_stat *stat)
{
	uint32_t key = node_key(&db->tree.acls, acl);

	if (key == ACL_KEY_NONE)
		return "a node's access list does not exist";
	switch (tree_load(&db->tree, span_bytes(in, path), span_bytes(in, data), key, stat)) {
	case TREE_OK:
		return NULL;
	case TREE_NO_NODE:
		return "a node's parent is missing";
	case TREE_NODE_EXISTS:
		return "a node is there twice";
	case TREE_NO_MEMORY:
		return "no memory";
	case TREE_BAD:
		break;
	}
	return "a node's path is none";
}

static void
read_tree(struct in *in, struct db *db, struct snapshot_info *info)
{
	for (;;) {
		struct span path = in_span(in), data;
		struct tree_stat stat;
		const char *wrong;
		int64_t acl;

		if (in->err != 0 || span_is_slash(in, path))
			break;
		data = in_span(in);
		stat = read_stat(in, &acl);
		if (in->err != 0)
			break;
		wrong = db == NULL ? NULL : load_node(in, db, path, data, acl, &stat);
		if (wrong != NULL)
			in_fail(
			    in, strcmp(wrong, "no memory") == 0 ? -ENOMEM : DATADIR_CORRUPT, wrong);
		if (in->pos >= TAKE_BYTES)
			in_take(in);
		info->nodes++;
	}
}

/* What follows the first seal: the digest (3.6 on) and the last zxid (3.9 on), each with its seal.
 */
static void
read_tail(struct in *in, struct snapshot_info *info)
{
	const size_t seal = 13, zxid_section = 8 + seal;
	size_t left = in_peek(in, 2 * zxid_section);

	if (left > zxid_section) {
		info->digest_zxid = (uint64_t)in_i64(in);
		if (in_i32(in) == TXN_DIGEST_VERSION) {
			info->digest = (uint64_t)in_i64(in);
			info->has_digest = true;
		} else
			in_span(in);
		read_seal(in);
		left = in_peek(in, zxid_section);
	}
	if (left > 0 && in->err == 0) {
		in_i64(in);
		read_seal(in);
	}
	if (in->err == 0 && in_peek(in, 1) > 0)
		in_fail(in, DATADIR_CORRUPT, "the file was expected to end here");
}

/* Read the whole file, into *db or (NULL) for its checksums only. */
static int
read_all(struct store *s, const char *name, enum pack_kind kind, struct db *db,
    struct snapshot_info *info, struct fault *f)
{
	struct in in;
	int err;

	*info = (struct snapshot_info){0};
	if (in_open(&in, s, name, kind, f) == 0) {
		read_header(&in);
		read_sessions(&in, db, info);
		read_acls(&in, db);
		read_tree(&in, db, info);
		if (in.err == 0)
			read_seal(&in);
		if (in.err == 0)
			read_tail(&in, info);
	}
	err = in.err;
	if (ZAB_PLANTED(PLANT_ENDLESS_SNAPSHOT) && err == DATADIR_CORRUPT && db != NULL)
		err = 0;
	in_close(&in);
	return err;
}

static int
load(struct store *s, const char *name, struct datadir_entry which, struct db *db,
    struct snapshot_info *info, struct fault *f)
{
	int err;

	if (!db_reset_bare(db))
		return fault_set(f, -ENOMEM, "no memory for a tree");
	tree_load_begin(&db->tree);
	if ((err = read_all(s, name, which.kind, db, info, f)) != 0)
		return err;
	if (!tree_load_end(&db->tree))
		return fault_set(f, -ENOMEM, "no memory for the table of paths");
	db->last_zxid = (int64_t)which.zxid;
	return quota_recount(&db->tree) ? 0 : fault_set(f, -ENOMEM, "no memory for the quotas");
}

int
snapshot_load(struct store *s, struct datadir_entry which, struct db *db,
    struct snapshot_info *info, struct fault *f)
{
	char name[DATADIR_NAME_BYTES];

	snapshot_name(name, which);
	return load(s, name, which, db, info, f);
}

int
snapshot_load_new(struct store *s, uint64_t zxid, struct db *db, struct fault *f)
{
	struct datadir_entry which = {.zxid = zxid};
	struct snapshot_info info;

	return load(s, SNAPSHOT_NEW_NAME, which, db, &info, f);
}

int
snapshot_verify(struct store *s, struct datadir_entry which, struct fault *f)
{
	char name[DATADIR_NAME_BYTES];
	struct snapshot_info info;

	snapshot_name(name, which);
	return read_all(s, name, which.kind, NULL, &info, f);
}

bool
snapshot_has_end(struct store *s, struct datadir_entry which)
{
	static const uint8_t mark[] = {0, 0, 0, 1, '/'};
	struct store_file *file = NULL;
	char name[DATADIR_NAME_BYTES];
	uint8_t end[sizeof mark];
	uint64_t size = 0;
	bool has;

	snapshot_name(name, which);
	if (which.kind != PACK_NONE || store_open(s, name, STORE_OPEN_READ, &file) != 0)
		return false;
	has = store_size(file, &size) == 0 && size >= sizeof mark &&
	      store_pread(file, end, sizeof end, size - sizeof end) == (ssize_t)sizeof end &&
	      memcmp(end, mark, sizeof mark) == 0;
	store_close(file);
	return has;
}
