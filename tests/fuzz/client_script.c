/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/client_script.h"

bool
script_next(const uint8_t *bytes, size_t size, size_t *at, struct script_line *line)
{
	const uint8_t *p = bytes + *at;
	size_t left = size - *at, len;

	if (left < SCRIPT_LINE_HEAD_BYTES)
		return false;
	len = (size_t)p[2] << 8 | p[3];
	left -= SCRIPT_LINE_HEAD_BYTES;
	*line = (struct script_line){.kind = p[0],
	    .peer = p[1],
	    .bytes = p + SCRIPT_LINE_HEAD_BYTES,
	    .size = len < left ? len : left};
	*at += SCRIPT_LINE_HEAD_BYTES + line->size;
	return true;
}
