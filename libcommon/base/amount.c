/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/amount.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/str.h"

#define FRACTION_DIGITS_MAX 9
#define BLANKS " \t"

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* clang-format off */
/* Largest first: a smaller one may follow ("1G 512M"), a larger one may not, as in systemd. */
static const struct unit size_units[] = {
	{"E", UINT64_C(1) << 60}, {"P", UINT64_C(1) << 50}, {"T", UINT64_C(1) << 40},
	{"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10},
	{"B", 1}, {"", 1},
};

#define SECOND UINT64_C(1000000)

/* Microseconds; of two suffixes with one beginning the longer comes first. */
static const struct unit time_units[] = {
	{"seconds", SECOND}, {"second", SECOND}, {"sec", SECOND}, {"s", SECOND},
	{"minutes", 60 * SECOND}, {"minute", 60 * SECOND}, {"min", 60 * SECOND},
	{"months", 2629800 * SECOND}, {"month", 2629800 * SECOND}, {"M", 2629800 * SECOND},
	{"msec", 1000}, {"ms", 1000}, {"m", 60 * SECOND},
	{"hours", 3600 * SECOND}, {"hour", 3600 * SECOND}, {"hr", 3600 * SECOND},
	{"h", 3600 * SECOND},
	{"days", 86400 * SECOND}, {"day", 86400 * SECOND}, {"d", 86400 * SECOND},
	{"weeks", 604800 * SECOND}, {"week", 604800 * SECOND}, {"w", 604800 * SECOND},
	{"years", 31557600 * SECOND}, {"year", 31557600 * SECOND}, {"y", 31557600 * SECOND},
	{"usec", 1}, {"us", 1}, {"\xc2\xb5s", 1}, {"\xce\xbcs", 1}, {"", SECOND},
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One number with an optional fraction; *scale is 10 to the count of the fraction's digits. */
static bool
scan_number(const char **text, uint64_t *whole, uint64_t *fraction, uint64_t *scale)
{
	const char *p = *text;
	unsigned digits = 0;

	*whole = *fraction = 0;
	*scale = 1;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (*whole > (UINT64_MAX - digit) / 10)
			return false;
		*whole = *whole * 10 + digit;
	}
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++) {
			if (++digits > FRACTION_DIGITS_MAX)
				return false;
			*fraction = *fraction * 10 + (unsigned)(*p - '0');
			*scale *= 10;
		}
		if (digits == 0)
			return false;
	}
	*text = p;
	return true;
}

/* (whole + fraction / scale) * factor, cut to a whole number; false if it does not fit. */
static bool
scale_number(uint64_t whole, uint64_t fraction, uint64_t scale, uint64_t factor, uint64_t *result)
{
	uint64_t part = fraction * (factor / scale) + fraction * (factor % scale) / scale;

	if (whole > (UINT64_MAX - part) / factor)
		return false;
	*result = whole * factor + part;
	return true;
}

/* The sum of numbers with units; with `falling`, each unit must be smaller than the last. */
static bool
scan_sum(const char *text, const struct unit *units, size_t count, bool falling, uint64_t *sum)
{
	size_t first = 0;

	*sum = 0;
	text += strspn(text, BLANKS);
	do {
		uint64_t whole, fraction, scale, part;
		size_t i = first;

		if (!scan_number(&text, &whole, &fraction, &scale))
			return false;
		text += strspn(text, BLANKS);
		while (i < count && strncmp(text, units[i].suffix, strlen(units[i].suffix)) != 0)
			i++;
		if (i == count || !scale_number(whole, fraction, scale, units[i].factor, &part))
			return false;
		if (part > UINT64_MAX - *sum)
			return false;
		*sum += part;
		text += strlen(units[i].suffix);
		text += strspn(text, BLANKS);
		if (falling)
			first = i + 1;
	} while (*text != '\0');
	return true;
}

bool
amount_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t sum;

	if (!scan_sum(text, size_units, COUNT(size_units), true, &sum))
		return false;
	*bytes = sum;
	return true;
}

bool
amount_parse_time(const char *text, uint64_t *ms)
{
	uint64_t us;

	if (strcmp(text, "infinity") == 0) {
		*ms = AMOUNT_TIME_FOREVER;
		return true;
	}
	if (!scan_sum(text, time_units, COUNT(time_units), false, &us))
		return false;
	*ms = us / 1000 + (us % 1000 != 0);
	return true;
}

