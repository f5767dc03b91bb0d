package machine

// proofKey is what proofs are compared by (rule 8).
type proofKey struct {
	slot    uint64
	message string
}

type proofSet struct {
	participants []Bits
	owners       []*request // whose fences count
}

// proofMemory has the proofs that became results, until the latest fence of each slot and root.
type proofMemory struct {
	byKey map[proofKey]*proofSet
	// keys in the order in which they came, for a deterministic sweep.
	keys []proofKey
}

func (p *proofMemory) isDuplicate(key proofKey, participants Bits) bool {
	set := p.byKey[key]
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

func (p *proofMemory) add(key proofKey, participants Bits, owner *request) {
	set := p.byKey[key]
	if set == nil {
		set = &proofSet{}
		p.byKey[key] = set
		p.keys = append(p.keys, key)
	}
	set.participants = append(set.participants, participants)
	set.owners = append(set.owners, owner)
}

// sweepProofs forgets what is past its latest fence.
func (m *Machine[P]) sweepProofs() {
	kept := m.proofs.keys[:0]
	for _, key := range m.proofs.keys {
		isOpen := false
		for _, owner := range m.proofs.byKey[key].owners {
			isOpen = isOpen || !m.isFencePast(owner)
		}
		if isOpen {
			kept = append(kept, key)
		} else {
			delete(m.proofs.byKey, key)
		}
	}
	m.proofs.keys = kept
}
