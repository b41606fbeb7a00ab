package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bus "github.com/bsv-blockchain/go-p2p-message-bus"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// workers handle the messages of one topic: the Go service's p2p_gossip_handler_concurrency.
	workers = 4
	// maxBlockBytes and maxSubtreeBytes bound the JSON.
	maxBlockBytes   = 32 << 10
	maxSubtreeBytes = 32 << 10
	// announcersKept and announcersFor bound what is kept of who announced what, which is looked through once in announcersCleaned:
	// the Go service's p2p_peer_map_max_size and p2p_peer_map_ttl.
	announcersKept    = 10_000
	announcersFor     = 10 * time.Minute
	announcersCleaned = 5 * time.Minute
	// timestampFormat is that of the feed's frames.
	timestampFormat = "2006-01-02T15:04:05Z"
)

// announcement is a block's or a subtree's; a subtree has no height.
type announcement struct {
	Hash       string
	Height     uint32
	DataHubURL string
	PeerID     string
	ClientName string
}

// peerActivity is what the service keeps of a peer with every message.
type peerActivity struct {
	lastMessage time.Time
	bytes       uint64
}

// announcer is who announced a hash, to be found when it turns out to be invalid.
type announcer struct {
	peer string
	at   time.Time
}

// handler checks what is heard, and hands it on.
type handler struct {
	own              string
	allowPrivate     bool
	feed             *feed
	blocks, subtrees *producer

	mu     sync.RWMutex
	peers  map[peer.ID]*peerActivity
	banned map[peer.ID]time.Time

	// announcers are by kind and hash; many write it and few read it.
	announcers sync.Map

	refused atomic.Int64
}

// hear has workers handle what comes, until the channel ends.
func (h *handler) hear(messages <-chan bus.Message, handle func(data []byte, author string) error) {
	for range workers {
		go func() {
			for message := range messages {
				if err := handle(message.Data, message.FromID); err != nil {
					h.refused.Add(1)
					fmt.Fprintln(os.Stderr, "refused:", err)
				}
			}
		}()
	}
}

func (h *handler) block(data []byte, author string) error {
	return h.announced(data, author, "block", maxBlockBytes, h.blocks)
}

func (h *handler) subtree(data []byte, author string) error {
	return h.announced(data, author, "subtree", maxSubtreeBytes, h.subtrees)
}

func (h *handler) announced(data []byte, author, kind string, maxBytes int, records *producer) error {
	if len(data) > maxBytes {
		return fmt.Errorf("%s of %d bytes", kind, len(data))
	}
	var message announcement
	if err := json.Unmarshal(data, &message); err != nil {
		return err
	}
	if message.PeerID != author {
		return fmt.Errorf("%s of %s in the name of %s", kind, author, message.PeerID)
	}
	if err := h.checkDataHub(message.DataHubURL); err != nil {
		return err
	}
	hash, err := hex.DecodeString(message.Hash)
	if err != nil || len(hash) != 32 {
		return fmt.Errorf("%s without a hash: %q", kind, message.Hash)
	}
	now := time.Now().UTC()
	h.feed.show(&notification{
		Timestamp:  now.Format(timestampFormat),
		Type:       kind,
		Hash:       message.Hash,
		Height:     message.Height,
		BaseURL:    message.DataHubURL,
		PeerID:     message.PeerID,
		ClientName: message.ClientName,
	})
	if author == h.own {
		return nil
	}
	id, err := peer.Decode(author)
	if err != nil {
		return err
	}
	h.remember(id, now, len(data))
	if h.isBanned(id, now) {
		return nil
	}
	text := hex.EncodeToString(hash)
	h.announcers.Store(kind+text, announcer{author, now})
	records.publish([]byte(text), recordOf(text, message.DataHubURL, message.PeerID))
	return nil
}

// remember is what the service does with its registry of peers, without the calls to another service.
func (h *handler) remember(author peer.ID, now time.Time, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.peers[author]
	if !ok {
		known = &peerActivity{}
		h.peers[author] = known
	}
	known.lastMessage = now
	known.bytes += uint64(bytes)
}

// isBanned is asked once a message; here nobody is.
func (h *handler) isBanned(author peer.ID, now time.Time) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	until, ok := h.banned[author]
	return ok && now.Before(until)
}

// forgetAnnouncers bounds what is kept of who announced what, until the context ends.
func (h *handler) forgetAnnouncers(ctx context.Context) {
	ticker := time.NewTicker(announcersCleaned)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			kept := 0
			h.announcers.Range(func(key, value any) bool {
				if kept >= announcersKept || now.Sub(value.(announcer).at) > announcersFor {
					h.announcers.Delete(key)
				} else {
					kept++
				}
				return true
			})
		}
	}
}

func (h *handler) checkDataHub(text string) error {
	parsed, err := url.Parse(text)
	if err != nil {
		return err
	}
	host := strings.ToLower(parsed.Hostname())
	if (parsed.Scheme != "http" && parsed.Scheme != "https") || host == "" {
		return fmt.Errorf("no data hub: %q", text)
	}
	if h.allowPrivate {
		return nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return errors.New("a data hub at localhost")
	}
	ip := net.ParseIP(host)
	if ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsUnspecified()) {
		return fmt.Errorf("a data hub at %s", ip)
	}
	return nil
}

// recordOf is kafkamessage.KafkaBlockTopicMessage, and KafkaSubtreeTopicMessage, which has the same fields.
func recordOf(hash, dataHub, peerID string) []byte {
	value := make([]byte, 0, len(hash)+len(dataHub)+len(peerID)+8)
	for number, text := range []string{hash, dataHub, peerID} {
		value = protowire.AppendTag(value, protowire.Number(number+1), protowire.BytesType)
		value = protowire.AppendString(value, text)
	}
	return value
}

// tellDropped says at which of its own queues it dropped; what the message bus and its GossipSub drop they do not tell.
func (h *handler) tellDropped() {
	fmt.Fprintf(os.Stderr, "dropped: %d before Kafka, %d before the feed, %d clients cut; refused %d\n",
		h.blocks.dropped.Load()+h.subtrees.dropped.Load(), h.feed.dropped.Load(), h.feed.evicted.Load(), h.refused.Load())
}
