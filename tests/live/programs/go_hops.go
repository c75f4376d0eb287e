// SPDX-License-Identifier: Apache-2.0

// What go_resp.go and go_mysql.go share: work that belongs to one request, in functions that say to which, by goroutines
// that hardly stay on a thread. Builds with Go 1.19.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

var (
	address  = flag.String("listen", "127.0.0.1:0", "where to listen; the first line printed is the address")
	children = flag.Bool("child", false, "half of a request's work is done by another goroutine, in childA, childB, childC")
	still    = flag.Bool("still", false, "requests are not interrupted by anything of their own doing")
	locked   = flag.Bool("lock", false, "each connection's goroutine keeps its thread")
	buffered = flag.Int("buffer", 4096, "bytes of a connection's bufio.Reader")

	shared   sync.Mutex
	handoffs = make(chan chan uint64)
)

// A unit of work: some 20 us.
//
//go:noinline
func spin(seed uint64) uint64 {
	for i := uint64(0); i < 20000; i++ {
		seed = seed*6364136223846793005 + i
	}
	return seed
}

// What a request does between its units; one for each goroutine.
type hopper struct {
	random *rand.Rand
	kept   [][]byte // garbage by and by
	sum    uint64
}

func newHopper(seed int64) *hopper {
	return &hopper{random: rand.New(rand.NewSource(seed)), kept: make([][]byte, 16)}
}

func (h *hopper) hop() {
	if *still {
		return
	}
	switch h.random.Intn(12) {
	case 0:
		runtime.Gosched()
	case 1:
		time.Sleep(time.Duration(h.random.Intn(200)) * time.Microsecond)
	case 2: // to another goroutine, which works a little for everybody, and back
		back := make(chan uint64)
		handoffs <- back
		h.sum += <-back
	case 3: // others wait meanwhile
		shared.Lock()
		h.sum = spin(h.sum)
		runtime.Gosched()
		shared.Unlock()
	case 4, 5:
		h.kept[h.random.Intn(len(h.kept))] = make([]byte, 1024<<h.random.Intn(6))
	}
}

// Serves no request more than another.
//
//go:noinline
func helper() {
	seed := uint64(1)
	for back := range handoffs {
		seed = spin(seed)
		back <- seed
	}
}

// The work of requests A, B and C: alike, but never by the same function.

//go:noinline
func burnA(units int, h *hopper) {
	for i := 0; i < units; i++ {
		h.sum = spin(h.sum)
		h.hop()
	}
}

//go:noinline
func burnB(units int, h *hopper) {
	for i := 0; i < units; i++ {
		h.hop()
		h.sum = spin(h.sum + 1)
	}
}

//go:noinline
func burnC(units int, h *hopper) {
	for i := units; i > 0; i-- {
		h.sum = spin(h.sum + 2)
		h.hop()
	}
}

//go:noinline
func childA(units int, done chan<- uint64) {
	h := newHopper(int64(units))
	for i := 0; i < units; i++ {
		h.sum = spin(h.sum)
		h.hop()
	}
	done <- h.sum
}

//go:noinline
func childB(units int, done chan<- uint64) {
	h := newHopper(int64(units))
	for i := 0; i < units; i++ {
		h.hop()
		h.sum = spin(h.sum + 1)
	}
	done <- h.sum
}

//go:noinline
func childC(units int, done chan<- uint64) {
	h := newHopper(int64(units))
	for i := units; i > 0; i-- {
		h.sum = spin(h.sum + 2)
		h.hop()
	}
	done <- h.sum
}

var works = map[byte]struct {
	burn  func(int, *hopper)
	child func(int, chan<- uint64)
}{'A': {burnA, childA}, 'B': {burnB, childB}, 'C': {burnC, childC}}

// Does the work of one request of this kind; false where there is no such kind.
func work(kind byte, units int, h *hopper) bool {
	w, ok := works[kind]
	if !ok {
		return false
	}
	if *children {
		done := make(chan uint64)
		go w.child(units/2, done)
		units -= units / 2
		defer func() { h.sum += <-done }()
	}
	w.burn(units, h)
	return true
}

// Goroutines that begin when a connection's has ended: the runtime gives them what it used for that one.
//
//go:noinline
func background(units int) {
	h := newHopper(int64(units))
	for i := 0; i < units; i++ {
		h.sum = spin(h.sum + 3)
		h.hop()
	}
}

// What a connection's own goroutine does once it has answered and closed it.
//
//go:noinline
func linger(units int, h *hopper) {
	for i := 0; i < units; i++ {
		h.sum = spin(h.sum + 4)
		h.hop()
	}
}

// Closes a connection, whatever else may have come on it, and works on: here, and in new goroutines.
func hangUp(connection net.Conn, units int, h *hopper) {
	connection.Close()
	linger(units, h)
	go func() { // begins when this one has ended
		for i := 0; i < 3; i++ {
			go background(units)
		}
	}()
}

// Listens and serves until SIGTERM.
func serve(connection func(net.Conn, *hopper)) {
	flag.Parse()
	runtime.GOMAXPROCS(2)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go helper()
	go func() {
		for seed := int64(1); ; seed++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func(seed int64) {
				if *locked {
					runtime.LockOSThread()
				}
				defer c.Close()
				connection(c, newHopper(seed))
			}(seed)
		}
	}()
	fmt.Println(listener.Addr())
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
	<-ended
}
