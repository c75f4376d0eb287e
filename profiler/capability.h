/* SPDX-License-Identifier: Apache-2.0 */
/* The capabilities that wireprof needs where it is not root, and which of them this process lacks. */
#ifndef WIREPROF_CAPABILITY_H
#define WIREPROF_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>

struct capability {
	int number;
	int or_number;	      /* another that the kernel takes as well; -1: none */
	const char *name;     /* "CAP_BPF" */
	const char *needed_for;
	bool vital;	      /* nothing can be loaded without */
};

extern const struct capability needed_capabilities[];
extern const size_t n_needed_capabilities;

bool capability_is_missing(const struct capability *c);
/* Any that is not in the table, by its number. */
bool capability_is_there(int number);

/*
 * For the message where loading is refused: if a vital one is missing, all that are missing, "CAP_BPF, CAP_PERFMON";
 * else "", as then it was refused for another reason.
 */
void missing_capabilities(char *out, size_t size);

#endif
