/* SPDX-License-Identifier: Apache-2.0 */
/*
 * go_frame(): names of the runtime's own work as Go 1.13 to 1.27 have them in their tables; and those of what it does for a
 * goroutine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/go_frames.h"

static void expect_kind(const char *function, enum frame_kind kind)
{
	struct slice name = guard_copy(function, strlen(function));
	struct query_frame frame = {.kind = FRAME_REPLY, .operations = (const char *const[]){NULL}};

	go_frame(name, &frame);
	guard_free(name);
	if (frame.kind != kind)
		fail_msg("%s: %d, not %d", function, frame.kind, kind);
	assert_null(frame.operations);
}

static void test_background(void **state)
{
	static const char *const names[] = {
		"runtime.gcBgMarkWorker", "runtime.gcBgMarkWorker.func1", "runtime.gcBgMarkWorker.func2",
		"runtime.bgsweep", "runtime.bgscavenge", "runtime.bgscavenge.func2", "runtime.forcegchelper", "runtime.runfinq",
		"runtime.runFinalizers", "runtime.runCleanups", "runtime.timerproc", "runtime.updateMaxProcsGoroutine",
		"runtime.schedule", "runtime.findRunnable", "runtime.findrunnable", "runtime.park_m", "runtime.goschedImpl",
		"runtime.gosched_m", "runtime.goschedguarded_m", "runtime.gopreempt_m", "runtime.preemptPark",
		"runtime.goyield_m", "runtime.goexit0", "runtime.exitsyscall0", "runtime.exitsyscallNoP", "runtime.stopm",
		"runtime.stoplockedm", "runtime.sysmon", "runtime.templateThread",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_kind(names[i], FRAME_BACKGROUND);
}

static void test_plain(void **state)
{
	static const char *const names[] = {
		/* a goroutine's, whoever runs it */
		"runtime.goexit", "runtime.main", "main.main", "runtime.mstart", "runtime.mstart1", "runtime.rt0_go",
		"runtime.systemstack", "runtime.mcall", "runtime.morestack", "runtime.gogo", "runtime.asmcgocall",
		/* what a goroutine asked for */
		"runtime.mallocgc", "runtime.gcAssistAlloc", "runtime.gcAssistAlloc.func2", "runtime.gcAssistAlloc1",
		"runtime.gcDrain", "runtime.gcDrainN", "runtime.gcStart", "runtime.gcStart.func1", "runtime.GC", "runtime.sweepone",
		"runtime.deductSweepCredit", "runtime.newstack", "runtime.copystack", "runtime.gopark", "runtime.goready",
		"runtime.ready", "runtime.wakep", "runtime.startm", "runtime.newm", "runtime.newproc", "runtime.Gosched",
		"runtime.goschedIfBusy", "runtime.recovery", "runtime.coroswitch_m", "runtime.exitsyscall",
		"runtime.exitsyscall.func1", "runtime.exitsyscallfast", "runtime.entersyscall", "runtime.gcBgMarkStartWorkers",
		"runtime.asyncPreempt", "runtime.asyncPreempt2", "runtime.sigtramp", "runtime.sighandler", "runtime.futex",
		/* other names, other packages */
		"", "runtime", "runtime.", "runtime.s", "runtime.schedul", "runtime.schedules", "runtime.schedule_", "runtime.sysmonUpdateGOMAXPROCS",
		"runtime.forcegcperiod", "runtime.stopmany", "main.schedule", "schedule", "runtime/debug.schedule", "xruntime.schedule",
		"example.com/runtime.schedule", "main.runtime.schedule", "Runtime.schedule", "runtime.Schedule",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_kind(names[i], FRAME_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests_name("go_frames", tests, NULL, NULL);
}
