/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/http_head.h"

#include <string.h>
#include <strings.h>

#include "libcommon/base/str.h"

static bool
is_token_char(char c)
{
	static const char marks[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 5.6.2 */

	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(marks, c) != NULL);
}

static bool
is_token(const char *text)
{
	const char *at = text;

	while (is_token_char(*at))
		at++;
	return at > text && *at == '\0';
}

size_t
http_head_size(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = memmem(bytes, size, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - bytes) + 4;
}

/* No control characters but the CRLFs, and a tab within a line. */
static bool
head_bytes_are_clean(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r' && i + 1 < size && text[i + 1] == '\n')
			i++;
		else if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Cut the line at *at off and go to the next; NULL at the empty line that ends the head. */
static char *
head_next_line(char **at)
{
	char *line = *at;
	char *end = strstr(line, "\r\n");

	if (end == NULL || end == line)
		return NULL;
	*end = '\0';
	*at = end + 2;
	return line;
}

static char *
trim(char *value)
{
	char *end;

	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return value;
}

static bool
head_parse_fields(char *at, struct http_head *h, const char **why)
{
	char *line, *colon;

	h->field_count = 0;
	while ((line = head_next_line(&at)) != NULL) {
		if (h->field_count == HTTP_FIELDS_MAX) {
			*why = "too many header fields";
			return false;
		}
		colon = strchr(line, ':');
		if (colon != NULL)
			*colon = '\0';
		if (colon == NULL || !is_token(line)) { /* a folded line, too */
			*why = "a header line is not of the form NAME: VALUE";
			return false;
		}
		h->fields[h->field_count].name = line;
		h->fields[h->field_count].value = trim(colon + 1);
		h->field_count++;
	}
	return true;
}

static bool
parse_version(const char *text, int *minor)
{
	if (strcmp(text, "HTTP/1.1") == 0)
		*minor = 1;
	else if (strcmp(text, "HTTP/1.0") == 0)
		*minor = 0;
	else
		return false;
	return true;
}

/* METHOD SP TARGET SP VERSION */
static bool
parse_request_line(char *line, struct http_head *h, const char **why)
{
	char *target = strchr(line, ' ');
	char *version = target == NULL ? NULL : strchr(target + 1, ' ');

	*why = "the request line is not of the form METHOD TARGET HTTP/1.1";
	if (version == NULL)
		return false;
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line) || !parse_version(version, &h->minor))
		return false;
	for (const char *c = target; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}
	if (target[0] != '/' && strcmp(target, "*") != 0) {
		*why = "the target is not a path";
		return false;
	}
	h->method = line;
	h->target = target;
	return true;
}

/* VERSION SP STATUS [SP REASON] */
static bool
parse_status_line(char *line, struct http_head *h, const char **why)
{
	char *status = strchr(line, ' ');
	char *reason = status == NULL ? NULL : strchr(status + 1, ' ');
	uint64_t number;

	*why = "the status line is not of the form HTTP/1.1 STATUS REASON";
	if (status == NULL)
		return false;
	*status++ = '\0';
	if (reason != NULL)
		*reason = '\0';
	if (!parse_version(line, &h->minor) || !str_to_u64(status, 100, 999, &number))
		return false;
	h->status = (int)number;
	return true;
}

static bool
head_parse(char *text, size_t size, struct http_head *h, const char **why,
    bool (*parse_first)(char *line, struct http_head *h, const char **why))
{
	char *at = text, *line;

	h->method = h->target = NULL;
	h->status = 0;
	text[size] = '\0';
	*why = "control characters";
	if (!head_bytes_are_clean(text, size))
		return false;
	line = head_next_line(&at);
	*why = "an empty first line";
	return line != NULL && parse_first(line, h, why) && head_parse_fields(at, h, why);
}

static size_t
head_count(const struct http_head *h, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < h->field_count; i++)
		count += strcasecmp(h->fields[i].name, name) == 0;
	return count;
}

bool
http_head_parse_request(char *text, size_t size, struct http_head *h, const char **why)
{
	if (!head_parse(text, size, h, why, parse_request_line))
		return false;
	*why = "not exactly one Host field"; /* RFC 9112 3.2 */
	return h->minor == 0 ? head_count(h, "host") <= 1 : head_count(h, "host") == 1;
}

bool
http_head_parse_response(char *text, size_t size, struct http_head *h, const char **why)
{
	return head_parse(text, size, h, why, parse_status_line);
}

const char *
http_head_get(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->field_count; i++) {
		if (strcasecmp(h->fields[i].name, name) == 0)
			return h->fields[i].value;
	}
	return NULL;
}

static bool
list_has_token(const char *list, const char *token)
{
	size_t len = strlen(token), part;

	for (const char *at = list;; at += part + 1) {
		at += strspn(at, " \t");
		part = strcspn(at, ",");
		if (part >= len && strncasecmp(at, token, len) == 0 &&
		    strspn(at + len, " \t") == part - len)
			return true;
		if (at[part] == '\0')
			return false;
	}
}

bool
http_head_has_token(const struct http_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->field_count; i++) {
		if (strcasecmp(h->fields[i].name, name) == 0 &&
		    list_has_token(h->fields[i].value, token))
			return true;
	}
	return false;
}

const char *
http_status_text(int status)
{
	/* clang-format off */
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{100, "Continue"}, {101, "Switching Protocols"}, {200, "OK"}, {201, "Created"},
		{202, "Accepted"}, {204, "No Content"}, {301, "Moved Permanently"}, {302, "Found"},
		{303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"},
		{308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
		{406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
		{411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
		{415, "Unsupported Media Type"}, {417, "Expectation Failed"},
		{422, "Unprocessable Content"}, {423, "Locked"}, {426, "Upgrade Required"},
		{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
		{503, "Service Unavailable"}, {504, "Gateway Timeout"},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return "Unknown";
}

bool
http_encode(char *to, size_t size, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_plain = strchr(plain, c) != NULL;

		if (len + (is_plain ? 1 : 3) >= size)
			return false;
		if (is_plain) {
			to[len++] = *text;
		} else {
			to[len++] = '%';
			to[len++] = hex[c >> 4];
			to[len++] = hex[c & 15];
		}
	}
	if (len >= size)
		return false;
	to[len] = '\0';
	return true;
}

bool
http_decode(char *text, bool query)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '%') {
			unsigned high = str_digit(at[1]);
			unsigned low = high > 15 ? 16 : str_digit(at[2]);

			if (low > 15 || (high == 0 && low == 0))
				return false;
			*to++ = (char)(high << 4 | low);
			at += 2;
		} else {
			*to++ = query && *at == '+' ? ' ' : *at;
		}
	}
	*to = '\0';
	return true;
}
