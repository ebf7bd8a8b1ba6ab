/* SPDX-License-Identifier: Apache-2.0 */
/* Writing snapshots; snapshot_load.c reads them. */
#include "zkserver/core/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/snapstream.h"

/* Bytes gather up to here before they are written. */
#define CHUNK_BYTES ((size_t)256 * 1024)
#define CHUNK_MAX_BYTES (CHUNK_BYTES + SNAPSHOT_FIELD_MAX_BYTES)

/* A snapshot in the making. */
struct out {
	struct store_file *file;
	struct buf chunk; /* not yet written */
	struct packer packer;
	uint64_t offset; /* in the file */
	uint32_t adler;	 /* of all before the chunk */
	/* Where a stream goes instead; NULL: to the file. */
	int (*put)(void *arg, const uint8_t *bytes, size_t size);
	void *arg;
	int err;
};

void
snapshot_name(char to[DATADIR_NAME_BYTES], struct datadir_entry which)
{
	datadir_name(to, "snapshot", which.zxid);
	strncat(to, datadir_suffix(which.kind), DATADIR_NAME_BYTES - 1 - strlen(to));
}

/* Pack the chunk, and write what comes out. */
static void
write_packed(struct out *o, bool last)
{
	struct buf *to = &o->packer.to;

	if (!packer_put(&o->packer, o->chunk.data, o->chunk.len, last)) {
		o->err = -ENOMEM;
		return;
	}
	if (to->len > 0)
		o->err = store_pwrite(o->file, to->data, to->len, o->offset);
	o->offset += to->len;
	buf_clear(to);
}

/* Write what gathered, if it is enough or if all must go. */
static void
out_flush(struct out *o, bool all)
{
	if (o->err != 0 || (!all && o->chunk.len < CHUNK_BYTES))
		return;
	if (o->chunk.failed) {
		o->err = -ENOMEM;
		return;
	}
	if (o->put != NULL)
		o->err = o->put(o->arg, o->chunk.data, o->chunk.len);
	else {
		o->adler = libdeflate_adler32(o->adler, o->chunk.data, o->chunk.len);
		write_packed(o, false);
	}
	buf_clear(&o->chunk);
}

static void
put_seal(struct out *o)
{
	out_flush(o, true);
	jute_put_i64(&o->chunk, (int64_t)o->adler);
	jute_put_text(&o->chunk, "/");
}

static void
put_sessions(struct out *o, const struct db *db)
{
	struct list *at = NULL;
	struct session *s;

	jute_put_i32(&o->chunk, (int32_t)session_count(&db->sessions));
	while ((s = session_next(&db->sessions, &at)) != NULL) {
		jute_put_i64(&o->chunk, s->id);
		jute_put_i32(&o->chunk, s->timeout_ms);
		out_flush(o, false);
	}
}

static void
put_acls(struct out *o, const struct db *db)
{
	struct list *at = NULL;
	struct jute_bytes list;
	uint32_t key;

	jute_put_i32(&o->chunk, (int32_t)acl_count(&db->tree.acls));
	while (acl_next(&db->tree.acls, &at, &key, &list)) {
		jute_put_i64(&o->chunk, key);
		buf_append(&o->chunk, list.data, (size_t)list.len);
		out_flush(o, false);
	}
}

static void
put_stat(struct buf *b, const struct tree_stat *stat)
{
	jute_put_i64(b, stat->czxid);
	jute_put_i64(b, stat->mzxid);
	jute_put_i64(b, stat->ctime);
	jute_put_i64(b, stat->mtime);
	jute_put_i32(b, stat->version);
	jute_put_i32(b, stat->cversion);
	jute_put_i32(b, stat->aversion);
	jute_put_i64(b, stat->ephemeral_owner);
	jute_put_i64(b, stat->pzxid);
}

