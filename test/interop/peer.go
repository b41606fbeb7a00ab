package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libpeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/discovery/routing"
	"github.com/libp2p/go-libp2p/p2p/discovery/util"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

const (
	// directProtocol has no leading slash.
	directProtocol = protocol.ID("teranode/bitcoin/1.0.0")
	maxDirect      = 32 << 10
	// heardAtOnce is what may wait for the test to read it.
	heardAtOnce = 20_000
	// searchEvery is the first generation's pause between two searches.
	searchEvery = 5 * time.Second
)

// peerOptions say what kind of node a peer is.
type peerOptions struct {
	// Key is the hex of 64 or 96 bytes; a new one when empty.
	Key string `json:"key"`
	// SharedKey is the 64 hex digits of a private network's key; a public network when empty.
	SharedKey string `json:"sharedKey"`
	// DHTPrefix is the first part of the DHT's protocol; no DHT when empty.
	DHTPrefix string   `json:"dhtPrefix"`
	Bootstrap []string `json:"bootstrap"`
	Topics    []string `json:"topics"`
	// Discover tells the DHT of the topics and looks there for the others that have them.
	Discover bool `json:"discover"`
	// BestBlockTopic is where others ask for the best block, and BestBlock what they are told on the direct stream.
	BestBlockTopic string `json:"bestBlockTopic"`
	BestBlock      string `json:"bestBlock"`
	// Relay serves others as a circuit relay; Relays are those through which this node can be reached.
	Relay  bool     `json:"relay"`
	Relays []string `json:"relays"`
	// HeartbeatMs is GossipSub's heartbeat in milliseconds, and Degree how many peers its meshes hold; its own when 0.
	HeartbeatMs int `json:"heartbeatMs"`
	Degree      int `json:"degree"`
	// Scored scores peers as the newest nodes do; PeerExchange tells those that find no place in the mesh of others.
	Scored       bool `json:"scored"`
	PeerExchange bool `json:"peerExchange"`
	// Direct are its direct peers: always sent to, never in its mesh.
	Direct []string `json:"direct"`
}

// gossipPeer is a node as the first generation builds it: host, DHT, GossipSub and the direct stream.
type gossipPeer struct {
	channel *lines
	options peerOptions
	ctx     context.Context
	host    host.Host
	dht     *dht.IpfsDHT
	pubsub  *pubsub.PubSub
	mesh    *meshWatch
	scores  *scoreWatch
	mu      sync.Mutex
	topics  map[string]*pubsub.Topic
}

type peerAddress struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func peerCommands(channel *lines) commands {
	peer := &gossipPeer{
		channel: channel,
		ctx:     context.Background(),
		mesh:    newMeshWatch(),
		scores:  newScoreWatch(),
		topics:  map[string]*pubsub.Topic{},
	}
	return commands{
		"newKey":    command(newKey),
		"identify":  command(identityOf),
		"start":     command(peer.start),
		"publish":   command(peer.publish),
		"connect":   command(peer.connect),
		"direct":    command(peer.direct),
		"connected": command(peer.connected),
		"lookup":    command(peer.lookup),
		"mesh":      command(peer.meshMembers),
		"provide":   command(peer.provide),
		"providers": command(peer.providers),
		"scores":    command(peer.scores.worst),
	}
}

// privateKey reads what a Teranode keeps in p2p.key.
func privateKey(text string) (crypto.PrivKey, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return crypto.UnmarshalEd25519PrivateKey(raw)
}

func identityOf(arguments struct {
	Key string `json:"key"`
}) (any, error) {
	key, err := privateKey(arguments.Key)
	if err != nil {
		return nil, err
	}
	id, err := libpeer.IDFromPrivateKey(key)
	return id.String(), err
}

