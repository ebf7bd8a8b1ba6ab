/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of words, and systemd's quoting that makes words of a line (systemd.syntax(7)). */
#ifndef CORRAL_JOB_WORDS_H
#define CORRAL_JOB_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/job/jobfile.h"

/* Add a copy of text[size]; false when there is no memory or there are JOBFILE_WORDS_MAX words. */
bool words_add(struct jobfile_words *words, const char *text, size_t size);

void words_clear(struct jobfile_words *words);

/*
 * Append the words of a line: '...' and "..." hold a word together, backslash escapes are C's with
 * \s for a blank, an unknown one stays as it is. With `command` a ';' alone is refused and '\;'
 * stands for it. NULL, or what is wrong.
 */
const char *words_split(struct jobfile_words *words, const char *line, bool command);

#endif
