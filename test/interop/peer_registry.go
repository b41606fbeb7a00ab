package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// registryService is what a blockchain service of 2026 offers beside BlockchainAPI.
const registryService = "blockchain_api.PeerRegistryService"

// keptCalls bounds what a test can ask of the past.
const keptCalls = 50_000

const (
	banThreshold      = 100
	banDuration       = 24 * time.Hour
	banDecayInterval  = time.Minute
	neutralReputation = 50
)

// reasonPoints are the registry's own; for other reasons the caller's count.
var reasonPoints = map[string]int32{
	"invalid_subtree":    10,
	"protocol_violation": 20,
	"spam":               50,
	"invalid_block":      10,
	"catchup_failure":    30,
	"corrupt_block_body": 10,
}

// storageRank orders catch-up sources.
var storageRank = map[string]int{"full": 2, "pruned": 1}

// times are the fields that Go fills always: with the year 1 for never.
var times = []protoreflect.Name{
	"connected_at", "last_message_time", "last_interaction_attempt", "last_interaction_success", "last_interaction_failure", "last_seen",
	"last_block_time", "last_sync_attempt", "last_reputation_reset", "last_catchup_error_time", "last_validated_at", "full_storage_penalty_until",
}

// registryBan is what a registry remembers of offences, also of peers of whom it has no row.
type registryBan struct {
	score     int32
	until     time.Time
	lastDecay time.Time
	reasons   []string
}

func (b *registryBan) banned(now time.Time) bool { return now.Before(b.until) }

// registryBehaviour is how a test has the registry answer.
type registryBehaviour struct {
	// DelayMs is waited before each answer.
	DelayMs int `json:"delayMs"`
	// Code is the status of each answer; 0 is OK.
	Code uint32 `json:"code"`
	// Methods that this is about; empty: all.
	Methods []string `json:"methods"`
	// Raw is the answer, byte by byte, as often as Times says; once unless told.
	Raw   []byte `json:"raw"`
	Times int    `json:"times"`
	// Capacity in rows: a further peer is refused with RESOURCE_EXHAUSTED. 0: no bound.
	Capacity int `json:"capacity"`
	// AfterEffect applies the request before Delay and Code: the caller does not learn that it was.
	AfterEffect bool `json:"afterEffect"`
}

type registryCall struct {
	Method  string          `json:"method"`
	Message json.RawMessage `json:"message"`
}

// peerRegistry is the blockchain service's registry of peers, in memory. It outlives the server that offers it.
type peerRegistry struct {
	mu        sync.Mutex
	info      protoreflect.MessageDescriptor
	rows      map[string]registryRow
	bans      map[string]*registryBan
	calls     []registryCall
	counts    map[string]int
	behaviour registryBehaviour
}

func newPeerRegistry(known *contracts) (*peerRegistry, error) {
	service, err := known.service(registryService)
	if err != nil {
		return nil, err
	}
	request := service.Methods().ByName("RegisterPeer").Input()
	registry := &peerRegistry{
		info:   request.Fields().ByName("peer").Message(),
		counts: map[string]int{},
	}
	registry.clear()
	return registry, nil
}

func (r *peerRegistry) clear() {
	r.rows = map[string]registryRow{}
	r.bans = map[string]*registryBan{}
}

// registryRow is a PeerRegistryInfo.
type registryRow struct{ *dynamicpb.Message }

func (m registryRow) field(name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func (m registryRow) get(name protoreflect.Name) protoreflect.Value { return m.Get(m.field(name)) }

func (m registryRow) text(name protoreflect.Name) string { return m.get(name).String() }

func (m registryRow) whole(name protoreflect.Name) int64 { return m.get(name).Int() }

func (m registryRow) put(name protoreflect.Name, value any) {
	m.Set(m.field(name), protoreflect.ValueOf(value))
}

func (m registryRow) add(name protoreflect.Name, by int64) { m.put(name, m.whole(name)+by) }

// time of a field; the zero time where it is not set or is Go's zero.
func (m registryRow) time(name protoreflect.Name) time.Time {
	if !m.Has(m.field(name)) {
		return time.Time{}
	}
	stamp := m.get(name).Message()
	fields := stamp.Descriptor().Fields()
	at := time.Unix(stamp.Get(fields.ByName("seconds")).Int(), stamp.Get(fields.ByName("nanos")).Int())
	if at.Year() <= 1 {
		return time.Time{}
	}
	return at
}

func (m registryRow) stamp(name protoreflect.Name, at time.Time) {
	stamp := m.Mutable(m.field(name)).Message()
	fields := stamp.Descriptor().Fields()
	stamp.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(at.Unix()))
	stamp.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(int32(at.Nanosecond())))
}

