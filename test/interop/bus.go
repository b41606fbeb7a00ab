package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	bus "github.com/bsv-blockchain/go-p2p-message-bus"
	"github.com/libp2p/go-libp2p/core/crypto"
)

// busOptions say how a client of the message bus is set up.
type busOptions struct {
	Name string `json:"name"`
	// Key is the hex of 64 or 96 bytes; a new one when empty.
	Key string `json:"key"`
	// ProtocolVersion is what identify tells.
	ProtocolVersion string `json:"protocolVersion"`
	// Bootstrap peers are its relays too. None would mean IPFS's public ones: at least one must be given.
	Bootstrap []string `json:"bootstrap"`
	Static    []string `json:"static"`
	// DHTMode is "server", "client" or "off".
	DHTMode string   `json:"dhtMode"`
	Topics  []string `json:"topics"`
	// Cache is the file in which peers are remembered; none when empty.
	Cache string `json:"cache"`
	// Port is where it listens; one that is free when 0.
	Port int `json:"port"`
}

// busClient is a node of the current generation.
type busClient struct {
	channel *lines
	client  bus.Client
}

func busCommands(channel *lines) commands {
	client := &busClient{channel: channel}
	return commands{
		"start":   command(client.start),
		"publish": command(client.publish),
		"connect": command(client.connect),
		"peers":   command(client.peers),
	}
}

// stderrLog keeps standard output for the answers.
type stderrLog struct{}

func (stderrLog) Debugf(format string, values ...any) { logf("debug", format, values) }
func (stderrLog) Infof(format string, values ...any)  { logf("info", format, values) }
func (stderrLog) Warnf(format string, values ...any)  { logf("warn", format, values) }
func (stderrLog) Errorf(format string, values ...any) { logf("error", format, values) }

func logf(level, format string, values []any) {
	fmt.Fprintf(os.Stderr, "%s %s %s\n", time.Now().Format("15:04:05.000"), level, fmt.Sprintf(format, values...))
}

func (c *busClient) start(options busOptions) (any, error) {
	if len(options.Bootstrap) == 0 {
		return nil, errors.New("without bootstrap peers the message bus would dial public ones")
	}
	key, err := keyOrNew(options.Key)
	if err != nil {
		return nil, err
	}
	port := options.Port
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	address := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
	c.client, err = bus.NewClient(bus.Config{
		Name:            options.Name,
		Logger:          stderrLog{},
		PrivateKey:      key,
		ProtocolVersion: options.ProtocolVersion,
		PeerCacheFile:   options.Cache,
		AnnounceAddrs:   []string{address},
		Port:            port,
		BootstrapPeers:  options.Bootstrap,
		StaticPeers:     options.Static,
		DHTMode:         options.DHTMode,
		AllowPrivateIPs: true,
	})
	if err != nil {
		return nil, err
	}
	for _, topic := range options.Topics {
		go c.hear(c.client.Subscribe(topic))
	}
	id := c.client.GetID()
	return peerAddress{id, fmt.Sprintf("%s/p2p/%s", address, id)}, nil
}

func (c *busClient) hear(messages <-chan bus.Message) {
	for message := range messages {
		c.channel.event("message", map[string]any{
			"topic": message.Topic, "name": message.From, "author": message.FromID, "data": string(message.Data),
		})
	}
}

func (c *busClient) publish(arguments struct {
	Topic string `json:"topic"`
	Data  string `json:"data"`
}) (any, error) {
	return nil, c.client.Publish(context.Background(), arguments.Topic, []byte(arguments.Data))
}

func (c *busClient) connect(arguments struct {
	Address string `json:"address"`
}) (any, error) {
	return nil, c.client.Connect(context.Background(), arguments.Address)
}

// peers are those that the client has heard on its topics.
func (c *busClient) peers(struct{}) (any, error) {
	type known struct {
		ID        string   `json:"id"`
		Name      string   `json:"name"`
		Addresses []string `json:"addresses"`
	}
	peers := []known{}
	for _, peer := range c.client.GetPeers() {
		peers = append(peers, known{peer.ID, peer.Name, peer.Addrs})
	}
	return peers, nil
}

// keyOrNew reads what a Teranode keeps in p2p.key, or makes a key.
func keyOrNew(text string) (crypto.PrivKey, error) {
	if text != "" {
		return privateKey(text)
	}
	return bus.GeneratePrivateKey()
}

// newKey is a key in both of the forms in which a Teranode keeps it.
func newKey(struct{}) (any, error) {
	key, public, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := key.Raw()
	if err != nil {
		return nil, err
	}
	half, err := public.Raw()
	if err != nil {
		return nil, err
	}
	return map[string]string{"short": hex.EncodeToString(secret), "long": hex.EncodeToString(append(secret, half...))}, nil
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
