package machine

// connection is how an endpoint's result stream is.
type connection int

const (
	connecting connection = iota
	up
	down
)

// endpoint is one service, or what is behind one address (rule 2).
type endpoint struct {
	name       string
	connection connection
	state      ServiceState
	// serviceID of the last Opened; empty before the first one.
	serviceID  string
	isBalanced bool
}

func (e *endpoint) isUp() bool    { return e.connection == up }
func (e *endpoint) isReady() bool { return e.connection == up && e.state == StateReady }

func (m *Machine[P]) endpoint(name string) *endpoint {
	for _, each := range m.endpoints {
		if each.name == name {
			return each
		}
	}
	return nil
}

// target is the endpoint of rule 2 for a request, or for any request if r is nil. It is nil when no
// endpoint can be reached.
func (m *Machine[P]) target(r *request) *endpoint {
	var firstUp, firstConnecting *endpoint
	for _, each := range m.endpoints {
		switch {
		case r != nil && r.isRefusedBy(each):
			continue
		case each.isReady():
			return each
		case each.isUp() && firstUp == nil:
			firstUp = each
		case each.connection == connecting && firstConnecting == nil:
			firstConnecting = each
		}
	}
	if firstUp != nil {
		return firstUp
	}
	return firstConnecting
}

// hasOtherReady reports whether another endpoint is up and ready.
func (m *Machine[P]) hasOtherReady(than *endpoint) bool {
	for _, each := range m.endpoints {
		if each != than && each.isReady() {
			return true
		}
	}
	return false
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
		if isKnown, isNamed := answers[r.RequestID]; isNamed && isKnown {
			m.hold(r, r.placeAt(at), e.ServiceID)
		} else if isNamed {
			m.removeUnknown(r, at)
		}
	}
	m.cancelLaterPlaces()
}

// removeUnknown is rule 5 for a request that the endpoint's service does not know.
func (m *Machine[P]) removeUnknown(r *request, at *endpoint) {
	p := r.placeAt(at)
	switch {
	case p == nil:
	case !p.isHeld:
		if r.try.endpoint != at {
			r.removePlace(at)
		}
	case p.serviceID == at.serviceID:
		r.removePlace(at)
	case !at.isBalanced:
		at.isBalanced = true
		m.emit(Balanced{Endpoint: at.name})
	}
}

// applyDisconnected is rule 2 for a stream that broke, or did not open.
func (m *Machine[P]) applyDisconnected(e Disconnected) {
	at := m.endpoint(e.Endpoint)
	if at == nil {
		return
	}
	if at.isUp() && !e.IsSilent {
		at.connection = connecting
	} else {
		at.connection = down
	}
}
