/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from the rest of links: only programs that send messages are linked with protobuf-c. */
#include <stdlib.h>

#include "libcommon/io/link.h"

#define SMALL_BYTES 1024 /* larger ones cost an allocation */

bool
link_send_message(struct link *l, const ProtobufCMessage *message)
{
	uint8_t small[SMALL_BYTES], *bytes = small;
	size_t size = protobuf_c_message_get_packed_size(message);
	bool sent;

	if (size > sizeof small && (bytes = malloc(size)) == NULL)
		return false;
	(void)protobuf_c_message_pack(message, bytes);
	sent = link_send(l, bytes, size);
	if (bytes != small)
		free(bytes);
	return sent;
}
