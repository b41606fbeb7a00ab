package main

import (
	"fmt"
	"net/url"

	"github.com/ordishs/gocore"
)

// settings are those of the P2P service that say what network it is in, by their keys.
type settings struct {
	IP              string   `json:"p2p_ip"`
	Port            int      `json:"p2p_port"`
	PrivateKey      string   `json:"p2p_private_key"`
	PeerID          string   `json:"p2p_peer_id"`
	SharedKey       string   `json:"p2p_shared_key"`
	UsePrivateDHT   bool     `json:"p2p_dht_use_private"`
	DHTProtocolID   string   `json:"p2p_dht_protocol_id"`
	Bootstrap       []string `json:"p2p_bootstrapAddresses"`
	StaticPeers     []string `json:"p2p_static_peers"`
	OptimiseRetries bool     `json:"p2p_optimise_retries"`
	TopicPrefix     string   `json:"p2p_topic_prefix"`
	BestBlockTopic  string   `json:"p2p_bestblock_topic"`
	BlockTopic      string   `json:"p2p_block_topic"`
	SubtreeTopic    string   `json:"p2p_subtree_topic"`
	MiningOnTopic   string   `json:"p2p_mining_on_topic"`
	RejectedTxTopic string   `json:"p2p_rejected_tx_topic"`
	// DataHub is asset_httpAddress, its scheme fitted to securityLevelHTTP.
	DataHub string `json:"dataHub"`
}

// readSettings refuses what the service of that time refused: an empty one of those that it wants.
func readSettings() (*settings, error) {
	config := gocore.Config()
	text := func(key string) string {
		value, _ := config.Get(key)
		return value
	}
	list := func(key string) []string {
		values, _ := config.GetMulti(key, "|", []string{})
		return values
	}
	port, _ := config.GetInt("p2p_port", 9906)
	read := &settings{
		IP:              text("p2p_ip"),
		Port:            port,
		PrivateKey:      text("p2p_private_key"),
		PeerID:          text("p2p_peer_id"),
		SharedKey:       text("p2p_shared_key"),
		UsePrivateDHT:   config.GetBool("p2p_dht_use_private", false),
		DHTProtocolID:   text("p2p_dht_protocol_id"),
		Bootstrap:       list("p2p_bootstrapAddresses"),
		StaticPeers:     list("p2p_static_peers"),
		OptimiseRetries: config.GetBool("p2p_optimise_retries", false),
		TopicPrefix:     text("p2p_topic_prefix"),
		BestBlockTopic:  text("p2p_bestblock_topic"),
		BlockTopic:      text("p2p_block_topic"),
		SubtreeTopic:    text("p2p_subtree_topic"),
		MiningOnTopic:   text("p2p_mining_on_topic"),
		RejectedTxTopic: text("p2p_rejected_tx_topic"),
	}
	for key, value := range map[string]string{
		"p2p_ip": read.IP, "p2p_topic_prefix": read.TopicPrefix, "p2p_block_topic": read.BlockTopic,
		"p2p_subtree_topic": read.SubtreeTopic, "p2p_bestblock_topic": read.BestBlockTopic,
		"p2p_mining_on_topic": read.MiningOnTopic, "p2p_rejected_tx_topic": read.RejectedTxTopic,
		"p2p_shared_key": read.SharedKey,
	} {
		if value == "" {
			return nil, fmt.Errorf("%s is not set", key)
		}
	}
	hub, err := url.Parse(text("asset_httpAddress"))
	if err != nil {
		return nil, err
	}
	level, _ := config.GetInt("securityLevelHTTP", 0)
	switch {
	case level == 1 && hub.Scheme == "http":
		hub.Scheme = "https"
	case level == 0 && hub.Scheme == "https":
		hub.Scheme = "http"
	}
	read.DataHub = hub.String()
	return read, nil
}

// topics are all that a node joins, in the order in which it did.
func (s *settings) topics() []string {
	names := []string{}
	for _, topic := range []string{s.BestBlockTopic, s.BlockTopic, s.SubtreeTopic, s.MiningOnTopic, s.RejectedTxTopic} {
		names = append(names, s.topic(topic))
	}
	return names
}

func (s *settings) topic(name string) string {
	return s.TopicPrefix + "-" + name
}
