/* SPDX-License-Identifier: Apache-2.0 */
/* The rare branches of the cores that a simulation runs (libcommon/base/mark.h). */
#ifndef CORRAL_TESTS_SIM_MARKS_H
#define CORRAL_TESTS_SIM_MARKS_H

/* Say which were never taken by this process, and how many there are. */
void marks_print(void);

#endif
