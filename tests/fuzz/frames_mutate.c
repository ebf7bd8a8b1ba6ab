/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/script_mutate.h"

#define LINES_MAX 48
#define FIELDS_MAX 64
#define DEPTH_MAX 5
#define BYTES_MAX 4096

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

/* --- values --- */

static void
put_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t count = 0;

	do
		bytes[count++] = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);
	while ((v >>= 7) > 0);
	buf_append(b, bytes, count);
}

/* Small ones are those that keys, terms and registrations of a target's world have. */
static uint64_t
any_number(void)
{
	static const uint64_t odd[] = {UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT32_MAX,
	    INT32_MAX, UINT64_C(1) << 40, UINT64_C(1) << 56, 65536, 8191, 1000, 1 << 20, 1 << 30};

	switch (script_below(8)) {
	case 0:
		return odd[script_below(sizeof odd / sizeof odd[0])];
	case 1:
		return 100 + script_below(60);
	case 2:
		return rng_below(&script_rng, UINT64_C(1) << script_below(63));
	default:
		return script_below(10);
	}
}

static void
put_bytes(struct buf *b, const void *bytes, size_t size)
{
	put_varint(b, size);
	if (size > 0)
		buf_append(b, bytes, size);
}

static void
put_text(struct buf *b)
{
	size_t count = 0;

	while (frame_texts[count] != NULL)
		count++;
	count = script_below(count);
	put_bytes(b, frame_texts[count], strlen(frame_texts[count]));
}

/* As a rule what identifies an update. */
static void
put_id(struct buf *b)
{
	uint8_t id[64] = {(uint8_t)script_below(4), 1};

	put_bytes(b, id, script_below(6) == 0 ? script_below(sizeof id) : 16);
}

static void put_message(struct buf *b, const ProtobufCMessageDescriptor *type, unsigned depth);

static unsigned
wire_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	default:
		return WIRE_VARINT; /* the schema has no fixed width */
	}
}

static void
put_field(struct buf *b, const ProtobufCFieldDescriptor *f, unsigned depth)
{
	struct buf inner;

	put_varint(b, f->id << 3 | wire_of(f));
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		put_text(b);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_id(b);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		buf_init(&inner, BYTES_MAX);
		put_message(&inner, f->descriptor, depth + 1);
		put_bytes(b, inner.data, inner.failed ? 0 : inner.len);
		buf_fini(&inner);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		put_varint(b, script_below(2));
		break;
	default:
		put_varint(b, any_number());
	}
}

