package machine

import "slices"

// awaitedMax is how many requests a result stream names: the service refuses more.
const awaitedMax = 64

// hold notes that an endpoint holds a request (rules 5 and 6): it has accepted or knows it, or has
// sent an event of it. serviceID is that of the answer, or of the stream.
func (m *Machine[P]) hold(r *request, at *endpoint, serviceID string) {
	r.isAccepted = true
	if r.isTriedAt(at) {
		r.openTry = nil
	}
	p := r.placeAt(at)
	if p != nil && p.isHeld {
		m.dropLater(r)
		return
	}
	if p == nil {
		p = &place{endpoint: at, ended: make([]bool, r.Groups)}
		r.places = append(r.places, p)
	}
	p.isHeld, p.serviceID = true, serviceID
	m.dropLater(r)
	groups := []int{}
	for i, isEnded := range r.ended {
		if isEnded {
			groups = append(groups, i)
		}
	}
	if len(groups) > 0 && r.placeAt(at) != nil {
		m.emit(CancelCall{Endpoint: at.name, RequestID: r.RequestID, Groups: groups})
	}
}

// dropLater is rule 6: until the submission's deadline, a place that is held at an endpoint that is
// up, reaches the service that holds it, and can still end every unended group, makes later ones
// needless.
func (m *Machine[P]) dropLater(r *request) {
	if len(r.places) < 2 || m.nowMs >= r.DeadlineAtMs {
		return
	}
	first := slices.IndexFunc(r.places, func(p *place) bool {
		isEnding := slices.ContainsFunc(r.unended(), func(group int) bool { return p.ended[group] })
		return p.isHeld && p.endpoint.isUp() && p.endpoint.serviceID == p.serviceID && !isEnding
	})
	if first < 0 {
		return
	}
	later := r.places[first+1:]
	for _, each := range m.endpoints {
		if slices.ContainsFunc(later, func(p *place) bool { return p.endpoint == each }) {
			m.emit(CancelCall{Endpoint: each.name, RequestID: r.RequestID, Groups: []int{}})
		}
	}
	r.places = r.places[: first+1 : first+1]
}

// applyOpened is rules 2, 5 and 6 for a stream that has opened.
func (m *Machine[P]) applyOpened(e Opened) {
	at := m.endpoint(e.Endpoint)
	if at == nil {
		return
	}
	at.connection, at.state, at.serviceID = up, e.State, e.ServiceID
	answers := make(map[string]bool, len(e.Awaited))
	for _, each := range e.Awaited {
		answers[each.RequestID] = each.IsKnown
	}
	for _, r := range m.requests {
		p := r.placeAt(at)
		if p == nil {
			continue
		}
		isKnown, isNamed := answers[r.RequestID]
		switch {
		case isNamed && isKnown:
			m.hold(r, at, e.ServiceID)
		case isNamed && !p.isCrossing:
			m.doubt(r, p)
		case p.isUnnamed: // its summary may have come before the stream, which does not send it again
			r.removePlace(at)
		default:
			m.dropLater(r)
		}
	}
}

// doubt is rule 5 for a request that the service at one of its places does not know.
func (m *Machine[P]) doubt(r *request, p *place) {
	at := p.endpoint
	switch {
	case !p.isHeld:
		if !r.isTriedAt(at) { // an open try may still arrive there
			r.removePlace(at)
		}
	case p.serviceID == at.serviceID:
		r.removePlace(at)
	case !at.isBalanced:
		at.isBalanced = true
		m.emit(Balanced{Endpoint: at.name})
	}
}

// awaited is rule 7: what the request of an endpoint's stream names. Of a try that is open now, the
// service may not know yet when it answers that request.
func (m *Machine[P]) awaited(at *endpoint) []AwaitedRequest {
	requests := []AwaitedRequest{}
	for _, r := range m.requests {
		p := r.placeAt(at)
		if p == nil {
			continue
		}
		hasEnded := len(r.unended()) == 0
		p.isCrossing, p.isUnnamed = r.isTriedAt(at), p.isHeld && hasEnded
		if hasEnded {
			continue
		}
		received := []int{}
		for i := range r.ended {
			if r.ended[i] || p.ended[i] {
				received = append(received, i)
			}
		}
		requests = append(requests, AwaitedRequest{RequestID: r.RequestID, ReceivedGroups: received})
	}
	return requests[max(0, len(requests)-awaitedMax):]
}

// applyCancel is rule 10 for groups that the node no longer wants.
func (m *Machine[P]) applyCancel(e Cancel) {
	r := m.byID[e.RequestID]
	if r == nil {
		return
	}
	groups := []int{}
	for _, group := range r.unended() {
		if e.Groups == nil || slices.Contains(e.Groups, group) {
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 {
		return
	}
	m.cancelAt(r, groups, func(*endpoint) bool { return true })
	m.endAll(r, groups, ResultCancelled)
}

// cancelAt cancels groups at each place of a request, in the node's order of endpoints.
func (m *Machine[P]) cancelAt(r *request, groups []int, isReached func(*endpoint) bool) {
	for _, each := range m.endpoints {
		if r.placeAt(each) != nil && isReached(each) {
			m.emit(CancelCall{Endpoint: each.name, RequestID: r.RequestID, Groups: groups})
		}
	}
}

// endAll ends groups by the adapter's own decision: they are cancelled or lost.
func (m *Machine[P]) endAll(r *request, groups []int, kind ResultKind) {
	for _, group := range groups {
		r.ended[group] = true
		result := m.resultOf(r, group, nil, kind)
		if kind == ResultLost {
			m.emit(Count{Kind: CountLost, Ref: result.Ref})
		}
		m.keep(result)
	}
}
