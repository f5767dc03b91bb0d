package leanagg

import (
	"encoding/hex"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

// Field numbers of SubmitSnapshotRequest that each try appends to the frozen bytes, and of Step.
const (
	fieldDeadline = 5
	fieldFence    = 6
	fieldSteps    = 11
	fieldUntil    = 1
	fieldWeight   = 2
)

// encode freezes a request without its budgets.
func encode(request *aggregatorv1.SubmitSnapshotRequest) ([]byte, error) {
	return proto.MarshalOptions{}.Marshal(request)
}

// stepAt is a step of a request on the adapter's clock.
type stepAt struct {
	untilMs int64
	weight  uint32
}

// budgets encodes what is left of a try's times.
func budgets(deadlineMs, fenceMs int64, steps []stepAt, nowMs int64) []byte {
	var to []byte
	to = protowire.AppendTag(to, fieldDeadline, protowire.VarintType)
	to = protowire.AppendVarint(to, left(deadlineMs))
	to = protowire.AppendTag(to, fieldFence, protowire.VarintType)
	to = protowire.AppendVarint(to, left(fenceMs))
	for _, step := range steps {
		var inner []byte
		// A step that has passed stays, with 0: with another number of steps, a try would be another
		// request.
		if until := left(step.untilMs - nowMs); until > 0 {
			inner = protowire.AppendTag(inner, fieldUntil, protowire.VarintType)
			inner = protowire.AppendVarint(inner, until)
		}
		inner = protowire.AppendTag(inner, fieldWeight, protowire.VarintType)
		inner = protowire.AppendVarint(inner, uint64(step.weight))
		to = protowire.AppendTag(to, fieldSteps, protowire.BytesType)
		to = protowire.AppendBytes(to, inner)
	}
	return to
}

// left is a budget in milliseconds as the wire has it.
func left(ms int64) uint64 { return uint64(min(max(ms, 0), math.MaxUint32)) }

var wirePriority = map[Priority]aggregatorv1.Priority{
	Proposal:    aggregatorv1.Priority_PRIORITY_PROPOSAL,
	Aggregation: aggregatorv1.Priority_PRIORITY_AGGREGATION,
	Backlog:     aggregatorv1.Priority_PRIORITY_BACKLOG,
}

var skipReasonOf = map[aggregatorv1.SkipReason]SkipReason{
	aggregatorv1.SkipReason_SKIP_REASON_IN_FLIGHT:      machine.InFlight,
	aggregatorv1.SkipReason_SKIP_REASON_PREDICTED_MISS: machine.PredictedMiss,
	aggregatorv1.SkipReason_SKIP_REASON_DRAINING:       machine.Draining,
	aggregatorv1.SkipReason_SKIP_REASON_NO_PROVER:      machine.NoProver,
}

// skipReason reads a service's reason. One that this adapter does not know is overloaded.
func skipReason(reason aggregatorv1.SkipReason) SkipReason {
	if known, isKnown := skipReasonOf[reason]; isKnown {
		return known
	}
	return machine.Overloaded
}

func stateOf(status *aggregatorv1.Status) machine.ServiceState {
	switch status.GetState() {
	case aggregatorv1.ServiceState_SERVICE_STATE_NO_PROVER:
		return machine.StateNoProver
	case aggregatorv1.ServiceState_SERVICE_STATE_DRAINING:
		return machine.StateDraining
	}
	return machine.StateReady
}

// outcomeEvent is what an outcome means to the machine. Its participants lose their length bit.
func outcomeEvent(endpoint string, o *Outcome, hasLengthBit bool) machine.Outcome[*Outcome] {
	isProof := isProved(o)
	participants := o.GetParticipants()
	if hasLengthBit && len(participants) > 0 {
		if bits, _, err := ssz.FromBitlist(participants); err == nil {
			participants = bits
		}
	}
	return machine.Outcome[*Outcome]{
		Endpoint:     endpoint,
		RequestID:    o.GetRequestId(),
		GroupIndex:   int(o.GetGroupIndex()),
		Message:      hex.EncodeToString(o.GetMessage()),
		IsProof:      isProof,
		IsLate:       o.GetStatus() == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE,
		IsErased:     isProof && (o.GetProofErased() || len(o.GetProof()) == 0),
		IsDrained:    !isProof && o.GetReason() == aggregatorv1.OutcomeReason_OUTCOME_REASON_DRAINING,
		Participants: participants,
		Payload:      o,
	}
}

func isProved(o *Outcome) bool {
	return o.GetStatus() == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED ||
		o.GetStatus() == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE
}

// clock is the adapter's monotonic clock, in milliseconds.
type clock struct{ start time.Time }

func (c clock) nowMs() int64 { return time.Since(c.start).Milliseconds() }

// instantMs converts an instant of the monotonic clock.
func (c clock) instantMs(at time.Time) int64 { return at.Sub(c.start).Milliseconds() }

// atMs converts an instant. Instants of the wall clock are converted by their distance from now.
func (c clock) atMs(at time.Time) int64 { return c.nowMs() + time.Until(at).Milliseconds() }
