package machine

// graceMs is how long after its fence a group waits for the word of a service that can report.
const graceMs = 1000

// fence is when a proof becomes worthless.
type fence struct {
	atMs int64
	slot *uint64 // nil: only time decides
}

// request is a submission that is not over.
type request struct {
	Submission
	ended    []bool
	places   []*place // in the order in which they came to be
	refusers []*endpoint
	// isAccepted: some endpoint has accepted it, so that its groups have results.
	isAccepted    bool
	isSkipped     bool
	isSummarised  bool
	isSuperseded  bool // a later submission of its latch has been made
	hasBytes      bool
	isFenced      bool // an event has shown that its fence has passed
	fencedAtMs    int64
	resubmissions int
	openTry       *openTry // nil: no try waits for an answer
}

// place is an endpoint that may hold a request (rule 5). Not held: asked, without an answer yet.
type place struct {
	endpoint  *endpoint
	isHeld    bool
	serviceID string // by which it came to be held
	ended     []bool // the groups that this endpoint has ended
	// isCrossing: its try was open at the last Opening, so that a service that says unknown may not
	// have had it yet.
	isCrossing bool
	// isUnnamed: held, and the last Opening did not name it, as all groups of its request had ended.
	isUnnamed bool
}

// openTry is a Send that has no answer yet.
type openTry struct {
	endpoint     *endpoint
	deadlineAtMs int64
	isLookup     bool
}

func (r *request) fence() fence { return fence{atMs: r.FenceAtMs, slot: r.FenceSlot} }

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

// isOpenTo reports whether an endpoint has neither refused the request nor holds it.
func (r *request) isOpenTo(at *endpoint) bool {
	for _, refuser := range r.refusers {
		if refuser == at {
			return false
		}
	}
	p := r.placeAt(at)
	return p == nil || !p.isHeld
}

// isTriedAt reports whether a try waits for an answer of this endpoint.
func (r *request) isTriedAt(at *endpoint) bool {
	return r.openTry != nil && r.openTry.endpoint == at
}

// isLive reports whether a place may still report: its endpoint is not down, and it is held or its
// try is open.
func (r *request) isLive(p *place) bool {
	return p.endpoint.connection != down && (p.isHeld || r.isTriedAt(p.endpoint))
}

// isHomeless is rule 5: an unended group has no live place.
func (r *request) isHomeless() bool {
	if r.isSkipped {
		return false
	}
	for _, group := range r.unended() {
		if !r.hasLivePlace(group, nil) {
			return true
		}
	}
	return false
}

// hasLivePlace reports whether a live place, at another endpoint than the given one, has not ended
// the group.
func (r *request) hasLivePlace(group int, than *endpoint) bool {
	for _, p := range r.places {
		if p.endpoint != than && !p.ended[group] && r.isLive(p) {
			return true
		}
	}
	return false
}

// isPast is rule 9.
func (m *Machine[P]) isPast(f fence) bool {
	return m.nowMs >= f.atMs || f.slot != nil && m.hasSlot && m.slot >= *f.slot
}

// isFencePast reports whether the request's fence has passed. It stays passed.
func (m *Machine[P]) isFencePast(r *request) bool { return r.isFenced || m.isPast(r.fence()) }

// isGraceOver reports whether no service can say anything more of the request that counts.
func (m *Machine[P]) isGraceOver(r *request) bool {
	if !r.isFenced {
		return false
	}
	if m.nowMs >= r.fencedAtMs+graceMs {
		return true
	}
	for _, p := range r.places {
		if p.isHeld && p.endpoint.isUp() {
			return false
		}
	}
	return true
}

// sweep removes the requests that are over from the list.
func (m *Machine[P]) sweep() {
	kept := m.requests[:0]
	for _, r := range m.requests {
		if m.byID[r.RequestID] == r {
			kept = append(kept, r)
		}
	}
	clear(m.requests[len(kept):])
	m.requests = kept
}
