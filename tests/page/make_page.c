/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the sample profile for tests that look at files from outside (a browser, go tool pprof):
 *
 *	make_page DIR		sample.html sample.pb.gz sample.folded empty.html
 *	make_page DIR big	big.html big.pb.gz: 50 000 stacks, 5 000 classes
 */
#include "sample_profile.h"

#include <fcntl.h>
#include <unistd.h>

static int make(const struct profile *p, int (*write_profile)(const struct profile *, int),
		const char *dir, const char *name)
{
	char path[4096];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		perror(path);
		return 1;
	}
	ret = write_profile(p, fd);
	if (ret)
		fprintf(stderr, "%s: cannot write the profile: %s\n", path, strerror(-ret));
	close(fd);
	return !!ret;
}

int main(int argc, char **argv)
{
	int big = argc == 3 && !strcmp(argv[2], "big"), ret = 0;
	struct sample_profile *s;

	if (argc != 2 && !big) {
		fprintf(stderr, "usage: make_page DIR [big]\n");
		return 2;
	}
	s = big ? sample_profile_big(50000, 5000) : sample_profile_new();
	ret |= make(&s->p, flamegraph_write, argv[1], big ? "big.html" : "sample.html");
	ret |= make(&s->p, pprof_write, argv[1], big ? "big.pb.gz" : "sample.pb.gz");
	ret |= make(&s->p, folded_write, argv[1], big ? "big.folded" : "sample.folded");
	sample_profile_free(s);
	if (!big) {
		s = sample_profile_empty(16);
		ret |= make(&s->p, flamegraph_write, argv[1], "empty.html");
		ret |= make(&s->p, pprof_write, argv[1], "empty.pb.gz");
		sample_profile_free(s);
	}
	return ret;
}
