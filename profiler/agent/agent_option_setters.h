/* SPDX-License-Identifier: Apache-2.0 */
/* How the value of each kind of option is checked and kept: `set` of struct agent_option. */
#ifndef WIREPROF_AGENT_OPTION_SETTERS_H
#define WIREPROF_AGENT_OPTION_SETTERS_H

#include "agent_option_table.h"

typedef int agent_option_set(struct option_taker *t, const struct agent_option *option, const char *text);

agent_option_set set_pids, set_target_name, set_all;	      /* the target; least: its kind */
agent_option_set set_number, set_mib;			      /* from least to most; bytes in uint64_t */
agent_option_set set_flag, set_parts, set_verbosity, set_keys, set_overhead; /* least: what to set where it is yes */
agent_option_set set_path, set_url, set_listen, set_tenant, set_service;
agent_option_set add_label, add_host;

#endif