static void
put_node(struct out *o, const struct tree *t, const struct tree_node *n, const struct buf *path)
{
	struct tree_stat stat = tree_node_stat(t, n);

	jute_put_bytes(
	    &o->chunk, (struct jute_bytes){
			   path->len > 0 ? path->data : (const uint8_t *)"", (int32_t)path->len});
	jute_put_bytes(&o->chunk, tree_node_data(n));
	jute_put_i64(&o->chunk, n->acl == ACL_KEY_OPEN ? -1 : (int64_t)n->acl);
	put_stat(&o->chunk, &stat);
	out_flush(o, false);
}

static void
put_tree(struct out *o, const struct tree *t)
{
	struct tree_node *n;
	struct buf path;

	buf_init(&path, SNAPSHOT_FIELD_MAX_BYTES);
	n = tree_find(t, (struct jute_bytes){(const uint8_t *)"", 0});
	for (; n != NULL && o->err == 0; n = tree_next(t, &path))
		put_node(o, t, n, &path);
	if (path.failed)
		o->err = -ENOMEM;
	buf_fini(&path);
	jute_put_text(&o->chunk, "/");
}

static int
write_file(struct store_file *file, const struct db *db, enum pack_kind kind)
{
	struct out o = {.file = file, .adler = 1};

	buf_init(&o.chunk, CHUNK_MAX_BYTES);
	if (!packer_init(&o.packer, kind))
		o.err = -ENOMEM;
	jute_put_i32(&o.chunk, SNAPSHOT_MAGIC);
	jute_put_i32(&o.chunk, SNAPSHOT_VERSION);
	jute_put_i64(&o.chunk, -1);
	put_sessions(&o, db);
	put_acls(&o, db);
	put_tree(&o, &db->tree);
	put_seal(&o);
	jute_put_i64(&o.chunk, db->last_zxid);
	jute_put_i32(&o.chunk, TXN_DIGEST_VERSION);
	jute_put_i64(&o.chunk, (int64_t)db->tree.digest);
	put_seal(&o);
	jute_put_i64(&o.chunk, db->last_zxid);
	put_seal(&o);
	out_flush(&o, true);
	if (o.err == 0)
		write_packed(&o, true);
	packer_fini(&o.packer);
	buf_fini(&o.chunk);
	return o.err != 0 ? o.err : store_sync(file);
}

int
snapshot_stream(
    const struct db *db, int (*put)(void *arg, const uint8_t *bytes, size_t size), void *arg)
{
	struct out o = {.put = put, .arg = arg};

	buf_init(&o.chunk, CHUNK_MAX_BYTES);
	put_sessions(&o, db);
	put_acls(&o, db);
	put_tree(&o, &db->tree);
	jute_put_text(&o.chunk, SNAPSTREAM_SIGNATURE);
	out_flush(&o, true);
	buf_fini(&o.chunk);
	return o.err;
}

int
snapshot_write(struct store *s, const struct db *db, struct fault *f)
{
	return snapshot_write_as(s, db, PACK_NONE, f);
}

int
snapshot_write_as(struct store *s, const struct db *db, enum pack_kind kind, struct fault *f)
{
	char name[DATADIR_NAME_BYTES];
	struct store_file *file = NULL;
	int err = store_open(s, SNAPSHOT_NEW_NAME, STORE_OPEN_REPLACE, &file);

	snapshot_name(name,
	    (struct datadir_entry){(uint64_t)db->last_zxid + ZAB_PLANTED(PLANT_NAMED_AHEAD), kind});
	if (err == 0)
		err = write_file(file, db, kind);
	store_close(file);
	if (err == 0)
		err = store_rename(s, SNAPSHOT_NEW_NAME, name);
	if (err == 0 && !ZAB_PLANTED(PLANT_NO_NAME_SYNC))
		err = store_sync_dir(s);
	return err == 0 ? 0 : fault_set(f, err, "cannot write %s: %s", name, strerror(-err));
}

int
snapshot_clean(struct store *s, struct fault *f)
{
	int err = store_unlink(s, SNAPSHOT_NEW_NAME);

	if (err == 0 || err == -ENOENT)
		return 0;
	return fault_set(f, err, "cannot remove %s: %s", SNAPSHOT_NEW_NAME, strerror(-err));
}
