// SPDX-License-Identifier: Apache-2.0

// FerretDB, a MongoDB server on goroutines, inside a program of ours: ferretdb ADDRESS DIRECTORY. Prints the address
// that it listens at; the data are SQLite files in the directory. Ends on SIGTERM.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	address, err := url.Parse(server.MongoDBURI()) // waits for the listener
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(address.Host)
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}
