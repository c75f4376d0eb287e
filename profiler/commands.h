/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands. Each takes its own words (argv[0] is its name) and returns the exit status. */
#ifndef WIREPROF_COMMANDS_H
#define WIREPROF_COMMANDS_H

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_record(int argc, char **argv);
int command_agent(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
