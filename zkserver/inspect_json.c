/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a data directory as JSON. Zxids, ids and digests are text, since they have 64 bits. */
#include <inttypes.h>
#include <stdio.h>

#include "libcommon/codec/zk_wire.h"
#include "zkserver/inspect_priv.h"

static void
put_hex(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "0x%" PRIx64, value);
	json_put_text(j, key, text);
}

static void
put_u64(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	json_put_text(j, key, text);
}

static void
put_path(struct json *j, struct jute_bytes path)
{
	json_key(j, "path");
	json_bytes(j, path);
}

/* What a change does. */
static void
put_body(struct json *j, const struct txn_body *b)
{
	json_put_text(j, "type", inspect_type(b->type));
	if (b->type == ZK_OP_ERROR)
		json_put_int(j, "error", b->error);
	if (b->type == ZK_OP_CREATE_SESSION)
		json_put_int(j, "timeout_ms", b->timeout_ms);
	if (b->path.len >= 0)
		put_path(j, b->path);
	if (b->data.len >= 0)
		json_put_int(j, "bytes", b->data.len);
	if (b->owner != 0)
		put_hex(j, "owner", (uint64_t)b->owner);
}

static void
put_parts(struct json *j, const struct txn *t)
{
	struct jute_reader r = t->body.rest;
	struct txn_body part;

	json_key(j, t->body.type == ZK_OP_MULTI ? "parts" : "deleted");
	json_array(j);
	for (int32_t i = 0; i < t->body.count; i++) {
		if (t->body.type == ZK_OP_CLOSE_SESSION) {
			json_bytes(j, jute_get_bytes(&r));
			continue;
		}
		if (!txn_next_part(&r, &t->header, &part))
			break;
		json_object(j);
		put_body(j, &part);
		json_close(j);
	}
	json_close(j);
}

void
inspect_json_record(struct json *j, const struct txnlog_record *record)
{
	struct txn t;

	json_object(j);
	json_put_int(j, "offset", (int64_t)record->offset);
	put_hex(j, "zxid", record->zxid);
	if (txn_decode(&t, record->txn, record->size)) {
		json_put_int(j, "time_ms", t.header.time_ms);
		put_hex(j, "session", (uint64_t)t.header.session);
		json_put_int(j, "cxid", t.header.cxid);
		put_body(j, &t.body);
		if (t.body.type == ZK_OP_MULTI || t.body.type == ZK_OP_CLOSE_SESSION)
			put_parts(j, &t);
		if (t.has_digest)
			put_u64(j, "digest", t.digest);
	} else
		json_put_text(j, "type", "none");
	json_close(j);
}

static void
put_node(struct json *j, const struct db *db, const struct tree_node *n, struct jute_bytes path)
{
	json_object(j);
	put_path(j, path);
	if (!n->data_null)
		json_put_int(j, "bytes", n->data_len);
	put_hex(j, "czxid", (uint64_t)n->czxid);
	put_hex(j, "mzxid", (uint64_t)n->mzxid);
	put_hex(j, "pzxid", (uint64_t)n->pzxid);
	json_put_int(j, "ctime_ms", n->ctime);
	json_put_int(j, "mtime_ms", n->mtime);
	json_put_int(j, "version", n->version);
	json_put_int(j, "cversion", n->cversion);
	json_put_int(j, "aversion", n->aversion);
	put_hex(j, "owner", (uint64_t)tree_node_owner(&db->tree, n));
	json_close(j);
}

void
inspect_json_database(struct json *j, const struct db *db, const struct snapshot_info *info)
{
	static const struct jute_bytes root = {(const uint8_t *)"/", 1};
	struct list *at = NULL;
	struct session *session;
	struct buf path;

	put_hex(j, "zxid", (uint64_t)db->last_zxid);
	put_u64(j, "digest", db->tree.digest);
	if (snapshot_digest_is_of(info, (uint64_t)db->last_zxid))
		json_put_bool(j, "digest_matches", info->digest == db->tree.digest);
	json_key(j, "sessions");
	json_array(j);
	while ((session = session_next(&db->sessions, &at)) != NULL) {
		json_object(j);
		put_hex(j, "id", (uint64_t)session->id);
		json_put_int(j, "timeout_ms", session->timeout_ms);
		json_close(j);
	}
	json_close(j);
	json_key(j, "nodes");
	json_array(j);
	buf_init(&path, SNAPSHOT_FIELD_MAX_BYTES);
	for (struct tree_node *n = tree_find(&db->tree, root); n != NULL;
	     n = tree_next(&db->tree, &path))
		put_node(j, db, n,
		    path.len > 0 ? (struct jute_bytes){path.data, (int32_t)path.len} : root);
	buf_fini(&path);
	json_close(j);
}
