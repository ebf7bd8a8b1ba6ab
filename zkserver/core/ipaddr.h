/* SPDX-License-Identifier: Apache-2.0 */
/* Textual IP addresses as rules of ACLs know them: strict, with an optional "/bits". */
#ifndef CORRAL_ZKSERVER_CORE_IPADDR_H
#define CORRAL_ZKSERVER_CORE_IPADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/codec/jute.h"

struct ipaddr {
	uint8_t bytes[16]; /* in network order */
	unsigned size;	   /* 4 or 16 */
	unsigned bits;	   /* of the prefix that counts; all of them without "/bits" */
};

/* Four decimals 0 to 255, or IPv6 with at most one "::" (no dotted part, no brackets, no zone). */
bool ipaddr_parse(struct ipaddr *a, struct jute_bytes text);

/* Does the address lie in the rule's prefix? Never across families. */
bool ipaddr_matches(const struct ipaddr *rule, const struct ipaddr *who);

#endif