// copy is a row as it is answered: every time is there, as Go sends it.
func (m registryRow) copy() registryRow {
	copied := registryRow{dynamicpb.NewMessage(m.Descriptor())}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil {
			copied.Set(field, value)
		}
		return true
	})
	for _, name := range times {
		copied.stamp(name, m.time(name))
	}
	return copied
}

func (m registryRow) judge(now time.Time) {
	if m.whole("malicious_count") > 0 {
		m.put("reputation_score", 5.0)
		return
	}
	successes, failures := m.whole("interaction_successes"), m.whole("interaction_failures")
	if successes+failures == 0 {
		m.put("reputation_score", float64(neutralReputation))
		return
	}
	score := float64(successes)/float64(successes+failures)*60 + neutralReputation*0.4
	recent := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) < time.Hour }
	if recent(m.time("last_interaction_failure")) {
		score -= 15
	}
	if recent(m.time("last_interaction_success")) {
		score += 10
	}
	m.put("reputation_score", math.Min(100, math.Max(0, score*speedFactor(m.whole("avg_response_time_ms")))))
}

func speedFactor(ms int64) float64 {
	if ms == 0 {
		return 1
	}
	for _, step := range []struct {
		below  int64
		factor float64
	}{{200, 1.2}, {500, 1.1}, {2000, 1}, {5000, 0.9}, {10_000, 0.8}, {30_000, 0.7}} {
		if ms < step.below {
			return step.factor
		}
	}
	return 0.6
}

func (m registryRow) succeeded(now time.Time, ms int64) {
	m.add("interaction_attempts", 1)
	m.add("interaction_successes", 1)
	m.stamp("last_interaction_attempt", now)
	m.stamp("last_interaction_success", now)
	m.stamp("last_seen", now)
	if average := m.whole("avg_response_time_ms"); ms > 0 && average == 0 {
		m.put("avg_response_time_ms", ms)
	} else if ms > 0 {
		m.put("avg_response_time_ms", (average*4+ms)/5)
	}
	m.judge(now)
}

func (m registryRow) failed(now time.Time, malicious bool) {
	if malicious {
		m.add("malicious_count", 1)
	}
	m.add("interaction_attempts", 1)
	m.add("interaction_failures", 1)
	m.stamp("last_interaction_attempt", now)
	m.stamp("last_interaction_failure", now)
	m.judge(now)
}

func (m registryRow) reset() {
	for _, name := range []protoreflect.Name{
		"interaction_attempts", "interaction_successes", "interaction_failures", "malicious_count", "avg_response_time_ms",
		"last_interaction_attempt", "last_interaction_success", "last_interaction_failure", "last_catchup_error", "last_catchup_error_time",
		"last_reputation_reset", "reputation_reset_count", "last_sync_attempt", "sync_attempt_count",
	} {
		m.Clear(m.field(name))
	}
	m.put("reputation_score", float64(neutralReputation))
}

