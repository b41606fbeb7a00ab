// Blocks as they are announced, none missed: over an end of the server, and of this program, it goes on where it was.
//
// go run feed.go [URL of a server] [file for the cursor]: the standard library alone, by server-sent events.
// P2P_FEED_TOKEN has the token, where the server wants one.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"
)

// silence is how long a living server never says nothing: it sends something every 15 s.
const silence = 40 * time.Second

type frame struct {
	Height     uint32
	Hash       string
	Code, Text string
}

func argument(index int, otherwise string) string {
	if len(os.Args) > index {
		return os.Args[index]
	}
	return otherwise
}

// follow reads one stream to its end.
func follow(url, file string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events?kinds=block", nil)
	if err != nil {
		return err
	}
	if token := os.Getenv("P2P_FEED_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	switch cursor, err := os.ReadFile(file); {
	case errors.Is(err, fs.ErrNotExist):
		// The first time: it begins at now.
	case err != nil:
		return err
	case len(cursor) == 0:
		fmt.Fprintln(os.Stderr, file, "is empty")
		os.Exit(1)
	default:
		request.Header.Set("Last-Event-ID", string(cursor))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		// What is wrong with the question does not pass.
		problem, _ := io.ReadAll(answer.Body)
		fmt.Fprintln(os.Stderr, string(problem))
		os.Exit(1)
	default:
		return fmt.Errorf("refused with %s", answer.Status)
	}
	// An event is lines of `name: value` with an empty one at its end.
	event := map[string]string{}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		watch.Reset(silence)
		if name, value, _ := strings.Cut(lines.Text(), ":"); name != "" {
			event[name] = strings.TrimPrefix(value, " ")
			continue
		}
		if lines.Text() != "" || event["data"] == "" {
			continue
		}
		var told frame
		if err := json.Unmarshal([]byte(event["data"]), &told); err != nil {
			return err
		}
		switch event["event"] {
		case "block":
			fmt.Println("block", told.Height, told.Hash)
		case "info", "error":
			fmt.Fprintln(os.Stderr, told.Code+":", told.Text)
		}
		// When it has been handled: what was at hand at an end comes again.
		if cursor := event["id"]; cursor != "" {
			if err := os.WriteFile(file+".new", []byte(cursor), 0o644); err != nil {
				return err
			}
			if err := os.Rename(file+".new", file); err != nil {
				return err
			}
		}
		event = map[string]string{}
	}
	return lines.Err()
}

func main() {
	url, file := argument(1, "http://localhost:9906"), argument(2, "feed.cursor")
	for {
		if err := follow(url, file); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(time.Second)
	}
}
