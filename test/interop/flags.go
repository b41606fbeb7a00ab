package main

import (
	"flag"
	"io"
)

// flagsCommands read command lines as Go's package flag does.
func flagsCommands(*lines) commands {
	return commands{"p2p": command(p2pFlags)}
}

// p2pFlags says of each argument whether a boolean flag p2p is on with it alone.
func p2pFlags(asked struct {
	Args []string `json:"args"`
}) (any, error) {
	answers := map[string]bool{}
	for _, arg := range asked.Args {
		set := flag.NewFlagSet("teranode", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		p2p := set.Bool("p2p", false, "")
		err := set.Parse([]string{arg})
		answers[arg] = err == nil && *p2p
	}
	return answers, nil
}
