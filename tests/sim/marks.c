/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/marks.h"

#include <stdio.h>

#include "libcommon/base/mark.h"

extern struct core_mark __start_core_marks[], __stop_core_marks[];

void
marks_print(void)
{
	unsigned never = 0, all = 0;

	for (const struct core_mark *m = __start_core_marks; m < __stop_core_marks; m++, all++)
		if (m->count == 0) {
			printf("never: %s\n", m->name);
			never++;
		}
	printf("%u rare branches, %u of them never taken\n", all, never);
}
