/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/conf.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"

#define SEPARATORS ", \t"
#define TABLE_KEYS_MAX 256

/* Where a value came from, for messages. */
struct place {
	const char *file;
	unsigned line;
};

static void *
member(void *conf, const struct conf_key *key)
{
	return (char *)conf + key->offset;
}

static bool
is_name(const char *text)
{
	size_t size = strlen(text);

	return size > 0 && size <= 63 && text[0] != '.' && text[0] != '_' && text[0] != '-' &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		   size;
}

/* HOST:PORT or [ADDRESS]:PORT, looked at as text only. */
static bool
is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;
	size_t host_size;

	if (colon == NULL || colon == text || !str_to_u64(colon + 1, 0, 65535, &port))
		return false;
	host_size = (size_t)(colon - text);
	if (text[0] == '[')
		return host_size > 2 && text[host_size - 1] == ']' &&
		       strspn(text + 1, "0123456789abcdefABCDEF:.%") >= host_size - 2;
	return memchr(text, ':', host_size) == NULL && strcspn(text, " \t/,[]") >= host_size;
}

static bool
parse_bool(const char *text, bool *value)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return true;
		}
	}
	return false;
}

/* Text types: what the value must look like. NULL if it is fine. */
static const char *
text_fault(enum conf_type type, const char *value)
{
	switch (type) {
	case CONF_PATH:
		return value[0] == '/' ? NULL : "expected an absolute path";
	case CONF_NAME:
		return is_name(value) ? NULL
				      : "expected a name (letters, digits, . _ -; at most 63)";
	case CONF_ADDRESS:
	case CONF_ADDRESS_LIST:
		return is_address(value) ? NULL : "expected HOST:PORT";
	default:
		return NULL;
	}
}

static const char *
set_text(char **to, enum conf_type type, const char *value)
{
	const char *wrong = *value != '\0' ? text_fault(type, value) : NULL;
	char *copy = NULL;

	if (wrong != NULL)
		return wrong;
	if (*value != '\0' && (copy = strdup(value)) == NULL)
		return "out of memory";
	free(*to);
	*to = copy;
	return NULL;
}

static void
clear_list(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct conf_list){0};
}

static const char *
add_to_list(struct conf_list *list, enum conf_type type, const char *item, size_t size)
{
	char **items;
	char *copy;
	const char *wrong;

	if (list->count == CONF_LIST_MAX)
		return "too many members in the list";
	if ((items = reallocarray(list->items, list->count + 1, sizeof *items)) == NULL)
		return "out of memory";
	list->items = items;
	if ((copy = strndup(item, size)) == NULL)
		return "out of memory";
	if ((wrong = text_fault(type, copy)) != NULL) {
		free(copy);
		return wrong;
	}
	items[list->count++] = copy;
	return NULL;
}

static const char *
set_list(struct conf_list *list, enum conf_type type, const char *value)
{
	const char *wrong = NULL;

	clear_list(list);
	for (value += strspn(value, SEPARATORS); *value != '\0' && wrong == NULL;
	     value += strspn(value, SEPARATORS)) {
		size_t size = strcspn(value, SEPARATORS);

		wrong = add_to_list(list, type, value, size);
		value += size;
	}
	return wrong;
}

/* Store a value. NULL, or what is wrong with it. */
static const char *
set_value(const struct conf_key *key, void *conf, const char *value)
{
	void *to = member(conf, key);
	uint64_t number;

	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
	case CONF_NAME:
	case CONF_ADDRESS:
		return set_text(to, key->type, value);
	case CONF_BOOL:
		return parse_bool(value, to) ? NULL : "expected yes or no";
	case CONF_U32:
		if (!str_to_u64(value, 0, UINT32_MAX, &number))
			return "expected a whole number";
		*(uint32_t *)to = (uint32_t)number;
		return NULL;
	case CONF_TIME_MS:
		return amount_parse_time(value, to) ? NULL
						    : "expected a time, as 15s, 5min, 1h 30s";
	case CONF_SIZE:
		return amount_parse_size(value, to) ? NULL : "expected a size, as 512M, 1.5G";
	case CONF_CPU:
		return amount_parse_cpu(value, to) ? NULL : "expected cpus, as 2, 0.5, 0.125";
	case CONF_LIST:
	case CONF_ADDRESS_LIST:
		return set_list(to, key->type, value);
	}
	return "no such type";
}

static const struct conf_key *
find_key(const struct conf_table *table, const char *section, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->keys[i].section, section) == 0 &&
		    strcmp(table->keys[i].key, name) == 0)
			return &table->keys[i];
	}
	return NULL;
}

/* A text in a message: bounded, since values may be 64 KiB. */
#define SHOWN "%.80s"

static void
say_unknown_section(
    const struct conf_table *table, const char *section, struct place place, struct faults *faults)
{
	const char *names[TABLE_KEYS_MAX];
	const char *near;

	for (size_t i = 0; i < table->count; i++)
		names[i] = table->keys[i].section;
	near = faults_nearest(section, names, table->count);
	if (*section == '\0')
		faults_add(faults, place.file, place.line, "a key before the first [section] (%s)",
		    table->manual);
	else if (near != NULL)
		faults_add(faults, place.file, place.line,
		    "[%s]: unknown section, did you mean [%s] ? (%s)", section, near,
		    table->manual);
	else
		faults_add(faults, place.file, place.line, "[%s]: unknown section (%s)", section,
		    table->manual);
}