bool
amount_parse_cpu(const char *text, uint64_t *milli)
{
	uint64_t whole, fraction, scale;

	if (!scan_number(&text, &whole, &fraction, &scale) || *text != '\0')
		return false;
	if (scale > 1000 || whole >= AMOUNT_CPU_MAX_MILLI / 1000)
		return false;
	*milli = whole * 1000 + fraction * (1000 / scale);
	return true;
}

bool
amount_parse_resources(
    const char *text, uint64_t *cpu_milli, uint64_t *memory_bytes, uint64_t *disk_bytes)
{
	char copy[256], *rest = copy, *word;
	bool cpus = false, memory = false, disk = false;

	if (!str_copy(copy, sizeof copy, text))
		return false;
	while ((word = strsep(&rest, ",")) != NULL) {
		char *value = strchr(word, '=');
		bool ok = false;

		if (value == NULL)
			return false;
		*value++ = '\0';
		if (strcmp(word, "cpus") == 0 && !cpus)
			ok = cpus = amount_parse_cpu(value, cpu_milli);
		else if (strcmp(word, "memory") == 0 && !memory)
			ok = memory = amount_parse_size(value, memory_bytes);
		else if (strcmp(word, "disk") == 0 && !disk)
			ok = disk = amount_parse_size(value, disk_bytes);
		if (!ok)
			return false;
	}
	return true;
}

const char *
amount_print_size(char to[AMOUNT_TEXT_MAX], uint64_t bytes)
{
	static const char letters[] = "KMGTPE";
	uint64_t unit = 1, tenths;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 " B", bytes);
		return to;
	}
	/* The next unit, as long as this one would show 1024 or more of it. */
	do {
		unit *= 1024;
		tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
	} while (letters[i++ + 1] != '\0' && tenths >= 10240);
	if (bytes % unit == 0)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 " %ciB", tenths / 10, letters[i - 1]);
	else
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %ciB", tenths / 10,
		    tenths % 10, letters[i - 1]);
	return to;
}

const char *
amount_print_age(char to[AMOUNT_TEXT_MAX], uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms == AMOUNT_TIME_FOREVER)
		snprintf(to, AMOUNT_TEXT_MAX, "forever");
	else if (s < 60)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(
		    to, AMOUNT_TEXT_MAX, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return to;
}

const char *
amount_print_time(char to[AMOUNT_TEXT_MAX], uint64_t ms)
{
	if (ms < 9995)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 ".%02" PRIu64 " s", (ms + 5) / 1000,
		    (ms + 5) / 10 % 100);
	else if (ms < 59950)
		snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " s", (ms + 50) / 1000,
		    (ms + 50) / 100 % 10);
	else if (ms < 60000)
		snprintf(to, AMOUNT_TEXT_MAX, "1m00s");
	else
		amount_print_age(to, ms);
	return to;
}

const char *
amount_print_cpu(char to[AMOUNT_TEXT_MAX], uint64_t milli)
{
	int len =
	    snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 ".%03" PRIu64, milli / 1000, milli % 1000);

	for (int zeros = 0; zeros < 2 && to[len - 1] == '0'; zeros++)
		to[--len] = '\0';
	return to;
}

const char *
amount_format_size(char to[AMOUNT_TEXT_MAX], uint64_t bytes)
{
	for (size_t i = 0; bytes > 0 && i < COUNT(size_units); i++) {
		if (size_units[i].factor > 1 && bytes % size_units[i].factor == 0) {
			snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64 "%s", bytes / size_units[i].factor,
			    size_units[i].suffix);
			return to;
		}
	}
	snprintf(to, AMOUNT_TEXT_MAX, "%" PRIu64, bytes);
	return to;
}

const char *
amount_format_time(char to[AMOUNT_TEXT_MAX], uint64_t ms)
{
	static const struct unit units[] = {
	    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
	int len = 0;

	if (ms == AMOUNT_TIME_FOREVER)
		return memcpy(to, "infinity", sizeof "infinity");
	if (ms == 0)
		return memcpy(to, "0", sizeof "0");
	for (size_t i = 0; i < COUNT(units); i++) {
		if (ms < units[i].factor)
			continue;
		len += snprintf(to + len, AMOUNT_TEXT_MAX - (size_t)len, "%s%" PRIu64 "%s",
		    len > 0 ? " " : "", ms / units[i].factor, units[i].suffix);
		ms %= units[i].factor;
	}
	return to;
}
