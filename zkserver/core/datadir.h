/* SPDX-License-Identifier: Apache-2.0 */
/* Names in a data directory (version-2/): log.HEXZXID and snapshot.HEXZXID, and how faults are
 * told. */
#ifndef CORRAL_ZKSERVER_DATADIR_H
#define CORRAL_ZKSERVER_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/pack.h"

/* A file's bytes are not what they must be; the text says which file, where, what was expected. */
#define DATADIR_CORRUPT (-74) /* -EBADMSG */

/* One sentence for the log, set by whatever returns an error; empty before. */
struct fault {
	char text[384];
};

/* Set the text (the first one stays) and return code. */
int fault_set(struct fault *f, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Longest name that datadir_name() makes, with its NUL: "snapshot." and 16 digits. */
#define DATADIR_NAME_BYTES 32

void datadir_name(char to[DATADIR_NAME_BYTES], const char *prefix, uint64_t zxid);

struct datadir_entry {
	uint64_t zxid;
	enum pack_kind kind;
};

/*
 * Read PREFIX.HEX, PREFIX.HEX.gz or PREFIX.HEX.snappy. False for any other name. Upper-case digits
 * are not taken: nobody writes them, and a name must stand for one file.
 */
bool datadir_parse(const char *name, const char *prefix, struct datadir_entry *entry);

/* What stands behind the zxid in the name of such a file. */
const char *datadir_suffix(enum pack_kind kind);

struct datadir_list {
	struct datadir_entry *entries; /* ascending by zxid */
	size_t count;
};

/* All files of this prefix. 0, or a negative errno with *f set. Free with datadir_list_free(). */
int datadir_list(struct store *s, const char *prefix, struct datadir_list *list, struct fault *f);
void datadir_list_free(struct datadir_list *list);

#endif
