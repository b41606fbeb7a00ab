package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// maxLine bounds a command: 10,000 notifications in one are below a megabyte.
const maxLine = 4 << 20

// commands are what a part can be told to do, by name. Each runs on its own; its result is the answer.
type commands map[string]func(arguments json.RawMessage) (any, error)

// command makes a typed function one of the commands: fields that it does not know are errors, so that a test cannot ask in vain.
func command[A any](do func(arguments A) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var arguments A
		if err := strictly(raw, &arguments); err != nil {
			return nil, err
		}
		return do(arguments)
	}
}

// lines is the conversation with the test: commands and answers with the same number, and events in between.
type lines struct {
	in  *bufio.Scanner
	mu  sync.Mutex
	out *json.Encoder
}

func newLines(in io.Reader, out io.Writer) *lines {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &lines{in: scanner, out: encoder}
}

// event tells the test what happened by itself.
func (l *lines) event(name string, value any) {
	l.write(map[string]any{"event": name, "value": value})
}

func (l *lines) write(line any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.Encode(line); err != nil {
		// Nobody listens any more.
		os.Exit(1)
	}
}

// serve answers commands until the input ends. A command that panics ends the program, as it should.
func (l *lines) serve(known commands) {
	for l.in.Scan() {
		var line struct {
			ID   int             `json:"id"`
			Do   string          `json:"do"`
			With json.RawMessage `json:"with"`
		}
		if err := strictly(l.in.Bytes(), &line); err != nil {
			fmt.Fprintln(os.Stderr, "not a command:", err)
			os.Exit(2)
		}
		do, ok := known[line.Do]
		if !ok {
			l.write(map[string]any{"id": line.ID, "error": "no command " + line.Do})
			continue
		}
		go func() {
			result, err := do(line.With)
			if err != nil {
				l.write(map[string]any{"id": line.ID, "error": err.Error()})
				return
			}
			l.write(map[string]any{"id": line.ID, "result": result})
		}()
	}
}

// strictly decodes JSON that may have no field but those of value.
func strictly(data []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}
