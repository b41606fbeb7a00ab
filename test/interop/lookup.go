package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	libpeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// The newer address lookup, which the message bus's releases so far do not have: both sides close their half.
const (
	lookupProtocol   = protocol.ID("/p2p-msg-bus/peer-addr-request/1.1.0")
	maxLookupRequest = 128
	maxLookupAnswer  = 8 << 10
	maxLookupCount   = 32
	lookupTimeout    = 10 * time.Second
)

func (p *gossipPeer) lookup(arguments struct {
	At     string `json:"at"`
	Target string `json:"target"`
}) (any, error) {
	at, err := libpeer.Decode(arguments.At)
	if err != nil {
		return nil, err
	}
	stream, err := p.host.NewStream(p.ctx, at, lookupProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(lookupTimeout))
	if _, err := stream.Write([]byte(arguments.Target)); err != nil {
		return nil, err
	}
	if err := stream.CloseWrite(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(stream, maxLookupAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxLookupAnswer {
		return nil, errors.New("the answer is too long")
	}
	addresses := []string{}
	if err := json.Unmarshal(data, &addresses); err != nil {
		return nil, err
	}
	if len(addresses) > maxLookupCount {
		return nil, errors.New("too many addresses")
	}
	return addresses, nil
}

func (p *gossipPeer) answerLookup(stream network.Stream) {
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(lookupTimeout))
	data, err := io.ReadAll(io.LimitReader(stream, maxLookupRequest+1))
	if err != nil || len(data) > maxLookupRequest {
		p.channel.event("problem", "a lookup that cannot be read")
		_ = stream.Reset()
		return
	}
	target, err := libpeer.Decode(string(data))
	if err != nil {
		p.channel.event("problem", err.Error())
		_ = stream.Reset()
		return
	}
	addresses := []string{}
	for _, address := range p.host.Peerstore().Addrs(target) {
		if text := address.String(); !strings.Contains(text, "/p2p-circuit") && len(addresses) < maxLookupCount {
			addresses = append(addresses, text)
		}
	}
	p.channel.event("lookup", map[string]any{"from": stream.Conn().RemotePeer().String(), "target": target.String()})
	answer, err := json.Marshal(addresses)
	if err == nil {
		_, _ = stream.Write(answer)
	}
}
