/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client with persistent watches must be told: of each change that they cover, once, in the
 * order in which it happened, before any reply that shows it; and of nothing else.
 */
#ifndef CORRAL_TESTS_SIM_ZKSTREAM_H
#define CORRAL_TESTS_SIM_ZKSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/codec/jute.h"
#include "tests/sim/model.h"

#define ZKSTREAM_PATH_BYTES 64
#define ZKSTREAM_WATCHES_MAX 16

struct zkstream_watch {
	char path[ZKSTREAM_PATH_BYTES];
	bool recursive;
};

struct zkstream {
	struct zkstream_watch watches[ZKSTREAM_WATCHES_MAX]; /* that the server has */
	size_t watch_count;
	size_t at; /* of the model's events: those before were told, or are not of these watches */
};

/* The connection begins; or ends, and its watches with it. */
void zkstream_begin(struct zkstream *s, const struct model *m);
void zkstream_end(struct zkstream *s);

/* A watch is set, or another mode; taken off: false if there is none. */
void zkstream_watch(struct zkstream *s, const char *path, bool recursive);
bool zkstream_unwatch(struct zkstream *s, const char *path);
bool zkstream_watches(const struct zkstream *s, const char *path);

/* What is wrong with being told of this now; NULL: nothing. */
const char *zkstream_event(
    struct zkstream *s, const struct model *m, int64_t zxid, int32_t type, struct jute_bytes path);

/* A reply shows this zxid: whatever happened up to it must have been told. NULL: it was. */
const struct model_event *zkstream_reply(struct zkstream *s, const struct model *m, int64_t zxid);

#endif
