package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/discovery/routing"
	"github.com/libp2p/go-libp2p/p2p/discovery/util"
	"github.com/multiformats/go-multiaddr"
)

const (
	// directProtocol has no leading slash.
	directProtocol = protocol.ID("teranode/bitcoin/1.0.0")
	// Pauses of the service of that time.
	searchEvery        = 5 * time.Second
	staticEvery        = 5 * time.Second
	staticEveryWhenAll = 30 * time.Second
)

// node is the P2P service of early 2025 as its peers see it. What it would hand to Kafka and to its WebSocket it tells the test.
type node struct {
	channel  *lines
	settings *settings
	ctx      context.Context
	host     host.Host
	topics   map[string]*pubsub.Topic

	mu sync.Mutex
	// older spells names as until 20 February 2025.
	older bool
	// best is what the chain says; nobody is answered before it is told.
	best *tip
}

type tip struct {
	Hash   string `json:"hash"`
	Height uint32 `json:"height"`
}

func nodeCommands(channel *lines) commands {
	n := &node{channel: channel, ctx: context.Background(), topics: map[string]*pubsub.Topic{}}
	return commands{
		"settings":   command(func(struct{}) (any, error) { return readSettings() }),
		"identity":   command(identity),
		"start":      command(n.start),
		"best":       command(n.setBest),
		"ask":        command(func(struct{}) (any, error) { return n.tell(n.settings.BestBlockTopic, bestBlockMessage{n.id()}) }),
		"block":      command(n.tellBlock),
		"subtree":    command(n.tellSubtree),
		"miningOn":   command(n.tellMiningOn),
		"rejectedTx": command(n.tellRejectedTx),
		"publish":    command(n.publish),
		"listeners":  command(n.listeners),
		"connected":  command(n.connected),
		"connect":    command(n.connect),
		"ban":        command(n.ban),
	}
}

// identity is the peer ID of the settings' key.
func identity(struct{}) (any, error) {
	read, err := readSettings()
	if err != nil {
		return nil, err
	}
	key, err := nodeKey(read.PrivateKey)
	if err != nil {
		return nil, err
	}
	return peer.IDFromPrivateKey(key)
}

func (n *node) start(arguments struct {
	Older bool `json:"older"`
}) (any, error) {
	read, err := readSettings()
	if err != nil {
		return nil, err
	}
	key, err := nodeKey(read.PrivateKey)
	if err != nil {
		return nil, err
	}
	sharedKey := ""
	if read.UsePrivateDHT {
		sharedKey = read.SharedKey
	}
	h, err := newHost(read.IP, read.Port, key, sharedKey)
	if err != nil {
		return nil, err
	}
	n.host, n.settings, n.older = h, read, arguments.Older
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { n.channel.event("connected", c.RemotePeer().String()) },
		DisconnectedF: func(_ network.Network, c network.Conn) { n.channel.event("disconnected", c.RemotePeer().String()) },
	})
	go n.keepStaticPeers()
	go func() {
		if err := n.discover(); err != nil {
			n.problem(err)
		}
	}()
	ps, err := pubsub.NewGossipSub(n.ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign))
	if err != nil {
		return nil, err
	}
	for _, name := range read.topics() {
		if n.topics[name], err = ps.Join(name); err != nil {
			return nil, err
		}
	}
	h.SetStreamHandler(directProtocol, n.hearDirect)
	// It only speaks of rejected transactions, and hears nothing of them.
	for name, handle := range map[string]func([]byte, string) error{
		read.BestBlockTopic: n.handleBestBlock,
		read.BlockTopic:     n.handleBlock,
		read.SubtreeTopic:   n.handleSubtree,
		read.MiningOnTopic:  n.handleMiningOn,
	} {
		subscription, err := n.topics[read.topic(name)].Subscribe()
		if err != nil {
			return nil, err
		}
		go n.hear(subscription, handle)
	}
	if _, err := n.tell(read.BestBlockTopic, bestBlockMessage{n.id()}); err != nil {
		return nil, err
	}
	return addressOf(h), nil
}

func (n *node) id() string { return n.host.ID().String() }

// problem is what the service wrote to its log as an error.
func (n *node) problem(err error) { n.channel.event("problem", err.Error()) }

func (n *node) keepStaticPeers() {
	for len(n.settings.StaticPeers) > 0 {
		missing := 0
		for _, text := range n.settings.StaticPeers {
			info, err := peer.AddrInfoFromString(text)
			if err != nil {
				n.problem(err)
				missing++
				continue
			}
			if n.host.Network().Connectedness(info.ID) != network.Connected && n.host.Connect(n.ctx, *info) != nil {
				missing++
			}
		}
		if missing == 0 {
			time.Sleep(staticEveryWhenAll)
		} else {
			time.Sleep(staticEvery)
		}
	}
}

