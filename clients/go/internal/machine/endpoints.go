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

// note remembers what the service has said of itself. It counts only while the endpoint is up.
func (e *endpoint) note(state ServiceState) {
	if e.isUp() {
		e.state = state
	}
}

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
		case r != nil && !r.isOpenTo(each):
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

// hasReady reports whether some endpoint is up and ready.
func (m *Machine[P]) hasReady() bool {
	for _, each := range m.endpoints {
		if each.isReady() {
			return true
		}
	}
	return false
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
