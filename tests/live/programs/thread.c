/* SPDX-License-Identifier: Apache-2.0 */
/* A second thread spins, some calls deep; the first one waits for it, or (with an argument) is gone. */
#include <pthread.h>
#include "burn.h"

volatile long sink;

ALONE long spin_in_thread(long n)
{
	tell_busy();
	for (;;)
		sink += n;
	return sink;
}

ALONE long inner(long n)
{
	return spin_in_thread(n + 1) + sink;
}

ALONE void *thread_main(void *arg)
{
	return (void *)(inner((long)arg) + 1);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	(void)argv;
	pthread_create(&thread, NULL, thread_main, NULL);
	if (argc > 1)
		pthread_exit(NULL);
	return pthread_join(thread, NULL);
}
