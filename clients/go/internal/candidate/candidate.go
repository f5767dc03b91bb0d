// Package candidate is the growing candidate: the proof of a block's body, built ahead of the block.
// A pure machine, without clock or I/O. It asks for a merge of all components. Where that one is foreseen
// to miss, it asks for half of what it would add to the proof at hand. One merge is asked for at a time,
// and the best verified proof stays at hand.
package candidate

import (
	"math"
	"strconv"
)

// TriesMax is the number of failed tries after which the same components are given up.
const TriesMax = 2

// givenUp is more tries than there may be.
const givenUp = TriesMax + 1

// noMiss is more components than there may be.
const noMiss = math.MaxInt

// Block is what a candidate is for.
type Block struct {
	Slot uint64
	// Parent is the root of the parent block, in hex.
	Parent string
}

// Component is what the node offers for a block's body.
type Component[C any] struct {
	// Key is equal for equal components: the same message with the same signatures or proof.
	Key string
	// Worth is what it adds to a body, such as its number of votes.
	Worth     uint64
	Component C
}

// Finished is what a body has, in its order, and the verified proof of all of it.
type Finished[C, P any] struct {
	Components []C
	// Worth is the sum over the components.
	Worth uint64
	Proof P
}

// Effects are to be carried out in the order of the fields.
type Effects[C any] struct {
	// Cancel is the merge that the node no longer wants; empty: none.
	Cancel string
	// Submit is the merge to submit next; nil: none. [Machine.Submitted] or [Machine.Skipped] follows.
	Submit *Submit[C]
}

// Submit is a merge for the body of this slot's block.
type Submit[C any] struct {
	Slot       uint64
	Components []C
}

// asked is the merge that is asked for.
type asked[C any] struct {
	// requestID is empty between Submit and its answer.
	requestID  string
	components []Component[C]
}

// growing is what is known of one block's candidate.
type growing[C, P any] struct {
	Block
	offered []Component[C]
	asked   *asked[C]
	best    *Finished[C, P]
	// bad has the keys of bad components.
	bad map[string]bool
	// tries has the failed tries by listKey; givenUp: proved, or given up.
	tries map[string]int
	// missed is the fewest components that have missed since the last tick: fewer are asked for. noMiss:
	// none. 0: nothing is asked for, as a merge has failed.
	missed int
}

// Machine is a candidate. Its methods are not safe for concurrent use.
type Machine[C, P any] struct {
	componentsMax int
	// growing is nil when no block is planned.
	growing *growing[C, P]
}

// New returns a candidate for bodies of at most so many components, from 1.
func New[C, P any](componentsMax int) *Machine[C, P] {
	return &Machine[C, P]{componentsMax: componentsMax}
}

// Best returns the best finished candidate; nil: none.
func (m *Machine[C, P]) Best() *Finished[C, P] {
	if m.growing == nil {
		return nil
	}
	return m.growing.best
}

// Offered says what the body of this block may have, in the order of the block and of preference: a
// smaller candidate has the first of these. It replaces the last offer: what is asked next has this
// one's components. Another block than that of the last offer forgets what was for that one.
func (m *Machine[C, P]) Offered(block Block, components []Component[C]) Effects[C] {
	var effects Effects[C]
	if m.growing == nil || m.growing.Block != block {
		m.drop(&effects)
		m.growing = &growing[C, P]{
			Block: block, bad: map[string]bool{}, tries: map[string]int{}, missed: noMiss,
		}
	}
	m.growing.offered = components
	return m.ask(effects)
}

// Stale says that the parent has left the node's chain, and nothing replaces it yet.
func (m *Machine[C, P]) Stale() Effects[C] {
	var effects Effects[C]
	m.drop(&effects)
	return effects
}

// Submitted follows Submit: the merge is in flight.
func (m *Machine[C, P]) Submitted(requestID string) Effects[C] {
	if m.growing == nil || m.growing.asked == nil || m.growing.asked.requestID != "" {
		return m.ask(Effects[C]{Cancel: requestID})
	}
	m.growing.asked.requestID = requestID
	return Effects[C]{}
}

// Skipped follows Submit, with an empty requestID, or Submitted: the merge was not accepted. isFinal:
// these components would be skipped again.
func (m *Machine[C, P]) Skipped(requestID string, isFinal bool) Effects[C] {
	if m.isAsked(requestID) {
		times := 0
		if isFinal {
			times = givenUp
		}
		m.failed(times)
	}
	return m.ask(Effects[C]{})
}

// Missed follows Submit, with an empty requestID, or Submitted: so many components are foreseen to miss the
// block or to be too large. Fewer are asked for at once, and as many again from the next tick on.
func (m *Machine[C, P]) Missed(requestID string) Effects[C] {
	if m.isAsked(requestID) {
		m.growing.missed = len(m.growing.asked.components)
		m.growing.asked = nil
	}
	return m.ask(Effects[C]{})
}

