/* SPDX-License-Identifier: Apache-2.0 */
/* Inside pbjson: how protobuf-c lays a message out in memory. */
#ifndef CORRAL_CODEC_PBJSON_FIELD_H
#define CORRAL_CODEC_PBJSON_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#define PBJSON_ENUM_NAME_MAX 128
#define PBJSON_AT(message, offset) ((void *)((char *)(uintptr_t)(message) + (offset)))

/* Bytes of one value in a message or in a list. */
size_t pbjson_value_bytes(ProtobufCType type);

/* Is a field that is not a list there? Required numbers always are. */
bool pbjson_field_is_set(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message);

/* The name in JSON: lower case. False if it is too long. */
bool pbjson_enum_name(const ProtobufCEnumValue *value, char to[PBJSON_ENUM_NAME_MAX]);

#endif
