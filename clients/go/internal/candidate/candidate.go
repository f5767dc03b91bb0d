// Package candidate is the growing candidate: the proof of a block's body, built ahead of the block.
// A pure machine, without clock or I/O. It asks for a merge of all components. Where that one is foreseen
// to miss, it asks for half of what it would add to the proof at hand. When more components come, it asks for
// all of them at once: that merge replaces one that has not begun, and one that runs goes on. The best
// verified proof stays at hand.
package candidate

import (
	"math"
	"slices"
	"strconv"
)

// TriesMax is the number of failed tries after which the same components are given up.
const TriesMax = 2

// MergesMax is the number of merges in flight at once: one that runs, one that waits, and the one that
// replaces it.
const MergesMax = 3

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
	// Cancel are the merges that the node no longer wants.
	Cancel []string
	// Submit is the merge to submit next, which replaces those that have not begun; nil: none.
	// [Machine.Submitted], [Machine.Skipped] or [Machine.Missed] follows.
	Submit *Submit[C]
}

// Submit is a merge for the body of this slot's block.
type Submit[C any] struct {
	Slot       uint64
	Components []C
}

// asked is a merge that is asked for.
type asked[C any] struct {
	// requestID is empty between Submit and its answer.
	requestID  string
	components []Component[C]
}

// growing is what is known of one block's candidate.
type growing[C, P any] struct {
	Block
	offered []Component[C]
	// asked are the merges in flight, the oldest first. Only the last may be without its answer.
	asked []asked[C]
	// askedWorth is the worth of the largest merge that was asked for since one has failed.
	askedWorth uint64
	best       *Finished[C, P]
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
// smaller candidate has the first of these. It replaces the last offer. What is worth more than all that was
// asked for is asked for at once. Another block than that of the last offer forgets what was for that one.
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
	if !m.isUnanswered() {
		return m.ask(Effects[C]{Cancel: []string{requestID}})
	}
	m.growing.asked[len(m.growing.asked)-1].requestID = requestID
	return m.ask(Effects[C]{})
}

// Skipped follows Submit, with an empty requestID, or Submitted: the merge was not accepted. isFinal:
// these components would be skipped again.
func (m *Machine[C, P]) Skipped(requestID string, isFinal bool) Effects[C] {
	if components := m.end(requestID); components != nil {
		times := 0
		if isFinal {
			times = givenUp
		}
		m.growing.failed(components, times)
	}
	return m.ask(Effects[C]{})
}

// Missed follows Submit, with an empty requestID, or Submitted: so many components are foreseen to miss the
// block or to be too large. Fewer are asked for at once, and as many again from the next tick on.
func (m *Machine[C, P]) Missed(requestID string) Effects[C] {
	if components := m.end(requestID); components != nil {
		m.growing.missed = min(m.growing.missed, len(components))
	}
	return m.ask(Effects[C]{})
}

// Superseded says that another merge of the node, as a rule a fuller one of this candidate, has replaced this one
// before it began.
func (m *Machine[C, P]) Superseded(requestID string) Effects[C] {
	components := m.end(requestID)
	if components != nil && m.growing.worthInFlight() <= worthOf(components) {
		// By another merge than a fuller one of this candidate, it is as if skipped.
		m.growing.failed(components, 0)
	}
	return m.ask(Effects[C]{})
}

// Proved ends a merge in flight. isVerified: the node has verified the proof, or the service says that it
// has.
func (m *Machine[C, P]) Proved(requestID string, proof P, isVerified bool) Effects[C] {
	var effects Effects[C]
	if components := m.end(requestID); components != nil && isVerified {
		m.growing.proved(components, proof, &effects)
	} else if components != nil {
		m.growing.failed(components, 1)
	}
	return m.ask(effects)
}

// Failed ends a merge in flight without a proof. bad are the indices of the components that are to
// blame; they are not asked for again.
func (m *Machine[C, P]) Failed(requestID string, bad []int) Effects[C] {
	if components := m.end(requestID); components != nil {
		for _, index := range bad {
			if index >= 0 && index < len(components) {
				m.growing.bad[components[index].Key] = true
			}
		}
		m.growing.failed(components, 1)
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
	if m.growing != nil {
		effects.cancel(m.growing.asked)
	}
	m.growing = nil
}

func (e *Effects[C]) cancel(merges []asked[C]) {
	for _, each := range merges {
		if each.requestID != "" {
			e.Cancel = append(e.Cancel, each.requestID)
		}
	}
}

func (m *Machine[C, P]) isUnanswered() bool {
	if m.growing == nil || len(m.growing.asked) == 0 {
		return false
	}
	return m.growing.asked[len(m.growing.asked)-1].requestID == ""
}

// end ends a merge in flight and returns its components; nil: it is another merge, whose events are ignored.
func (m *Machine[C, P]) end(requestID string) []Component[C] {
	if m.growing == nil {
		return nil
	}
	for i, each := range m.growing.asked {
		if each.requestID == requestID {
			m.growing.asked = slices.Delete(m.growing.asked, i, i+1)
			return each.components
		}
	}
	return nil
}

func (g *growing[C, P]) failed(components []Component[C], times int) {
	g.tries[listKey(components)] += times
	g.missed = 0
	g.askedWorth = g.worthInFlight()
}

func (g *growing[C, P]) worthInFlight() uint64 {
	var worth uint64
	for _, each := range g.asked {
		worth = max(worth, worthOf(each.components))
	}
	return worth
}

// proved keeps the proof if it is the best, and cancels what is in flight and is worth no more.
func (g *growing[C, P]) proved(components []Component[C], proof P, effects *Effects[C]) {
	g.tries[listKey(components)] = givenUp
	worth := worthOf(components)
	if worth <= g.bestWorth() {
		return
	}
	g.best = &Finished[C, P]{Components: bare(components), Worth: worth, Proof: proof}
	var wanted, unwanted []asked[C]
	for _, each := range g.asked {
		if worthOf(each.components) > worth {
			wanted = append(wanted, each)
		} else {
			unwanted = append(unwanted, each)
		}
	}
	effects.cancel(unwanted)
	g.asked = wanted
}

// ask asks for the next merge, if one is worth it and fewer than MergesMax are in flight.
func (m *Machine[C, P]) ask(effects Effects[C]) Effects[C] {
	g := m.growing
	if g == nil || len(g.asked) >= MergesMax || m.isUnanswered() {
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
	for ; worthOf(components) > g.leastWorth(); components = g.fewer(components) {
		if g.tries[listKey(components)] < TriesMax {
			g.askedWorth = max(g.askedWorth, worthOf(components))
			g.asked = append(g.asked, asked[C]{components: components})
			effects.Submit = &Submit[C]{Slot: g.Slot, Components: bare(components)}
			break
		}
	}
	return effects
}

// fewer returns the first of the components: without half of those that make it better.
func (g *growing[C, P]) fewer(components []Component[C]) []Component[C] {
	added := 0
	for size := len(components); size > 0 && worthOf(components[:size]) > g.leastWorth(); size-- {
		added++
	}
	return components[:len(components)-(added+1)/2]
}

// leastWorth is what a merge must be worth more than: the proof at hand. Beside a merge in flight: all that was
// asked for, so that what was foreseen to miss is not asked for again.
func (g *growing[C, P]) leastWorth() uint64 {
	if len(g.asked) > 0 {
		return g.askedWorth
	}
	return g.bestWorth()
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