// discover tells the private DHT of the topics and connects to whoever else has them. Without the bootstrap peers there is
// no DHT, for as long as the node runs; in the public network this program has none.
func (n *node) discover() error {
	if !n.settings.UsePrivateDHT {
		return nil
	}
	if len(n.settings.Bootstrap) == 0 {
		return errors.New("no bootstrap addresses")
	}
	for _, text := range n.settings.Bootstrap {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return err
		}
		if err := n.host.Connect(n.ctx, *info); err != nil {
			n.channel.event("undiscovered", err.Error())
			return nil
		}
	}
	table, err := dht.New(n.ctx, n.host, dht.ProtocolPrefix(protocol.ID(n.settings.DHTProtocolID)), dht.Mode(dht.ModeAuto))
	if err != nil {
		return err
	}
	if err := table.Bootstrap(n.ctx); err != nil {
		return err
	}
	discovery := routing.NewRoutingDiscovery(table)
	for _, topic := range n.settings.topics() {
		util.Advertise(n.ctx, discovery, topic)
	}
	ctx := network.WithSimultaneousConnect(n.ctx, true, "hole punching")
	for {
		var searches sync.WaitGroup
		for _, topic := range n.settings.topics() {
			searches.Add(1)
			go func() {
				defer searches.Done()
				found, err := discovery.FindPeers(ctx, topic)
				if err != nil {
					n.problem(err)
					return
				}
				for info := range found {
					if info.ID != n.host.ID() && n.host.Network().Connectedness(info.ID) != network.Connected {
						go n.host.Connect(ctx, info)
					}
				}
			}()
		}
		searches.Wait()
		time.Sleep(searchEvery)
	}
}

func (n *node) hear(subscription *pubsub.Subscription, handle func([]byte, string) error) {
	for {
		message, err := subscription.Next(n.ctx)
		if err != nil {
			n.problem(err)
			return
		}
		if message.GetFrom() != n.host.ID() {
			n.channel.event("message", map[string]any{
				"topic": message.GetTopic(), "author": message.GetFrom().String(),
				"source": message.ReceivedFrom.String(), "data": string(message.Data),
			})
		}
		if err := handle(message.Data, message.ReceivedFrom.String()); err != nil {
			n.problem(err)
		}
	}
}

func (n *node) handleBestBlock(data []byte, from string) error {
	if from == n.id() {
		return nil
	}
	var request bestBlockMessage
	if err := json.Unmarshal(data, &request); err != nil {
		return err
	}
	asker, err := peer.Decode(request.PeerID)
	if err != nil {
		return err
	}
	n.mu.Lock()
	best := n.best
	n.mu.Unlock()
	if best == nil {
		return errors.New("no best block")
	}
	// The answer says nothing of who gives it.
	answer, err := encode(blockMessage{Hash: best.Hash, Height: best.Height, DataHubURL: n.settings.DataHub}, n.older)
	if err != nil {
		return err
	}
	if err := n.host.Connect(n.ctx, n.host.Peerstore().PeerInfo(asker)); err != nil {
		n.problem(err)
	}
	stream, err := n.host.NewStream(n.ctx, asker, directProtocol)
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = stream.Write(answer)
	return err
}

func (n *node) handleBlock(data []byte, from string) error {
	var told blockMessage
	if err := json.Unmarshal(data, &told); err != nil {
		return err
	}
	n.notify(notification{
		Type: "block", Hash: told.Hash, Height: told.Height, BaseURL: told.DataHubURL, PeerID: told.PeerID,
	})
	if from == n.id() {
		return nil
	}
	return n.record("blocks", told.Hash, told.DataHubURL)
}

func (n *node) handleSubtree(data []byte, from string) error {
	var told subtreeMessage
	if err := json.Unmarshal(data, &told); err != nil {
		return err
	}
	n.notify(notification{Type: "subtree", Hash: told.Hash, BaseURL: told.DataHubURL, PeerID: told.PeerID})
	if from == n.id() {
		return nil
	}
	return n.record("subtrees", told.Hash, told.DataHubURL)
}

func (n *node) handleMiningOn(data []byte, from string) error {
	var told miningOnMessage
	if err := json.Unmarshal(data, &told); err != nil {
		return err
	}
	if from == n.id() {
		return nil
	}
	n.notify(notification{
		Type: "mining_on", Hash: told.Hash, BaseURL: told.DataHubURL, PeerID: told.PeerID, PreviousHash: told.PreviousHash,
		Height: told.Height, Miner: told.Miner, SizeInBytes: told.SizeInBytes, TxCount: told.TxCount,
	})
	return nil
}

