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

// While C calls Go, C's frames point into the goroutine's stack: where it was before it had to grow. So it grows first.
//
//go:noinline
func room(depth int) int {
	var block [512]byte
	if depth == 0 {
		return 0
	}
	block[depth] = 1
	return room(depth-1) + int(block[depth])
}

func extra() {
	sink += room(64)
	sink += int(C.call_back(200000))
}
