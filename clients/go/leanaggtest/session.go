package leanaggtest

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

type sessionKey struct{ nodeID, requestID string }

// session is an accepted snapshot.
type session struct {
	node       *aggregatorv1.Node
	request    *aggregatorv1.SubmitSnapshotRequest
	receivedAt time.Time
	deadlineAt time.Time
	fenceAt    time.Time
	groups     []*groupState
	summary    *aggregatorv1.Summary
	// unsent has the events that no stream was there for.
	unsent []*aggregatorv1.StreamResultsResponse
}

type groupState struct {
	isRunning bool
	stop      chan struct{}
	outcome   *aggregatorv1.Outcome
}

func (s *session) unended() int {
	count := 0
	for _, group := range s.groups {
		if group.outcome == nil {
			count++
		}
	}
	return count
}

// prove makes one proof after the other until the run ends, the most urgent first.
func (s *Service) prove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.isKilled {
		each, index := s.next()
		if each == nil {
			s.wake.Wait()
			continue
		}
		s.proveOne(each, index)
	}
}

// next returns the group to prove next, and ends those whose time has passed.
func (s *Service) next() (next *session, index int) {
	for _, each := range s.order {
		for i, group := range each.groups {
			if group.outcome != nil {
				continue
			}
			if time.Now().After(each.deadlineAt) {
				s.endGroup(each, i, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED,
					aggregatorv1.OutcomeReason_OUTCOME_REASON_DEADLINE)
			} else if next == nil || urgency(each) < urgency(next) {
				next, index = each, i
			}
		}
	}
	return next, index
}

func urgency(s *session) aggregatorv1.Priority {
	if s.request.GetPriority() == aggregatorv1.Priority_PRIORITY_UNSPECIFIED {
		return aggregatorv1.Priority_PRIORITY_AGGREGATION
	}
	return s.request.GetPriority()
}

// proveOne takes the time of a proof. The lock is held, except while it waits.
func (s *Service) proveOne(each *session, index int) {
	group := each.groups[index]
	group.isRunning = true
	untilFence := time.Until(each.fenceAt)
	takes := s.options.ProveTime
	s.mu.Unlock()
	stopped := false
	timer := time.NewTimer(min(takes, untilFence))
	select {
	case <-timer.C:
	case <-group.stop:
		stopped = true
	case <-s.killed:
	}
	timer.Stop()
	s.mu.Lock()
	switch {
	case group.outcome != nil || stopped || s.isKilled:
	case takes >= untilFence:
		s.endGroup(each, index, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_STOPPED,
			aggregatorv1.OutcomeReason_OUTCOME_REASON_FENCE)
	case time.Now().After(each.deadlineAt):
		s.endGroup(each, index, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE, 0)
	default:
		s.endGroup(each, index, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED, 0)
	}
}

// endGroup ends a group, and the session with its last one, and sends its outcome to the streams.
func (s *Service) endGroup(
	each *session, index int, status aggregatorv1.OutcomeStatus, reason aggregatorv1.OutcomeReason,
) {
	state := each.groups[index]
	if state.outcome != nil {
		return
	}
	state.outcome = s.outcomeOf(each, index, status, reason)
	close(state.stop)
	s.publish(each, &aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Outcome{Outcome: state.outcome},
	})
	if each.unended() > 0 {
		return
	}
	each.summary = &aggregatorv1.Summary{
		RequestId:  each.request.GetRequestId(),
		Slot:       each.request.GetSnapshot().GetSlot(),
		Groups:     uint32(len(each.groups)),
		DurationMs: uint32(time.Since(each.receivedAt).Milliseconds()),
	}
	s.publish(each, summaryEvent(each.summary))
}

func summaryEvent(summary *aggregatorv1.Summary) *aggregatorv1.StreamResultsResponse {
	return &aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Summary{Summary: summary},
	}
}

