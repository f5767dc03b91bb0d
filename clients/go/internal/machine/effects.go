package machine

// Effect is something that the shell has to do; one of the types below.
type Effect interface{ isEffect() }

// Go answers Ask: make the snapshot and pass Submitted.
type Go struct{}

// Skip says that no snapshot was submitted (RequestID nil), or that no group of the request has a
// result.
type Skip struct {
	RequestID *string    `json:"requestId"`
	Reason    SkipReason `json:"reason"`
}

// Send asks for a try: send the frozen request to the endpoint in AfterMs milliseconds, with what is
// left then until both instants. It ends an earlier try of the request that has no answer. IsLookup:
// send 0 for the deadline. IsResubmission: for the metrics.
type Send struct {
	RequestID      string `json:"requestId"`
	Endpoint       string `json:"endpoint"`
	AfterMs        int64  `json:"afterMs"`
	DeadlineAtMs   int64  `json:"deadlineAtMs"`
	FenceAtMs      int64  `json:"fenceAtMs"`
	IsLookup       bool   `json:"isLookup"`
	IsResubmission bool   `json:"isResubmission"`
}

// CancelCall asks for a call of CancelSession. Empty Groups: all.
type CancelCall struct {
	Endpoint  string `json:"endpoint"`
	RequestID string `json:"requestId"`
	Groups    []int  `json:"groups"`
}

// Forget says that the frozen bytes of the request are not needed any more.
type Forget struct {
	RequestID string `json:"requestId"`
}

// AwaitedRequest is a request that a result stream names, with the groups that need not be sent.
type AwaitedRequest struct {
	RequestID      string `json:"requestId"`
	ReceivedGroups []int  `json:"receivedGroups"`
}

// Await is what the request of a result stream names.
type Await struct {
	Endpoint string           `json:"endpoint"`
	Requests []AwaitedRequest `json:"requests"`
}

// Verify asks for the node's own verification of a proof.
type Verify[P any] struct {
	Ref     GroupRef `json:"ref"`
	Payload P        `json:"payload"`
}

// ResultKind says how a group ended for the node.
type ResultKind string

// The kinds of results.
const (
	ResultOutcome   ResultKind = "outcome"
	ResultDuplicate ResultKind = "duplicate"
	ResultRefused   ResultKind = "refused"
	ResultCancelled ResultKind = "cancelled"
	ResultLost      ResultKind = "lost"
)

// Result is how one group ended for the node. Payload is set for ResultOutcome only.
type Result[P any] struct {
	Kind    ResultKind
	Ref     GroupRef
	Payload P
}

// Deliver hands one result to the node.
type Deliver[P any] struct {
	Result Result[P] `json:"result"`
}

// Summarised is the end of a session, once for each request; for the metrics.
type Summarised struct {
	RequestID  string `json:"requestId"`
	Endpoint   string `json:"endpoint"`
	DurationMs int64  `json:"durationMs"`
}

// Balanced says that several services answer at this endpoint; once for each endpoint.
type Balanced struct {
	Endpoint string `json:"endpoint"`
}

// CountKind is what a Count counts.
type CountKind string

// The counts: a proof made after the deadline, a proof past its fence, a group that no service
// ended, a result that the node did not take.
const (
	CountLate    CountKind = "late"
	CountFenced  CountKind = "fenced"
	CountLost    CountKind = "lost"
	CountDropped CountKind = "dropped"
)

// Count is for the metrics.
type Count struct {
	Kind CountKind
	Ref  GroupRef `json:"ref"`
}

func (Go) isEffect()         {}
func (Skip) isEffect()       {}
func (Send) isEffect()       {}
func (CancelCall) isEffect() {}
func (Forget) isEffect()     {}
func (Await) isEffect()      {}
func (Verify[P]) isEffect()  {}
func (Deliver[P]) isEffect() {}
func (Summarised) isEffect() {}
func (Balanced) isEffect()   {}
func (Count) isEffect()      {}
