// Command early plays the programs of a Teranode network of early 2025, on the modules that those were built on: its nodes and
// the bootstrap server of its DHT. Settings come from files in the working directory, read by the library that read them then.
// A test starts it with the name of a part and speaks JSON lines with it.
package main

import (
	"fmt"
	"os"
)

// parts are what this program can be. A part answers commands until its standard input ends.
var parts = map[string]func(*lines) commands{
	"bootstrap": bootstrapCommands,
	"node":      nodeCommands,
}

func main() {
	if len(os.Args) == 2 {
		if part, ok := parts[os.Args[1]]; ok {
			channel := newLines(os.Stdin, os.Stdout)
			channel.serve(part(channel))
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: early <part>, with one JSON command a line on standard input")
	os.Exit(2)
}