func (s *Service) outcomeOf(
	each *session, index int, status aggregatorv1.OutcomeStatus, reason aggregatorv1.OutcomeReason,
) *aggregatorv1.Outcome {
	snapshot := each.request.GetSnapshot()
	group := snapshot.GetGroups()[index]
	outcome := &aggregatorv1.Outcome{
		RequestId:  each.request.GetRequestId(),
		GroupIndex: uint32(index),
		Slot:       snapshot.GetSlot(),
		Data:       group.GetData(),
		Status:     status,
		Reason:     reason,
		Fake:       true,
	}
	isProved := status == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED ||
		status == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE
	isMerge := group.GetKind() == aggregatorv1.ProofKind_PROOF_KIND_MERGE
	if !isMerge {
		outcome.Message = messageOf(group)
	}
	switch {
	case isMerge:
		s.completeMerge(outcome, group, isProved, snapshot.GetSszBitlists())
	case isProved:
		outcome.Participants = participantsOf(group, snapshot.GetSszBitlists())
		outcome.Proof = make([]byte, s.options.ProofBytes)
		copy(outcome.Proof, fmt.Sprintf("%x", outcome.Participants))
	}
	return outcome
}

// completeMerge adds the claims and the proof of a merge, or names its bad components.
func (s *Service) completeMerge(
	outcome *aggregatorv1.Outcome, group *aggregatorv1.Group, isProved, isBitlist bool,
) {
	for i, component := range group.GetComponents() {
		claim, _ := proto.Clone(component.GetClaim()).(*aggregatorv1.Claim)
		if component.GetRaws() != nil {
			claim.Participants = bitsOf(validatorsOf(component.GetRaws().GetSignatures()), isBitlist)
		}
		outcome.Claims = append(outcome.Claims, claim)
		if string(component.GetProof()) == BadProof {
			outcome.LeftOut = append(outcome.LeftOut, &aggregatorv1.LeftOut{
				Reason: aggregatorv1.LeftOutReason_LEFT_OUT_REASON_BAD_CHILD,
				Input:  &aggregatorv1.LeftOut_ComponentIndex{ComponentIndex: uint32(i)},
			})
		}
	}
	switch {
	case !isProved:
		outcome.LeftOut = nil
	case len(outcome.GetLeftOut()) > 0:
		outcome.Status = aggregatorv1.OutcomeStatus_OUTCOME_STATUS_REJECTED
	default:
		outcome.Proof = make([]byte, s.options.ProofBytes)
		copy(outcome.Proof, fmt.Sprintf("%d messages", len(outcome.GetClaims())))
		outcome.VerifiedBy = aggregatorv1.VerifiedBy_VERIFIED_BY_STANDBY
	}
}

// messageOf is the group's message, or a stand-in that differs for each target.
func messageOf(group *aggregatorv1.Group) []byte {
	if message := group.GetMessage(); len(message) > 0 {
		return message
	}
	message := make([]byte, 32)
	copy(message, group.GetData().GetTarget().GetRoot())
	return message
}

func participantsOf(group *aggregatorv1.Group, isBitlist bool) []byte {
	validators := validatorsOf(group.GetRawSignatures())
	for _, child := range group.GetChildren() {
		plain := child.GetParticipants()
		if isBitlist {
			plain, _, _ = ssz.FromBitlist(plain) // a broken one has no participants
		}
		validators = append(validators, ssz.Validators(plain)...)
	}
	return bitsOf(validators, isBitlist)
}

func validatorsOf(raws []*aggregatorv1.RawSignature) []uint32 {
	var validators []uint32
	for _, raw := range raws {
		validators = append(validators, raw.GetValidatorIndex())
	}
	return validators
}

func bitsOf(validators []uint32, isBitlist bool) []byte {
	plain := ssz.Bits(validators...)
	if isBitlist {
		return ssz.ToBitlist(plain, len(plain)*8)
	}
	return plain
}
