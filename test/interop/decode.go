package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// The structs into which Go nodes read what comes over the topics, as their public sources have them: the newest ones, and of
// mining on and best block, which only the first generation told, that one's. Field order and omitempty mean nothing for reading.

type blockMessage struct {
	PeerID     string
	ClientName string
	DataHubURL string
	Hash       string
	Height     uint32
	Header     string
	Coinbase   string
}

type subtreeMessage struct {
	PeerID     string
	ClientName string
	DataHubURL string
	Hash       string
}

type rejectedTxMessage struct {
	PeerID     string
	ClientName string
	TxID       string
	Reason     string
}

type bestBlockMessage struct {
	PeerId string
}

type miningOnMessage struct {
	Hash         string
	PreviousHash string
	DataHubUrl   string
	PeerId       string
	Height       uint32
	Miner        string
	SizeInBytes  uint64
	TxCount      uint64
}

type feeAmount struct {
	Satoshis uint64 `json:"satoshis"`
	Bytes    uint64 `json:"bytes"`
}

type feePolicy struct {
	MiningFee               feeAmount `json:"miningFee"`
	MaxScriptSizePolicy     uint64    `json:"maxscriptsizepolicy"`
	MaxTxSizePolicy         uint64    `json:"maxtxsizepolicy"`
	MaxTxSigopsCountsPolicy uint64    `json:"maxtxsigopscountspolicy"`
}

type nodeStatusMessage struct {
	PeerID              string     `json:"peer_id"`
	ClientName          string     `json:"client_name"`
	Type                string     `json:"type"`
	BaseURL             string     `json:"base_url"`
	PropagationURL      string     `json:"propagation_url"`
	Version             string     `json:"version"`
	CommitHash          string     `json:"commit_hash"`
	BestBlockHash       string     `json:"best_block_hash"`
	BestHeight          uint32     `json:"best_height"`
	TxCount             uint64     `json:"tx_count"`
	SubtreeCount        uint32     `json:"subtree_count"`
	FSMState            string     `json:"fsm_state"`
	StartTime           int64      `json:"start_time"`
	Uptime              float64    `json:"uptime"`
	MinerName           string     `json:"miner_name"`
	ListenMode          string     `json:"listen_mode"`
	ChainWork           string     `json:"chain_work"`
	SyncPeerID          string     `json:"sync_peer_id"`
	SyncPeerHeight      uint32     `json:"sync_peer_height"`
	SyncPeerBlockHash   string     `json:"sync_peer_block_hash"`
	SyncConnectedAt     int64      `json:"sync_connected_at"`
	MinMiningTxFee      *float64   `json:"min_mining_tx_fee"`
	FeePolicy           *feePolicy `json:"fee_policy"`
	ConnectedPeersCount int        `json:"connected_peers_count"`
	LegacyPeersCount    int        `json:"legacy_connected_peers_count"`
	Storage             string     `json:"storage"`
}

// busEnvelope is what the message bus reads before anything else.
type busEnvelope struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

var messageStructs = map[string]func() any{
	"block":       func() any { return new(blockMessage) },
	"subtree":     func() any { return new(subtreeMessage) },
	"rejected_tx": func() any { return new(rejectedTxMessage) },
	"bestblock":   func() any { return new(bestBlockMessage) },
	"mining_on":   func() any { return new(miningOnMessage) },
	"node_status": func() any { return new(nodeStatusMessage) },
}

type encodedMessage struct {
	Kind string `json:"kind"`
	Data []byte `json:"data"`
}

// decodedMessage is what a Go node has after reading a message; of one that it refuses there is only why.
type decodedMessage struct {
	Refused string `json:"refused,omitempty"`
	// Fields by their key. Every value is a text, so that the test's own JSON rounds nothing: text in hex of its UTF-8, floats
	// in the shortest form that is exact.
	Fields map[string]any `json:"fields,omitempty"`
}

// decoding is what both generations make of a message: without an envelope, and with it.
type decoding struct {
	Direct   decodedMessage `json:"direct"`
	Envelope decodedMessage `json:"envelope"`
	// DataKeys says how often there is an envelope's key with anything but null.
	DataKeys int `json:"dataKeys"`
}

// dataKeys counts the values that are decoded into it.
type dataKeys int

func (d *dataKeys) UnmarshalJSON(value []byte) error {
	if string(value) != "null" {
		*d++
	}
	return nil
}

func decodeCommands(*lines) commands {
	return commands{"decode": command(decodeMessages)}
}

func decodeMessages(messages []encodedMessage) (any, error) {
	decodings := make([]decoding, len(messages))
	for n, message := range messages {
		build, ok := messageStructs[message.Kind]
		if !ok {
			return nil, fmt.Errorf("no kind %s", message.Kind)
		}
		decodings[n].Direct = decodeInto(message.Data, build())
		var counted struct {
			Data dataKeys `json:"data"`
		}
		// What is no JSON object has none.
		_ = json.Unmarshal(message.Data, &counted)
		decodings[n].DataKeys = int(counted.Data)
		var envelope busEnvelope
		if err := json.Unmarshal(message.Data, &envelope); err != nil {
			decodings[n].Envelope.Refused = err.Error()
			continue
		}
		decodings[n].Envelope = decodeInto(envelope.Data, build())
	}
	return decodings, nil
}

func decodeInto(data []byte, message any) decodedMessage {
	if err := json.Unmarshal(data, message); err != nil {
		return decodedMessage{Refused: err.Error()}
	}
	return decodedMessage{Fields: shownStruct(reflect.ValueOf(message).Elem())}
}

func shownStruct(value reflect.Value) map[string]any {
	fields := make(map[string]any)
	for n := range value.NumField() {
		name := value.Type().Field(n).Tag.Get("json")
		if name == "" {
			name = value.Type().Field(n).Name
		}
		fields[name] = shownValue(value.Field(n))
	}
	return fields
}

func shownValue(value reflect.Value) any {
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return nil
		}
		return shownValue(value.Elem())
	case reflect.Struct:
		return shownStruct(value)
	case reflect.String:
		return fmt.Sprintf("%x", value.String())
	case reflect.Float64:
		return strconv.FormatFloat(value.Float(), 'g', -1, 64)
	default:
		return fmt.Sprint(value.Interface())
	}
}
