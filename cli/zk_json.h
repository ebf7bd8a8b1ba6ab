/* SPDX-License-Identifier: Apache-2.0 */
/* What zk(1) prints with --json: one object or array on one line, keys as zk(1) lists them. */
#ifndef CORRAL_CLI_ZK_JSON_H
#define CORRAL_CLI_ZK_JSON_H

#include <jansson.h>

#include "libcommon/zk/proto.h"

/* A node's path or name and its Stat; and with its data, as text, or in Base64 if it is none. */
json_t *zk_json_node(const char *path, const struct zk_stat *st);
json_t *zk_json_data(const char *path, const struct zk_result *result);

/* Takes the value. An exit status: 0, or what was said on stderr. */
int zk_json_print(json_t *value);

#endif
