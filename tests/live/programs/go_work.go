// SPDX-License-Identifier: Apache-2.0

// A Go program that is busy on all kinds of stacks: deep recursion that grows them, maps, regular expressions,
// garbage, the clock (which is called on another stack), channels. It ends by itself.
package main

import (
	"fmt"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"time"
)

type number interface{ ~int | ~int64 }

type tree[T number] struct {
	left, right *tree[T]
	value       T
}

func grow[T number](depth int) *tree[T] {
	if depth == 0 {
		return &tree[T]{value: 1}
	}
	return &tree[T]{grow[T](depth - 1), grow[T](depth - 1), T(depth)}
}

//go:noinline
func (t *tree[T]) sum() T {
	if t == nil {
		return 0
	}
	return t.value + t.left.sum() + t.right.sum()
}

//go:noinline
func deep(n int, f func()) int {
	if n == 0 {
		f()
		return 1
	}
	return deep(n-1, f) + 1
}

var pattern = regexp.MustCompile("(a+b)*c[0-9]+")

func inner(x int) int { return x*x + 1 }
func outer(x int) int { return inner(x) ^ inner(x+1) }

var sink int

func work() {
	counts := map[string]int{}
	for i := 0; i < 2000; i++ {
		counts[fmt.Sprint(i%500)] += outer(i)
	}
	keys := make([]string, 0)
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	pattern.MatchString(strings.Repeat("aabaab", 100) + "c12")
	sink += int(grow[int64](10).sum())
	for i := 0; i < 1000; i++ {
		sink += int(time.Now().UnixNano() & 1)
	}
}

// What fresh goroutines do is on stacks that have to grow first.
func spawn(done chan int) {
	go func() { done <- deep(200, func() { extra(); work() }) }()
}

func main() {
	done := make(chan int)
	end := time.Now().Add(60 * time.Second)
	for i := 0; i < runtime.NumCPU(); i++ {
		spawn(done)
	}
	fmt.Println("ready")
	for time.Now().Before(end) {
		<-done
		spawn(done)
	}
}
