/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that holds one file in memory, for fuzz targets: opening it costs nothing, and nothing
 * fails. Every name stands for that file. The simulated disk (simdisk.h) is the one with faults.
 */
#ifndef CORRAL_TESTS_ONEFILE_H
#define CORRAL_TESTS_ONEFILE_H

#include "libcommon/base/store.h"

struct onefile {
	struct store store;
	struct store_file file;
	uint8_t *bytes; /* a copy with nothing behind its end, so that a sanitizer sees overreads */
	size_t size;
};

void onefile_init(struct onefile *o, const uint8_t *bytes, size_t size);
void onefile_fini(struct onefile *o);

#endif
