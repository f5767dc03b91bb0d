package machine

import "fmt"

// Priority of a submission.
type Priority string

// The priorities, highest first.
const (
	Proposal    Priority = "proposal"
	Aggregation Priority = "aggregation"
	Backlog     Priority = "backlog"
)

// ProofKind is what the groups of a submission become.
type ProofKind string

// The kinds of proof. Aggregate is the empty kind, which a vector leaves out.
const (
	// Aggregate: proofs of one message each.
	Aggregate ProofKind = ""
	// Merge: proofs of several messages.
	Merge ProofKind = "merge"
)

// UnmarshalText reads a kind of proof by its name.
func (k *ProofKind) UnmarshalText(text []byte) error {
	switch name := string(text); name {
	case "aggregate":
		*k = Aggregate
	case "merge":
		*k = Merge
	default:
		return fmt.Errorf("unknown kind of proof %q", name)
	}
	return nil
}

// LatchName names an in-flight latch: each priority has one for each kind of proof.
type LatchName struct {
	Priority  Priority  `json:"priority"`
	ProofKind ProofKind `json:"proofKind,omitempty"`
}

// SkipReason says why a snapshot was not submitted or not accepted.
type SkipReason string

// The skip reasons: the node's gates in the order in which they are asked, then the snapshot
// function's, then the service's.
const (
	NotAggregator   SkipReason = "not_aggregator"
	NotSynced       SkipReason = "not_synced"
	MissingState    SkipReason = "missing_state"
	Paused          SkipReason = "paused"
	InFlight        SkipReason = "in_flight"
	Unreachable     SkipReason = "unreachable"
	NothingToSubmit SkipReason = "nothing_to_submit"
	SnapshotThrew   SkipReason = "snapshot_threw"
	Invalid         SkipReason = "invalid"
	PredictedMiss   SkipReason = "predicted_miss"
	Draining        SkipReason = "draining"
	Overloaded      SkipReason = "overloaded"
	NoProver        SkipReason = "no_prover"
)

// SkipReasons are all skip reasons, in the order of the constants.
var SkipReasons = []SkipReason{
	NotAggregator, NotSynced, MissingState, Paused, InFlight, Unreachable, NothingToSubmit,
	SnapshotThrew, Invalid, PredictedMiss, Draining, Overloaded, NoProver,
}

// Gates are what the node knows about itself at this tick.
type Gates struct {
	IsAggregator bool `json:"isAggregator"`
	// IsSynced is nil when the node does not check it.
	IsSynced *bool `json:"isSynced,omitempty"`
	HasState bool  `json:"hasState"`
	IsPaused bool  `json:"isPaused,omitempty"`
}

// Submission is a snapshot that the node submits.
type Submission struct {
	LatchName
	RequestID string `json:"requestId"`
	Slot      uint64 `json:"slot"`
	// Groups is the number of groups, at least 1.
	Groups int `json:"groups"`
	// Bytes is the size of the frozen request.
	Bytes        int   `json:"bytes"`
	DeadlineAtMs int64 `json:"deadlineAtMs"`
	// HoldUntilMs is the instant before which no result is taken; 0: at once.
	HoldUntilMs int64 `json:"holdUntilMs"`
	FenceAtMs   int64 `json:"fenceAtMs"`
	// FenceSlot is the slot from which on a proof is worthless; nil: only time decides.
	FenceSlot *uint64 `json:"fenceSlot"`
}

// GroupRef names one group.
type GroupRef struct {
	RequestID  string `json:"requestId"`
	GroupIndex int    `json:"groupIndex"`
	// Slot of the submission.
	Slot uint64 `json:"slot"`
	// Endpoint whose service ended the group; nil when the adapter did.
	Endpoint *string `json:"endpoint"`
}

// ServiceState is what an endpoint's service can do now.
type ServiceState string

// The states of a service. A service that has no prover or drains skips snapshots.
const (
	StateReady    ServiceState = "ready"
	StateNoProver ServiceState = "no_prover"
	StateDraining ServiceState = "draining"
)

// Event is something that happened; one of the types below.
type Event interface{ isEvent() }

// Ask asks whether a snapshot may be submitted now. The answer is one effect, Go or Skip.
type Ask struct {
	LatchName
	Slot       uint64 `json:"slot"`
	Gates      Gates  `json:"gates"`
	MayReplace bool   `json:"mayReplace"`
}

// Submitted follows an Ask that was answered with Go.
type Submitted struct {
	Submission Submission `json:"submission"`
}

