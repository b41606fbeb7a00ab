package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// frameBytes are those of a frame in bench/websocket/frame.ts.
const frameBytes = 234

// fanOut is the feed alone, which takes the orders of bench/websocket/bare.ts and reports as that does. It waits for clients that are behind:
// what is measured is how many frames it delivers, not how many it drops.
func fanOut() error {
	channel, err := nodeChannel()
	if err != nil {
		return err
	}
	feed := newFeed()
	feed.patient = true
	mux := http.NewServeMux()
	mux.Handle("/p2p-ws", feed)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	frame := []byte(fmt.Sprintf(`{"type":"block","hash":"%s"}`, strings.Repeat("a", frameBytes-len(`{"type":"block","hash":""}`))))
	bursts := make(chan int, queuedNotifications)
	go func() {
		for count := range bursts {
			for range count {
				feed.broadcast(frame)
			}
		}
	}()
	channel.say(map[string]any{"type": "listening", "port": listener.Addr().(*net.TCPAddr).Port})
	for {
		order, err := channel.next()
		if err != nil {
			// Whoever started it is gone.
			return nil
		}
		switch order.Type {
		case "publish":
			bursts <- order.Count
		case "cpu":
			_, cpu, err := clocks()
			if err != nil {
				return err
			}
			channel.say(map[string]any{"type": "cpu", "seconds": cpu})
		case "stop":
			return nil
		}
	}
}
