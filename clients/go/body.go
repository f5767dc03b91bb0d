package leanagg

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/candidate"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

const (
	bodyComponentsDefault = 8
	bodyGraceDefault      = 500 * time.Millisecond
	// bodyRequestsMax: three merges may be in flight; those before them were cancelled, and their results
	// are on their way.
	bodyRequestsMax = 16
	// budgetMax is the longest deadline and fence of a request, as the service has them.
	budgetMax = 120 * time.Second
)

// Claim says who signed one message of a merge.
type Claim = aggregatorv1.Claim

// BodyOptions configure a [BodyCandidate].
type BodyOptions struct {
	// Gates is called before each merge. Required. It is called in the node's calls, and, where a merge is
	// asked for after a skip by the service, on a goroutine of the adapter: it must not block, nor read the
	// node's state without its lock.
	Gates func() Gates
	// ComponentsMax is the most components of a body. Default 8.
	ComponentsMax int
	// Grace is how long after its slot's start a finished body may still be taken. Default 500 ms;
	// negative: not at all.
	Grace time.Duration
	// Priority is [Aggregation], the default, or [Backlog].
	Priority Priority
}

// BodyComponent is a component that the body may have.
type BodyComponent struct {
	Component
	// Key names the message and its signers, for example by root and participants.
	Key string
	// Worth is what it adds to a body. Nil: its number of votes. 0: it is not asked for.
	Worth *uint64
}

// BodyOffer is what the body of a block may have. The adapter copies nothing that it points to, and a
// finished body points to the same: the node never changes it.
type BodyOffer struct {
	// BlockSlot is the slot of the block, Parent the root of its parent block.
	BlockSlot uint64
	Parent    []byte
	// Head, Justified, Keys and SSZBitlists are those of the [Merge].
	Head, Justified *Checkpoint
	Keys            []*ValidatorKey
	SSZBitlists     bool
	// Components in the order of the block and of preference: a smaller body has the first of them.
	Components []BodyComponent
}

// Body is a finished body. The block's body has these components in this order, and the proof all of
// them.
type Body struct {
	Components []BodyComponent
	// Claims say who signed which message, in the order of the components.
	Claims []*Claim
	Proof  []byte
}

// BodyCandidate is the body of the node's next block, built ahead of it. [Aggregator.GrowBody] makes
// it. No method waits or panics; all may be called from any goroutine.
type BodyCandidate struct {
	node    *Aggregator
	options BodyOptions

	// mu guards what follows. It is never held while the adapter or the node is called; the adapter
	// takes it under its own lock.
	mu      sync.Mutex
	machine *candidate.Machine[BodyComponent, *Outcome]
	slot    uint64
	offer   BodyOffer
	// isTaking: the proposal is now, and nothing more is submitted for it.
	isTaking bool
	// asked counts the merges that were asked for: the answer to an earlier one than the last is stale.
	asked uint64
	// requests are the newest merges of this candidate that have not ended.
	requests []string
}

// GrowBody makes the candidate for the bodies of the node's own blocks, for the life of the adapter. It
// submits merges by itself, and its results are not among those of [Aggregator.TakeResults], which must
// go on being called. It returns an error for options without Gates, or with a Proposal priority or a
// negative ComponentsMax.
func (a *Aggregator) GrowBody(options BodyOptions) (*BodyCandidate, error) {
	if options.Priority == "" {
		options.Priority = Aggregation
	}
	switch {
	case options.Gates == nil:
		return nil, errors.New("leanagg: BodyOptions.Gates is nil; give a function")
	case options.ComponentsMax < 0:
		return nil, fmt.Errorf("leanagg: BodyOptions.ComponentsMax is %d; give 1 or more, or 0 for %d",
			options.ComponentsMax, bodyComponentsDefault)
	case options.Priority == Proposal:
		return nil, errors.New("leanagg: BodyOptions.Priority is Proposal; a body that is built ahead has " +
			"Aggregation or Backlog")
	}
	if options.ComponentsMax == 0 {
		options.ComponentsMax = bodyComponentsDefault
	}
	if options.Grace == 0 {
		options.Grace = bodyGraceDefault
	}
	options.Grace = max(0, options.Grace)
	b := &BodyCandidate{
		node: a, options: options,
		machine: candidate.New[BodyComponent, *Outcome](options.ComponentsMax),
	}
	a.mu.Lock()
	a.bodies = append(a.bodies, b)
	a.mu.Unlock()
	return b, nil
}

