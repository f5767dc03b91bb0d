package machine

// request is a submission that is not over.
type request struct {
	Submission
	// seq numbers submissions.
	seq      int
	ended    []bool
	places   []*place // in the order in which they came to be
	refusers []*endpoint
	// isAccepted: some endpoint has accepted it, in an answer, in Opened or by an event.
	isAccepted    bool
	hasBytes      bool
	isSuperseded  bool // a later submission of its priority has been made
	isSummarised  bool
	isOver        bool
	resubmissions int
	try           try
}

// place is an endpoint that may hold a request (rule 5). Not held: asked, without an answer yet.
type place struct {
	endpoint  *endpoint
	isHeld    bool
	serviceID string // by which it came to be held
	ended     []bool // the groups that this endpoint has ended
}

// try is the last sending of a request. The zero value is none.
type try struct {
	endpoint     *endpoint
	sendAtMs     int64
	deadlineAtMs int64
	fenceAtMs    int64
	isAnswered   bool
	timeouts     int
}

func (r *request) hasUnended() bool {
	for _, isEnded := range r.ended {
		if !isEnded {
			return true
		}
	}
	return false
}

// unended returns the indices of the groups that have not ended.
func (r *request) unended() []int {
	groups := []int{}
	for i, isEnded := range r.ended {
		if !isEnded {
			groups = append(groups, i)
		}
	}
	return groups
}

func (r *request) placeAt(at *endpoint) *place {
	for _, p := range r.places {
		if p.endpoint == at {
			return p
		}
	}
	return nil
}

func (r *request) removePlace(at *endpoint) {
	kept := r.places[:0]
	for _, p := range r.places {
		if p.endpoint != at {
			kept = append(kept, p)
		}
	}
	r.places = kept
}

func (r *request) isRefusedBy(at *endpoint) bool {
	for _, each := range r.refusers {
		if each == at {
			return true
		}
	}
	return false
}

// isHeldUp reports whether a place of the request is held at an endpoint that is up.
func (r *request) isHeldUp() bool {
	for _, p := range r.places {
		if p.isHeld && p.endpoint.isUp() {
			return true
		}
	}
	return false
}

func (r *request) isHeldAnywhere() bool {
	for _, p := range r.places {
		if p.isHeld {
			return true
		}
	}
	return false
}

// hasPlaceFor reports whether a place could still end the group. isReachable: at an endpoint that is
// not down.
func (r *request) hasPlaceFor(group int, isReachable bool) bool {
	for _, p := range r.places {
		if !p.ended[group] && (!isReachable || p.endpoint.connection != down) {
			return true
		}
	}
	return false
}

// isFencePast is rule 9.
func (m *Machine[P]) isFencePast(r *request) bool {
	return m.nowMs >= r.FenceAtMs || r.FenceSlot != nil && m.slot >= *r.FenceSlot
}

// isHomeless is rule 5: an unended group has no place, or no endpoint has answered and the next try
// goes to an endpoint that is not up.
func (m *Machine[P]) isHomeless(r *request) bool {
	isWaiting := !r.isAccepted && r.try.endpoint != nil && m.nowMs < r.try.sendAtMs &&
		!r.try.endpoint.isUp()
	for i, isEnded := range r.ended {
		if !isEnded && (isWaiting || !r.hasPlaceFor(i, true)) {
			return true
		}
	}
	return false
}

// mayResend is rule 5: whether the request may ever be sent again.
func (m *Machine[P]) mayResend(r *request) bool {
	if m.isClosing || !r.hasBytes || r.isSuperseded || r.resubmissions >= resubmissionsMax {
		return false
	}
	return !m.isFencePast(r) && (len(r.places) > 0 || r.isAccepted || m.nowMs < r.DeadlineAtMs)
}

// over takes a request away: it is over, or skipped.
func (m *Machine[P]) over(r *request) {
	r.isOver = true
	m.freeLatch(r)
	delete(m.byID, r.RequestID)
	m.dropBytes(r)
}

// dropBytes is rule 11: the bytes are not needed any more.
func (m *Machine[P]) dropBytes(r *request) {
	if !r.hasBytes {
		return
	}
	r.hasBytes = false
	m.bytes -= r.Bytes
	m.emit(Forget{RequestID: r.RequestID})
}

// skip ends a request of which no group has a result.
func (m *Machine[P]) skip(r *request, reason SkipReason) {
	id := r.RequestID
	m.emit(Skip{RequestID: &id, Reason: reason})
	m.over(r)
}

// sweep removes the requests that are over from the list.
func (m *Machine[P]) sweep() {
	kept := m.requests[:0]
	for _, r := range m.requests {
		if !r.isOver {
			kept = append(kept, r)
		}
	}
	clear(m.requests[len(kept):])
	m.requests = kept
}
