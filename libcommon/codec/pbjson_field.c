/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/pbjson_field.h"

#include <stdint.h>
#include <string.h>

size_t
pbjson_value_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return sizeof(int32_t);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return sizeof(int64_t);
	case PROTOBUF_C_TYPE_FLOAT:
		return sizeof(float);
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(double);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_STRING:
		return sizeof(char *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	}
	return 0;
}

bool
pbjson_field_is_set(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
	const void *at = PBJSON_AT(message, field->offset);

	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return *(const uint32_t *)PBJSON_AT(message, field->quantifier_offset) == field->id;
	if (field->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	/*
	 * An optional text or message is there if its pointer is; a text's own default counts as
	 * not there.
	 */
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(char *const *)at != NULL && *(char *const *)at != field->default_value;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(ProtobufCMessage *const *)at != NULL;
	return *(const protobuf_c_boolean *)PBJSON_AT(message, field->quantifier_offset) != 0;
}

bool
pbjson_enum_name(const ProtobufCEnumValue *value, char to[PBJSON_ENUM_NAME_MAX])
{
	size_t size = strlen(value->name);

	if (size >= PBJSON_ENUM_NAME_MAX)
		return false;
	for (size_t i = 0; i <= size; i++)
		to[i] = value->name[i] >= 'A' && value->name[i] <= 'Z' ? (char)(value->name[i] + 32)
								       : value->name[i];
	return true;
}
