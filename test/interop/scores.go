package main

import (
	"maps"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	libpeer "github.com/libp2p/go-libp2p/core/peer"
)

// inspectEvery is how often a scoring node looks at its scores.
const inspectEvery = 100 * time.Millisecond

// newestScores are the parameters of the newest nodes: nothing is earned, and what costs is a crowd of peers at one address and
// broken rules.
func newestScores() (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	return &pubsub.PeerScoreParams{
			Topics:                      map[string]*pubsub.TopicScoreParams{},
			AppSpecificScore:            func(libpeer.ID) float64 { return 0 },
			IPColocationFactorWeight:    -35,
			IPColocationFactorThreshold: 10,
			BehaviourPenaltyWeight:      -16,
			BehaviourPenaltyThreshold:   6,
			BehaviourPenaltyDecay:       0.928,
			DecayInterval:               12 * time.Second,
			DecayToZero:                 0.01,
			RetainScore:                 time.Hour,
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold:   -2000,
			PublishThreshold:  -4000,
			GraylistThreshold: -8000,
		}
}

// peerScore is the worst that a node has thought of a peer.
type peerScore struct {
	// Lowest is the lowest score, and MostPenalty the highest count of broken rules, of which six cost nothing.
	Lowest      float64 `json:"lowest"`
	MostPenalty float64 `json:"mostPenalty"`
	Looks       int     `json:"looks"`
}

// scoreWatch remembers what score inspection has shown.
type scoreWatch struct {
	mu     sync.Mutex
	scores map[string]peerScore
}

func newScoreWatch() *scoreWatch {
	return &scoreWatch{scores: map[string]peerScore{}}
}

func (w *scoreWatch) inspect(shown map[libpeer.ID]*pubsub.PeerScoreSnapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, snapshot := range shown {
		name := id.String()
		worst := w.scores[name]
		worst.Lowest = min(worst.Lowest, snapshot.Score)
		worst.MostPenalty = max(worst.MostPenalty, snapshot.BehaviourPenalty)
		worst.Looks++
		w.scores[name] = worst
	}
}

func (w *scoreWatch) worst(struct{}) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.scores), nil
}
