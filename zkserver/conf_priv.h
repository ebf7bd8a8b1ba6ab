/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read zoo.cfg share. */
#ifndef CORRAL_ZKSERVER_CONF_PRIV_H
#define CORRAL_ZKSERVER_CONF_PRIV_H

#include "libcommon/sys/ini.h"
#include "zkserver/conf.h"

/* The name that a key has in the table: a Java property's prefix stands for nothing. */
const char *conf_key_of(const struct ini_entry *e);

/* Where the key stands; 0: it does not. */
unsigned conf_line_of(const struct ini *ini, const char *key);

/*
 * What TLS needs, its keys being PREFIX + "keyStore.location" ...; with needed_by, the key that
 * turns it on, the stores must be there.
 */
void conf_check_tls(struct zoo_tls *t, const struct ini *ini, const char *prefix,
    const char *needed_by, struct faults *faults);

/* conf_ensemble.c: */
void conf_default_ensemble(struct zoo_ensemble *e);

/* snapshotSizeFactor, a fraction of 1. */
void conf_put_factor(struct zoo_ensemble *e, const struct ini *ini, const struct ini_entry *entry,
    struct faults *faults);

/*
 * The members, from the file's own lines or the file it names, and this one among them; what is
 * missing for them to work. Without `files` nothing else than *ini is read.
 */
void conf_put_ensemble(
    struct zoo_conf *c, const struct ini *ini, bool files, struct faults *faults);
/* The members alone. */
void conf_put_members(struct zoo_conf *c, const struct ini *ini, struct faults *faults);

#endif
