/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the client port's target reads, and its mutator writes: a byte of enum script_option, then
 * steps. A step is a byte of enum script_step, the number of a peer, a length of two bytes, and as
 * many bytes; one that is cut short has what is there.
 */
#ifndef CORRAL_TESTS_CLIENT_SCRIPT_H
#define CORRAL_TESTS_CLIENT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum script_option {
	SCRIPT_JOIN = 1,     /* whoever connects has a session at once */
	SCRIPT_SLOW_LOG = 2, /* nothing is durable before a STEP_SYNC says so */
	SCRIPT_AUDIT = 4,
	SCRIPT_QUOTA = 8,   /* enforced */
	SCRIPT_TIGHT = 16,  /* limits that are soon reached */
	SCRIPT_SASL = 32,   /* every request needs it */
	SCRIPT_NO_TTL = 64, /* extended types are off */
	SCRIPT_SKIP_ACL = 128,
};

enum script_step {
	STEP_FRAME,  /* a frame; its length is put in front. Who is not connected connects first */
	STEP_BYTES,  /* what comes off the socket */
	STEP_RESUME, /* a connect request for the session that the peer whose number it is had */
	STEP_HANG_UP,
	STEP_TIME,   /* so many ms go by */
	STEP_SYNC,   /* so many more records are durable; 0: all */
	STEP_WINDOW, /* the peer takes so many bytes, and then none; 0: none from now on */
	STEP_PIECE,  /* its bytes come in pieces of this size at most; 0: as they are */
	STEP_KINDS
};

struct script_line {
	uint8_t kind, peer; /* to be taken modulo their number */
	const uint8_t *bytes;
	size_t size;
};

#define SCRIPT_LINE_HEAD_BYTES 4

/* The next step, and *at behind it; false at the end. */
bool script_next(const uint8_t *bytes, size_t size, size_t *at, struct script_line *line);

#endif
