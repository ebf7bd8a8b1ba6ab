/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of nodes as text: which are valid, and where the parent ends. */
#ifndef CORRAL_ZKSERVER_CORE_PATH_H
#define CORRAL_ZKSERVER_CORE_PATH_H

#include <stdbool.h>

#include "libcommon/codec/jute.h"

/*
 * Absolute, no empty, "." or ".." component, no trailing slash, none of the characters that
 * Apache's PathUtils refuses. Bytes that are no UTF-8 are refused too, as Java reads them as
 * U+FFFD.
 */
bool path_is_valid(struct jute_bytes path);

/* The part before the last '/' ("/" for a child of the root); false if there is no '/' or a NUL. */
bool path_parent(struct jute_bytes path, struct jute_bytes *parent);

bool path_equals(struct jute_bytes path, const char *text);

#endif
