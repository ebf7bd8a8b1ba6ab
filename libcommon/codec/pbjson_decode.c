/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/base64.h"
#include "libcommon/codec/pbjson.h"
#include "libcommon/codec/pbjson_field.h"

#define PATH_BYTES_MAX 256

struct decoder {
	unsigned flags, depth;
	char path[PATH_BYTES_MAX]; /* of the value at hand: "jobs[2].count"; cut when too long */
	size_t path_size;
	char *error;
	size_t error_size;
};

static ProtobufCMessage *message_from_json(
    struct decoder *d, const ProtobufCMessageDescriptor *type, const json_t *json);

__attribute__((format(printf, 2, 3))) static bool
refuse(struct decoder *d, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	snprintf(d->error, d->error_size, "%s%s%s", d->path, d->path_size > 0 ? ": " : "", what);
	return false;
}

/* Add to the path; returns the size to go back to. */
__attribute__((format(printf, 2, 3))) static size_t
path_push(struct decoder *d, const char *fmt, ...)
{
	size_t before = d->path_size;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->path + before, sizeof d->path - before, fmt, ap);
	va_end(ap);
	d->path_size =
	    n >= 0 && before + (size_t)n < sizeof d->path ? before + (size_t)n : sizeof d->path - 1;
	return before;
}

static void
path_pop(struct decoder *d, size_t size)
{
	d->path_size = size;
	d->path[size] = '\0';
}

static bool
get_i64(struct decoder *d, const json_t *json, int64_t min, int64_t max, int64_t *value)
{
	if (json_is_integer(json))
		*value = json_integer_value(json);
	else if (!json_is_string(json) ||
		 !str_to_i64(json_string_value(json), INT64_MIN, INT64_MAX, value))
		return refuse(d, "expected a whole number");
	if (*value < min || *value > max)
		return refuse(d, "the number is out of range");
	return true;
}

static bool
get_u64(struct decoder *d, const json_t *json, uint64_t max, uint64_t *value)
{
	if (json_is_integer(json) && json_integer_value(json) < 0)
		return refuse(d, "the number is out of range");
	if (json_is_integer(json))
		*value = (uint64_t)json_integer_value(json);
	else if (!json_is_string(json) ||
		 !str_to_u64(json_string_value(json), 0, UINT64_MAX, value))
		return refuse(d, "expected a whole number, not negative");
	if (*value > max)
		return refuse(d, "the number is out of range");
	return true;
}

static bool
get_enum(struct decoder *d, const ProtobufCEnumDescriptor *type, const json_t *json, int *value)
{
	const char *text = json_string_value(json);
	char name[PBJSON_ENUM_NAME_MAX];

	if (text == NULL)
		return refuse(d, "expected a name");
	for (unsigned i = 0; i < type->n_values; i++) {
		if (pbjson_enum_name(&type->values[i], name) && strcmp(name, text) == 0) {
			*value = type->values[i].value;
			return true;
		}
	}
	return refuse(d, "\"%.60s\" is none of the names that %s has", text, type->short_name);
}

static bool
get_bytes(struct decoder *d, const json_t *json, ProtobufCBinaryData *to)
{
	size_t length = json_string_length(json);
	uint8_t *data;

	if (!json_is_string(json))
		return refuse(d, "expected text in base64");
	/* Never a NULL: that would read as "not there". */
	if ((data = malloc(length / 4 * 3 + 1)) == NULL)
		return refuse(d, "out of memory");
	if (!base64_decode(data, &to->len, json_string_value(json), length)) {
		free(data);
		to->len = 0;
		return refuse(d, "not base64 (RFC 4648, padded)");
	}
	to->data = data;
	return true;
}

static bool
get_real(struct decoder *d, const json_t *json, double max, double *value)
{
	if (!json_is_number(json))
		return refuse(d, "expected a number");
	*value = json_number_value(json);
	return fabs(*value) <= max || refuse(d, "the number is out of range");
}

static bool
get_string(struct decoder *d, const json_t *json, char **to)
{
	if (!json_is_string(json))
		return refuse(d, "expected text");
	*to = strdup(json_string_value(json));
	return *to != NULL || refuse(d, "out of memory");
}

/* Numbers of 32 and 64 bits, signed and not; false with *handled unset for any other type. */
static bool
integer_from_json(
    struct decoder *d, ProtobufCType type, const json_t *json, void *at, bool *handled)
{
	int64_t i;
	uint64_t u;

	*handled = true;
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (!get_i64(d, json, INT32_MIN, INT32_MAX, &i))
			return false;
		*(int32_t *)at = (int32_t)i;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!get_u64(d, json, UINT32_MAX, &u))
			return false;
		*(uint32_t *)at = (uint32_t)u;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return get_i64(d, json, INT64_MIN, INT64_MAX, at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return get_u64(d, json, UINT64_MAX, at);
	default:
		*handled = false;
		return false;
	}
}

static bool
value_from_json(
    struct decoder *d, const ProtobufCFieldDescriptor *field, const json_t *json, void *at)
{
	bool handled, ok = integer_from_json(d, field->type, json, at, &handled);
	double real;

