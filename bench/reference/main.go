// Command reference does the part of a Teranode's P2P service that messages pass, on the modules that the Go service is made of
// and in its way: it hears block and subtree announcements over the message bus, checks them, publishes them to Kafka through
// sarama and shows them on /p2p-ws through gorilla/websocket. Whatever queue is full drops. A benchmark puts it beside this server.
//
// It leaves out what no announcement waits for: gRPC, node_status, bans in a database, the registry of peers in another service.
//
// With -subscriber it is less: GossipSub with an empty handler; with -fan-out its feed alone.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	bus "github.com/bsv-blockchain/go-p2p-message-bus"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ready is the one line on standard output, told when everything listens.
type ready struct {
	// Address is the multiaddr to call, with the peer ID.
	Address  string `json:"address"`
	HTTPPort int    `json:"httpPort"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run() error {
	blockTopic := flag.String("block-topic", "", "gossip topic of block announcements")
	subtreeTopic := flag.String("subtree-topic", "", "gossip topic of subtree announcements")
	blocks := flag.String("blocks", "", "kafka://host:port/topic?flush_bytes=…&flush_messages=…&flush_frequency=… for blocks")
	subtrees := flag.String("subtrees", "", "the same for subtrees")
	allowPrivate := flag.Bool("allow-private-ips", false, "private addresses are called, and data hubs may be at them")
	subscriber := flag.Bool("subscriber", false, "only hear the subtree topic, with an empty handler, and take a benchmark's orders")
	feedAlone := flag.Bool("fan-out", false, "only the feed, with frames by a benchmark's orders")
	flag.Parse()
	switch {
	case *subscriber:
		return subscribe(*subtreeTopic)
	case *feedAlone:
		return fanOut()
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	blockRecords, err := newProducer(*blocks)
	if err != nil {
		return err
	}
	defer blockRecords.close()
	subtreeRecords, err := newProducer(*subtrees)
	if err != nil {
		return err
	}
	defer subtreeRecords.close()
	client, address, err := joinNetwork(*allowPrivate)
	if err != nil {
		return err
	}
	defer client.Close()

	feed := newFeed()
	go feed.run(ctx)
	handler := &handler{
		own:          client.GetID(),
		allowPrivate: *allowPrivate,
		feed:         feed,
		blocks:       blockRecords,
		subtrees:     subtreeRecords,
		peers:        map[peer.ID]*peerActivity{},
		banned:       map[peer.ID]time.Time{},
	}
	go handler.forgetAnnouncers(ctx)
	handler.hear(client.Subscribe(*blockTopic), handler.block)
	handler.hear(client.Subscribe(*subtreeTopic), handler.subtree)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/p2p-ws", feed)
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	line, err := json.Marshal(ready{address, listener.Addr().(*net.TCPAddr).Port})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	<-ctx.Done()
	handler.tellDropped()
	return nil
}

// joinNetwork starts the message bus on a free port. Its one bootstrap peer is nobody: with none given, it would call public ones.
func joinNetwork(allowPrivate bool) (bus.Client, string, error) {
	key, err := bus.GeneratePrivateKey()
	if err != nil {
		return nil, "", err
	}
	nobody, err := unknownPeer()
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	address := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
	client, err := bus.NewClient(bus.Config{
		Name:            "reference",
		Logger:          quietLog{},
		PrivateKey:      key,
		AnnounceAddrs:   []string{address},
		Port:            port,
		BootstrapPeers:  []string{"/ip4/127.0.0.1/tcp/1/p2p/" + nobody},
		DHTMode:         "off",
		AllowPrivateIPs: allowPrivate,
	})
	if err != nil {
		return nil, "", err
	}
	return client, fmt.Sprintf("%s/p2p/%s", address, client.GetID()), nil
}

func unknownPeer() (string, error) {
	_, public, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPublicKey(public)
	return id.String(), err
}

// freePort is a port that was free a moment ago: the message bus takes a number and does not tell the one it got.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// quietLog shows what a service with log level WARN would; that nobody's bootstrap peer does not answer is no news.
type quietLog struct{}

func (quietLog) Debugf(string, ...any) {}
func (quietLog) Infof(string, ...any)  {}
func (quietLog) Warnf(string, ...any)  {}
func (quietLog) Errorf(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
}
