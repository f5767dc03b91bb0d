// Package machine is the pure part of the adapter: the twelve rules of client/PROTOCOL.md. It takes
// an event and an instant, and returns effects. It has no clock, no goroutine and no I/O, and the
// same events give the same effects, in the same order.
//
// An event is handled in five steps: apply it; place requests that need an endpoint; do what time
// alone does; forget requests that are over; answer. Each step has its own file or function, and
// each function names its rule.
package machine

import "cmp"

// Options configure a machine.
type Options struct {
	// Endpoints in the node's order of preference, each name once.
	Endpoints []string
	// HasVerifyHook: the node verifies proofs by itself.
	HasVerifyHook bool
	// ResultsMax is how many results wait to be taken. Default 4096: hundreds of slots.
	ResultsMax int
	// BytesMax bounds the frozen bytes of all requests. Default 64 MiB.
	BytesMax int
}

// Machine is the state of one adapter. It is not safe for concurrent use.
type Machine[P any] struct {
	hasVerifyHook        bool
	resultsMax, bytesMax int
	endpoints            []*endpoint
	latches              map[LatchName]string
	// requests in the order of their submission; byID has the same.
	requests  []*request
	byID      map[string]*request
	slot      uint64
	hasSlot   bool // the node has named one
	isClosing bool
	isClosed  bool

	verifying []*pending[P]
	results   []*pending[P]
	proofs    map[proofKey][]seenProof

	nowMs   int64
	effects []Effect
}

// New returns a machine whose endpoints are all connecting.
func New[P any](options Options) *Machine[P] {
	m := &Machine[P]{
		hasVerifyHook: options.HasVerifyHook,
		resultsMax:    cmp.Or(options.ResultsMax, 4096),
		bytesMax:      cmp.Or(options.BytesMax, 64<<20),
		latches:       map[LatchName]string{},
		byID:          map[string]*request{},
		proofs:        map[proofKey][]seenProof{},
	}
	for _, name := range options.Endpoints {
		m.endpoints = append(m.endpoints, &endpoint{name: name, state: StateReady})
	}
	return m
}

// Handle applies one event at an instant and returns what the shell has to do, in order.
func (m *Machine[P]) Handle(event Event, nowMs int64) []Effect {
	m.nowMs = nowMs
	m.effects = nil
	m.apply(event)
	m.placeHomeless()
	m.passTime()
	m.forgetOver()
	m.answer(event)
	return m.effects
}

// Knows reports whether the request is not over.
func (m *Machine[P]) Knows(requestID string) bool { return m.byID[requestID] != nil }

// Unended returns the requests that have groups which have not ended, in the order of their submission.
func (m *Machine[P]) Unended() []UnendedGroups {
	requests := []UnendedGroups{}
	for _, r := range m.requests {
		if groups := r.unended(); len(groups) > 0 {
			requests = append(requests, UnendedGroups{RequestID: r.RequestID, Groups: groups})
		}
	}
	return requests
}

// UnendedGroups are the groups of a request that have not ended, ascending.
type UnendedGroups struct {
	RequestID string
	Groups    []int
}

// Waiting returns the number of results that wait to be taken.
func (m *Machine[P]) Waiting() int { return len(m.results) }

// EndpointStates returns how each endpoint is: "connecting", "down", or the state of its service.
func (m *Machine[P]) EndpointStates() []string {
	states := make([]string, 0, len(m.endpoints))
	for _, each := range m.endpoints {
		switch each.connection {
		case up:
			states = append(states, string(each.state))
		case connecting:
			states = append(states, "connecting")
		default:
			states = append(states, "down")
		}
	}
	return states
}

// InFlight returns the number of requests that are not over.
func (m *Machine[P]) InFlight() int { return len(m.requests) }

// IsIdle reports whether every submission has its answer, every group has ended, and no verification
// runs.
func (m *Machine[P]) IsIdle() bool {
	for _, r := range m.requests {
		if !r.isAccepted || len(r.unended()) > 0 {
			return false
		}
	}
	return len(m.verifying) == 0
}

// HasResults reports whether a Take at this instant would deliver something.
func (m *Machine[P]) HasResults(nowMs int64) bool {
	for _, result := range m.results {
		if result.holdUntilMs <= nowMs {
			return true
		}
	}
	return false
}

// NextHoldMs returns the earliest later instant at which a waiting result may be taken, if any.
func (m *Machine[P]) NextHoldMs(nowMs int64) (atMs int64, ok bool) {
	for _, result := range m.results {
		if result.holdUntilMs > nowMs && (!ok || result.holdUntilMs < atMs) {
			atMs, ok = result.holdUntilMs, true
		}
	}
	return atMs, ok
}

func (m *Machine[P]) emit(effect Effect) { m.effects = append(m.effects, effect) }

func (m *Machine[P]) apply(event Event) {
	switch e := event.(type) {
	case Ask:
		m.slot, m.hasSlot = e.Slot, true
	case Take:
		m.slot, m.hasSlot = e.Slot, true
	case Submitted:
		m.applySubmitted(e.Submission)
	case Accepted:
		m.applyAccepted(e)
	case Refused:
		m.applyRefused(e)
	case Failed:
		m.applyFailed(e)
	case Opened:
		m.applyOpened(e)
	case Status:
		if at := m.endpoint(e.Endpoint); at != nil {
			at.note(e.State)
		}
	case Disconnected:
		m.applyDisconnected(e)
	case Outcome[P]:
		m.applyOutcome(e)
	case Summary:
		m.applySummary(e)
	case Verified:
		m.applyVerified(e)
	case Cancel:
		m.applyCancel(e)
	case Closing:
		m.isClosing = true
	case Closed:
		m.applyClosed()
	}
}

// answer is the last step: the answers to Ask, Take and Opening.
func (m *Machine[P]) answer(event Event) {
	switch e := event.(type) {
	case Ask:
		if reason := m.skipReason(e); reason != "" {
			m.emit(Skip{Reason: reason})
		} else {
			m.emit(Go{})
		}
	case Take:
		m.deliver(e)
	case Opening:
		if at := m.endpoint(e.Endpoint); at != nil {
			m.emit(Await{Endpoint: at.name, Requests: m.awaited(at)})
		}
	}
}

// skipReason is rule 1: the first gate that is closed, or "" when all are open.
func (m *Machine[P]) skipReason(ask Ask) SkipReason {
	_, isBusy := m.latches[ask.LatchName]
	switch {
	case !ask.Gates.IsAggregator:
		return NotAggregator
	case ask.Gates.IsSynced != nil && !*ask.Gates.IsSynced:
		return NotSynced
	case !ask.Gates.HasState:
		return MissingState
	case ask.Gates.IsPaused:
		return Paused
	case isBusy && !ask.MayReplace:
		return InFlight
	case m.isClosing:
		return Draining
	case m.target(nil) == nil:
		return Unreachable
	}
	return ""
}

// freeLatch is rule 3: it opens the latch that the request still holds.
func (m *Machine[P]) freeLatch(r *request) {
	if m.latches[r.LatchName] == r.RequestID {
		delete(m.latches, r.LatchName)
	}
}
