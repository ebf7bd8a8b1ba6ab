/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/sys/fsutil.h"

void
report_init(struct report *r, int fd)
{
	*r = (struct report){.fd = fd};
	buf_init(&r->buf, REPORT_BYTES_MAX);
}

void
report_fini(struct report *r)
{
	buf_fini(&r->buf);
}

static void
spill(struct report *r, size_t least)
{
	if (r->buf.failed)
		r->failed = true;
	if (r->fd < 0 || r->buf.len < least)
		return;
	if (!r->failed && !fsutil_write_all(r->fd, r->buf.data, r->buf.len))
		r->failed = true;
	buf_clear(&r->buf);
}

bool
report_finish(struct report *r)
{
	spill(r, 1);
	return !r->failed;
}

void
report_printf(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&r->buf, fmt, ap);
	va_end(ap);
	spill(r, REPORT_PIECE_BYTES);
}

void
report_bytes(struct report *r, const void *bytes, size_t size)
{
	buf_append(&r->buf, bytes, size);
	spill(r, REPORT_PIECE_BYTES);
}

void
report_average(struct report *r, uint64_t sum, uint64_t count)
{
	char text[32];
	size_t len;

	snprintf(text, sizeof text, "%.4f", count > 0 ? (double)sum / (double)count : 0.0);
	len = strlen(text);
	while (text[len - 1] == '0' && text[len - 2] != '.')
		len--;
	report_bytes(r, text, len);
}

void
json_init(struct json *j, struct report *r)
{
	*j = (struct json){.report = r};
}

static void
new_line(struct json *j)
{
	unsigned objects = 0;

	for (unsigned i = 0; i < j->depth; i++)
		objects += !j->open[i].array;
	report_printf(j->report, "\n%*s", (int)(2 * objects), "");
}

/* What stands before a key, or before a value of an array. */
static void
separate(struct json *j)
{
	bool used;

	if (j->depth == 0)
		return;
	used = j->open[j->depth - 1].used;
	j->open[j->depth - 1].used = true;
	if (used)
		report_printf(j->report, ",");
	if (j->open[j->depth - 1].array)
		report_printf(j->report, " ");
	else
		new_line(j);
}

static void
before_value(struct json *j)
{
	if (!j->keyed)
		separate(j);
	j->keyed = false;
}

static void
open_one(struct json *j, bool array)
{
	before_value(j);
	assert(j->depth < JSON_DEPTH_MAX);
	j->open[j->depth].array = array;
	j->open[j->depth].used = false;
	j->depth++;
	report_printf(j->report, array ? "[" : "{");
}

void
json_object(struct json *j)
{
	open_one(j, false);
}

void
json_array(struct json *j)
{
	open_one(j, true);
}

void
json_close(struct json *j)
{
	bool array, used;

	assert(j->depth > 0);
	j->depth--;
	array = j->open[j->depth].array;
	used = j->open[j->depth].used;
	if (array || !used)
		report_printf(j->report, " ");
	else
		new_line(j);
	report_printf(j->report, array ? "]" : "}");
}

/* One character that is not plain; returns the bytes that it took. */
static size_t
put_special(struct report *r, const uint8_t *p, size_t size)
{
	static const char letters[] = {['\b'] = 'b',
	    ['\t'] = 't',
	    ['\n'] = 'n',
	    ['\f'] = 'f',
	    ['\r'] = 'r',
	    ['"'] = '"',
	    ['\\'] = '\\'};
	size_t len;

	if (*p < sizeof letters && letters[*p] != '\0')
		report_printf(r, "\\%c", letters[*p]);
	else if (*p < ' ' || *p == 0x7f)
		report_printf(r, "\\u%04X", *p);
	else if ((len = utf8_char_bytes(p, size)) > 0) {
		report_bytes(r, p, len);
		return len;
	} else
		report_bytes(r, "\xef\xbf\xbd", 3); /* the replacement character */
	return 1;
}

static bool
is_plain(uint8_t c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static void
put_string(struct json *j, const uint8_t *p, size_t size)
{
	struct report *r = j->report;
	size_t i = 0, plain;

	report_bytes(r, "\"", 1);
	while (i < size) {
		for (plain = i; plain < size && is_plain(p[plain]); plain++)
			continue;
		report_bytes(r, p + i, plain - i);
		i = plain < size ? plain + put_special(r, p + plain, size - plain) : plain;
	}
	report_bytes(r, "\"", 1);
}

void
json_key_bytes(struct json *j, struct jute_bytes key)
{
	separate(j);
	put_string(j, key.data, key.len > 0 ? (size_t)key.len : 0);
	report_printf(j->report, " : ");
	j->keyed = true;
}

void
json_key(struct json *j, const char *key)
{
	json_key_bytes(j, (struct jute_bytes){(const uint8_t *)key, (int32_t)strlen(key)});
}

void
json_int(struct json *j, int64_t value)
{
	before_value(j);
	report_printf(j->report, "%" PRId64, value);
}

void
json_bool(struct json *j, bool value)
{
	before_value(j);
	report_printf(j->report, value ? "true" : "false");
}

void
json_null(struct json *j)
{
	before_value(j);
	report_printf(j->report, "null");
}

void
json_bytes(struct json *j, struct jute_bytes text)
{
	before_value(j);
	put_string(j, text.data, text.len > 0 ? (size_t)text.len : 0);
}

void
json_text(struct json *j, const char *text)
{
	before_value(j);
	put_string(j, (const uint8_t *)text, strlen(text));
}

void
json_average(struct json *j, uint64_t sum, uint64_t count)
{
	before_value(j);
	report_average(j->report, sum, count);
}

void
json_put_int(struct json *j, const char *key, int64_t value)
{
	json_key(j, key);
	json_int(j, value);
}

void
json_put_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	json_bool(j, value);
}

void
json_put_text(struct json *j, const char *key, const char *text)
{
	json_key(j, key);
	json_text(j, text);
}