// hearDirect reads one message to the end of the stream: an answer about the best block.
func (n *node) hearDirect(stream network.Stream) {
	defer stream.Close()
	data, err := io.ReadAll(stream)
	if err != nil {
		_ = stream.Reset()
		n.problem(err)
		return
	}
	if len(data) == 0 {
		return
	}
	n.channel.event("direct", map[string]any{"from": stream.Conn().RemotePeer().String(), "data": string(data)})
	var told blockMessage
	if err := json.Unmarshal(data, &told); err != nil {
		n.problem(err)
		return
	}
	if err := n.record("blocks", told.Hash, told.DataHubURL); err != nil {
		n.problem(err)
	}
}

func (n *node) notify(frame notification) { n.channel.event("notification", frame) }

// record is what Kafka would be handed: the hash in the order in which it is stored, and the URL behind it.
func (n *node) record(topic, hash, hub string) error {
	shown, err := hex.DecodeString(hash)
	if err != nil {
		return err
	}
	if len(shown) > 32 {
		return errors.New("a hash of more than 32 bytes")
	}
	value := make([]byte, 32, 32+len(hub))
	for at, octet := range shown {
		value[len(shown)-1-at] = octet
	}
	n.channel.event("record", map[string]any{"topic": topic, "value": hex.EncodeToString(append(value, hub...))})
	return nil
}

// tell publishes a message of this node's on one of its topics; the test gets the text.
func (n *node) tell(topic string, message any) (any, error) {
	data, err := encode(message, n.older)
	if err != nil {
		return nil, err
	}
	return string(data), n.topics[n.settings.topic(topic)].Publish(n.ctx, data)
}

func (n *node) setBest(best tip) (any, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.best = &best
	return nil, nil
}

func (n *node) tellBlock(told tip) (any, error) {
	return n.tell(n.settings.BlockTopic, blockMessage{told.Hash, told.Height, n.settings.DataHub, n.id()})
}

func (n *node) tellSubtree(arguments struct {
	Hash string `json:"hash"`
}) (any, error) {
	return n.tell(n.settings.SubtreeTopic, subtreeMessage{arguments.Hash, n.settings.DataHub, n.id()})
}

func (n *node) tellMiningOn(arguments struct {
	Hash         string `json:"hash"`
	PreviousHash string `json:"previousHash"`
	Height       uint32 `json:"height"`
	Miner        string `json:"miner"`
	SizeInBytes  uint64 `json:"sizeInBytes,string"`
	TxCount      uint64 `json:"txCount,string"`
}) (any, error) {
	return n.tell(n.settings.MiningOnTopic, miningOnMessage{
		arguments.Hash, arguments.PreviousHash, n.settings.DataHub, n.id(),
		arguments.Height, arguments.Miner, arguments.SizeInBytes, arguments.TxCount,
	})
}

func (n *node) tellRejectedTx(arguments struct {
	TxID   string `json:"txId"`
	Reason string `json:"reason"`
}) (any, error) {
	return n.tell(n.settings.RejectedTxTopic, rejectedTxMessage{arguments.TxID, arguments.Reason, n.id()})
}

// publish publishes anything on one of the node's topics.
func (n *node) publish(arguments struct {
	Topic string `json:"topic"`
	Data  string `json:"data"`
}) (any, error) {
	topic := n.topics[arguments.Topic]
	if topic == nil {
		return nil, errors.New("not joined: " + arguments.Topic)
	}
	return nil, topic.Publish(n.ctx, []byte(arguments.Data))
}

// listeners are the peers that have said that they listen to a topic.
func (n *node) listeners(arguments struct {
	Topic string `json:"topic"`
}) (any, error) {
	return peerTexts(n.topics[arguments.Topic].ListPeers()), nil
}

func (n *node) connected(struct{}) (any, error) {
	return peerTexts(n.host.Network().Peers()), nil
}

func (n *node) connect(arguments struct {
	Address string `json:"address"`
}) (any, error) {
	info, err := peer.AddrInfoFromString(arguments.Address)
	if err != nil {
		return nil, err
	}
	return nil, n.host.Connect(n.ctx, *info)
}

// ban does what a ban of an address did then: whoever is known at it is disconnected, and may come back at once.
func (n *node) ban(arguments struct {
	Address string `json:"address"`
}) (any, error) {
	banned := net.ParseIP(arguments.Address)
	for _, id := range n.host.Peerstore().Peers() {
		for _, address := range n.host.Peerstore().Addrs(id) {
			text, err := address.ValueForProtocol(multiaddr.P_IP4)
			if err == nil && banned.Equal(net.ParseIP(text)) && id != n.host.ID() {
				if err := n.host.Network().ClosePeer(id); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	return nil, nil
}

func peerTexts(ids []peer.ID) []string {
	texts := []string{}
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return texts
}
