/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `wireprof doctor` that asks the system how it is set up: nothing is loaded for it. */
#ifndef WIREPROF_DOCTOR_SYSTEM_H
#define WIREPROF_DOCTOR_SYSTEM_H

enum finding {
	FINDING_OK,
	FINDING_NOTE, /* recording works, and something is missing from it */
	FINDING_FAIL
};

/* Prints a finding; the advice only where it is not OK. FAIL makes the doctor's exit status 1. */
void doctor_report(enum finding finding, const char *what, const char *state, const char *advice);

void doctor_check_kernel(void);	      /* version, types, lockdown, settings */
void doctor_check_capabilities(void); /* which are missing, what for, how to get them */
void doctor_check_surroundings(void); /* namespaces, security modules, cgroups */

/* What else may stand behind "Operation not permitted", for an advice: a filter of system calls; or NULL. */
const char *doctor_seccomp(void);

#endif
