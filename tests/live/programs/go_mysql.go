// SPDX-License-Identifier: Apache-2.0

// A server of MySQL's protocol, a goroutine a connection (with go_hops.go). A statement that has burn_a, burn_b or burn_c
// costs as many units (20 us each) in burnA, burnB, burnC as the number at its end says:
//
//	SELECT v FROM burn_a WHERE n = 30
//
// COM_QUIT is answered by linger and background, 20 units each, without waiting for the client to close.
package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strconv"
)

var burns = regexp.MustCompile(`burn_([abc])\b.*?(\d+)\D*$`)

func packet(sequence byte, payload []byte) []byte {
	header := make([]byte, 4, 4+len(payload))
	binary.LittleEndian.PutUint32(header, uint32(len(payload))|uint32(sequence)<<24)
	return append(header, payload...)
}

func greeting() []byte {
	text := "\x0a8.0.36-goroutines\x00" + "\x01\x00\x00\x00" + "12345678\x00" +
		"\xdf\xf7" + "\x2d" + "\x02\x00" + "\xff\x81" + "\x15" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"123456789012\x00mysql_native_password\x00"
	return packet(0, []byte(text))
}

func readPacket(in *bufio.Reader) (byte, []byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return 0, nil, err
	}
	payload := make([]byte, binary.LittleEndian.Uint32(header[:])&0xffffff)
	_, err := io.ReadFull(in, payload)
	return header[3], payload, err
}

func query(text []byte, h *hopper) {
	found := burns.FindSubmatch(text)
	if found != nil {
		units, _ := strconv.Atoi(string(found[2]))
		work(found[1][0]-'a'+'A', units, h)
	}
}

func serveMySQL(connection net.Conn, h *hopper) {
	in := bufio.NewReaderSize(connection, *buffered)
	connection.Write(greeting())
	for greeted := false; ; greeted = true {
		sequence, payload, err := readPacket(in)
		if err != nil || len(payload) == 0 {
			return
		}
		if greeted && payload[0] == 1 {
			hangUp(connection, 20, h)
			return
		}
		if greeted && payload[0] == 3 {
			query(payload[1:], h)
		}
		if _, err := connection.Write(packet(sequence+1, []byte("\x00\x00\x00\x02\x00\x00\x00"))); err != nil {
			return
		}
	}
}

func main() {
	serve(serveMySQL)
}
