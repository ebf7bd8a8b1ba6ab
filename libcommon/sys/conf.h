/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings by table: one row each, from which reading, checking, printing and the nearest key for a
 * slip follow. Of a repeated key the last one wins, lists included, so that a conf.d file
 * overrides; an empty value unsets. Knows the form of a configuration, no setting of it.
 */
#ifndef CORRAL_SYS_CONF_H
#define CORRAL_SYS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/sys/faults.h"
#include "libcommon/sys/ini.h"

#define CONF_LIST_MAX 16384 /* members of a list: of NAME=VALUE a line has room for no more */

enum conf_type {
	CONF_STRING,	   /* char *, NULL if unset */
	CONF_PATH,	   /* char *, absolute */
	CONF_NAME,	   /* char *, [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
	CONF_ADDRESS,	   /* char *, HOST:PORT or [IPv6]:PORT */
	CONF_BOOL,	   /* bool: yes, no, true, false, on, off, 1, 0 */
	CONF_U32,	   /* uint32_t */
	CONF_TIME_MS,	   /* uint64_t, milliseconds (amount.h) */
	CONF_SIZE,	   /* uint64_t, bytes */
	CONF_CPU,	   /* uint64_t, thousandths */
	CONF_LIST,	   /* struct conf_list, members apart by commas or blanks */
	CONF_ADDRESS_LIST, /* the same, of addresses */
};

struct conf_list {
	char **items;
	size_t count;
};

struct conf_key {
	const char *section;
	const char *key;
	enum conf_type type;
	size_t offset;	      /* of the member in the configuration's struct */
	const char *fallback; /* as one would write it; NULL: unset, zero */
	const char *help;     /* one line for printing and for people */
};

struct conf_table {
	const char *manual; /* "corral.conf(5)", named in messages */
	const struct conf_key *keys;
	size_t count;
};

/*
 * Fill *conf with the defaults. Its memory was zeroed by the caller; conf_fini() releases what it
 * holds. False when there is no memory.
 */
bool conf_init(const struct conf_table *table, void *conf);
void conf_fini(const struct conf_table *table, void *conf);

/*
 * Apply entries in order; each fault is added, the others are still applied. False if there was
 * one.
 */
bool conf_apply(
    const struct conf_table *table, void *conf, const struct ini *ini, struct faults *faults);

/*
 * Apply one value as if it stood in a file (an option or an environment variable of that name).
 * `place` stands in front of a fault in the place of FILE ("--lease").
 */
bool conf_set(const struct conf_table *table, void *conf, const char *section, const char *key,
    const char *value, const char *place, struct faults *faults);

/*
 * Apply `path`, then PATH.d/(name).conf in name order. A missing directory is no fault; a missing
 * file is one unless `optional`.
 */
bool conf_load(const struct conf_table *table, void *conf, const char *path, bool optional,
    struct faults *faults);

/*
 * Append the effective configuration in a form that loads again; with `help` each key's line above
 * it.
 */
void conf_print(const struct conf_table *table, const void *conf, bool help, struct buf *out);

#endif
