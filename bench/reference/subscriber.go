package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"golang.org/x/sys/unix"
)

const (
	// subscriberQueue is what GossipSub may have waiting: above the window of six senders together, or it drops.
	subscriberQueue = 131072
	watchEvery      = 25 * time.Millisecond
	// manyConnections is more than a benchmark has.
	manyConnections = 1000
)

// order is one of bench/gossip/target.ts or bench/websocket/bare.ts.
type order struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// subscribe is go-libp2p-pubsub with an empty handler, which takes the orders of bench/gossip/target.ts and reports as that does, over the
// channel that Node gives its child processes.
func subscribe(topicName string) error {
	channel, err := nodeChannel()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	address, subscription, err := joinTopic(ctx, topicName)
	if err != nil {
		return err
	}
	var heard atomic.Int64
	go func() {
		for {
			if _, err := subscription.Next(ctx); err != nil {
				return
			}
			heard.Add(1)
		}
	}()
	channel.say(map[string]any{
		"type": "ready", "address": address, "topic": topicName, "httpPort": 0, "settings": map[string]any{},
	})
	for {
		order, err := channel.next()
		if err != nil {
			// Whoever started it is gone.
			return nil
		}
		switch order.Type {
		case "watch":
			go func() {
				for range time.Tick(watchEvery) {
					channel.say(map[string]any{"type": "processed", "count": heard.Load()})
				}
			}()
		case "snapshot":
			at, cpu, err := clocks()
			if err != nil {
				return err
			}
			count := heard.Load()
			channel.say(map[string]any{
				"type": "snapshot", "at": at, "cpu": map[string]float64{"process": cpu},
				"processed": count, "accepted": count, "acknowledged": count,
			})
		case "stop":
			channel.say(map[string]any{"type": "stopped"})
			return nil
		}
	}
}

func joinTopic(ctx context.Context, name string) (string, *pubsub.Subscription, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.InfiniteLimits))
	if err != nil {
		return "", nil, err
	}
	connections, err := connmgr.NewConnManager(manyConnections, 2*manyConnections)
	if err != nil {
		return "", nil, err
	}
	host, err := libp2p.New(
		libp2p.Identity(key), libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableRelay(), libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(connections), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
	)
	if err != nil {
		return "", nil, err
	}
	gossip, err := pubsub.NewGossipSub(ctx, host, pubsub.WithValidateQueueSize(subscriberQueue))
	if err != nil {
		return "", nil, err
	}
	accept := func(context.Context, peer.ID, *pubsub.Message) pubsub.ValidationResult {
		return pubsub.ValidationAccept
	}
	if err := gossip.RegisterTopicValidator(name, accept, pubsub.WithValidatorInline(true)); err != nil {
		return "", nil, err
	}
	topic, err := gossip.Join(name)
	if err != nil {
		return "", nil, err
	}
	subscription, err := topic.Subscribe(pubsub.WithBufferSize(subscriberQueue))
	return fmt.Sprintf("%s/p2p/%s", host.Addrs()[0], host.ID()), subscription, err
}

// clocks are the monotonic clock in ms, and this process's CPU time in seconds.
func clocks() (at, cpu float64, err error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, 0, err
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, err
	}
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return float64(now.Nano()) / 1e6, used.Seconds(), nil
}

// channel carries JSON lines from and to the Node process that started this one.
type channel struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out *json.Encoder
}

func nodeChannel() (*channel, error) {
	number, err := strconv.Atoi(os.Getenv("NODE_CHANNEL_FD"))
	if err != nil {
		return nil, errors.New("the subscriber is started by Node, with a channel")
	}
	file := os.NewFile(uintptr(number), "channel")
	connection, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	_ = file.Close()
	return &channel{in: bufio.NewReader(connection), out: json.NewEncoder(connection)}, nil
}

func (c *channel) say(report any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Who no longer listens is told by the end of the orders.
	_ = c.out.Encode(report)
}

func (c *channel) next() (order, error) {
	line, err := c.in.ReadBytes('\n')
	if err != nil {
		return order{}, err
	}
	var o order
	return o, json.Unmarshal(line, &o)
}
