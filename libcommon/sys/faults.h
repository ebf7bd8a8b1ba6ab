/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of a file that a person wrote, collected so that all are said at once:
 * "FILE:LINE: what was wrong", one a line, in the order of discovery.
 */
#ifndef CORRAL_SYS_FAULTS_H
#define CORRAL_SYS_FAULTS_H

#include <stdarg.h>
#include <stddef.h>

#include "libcommon/base/buf.h"

#define FAULTS_SHOWN_MAX 50

struct faults {
	struct buf text;     /* the first FAULTS_SHOWN_MAX, a newline between two */
	size_t count;	     /* all of them */
	unsigned first_line; /* of the first fault; 0: it has none */
};

void faults_init(struct faults *f);
void faults_fini(struct faults *f);

/*
 * Add one; line 0 leaves the line out, file NULL the place. Newlines in the text come out as
 * blanks.
 */
void faults_add(struct faults *f, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void faults_addv(struct faults *f, const char *file, unsigned line, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

/*
 * All lines as one text without a newline at the end, with "and N more" behind those shown.
 * Borrowed from f.
 */
const char *faults_text(struct faults *f);

/* The name nearest to `text` among count names, or NULL if none is near enough to be meant. */
const char *faults_nearest(const char *text, const char *const *names, size_t count);

#endif
