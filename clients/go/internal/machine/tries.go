package machine

import "math"

// Limits of rules 4 and 5.
const (
	retryMs          = 100
	resubmissionsMax = 3
)

// applySubmitted is rules 3, 4 and 11 for a new request.
func (m *Machine[P]) applySubmitted(s Submission) {
	if m.byID[s.RequestID] != nil {
		return
	}
	for _, earlier := range m.requests {
		if earlier.LatchName == s.LatchName {
			earlier.isSuperseded = true
		}
	}
	r := &request{Submission: s, ended: make([]bool, s.Groups), hasBytes: true}
	m.requests = append(m.requests, r)
	m.byID[s.RequestID] = r
	m.latches[s.LatchName] = s.RequestID
	if m.isClosed {
		m.skip(r, Draining)
		return
	}
	if at := m.target(r); at != nil && !m.isFencePast(r) {
		m.send(r, at, Send{DeadlineAtMs: s.DeadlineAtMs})
	}
	m.boundBytes()
}

// boundBytes is rule 11: the oldest request loses its bytes first, and the newest keeps them.
func (m *Machine[P]) boundBytes() {
	total := 0
	for _, r := range m.requests {
		if r.hasBytes {
			total += r.Bytes
		}
	}
	for _, r := range m.requests[:len(m.requests)-1] {
		if total <= m.bytesMax {
			return
		}
		if r.hasBytes {
			total -= r.Bytes
			r.hasBytes = false
			m.emit(Forget{RequestID: r.RequestID})
		}
	}
}

// send makes a try at an endpoint, with the deadline, delay and flags of how. Its place there is
// asked, if it has none yet.
func (m *Machine[P]) send(r *request, at *endpoint, how Send) {
	if r.placeAt(at) == nil {
		r.places = append(r.places, &place{endpoint: at, ended: make([]bool, r.Groups)})
	}
	r.openTry = &openTry{endpoint: at, deadlineAtMs: how.DeadlineAtMs, isLookup: how.IsLookup}
	how.RequestID, how.Endpoint, how.FenceAtMs = r.RequestID, at.name, r.FenceAtMs
	m.emit(how)
}

// canSend reports whether the bytes are there, and deadline and fence are later than afterMs from
// now.
func (m *Machine[P]) canSend(r *request, deadlineAtMs, afterMs int64) bool {
	atMs := m.nowMs + afterMs
	return r.hasBytes && !m.isFencePast(r) && deadlineAtMs > atMs && r.FenceAtMs > atMs
}

// skip ends a request that no endpoint has accepted.
func (m *Machine[P]) skip(r *request, reason SkipReason) {
	r.isSkipped, r.openTry = true, nil
	id := r.RequestID
	m.emit(Skip{RequestID: &id, Reason: reason})
}

// applyAccepted is rules 4, 5 and 9.
func (m *Machine[P]) applyAccepted(e Accepted) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || !r.isTriedAt(at) && r.placeAt(at) == nil {
		return
	}
	r.FenceAtMs = min(r.FenceAtMs, e.FenceAtMs)
	m.hold(r, at, e.ServiceID)
}

// applyRefused is rule 4 for a skip, or an error that a retry would meet again.
func (m *Machine[P]) applyRefused(e Refused) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || !r.isTriedAt(at) {
		return
	}
	deadlineAtMs := r.openTry.deadlineAtMs
	r.openTry = nil
	r.removePlace(at)
	r.refusers = append(r.refusers, at)
	isResting := e.Reason == Draining || e.Reason == NoProver
	if isResting {
		at.note(ServiceState(e.Reason))
	}
	if r.isAccepted {
		return // homeless there
	}
	next := m.target(r)
	canGo := isResting && next != nil && (next.isReady() || !next.isUp())
	if canGo && m.canSend(r, deadlineAtMs, 0) {
		m.send(r, next, Send{DeadlineAtMs: deadlineAtMs})
		return
	}
	m.skip(r, e.Reason)
}

// applyFailed is rule 4 for a try without an answer.
func (m *Machine[P]) applyFailed(e Failed) {
	r, at := m.byID[e.RequestID], m.endpoint(e.Endpoint)
	if r == nil || at == nil || !r.isTriedAt(at) {
		return
	}
	tried := *r.openTry
	r.openTry = nil
	switch {
	case r.isAccepted && !(r.isHomeless() && m.mayResend(r)):
	case e.IsTimeout && !tried.isLookup && m.canSend(r, math.MaxInt64, 0):
		m.send(r, at, Send{DeadlineAtMs: tried.deadlineAtMs, IsLookup: true})
	case !e.IsTimeout && m.canSend(r, tried.deadlineAtMs, retryMs):
		// Without an endpoint the request is homeless: rule 5 sends it, or its deadline ends it.
		if next := m.target(r); next != nil {
			m.send(r, next, Send{DeadlineAtMs: tried.deadlineAtMs, AfterMs: retryMs})
		}
	case !r.isAccepted:
		m.skip(r, Unreachable)
	}
}

// placeHomeless is the second step, rules 3 and 5.
func (m *Machine[P]) placeHomeless() {
	for _, r := range m.requests {
		if r.isHomeless() && !m.resend(r) {
			m.freeLatch(r)
		}
	}
}

// resend sends a homeless request to the endpoint of rule 2, if rule 5 allows it.
func (m *Machine[P]) resend(r *request) bool {
	// When nobody can have it, this is still the node's own try.
	isResubmission := r.isAccepted || len(r.places) > 0
	deadlineAtMs := r.DeadlineAtMs
	if isResubmission {
		deadlineAtMs = r.FenceAtMs
	}
	at := m.target(r)
	isAllowed := m.mayResend(r) && r.resubmissions < resubmissionsMax
	if !isAllowed || at == nil || !at.isUp() || m.nowMs >= deadlineAtMs {
		return false
	}
	if isResubmission {
		r.resubmissions++
	}
	m.send(r, at, Send{DeadlineAtMs: deadlineAtMs, IsResubmission: isResubmission})
	return true
}

// mayResend reports whether nothing but the number of resubmissions, or a lack of endpoints, keeps a
// request from being sent again.
func (m *Machine[P]) mayResend(r *request) bool {
	return !m.isClosing && r.hasBytes && !m.isFencePast(r) && !r.isSuperseded
}

// willResend reports whether rule 5 may send the request some time: an endpoint is left for it.
func (m *Machine[P]) willResend(r *request) bool {
	if !m.mayResend(r) || r.resubmissions >= resubmissionsMax {
		return false
	}
	for _, each := range m.endpoints {
		if r.isOpenTo(each) {
			return true
		}
	}
	return false
}
