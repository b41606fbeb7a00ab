package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// queuedNotifications wait for the one goroutine that sends; more are dropped.
	queuedNotifications = 1000
	// queuedFrames wait for one client; one that is further behind is cut.
	queuedFrames = 100
	writeTimeout = 10 * time.Second
)

// notification is a frame of /p2p-ws, with the fields that announcements have.
type notification struct {
	Timestamp  string `json:"timestamp,omitempty"`
	Type       string `json:"type"`
	Hash       string `json:"hash,omitempty"`
	BaseURL    string `json:"base_url,omitempty"`
	PeerID     string `json:"peer_id,omitempty"`
	Height     uint32 `json:"height,omitempty"`
	BestHeight uint32 `json:"best_height"`
	ClientName string `json:"client_name,omitempty"`
}

// greeting is a client's first frame: of the node's status, which the Go service sends whole.
var greeting = []byte(`{"type":"node_status"}`)

// feed shows notifications to every client of /p2p-ws.
type feed struct {
	// patient: a client that is behind is waited for, not cut.
	patient       bool
	notifications chan *notification
	mu            sync.RWMutex
	clients       map[chan []byte]context.CancelFunc
	dropped       atomic.Int64
	evicted       atomic.Int64
}

func newFeed() *feed {
	return &feed{
		notifications: make(chan *notification, queuedNotifications),
		clients:       map[chan []byte]context.CancelFunc{},
	}
}

// show queues a notification, or drops it.
func (f *feed) show(n *notification) {
	select {
	case f.notifications <- n:
	default:
		f.dropped.Add(1)
	}
}

func (f *feed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-f.notifications:
			if data, err := json.Marshal(n); err == nil {
				f.broadcast(data)
			}
		}
	}
}

func (f *feed) broadcast(data []byte) {
	f.mu.RLock()
	clients := make([]chan []byte, 0, len(f.clients))
	for client := range f.clients {
		clients = append(clients, client)
	}
	f.mu.RUnlock()
	for _, client := range clients {
		if f.patient {
			client <- data
			continue
		}
		select {
		case client <- data:
		default:
			f.evict(client)
		}
	}
}

func (f *feed) evict(client chan []byte) {
	f.mu.Lock()
	cancel, ok := f.clients[client]
	delete(f.clients, client)
	f.mu.Unlock()
	if ok {
		f.evicted.Add(1)
		cancel()
	}
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// ServeHTTP serves one client until it leaves or is cut.
func (f *feed) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	connection, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := make(chan []byte, queuedFrames)
	client <- greeting
	f.mu.Lock()
	f.clients[client] = cancel
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.clients, client)
		f.mu.Unlock()
	}()
	go func() {
		defer cancel()
		for {
			if _, _, err := connection.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-client:
			_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err := connection.WriteMessage(websocket.TextMessage, data); err != nil {
				return
			}
		}
	}
}
