package main

import (
	"context"
	"crypto/rand"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// bootstrapCommands are those of the network's bootstrap server: a host with a DHT that serves, and nothing else.
func bootstrapCommands(*lines) commands {
	return commands{"start": command(startBootstrap)}
}

func startBootstrap(arguments struct {
	SharedKey     string `json:"sharedKey"`
	DHTProtocolID string `json:"dhtProtocolId"`
}) (any, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	h, err := newHost("127.0.0.1", 0, key, arguments.SharedKey)
	if err != nil {
		return nil, err
	}
	if _, err := dht.New(context.Background(), h,
		dht.Mode(dht.ModeServer),
		dht.ProtocolPrefix(protocol.ID(arguments.DHTProtocolID))); err != nil {
		return nil, err
	}
	return addressOf(h), nil
}
