/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/sys/store_posix.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/inspect_priv.h"

int
inspect_complain(const char *path, const char *what, int status)
{
	fprintf(stderr, "zkserver: %s: %s\n", path, what);
	return status;
}

static bool
split(const char *path, struct place *p)
{
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? snprintf(p->directory, sizeof(p->directory), ".")
			      : snprintf(p->directory, sizeof(p->directory), "%.*s",
				    (int)(slash - path + 1), path);

	p->name = slash == NULL ? path : slash + 1;
	return n > 0 && (size_t)n < sizeof(p->directory);
}

/* Text from the files, so that it cannot do anything to a terminal. */
static void
print_text(struct jute_bytes text)
{
	for (int32_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c < 0x20 || c == 0x7f || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void
print_time(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;
	char text[32];

	if (time_ms < 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, sizeof(text), "%FT%T", &tm) == 0)
		printf("%" PRId64, time_ms);
	else
		printf("%s.%03dZ", text, (int)(time_ms % 1000));
}

const char *
inspect_type(int32_t type)
{
	static const struct {
		int32_t type;
		const char *name;
	} names[] = {
	    {ZK_OP_CREATE, "create"},
	    {ZK_OP_DELETE, "delete"},
	    {ZK_OP_SET_DATA, "set"},
	    {ZK_OP_SET_ACL, "set-acl"},
	    {ZK_OP_CHECK, "check"},
	    {ZK_OP_MULTI, "multi"},
	    {ZK_OP_CREATE2, "create"},
	    {ZK_OP_RECONFIG, "reconfig"},
	    {ZK_OP_CREATE_CONTAINER, "create-container"},
	    {ZK_OP_DELETE_CONTAINER, "delete-container"},
	    {ZK_OP_CREATE_TTL, "create-ttl"},
	    {ZK_OP_CREATE_SESSION, "create-session"},
	    {ZK_OP_CLOSE_SESSION, "close-session"},
	    {ZK_OP_ERROR, "error"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

/* What a change does, behind its type: path, data's size, and so on. */
static void
print_body(const struct txn_body *b)
{
	if (b->type == ZK_OP_ERROR)
		printf(" %d", b->error);
	else if (b->type == ZK_OP_CREATE_SESSION)
		printf(" %d ms", b->timeout_ms);
	else if (b->type == ZK_OP_CLOSE_SESSION || b->type == ZK_OP_MULTI)
		printf(" %d", b->count);
	else if (b->path.len > 0) {
		putchar(' ');
		print_text(b->path);
		if (b->data.len >= 0)
			printf(" %d bytes", b->data.len);
		if (b->ephemeral)
			printf(" ephemeral");
	}
}

static void
print_parts(const struct txn *t)
{
	struct jute_reader r = t->body.rest;
	struct txn_body part;

	for (int32_t i = 0; i < t->body.count && txn_next_part(&r, &t->header, &part); i++) {
		printf("    %s", inspect_type(part.type));
		print_body(&part);
		putchar('\n');
	}
}

static void
print_record(const struct txnlog_record *record)
{
	struct txn t;

	printf("%" PRIu64 " 0x%" PRIx64, record->offset, record->zxid);
	if (!txn_decode(&t, record->txn, record->size)) {
		printf(" (%zu bytes that are no transaction)\n", record->size);
		return;
	}
	putchar(' ');
	print_time(t.header.time_ms);
	printf(" 0x%" PRIx64 " %d %s", (uint64_t)t.header.session, t.header.cxid,
	    inspect_type(t.body.type));
	print_body(&t.body);
	if (t.has_digest)
		printf(" digest %" PRIu64, t.digest);
	putchar('\n');
	if (t.body.type == ZK_OP_MULTI)
		print_parts(&t);
}

/* Every transaction of an open log; 0, or what the reader says. */
static int
print_log(struct txnlog_reader *r, struct json *j, struct fault *fault)
{
	struct txnlog_record record;
	int got;

	if (j != NULL) {
		json_object(j);
		json_key(j, "transactions");
		json_array(j);
	}
	while ((got = txnlog_reader_next(r, &record, fault)) == 1) {
		if (j != NULL)
			inspect_json_record(j, &record);
		else
			print_record(&record);
	}
	if (j != NULL)
		json_close(j);
	if (got == 0 && r->torn && j != NULL)
		json_put_int(j, "torn_offset", (int64_t)r->torn_offset);
	else if (got == 0 && r->torn)
		printf("%" PRIu64 " torn: what follows was never acknowledged\n", r->torn_offset);
	if (j != NULL) {
		json_close(j);
		report_bytes(j->report, "\n", 1);
	}
	return got;
}

bool
inspect_log_place(const char *path, struct place *p, struct datadir_entry *entry)
{
	return split(path, p) && datadir_parse(p->name, "log", entry) && entry->kind == PACK_NONE;
}

int
inspect_txnlog(const char *path, bool as_json)
{
	struct fault fault = {0};
	struct datadir_entry entry;
	struct txnlog_reader r;
	struct report report;
	struct place place;
	struct store *s;
	struct json j;
	int got;

	if (!inspect_log_place(path, &place, &entry))
		return inspect_complain(path, "a log file's name is log.ZXID", EX_USAGE);
	if ((s = store_posix_open(place.directory)) == NULL)
		return inspect_complain(path, strerror(errno), EX_NOINPUT);
	report_init(&report, STDOUT_FILENO);
	json_init(&j, &report);
	if ((got = txnlog_reader_open_file(&r, s, entry.zxid, &fault)) == 0)
		got = print_log(&r, as_json ? &j : NULL, &fault);
	report_finish(&report);
	report_fini(&report);
	txnlog_reader_close(&r);
	store_posix_close(s);
	if (got == 0)
		return EX_OK;
	return inspect_complain(
	    path, fault.text, got == DATADIR_CORRUPT ? EXIT_DAMAGED : EX_NOINPUT);
}

static void
print_database(const struct db *db, const struct snapshot_info *info)
{
	struct list *at = NULL;
	struct session *session;
	struct tree_node *n;
	struct buf path;

	printf("zxid 0x%" PRIx64 ", %" PRIu64 " nodes, %zu sessions, digest %" PRIu64 "%s\n",
	    (uint64_t)db->last_zxid, info->nodes, session_count(&db->sessions), db->tree.digest,
	    snapshot_digest_is_of(info, (uint64_t)db->last_zxid) && info->digest != db->tree.digest
		? " (another one than the snapshot says)"
		: "");
	while ((session = session_next(&db->sessions, &at)) != NULL)
		printf("session 0x%" PRIx64 " %d ms\n", (uint64_t)session->id, session->timeout_ms);
	buf_init(&path, SNAPSHOT_FIELD_MAX_BYTES);
	n = tree_find(&db->tree, (struct jute_bytes){(const uint8_t *)"", 0});
	for (; n != NULL; n = tree_next(&db->tree, &path)) {
		printf("node ");
		print_text(path.len > 0 ? (struct jute_bytes){path.data, (int32_t)path.len}
					: (struct jute_bytes){(const uint8_t *)"/", 1});
		printf(" %d bytes, czxid 0x%" PRIx64 ", mzxid 0x%" PRIx64
		       ", version %d, owner 0x%" PRIx64 "\n",
		    (int)(n->data_null ? 0 : n->data_len), (uint64_t)n->czxid, (uint64_t)n->mzxid,
		    n->version, (uint64_t)tree_node_owner(&db->tree, n));
	}
	buf_fini(&path);
}

/* Load the named snapshot, or of a directory (name NULL) the newest that is whole; damage is said.
 */
static int
load(struct store *s, const char *name, struct db *db, struct snapshot_info *info, struct fault *f)
{
	struct datadir_list list = {0};
	struct datadir_entry one;
	int err;

	if (name != NULL && !datadir_parse(name, "snapshot", &one))
		return fault_set(f, -EINVAL,
		    "a snapshot's name is snapshot.ZXID, with .gz or .snappy behind it");
	if (name != NULL)
		return snapshot_load(s, one, db, info, f);
	if ((err = datadir_list(s, "snapshot", &list, f)) != 0)
		return err;
	err = fault_set(f, -ENOENT, "no snapshot is there");
	for (size_t i = list.count; i > 0 && err != 0; i--) {
		*f = (struct fault){0};
		if ((err = snapshot_load(s, list.entries[i - 1], db, info, f)) != 0)
			fprintf(stderr, "zkserver: %s\n", f->text);
	}
	datadir_list_free(&list);
	return err;
}

bool
inspect_place(const char *path, struct place *p)
{
	struct stat st;
	int n;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return split(path, p);
	p->name = NULL;
	n = snprintf(p->directory, sizeof(p->directory), "%s/version-2", path);
	if (n > 0 && (size_t)n < sizeof(p->directory) && stat(p->directory, &st) == 0)
		return true;
	n = snprintf(p->directory, sizeof(p->directory), "%s", path);
	return n > 0 && (size_t)n < sizeof(p->directory);
}

bool
inspect_db(struct db *db)
{
	struct hash_key key;

	if (getrandom(&key, sizeof(key), 0) == sizeof(key) && db_init(db, &key, INSPECT_TICK_MS))
		return true;
	fputs("zkserver: no memory\n", stderr);
	return false;
}

static void
print_json(const struct db *db, const struct snapshot_info *info)
{
	struct report report;
	struct json j;

	report_init(&report, STDOUT_FILENO);
	json_init(&j, &report);
	json_object(&j);
	inspect_json_database(&j, db, info);
	json_close(&j);
	report_bytes(&report, "\n", 1);
	report_finish(&report);
	report_fini(&report);
}

int
inspect_snapshot(const char *path, bool as_json)
{
	struct snapshot_info info = {0};
	struct fault fault = {0};
	struct place place;
	struct store *s;
	struct db db;
	int err;

	if (!inspect_place(path, &place))
		return inspect_complain(path, "the name is too long", EX_USAGE);
	if ((s = store_posix_open(place.directory)) == NULL)
		return inspect_complain(path, strerror(errno), EX_NOINPUT);
	if (!inspect_db(&db)) {
		store_posix_close(s);
		return EX_OSERR;
	}
	if ((err = load(s, place.name, &db, &info, &fault)) == 0 && as_json)
		print_json(&db, &info);
	else if (err == 0)
		print_database(&db, &info);
	db_fini(&db);
	store_posix_close(s);
	if (err == 0)
		return EX_OK;
	return inspect_complain(path, fault.text,
	    err == DATADIR_CORRUPT ? EXIT_DAMAGED
	    : err == -EINVAL	   ? EX_USAGE
				   : EX_NOINPUT);
}
