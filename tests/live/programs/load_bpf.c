/* SPDX-License-Identifier: Apache-2.0 */
/* load_bpf FILE SECONDS: attaches the programs of a BPF object file for that long. */
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bpf_object *object = argc == 3 ? bpf_object__open_file(argv[1], NULL) : NULL;
	struct bpf_program *program;

	if (!object || bpf_object__load(object))
		return 1;
	bpf_object__for_each_program(program, object)
		if (!bpf_program__attach(program))
			return 1;
	return usleep((useconds_t)(atof(argv[2]) * 1e6)) ? 1 : 0;
}
