/* SPDX-License-Identifier: Apache-2.0 */
/* struct store over one directory of the machine's file system: see libcommon/base/store.h. */
#ifndef CORRAL_SYS_STORE_POSIX_H
#define CORRAL_SYS_STORE_POSIX_H

#include "libcommon/base/store.h"

/*
 * The store of an existing directory; new files get mode 0600. NULL with errno set when the
 * directory cannot be opened or memory is short. Files must be closed before store_posix_close().
 */
struct store *store_posix_open(const char *directory);
void store_posix_close(struct store *s);

/* The descriptor of an open file of such a store, which stays the store's. */
int store_posix_fd(struct store_file *f);

/* The descriptor of the directory, likewise. */
int store_posix_dir_fd(struct store *s);

#endif
