/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_VERSION_H
#define WIREPROF_VERSION_H

#define WIREPROF_VERSION "0.7.0"

#endif
