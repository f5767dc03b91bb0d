package leanagg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// ErrNothing is what a snapshot function returns when there is nothing to submit after all. The
// snapshot is skipped as [NothingToSubmit].
var ErrNothing = errors.New("nothing to submit")

// Options configure an [Aggregator]. Endpoints, NodeID and Clock are required.
type Options struct {
	// Endpoints are the services in the node's order of preference: "host:port", "http://host:port",
	// "https://host:port" or "unix:/path". A snapshot goes to the first one that can be reached.
	Endpoints []string
	// NodeID is the node's name: 1 to 64 characters of A-Z a-z 0-9 . _ -
	NodeID string
	// NodeEpoch grows with each run of the node. 0, the default: the start of the adapter in
	// milliseconds since 1970.
	NodeEpoch uint64
	// Clock says when slots begin. It gives the default fence of a snapshot.
	Clock SlotClock
	// Deadline is the time in which the service may start a proof. Default 750 ms.
	Deadline time.Duration
	// ProofSystem is what the proofs must be made with. Default, also for each field: the service's.
	ProofSystem *ProofSystem
	// TLS is the configuration of TLS. With it, an endpoint without a scheme uses TLS too. Default:
	// the system's roots, for "https://" only.
	TLS *tls.Config
	// Token returns the token that identifies the node, before each call. It goes over TLS, to
	// loopback or to a Unix socket only. It is printable ASCII without spaces: a call with another, or whose token
	// fails or panics, is refused. Each endpoint asks for one at a time; a call whose token takes longer than
	// the call itself may is not made. Default: none.
	Token func(ctx context.Context) (string, error)
	// Verify is the node's own verification of a proof. If it returns false or panics, the group ends
	// as [Refused]. It runs beside the tick, four at a time. ctx ends at the proof's fence: one that still runs
	// then is waited for no more, and the proof is dropped. Default: none.
	Verify func(ctx context.Context, outcome *Outcome) bool
	// Registerer gets the metrics, which stay after [Aggregator.Close]: it has room for one adapter of a
	// namespace, and [New] returns an error for a second one. Default: no metrics are exported.
	Registerer prometheus.Registerer
	// MetricsNamespace is the first part of the metrics' names. Default "lean", which makes
	// lean_aggregator_skipped_total.
	MetricsNamespace string
	// Logger gets what the adapter handles by itself. Default: [slog.Default].
	Logger *slog.Logger
	// OnSkip is called for each snapshot that was not submitted (in the tick) or not accepted (later, in order,
	// on a goroutine of the adapter, which a slow one holds up). [Aggregator.Close] waits for it half a second
	// at most.
	OnSkip func(Skip)
	// OnUnreachable is called in the tick whose snapshot is skipped because no endpoint can be reached. For
	// the merges of a [BodyCandidate] it may be called on a goroutine of the adapter too: it must not block,
	// nor read the node's state without its lock.
	OnUnreachable func(slot uint64)
}

// Priority of a submission. At each priority, one snapshot is in flight at a time.
type Priority = machine.Priority

// The priorities, highest first.
const (
	// Proposal is for a block that the node proposes.
	Proposal = machine.Proposal
	// Aggregation is for the node's duty as aggregator. Default.
	Aggregation = machine.Aggregation
	// Backlog is for votes of earlier slots.
	Backlog = machine.Backlog
)

// SubmitOptions configure one submission. The zero value is the default. Deadline and Fence count from
// the call; a negative one has passed, and the snapshot is skipped as [PredictedMiss].
type SubmitOptions struct {
	// Priority. Default [Aggregation].
	Priority Priority
	// Deadline is the time in which the service may start a proof. Default: that of [Options]; of
	// [Backlog], until the fence.
	Deadline time.Duration
	// Fence is the time until the proofs are worthless. Default: the start of the slot after the next.
	Fence time.Duration
	// MayReplace replaces the snapshot in flight at this priority, instead of being skipped.
	MayReplace bool
	// WholeGroups forbids the service to prove a part of a group when the whole does not fit.
	WholeGroups bool
	// MinInputs is the fewest inputs of a group that are worth a proof. Default 1.
	MinInputs uint32
	// Steps say what a vote is worth by when. Default, for nil: as [SlotClock.Steps] says. Empty: 1
	// until the fence.
	Steps []Step
	// HoldUntil is the instant before which no result of the submission is taken. Default: none.
	HoldUntil time.Time
	// Traceparent is the W3C header of the node's trace, of which the service's spans become a part. It
	// goes with each try. An invalid one is not sent. Default: none.
	Traceparent string
}

// Step says what a vote is worth if its proof is ready within a time. Weights descend.
type Step struct {
	Within time.Duration
	Weight uint32
}

var traceparentPattern = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

var nodeIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// withDefaults checks the options and fills in what is absent.
func (o Options) withDefaults() (Options, error) {
	if len(o.Endpoints) == 0 {
		return o, errors.New("Endpoints is empty; give at least one address")
	}
	if !nodeIDPattern.MatchString(o.NodeID) {
		return o, fmt.Errorf("NodeID %q is not 1 to 64 characters of A-Z a-z 0-9 . _ -", o.NodeID)
	}
	if err := o.Clock.check(); err != nil {
		return o, err
	}
	if o.Deadline < 0 || o.Deadline.Milliseconds() > math.MaxUint32 {
		return o, fmt.Errorf("Deadline is %v, expected 0 to 49 days", o.Deadline)
	}
	if o.Deadline == 0 {
		o.Deadline = 750 * time.Millisecond
	}
	if o.NodeEpoch == 0 {
		o.NodeEpoch = uint64(time.Now().UnixMilli())
	}
	if o.MetricsNamespace == "" {
		o.MetricsNamespace = "lean"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}
