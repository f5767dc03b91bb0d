package leanagg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// Aggregator is a node's adapter. Its methods may be called from any goroutine.
type Aggregator struct {
	options   Options
	metrics   *metrics
	clock     clock
	node      *aggregatorv1.Node
	runName   string
	requests  atomic.Uint64
	endpoints []*endpoint
	ready     chan struct{}
	verifiers chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	machine *machine.Machine[*Outcome]
	records map[string]*record
	stats   Stats
	holding *time.Timer
	bodies  []*BodyCandidate
	// unreported are the skips that the node has yet to learn, in their order; isReporting: a goroutine reports
	// them.
	unreported  []laterSkip
	isReporting bool
	// idle is closed by the dispatch after which the machine is idle; nil: nobody waits.
	idle     chan struct{}
	isClosed bool

	// lives ends the streams and calls; running counts their goroutines, cancels those
	// of CancelSession.
	lives   context.Context
	die     context.CancelFunc
	running sync.WaitGroup
	cancels sync.WaitGroup
	closing sync.Mutex
}

// record is what the shell keeps of a request that is not over.
type record struct {
	slot         uint64
	fenceAtMs    int64
	priority     Priority
	frozen       []byte
	steps        []stepAt
	groups       []*AttestationData
	hasLengthBit bool
	isMerge      bool
	isSent       bool
	// mayPass: its last refusal was for what is not in it.
	mayPass bool
	// traceparent is the header of each try. Empty: none.
	traceparent string
	// onSubmit is called once, with the request id, in the critical section in which the machine comes to
	// know the request. Nil: none.
	onSubmit func(requestID string)
	// endTry ends the last try.
	endTry context.CancelFunc
}

// New checks the options, opens a stream to each endpoint in the background, and returns. An endpoint
// that cannot be reached is no error. Call [Aggregator.Close] at the end.
func New(options Options) (*Aggregator, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("leanagg: %w", err)
	}
	a := &Aggregator{
		options:   options,
		clock:     clock{start: time.Now()},
		node:      &aggregatorv1.Node{NodeId: options.NodeID, NodeEpoch: options.NodeEpoch},
		ready:     make(chan struct{}, 1),
		verifiers: make(chan struct{}, verificationsMax),
		records:   map[string]*record{},
	}
	a.stats.Skipped = map[SkipReason]uint64{}
	a.stats.Votes = map[VoteFate]uint64{}
	a.stats.Merges = map[string]uint64{}
	a.lives, a.die = context.WithCancel(context.Background())
	random := make([]byte, 6)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("leanagg: no randomness: %w", err)
	}
	a.runName = hex.EncodeToString(random)
	names, err := a.addEndpoints()
	if err != nil {
		return nil, fmt.Errorf("leanagg: %w", err)
	}
	if a.metrics, err = newMetrics(options.Registerer, options.MetricsNamespace); err != nil {
		return nil, fmt.Errorf("leanagg: %w", err)
	}
	a.machine = machine.New[*Outcome](machine.Options{
		Endpoints:     names,
		HasVerifyHook: options.Verify != nil,
	})
	for _, each := range a.endpoints {
		a.running.Add(2)
		go each.follow()
		go each.sendTries()
	}
	return a, nil
}

// addEndpoints makes the endpoints, each address once.
func (a *Aggregator) addEndpoints() ([]string, error) {
	names := []string{}
	for _, text := range a.options.Endpoints {
		to, err := parseAddress(text, a.options.TLS != nil)
		if err != nil {
			return nil, err
		}
		if a.options.Token != nil && !to.isPrivate() {
			return nil, fmt.Errorf("endpoint %q would get the token in clear text; use https://", text)
		}
		if a.endpointAt(text) != nil {
			continue
		}
		names = append(names, text)
		a.endpoints = append(a.endpoints, newEndpoint(a, to))
	}
	return names, nil
}

func (a *Aggregator) endpointAt(name string) *endpoint {
	for _, each := range a.endpoints {
		if each.address.text == name {
			return each
		}
	}
	return nil
}

// SubmitOrSkip submits a snapshot at the node's slot, or says why not. snapshot is called only if all
// gates are open, before SubmitOrSkip returns; it may return [ErrNothing]. SubmitOrSkip encodes the
// snapshot, so the node may reuse its memory afterwards. It waits for no service and never panics.
func (a *Aggregator) SubmitOrSkip(
	slot uint64, gates Gates, snapshot func() (*Snapshot, error), options SubmitOptions,
) Answer {
	if options.Priority == "" {
		options.Priority = Aggregation
	}
	skip := Skip{Slot: slot, Priority: options.Priority}
	answer := a.submitOrSkip(slot, gates, machine.Aggregate, snapshot, options, &skip, nil)
	if !answer.Submitted() {
		a.report(skip)
	}
	return answer
}

