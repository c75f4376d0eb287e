// SPDX-License-Identifier: Apache-2.0

// C called from Go, which calls Go again, which calls C.
package main

/*
#include <stdlib.h>
extern int back(int);
static __attribute__((noinline)) int spin(int n)
{
	volatile int x = 0;

	for (int i = 0; i < n; i++)
		x += i;
	return x;
}
static __attribute__((noinline)) int call_back(int n)
{
	return back(n) + spin(n);
}
*/
import "C"

//export back
func back(n C.int) C.int {
	return deepC(20, n)
}

//go:noinline
func deepC(depth int, n C.int) C.int {
	if depth == 0 {
		return C.spin(n)
	}
	return deepC(depth-1, n) + 1
}

func extra() {
	sink += int(C.call_back(200000))
}