	if (handled)
		return ok;
	switch (field->type) {
	case PROTOBUF_C_TYPE_FLOAT:
		if (!get_real(d, json, (double)__FLT_MAX__, &real))
			return false;
		*(float *)at = (float)real;
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
		return get_real(d, json, __DBL_MAX__, at);
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(json))
			return refuse(d, "expected true or false");
		*(protobuf_c_boolean *)at = json_is_true(json);
		return true;
	case PROTOBUF_C_TYPE_ENUM:
		return get_enum(d, field->descriptor, json, at);
	case PROTOBUF_C_TYPE_STRING:
		return get_string(d, json, at);
	case PROTOBUF_C_TYPE_BYTES:
		return get_bytes(d, json, at);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = message_from_json(d, field->descriptor, json);
		return *(ProtobufCMessage **)at != NULL;
	default:
		return refuse(d, "a type that JSON does not have here");
	}
}

static bool
list_from_json(struct decoder *d, const ProtobufCFieldDescriptor *field, const json_t *json,
    ProtobufCMessage *message)
{
	size_t *count = PBJSON_AT(message, field->quantifier_offset);
	char **items = PBJSON_AT(message, field->offset);
	size_t size = pbjson_value_bytes(field->type), wanted = json_array_size(json);

	if (!json_is_array(json))
		return refuse(d, "expected a list");
	if (wanted == 0)
		return true;
	if ((*items = calloc(wanted, size)) == NULL)
		return refuse(d, "out of memory");
	for (size_t i = 0; i < wanted; i++) {
		size_t path = path_push(d, "[%zu]", i);

		if (!value_from_json(d, field, json_array_get(json, i), *items + i * size))
			return false;
		/* Counted once it is whole, so that what is freed after an error is what there is.
		 */
		*count = i + 1;
		path_pop(d, path);
	}
	return true;
}

static bool
field_from_json(struct decoder *d, const ProtobufCFieldDescriptor *field, const json_t *json,
    ProtobufCMessage *message)
{
	void *quantifier = PBJSON_AT(message, field->quantifier_offset);
	void *at = PBJSON_AT(message, field->offset);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return list_from_json(d, field, json, message);
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
		if (*(uint32_t *)quantifier != 0)
			return refuse(d, "only one of its group may be there");
		if (!value_from_json(d, field, json, at)) {
			/* The union may hold part of a value that nobody may free. */
			memset(at, 0, pbjson_value_bytes(field->type));
			return false;
		}
		*(uint32_t *)quantifier = field->id;
		return true;
	}
	if (!value_from_json(d, field, json, at))
		return false;
	if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
	    field->type != PROTOBUF_C_TYPE_MESSAGE)
		*(protobuf_c_boolean *)quantifier = 1;
	return true;
}

static bool
check_required(struct decoder *d, const ProtobufCMessageDescriptor *type, const json_t *json)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const json_t *value = json_object_get(json, type->fields[i].name);

		if (type->fields[i].label == PROTOBUF_C_LABEL_REQUIRED &&
		    (value == NULL || json_is_null(value)))
			return refuse(d, "%s is missing", type->fields[i].name);
	}
	return true;
}

static bool
fields_from_json(struct decoder *d, const json_t *json, ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	json_t *object = (json_t *)(uintptr_t)json; /* jansson's iterators are not const */
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		const ProtobufCFieldDescriptor *field =
		    protobuf_c_message_descriptor_get_field_by_name(type, name);
		size_t path;

		if (field == NULL && (d->flags & PBJSON_IGNORE_UNKNOWN) == 0)
			return refuse(d, "%.60s: no such field in %s", name, type->short_name);
		if (field == NULL || json_is_null(value))
			continue;
		path = path_push(d, "%s%s", d->path_size > 0 ? "." : "", name);
		if (!field_from_json(d, field, value, message))
			return false;
		path_pop(d, path);
	}
	return true;
}

static ProtobufCMessage *
message_from_json(struct decoder *d, const ProtobufCMessageDescriptor *type, const json_t *json)
{
	ProtobufCMessage *message;

	if (!json_is_object(json)) {
		refuse(d, "expected an object");
		return NULL;
	}
	if (d->depth == PBJSON_DEPTH_MAX) {
		refuse(d, "nested too deeply");
		return NULL;
	}
	if ((message = malloc(type->sizeof_message)) == NULL) {
		refuse(d, "out of memory");
		return NULL;
	}
	protobuf_c_message_init(type, message);
	d->depth++;
	if (!check_required(d, type, json) || !fields_from_json(d, json, message)) {
		protobuf_c_message_free_unpacked(message, NULL);
		return NULL;
	}
	d->depth--;
	return message;
}

ProtobufCMessage *
pbjson_decode(const ProtobufCMessageDescriptor *type, const char *text, size_t size, unsigned flags,
    char *error, size_t error_size)
{
	struct decoder d = {.flags = flags, .error = error, .error_size = error_size};
	ProtobufCMessage *message;
	json_error_t fault;
	json_t *json;

	if (size > PBJSON_TEXT_MAX) {
		refuse(&d, "more than %u bytes of JSON", PBJSON_TEXT_MAX);
		return NULL;
	}
	if ((json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault)) == NULL) {
		refuse(
		    &d, "bad JSON in line %d, column %d: %s", fault.line, fault.column, fault.text);
		return NULL;
	}
	message = message_from_json(&d, type, json);
	json_decref(json);
	return message;
}
