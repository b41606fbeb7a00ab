package main

import (
	"encoding/json"
	"strings"
)

// Messages as nodes of early 2025 told them: keys are the fields' names, and every one is told.

type bestBlockMessage struct{ PeerID string }

type blockMessage struct {
	Hash       string
	Height     uint32
	DataHubURL string
	PeerID     string
}

type subtreeMessage struct {
	Hash       string
	DataHubURL string
	PeerID     string
}

type miningOnMessage struct {
	Hash         string
	PreviousHash string
	DataHubURL   string
	PeerID       string
	Height       uint32
	Miner        string
	SizeInBytes  uint64
	TxCount      uint64
}

type rejectedTxMessage struct {
	TxID   string
	Reason string
	PeerID string
}

// olderNames are those of until 20 February 2025. Either reads the other's: Go's decoder does not look at case.
var olderNames = strings.NewReplacer(`"DataHubURL":`, `"DataHubUrl":`, `"PeerID":`, `"PeerId":`, `"TxID":`, `"TxId":`)

func encode(message any, older bool) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil || !older {
		return text, err
	}
	return []byte(olderNames.Replace(string(text))), nil
}

// notification is a frame for the clients of the node's WebSocket, without its time.
type notification struct {
	Type         string `json:"type"`
	Hash         string `json:"hash,omitempty"`
	BaseURL      string `json:"base_url,omitempty"`
	PeerID       string `json:"peer_id,omitempty"`
	PreviousHash string `json:"previousblockhash,omitempty"`
	TxCount      uint64 `json:"tx_count,omitempty"`
	Height       uint32 `json:"height,omitempty"`
	SizeInBytes  uint64 `json:"size_in_bytes,omitempty"`
	Miner        string `json:"miner,omitempty"`
}
