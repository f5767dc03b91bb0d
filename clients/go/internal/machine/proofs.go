package machine

import "slices"

// proofKey is what proofs are compared by (rule 8).
type proofKey struct {
	slot    uint64
	message string
}

// seenProof is an earlier proof that became a result. It makes no duplicate from its own fence on.
type seenProof struct {
	participants Bits
	fence        fence
}

func (m *Machine[P]) isDuplicate(result *pending[P]) bool {
	if result.message == "" {
		return false // a merge
	}
	return slices.ContainsFunc(m.proofs[result.key()], func(earlier seenProof) bool {
		return !m.isPast(earlier.fence) && earlier.participants.contains(result.participants)
	})
}

// remember remembers a proof. It copies the participants, which may share memory with the proof.
func (m *Machine[P]) remember(result *pending[P]) {
	if result.message == "" {
		return // a merge
	}
	key := result.key()
	m.proofs[key] = append(m.proofs[key], seenProof{slices.Clone(result.participants), result.fence})
}

// forgetProofs forgets the proofs that are past their fence.
func (m *Machine[P]) forgetProofs() {
	isPast := func(seen seenProof) bool { return m.isPast(seen.fence) }
	for key, proofs := range m.proofs { // the order of a map shows in no effect
		if proofs = slices.DeleteFunc(proofs, isPast); len(proofs) > 0 {
			m.proofs[key] = proofs
		} else {
			delete(m.proofs, key)
		}
	}
}
