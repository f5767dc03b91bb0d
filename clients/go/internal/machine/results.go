package machine

import "slices"

// pending is a result that waits for its verification, or for the node to take it.
type pending[P any] struct {
	Result[P]
	holdUntilMs int64
	// isProof: fence, message and participants count.
	isProof      bool
	fence        fence
	message      string
	participants Bits
}

func (m *Machine[P]) resultOf(r *request, group int, at *endpoint, kind ResultKind) *pending[P] {
	ref := GroupRef{RequestID: r.RequestID, GroupIndex: group, Slot: r.Slot}
	if at != nil {
		ref.Endpoint = &at.name
	}
	return &pending[P]{Result: Result[P]{Kind: kind, Ref: ref}, holdUntilMs: r.HoldUntilMs}
}

// keep is rule 11: a result waits until the node takes it; the oldest is dropped beyond the limit.
func (m *Machine[P]) keep(result *pending[P]) {
	m.results = append(m.results, result)
	if len(m.results) > m.resultsMax {
		m.emit(Count{Kind: CountDropped, Ref: m.results[0].Ref})
		m.results[0] = nil
		m.results = m.results[1:]
	}
}

// deliver hands out the results that are asked for and not held back, in the order in which they came to
// be.
func (m *Machine[P]) deliver(take Take) {
	kept := m.results[:0]
	count := 0
	for _, result := range m.results {
		isFull := take.Max > 0 && count >= take.Max
		isWanted := take.RequestIDs == nil || slices.Contains(take.RequestIDs, result.Ref.RequestID)
		if isFull || !isWanted || result.holdUntilMs > m.nowMs {
			kept = append(kept, result)
		} else {
			count++
			m.emit(Deliver[P]{Result: result.Result})
		}
	}
	clear(m.results[len(kept):])
	m.results = kept
}

// applyOutcome is rules 5, 6 and 8. From an endpoint without a place, only a proof counts.
func (m *Machine[P]) applyOutcome(e Outcome[P]) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || e.GroupIndex < 0 || e.GroupIndex >= r.Groups {
		return
	}
	if r.placeAt(at) != nil {
		m.hold(r, at, at.serviceID)
	}
	p := r.placeAt(at)
	if p != nil && e.IsDrained {
		at.note(StateDraining)
	}
	switch {
	case p == nil && !e.IsProof:
		return
	case p != nil && e.IsDrained && m.hasReady():
		r.removePlace(at)
		return
	case p != nil:
		p.ended[e.GroupIndex] = true
	}
	if r.ended[e.GroupIndex] || !e.IsProof && r.hasLivePlace(e.GroupIndex, at) {
		return
	}
	r.ended[e.GroupIndex], r.isAccepted = true, true
	m.cancelAt(r, []int{e.GroupIndex}, func(other *endpoint) bool {
		held := r.placeAt(other)
		return other != at && held.isHeld && !held.ended[e.GroupIndex]
	})
	m.judge(r, at, e)
}

// judge is rules 8 and 12: what the outcome that ended a group is for the node.
func (m *Machine[P]) judge(r *request, at *endpoint, e Outcome[P]) {
	result := m.resultOf(r, e.GroupIndex, at, ResultOutcome)
	result.Payload = e.Payload
	if !e.IsProof {
		m.keep(result)
		return
	}
	result.isProof, result.fence = true, r.fence()
	result.message, result.participants = e.Message, e.Participants
	if e.IsLate {
		m.emit(Count{Kind: CountLate, Ref: result.Ref})
	}
	switch {
	case e.IsErased || m.isFencePast(r):
		m.emit(Count{Kind: CountFenced, Ref: result.Ref})
	case m.hasVerifyHook && !m.isDuplicate(result):
		m.verifying = append(m.verifying, result)
		m.emit(Verify[P]{Ref: result.Ref, Payload: result.Payload})
	default:
		m.keepProof(result)
	}
}

func (p *pending[P]) key() proofKey { return proofKey{slot: p.Ref.Slot, message: p.message} }

// keepProof keeps a proof as a result, or as a duplicate.
func (m *Machine[P]) keepProof(result *pending[P]) {
	if m.isDuplicate(result) {
		m.keep(result.withoutPayload(ResultDuplicate))
		return
	}
	m.remember(result)
	m.keep(result)
}

// withoutPayload turns a proof into a result of another kind, which carries no proof.
func (p *pending[P]) withoutPayload(kind ResultKind) *pending[P] {
	var none P
	p.Kind, p.Payload, p.isProof = kind, none, false
	return p
}

// applyVerified is rule 12. The verification of a proof that is gone is ignored.
func (m *Machine[P]) applyVerified(e Verified) {
	for i, result := range m.verifying {
		if result.Ref.RequestID != e.Ref.RequestID || result.Ref.GroupIndex != e.Ref.GroupIndex {
			continue
		}
		m.verifying = append(m.verifying[:i:i], m.verifying[i+1:]...)
		if e.IsValid {
			m.keepProof(result)
		} else {
			m.keep(result.withoutPayload(ResultRefused))
		}
		return
	}
}
