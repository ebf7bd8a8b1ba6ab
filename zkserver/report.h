/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an answer to an operator is written: into a buffer that grows, or, for what may be large,
 * through a buffer into a descriptor. And JSON on top of it, laid out as Jackson's pretty printer
 * does, which Apache's AdminServer uses.
 */
#ifndef CORRAL_ZKSERVER_REPORT_H
#define CORRAL_ZKSERVER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/jute.h"

#define REPORT_PIECE_BYTES ((size_t)64 << 10)
#define REPORT_BYTES_MAX ((size_t)16 << 20) /* of an answer that is kept whole */
#define JSON_DEPTH_MAX 8

struct report {
	struct buf buf;
	int fd;	     /* written to in pieces; -1: the buffer keeps all */
	bool failed; /* the descriptor took no more, or there was no memory */
};

void report_init(struct report *r, int fd);
void report_fini(struct report *r);

void report_printf(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_bytes(struct report *r, const void *bytes, size_t size);

/* Write what is left. False: something went wrong. */
bool report_finish(struct report *r);

/* sum / count as Java prints a double, to four decimals. */
void report_average(struct report *r, uint64_t sum, uint64_t count);

/* A JSON text: values stand behind a key in an object, one after the other in an array. */
struct json {
	struct report *report;
	unsigned depth; /* of open objects and arrays */
	struct {
		bool array, used;
	} open[JSON_DEPTH_MAX];
	bool keyed; /* a key waits for its value */
};

void json_init(struct json *j, struct report *r);
void json_object(struct json *j);
void json_array(struct json *j);
void json_close(struct json *j); /* the object or array that was opened last */
void json_key(struct json *j, const char *key);
void json_key_bytes(struct json *j, struct jute_bytes key);

void json_int(struct json *j, int64_t value);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);
void json_text(struct json *j, const char *text);
void json_bytes(struct json *j, struct jute_bytes text);
void json_average(struct json *j, uint64_t sum, uint64_t count);

/* A key and its value. */
void json_put_int(struct json *j, const char *key, int64_t value);
void json_put_bool(struct json *j, const char *key, bool value);
void json_put_text(struct json *j, const char *key, const char *text);

#endif
