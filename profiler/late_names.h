/* SPDX-License-Identifier: Apache-2.0 */
/* Names that come when the recording has ended: those in debug files that a debuginfod server was asked for. */
#ifndef WIREPROF_LATE_NAMES_H
#define WIREPROF_LATE_NAMES_H

#include <signal.h>
#include "aggregate.h"

#define LATE_NAMES_WAIT_MS 5000

/*
 * Waits for answers that are due, at most LATE_NAMES_WAIT_MS and until *stop, after a message; then names the
 * functions of the objects whose debug files came. Nothing to wait for: no message, no time.
 */
void late_names(struct aggregate *a, const volatile sig_atomic_t *stop);

/* Without waiting. */
void late_names_take(struct aggregate *a);

#endif
