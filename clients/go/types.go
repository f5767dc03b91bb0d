package leanagg

import (
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// The messages of the service's proto that a node makes and reads.
type (
	// Snapshot is the votes of a node at one moment. The adapter sets its slot.
	Snapshot = aggregatorv1.Snapshot
	// Checkpoint is a block root and its slot.
	Checkpoint = aggregatorv1.Checkpoint
	// AttestationData is the content of a vote.
	AttestationData = aggregatorv1.AttestationData
	// ValidatorKey is one entry of a snapshot's key table.
	ValidatorKey = aggregatorv1.ValidatorKey
	// Group is one attestation data with the signatures and children to fold into one proof.
	Group = aggregatorv1.Group
	// RawSignature is one validator's signature of the group's message.
	RawSignature = aggregatorv1.RawSignature
	// Child is an aggregate proof as an input of a new proof.
	Child = aggregatorv1.Child
	// ProofSystem is the signature scheme, the prover build, and the rate.
	ProofSystem = aggregatorv1.ProofSystem
	// Outcome is how one group ended at a service.
	Outcome = aggregatorv1.Outcome
	// Offer is a proof system that a service proves with.
	Offer = aggregatorv1.Offer
)

// Gates are what the node knows about itself at this tick.
type Gates struct {
	// IsAggregator: the node has the duty to aggregate.
	IsAggregator bool
	// IsSynced is nil when the node does not check it. A network with one aggregator deadlocked
	// because of this check.
	IsSynced *bool
	// HasState: the node has the state that the snapshot is made from.
	HasState bool
	// IsPaused: the node wants no aggregation now, for example just before its own proposal.
	IsPaused bool
}

// SkipReason says why a snapshot was not submitted or not accepted.
type SkipReason = machine.SkipReason

// The skip reasons. The last four are answers of the service, as InFlight and Invalid may be. The adapter
// has two of them too: PredictedMiss, for a snapshot whose time is over, and Draining, when it is closing.
const (
	NotAggregator   = machine.NotAggregator
	NotSynced       = machine.NotSynced
	MissingState    = machine.MissingState
	Paused          = machine.Paused
	InFlight        = machine.InFlight
	Unreachable     = machine.Unreachable
	NothingToSubmit = machine.NothingToSubmit
	SnapshotThrew   = machine.SnapshotThrew
	Invalid         = machine.Invalid
	PredictedMiss   = machine.PredictedMiss
	Draining        = machine.Draining
	Overloaded      = machine.Overloaded
	NoProver        = machine.NoProver
)

// Skip is a snapshot that was not submitted, or not accepted by a service.
type Skip struct {
	// RequestID is empty when nothing was submitted.
	RequestID string
	Slot      uint64
	Priority  Priority
	Reason    SkipReason
	// Err is the error of the snapshot function or of the encoding, if that is the reason.
	Err error
}

// Answer says whether a snapshot is submitted, or why not.
type Answer struct {
	// RequestID is that of the snapshot's results; empty when it was skipped.
	RequestID string
	// Skipped is empty when the snapshot is submitted.
	Skipped SkipReason
}

// Submitted reports whether the snapshot is submitted.
func (a Answer) Submitted() bool { return a.Skipped == "" }

// ResultKind says how a group ended for the node.
type ResultKind = machine.ResultKind

// The kinds of results. The node acts on Ended only.
const (
	// Ended: as the service reported. The outcome has a proof if its status is PROVED or PROVED_LATE.
	Ended = machine.ResultOutcome
	// Duplicate: an earlier proof of the same slot and root has all its participants.
	Duplicate = machine.ResultDuplicate
	// Refused: the Verify hook did not accept the proof.
	Refused = machine.ResultRefused
	// Cancelled: the node cancelled the group.
	Cancelled = machine.ResultCancelled
	// Lost: no service will end the group before its fence.
	Lost = machine.ResultLost
)

// Result is how one group ended for the node. Each group of a submitted snapshot has one, unless the
// snapshot was skipped later, or its proof came after the fence.
type Result struct {
	Kind      ResultKind
	RequestID string
	// GroupIndex is the index of the group in the snapshot.
	GroupIndex int
	// Slot of the submission.
	Slot uint64
	// Endpoint whose service ended the group; empty when the adapter did.
	Endpoint string
	// Outcome is set for Ended only.
	Outcome *Outcome
}

// GroupInfo names one group of votes that has not ended, for [Aggregator.Cancel].
type GroupInfo struct {
	RequestID  string
	GroupIndex int
	// Slot of the submission.
	Slot     uint64
	Priority Priority
	// Data of the group.
	Data *AttestationData
}

// EndpointStats is how one endpoint is.
type EndpointStats struct {
	Address string
	// State is "connecting", "down", "ready", "no_prover" or "draining".
	State string
	// ServiceID names the service, over all its runs; empty before the first contact.
	ServiceID string
	// Offers is what the service proves with.
	Offers []*Offer
}

// Stats is a picture of an adapter.
type Stats struct {
	Endpoints []EndpointStats
	// InFlight is the number of requests that are not over.
	InFlight int
	// Waiting is the number of results that wait to be taken.
	Waiting int
	// Submitted, Resubmitted, Late, Fenced, Lost and Dropped count since New, as the metrics do.
	Submitted, Resubmitted, Late, Fenced, Lost, Dropped uint64
	// Skipped counts by reason.
	Skipped map[SkipReason]uint64
	// Votes counts the votes of the outcomes that the node took, by fate.
	Votes map[VoteFate]uint64
	// Merges counts the merges whose outcome the node took, by status: "proved", "proved_late",
	// "rejected", "not_started", "stopped" or "failed".
	Merges map[string]uint64
}