// Offer says what the body may have by now; call it in each tick, at the node's slot, and when a component
// has come. A merge of what is worth more replaces one that has not begun; one that runs goes on. Another
// parent or block forgets what was for the last one. What has failed is tried again, once.
func (b *BodyCandidate) Offer(slot uint64, offer BodyOffer) {
	offered := make([]candidate.Component[BodyComponent], len(offer.Components))
	for i, each := range offer.Components {
		var worth uint64
		if each.Worth != nil {
			worth = *each.Worth
		} else {
			worth = each.votes(offer.SSZBitlists)
		}
		offered[i] = candidate.Component[BodyComponent]{Key: each.Key, Worth: worth, Component: each}
	}
	block := blockOf(offer.BlockSlot, offer.Parent)
	b.step(func() bodyEffects {
		b.slot, b.offer = slot, offer
		return b.machine.Offered(block, offered)
	})
	b.step(func() bodyEffects { return b.machine.Tick(slot) })
}

// Forget says that the parent has left the node's chain: it cancels what is in flight, and forgets what
// is finished.
func (b *BodyCandidate) Forget() {
	b.step(func() bodyEffects { return b.machine.Stale() })
}

// Best returns the best finished body so far, of the block that was offered last; nil: none.
func (b *BodyCandidate) Best() *Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bodyOf(b.machine.Best())
}

// Take returns the best finished body of this block at the start of its slot, or nil: then the block's
// body is empty. It never waits. It ends the candidate, and cancels what is in flight.
func (b *BodyCandidate) Take(blockSlot uint64, parent []byte) *Body {
	b.setTaking(true)
	// The node's own results stay where they are, until it takes them or their fence passes.
	b.node.take(machine.Take{Slot: blockSlot, RequestIDs: b.unended()})
	b.setTaking(false)
	var taken *candidate.Finished[BodyComponent, *Outcome]
	b.step(func() (effects bodyEffects) {
		taken, effects = b.machine.Take(blockOf(blockSlot, parent))
		return effects
	})
	return bodyOf(taken)
}

// unended returns the newest merges of this candidate that have not ended; never nil.
func (b *BodyCandidate) unended() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.requests...)
}

func (b *BodyCandidate) setTaking(isTaking bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.isTaking = isTaking
}

type bodyEffects = candidate.Effects[BodyComponent]

// bodyMerge is a merge that is to be submitted.
type bodyMerge struct {
	number    uint64
	slot      uint64
	blockSlot uint64
	offer     BodyOffer
	// components are those of the merge.
	components []BodyComponent
}

// bodyCalls are the calls of the adapter that follow a change of the machine.
type bodyCalls struct {
	cancel []string
	// ask is nil for none.
	ask *bodyMerge
}

// step changes the machine under the lock, and makes the calls that follow after it.
func (b *BodyCandidate) step(change func() bodyEffects) {
	b.mu.Lock()
	calls := b.callsOf(change())
	b.mu.Unlock()
	b.call(calls)
}

// callsOf numbers the merge that is to be submitted. Called under the lock of the change.
func (b *BodyCandidate) callsOf(effects bodyEffects) bodyCalls {
	submit := effects.Submit
	if submit == nil {
		return bodyCalls{cancel: effects.Cancel}
	}
	b.asked++
	if b.isTaking {
		b.machine.Skipped("", false)
		return bodyCalls{cancel: effects.Cancel}
	}
	ask := &bodyMerge{b.asked, b.slot, submit.Slot, b.offer, submit.Components}
	return bodyCalls{effects.Cancel, ask}
}

func (b *BodyCandidate) call(calls bodyCalls) {
	for _, requestID := range calls.cancel {
		b.node.dispatch(machine.Cancel{RequestID: requestID}, nil)
	}
	if calls.ask != nil {
		b.submit(calls.ask)
	}
}

func (b *BodyCandidate) submit(ask *bodyMerge) {
	start := b.node.options.Clock.Start(ask.blockSlot)
	left := time.Until(start)
	// Of a block too far ahead the service refuses a merge: it is asked for in a later tick.
	if left < time.Millisecond || left+b.options.Grace > budgetMax {
		b.notSubmitted(ask, "")
		return
	}
	gates := Gates{}
	b.node.callHook(func() { gates = b.options.Gates() })
	var calls bodyCalls
	var skip Skip
	answer := b.node.mergeOrSkip(ask.slot, gates, ask.merge, MergeOptions{
		Priority: b.options.Priority, Deadline: left, Fence: left + b.options.Grace,
		MayReplace: true, Steps: []Step{{Within: left, Weight: 1}},
	}, &skip, func(requestID string) { calls = b.submitted(ask, requestID) })
	if !answer.Submitted() {
		b.node.reportReason(skip)
		b.notSubmitted(ask, answer.Skipped)
	}
	b.call(calls)
}

