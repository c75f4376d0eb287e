/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded connections, for the kernel side's code on the host: NAME.SUFFIX has the chunks {'C' or 'S', length 4, bytes},
 * NAME.txt a line a command. conversation.c also has the kernel's helpers, but for those of maps.
 */
#ifndef REPLAY_CONVERSATION_H
#define REPLAY_CONVERSATION_H

#include <stddef.h>
#include <stdint.h>

#define CONVERSATION_LINES 4096

struct conversation {
	char name[256];
	uint8_t *bytes;
	size_t size;
	char *text; /* of the expectations */
	char *lines[CONVERSATION_LINES];
	size_t n_lines;
};

/* Calls back for each of the directory's NAME.SUFFIX. Returns their number; ends the program where there are none. */
int conversations(const char *directory, const char *suffix, void (*replay)(struct conversation *c));

/* The same numbers in each run. */
uint32_t next_random(uint32_t below);

#endif
