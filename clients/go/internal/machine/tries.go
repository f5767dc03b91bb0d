package machine

// applySubmitted is rules 3, 4 and 11 for a new request.
func (m *Machine[P]) applySubmitted(s Submission) {
	if m.byID[s.RequestID] != nil || s.Groups < 1 {
		return
	}
	for _, earlier := range m.requests {
		if earlier.Priority == s.Priority {
			earlier.isSuperseded = true
		}
	}
	m.submitted++
	r := &request{Submission: s, seq: m.submitted, ended: make([]bool, s.Groups), hasBytes: true}
	m.requests = append(m.requests, r)
	m.byID[s.RequestID] = r
	m.latches[s.Priority] = s.RequestID
	m.bytes += s.Bytes
	if at := m.target(r); at != nil {
		m.send(r, at, s.DeadlineAtMs)
	}
	for _, oldest := range m.requests {
		if m.bytes <= bytesMax {
			break
		}
		m.dropBytes(oldest)
	}
}

// send makes a first try at an endpoint, at once.
func (m *Machine[P]) send(r *request, at *endpoint, deadlineAtMs int64) {
	m.sendTry(r, at, try{deadlineAtMs: deadlineAtMs, fenceAtMs: r.FenceAtMs, sendAtMs: m.nowMs}, Send{})
}

// sendTry records a try and its place, and emits it. Only the flags of the effect are taken.
func (m *Machine[P]) sendTry(r *request, at *endpoint, t try, flags Send) {
	t.endpoint = at
	r.try = t
	if r.placeAt(at) == nil {
		r.places = append(r.places, &place{endpoint: at, ended: make([]bool, r.Groups)})
	}
	m.emit(Send{
		RequestID:      r.RequestID,
		Endpoint:       at.name,
		AfterMs:        t.sendAtMs - m.nowMs,
		DeadlineAtMs:   t.deadlineAtMs,
		FenceAtMs:      t.fenceAtMs,
		IsLookup:       flags.IsLookup,
		IsResubmission: flags.IsResubmission,
	})
}

// isAwaited reports whether an answer to the last try may come from this endpoint.
func (r *request) isAwaited(at *endpoint) bool {
	return at != nil && r.try.endpoint == at && !r.try.isAnswered
}

// applyAccepted is rules 4, 5 and 9.
func (m *Machine[P]) applyAccepted(e Accepted) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || !r.isAwaited(at) && r.placeAt(at) == nil {
		return
	}
	if r.try.endpoint == at {
		r.try.isAnswered = true
	}
	r.FenceAtMs = min(r.FenceAtMs, e.FenceAtMs)
	m.hold(r, r.placeAt(at), e.ServiceID)
	m.cancelLaterPlaces()
}

// applyRefused is rule 4 for a skip, or an error that a retry would meet again.
func (m *Machine[P]) applyRefused(e Refused) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || !r.isAwaited(at) {
		return
	}
	r.try.isAnswered = true
	r.refusers = append(r.refusers, at)
	r.removePlace(at)
	isElsewhere := e.Reason == Draining || e.Reason == NoProver
	if isElsewhere {
		at.state = ServiceState(e.Reason)
	}
	if r.isAccepted {
		return // homeless there
	}
	if next := m.target(r); isElsewhere && next != nil && (next.isReady() || !next.isUp()) {
		m.send(r, next, r.try.deadlineAtMs)
		return
	}
	m.skip(r, e.Reason)
}

// applyFailed is rule 4 for a try without an answer.
func (m *Machine[P]) applyFailed(e Failed) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || !r.isAwaited(at) {
		return
	}
	t := r.try
	switch {
	case e.IsTimeout && t.timeouts == 0 && r.hasBytes:
		t.timeouts++
		t.sendAtMs = m.nowMs
		m.sendTry(r, at, t, Send{IsLookup: true})
	case !e.IsTimeout && m.nowMs+retryMs < t.deadlineAtMs && r.hasBytes:
		m.retry(r, t)
	default:
		m.giveUp(r, at)
	}
}

// retry sends a failed try again, a little later. Without an endpoint, the request stays homeless.
func (m *Machine[P]) retry(r *request, t try) {
	at := m.target(r)
	if at == nil {
		r.try.isAnswered = true
		return
	}
	t.sendAtMs = m.nowMs + retryMs
	t.timeouts = 0
	m.sendTry(r, at, t, Send{})
}

// giveUp ends the tries at an endpoint: the request is skipped, or homeless there.
func (m *Machine[P]) giveUp(r *request, at *endpoint) {
	r.try.isAnswered = true
	if !r.isAccepted {
		m.skip(r, Unreachable)
		return
	}
	if p := r.placeAt(at); p != nil && !p.isHeld {
		r.removePlace(at)
	}
}

// placeHomeless is the second step, rules 3 and 5.
func (m *Machine[P]) placeHomeless() {
	m.sweep()
	for _, r := range m.requests {
		if !m.isHomeless(r) {
			continue
		}
		if at := m.target(r); at != nil && at.isUp() && m.mayResend(r) {
			m.resend(r, at)
		} else {
			m.freeLatch(r)
		}
	}
}

func (m *Machine[P]) resend(r *request, at *endpoint) {
	if len(r.places) == 0 && !r.isAccepted {
		m.send(r, at, r.DeadlineAtMs)
		return
	}
	r.resubmissions++
	t := try{sendAtMs: m.nowMs, deadlineAtMs: r.FenceAtMs, fenceAtMs: r.FenceAtMs}
	m.sendTry(r, at, t, Send{IsResubmission: true})
}
