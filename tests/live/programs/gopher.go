// SPDX-License-Identifier: Apache-2.0

// What Go programs do all day: goroutines and channels, maps, closures, interfaces, encoding, sorting, garbage.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strings"
)

type shape interface{ area(depth int) float64 }
type square float64
type group []shape

func (s square) area(depth int) float64 { return float64(s*s) + float64(depth) }
func (g group) area(depth int) (sum float64) {
	for _, s := range g {
		sum += s.area(depth - 1)
	}
	return
}

func nested(levels int) group {
	g := group{square(1), square(2), square(3)}
	if levels > 0 {
		g = append(g, nested(levels-1))
	}
	return g
}

type record struct {
	Name string         `json:"name"`
	Tags []string       `json:"tags"`
	Of   map[string]int `json:"of"`
}

var word = regexp.MustCompile(`(\w+)-(\d+)`)

func encode(n int) int {
	r := record{Name: fmt.Sprintf("record-%d", n), Of: map[string]int{}}
	for i := 0; i < 20; i++ {
		r.Tags = append(r.Tags, strings.Repeat("t", i))
		r.Of[fmt.Sprint(i*n)] = i
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var back record
	if err := json.Unmarshal(text, &back); err != nil {
		panic(err)
	}
	return len(word.FindStringSubmatch(back.Name)[2])
}

func sorting(n int) int {
	values := make([]int, 5000)
	for i := range values {
		values[i] = (i*7919 + n) % 10007
	}
	sort.Slice(values, func(a, b int) bool { return values[a] < values[b] })
	return values[len(values)/2]
}

func recovering(n int) (result int) {
	defer func() {
		if recover() != nil {
			result = n
		}
	}()
	var nothing []int
	return nothing[n]
}

func worker(in <-chan int, out chan<- float64) {
	shapes := nested(40)
	for n := range in {
		out <- float64(encode(n)+sorting(n)+recovering(n)) + shapes.area(100)
	}
}

func main() {
	in, out := make(chan int), make(chan float64)
	for i := 0; i < 2*runtime.NumCPU(); i++ {
		go worker(in, out)
	}
	fmt.Println("busy")
	go func() {
		for n := 1; ; n++ {
			in <- n
		}
	}()
	sum := 0.0
	for x := range out {
		sum += x
	}
	fmt.Fprintln(os.Stderr, sum)
}
