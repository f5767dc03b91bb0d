package machine

// hold makes a place held (rules 5 and 6). serviceID is that of the answer, or of the stream.
func (m *Machine[P]) hold(r *request, p *place, serviceID string) {
	r.isAccepted = true
	if p == nil || p.isHeld {
		return
	}
	p.isHeld, p.serviceID = true, serviceID
	groups := []int{}
	for i, isEnded := range r.ended {
		if isEnded && !p.ended[i] {
			groups = append(groups, i)
		}
	}
	if len(groups) > 0 {
		m.emit(CancelCall{Endpoint: p.endpoint.name, RequestID: r.RequestID, Groups: groups})
	}
}

// cancelLaterPlaces is rule 6: while the submission's deadline has not passed, an earlier place that
// is held at an endpoint that is up makes later ones needless.
func (m *Machine[P]) cancelLaterPlaces() {
	for _, r := range m.requests {
		if r.isOver || len(r.places) < 2 || m.nowMs >= r.DeadlineAtMs {
			continue
		}
		hasEarlier := false
		kept := r.places[:0:0]
		for _, p := range r.places {
			if hasEarlier && p.isHeld {
				m.emit(CancelCall{Endpoint: p.endpoint.name, RequestID: r.RequestID, Groups: []int{}})
				continue
			}
			hasEarlier = hasEarlier || p.isHeld && p.endpoint.isUp()
			kept = append(kept, p)
		}
		r.places = kept
	}
}

// awaited is rule 7: what the request of an endpoint's stream names.
func (m *Machine[P]) awaited(at *endpoint) []AwaitedRequest {
	requests := []AwaitedRequest{}
	for _, r := range m.requests {
		p := r.placeAt(at)
		if p == nil || !r.hasUnended() {
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

// endGroup marks a group as ended and cancels it at every other place that is held (rule 6).
// at is the endpoint whose service ended it; nil: the adapter did.
func (m *Machine[P]) endGroup(r *request, group int, at *endpoint) {
	r.ended[group] = true
	for _, each := range m.endpoints {
		p := r.placeAt(each)
		if p != nil && p.isHeld && each != at && !p.ended[group] {
			m.emit(CancelCall{Endpoint: each.name, RequestID: r.RequestID, Groups: []int{group}})
		}
	}
}

// applyCancel is rule 10 for groups that the node no longer wants.
func (m *Machine[P]) applyCancel(e Cancel) {
	r := m.byID[e.RequestID]
	if r == nil {
		return
	}
	groups := []int{}
	for _, group := range r.unended() {
		if e.Groups == nil || containsInt(e.Groups, group) {
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 {
		return
	}
	named := groups
	if e.Groups == nil {
		named = []int{}
	}
	for _, each := range m.endpoints {
		if r.placeAt(each) != nil {
			m.emit(CancelCall{Endpoint: each.name, RequestID: r.RequestID, Groups: named})
		}
	}
	for _, group := range groups {
		r.ended[group] = true
		m.keep(m.resultOf(r, group, nil, ResultCancelled))
	}
}

func containsInt(list []int, wanted int) bool {
	for _, each := range list {
		if each == wanted {
			return true
		}
	}
	return false
}
