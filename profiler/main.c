/* SPDX-License-Identifier: Apache-2.0 */
/* wireprof: which database query every CPU sample was spent on. The subcommands, and nothing else. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "message.h"
#include "version.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"record", command_record, "record a profile of a process or command"},
	{"agent", command_agent, "profile for weeks: to Pyroscope, files, a live page"},
	{"doctor", command_doctor, "say what works on this machine, and what does not"},
};

static void usage(FILE *to)
{
	fputs("usage: wireprof COMMAND [options]\n\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nwireprof COMMAND --help tells more, wireprof --version which one this is.\n", to);
}

/* A descriptor that is opened later must not be taken for stdout or stderr. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	open_standard_streams();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("wireprof " WIREPROF_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	message_error("unknown command \"%s\"; see wireprof --help", argv[1]);
	return EXIT_USAGE;
}