// Accepted is the service's acceptance. FenceAtMs is the sending of the try that was answered, plus
// the answer's fence.
type Accepted struct {
	RequestID string `json:"requestId"`
	Endpoint  string `json:"endpoint"`
	ServiceID string `json:"serviceId"`
	FenceAtMs int64  `json:"fenceAtMs"`
}

// Refused says that the service skipped the snapshot, or refused the call with an error that a retry
// would meet again.
type Refused struct {
	RequestID string     `json:"requestId"`
	Endpoint  string     `json:"endpoint"`
	Reason    SkipReason `json:"reason"`
}

// Failed says that a try had no answer. IsTimeout: its time limit passed; else the endpoint could
// not be reached or the connection broke.
type Failed struct {
	RequestID string `json:"requestId"`
	Endpoint  string `json:"endpoint"`
	IsTimeout bool   `json:"isTimeout"`
}

// Opening says that a result stream is about to be opened. The answer is one effect, Await.
type Opening struct {
	Endpoint string `json:"endpoint"`
}

// AwaitedState says whether a service knows a request that the stream named.
type AwaitedState struct {
	RequestID string `json:"requestId"`
	IsKnown   bool   `json:"isKnown"`
}

// Opened is the first event of a result stream.
type Opened struct {
	Endpoint  string         `json:"endpoint"`
	ServiceID string         `json:"serviceId"`
	State     ServiceState   `json:"state"`
	Awaited   []AwaitedState `json:"awaited"`
}

// Status is a change of the service's state.
type Status struct {
	Endpoint string       `json:"endpoint"`
	State    ServiceState `json:"state"`
}

// Disconnected says that a result stream broke, or that an attempt to open one failed. IsSilent:
// nothing arrived for longer than is allowed.
type Disconnected struct {
	Endpoint string `json:"endpoint"`
	IsSilent bool   `json:"isSilent"`
}

// Outcome says how one group ended at a service. The machine never looks into the payload.
type Outcome[P any] struct {
	Endpoint   string `json:"endpoint"`
	RequestID  string `json:"requestId"`
	GroupIndex int    `json:"groupIndex"`
	// Message is the root of the attestation data, in hex; empty for a merge, which is never a duplicate.
	Message string `json:"message"`
	// IsProof: the outcome has a proof, or had one that is erased.
	IsProof bool `json:"isProof"`
	// IsLate: the proof was made after the deadline.
	IsLate bool `json:"isLate"`
	// IsErased: the service has erased the proof's bytes at its fence.
	IsErased bool `json:"isErased"`
	// IsDrained: not started, or stopped, because the service shuts down.
	IsDrained bool `json:"isDrained"`
	// Participants has validator i as bit i % 8 of byte i / 8, and no length bit.
	Participants Bits `json:"participants"`
	Payload      P    `json:"payload"`
}

// Summary says that the service has ended the request, DurationMs after its receipt.
type Summary struct {
	Endpoint   string `json:"endpoint"`
	RequestID  string `json:"requestId"`
	DurationMs int64  `json:"durationMs"`
}

// Verified is the result of the node's own verification.
type Verified struct {
	Ref     GroupRef `json:"ref"`
	IsValid bool     `json:"isValid"`
}

// Cancel says that the node no longer wants these groups; nil: any group of the request.
type Cancel struct {
	RequestID string `json:"requestId"`
	Groups    []int  `json:"groups"`
}

// Take asks for results, at the node's slot. What it does not ask for stays.
type Take struct {
	Slot uint64 `json:"slot"`
	// RequestIDs asks for the results of these requests only; nil: of all.
	RequestIDs []string `json:"requestIds,omitempty"`
	// Max is the most results, the oldest first; 0: all.
	Max int `json:"max,omitempty"`
}

// Tick lets time act.
type Tick struct{}

// Closing says that the adapter takes no more snapshots.
type Closing struct{}

// Closed ends everything that has not ended.
type Closed struct{}

func (Ask) isEvent()          {}
func (Submitted) isEvent()    {}
func (Accepted) isEvent()     {}
func (Refused) isEvent()      {}
func (Failed) isEvent()       {}
func (Opening) isEvent()      {}
func (Opened) isEvent()       {}
func (Status) isEvent()       {}
func (Disconnected) isEvent() {}
func (Outcome[P]) isEvent()   {}
func (Summary) isEvent()      {}
func (Verified) isEvent()     {}
func (Cancel) isEvent()       {}
func (Take) isEvent()         {}
func (Tick) isEvent()         {}
func (Closing) isEvent()      {}
func (Closed) isEvent()       {}