// serve answers one call.
func (r *peerRegistry) serve(ctx context.Context, method protoreflect.MethodDescriptor, request *dynamicpb.Message) (*dynamicpb.Message, error) {
	text, err := toJSON(request)
	if err != nil {
		return nil, err
	}
	name := string(method.Name())
	r.mu.Lock()
	r.counts[name]++
	if len(r.calls) < keptCalls {
		r.calls = append(r.calls, registryCall{name, text})
	}
	behaviour := r.behaviour
	r.mu.Unlock()
	if len(behaviour.Methods) > 0 && !slices.Contains(behaviour.Methods, name) {
		behaviour = registryBehaviour{Capacity: behaviour.Capacity}
	}
	response := dynamicpb.NewMessage(method.Output())
	if behaviour.AfterEffect {
		if err := r.answer(name, registryRow{request}, response, behaviour.Capacity); err != nil {
			return nil, err
		}
	}
	if behaviour.DelayMs > 0 {
		select {
		case <-time.After(time.Duration(behaviour.DelayMs) * time.Millisecond):
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	if behaviour.Code != 0 {
		return nil, status.Error(codes.Code(behaviour.Code), "as the test wants it")
	}
	if len(behaviour.Raw) > 0 {
		response.SetUnknown(bytes.Repeat(behaviour.Raw, max(1, behaviour.Times)))
		return response, nil
	}
	if behaviour.AfterEffect {
		return response, nil
	}
	return response, r.answer(name, registryRow{request}, response, behaviour.Capacity)
}

// answer does what a method says. Updates of peers without a row do nothing, as in Go.
func (r *peerRegistry) answer(method string, request registryRow, response *dynamicpb.Message, capacity int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	answer := registryRow{response}
	switch method {
	case "RegisterPeer":
		return r.register(registryRow{request.get("peer").Message().Interface().(*dynamicpb.Message)}, now, capacity)
	case "ListPeers":
		list := answer.Mutable(answer.field("peers")).List()
		for _, row := range r.list(request, now) {
			list.Append(protoreflect.ValueOfMessage(row.ProtoReflect()))
		}
		return nil
	case "ListBannedPeers":
		list := answer.Mutable(answer.field("peer_ids")).List()
		for id, ban := range r.bans {
			if ban.banned(now) {
				list.Append(protoreflect.ValueOfString(id))
			}
		}
		return nil
	case "ClearBannedPeers":
		r.bans = map[string]*registryBan{}
		for _, row := range r.rows {
			r.showBan(row)
		}
		return nil
	case "ClearAllSyncAttempts":
		cleared := int32(0)
		for _, row := range r.rows {
			if !row.time("last_sync_attempt").IsZero() {
				row.Clear(row.field("last_sync_attempt"))
				cleared++
			}
		}
		answer.put("cleared", cleared)
		return nil
	case "ReconsiderBadPeers":
		answer.put("reconsidered", r.reconsider(now, time.Duration(request.whole("cooldown_seconds"))*time.Second))
		return nil
	}
	id := request.text("peer_id")
	row, known := r.rows[id]
	switch method {
	case "GetPeer":
		if !known {
			answer.put("not_found", true)
			return nil
		}
		r.showBan(row)
		answer.Set(answer.field("peer"), protoreflect.ValueOfMessage(row.copy().ProtoReflect()))
	case "AddBanScore":
		score, banned := r.offend(id, request.text("reason"), int32(request.whole("points")), now)
		answer.put("score", score)
		answer.put("banned", banned)
	case "IsPeerBanned":
		ban, ok := r.bans[id]
		answer.put("banned", ok && ban.banned(now))
	case "RemovePeer":
		delete(r.rows, id)
	case "ResetReputation":
		reset := int32(0)
		for of, row := range r.rows {
			if id == "" || of == id {
				row.reset()
				reset++
			}
		}
		answer.put("reset", reset)
	default:
		if known {
			r.update(method, row, request, now)
		}
	}
	return nil
}

func (r *peerRegistry) register(told registryRow, now time.Time, capacity int) error {
	id := told.text("peer_id")
	row, known := r.rows[id]
	if !known {
		if capacity > 0 && len(r.rows) >= capacity {
			return status.Error(codes.ResourceExhausted, "the peer registry is full")
		}
		row = told.copy()
		row.put("reputation_score", float64(neutralReputation))
		row.stamp("connected_at", now)
		row.stamp("last_message_time", now)
		row.stamp("last_seen", now)
		r.rows[id] = row
		r.showBan(row)
		return nil
	}
	for _, name := range []protoreflect.Name{
		"client_name", "height", "data_hub_url", "network_address", "storage", "block_hash",
	} {
		if field := told.field(name); told.Has(field) {
			row.Set(field, told.Get(field))
		}
	}
	row.Set(row.field("transport_type"), told.get("transport_type"))
	row.add("full_storage_contradictions", told.whole("full_storage_contradictions"))
	if until := told.time("full_storage_penalty_until"); until.After(row.time("full_storage_penalty_until")) {
		row.stamp("full_storage_penalty_until", until)
	}
	row.stamp("last_seen", now)
	return nil
}

func (r *peerRegistry) update(method string, row, request registryRow, now time.Time) {
	ms := func() int64 { return request.whole("response_time_ms") }
	switch method {
	case "UpdatePeerMetrics":
		if height := request.get("height").Uint(); height > 0 {
			row.put("height", uint32(height))
		}
		row.put("bytes_sent", row.get("bytes_sent").Uint()+request.get("bytes_sent_delta").Uint())
		row.put("bytes_received", row.get("bytes_received").Uint()+request.get("bytes_received_delta").Uint())
		switch {
		case request.get("record_malicious").Bool():
			row.failed(now, true)
		case request.get("record_success").Bool():
			row.succeeded(now, ms())
		case request.get("record_failure").Bool():
			row.failed(now, false)
		}
		row.judge(now)
		row.stamp("last_seen", now)
	case "UpdateConnectionState":
		row.put("is_connected", request.get("connected").Bool())
	case "UpdateLastMessageTime":
		row.stamp("last_message_time", now)
	case "UpdateStorage":
		row.put("storage", request.text("storage"))
	case "RecordSyncAttempt":
		row.stamp("last_sync_attempt", now)
		row.put("sync_attempt_count", int32(row.whole("sync_attempt_count")+1))
	case "RecordCatchupAttempt":
		row.add("catchup_attempts", 1)
		row.add("interaction_attempts", 1)
		row.stamp("last_interaction_attempt", now)
		row.stamp("last_sync_attempt", now)
		row.put("sync_attempt_count", int32(row.whole("sync_attempt_count")+1))
	case "RecordCatchupFailure":
		row.add("catchup_failures", 1)
		row.failed(now, false)
	case "RecordCatchupSuccess":
		row.add("catchup_successes", 1)
		row.succeeded(now, ms())
	case "RecordCatchupError":
		row.put("last_catchup_error", request.text("error_message"))
		row.stamp("last_catchup_error_time", now)
	case "RecordBlockReceived":
		row.add("blocks_received", 1)
		row.stamp("last_block_time", now)
		row.succeeded(now, ms())
	case "RecordSubtreeReceived":
		row.add("subtrees_received", 1)
		row.succeeded(now, ms())
	case "RecordTransactionReceived":
		row.add("transactions_received", 1)
		row.succeeded(now, 0)
	case "RecordValidatedPeerProgress":
		row.put("validated_height", uint32(request.get("height").Uint()))
		row.put("validated_block_hash", slices.Clone(request.get("block_hash").Bytes()))
		row.put("validated_chain_work", slices.Clone(request.get("chain_work").Bytes()))
		row.stamp("last_validated_at", now)
	}
}

// list is ListPeers: the best reputation first, with sort_by_storage full before pruned before the rest.
func (r *peerRegistry) list(request registryRow, now time.Time) []registryRow {
	found := []registryRow{}
	for _, row := range r.rows {
		r.showBan(row)
		ban, offended := r.bans[row.text("peer_id")]
		switch {
		case request.get("exclude_banned").Bool() && offended && ban.banned(now):
		case request.get("filter_transport").Bool() && row.get("transport_type").Enum() != request.get("transport_filter").Enum():
		case row.get("reputation_score").Float() < request.get("min_reputation").Float():
		case row.get("height").Uint() < request.get("min_height").Uint():
		default:
			found = append(found, row.copy())
		}
	}
	byStorage := request.get("sort_by_storage").Bool()
	slices.SortFunc(found, func(one, other registryRow) int {
		if byStorage {
			if order := storageRank[other.text("storage")] - storageRank[one.text("storage")]; order != 0 {
				return order
			}
		}
		return cmp.Or(
			cmp.Compare(other.get("reputation_score").Float(), one.get("reputation_score").Float()),
			other.time("last_interaction_success").Compare(one.time("last_interaction_success")),
			cmp.Compare(one.text("peer_id"), other.text("peer_id")),
		)
	})
	return found
}

// offend adds points; the second answer says whether this made it a ban.
func (r *peerRegistry) offend(id, reason string, points int32, now time.Time) (int32, bool) {
	ban, known := r.bans[id]
	if !known {
		ban = &registryBan{lastDecay: now}
		r.bans[id] = ban
	}
	if !ban.until.IsZero() && !ban.banned(now) {
		*ban = registryBan{lastDecay: now}
	}
	if steps := int32(now.Sub(ban.lastDecay) / banDecayInterval); steps > 0 {
		ban.score = max(0, ban.score-steps)
		ban.lastDecay = ban.lastDecay.Add(time.Duration(steps) * banDecayInterval)
	}
	if own, ok := reasonPoints[reason]; ok {
		points = own
	}
	ban.reasons = append(ban.reasons, reason)
	ban.score += points
	fresh := ban.score >= banThreshold && !ban.banned(now)
	if fresh {
		ban.until = now.Add(banDuration)
	}
	if row, ok := r.rows[id]; ok {
		r.showBan(row)
	}
	return ban.score, fresh
}

// showBan puts what is known of a peer's offences into its row.
func (r *peerRegistry) showBan(row registryRow) {
	ban, ok := r.bans[row.text("peer_id")]
	if !ok {
		ban = &registryBan{}
	}
	row.put("is_banned", ban.banned(time.Now()))
	row.put("ban_score", ban.score)
}

// reconsider gives a reputation back to peers that had none for long enough, each time after three times as long.
func (r *peerRegistry) reconsider(now time.Time, cooldown time.Duration) int32 {
	recovered := int32(0)
	for _, row := range r.rows {
		failed, reset := row.time("last_interaction_failure"), row.time("last_reputation_reset")
		wait := cooldown * time.Duration(math.Pow(3, float64(row.whole("reputation_reset_count"))))
		if row.get("reputation_score").Float() >= 20 || failed.IsZero() || now.Sub(failed) < cooldown || now.Sub(reset) < wait {
			continue
		}
		row.put("reputation_score", 30.0)
		row.put("malicious_count", int64(0))
		row.stamp("last_reputation_reset", now)
		row.put("reputation_reset_count", int32(row.whole("reputation_reset_count")+1))
		recovered++
	}
	return recovered
}

// What a test asks of the registry, and does to it.

func (r *peerRegistry) shown(struct{}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := []json.RawMessage{}
	for _, row := range r.rows {
		r.showBan(row)
		text, err := toJSON(row.copy().Message)
		if err != nil {
			return nil, err
		}
		rows = append(rows, text)
	}
	return rows, nil
}

// put takes rows as they are, in protobuf's JSON.
func (r *peerRegistry) put(arguments struct {
	Rows []json.RawMessage `json:"rows"`
}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range arguments.Rows {
		row, err := toMessage(r.info, text)
		if err != nil {
			return nil, err
		}
		r.rows[registryRow{row}.text("peer_id")] = registryRow{row}
	}
	return nil, nil
}

func (r *peerRegistry) ban(arguments struct {
	Peers []string `json:"peers"`
}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range arguments.Peers {
		r.bans[id] = &registryBan{score: banThreshold, until: time.Now().Add(banDuration), lastDecay: time.Now()}
	}
	return nil, nil
}

func (r *peerRegistry) unban(arguments struct {
	Peers []string `json:"peers"`
}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range arguments.Peers {
		delete(r.bans, id)
	}
	return nil, nil
}

// reasons for which a peer was scored, the first one first.
func (r *peerRegistry) reasons(arguments struct {
	Peer string `json:"peer"`
}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ban, ok := r.bans[arguments.Peer]; ok {
		return ban.reasons, nil
	}
	return []string{}, nil
}

func (r *peerRegistry) forget(struct{}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	return nil, nil
}

func (r *peerRegistry) behave(behaviour registryBehaviour) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behaviour = behaviour
	return nil, nil
}

func (r *peerRegistry) counted(struct{}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]int{}
	for method, count := range r.counts {
		counts[method] = count
	}
	return counts, nil
}

// requests of one method, or of all where none is named, the first one first.
func (r *peerRegistry) requests(arguments struct {
	Method string `json:"method"`
}) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []registryCall{}
	for _, call := range r.calls {
		if arguments.Method == "" || call.Method == arguments.Method {
			found = append(found, call)
		}
	}
	return found, nil
}
