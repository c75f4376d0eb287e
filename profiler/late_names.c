/* SPDX-License-Identifier: Apache-2.0 */
/* See late_names.h. */
#include <string.h>
#include "../symbolizer/debuginfod.h"
#include "clock.h"
#include "late_names.h"
#include "message.h"

static void wait_for_answers(const volatile sig_atomic_t *stop)
{
	uint64_t deadline = monotonic_ns() + LATE_NAMES_WAIT_MS * 1000000ull, now;
	struct debuginfod_counts c;

	debuginfod_counts(&c);
	if (c.pending)
		message_info("waiting up to %d s for the debug files of %zu objects (DEBUGINFOD_URLS; Ctrl-C ends "
			     "the wait)", LATE_NAMES_WAIT_MS / 1000, c.pending);
	while (c.pending && !*stop && (now = monotonic_ns()) < deadline) {
		uint64_t left_ms = (deadline - now) / 1000000 + 1;

		debuginfod_wait(left_ms < 100 ? (int)left_ms : 100);
		debuginfod_counts(&c);
	}
	if (c.no_library)
		message_warn("DEBUGINFOD_URLS is set, but libdebuginfod.so.1 is not installed (Debian: libdebuginfod1)");
	else if (c.pending)
		message_warn("the debug files of %zu objects did not come in time: functions of theirs may have no "
			     "names; record again, or install the debug symbols", c.pending);
	if (c.failed)
		message_warn("debuginfod: %zu requests failed: %s (see DEBUGINFOD_URLS)", c.failed,
			     strerror(-c.error));
	if (c.found + c.absent + c.pending)
		message_verbose("debuginfod: %zu debug files found, %zu not, %zu pending, %zu not asked for", c.found,
				c.absent, c.pending, c.refused);
}

void late_names_take(struct aggregate *a)
{
	const struct objects *objects = &a->processes->objects;

	for (size_t i = 0; i < objects->n; i++) {
		struct elf_object *elf = objects->list[i].elf;

		if (elf && elf_object_lacks_debug(elf) && debuginfod_has(elf_object_build_id(elf))) {
			elf_object_look_again(elf);
			aggregate_name_again(a, (uint32_t)i);
		}
	}
}

void late_names(struct aggregate *a, const volatile sig_atomic_t *stop)
{
	struct debuginfod_counts c;

	wait_for_answers(stop);
	debuginfod_counts(&c);
	if (c.found)
		late_names_take(a);
}
