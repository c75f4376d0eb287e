/* SPDX-License-Identifier: Apache-2.0 */
/* See read_up_to.h. */
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
#include "read_up_to.h"

int read_up_to(int fd, void *to, size_t room, size_t *n)
{
	for (*n = 0; *n < room;) {
		ssize_t got = read(fd, (char *)to + *n, room - *n);

		if (!got)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		*n += got > 0 ? got : 0;
	}
	return 0;
}
