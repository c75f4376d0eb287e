// SPDX-License-Identifier: Apache-2.0

// A server of RESP, a goroutine a connection (with go_hops.go):
//
//	DECRBY key n, INCRBY key n, LPUSH key n	n units of work (20 us each) in burnA, burnB, burnC; +OK
//	SAVE n					+OK; closes the connection without reading to its end, and works in linger and background
//	PING					+PONG
//
// Redis's names, since others are not shown: they might be anything.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

const longest = 1 << 20 // words in an array, bytes in a word

var kinds = map[string]byte{"DECRBY": 'A', "INCRBY": 'B', "LPUSH": 'C'}

func readNumber(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	line = strings.TrimRight(line, "\r\n")
	if len(line) == 0 || line[0] != kind {
		return 0, fmt.Errorf("expected %c: %q", kind, line)
	}
	n, err := strconv.Atoi(line[1:])
	if err == nil && (n < 0 || n > longest) {
		err = fmt.Errorf("too long: %d", n)
	}
	return n, err
}

func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readNumber(in, '*')
	if err != nil {
		return nil, err
	}
	var words []string
	for i := 0; i < n; i++ {
		size, err := readNumber(in, '$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

func unitsOf(words []string) int {
	n, _ := strconv.Atoi(words[len(words)-1])
	return n
}

func answer(words []string, h *hopper) string {
	switch {
	case len(words) == 1 && words[0] == "PING":
		return "+PONG\r\n"
	case len(words) == 3 && work(kinds[words[0]], unitsOf(words), h):
		return "+OK\r\n"
	}
	return "-ERR unknown command\r\n"
}

func serveRESP(connection net.Conn, h *hopper) {
	in := bufio.NewReaderSize(connection, *buffered)
	out := bufio.NewWriter(connection)
	for {
		words, err := readCommand(in)
		if err != nil || len(words) == 0 {
			return
		}
		if words[0] == "SAVE" {
			out.WriteString("+OK\r\n")
			out.Flush()
			hangUp(connection, unitsOf(words), h)
			return
		}
		out.WriteString(answer(words, h))
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func main() {
	serve(serveRESP)
}
