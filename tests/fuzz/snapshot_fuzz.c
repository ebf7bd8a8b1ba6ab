/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot, plain or (first byte odd) gz, or (and its third bit) snappy. So that more than the
 * first checksum is reached, the seals of a plain one are made right first when the first byte says
 * so (its bit 1).
 */
#include <assert.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend.h"
#include "tests/lib/onefile.h"
#include "zkserver/core/snapshot.h"

static const struct hash_key KEY = {1, 2};

static enum pack_kind
kind_of(uint8_t first)
{
	if ((first & 1) == 0)
		return PACK_NONE;
	return first & 4 ? PACK_SNAPPY : PACK_GZ;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct datadir_entry which = {.zxid = 5, .kind = kind_of(size > 0 ? bytes[0] : 0)};
	struct fault load = {0}, verify = {0};
	struct snapshot_info info;
	struct onefile disk;
	struct db db;
	int err;

	assert(db_init(&db, &KEY, 2000));
	onefile_init(&disk, size > 0 ? bytes + 1 : NULL, size > 0 ? size - 1 : 0);
	if (which.kind == PACK_NONE && size > 0 && (bytes[0] & 2) != 0)
		mend_snapshot(disk.bytes, disk.size);
	err = snapshot_load(&disk.store, which, &db, &info, &load);
	assert((err != 0) == (load.text[0] != '\0'));
	if (err == 0) {
		assert(snapshot_verify(&disk.store, which, &verify) == 0);
		assert(db_finish_load(&db));
		tree_check(&db.tree);
	}
	db_fini(&db);
	onefile_fini(&disk);
	return 0;
}
