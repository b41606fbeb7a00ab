package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/ordishs/gocore"
)

// newHost listens, behind the shared key where that is not empty.
func newHost(ip string, port int, key crypto.PrivKey, sharedKey string) (host.Host, error) {
	options := []libp2p.Option{
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/tcp/%d", ip, port)),
		libp2p.Identity(key),
	}
	if sharedKey != "" {
		file := fmt.Sprintf("/key/swarm/psk/1.0.0/\n/base16/\n%s", sharedKey)
		psk, err := pnet.DecodeV1PSK(bytes.NewBufferString(file))
		if err != nil {
			return nil, err
		}
		options = append(options, libp2p.PrivateNetwork(psk))
	}
	return libp2p.New(options...)
}

// nodeKey is p2p_private_key, or where that is empty the one in the file that the service kept in its working directory, made
// when missing.
func nodeKey(text string) (crypto.PrivKey, error) {
	if text != "" {
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		return crypto.UnmarshalEd25519PrivateKey(raw)
	}
	path := fmt.Sprintf("peer.%s.p2p.private_key", gocore.Config().GetContext())
	if kept, err := os.ReadFile(path); err == nil {
		return crypto.UnmarshalPrivateKey(kept)
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	kept, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, kept, 0o600)
}

type hostAddress struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func addressOf(h host.Host) hostAddress {
	return hostAddress{ID: h.ID().String(), Address: fmt.Sprintf("%s/p2p/%s", h.Addrs()[0], h.ID())}
}
