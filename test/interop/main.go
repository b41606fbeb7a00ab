// Command neighbour plays the programs around a Teranode P2P server, on the modules that those programs are made of: peers of
// both generations, the client of its gRPC service and the servers that it calls. A test starts it with the name of a part and
// speaks JSON lines with it.
package main

import (
	"fmt"
	"os"
)

// parts are what this program can be. A part answers commands until its standard input ends.
var parts = map[string]func(*lines) commands{
	"bus":         busCommands,
	"decode":      decodeCommands,
	"flags":       flagsCommands,
	"grpc-client": grpcClientCommands,
	"grpc-server": grpcServerCommands,
	"hostile":     hostileCommands,
	"params":      paramsCommands,
	"peer":        peerCommands,
}

func main() {
	if len(os.Args) == 2 {
		if part, ok := parts[os.Args[1]]; ok {
			channel := newLines(os.Stdin, os.Stdout)
			channel.serve(part(channel))
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: neighbour <part>, with one JSON command a line on standard input")
	os.Exit(2)
}
