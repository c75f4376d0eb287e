/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_TRUNCATED_FILES_H
#define WIREPROF_TRUNCATED_FILES_H

/*
 * Objects are read through mappings of their files. Where somebody truncates such a file in place, the
 * pages behind its new end raise SIGBUS; from this call on they read as zeroes instead, and the parsers
 * find what they find.
 */
void survive_truncated_files(void);

#endif
