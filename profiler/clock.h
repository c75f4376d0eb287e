/* SPDX-License-Identifier: Apache-2.0 */
/* What time it is, and how much of it this process took. */
#ifndef WIREPROF_CLOCK_H
#define WIREPROF_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

uint64_t monotonic_ns(void); /* CLOCK_MONOTONIC, as the kernel side has it */
uint64_t monotonic_ms(void);
uint64_t utc_ns(void);
uint64_t jiffy_ns(void); /* that the kernel counts by */

/* CPU time, user and system, of this process and, if asked, of its children that have ended. */
uint64_t own_cpu_ns(bool children);

#endif
