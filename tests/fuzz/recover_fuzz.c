/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory: a start finds a database in it or says what is wrong. What it found is what
 * the next one finds, even if the power goes in between; a look that changes nothing sees the same.
 *
 * The first byte is of enum how. Then files: a byte of enum kind, one of the zxid in its name, a
 * length of two bytes, and as many bytes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend.h"
#include "tests/lib/simdisk.h"
#include "zkserver/core/adopt.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"

#define HEAD_BYTES 4
#define FILES_MAX 8

enum how { MEND_SEALS = 1, MEND_ZXIDS = 2, TRUST_EMPTY = 4, TTL_NODES = 8 };
enum kind { LOG, SNAPSHOT, SNAPSHOT_GZ, SNAPSHOT_SNAPPY, ADOPT, NEW_LOG, NEW_SNAPSHOT, KINDS };

static const struct hash_key KEY = {1, 2};

struct found {
	int64_t last_zxid;
	uint64_t digest, nodes, sessions;
	int err;
};

static void
name_file(char name[DATADIR_NAME_BYTES + 8], enum kind kind, uint8_t zxid)
{
	static const enum pack_kind packs[KINDS] = {
	    [SNAPSHOT_GZ] = PACK_GZ, [SNAPSHOT_SNAPPY] = PACK_SNAPPY};

	switch (kind) {
	case LOG:
		datadir_name(name, "log", zxid);
		break;
	case ADOPT:
		datadir_name(name, ADOPT_PREFIX, zxid);
		break;
	case NEW_LOG:
		memcpy(name, TXNLOG_NEW_NAME, sizeof TXNLOG_NEW_NAME);
		break;
	case NEW_SNAPSHOT:
		memcpy(name, SNAPSHOT_NEW_NAME, sizeof SNAPSHOT_NEW_NAME);
		break;
	default:
		snapshot_name(name, (struct datadir_entry){zxid, packs[kind]});
	}
}

static void
put_file(struct store *s, uint8_t how, const uint8_t *head, size_t size)
{
	enum kind kind = (enum kind)(head[0] % KINDS);
	char name[DATADIR_NAME_BYTES + 8];
	struct store_file *file;
	uint8_t *copy = malloc(size + 1);

	assert(copy != NULL);
	memcpy(copy, head + HEAD_BYTES, size);
	if ((how & MEND_SEALS) != 0 && (kind == LOG || kind == NEW_LOG)) {
		mend_log_header(copy, size);
		mend_log(copy, size, (how & MEND_ZXIDS) != 0 ? head[1] : 0);
	} else if ((how & MEND_SEALS) != 0)
		mend_snapshot(copy, size);
	name_file(name, kind, head[1]);
	if (store_open(s, name, STORE_OPEN_CREATE, &file) == 0) {
		assert(store_pwrite(file, copy, size, 0) == 0);
		store_close(file);
	}
	free(copy);
}

/* True if a look cannot tell what a start will find: it has to finish something first. */
static bool
put_files(struct store *s, uint8_t how, const uint8_t *bytes, size_t size)
{
	bool unfinished = false;

	for (int i = 0; i < FILES_MAX && size >= HEAD_BYTES; i++) {
		size_t len = (size_t)bytes[2] << 8 | bytes[3];

		len = len < size - HEAD_BYTES ? len : size - HEAD_BYTES;
		put_file(s, how, bytes, len);
		unfinished |= bytes[0] % KINDS >= ADOPT;
		bytes += HEAD_BYTES + len;
		size -= HEAD_BYTES + len;
	}
	return unfinished;
}

static struct found
start(struct store *s, uint8_t how, bool read_only)
{
	const struct recover_options options = {
	    .trust_empty = (how & TRUST_EMPTY) != 0, .read_only = read_only};
	const struct tree_rules rules = {.extended_types = (how & TTL_NODES) != 0};
	struct recover_report report;
	struct fault f = {{0}};
	struct found found = {0};
	struct db db;

	assert(db_init(&db, &KEY, 2000));
	db_set_rules(&db, &rules);
	found.err = recover(s, s, &options, &db, &report, &f);
	assert((found.err != 0) == (f.text[0] != '\0'));
	if (found.err == 0) {
		tree_check(&db.tree);
		found.last_zxid = db.last_zxid;
		found.digest = db.tree.digest;
		found.nodes = db.tree.node_count;
		found.sessions = session_count(&db.sessions);
	}
	db_fini(&db);
	return found;
}

static void
expect_same(const struct found *a, const struct found *b)
{
	assert(a->err == b->err && a->last_zxid == b->last_zxid);
	assert(a->digest == b->digest && a->nodes == b->nodes && a->sessions == b->sessions);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct simdisk *disk = simdisk_new(1, UINT64_MAX);
	struct found look, first, again;
	bool unfinished;
	struct store *s;

	assert(disk != NULL);
	s = simdisk_store(disk);
	if (size == 0)
		goto out;
	unfinished = put_files(s, bytes[0], bytes + 1, size - 1);
	simdisk_settle(disk);
	look = start(s, bytes[0], true);
	first = start(s, bytes[0], false);
	if (!unfinished)
		expect_same(&look, &first);
	if (first.err == 0) {
		simdisk_power_loss(disk);
		again = start(s, bytes[0], false);
		/* A blank file that was removed may have stood before a damaged one. */
		if (again.err == 0)
			expect_same(&first, &again);
		assert(again.err == 0 || again.err == DATADIR_CORRUPT);
	}
out:
	simdisk_free(disk);
	return 0;
}
