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

// proofMemory has the proofs that became results, until the latest fence of each slot and root.
type proofMemory map[proofKey]*proofSet

func (p proofMemory) isDuplicate(key proofKey, participants Bits) bool {
	set := p[key]
	if set == nil {
		return false
	}
	for _, earlier := range set.participants {
		if earlier.contains(participants) {
			return true
		}
	}
	return false
}

// add remembers a proof. It copies the participants, which may share memory with the proof.
func (p proofMemory) add(key proofKey, participants Bits, until fence) {
	set := p[key]
	if set == nil {
		set = &proofSet{latest: until}
		p[key] = set
	} else {
		set.latest = laterFence(set.latest, until)
	}
	set.participants = append(set.participants, append(Bits(nil), participants...))
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