func (p *gossipPeer) start(options peerOptions) (any, error) {
	p.options = options
	settings := []libp2p.Option{libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")}
	if options.Key != "" {
		key, err := privateKey(options.Key)
		if err != nil {
			return nil, err
		}
		settings = append(settings, libp2p.Identity(key))
	}
	if options.SharedKey != "" {
		file := fmt.Sprintf("/key/swarm/psk/1.0.0/\n/base16/\n%s", options.SharedKey)
		psk, err := pnet.DecodeV1PSK(bytes.NewReader([]byte(file)))
		if err != nil {
			return nil, err
		}
		settings = append(settings, libp2p.PrivateNetwork(psk))
	}
	if options.Relay {
		settings = append(settings, libp2p.ForceReachabilityPublic(), libp2p.EnableRelayService())
	}
	node, err := libp2p.New(settings...)
	if err != nil {
		return nil, err
	}
	p.host = node
	node.SetStreamHandler(directProtocol, p.hearDirect)
	node.SetStreamHandler(lookupProtocol, p.answerLookup)
	if err := p.reserve(); err != nil {
		return nil, err
	}
	if err := p.joinDHT(); err != nil {
		return nil, err
	}
	gossip, err := p.gossipOptions()
	if err != nil {
		return nil, err
	}
	if p.pubsub, err = pubsub.NewGossipSub(p.ctx, node, gossip...); err != nil {
		return nil, err
	}
	for _, topic := range options.Topics {
		if err := p.join(topic); err != nil {
			return nil, err
		}
	}
	if options.Discover {
		for _, topic := range options.Topics {
			go p.discover(topic)
		}
	}
	return peerAddress{node.ID().String(), fmt.Sprintf("%s/p2p/%s", node.Addrs()[0], node.ID())}, nil
}

func (p *gossipPeer) gossipOptions() ([]pubsub.Option, error) {
	parameters := pubsub.DefaultGossipSubParams()
	if p.options.HeartbeatMs > 0 {
		parameters.HeartbeatInterval = time.Duration(p.options.HeartbeatMs) * time.Millisecond
	}
	if degree := p.options.Degree; degree > 0 {
		parameters.D, parameters.Dlo, parameters.Dhi, parameters.Dscore, parameters.Dout = degree, degree, degree, 0, 0
	}
	options := []pubsub.Option{
		pubsub.WithRawTracer(p.mesh),
		// At 32 each a slow machine drops what a burst brings, its own messages too.
		pubsub.WithPeerOutboundQueueSize(heardAtOnce), pubsub.WithValidateQueueSize(heardAtOnce),
		pubsub.WithGossipSubParams(parameters),
		pubsub.WithPeerExchange(p.options.PeerExchange),
	}
	var direct []libpeer.AddrInfo
	for _, address := range p.options.Direct {
		info, err := libpeer.AddrInfoFromString(address)
		if err != nil {
			return nil, err
		}
		direct = append(direct, *info)
	}
	if len(direct) > 0 {
		options = append(options, pubsub.WithDirectPeers(direct))
	}
	if p.options.Scored {
		options = append(options,
			pubsub.WithPeerScore(newestScores()),
			pubsub.WithPeerScoreInspect(p.scores.inspect, inspectEvery))
	}
	return options, nil
}

// reserve takes places at relays. Its own way of doing so waits for a public address, which loopback does not have.
func (p *gossipPeer) reserve() error {
	for _, address := range p.options.Relays {
		info, err := libpeer.AddrInfoFromString(address)
		if err != nil {
			return err
		}
		if _, err := client.Reserve(p.ctx, p.host, *info); err != nil {
			return err
		}
	}
	return nil
}

func (p *gossipPeer) joinDHT() error {
	if p.options.DHTPrefix == "" {
		return nil
	}
	var bootstrap []libpeer.AddrInfo
	for _, address := range p.options.Bootstrap {
		info, err := libpeer.AddrInfoFromString(address)
		if err != nil {
			return err
		}
		bootstrap = append(bootstrap, *info)
		if err := p.host.Connect(p.ctx, *info); err != nil {
			return err
		}
	}
	table, err := dht.New(p.host,
		dht.ProtocolPrefix(protocol.ID(p.options.DHTPrefix)),
		dht.Mode(dht.ModeServer),
		dht.BootstrapPeers(bootstrap...))
	if err != nil {
		return err
	}
	p.dht = table
	if err := table.Bootstrap(p.ctx); err != nil || len(bootstrap) == 0 {
		return err
	}
	// Until identify has told that a bootstrap peer speaks this DHT, there is nobody to ask.
	deadline := time.Now().Add(10 * time.Second)
	for table.RoutingTable().Size() == 0 {
		if time.Now().After(deadline) {
			return errors.New("no bootstrap peer speaks this DHT")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func (p *gossipPeer) join(name string) error {
	topic, err := p.pubsub.Join(name)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.topics[name] = topic
	p.mu.Unlock()
	// At the default of 32 a subscriber that writes to a slow test loses messages.
	subscription, err := topic.Subscribe(pubsub.WithBufferSize(heardAtOnce))
	if err != nil {
		return err
	}
	go p.hear(name, subscription)
	return nil
}

func (p *gossipPeer) hear(topic string, subscription *pubsub.Subscription) {
	for {
		message, err := subscription.Next(p.ctx)
		if err != nil {
			return
		}
		author := message.GetFrom()
		if author == p.host.ID() {
			continue
		}
		p.channel.event("message", map[string]any{
			"topic": topic, "author": author.String(), "source": message.ReceivedFrom.String(), "data": string(message.Data),
		})
		if topic == p.options.BestBlockTopic && p.options.BestBlock != "" {
			p.answerBestBlock(message.Data)
		}
	}
}

// answerBestBlock answers whom the request names.
func (p *gossipPeer) answerBestBlock(data []byte) {
	var request struct{ PeerId string }
	if err := json.Unmarshal(data, &request); err != nil {
		p.channel.event("problem", err.Error())
		return
	}
	if _, err := p.direct(directArguments{To: request.PeerId, Data: p.options.BestBlock}); err != nil {
		p.channel.event("problem", err.Error())
	}
}

func (p *gossipPeer) hearDirect(stream network.Stream) {
	defer stream.Close()
	data, err := io.ReadAll(io.LimitReader(stream, maxDirect))
	if err != nil {
		p.channel.event("problem", err.Error())
		return
	}
	p.channel.event("direct", map[string]any{"from": stream.Conn().RemotePeer().String(), "data": string(data)})
}

// discover provides a record of the topic's name and connects to whoever else has one, as long as the program runs.
func (p *gossipPeer) discover(topic string) {
	discovery := routing.NewRoutingDiscovery(p.dht)
	util.Advertise(p.ctx, discovery, topic)
	for {
		found, err := discovery.FindPeers(p.ctx, topic)
		if err == nil {
			for info := range found {
				if info.ID != p.host.ID() && len(info.Addrs) > 0 {
					_ = p.host.Connect(p.ctx, info)
				}
			}
		}
		time.Sleep(searchEvery)
	}
}

func (p *gossipPeer) publish(arguments struct {
	Topic string `json:"topic"`
	Data  string `json:"data"`
}) (any, error) {
	p.mu.Lock()
	topic := p.topics[arguments.Topic]
	p.mu.Unlock()
	if topic == nil {
		return nil, errors.New("not joined: " + arguments.Topic)
	}
	return nil, topic.Publish(p.ctx, []byte(arguments.Data))
}

func (p *gossipPeer) connect(arguments struct {
	Address string `json:"address"`
}) (any, error) {
	info, err := libpeer.AddrInfoFromString(arguments.Address)
	if err != nil {
		return nil, err
	}
	if err := p.host.Connect(p.ctx, *info); err != nil {
		return nil, err
	}
	return p.host.Network().ConnsToPeer(info.ID)[0].RemoteMultiaddr().String(), nil
}

type directArguments struct {
	To   string `json:"to"`
	Data string `json:"data"`
}

// direct opens a stream, writes one message and closes.
func (p *gossipPeer) direct(arguments directArguments) (any, error) {
	to, err := libpeer.Decode(arguments.To)
	if err != nil {
		return nil, err
	}
	stream, err := p.host.NewStream(network.WithAllowLimitedConn(p.ctx, "a small message"), to, directProtocol)
	if err != nil {
		return nil, err
	}
	if _, err := stream.Write([]byte(arguments.Data)); err != nil {
		_ = stream.Reset()
		return nil, err
	}
	return nil, stream.Close()
}

func (p *gossipPeer) connected(struct{}) (any, error) {
	return peerTexts(p.host.Network().Peers()), nil
}

// meshMembers are the peers in this node's own mesh of a topic.
func (p *gossipPeer) meshMembers(arguments struct {
	Topic string `json:"topic"`
}) (any, error) {
	return peerTexts(p.mesh.members(arguments.Topic)), nil
}

func (p *gossipPeer) provide(arguments struct {
	Topic string `json:"topic"`
}) (any, error) {
	_, err := routing.NewRoutingDiscovery(p.dht).Advertise(p.ctx, arguments.Topic)
	return nil, err
}

// providers are who the DHT says has a topic, searched once.
func (p *gossipPeer) providers(arguments struct {
	Topic string `json:"topic"`
}) (any, error) {
	found, err := routing.NewRoutingDiscovery(p.dht).FindPeers(p.ctx, arguments.Topic)
	if err != nil {
		return nil, err
	}
	addresses := []peerAddress{}
	for info := range found {
		entry := peerAddress{ID: info.ID.String()}
		if len(info.Addrs) > 0 {
			entry.Address = info.Addrs[0].String()
		}
		addresses = append(addresses, entry)
	}
	return addresses, nil
}

func peerTexts(ids []libpeer.ID) []string {
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	slices.Sort(texts)
	return texts
}