static void
put_message(struct buf *b, const ProtobufCMessageDescriptor *type, unsigned depth)
{
	size_t one = type->n_fields == 0 ? 0 : script_below(type->n_fields);

	for (size_t i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		size_t count = f->label == PROTOBUF_C_LABEL_REQUIRED ? 1 : script_below(2);

		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			count = depth >= DEPTH_MAX     ? 0
				: script_below(8) == 0 ? script_below(6)
						       : script_below(2);
		if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			count = i == one;
		for (; count > 0; count--)
			put_field(b, f, depth);
	}
	/* One of a group, if none of it was drawn. */
	if (type->n_fields > 0 && !(type->fields[one].flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		for (size_t i = type->n_fields; i > 0; i--)
			if (type->fields[i - 1].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
				one = i - 1 - script_below(i);
				if (type->fields[one].flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
					put_field(b, &type->fields[one], depth);
				break;
			}
}

/* --- changes --- */

struct piece {
	const uint8_t *at, *value; /* the whole field; what is behind tag and length */
	size_t size, value_size;
	const ProtobufCFieldDescriptor *field; /* NULL: unknown */
};

static bool
get_varint(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		*v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return true;
	}
	return false;
}

static bool
get_piece(
    const ProtobufCMessageDescriptor *type, const uint8_t **at, const uint8_t *end, struct piece *p)
{
	uint64_t tag, size = 0;

	p->at = *at;
	if (!get_varint(at, end, &tag))
		return false;
	p->field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
	p->value = *at;
	switch (tag & 7) {
	case WIRE_VARINT:
		if (!get_varint(at, end, &size))
			return false;
		break;
	case WIRE_64:
	case WIRE_32:
		size = (tag & 7) == WIRE_64 ? 8 : 4;
		if ((size_t)(end - *at) < size)
			return false;
		*at += size;
		break;
	case WIRE_BYTES:
		if (!get_varint(at, end, &size) || size > (size_t)(end - *at))
			return false;
		p->value = *at;
		*at += size;
		break;
	default:
		return false;
	}
	p->size = (size_t)(*at - p->at);
	p->value_size = (size_t)(*at - p->value);
	return true;
}

static void change_message(struct buf *b, const ProtobufCMessageDescriptor *type,
    const uint8_t *bytes, size_t size, unsigned depth);

static void
change_piece(struct buf *b, const struct piece *p, unsigned depth)
{
	struct buf inner;

	if (p->field == NULL)
		return;
	if (p->field->type != PROTOBUF_C_TYPE_MESSAGE || depth > DEPTH_MAX ||
	    script_below(6) == 0) {
		switch (script_below(4)) {
		case 0: /* away with it */
			break;
		case 1:
			buf_append(b, p->at, p->size);
			buf_append(b, p->at, p->size);
			break;
		default:
			put_field(b, p->field, depth);
		}
		return;
	}
	buf_init(&inner, BYTES_MAX);
	change_message(&inner, p->field->descriptor, p->value, p->value_size, depth + 1);
	put_varint(b, p->field->id << 3 | WIRE_BYTES);
	put_bytes(b, inner.data, inner.failed ? 0 : inner.len);
	buf_fini(&inner);
}

static void
change_message(struct buf *b, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
    size_t size, unsigned depth)
{
	const uint8_t *at = bytes, *end = bytes + size;
	struct piece pieces[FIELDS_MAX];
	size_t count = 0, which;

	while (count < FIELDS_MAX && at < end && get_piece(type, &at, end, &pieces[count]))
		count++;
	which = script_below(count + 1);
	for (size_t i = 0; i < count; i++)
		if (i == which)
			change_piece(b, &pieces[i], depth);
		else
			buf_append(b, pieces[i].at, pieces[i].size);
	if (which == count && type->n_fields > 0)
		put_field(b, &type->fields[script_below(type->n_fields)], depth);
}

/* --- steps --- */

static void
fill_line(struct script_line *l, struct buf *b)
{
	const ProtobufCMessageDescriptor *type = frame_types[l->kind % frame_type_count];
	uint64_t number = any_number();

	buf_clear(b);
	if (type != NULL)
		put_message(b, type, 0);
	else
		for (size_t i = 1 + script_below(4); i > 0; i--)
			buf_append(b, &(uint8_t){(uint8_t)(number >> (8 * i - 8))}, 1);
	l->bytes = b->data;
	l->size = b->failed ? 0 : b->len;
}

static struct script_line
make_line(struct buf *b)
{
	struct script_line l = {.kind = (uint8_t)script_below(frame_type_count),
	    .peer = (uint8_t)script_below(frame_peers)};

	fill_line(&l, b);
	return l;
}

static void
change_line(struct script_line *l, struct buf *b)
{
	const ProtobufCMessageDescriptor *type = frame_types[l->kind % frame_type_count];
	uint8_t *to;

	buf_clear(b);
	if (type != NULL && script_below(12) != 0) {
		change_message(b, type, l->bytes, l->size, 0);
		l->bytes = b->data;
		l->size = b->failed ? 0 : b->len;
		return;
	}
	if (l->size > BYTES_MAX / 2 || (to = buf_reserve(b, BYTES_MAX / 2 + 64)) == NULL)
		return;
	if (l->size > 0)
		memcpy(to, l->bytes, l->size);
	l->size = LLVMFuzzerMutate(to, l->size, l->size + 16);
	l->bytes = to;
}

static size_t
change_lines(struct script_line *lines, size_t count, struct buf *b)
{
	size_t at = count > 0 ? script_below(count) : 0,
	       other = count > 0 ? script_below(count) : 0;

	switch (count > 0 ? script_below(10) : 0) {
	case 0:
	case 1:
	case 2:
		return script_insert(lines, count, LINES_MAX, make_line(b));
	case 3:
		return script_remove(lines, count, at);
	case 4:
		return script_insert(lines, count, LINES_MAX, lines[at]);
	case 5:
		script_swap(&lines[at], &lines[other]);
		return count;
	case 6:
		lines[at].peer = (uint8_t)script_below(frame_peers);
		return count;
	default:
		change_line(&lines[at], b);
		return count;
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static struct script_line lines[LINES_MAX];
	static uint8_t made[1 << 16];
	static struct buf bytes[4];
	size_t count = 0, at = 0, changes;

	rng_init(&script_rng, seed);
	if (max_size > sizeof made || script_below(30) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	while (count < LINES_MAX && script_next(data, size, &at, &lines[count]))
		count++;
	changes = 1 + script_below(3);
	for (size_t i = 0; i < changes; i++) {
		if (bytes[i].max_bytes == 0)
			buf_init(&bytes[i], BYTES_MAX);
		count = change_lines(lines, count, &bytes[i]);
	}
	size = script_write(lines, count, made, max_size);
	memcpy(data, made, size);
	return size > 0 ? size : 1;
}
