/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/datadir.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A directory with more files of one kind is refused: nobody purged it for years. */
#define DATADIR_FILES_MAX 1000000

_Static_assert(DATADIR_CORRUPT == -EBADMSG, "the header names the value");

int
fault_set(struct fault *f, int code, const char *fmt, ...)
{
	va_list ap;

	if (f->text[0] != '\0')
		return code;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return code;
}

void
datadir_name(char to[DATADIR_NAME_BYTES], const char *prefix, uint64_t zxid)
{
	snprintf(to, DATADIR_NAME_BYTES, "%s.%llx", prefix, (unsigned long long)zxid);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

const char *
datadir_suffix(enum pack_kind kind)
{
	static const char *const suffixes[] = {
	    [PACK_NONE] = "", [PACK_GZ] = ".gz", [PACK_SNAPPY] = ".snappy"};

	return suffixes[kind];
}

bool
datadir_parse(const char *name, const char *prefix, struct datadir_entry *entry)
{
	size_t n = strlen(prefix);
	int digits = 0;

	*entry = (struct datadir_entry){0};
	if (strncmp(name, prefix, n) != 0 || name[n] != '.')
		return false;
	for (name += n + 1; hex_digit(*name) >= 0; name++) {
		if (++digits > 16)
			return false;
		entry->zxid = entry->zxid << 4 | (uint64_t)hex_digit(*name);
	}
	for (enum pack_kind kind = PACK_NONE; kind <= PACK_SNAPPY; kind++) {
		entry->kind = kind;
		if (strcmp(name, datadir_suffix(kind)) == 0)
			return digits > 0;
	}
	return false;
}

struct listing {
	const char *prefix;
	struct datadir_list *list;
	size_t cap;
};

static int
take_name(void *arg, const char *name)
{
	struct listing *l = arg;
	struct datadir_entry entry;

	if (!datadir_parse(name, l->prefix, &entry))
		return 0;
	if (l->list->count == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 16;
		struct datadir_entry *grown;

		if (cap > DATADIR_FILES_MAX)
			return -EOVERFLOW;
		if ((grown = realloc(l->list->entries, cap * sizeof(*grown))) == NULL)
			return -ENOMEM;
		l->list->entries = grown;
		l->cap = cap;
	}
	l->list->entries[l->list->count++] = entry;
	return 0;
}

static int
by_zxid(const void *a, const void *b)
{
	const struct datadir_entry *x = a, *y = b;

	if (x->zxid != y->zxid)
		return x->zxid < y->zxid ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

int
datadir_list(struct store *s, const char *prefix, struct datadir_list *list, struct fault *f)
{
	struct listing l = {.prefix = prefix, .list = list};
	int err;

	*list = (struct datadir_list){0};
	err = store_list(s, take_name, &l);
	if (err != 0) {
		datadir_list_free(list);
		return fault_set(f, err, "cannot list the %s files: %s", prefix, strerror(-err));
	}
	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(list->entries[0]), by_zxid);
	return 0;
}

void
datadir_list_free(struct datadir_list *list)
{
	free(list->entries);
	*list = (struct datadir_list){0};
}