static void
say_unknown_key(const struct conf_table *table, const char *section, const char *name,
    const char *value, struct place place, struct faults *faults)
{
	const char *names[TABLE_KEYS_MAX];
	const char *near;
	size_t count = 0;

	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->keys[i].section, section) == 0)
			names[count++] = table->keys[i].key;
	}
	if (count == 0) {
		say_unknown_section(table, section, place, faults);
		return;
	}
	if ((near = faults_nearest(name, names, count)) != NULL)
		faults_add(faults, place.file, place.line,
		    "[%s] " SHOWN "=" SHOWN ": unknown key, did you mean %s= ? (%s)", section, name,
		    value, near, table->manual);
	else
		faults_add(faults, place.file, place.line,
		    "[%s] " SHOWN "=" SHOWN ": unknown key (%s)", section, name, value,
		    table->manual);
}

static void
apply_value(const struct conf_table *table, void *conf, const struct ini_entry *e, const char *file,
    struct faults *faults)
{
	const struct conf_key *key = find_key(table, e->section, e->name);
	struct place place = {file, e->line};
	const char *wrong;

	if (key == NULL) {
		say_unknown_key(table, e->section, e->name, e->value, place, faults);
		return;
	}
	if ((wrong = set_value(key, conf, e->value)) != NULL)
		faults_add(faults, file, e->line, "[%s] %s=" SHOWN ": %s (%s)", e->section, e->name,
		    e->value, wrong, table->manual);
}

bool
conf_init(const struct conf_table *table, void *conf)
{
	bool ok = true;

	assert(table->count <= TABLE_KEYS_MAX);
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];

		if (key->fallback != NULL)
			ok = set_value(key, conf, key->fallback) == NULL && ok;
	}
	return ok;
}

void
conf_fini(const struct conf_table *table, void *conf)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];

		switch (key->type) {
		case CONF_STRING:
		case CONF_PATH:
		case CONF_NAME:
		case CONF_ADDRESS:
			free(*(char **)member(conf, key));
			*(char **)member(conf, key) = NULL;
			break;
		case CONF_LIST:
		case CONF_ADDRESS_LIST:
			clear_list(member(conf, key));
			break;
		default:
			break;
		}
	}
}

bool
conf_apply(const struct conf_table *table, void *conf, const struct ini *ini, struct faults *faults)
{
	size_t before = faults->count;

	for (size_t i = 0; i < ini->count; i++)
		apply_value(table, conf, &ini->entries[i], ini->file, faults);
	return faults->count == before;
}

bool
conf_set(const struct conf_table *table, void *conf, const char *section, const char *key,
    const char *value, const char *place, struct faults *faults)
{
	struct ini_entry e = {.section = section, .name = key, .value = value};
	size_t before = faults->count;

	apply_value(table, conf, &e, place, faults);
	return faults->count == before;
}

static void
load_file(const struct conf_table *table, void *conf, const char *path, bool optional,
    struct faults *faults)
{
	struct ini ini = {0};

	if (optional && access(path, F_OK) != 0 && errno == ENOENT)
		return;
	ini_read_file(&ini, INI_SYSTEMD, path, faults);
	conf_apply(table, conf, &ini, faults);
	ini_fini(&ini);
}

/* scandir's filter: NAME.conf, and no hidden files. */
static int
is_conf_file(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > 5 &&
	       strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* In the order of bytes, whatever the locale. */
static int
compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

bool
conf_load(const struct conf_table *table, void *conf, const char *path, bool optional,
    struct faults *faults)
{
	char dir[PATH_MAX], file[PATH_MAX + NAME_MAX + 2];
	struct dirent **entries = NULL;
	size_t before = faults->count;
	int count;

	load_file(table, conf, path, optional, faults);
	if ((size_t)snprintf(dir, sizeof dir, "%s.d", path) >= sizeof dir) {
		faults_add(faults, path, 0, "%s", strerror(ENAMETOOLONG));
		return false;
	}
	count = scandir(dir, &entries, is_conf_file, compare_entries);
	if (count < 0 && errno != ENOENT)
		faults_add(faults, dir, 0, "cannot read the directory: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, entries[i]->d_name);
		load_file(table, conf, file, false, faults);
		free(entries[i]);
	}
	free(entries);
	return faults->count == before;
}

static void
print_list(const struct conf_key *key, const struct conf_list *list, struct buf *out)
{
	buf_printf(out, "%s=", key->key);
	for (size_t i = 0; i < list->count; i++)
		buf_printf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
	buf_printf(out, "\n");
}

static void
print_value(const struct conf_key *key, const void *from, struct buf *out)
{
	char text[AMOUNT_TEXT_MAX];
	const char *value = text;

	switch (key->type) {
	case CONF_STRING:
	case CONF_PATH:
	case CONF_NAME:
	case CONF_ADDRESS:
		value = *(char *const *)from != NULL ? *(char *const *)from : "";
		break;
	case CONF_BOOL:
		value = *(const bool *)from ? "yes" : "no";
		break;
	case CONF_U32:
		snprintf(text, sizeof text, "%" PRIu32, *(const uint32_t *)from);
		break;
	case CONF_TIME_MS:
		amount_format_time(text, *(const uint64_t *)from);
		break;
	case CONF_SIZE:
		amount_format_size(text, *(const uint64_t *)from);
		break;
	case CONF_CPU:
		amount_print_cpu(text, *(const uint64_t *)from);
		break;
	case CONF_LIST:
	case CONF_ADDRESS_LIST:
		print_list(key, from, out);
		return;
	}
	buf_printf(out, "%s=%s\n", key->key, value);
}

void
conf_print(const struct conf_table *table, const void *conf, bool help, struct buf *out)
{
	const char *section = "";

	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];

		if (strcmp(section, key->section) != 0) {
			section = key->section;
			buf_printf(out, "%s[%s]\n", i > 0 ? "\n" : "", section);
		}
		if (help)
			buf_printf(out, "# %s\n", key->help);
		print_value(key, (const char *)conf + key->offset, out);
	}
}
