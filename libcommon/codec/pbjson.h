/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c messages as JSON text and back, driven by their descriptors alone, so that a message
 * is defined once. The form, made for people with jq:
 *   - field names as in the schema; unset optional fields and empty lists are left out;
 *   - enums are the schema's names in lower case ("running", "reason_exit");
 *   - bytes are base64 text (RFC 4648, section 4);
 *   - integers are numbers; those beyond +-2^53, which jq and JavaScript would round, are strings.
 *     Both forms are read;
 *   - the member of a oneof that is set appears as an ordinary field; two of them are refused;
 *   - text that is not UTF-8 comes out with U+FFFD in place of each bad byte;
 *   - null is read as "not there".
 * Infinities and NaN have no form in JSON and are refused.
 */
#ifndef CORRAL_CODEC_PBJSON_H
#define CORRAL_CODEC_PBJSON_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "libcommon/base/buf.h"

#define PBJSON_TEXT_MAX                                                                            \
	(64u << 20) /* bytes of text that are read; a listener bounds its bodies far lower */
#define PBJSON_DEPTH_MAX 32 /* messages within messages, both ways */

#define PBJSON_DEFAULTS                                                                            \
	1u /* encode: print unset scalar fields with their defaults, too, and empty lists */
#define PBJSON_INDENT 2u	 /* encode: for people to read */
#define PBJSON_IGNORE_UNKNOWN 4u /* decode: skip fields that the schema does not have */

/*
 * Append the message to out, without a newline. False if it is too deep, a required text is
 * missing, a number has no form, memory is short or out is full; out is then as it was.
 */
bool pbjson_encode(const ProtobufCMessage *message, unsigned flags, struct buf *out);

/*
 * Read a message of this type; the caller frees it with protobuf_c_message_free_unpacked(m, NULL)
 * or the type's own __free_unpacked(). NULL with a text like "jobs[2].count: expected a number" in
 * error on any fault: bad JSON, a wrong type, a number out of range, a missing required field.
 */
ProtobufCMessage *pbjson_decode(const ProtobufCMessageDescriptor *type, const char *text,
    size_t size, unsigned flags, char *error, size_t error_size);

#endif
