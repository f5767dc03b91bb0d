package machine

// passTime is the third step: what the instant and the node's slot alone do (rule 9).
func (m *Machine[P]) passTime() {
	for _, r := range m.requests {
		if !r.isFenced && m.isPast(r.fence()) {
			r.isFenced, r.fencedAtMs = true, min(m.nowMs, r.FenceAtMs)
			m.freeLatch(r)
		}
	}
	m.verifying = m.dropFenced(m.verifying)
	m.results = m.dropFenced(m.results)
	m.forgetProofs()
	for _, r := range m.requests {
		m.endLate(r)
	}
}

// dropFenced counts and drops the proofs that are past their fence. A result without a proof can
// still be taken.
func (m *Machine[P]) dropFenced(list []*pending[P]) []*pending[P] {
	kept := list[:0]
	for _, result := range list {
		if result.isProof && m.isPast(result.fence) {
			m.emit(Count{Kind: CountFenced, Ref: result.Ref})
		} else {
			kept = append(kept, result)
		}
	}
	clear(list[len(kept):])
	return kept
}

func (m *Machine[P]) endLate(r *request) {
	switch {
	case r.isSkipped:
	case r.isAccepted:
		if m.isGraceOver(r) {
			m.endAll(r, r.unended(), ResultLost)
		}
	case r.isFenced, m.nowMs >= r.DeadlineAtMs && r.isHomeless():
		m.skip(r, Unreachable)
	}
}

// forgetOver is the fourth step, rule 10.
func (m *Machine[P]) forgetOver() {
	for _, r := range m.requests {
		m.endAbandoned(r)
		if !m.isOver(r) {
			continue
		}
		m.freeLatch(r)
		delete(m.byID, r.RequestID)
		if r.hasBytes {
			m.emit(Forget{RequestID: r.RequestID})
		}
	}
	m.sweep()
}

// endAbandoned loses the groups that no place could still end, if their request will not be sent
// again.
func (m *Machine[P]) endAbandoned(r *request) {
	if !r.isAccepted {
		return
	}
	abandoned := []int{}
	for _, group := range r.unended() {
		isAbandoned := true
		for _, p := range r.places {
			isAbandoned = isAbandoned && p.ended[group]
		}
		if isAbandoned {
			abandoned = append(abandoned, group)
		}
	}
	if len(abandoned) > 0 && !m.willResend(r) {
		m.endAll(r, abandoned, ResultLost)
	}
}

func (m *Machine[P]) isOver(r *request) bool {
	switch {
	case r.isSkipped || m.isClosed:
		return true
	case len(r.unended()) > 0:
		return false
	case r.isSummarised || m.isGraceOver(r):
		return true
	}
	for _, p := range r.places {
		if p.isHeld {
			return false
		}
	}
	return true
}

// applySummary is rules 3 and 10. The first summary of a request is for the metrics.
func (m *Machine[P]) applySummary(e Summary) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || r.placeAt(at) == nil {
		return
	}
	m.hold(r, at, at.serviceID)
	p := r.placeAt(at)
	if p == nil {
		return
	}
	for i := range p.ended {
		p.ended[i] = true
	}
	if r.isSummarised {
		return
	}
	r.isSummarised = true
	m.freeLatch(r)
	m.emit(Summarised{RequestID: r.RequestID, Endpoint: at.name, DurationMs: e.DurationMs})
}

// applyClosed is rule 12: nothing goes on.
func (m *Machine[P]) applyClosed() {
	m.isClosing, m.isClosed = true, true
	for _, r := range m.requests {
		groups := r.unended()
		if len(groups) == 0 {
			continue
		}
		m.cancelAt(r, groups, func(at *endpoint) bool { return at.connection != down })
		if r.isAccepted {
			m.endAll(r, groups, ResultLost)
		} else {
			m.skip(r, Draining)
		}
	}
	for _, result := range m.verifying {
		m.keep(result.withoutPayload(ResultRefused))
	}
	m.verifying = nil
}
