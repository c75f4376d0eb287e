/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this process is where the kernel side is: in the machine's own namespaces, not a container's. */
#ifndef WIREPROF_NAMESPACES_H
#define WIREPROF_NAMESPACES_H

#include <stdbool.h>

bool in_first_pid_namespace(void);  /* or else process ids here are not those that the kernel side sees */
bool in_first_user_namespace(void); /* or else capabilities do not count for BPF */

#endif
