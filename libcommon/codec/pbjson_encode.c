/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "libcommon/base/utf8.h"
#include "libcommon/codec/base64.h"
#include "libcommon/codec/pbjson.h"
#include "libcommon/codec/pbjson_field.h"

#define EXACT_MAX (INT64_C(1) << 53) /* a double holds every whole number up to here */

static json_t *message_to_json(const ProtobufCMessage *message, unsigned flags, unsigned depth);

static json_t *
i64_to_json(int64_t value)
{
	char text[24];

	if (value >= -EXACT_MAX && value <= EXACT_MAX)
		return json_integer(value);
	snprintf(text, sizeof text, "%" PRId64, value);
	return json_string_nocheck(text);
}

static json_t *
u64_to_json(uint64_t value)
{
	char text[24];

	if (value <= (uint64_t)EXACT_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof text, "%" PRIu64, value);
	return json_string_nocheck(text);
}

static json_t *
enum_to_json(const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
	char name[PBJSON_ENUM_NAME_MAX];

	/* A number that a newer peer knows and we do not is still worth showing. */
	if (v == NULL || !pbjson_enum_name(v, name))
		return json_integer(value);
	return json_string_nocheck(name);
}

/* Text from outside may be anything: what is not UTF-8 becomes U+FFFD, a byte at a time. */
static json_t *
string_to_json(const char *text)
{
	size_t size = text != NULL ? strlen(text) : 0, at = 0, used = 0;
	json_t *json;
	char *clean;

	if (text == NULL)
		return NULL;
	if (utf8_bad_offset(text, size) == size)
		return json_stringn_nocheck(text, size);
	if ((clean = calloc(size, 3)) == NULL)
		return NULL;
	while (at < size) {
		size_t n = utf8_char_bytes(text + at, size - at);

		if (n > 0)
			memcpy(clean + used, text + at, n);
		used += n > 0 ? n : utf8_put(clean + used, 0xfffd);
		at += n > 0 ? n : 1;
	}
	json = json_stringn_nocheck(clean, used);
	free(clean);
	return json;
}

static json_t *
bytes_to_json(const ProtobufCBinaryData *data)
{
	char *text = malloc(BASE64_TEXT_BYTES(data->len) + 1);
	json_t *json;

	if (text == NULL)
		return NULL;
	base64_encode(text, data->data, data->len);
	json = json_string_nocheck(text);
	free(text);
	return json;
}

static json_t *
real_to_json(double value)
{
	return isfinite(value) ? json_real(value) : NULL;
}

/* One value of a field's type at `at`; NULL if it has no form or memory is short. */
static json_t *
value_to_json(const ProtobufCFieldDescriptor *field, const void *at, unsigned flags, unsigned depth)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return i64_to_json(*(const int64_t *)at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return u64_to_json(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_FLOAT:
		return real_to_json((double)*(const float *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return real_to_json(*(const double *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_to_json(field->descriptor, *(const int *)at);
	case PROTOBUF_C_TYPE_STRING:
		return string_to_json(*(char *const *)at);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_to_json(at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return message_to_json(*(ProtobufCMessage *const *)at, flags, depth + 1);
	}
	return NULL;
}

static json_t *
list_to_json(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message, unsigned flags,
    unsigned depth)
{
	size_t count = *(const size_t *)PBJSON_AT(message, field->quantifier_offset);
	const char *items = *(char *const *)PBJSON_AT(message, field->offset);
	size_t size = pbjson_value_bytes(field->type);
	json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < count; i++) {
		if (json_array_append_new(
			list, value_to_json(field, items + i * size, flags, depth)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* What an unset field stands for; *absent if that is not worth a line. */
static json_t *
default_to_json(const ProtobufCFieldDescriptor *field, bool *absent)
{
	static const uint64_t zeros[4];

	*absent = field->type == PROTOBUF_C_TYPE_MESSAGE ||
		  (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
	if (*absent)
		return NULL;
	/* A text's default is the text itself, a number's is a pointer to it. */
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return string_to_json(field->default_value != NULL ? field->default_value : "");
	if (field->type == PROTOBUF_C_TYPE_ENUM && field->default_value == NULL)
		return enum_to_json(field->descriptor,
		    ((const ProtobufCEnumDescriptor *)field->descriptor)->values[0].value);
	return value_to_json(
	    field, field->default_value != NULL ? field->default_value : zeros, 0, 0);
}

/* A field as JSON; NULL with *absent set if it is left out. */
static json_t *
field_to_json(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message,
    unsigned flags, unsigned depth, bool *absent)
{
	*absent = false;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		*absent = *(const size_t *)PBJSON_AT(message, field->quantifier_offset) == 0 &&
			  (flags & PBJSON_DEFAULTS) == 0;
		return *absent ? NULL : list_to_json(field, message, flags, depth);
	}
	if (pbjson_field_is_set(field, message))
		return value_to_json(field, PBJSON_AT(message, field->offset), flags, depth);
	if ((flags & PBJSON_DEFAULTS) != 0)
		return default_to_json(field, absent);
	*absent = true;
	return NULL;
}

static json_t *
message_to_json(const ProtobufCMessage *message, unsigned flags, unsigned depth)
{
	const ProtobufCMessageDescriptor *type;
	json_t *object;

	if (message == NULL || depth > PBJSON_DEPTH_MAX || (object = json_object()) == NULL)
		return NULL;
	type = message->descriptor;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		bool absent;
		json_t *value = field_to_json(field, message, flags, depth, &absent);

		if (!absent && json_object_set_new_nocheck(object, field->name, value) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static int
append_text(const char *text, size_t size, void *to)
{
	struct buf *out = to;

	buf_append(out, text, size);
	return out->failed ? -1 : 0;
}

bool
pbjson_encode(const ProtobufCMessage *message, unsigned flags, struct buf *out)
{
	size_t before = out->len;
	json_t *json;
	int result;

	if (out->failed || (json = message_to_json(message, flags, 1)) == NULL)
		return false;
	result = json_dump_callback(
	    json, append_text, out, (flags & PBJSON_INDENT) != 0 ? JSON_INDENT(2) : JSON_COMPACT);
	json_decref(json);
	if (result == 0)
		return true;
	buf_truncate(out, before);
	out->failed = false;
	return false;
}
