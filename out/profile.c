/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding of weights, shared by every writer.
 *
 * A sample of a pipelined batch is split over the commands of the batch, so weights are fractions of a
 * sample while pprof and folded stacks hold integers. Rounding each value by itself would make 0.4 + 0.4
 * + 0.2 samples vanish. Instead each value is the step that the rounded running sum takes: the total is
 * right to half a unit however many values there are, and so is the sum of any contiguous run.
 */
#include "out/profile.h"

uint64_t profile_round(struct profile_rounding *state, uint64_t weight, uint64_t scale)
{
	const uint64_t one = PROFILE_SAMPLE_WEIGHT;
	uint64_t whole, fraction, total, step;

	state->weight_sum += weight;
	/* weight_sum * scale could leave 128 bits only after 2^64 whole samples: split all the same. */
	whole = (uint64_t)(state->weight_sum / one);
	fraction = (uint64_t)(state->weight_sum % one);
	total = whole * scale + (uint64_t)(((unsigned __int128)fraction * scale + one / 2) / one);
	step = total - state->given;
	state->given = total;
	return step;
}
