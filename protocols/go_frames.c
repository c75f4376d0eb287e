/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of Go's runtime that serve no request, whatever goroutine their thread last ran:
 *
 *	goexit -> gcBgMarkWorker -> systemstack -> gcBgMarkWorker.func2 -> gcDrain	the runtime's own goroutines
 *	mcall -> park_m -> schedule -> findRunnable -> netpoll				between goroutines
 *	mstart -> mstart1 -> sysmon							the runtime's own threads
 *
 * All else is a goroutine's: what it allocates, with its share of marking (gcAssistAlloc) and sweeping, a collection that it
 * starts, its stack that grows (morestack -> newstack -> copystack), its calls that wake others (ready, wakep, startm), what
 * it has done on the system stack, a panic's recovery, and the switch to a coroutine (coroswitch_m). A goroutine's stack
 * never lies outside of the scheduler's frames, nor these outside of a goroutine's: so one frame says enough.
 *
 * Names are those of Go 1.13 to 1.27.
 */
#include <string.h>
#include "go_frames.h"

static const char *const background[] = {
	/* goroutines */
	"bgscavenge",
	"bgsweep",
	"forcegchelper",
	"gcBgMarkWorker",
	"runCleanups",	 /* Go 1.25: it and runFinalizers, before runfinq */
	"runFinalizers", /* the program's own code, but on no request's behalf */
	"runfinq",
	"timerproc", /* until Go 1.13 */
	"updateMaxProcsGoroutine", /* Go 1.25 */
	/* the scheduler: where a goroutine gives its thread away, and what looks for the next one */
	"exitsyscall0",
	"exitsyscallNoP", /* Go 1.26: it was exitsyscall0 */
	"findRunnable",
	"findrunnable", /* until Go 1.18 */
	"goexit0",
	"gopreempt_m",
	"goschedImpl",
	"gosched_m",
	"goschedguarded_m",
	"goyield_m",
	"park_m",
	"preemptPark",
	"schedule",
	"stoplockedm",
	"stopm",
	/* threads */
	"sysmon",
	"templateThread",
};

void go_frame(struct slice function, struct query_frame *out)
{
	static const char package[] = "runtime.";
	struct slice name;

	*out = (struct query_frame){.kind = FRAME_PLAIN};
	if (function.len < sizeof(package) - 1 || memcmp(function.ptr, package, sizeof(package) - 1))
		return;
	name = (struct slice){function.ptr + sizeof(package) - 1, function.len - (sizeof(package) - 1)};
	for (size_t i = 0; i < sizeof(background) / sizeof(background[0]); i++) {
		size_t n = strlen(background[i]);

		/* ".func1" are its closures. */
		if (name.len < n || memcmp(name.ptr, background[i], n) || (name.len > n && name.ptr[n] != '.'))
			continue;
		out->kind = FRAME_BACKGROUND;
		return;
	}
}
