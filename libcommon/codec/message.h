/* SPDX-License-Identifier: Apache-2.0 */
/* Messages off the wire, to be taken apart and put together again. */
#ifndef CORRAL_CODEC_MESSAGE_H
#define CORRAL_CODEC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/*
 * NULL: not a message of this type, or no memory. Also one with a field of number 0, which no
 * message has: protobuf-c reads it where its tag is written in more bytes than it needs, and does
 * not read what it then writes for it; a copy of such a message could not be made.
 */
ProtobufCMessage *message_unpack(
    const ProtobufCMessageDescriptor *type, size_t size, const uint8_t *bytes);

#endif
