/* SPDX-License-Identifier: Apache-2.0 */
/* See cpu_accounts.h. */
#include <stdlib.h>
#include <time.h>
#include "cpu_accounts.h"

#define MAX_ACCOUNTS 65536

uint64_t process_cpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return CPU_NOT_KNOWN;
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void cpu_accounts_init(struct cpu_accounts *a)
{
	*a = (struct cpu_accounts){.list = NULL};
	intern_init(&a->pids, MAX_ACCOUNTS);
}

void cpu_accounts_fini(struct cpu_accounts *a)
{
	intern_fini(&a->pids);
	free(a->list);
	a->list = NULL;
}

static struct cpu_account *find(const struct cpu_accounts *a, pid_t pid)
{
	uint32_t id = intern_find(&a->pids, &pid, sizeof(pid));

	return id == INTERN_NONE ? NULL : &a->list[id];
}

/* The account, made if there is none; NULL: no room. */
static struct cpu_account *open_account(struct cpu_accounts *a, pid_t pid)
{
	uint32_t known = a->pids.n, id;

	if (array_reserve((void **)&a->list, &a->capacity, known, sizeof(*a->list)))
		return NULL;
	id = intern(&a->pids, &pid, sizeof(pid));
	if (id == INTERN_NONE)
		return NULL;
	if (id == known)
		a->list[id] = (struct cpu_account){.whole = true};
	return &a->list[id];
}

void cpu_accounts_add(struct cpu_accounts *a, pid_t pid, uint64_t from_ns)
{
	struct cpu_account *account = open_account(a, pid);

	if (!account)
		return;
	if (account->live) /* its end went unseen */
		account->whole = false;
	account->live = true;
	account->from_ns = from_ns;
	if (from_ns == CPU_NOT_KNOWN) {
		account->whole = false;
		account->from_ns = process_cpu_ns(pid);
	}
}

void cpu_accounts_end(struct cpu_accounts *a, pid_t pid, uint64_t total_ns)
{
	struct cpu_account *account = find(a, pid);

	if (!account || !account->live)
		return;
	account->live = false;
	if (total_ns == CPU_NOT_KNOWN || total_ns < account->from_ns)
		account->whole = false;
	else
		account->used_ns += total_ns - account->from_ns;
}

/* Up to now. False where that cannot be read. */
static bool bring_up_to_date(struct cpu_account *account, pid_t pid)
{
	uint64_t now_ns = process_cpu_ns(pid);

	if (now_ns == CPU_NOT_KNOWN || now_ns < account->from_ns)
		return false;
	account->used_ns += now_ns - account->from_ns;
	account->from_ns = now_ns;
	return true;
}

void cpu_accounts_end_window(struct cpu_accounts *a)
{
	a->ended = true;
	for (uint32_t i = 0; i < a->pids.n; i++) {
		struct cpu_account *account = &a->list[i];

		if (account->live && !bring_up_to_date(account, *(const pid_t *)intern_key(&a->pids, i, NULL)))
			account->whole = false;
	}
}

void cpu_accounts_begin_window(struct cpu_accounts *a)
{
	struct cpu_accounts before = *a;

	cpu_accounts_init(a);
	for (uint32_t i = 0; i < before.pids.n; i++)
		if (before.list[i].live)
			cpu_accounts_add(a, *(const pid_t *)intern_key(&before.pids, i, NULL), before.list[i].from_ns);
	cpu_accounts_fini(&before);
}

uint64_t cpu_accounts_used(const struct cpu_accounts *a, pid_t pid)
{
	const struct cpu_account *account = find(a, pid);
	struct cpu_account now;

	if (!account || !account->whole)
		return 0;
	now = *account;
	return now.live && !a->ended && !bring_up_to_date(&now, pid) ? 0 : now.used_ns;
}
