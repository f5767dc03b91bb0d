package machine

// proofKey is what proofs are compared by (rule 8).
type proofKey struct {
	slot    uint64
	message string
}

// proofSet has the participants of the proofs of one slot and root, and the latest of their fences.
type proofSet struct {
	participants []Bits
	latest       fence
}

// earlier returns the proofs of a slot and root that became results, unless all of them are past
// their fence.
func (m *Machine[P]) earlier(key proofKey) *proofSet {
	if set := m.proofs[key]; set != nil && !m.isPast(set.latest) {
		return set
	}
	return nil
}

func (m *Machine[P]) isDuplicate(result *pending[P]) bool {
	if result.message == "" {
		return false // a merge
	}
	set := m.earlier(result.key())
	if set == nil {
		return false
	}
	for _, earlier := range set.participants {
		if earlier.contains(result.participants) {
			return true
		}
	}
	return false
}

// remember remembers a proof. It copies the participants, which may share memory with the proof.
func (m *Machine[P]) remember(result *pending[P]) {
	if result.message == "" {
		return // a merge
	}
	set := m.earlier(result.key())
	if set == nil {
		set = &proofSet{latest: result.fence}
		m.proofs[result.key()] = set
	} else {
		set.latest = laterFence(set.latest, result.fence)
	}
	set.participants = append(set.participants, append(Bits(nil), result.participants...))
}

func laterFence(a, b fence) fence {
	later := fence{atMs: max(a.atMs, b.atMs)}
	if a.slot != nil && b.slot != nil {
		slot := max(*a.slot, *b.slot)
		later.slot = &slot
	}
	return later
}

// forgetProofs forgets what is past its latest fence.
func (m *Machine[P]) forgetProofs() {
	for key, set := range m.proofs {
		if m.isPast(set.latest) {
			delete(m.proofs, key) // the order of a map shows in no effect
		}
	}
}