// submitted is called under the adapter's lock, before anything can end the merge. It returns the calls to
// make after that of submit.
func (b *BodyCandidate) submitted(ask *bodyMerge, requestID string) bodyCalls {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, requestID)
	b.requests = b.requests[max(0, len(b.requests)-bodyRequestsMax):]
	if ask.number != b.asked {
		return bodyCalls{cancel: []string{requestID}}
	}
	return b.callsOf(b.machine.Submitted(requestID))
}

func (b *BodyCandidate) notSubmitted(ask *bodyMerge, reason SkipReason) {
	b.step(func() bodyEffects {
		if ask.number != b.asked {
			return bodyEffects{}
		}
		return b.passSkip(laterSkip{Skip: Skip{Reason: reason}})
	})
}

// end reports whether this is a merge of the candidate, and forgets it.
func (b *BodyCandidate) end(requestID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.requests, requestID)
	if at >= 0 {
		b.requests = slices.Delete(b.requests, at, at+1)
	}
	return at >= 0
}

// skipped is called with each request that is skipped later. It returns true for one of the candidate's.
func (b *BodyCandidate) skipped(skip laterSkip) bool {
	if !b.end(skip.RequestID) {
		return false
	}
	b.step(func() bodyEffects { return b.passSkip(skip) })
	return true
}

// absorb is called with each result that the node takes. It returns true for one of the candidate's.
func (b *BodyCandidate) absorb(slot uint64, result Result) bool {
	if !b.end(result.RequestID) {
		return false
	}
	b.step(func() bodyEffects {
		b.slot = slot
		id, outcome := result.RequestID, result.Outcome
		if result.Kind != Ended {
			return b.machine.Failed(id, nil)
		}
		if isProved(outcome) {
			isVerified := b.node.options.Verify != nil ||
				outcome.GetVerifiedBy() != aggregatorv1.VerifiedBy_VERIFIED_BY_UNSPECIFIED
			return b.machine.Proved(id, outcome, isVerified)
		}
		if isOfSize(outcome) {
			return b.machine.Missed(id)
		}
		if outcome.GetReason() == aggregatorv1.OutcomeReason_OUTCOME_REASON_SUPERSEDED {
			return b.machine.Superseded(id)
		}
		return b.machine.Failed(id, badComponents(outcome))
	})
	return true
}

func badComponents(outcome *Outcome) []int {
	var bad []int
	for _, each := range outcome.GetLeftOut() {
		if input, isComponent := each.GetInput().(*aggregatorv1.LeftOut_ComponentIndex); isComponent {
			bad = append(bad, int(input.ComponentIndex))
		}
	}
	return bad
}

// passSkip passes a skip to the machine; the request is empty for a merge that was not submitted. The components
// of one that may pass are tried once more.
func (b *BodyCandidate) passSkip(skip laterSkip) bodyEffects {
	switch {
	case skip.mayPass:
		return b.machine.Failed(skip.RequestID, nil)
	case skip.Reason == PredictedMiss:
		return b.machine.Missed(skip.RequestID)
	}
	return b.machine.Skipped(skip.RequestID, skip.Reason == Invalid)
}

// isOfSize reports whether a smaller merge may start where this one was not started.
func isOfSize(outcome *Outcome) bool {
	if outcome.GetStatus() != aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED {
		return false
	}
	switch outcome.GetReason() {
	case aggregatorv1.OutcomeReason_OUTCOME_REASON_DEADLINE,
		aggregatorv1.OutcomeReason_OUTCOME_REASON_PREDICTED_MISS,
		aggregatorv1.OutcomeReason_OUTCOME_REASON_MEMORY,
		aggregatorv1.OutcomeReason_OUTCOME_REASON_LIMIT:
		return true
	default:
		return false
	}
}

func (m *bodyMerge) merge() (*Merge, error) {
	made := &Merge{
		Head: m.offer.Head, Justified: m.offer.Justified, Keys: m.offer.Keys,
		SSZBitlists: m.offer.SSZBitlists,
	}
	for _, each := range m.components {
		made.Components = append(made.Components, each.Component)
	}
	return made, nil
}

func blockOf(slot uint64, parent []byte) candidate.Block {
	return candidate.Block{Slot: slot, Parent: hex.EncodeToString(parent)}
}

func bodyOf(made *candidate.Finished[BodyComponent, *Outcome]) *Body {
	if made == nil {
		return nil
	}
	return &Body{
		Components: made.Components, Claims: made.Proof.GetClaims(), Proof: made.Proof.GetProof(),
	}
}

func (c *Component) votes(hasLengthBit bool) uint64 {
	if c.Proof == nil {
		return uint64(len(c.Signatures))
	}
	count := 0
	for _, each := range c.Participants {
		count += bits.OnesCount8(each)
	}
	if hasLengthBit && count > 0 {
		count--
	}
	return uint64(count)
}
