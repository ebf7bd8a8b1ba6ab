/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/message.h"

#include <stdbool.h>

static bool is_whole(const ProtobufCMessage *m);

/* The messages in this field of m. */
static bool
field_is_whole(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *at = (const char *)m;
	const void *member = at + f->offset;
	size_t count;

	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		const ProtobufCMessage *one = *(ProtobufCMessage *const *)member;

		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    *(const uint32_t *)(const void *)(at + f->quantifier_offset) != f->id)
			return true;
		return one == NULL || is_whole(one);
	}
	count = *(const size_t *)(const void *)(at + f->quantifier_offset);
	for (size_t i = 0; i < count; i++)
		if (!is_whole((*(ProtobufCMessage * *const *)member)[i]))
			return false;
	return true;
}

static bool
is_whole(const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->n_unknown_fields; i++)
		if (m->unknown_fields[i].tag == 0)
			return false;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++)
		if (!field_is_whole(m, &m->descriptor->fields[i]))
			return false;
	return true;
}

ProtobufCMessage *
message_unpack(const ProtobufCMessageDescriptor *type, size_t size, const uint8_t *bytes)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, size, bytes);

	if (m == NULL || is_whole(m))
		return m;
	protobuf_c_message_free_unpacked(m, NULL);
	return NULL;
}
