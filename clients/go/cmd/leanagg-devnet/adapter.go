package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

// question is one line of the node. Exactly one field is set.
type question struct {
	Start  *start  `json:"start"`
	Submit *submit `json:"submit"`
	Take   *take   `json:"take"`
}

type start struct {
	Endpoint      string `json:"endpoint"`
	NodeID        string `json:"nodeId"`
	GenesisUnixMs int64  `json:"genesisUnixMs"`
	SlotMs        int64  `json:"slotMs"`
	DeadlineMs    int64  `json:"deadlineMs"`
	// Keys are the public keys, by validator.
	Keys [][]byte `json:"keys"`
	// Verifier is the Unix socket of the devnet's verifier. Empty: proofs are not verified.
	Verifier string `json:"verifier"`
}

type submit struct {
	Slot         uint64           `json:"slot"`
	IsAggregator bool             `json:"isAggregator"`
	HasState     bool             `json:"hasState"`
	Priority     leanagg.Priority `json:"priority"`
	DeadlineMs   int64            `json:"deadlineMs"`
	// Snapshot is an encoded lean.aggregator.v1.Snapshot.
	Snapshot []byte `json:"snapshot"`
}

type submitAnswer struct {
	RequestID string             `json:"requestId,omitempty"`
	Skipped   leanagg.SkipReason `json:"skipped,omitempty"`
}

type take struct {
	Slot uint64 `json:"slot"`
}

// taken has the results since the last take. Its counts are those since the start.
type taken struct {
	Results  []result                      `json:"results"`
	News     []string                      `json:"news"`
	Skips    map[leanagg.SkipReason]uint64 `json:"skips"`
	Fenced   uint64                        `json:"fenced"`
	Sessions sessions                      `json:"sessions"`
}

type result struct {
	Kind       leanagg.ResultKind `json:"kind"`
	RequestID  string             `json:"requestId"`
	GroupIndex int                `json:"groupIndex"`
	Slot       uint64             `json:"slot"`
	Endpoint   string             `json:"endpoint"`
	// Outcome is an encoded lean.aggregator.v1.Outcome; absent unless the service ended the group.
	Outcome []byte `json:"outcome,omitempty"`
}

// sessions is what lean_aggregator_worker_duration_seconds has counted.
type sessions struct {
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"`
}

type adapter struct {
	node    *leanagg.Aggregator
	clock   leanagg.SlotClock
	metrics *prometheus.Registry
	news    *news
}

func (s start) adapter() (*adapter, error) {
	a := &adapter{
		clock: leanagg.SlotClock{
			Genesis: time.UnixMilli(s.GenesisUnixMs), Slot: time.Duration(s.SlotMs) * time.Millisecond,
		},
		metrics: prometheus.NewRegistry(),
		news:    &news{},
	}
	options := leanagg.Options{
		Endpoints:  []string{s.Endpoint},
		NodeID:     s.NodeID,
		Clock:      a.clock,
		Deadline:   time.Duration(s.DeadlineMs) * time.Millisecond,
		Registerer: a.metrics,
		Logger:     slog.New(slog.NewTextHandler(a.news, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if s.Verifier != "" {
		options.Verify = func(ctx context.Context, outcome *leanagg.Outcome) bool {
			isValid, err := s.verify(ctx, outcome)
			if err != nil {
				fmt.Fprintf(a.news, "verifier: %v\n", err)
			}
			return isValid
		}
	}
	var err error
	a.node, err = leanagg.New(options)
	return a, err
}

func (a *adapter) submit(s submit) (submitAnswer, error) {
	made := &leanagg.Snapshot{}
	if err := proto.Unmarshal(s.Snapshot, made); err != nil {
		return submitAnswer{}, fmt.Errorf("submit: snapshot: %w", err)
	}
	gates := leanagg.Gates{IsAggregator: s.IsAggregator, HasState: s.HasState}
	answer := a.node.SubmitOrSkip(s.Slot, gates,
		func() (*leanagg.Snapshot, error) { return made, nil },
		leanagg.SubmitOptions{
			Priority: s.Priority,
			Deadline: time.Duration(s.DeadlineMs) * time.Millisecond,
			Steps:    a.clock.Steps(s.Slot, time.Now(), a.clock.Fence(s.Slot)),
		})
	return submitAnswer(answer), nil
}

func (a *adapter) take(t take) (taken, error) {
	answer := taken{Results: []result{}, News: a.news.take()}
	for _, each := range a.node.TakeResults(t.Slot) {
		ended := result{
			Kind: each.Kind, RequestID: each.RequestID, GroupIndex: each.GroupIndex,
			Slot: each.Slot, Endpoint: each.Endpoint,
		}
		if each.Outcome != nil {
			var err error
			if ended.Outcome, err = proto.Marshal(each.Outcome); err != nil {
				return taken{}, fmt.Errorf("take: %w", err)
			}
		}
		answer.Results = append(answer.Results, ended)
	}
	stats := a.node.Stats()
	answer.Skips, answer.Fenced = stats.Skipped, stats.Fenced
	families, err := a.metrics.Gather()
	for _, family := range families {
		if family.GetName() == "lean_aggregator_worker_duration_seconds" {
			histogram := family.GetMetric()[0].GetHistogram()
			answer.Sessions = sessions{histogram.GetSampleCount(), histogram.GetSampleSum()}
		}
	}
	return answer, err
}

// verify asks the devnet's verifier whether a proof attests exactly its participants.
func (s start) verify(ctx context.Context, outcome *leanagg.Outcome) (bool, error) {
	keys := [][]byte{}
	for _, validator := range ssz.Validators(outcome.GetParticipants()) {
		if int(validator) >= len(s.Keys) {
			return false, fmt.Errorf("there is no validator %d", validator)
		}
		keys = append(keys, s.Keys[validator])
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", s.Verifier)
	if err != nil {
		return false, err
	}
	defer func() { _ = connection.Close() }() // nothing is left to lose
	err = json.NewEncoder(connection).Encode(map[string]any{
		"id": 1, "op": "verify_proof", "proof": outcome.GetProof(),
		"claims": []any{map[string]any{"message": outcome.GetMessage(), "keys": keys}},
	})
	if err != nil {
		return false, err
	}
	var answer struct {
		Valid bool   `json:"valid"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(connection).Decode(&answer); err != nil {
		return false, err
	}
	if answer.Error != "" {
		return false, fmt.Errorf("answered %s", answer.Error)
	}
	return answer.Valid, nil
}

// news collects lines until they are taken.
type news struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (n *news) Write(text []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines.Write(text)
}

func (n *news) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := strings.TrimSpace(n.lines.String())
	n.lines.Reset()
	if text == "" {
		return []string{}
	}
	return strings.Split(text, "\n")
}
