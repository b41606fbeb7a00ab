package main

import (
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	libpeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// meshWatch knows who is in the node's own mesh, which GossipSub tells to tracers alone. What is published before somebody is there
// may never get to them.
type meshWatch struct {
	mu     sync.Mutex
	meshes map[string]map[libpeer.ID]bool
}

var _ pubsub.RawTracer = (*meshWatch)(nil)

func newMeshWatch() *meshWatch {
	return &meshWatch{meshes: map[string]map[libpeer.ID]bool{}}
}

func (w *meshWatch) members(topic string) []libpeer.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []libpeer.ID
	for id := range w.meshes[topic] {
		ids = append(ids, id)
	}
	return ids
}

func (w *meshWatch) Graft(id libpeer.ID, topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.meshes[topic] == nil {
		w.meshes[topic] = map[libpeer.ID]bool{}
	}
	w.meshes[topic][id] = true
}

func (w *meshWatch) Prune(id libpeer.ID, topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.meshes[topic], id)
}

func (w *meshWatch) OnClosedOutboundStream(id libpeer.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, mesh := range w.meshes {
		delete(mesh, id)
	}
}

func (*meshWatch) OnNewOutboundStream(libpeer.ID, protocol.ID) {}
func (*meshWatch) Join(string)                                 {}
func (*meshWatch) Leave(string)                                {}
func (*meshWatch) ValidateMessage(*pubsub.Message)             {}
func (*meshWatch) DeliverMessage(*pubsub.Message)              {}
func (*meshWatch) RejectMessage(*pubsub.Message, string)       {}
func (*meshWatch) DuplicateMessage(*pubsub.Message)            {}
func (*meshWatch) ThrottlePeer(libpeer.ID)                     {}
func (*meshWatch) RecvRPC(*pubsub.RPC)                         {}
func (*meshWatch) SendRPC(*pubsub.RPC, libpeer.ID)             {}
func (*meshWatch) DropRPC(*pubsub.RPC, libpeer.ID)             {}
func (*meshWatch) UndeliverableMessage(*pubsub.Message)        {}
