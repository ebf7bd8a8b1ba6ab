/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/codec/base64.h"

json_t *
zk_json_node(const char *path, const struct zk_stat *st)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:I, s:i, s:i}", "path",
	    path, "czxid", (json_int_t)st->czxid, "mzxid", (json_int_t)st->mzxid, "pzxid",
	    (json_int_t)st->pzxid, "ctime_ms", (json_int_t)st->ctime_ms, "mtime_ms",
	    (json_int_t)st->mtime_ms, "version", (int)st->version, "cversion", (int)st->cversion,
	    "aversion", (int)st->aversion, "ephemeral_owner", (json_int_t)st->ephemeral_owner,
	    "data_bytes", (int)st->data_bytes, "child_count", (int)st->child_count);
}

json_t *
zk_json_data(const char *path, const struct zk_result *result)
{
	json_t *node = zk_json_node(path, &result->stat), *data = json_null();
	char *text;

	if (result->data != NULL)
		data = json_stringn((const char *)result->data, result->size);
	if (data != NULL) {
		json_object_set_new(node, "data", data);
		return node;
	}
	text = malloc(BASE64_TEXT_BYTES(result->size) + 1);
	if (text != NULL)
		base64_encode(text, result->data, result->size);
	json_object_set_new(node, "data_base64", text != NULL ? json_string(text) : NULL);
	free(text);
	return node;
}

int
zk_json_print(json_t *value)
{
	int status = EX_SOFTWARE;

	if (value == NULL)
		fprintf(stderr, "zk: out of memory\n");
	else if (json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY) != 0 ||
		 putchar('\n') == EOF || fflush(stdout) != 0) {
		fprintf(stderr, "zk: standard output: %s\n", strerror(errno));
		status = EX_IOERR;
	} else {
		status = 0;
	}
	json_decref(value);
	return status;
}