// submitOrSkip says in skip why nothing was submitted. onSubmit may be nil; it is called with the id of
// the request under the adapter's lock, before anything can end the request.
func (a *Aggregator) submitOrSkip(
	slot uint64, gates Gates, kind machine.ProofKind, snapshot func() (*Snapshot, error),
	options SubmitOptions, skip *Skip, onSubmit func(requestID string),
) Answer {
	latch := machine.LatchName{Priority: options.Priority, ProofKind: kind}
	ask := machine.Ask{
		LatchName:  latch,
		Slot:       slot,
		Gates:      machine.Gates(gates),
		MayReplace: options.MayReplace,
	}
	if skip.Reason = a.ask(ask); skip.Reason != "" {
		return a.skipped(skip)
	}
	start := time.Now()
	defer func() { a.metrics.submitSeconds.Observe(time.Since(start).Seconds()) }()
	made, err := call(snapshot)
	switch {
	case errors.Is(err, ErrNothing) || err == nil && len(made.GetGroups()) == 0:
		skip.Reason = NothingToSubmit
		return a.skipped(skip)
	case errors.Is(err, errInvalid):
		skip.Reason, skip.Err = Invalid, err
		return a.skipped(skip)
	case err != nil:
		skip.Reason, skip.Err = SnapshotThrew, err
		return a.skipped(skip)
	}
	submission, kept, err := a.freeze(start, slot, made, latch, options)
	if err != nil {
		skip.Reason, skip.Err = Invalid, err
		return a.skipped(skip)
	}
	// A node that stalled submits for slots whose time is already over.
	if min(submission.DeadlineAtMs, submission.FenceAtMs) <= a.clock.nowMs() {
		skip.Reason = PredictedMiss
		return a.skipped(skip)
	}
	kept.onSubmit = onSubmit
	a.dispatch(machine.Submitted{Submission: submission}, kept)
	return Answer{RequestID: submission.RequestID}
}

// ask returns the reason of a skip, or "".
func (a *Aggregator) ask(ask machine.Ask) SkipReason {
	for _, effect := range a.dispatch(ask, nil) {
		if skip, isSkip := effect.(machine.Skip); isSkip && skip.RequestID == nil {
			return skip.Reason
		}
	}
	return ""
}

// skipped counts a snapshot that was not submitted.
func (a *Aggregator) skipped(skip *Skip) Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.countSkip(skip.Reason)
	return Answer{Skipped: skip.Reason}
}

// call calls the snapshot function of the node; a panic is an error.
func call(snapshot func() (*Snapshot, error)) (made *Snapshot, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("snapshot function panicked: %v", cause)
		}
	}()
	return snapshot()
}

// Cancel ends each group of votes that has not ended and for which isUnwanted returns true, and returns how
// many these are. They end as [Cancelled], here and at the services. isUnwanted must not call the adapter; a
// group for which it panics is kept. It sees no merge: [Aggregator.CancelRequest] ends one of the node's own,
// [BodyCandidate.Forget] those of a body.
func (a *Aggregator) Cancel(isUnwanted func(GroupInfo) bool) int {
	count := 0
	for _, request := range a.unended() {
		groups := []int{}
		for _, info := range request {
			if a.callIsUnwanted(isUnwanted, info) {
				groups = append(groups, info.GroupIndex)
			}
		}
		if len(groups) > 0 {
			count += len(groups)
			a.dispatch(machine.Cancel{RequestID: request[0].RequestID, Groups: groups}, nil)
		}
	}
	return count
}

// CancelRequest ends what has not ended of a request, such as a merge whose parent has left the chain. Its
// groups end as [Cancelled], here and at the services. It does nothing for a request that is over.
func (a *Aggregator) CancelRequest(requestID string) {
	a.dispatch(machine.Cancel{RequestID: requestID}, nil)
}

// unended returns the groups of votes that have not ended, by request in the order of submission.
func (a *Aggregator) unended() [][]GroupInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	requests := [][]GroupInfo{}
	for _, each := range a.machine.Unended() {
		kept := a.records[each.RequestID]
		if kept.isMerge {
			continue
		}
		infos := make([]GroupInfo, len(each.Groups))
		for i, group := range each.Groups {
			infos[i] = GroupInfo{
				RequestID: each.RequestID, GroupIndex: group, Slot: kept.slot, Priority: kept.priority,
				Data: kept.groups[group],
			}
		}
		requests = append(requests, infos)
	}
	return requests
}

func (a *Aggregator) callIsUnwanted(
	isUnwanted func(GroupInfo) bool, info GroupInfo,
) (answer bool) {
	defer func() {
		if cause := recover(); cause != nil {
			a.options.Logger.Error("function of Cancel panicked", "panic", cause)
			answer = false
		}
	}()
	return isUnwanted(info)
}

// Stats returns a picture of the adapter.
func (a *Aggregator) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	stats := a.stats
	stats.Skipped, stats.Votes = maps.Clone(a.stats.Skipped), maps.Clone(a.stats.Votes)
	stats.Merges = maps.Clone(a.stats.Merges)
	stats.InFlight, stats.Waiting = a.machine.InFlight(), a.machine.Waiting()
	stats.Endpoints = make([]EndpointStats, len(a.endpoints))
	for i, state := range a.machine.EndpointStates() {
		each := a.endpoints[i]
		stats.Endpoints[i] = EndpointStats{
			Address: each.address.text, State: state, ServiceID: each.serviceID, Offers: each.offers,
		}
	}
	return stats
}
