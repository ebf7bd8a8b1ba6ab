/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of rare branches: a simulation counts how often each was taken and says which never were,
 * as those are holes in what it can make happen. Nothing at all in other builds (CORE_MARKS).
 */
#ifndef CORRAL_BASE_MARK_H
#define CORRAL_BASE_MARK_H

#ifdef CORE_MARKS

#include <stdint.h>

struct core_mark {
	const char *name;
	uint64_t count;
};

/* All of them stand in one section, from the linker's __start_core_marks to __stop_core_marks. */
#define MARK(text)                                                                                 \
	do {                                                                                       \
		static struct core_mark mark                                                       \
		    __attribute__((section("core_marks"), used, aligned(16))) = {text, 0};         \
		mark.count++;                                                                      \
	} while (0)

#else

#define MARK(text) ((void)0)

#endif

#endif