// Proved ends the merge in flight. isVerified: someone else than the maker of the proof has verified it.
func (m *Machine[C, P]) Proved(requestID string, proof P, isVerified bool) Effects[C] {
	if !m.isAsked(requestID) {
		return m.ask(Effects[C]{})
	}
	if !isVerified {
		m.failed(1)
		return m.ask(Effects[C]{})
	}
	g := m.growing
	made := &Finished[C, P]{
		Components: bare(g.asked.components), Worth: worthOf(g.asked.components), Proof: proof,
	}
	g.tries[listKey(g.asked.components)] = givenUp
	g.asked = nil
	if made.Worth > g.bestWorth() {
		g.best = made
	}
	return m.ask(Effects[C]{})
}

// Failed ends the merge in flight without a proof. bad are the indices of the components that are to
// blame; they are not asked for again.
func (m *Machine[C, P]) Failed(requestID string, bad []int) Effects[C] {
	if m.isAsked(requestID) {
		for _, index := range bad {
			if index >= 0 && index < len(m.growing.asked.components) {
				m.growing.bad[m.growing.asked.components[index].Key] = true
			}
		}
		m.failed(1)
	}
	return m.ask(Effects[C]{})
}

// Tick says the node's slot. What has failed is tried again from the next tick on.
func (m *Machine[C, P]) Tick(slot uint64) Effects[C] {
	var effects Effects[C]
	if m.growing != nil && slot > m.growing.Slot {
		m.drop(&effects)
	} else if m.growing != nil {
		m.growing.missed = noMiss
	}
	return m.ask(effects)
}

// Take says that the node makes this block now, and returns its candidate; nil: the body is empty. A
// candidate for a later block goes on.
func (m *Machine[C, P]) Take(block Block) (*Finished[C, P], Effects[C]) {
	var effects Effects[C]
	var taken *Finished[C, P]
	if m.growing != nil && m.growing.Block == block {
		taken = m.growing.best
	}
	if m.growing != nil && m.growing.Slot <= block.Slot {
		m.drop(&effects)
	}
	return taken, m.ask(effects)
}

// drop forgets everything, and cancels what is in flight.
func (m *Machine[C, P]) drop(effects *Effects[C]) {
	if m.growing != nil && m.growing.asked != nil {
		effects.Cancel = m.growing.asked.requestID
	}
	m.growing = nil
}

// isAsked reports whether this is the merge that is asked for. Events of others are ignored.
func (m *Machine[C, P]) isAsked(requestID string) bool {
	return m.growing != nil && m.growing.asked != nil && m.growing.asked.requestID == requestID
}

func (m *Machine[C, P]) failed(times int) {
	m.growing.tries[listKey(m.growing.asked.components)] += times
	m.growing.asked = nil
	m.growing.missed = 0
}

// ask asks for the next merge, if one is worth it and no other is in flight.
func (m *Machine[C, P]) ask(effects Effects[C]) Effects[C] {
	g := m.growing
	if g == nil || g.asked != nil {
		return effects
	}
	var components []Component[C]
	for _, each := range g.offered {
		if each.Worth > 0 && !g.bad[each.Key] && len(components) < min(m.componentsMax, g.missed) {
			components = append(components, each)
		}
	}
	if len(components) == g.missed {
		components = g.fewer(components)
	}
	for ; worthOf(components) > g.bestWorth(); components = g.fewer(components) {
		if g.tries[listKey(components)] < TriesMax {
			g.asked = &asked[C]{components: components}
			effects.Submit = &Submit[C]{Slot: g.Slot, Components: bare(components)}
			break
		}
	}
	return effects
}

// fewer returns the first of the components: without half of those that add to the proof at hand.
func (g *growing[C, P]) fewer(components []Component[C]) []Component[C] {
	added := 0
	for size := len(components); size > 0 && worthOf(components[:size]) > g.bestWorth(); size-- {
		added++
	}
	return components[:len(components)-(added+1)/2]
}

// bestWorth is the worth of the proof at hand; 0 without one.
func (g *growing[C, P]) bestWorth() uint64 {
	if g.best == nil {
		return 0
	}
	return g.best.Worth
}

func worthOf[C any](components []Component[C]) uint64 {
	var sum uint64
	for _, each := range components {
		sum += each.Worth
	}
	return sum
}

func bare[C any](components []Component[C]) []C {
	all := make([]C, len(components))
	for i, each := range components {
		all[i] = each.Component
	}
	return all
}

func listKey[C any](components []Component[C]) string {
	key := []byte{}
	for _, each := range components {
		key = strconv.AppendQuote(key, each.Key)
	}
	return string(key)
}
