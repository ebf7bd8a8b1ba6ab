/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/faults.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/str.h"

#define FAULT_BYTES_MAX 1024 /* of one text with its NUL; a longer one is cut */
#define FAULTS_BYTES_MAX ((size_t)(FAULTS_SHOWN_MAX + 1) * (FAULT_BYTES_MAX + 4096))

void
faults_init(struct faults *f)
{
	*f = (struct faults){0};
	buf_init(&f->text, FAULTS_BYTES_MAX);
}

void
faults_fini(struct faults *f)
{
	buf_fini(&f->text);
}

void
faults_addv(struct faults *f, const char *file, unsigned line, const char *fmt, va_list ap)
{
	char text[FAULT_BYTES_MAX];

	if (f->count == 0)
		f->first_line = line;
	if (++f->count > FAULTS_SHOWN_MAX)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	for (char *p = text; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	}
	if (f->text.len > 0)
		buf_append(&f->text, "\n", 1);
	if (file != NULL && line != 0)
		buf_printf(&f->text, "%s:%u: ", file, line);
	else if (file != NULL)
		buf_printf(&f->text, "%s: ", file);
	buf_append(&f->text, text, strlen(text));
}

void
faults_add(struct faults *f, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	faults_addv(f, file, line, fmt, ap);
	va_end(ap);
}

const char *
faults_text(struct faults *f)
{
	size_t len = f->text.len;
	const char *text;

	if (f->count > FAULTS_SHOWN_MAX)
		buf_printf(&f->text, "\nand %zu more", f->count - FAULTS_SHOWN_MAX);
	text = buf_text(&f->text);
	/* What was added for the reader is taken back, so that more faults can follow. */
	f->text.len = len;
	return text != NULL ? text : "out of memory";
}

const char *
faults_nearest(const char *text, const char *const *names, size_t count)
{
	/* Beyond a third of the word it is a guess, not a slip. */
	size_t len = strlen(text), most = len < 2 ? 1 : (len + 2) / 3, best = most + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(names[i]), distance;

		/* Two texts are at least as far apart as their lengths. */
		if ((other > len ? other - len : len - other) >= best)
			continue;
		distance = str_distance(text, names[i]);
		if (distance < best) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}
