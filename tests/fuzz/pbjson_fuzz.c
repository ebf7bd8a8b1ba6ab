/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to a message and back: what was read must print, and its text must read and print to the
 * same. */
#include <assert.h>
#include <string.h>

#include "libcommon/codec/pbjson.h"
#include "proto/api.pb-c.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_BYTES_MAX (8u << 20)

/* The message's text into out, and the message freed. */
static void
print(ProtobufCMessage *message, struct buf *out)
{
	buf_init(out, TEXT_BYTES_MAX);
	assert(pbjson_encode(message, 0, out));
	protobuf_c_message_free_unpacked(message, NULL);
}

static void
try_type(const ProtobufCMessageDescriptor *type, const char *text, size_t size)
{
	char error[200] = "";
	ProtobufCMessage *message =
	    pbjson_decode(type, text, size, PBJSON_IGNORE_UNKNOWN, error, sizeof error);
	struct buf first, second;

	assert((message == NULL) == (error[0] != '\0'));
	if (message == NULL)
		return;
	print(message, &first);
	message = pbjson_decode(type, (const char *)first.data, first.len, 0, error, sizeof error);
	assert(message != NULL);
	print(message, &second);
	assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	buf_fini(&first);
	buf_fini(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	/* All shapes of the schema: lists, groups, enums, bytes, nesting. */
	try_type(&corral__api__run_request__descriptor, (const char *)bytes, size);
	try_type(&corral__api__client_to_master__descriptor, (const char *)bytes, size);
	try_type(&corral__agent_to_master__descriptor, (const char *)bytes, size);
	return 0;
}
