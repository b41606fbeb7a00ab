package main

import (
	"bytes"
	"encoding/hex"

	"github.com/bsv-blockchain/go-chaincfg"
)

// networks are the names that the setting `network` knows. A name that the module does not know is an error.
var networks = []string{"mainnet", "testnet", "teratestnet", "stn", "tstn", "regtest"}

// chainParams are the parameters of one network that matter to a P2P service, as the module gives them to every Teranode.
type chainParams struct {
	Name        string `json:"name"`
	TopicPrefix string `json:"topicPrefix"`
	// PowLimitBits is the easiest compact target.
	PowLimitBits           uint32 `json:"powLimitBits"`
	ReduceMinDifficulty    bool   `json:"reduceMinDifficulty"`
	NoDifficultyAdjustment bool   `json:"noDifficultyAdjustment"`
	// GenesisHash is hex in display order.
	GenesisHash string `json:"genesisHash"`
	// GenesisHeader is the hex of the first block's 80 bytes.
	GenesisHeader string `json:"genesisHeader"`
}

// paramsCommands tell the chain parameters of every network.
func paramsCommands(*lines) commands {
	return commands{"all": command(allParams)}
}

func allParams(struct{}) (any, error) {
	all := []chainParams{}
	for _, name := range networks {
		params, err := chaincfg.GetChainParams(name)
		if err != nil {
			return nil, err
		}
		var header bytes.Buffer
		if err := params.GenesisBlock.Header.Serialize(&header); err != nil {
			return nil, err
		}
		all = append(all, chainParams{
			Name:                   params.Name,
			TopicPrefix:            params.TopicPrefix,
			PowLimitBits:           params.PowLimitBits,
			ReduceMinDifficulty:    params.ReduceMinDifficulty,
			NoDifficultyAdjustment: params.NoDifficultyAdjustment,
			GenesisHash:            params.GenesisHash.String(),
			GenesisHeader:          hex.EncodeToString(header.Bytes()),
		})
	}
	return all, nil
}
