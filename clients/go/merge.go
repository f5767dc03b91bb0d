package leanagg

import (
	"errors"
	"fmt"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// SignedRoot is a message of 32 bytes and its slot; a proposer signs its block's root.
type SignedRoot = aggregatorv1.SignedRoot

// KeyRole says which of a validator's keys made a signature.
type KeyRole = aggregatorv1.KeyRole

// The roles of a key.
const (
	// AttestationKey is the key for votes. Default.
	AttestationKey = aggregatorv1.KeyRole_KEY_ROLE_ATTESTATION
	// ProposalKey is the key for the validator's own blocks.
	ProposalKey = aggregatorv1.KeyRole_KEY_ROLE_PROPOSAL
)

// Merge is one proof of several messages, which a block carries.
type Merge struct {
	// Head and Justified of the node.
	Head, Justified *Checkpoint
	// Keys of the validators of all components, by role.
	Keys []*ValidatorKey
	// SSZBitlists: participants have their length bit, here and in the outcome.
	SSZBitlists bool
	// Components in the block's order. The service refuses two with the same message.
	Components []Component
}

// Component is one message of a merge, with its signatures or its proof.
type Component struct {
	// Data or Root is what the validators have signed.
	Data *AttestationData
	Root *SignedRoot
	// Role of the keys. The zero value is [AttestationKey].
	Role KeyRole
	// Proof of exactly the Participants. Nil: Signatures.
	Proof        []byte
	Participants []byte
	// ProofSystem of the Proof: a merge with one of another than the request's is REJECTED, and nothing is
	// verified. Nil: the request's.
	ProofSystem *ProofSystem
	Signatures  []*RawSignature
}

// MergeOptions configure a merge. The zero value is the default; times count as in [SubmitOptions].
type MergeOptions struct {
	// Priority. Default [Aggregation], for a body that is built ahead; [Proposal] is for the node's own
	// block of the present slot.
	Priority Priority
	// Deadline is the time in which the service may start the proof. Default: until the fence.
	Deadline time.Duration
	// Fence is the time until the proof is worthless. Default: the start of the slot after the next.
	Fence time.Duration
	// MayReplace replaces the merge in flight at this priority, instead of being skipped.
	MayReplace bool
	// Steps say what a vote is worth by when. Default: 1 until the fence.
	Steps []Step
	// HoldUntil is the instant before which the result is not taken. Default: none.
	HoldUntil time.Time
	// Traceparent is the W3C header of the node's trace, as in [SubmitOptions]. Default: none.
	Traceparent string
}

// MergeOrSkip submits one merge, as [Aggregator.SubmitOrSkip] submits a snapshot. Merges and votes of
// one priority are in flight side by side. The node need not be an aggregator. The result has group
// index 0, and its outcome has Claims: who signed which message, in the order of the components. A bad
// component ends the merge REJECTED, named in LeftOut: no part of a merge is proved.
func (a *Aggregator) MergeOrSkip(
	slot uint64, gates Gates, merge func() (*Merge, error), options MergeOptions,
) Answer {
	skip := Skip{}
	answer := a.mergeOrSkip(slot, gates, merge, options, &skip, nil)
	if !answer.Submitted() {
		a.report(skip)
	}
	return answer
}

// mergeOrSkip is as submitOrSkip, for a merge.
func (a *Aggregator) mergeOrSkip(
	slot uint64, gates Gates, merge func() (*Merge, error), options MergeOptions,
	skip *Skip, onSubmit func(requestID string),
) Answer {
	if options.Priority == "" {
		options.Priority = Aggregation
	}
	gates.IsAggregator = true
	*skip = Skip{Slot: slot, Priority: options.Priority}
	snapshot := func() (*Snapshot, error) {
		made, err := merge()
		if err != nil || made == nil || len(made.Components) == 0 {
			return nil, err
		}
		return made.snapshot(slot, options.Priority)
	}
	return a.submitOrSkip(slot, gates, machine.Merge, snapshot, SubmitOptions{
		Priority: options.Priority, Deadline: options.Deadline, Fence: options.Fence,
		MayReplace: options.MayReplace, Steps: options.Steps, HoldUntil: options.HoldUntil,
		Traceparent: options.Traceparent,
	}, skip, onSubmit)
}

// errInvalid is wrapped by what no service takes.
var errInvalid = errors.New("invalid merge")

// snapshot returns the snapshot of a merge, or an error for one that every service refuses.
func (m *Merge) snapshot(slot uint64, priority Priority) (*Snapshot, error) {
	group := &Group{Kind: aggregatorv1.ProofKind_PROOF_KIND_MERGE}
	for i := range m.Components {
		component := &m.Components[i]
		if err := component.check(slot, priority); err != nil {
			return nil, fmt.Errorf("%w: components[%d].%w", errInvalid, i, err)
		}
		group.Components = append(group.Components, component.wire())
	}
	return &Snapshot{
		Head: m.Head, Justified: m.Justified, Keys: m.Keys, SszBitlists: m.SSZBitlists,
		Groups: []*Group{group},
	}, nil
}

func (c *Component) check(slot uint64, priority Priority) error {
	isProposers := c.Root != nil && c.Role == ProposalKey
	switch {
	case (c.Data == nil) == (c.Root == nil):
		return errors.New("data and root: give one of them")
	case c.Proof != nil && len(c.Signatures) > 0:
		return errors.New("proof and signatures: give one of them")
	case c.Proof != nil && len(c.Participants) == 0:
		return errors.New("participants is empty: name the validators of its proof")
	case isProposers && priority == Proposal && c.Root.GetSlot() != slot:
		return fmt.Errorf("slot is %d, not the present slot %d: "+
			"give the priority Aggregation for a block of another slot", c.Root.GetSlot(), slot)
	}
	return nil
}

func (c *Component) wire() *aggregatorv1.Component {
	claim := &aggregatorv1.Claim{Role: c.Role}
	if c.Root != nil {
		claim.Signed = &aggregatorv1.Claim_Root{Root: c.Root}
	} else {
		claim.Signed = &aggregatorv1.Claim_Data{Data: c.Data}
	}
	if c.Proof == nil {
		raws := &aggregatorv1.RawSignatures{Signatures: c.Signatures}
		return &aggregatorv1.Component{Claim: claim, From: &aggregatorv1.Component_Raws{Raws: raws}}
	}
	claim.Participants = c.Participants
	return &aggregatorv1.Component{
		Claim: claim, From: &aggregatorv1.Component_Proof{Proof: c.Proof}, ProofSystem: c.ProofSystem,
	}
}
