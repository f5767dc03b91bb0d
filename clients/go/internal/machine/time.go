package machine

import (
	"cmp"
	"slices"
)

// passTime is the third step: what the instant and the node's slot alone do (rules 4 and 9).
func (m *Machine[P]) passTime() {
	m.sweep()
	m.verifying = m.dropFenced(m.verifying)
	m.results = m.dropFenced(m.results)
	for _, r := range m.requests {
		m.passTimeOf(r)
	}
	m.sweepProofs()
}

// dropFenced counts and drops the proofs that are past their fence. A result without a proof can
// still be taken.
func (m *Machine[P]) dropFenced(list []*pending[P]) []*pending[P] {
	kept := list[:0]
	fenced := []*pending[P]{}
	for _, result := range list {
		if result.isProof && m.isFencePast(result.owner) {
			fenced = append(fenced, result)
		} else {
			kept = append(kept, result)
		}
	}
	clear(list[len(kept):])
	slices.SortStableFunc(fenced, func(a, b *pending[P]) int {
		return cmp.Or(cmp.Compare(a.owner.seq, b.owner.seq), cmp.Compare(a.Ref.GroupIndex, b.Ref.GroupIndex))
	})
	for _, result := range fenced {
		m.emit(Count{Kind: CountFenced, Ref: result.Ref})
	}
	return kept
}

func (m *Machine[P]) passTimeOf(r *request) {
	isFencePast := m.isFencePast(r)
	if isFencePast {
		m.freeLatch(r)
	}
	switch {
	case !r.isAccepted:
		if isFencePast || m.nowMs >= r.DeadlineAtMs && m.isHomeless(r) {
			m.skip(r, Unreachable)
		}
	case m.nowMs >= r.FenceAtMs+graceMs, isFencePast && !r.isHeldUp():
		m.lose(r, func(int) bool { return true })
	}
}

// lose ends the unended groups that isLost names.
func (m *Machine[P]) lose(r *request, isLost func(group int) bool) {
	for _, group := range r.unended() {
		if !isLost(group) {
			continue
		}
		m.endGroup(r, group, nil)
		result := m.resultOf(r, group, nil, ResultLost)
		m.emit(Count{Kind: CountLost, Ref: result.Ref})
		m.keep(result)
	}
}

// forgetOver is the fourth step, rule 10.
func (m *Machine[P]) forgetOver() {
	for _, r := range m.requests {
		if r.isOver {
			continue
		}
		if r.isAccepted && !m.mayResend(r) {
			m.lose(r, func(group int) bool { return !r.hasPlaceFor(group, false) })
		}
		if !r.hasUnended() && (r.isSummarised || !r.isHeldAnywhere()) {
			m.over(r)
		}
	}
	m.sweep()
}

// applySummary is rules 3 and 10.
func (m *Machine[P]) applySummary(e Summary) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil {
		return
	}
	p := r.placeAt(at)
	if p == nil {
		return
	}
	m.hold(r, p, at.serviceID)
	for i := range p.ended {
		p.ended[i] = true
	}
	if !r.isSummarised {
		r.isSummarised = true
		m.emit(Summarised{RequestID: r.RequestID, Endpoint: at.name, DurationMs: e.DurationMs})
	}
	m.freeLatch(r)
	m.cancelLaterPlaces()
}

// applyClosed is rule 12: nothing goes on.
func (m *Machine[P]) applyClosed() {
	m.isClosing = true
	for _, r := range m.requests {
		m.cancelAtClose(r)
	}
	for _, r := range m.requests {
		if !r.isAccepted {
			m.skip(r, Draining)
			continue
		}
		for _, group := range r.unended() {
			r.ended[group] = true
			result := m.resultOf(r, group, nil, ResultLost)
			m.emit(Count{Kind: CountLost, Ref: result.Ref})
			m.keep(result)
		}
		m.over(r)
	}
	for _, result := range m.verifying {
		m.keep(result.withoutPayload(ResultRefused))
	}
	m.verifying = nil
}

func (m *Machine[P]) cancelAtClose(r *request) {
	groups := r.unended()
	if len(groups) == 0 {
		return
	}
	if len(groups) == r.Groups {
		groups = []int{}
	}
	for _, each := range m.endpoints {
		if r.placeAt(each) != nil && each.connection != down {
			m.emit(CancelCall{Endpoint: each.name, RequestID: r.RequestID, Groups: groups})
		}
	}
}
